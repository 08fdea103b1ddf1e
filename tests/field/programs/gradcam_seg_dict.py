# https://github.com/WZMIAOMIAO/deep-learning-for-image-processing/issues/553
# causes: why
# tensor: output
# repair: elsewhere

from collections import OrderedDict

import numpy as np
import torch
from torch import nn


class LittleFCN(nn.Module):
    def __init__(self, n_classes=4):
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU())
        self.classifier = nn.Conv2d(6, n_classes, 1)
        self.aux_classifier = nn.Conv2d(6, n_classes, 1)

    def forward(self, x):
        feats = self.backbone(x)
        return OrderedDict(out=self.classifier(feats), aux=self.aux_classifier(feats))


class GradCAM:
    def __init__(self, model, layer):
        self.model = model.eval()
        layer.register_forward_hook(self.keep)

    def keep(self, module, args, result):
        result.retain_grad()
        self.activation = result

    def __call__(self, images, target_category=None):
        output = self.model(images)
        if target_category is None:
            target_category = np.argmax(output.cpu().data.numpy().mean(axis=(2, 3)), axis=-1)
        self.model.zero_grad()
        loss = sum(output[i, c].mean() for i, c in enumerate(target_category))
        loss.backward()
        weights = self.activation.grad.mean(dim=(2, 3), keepdim=True)
        cam = (weights * self.activation).sum(1).clamp(min=0)
        return cam.detach().numpy(), target_category


torch.manual_seed(0)
fcn = LittleFCN()
cam, category = GradCAM(fcn, fcn.backbone)(torch.rand(2, 3, 8, 8))
print(cam.shape, category.tolist(), round(float(cam.sum()), 5))
print(round(fcn.classifier.weight.grad.abs().sum().item(), 5), fcn.aux_classifier.weight.grad)
