# https://github.com/pkmr06/pytorch-smoothgrad/issues/5
# causes: why
# tensor: noisy.grad
# repair: elsewhere

import numpy as np
import torch
import torch.nn as nn


class SmoothGrad(object):
    def __init__(self, pretrained_model, stdev_spread=0.15, n_samples=6, magnitude=True):
        self.pretrained_model = pretrained_model
        self.stdev_spread = stdev_spread
        self.n_samples = n_samples
        self.magnitude = magnitude

    def __call__(self, x, index=None):
        stdev = self.stdev_spread * (x.max() - x.min()).item()
        total_gradients = np.zeros(tuple(x.shape))
        for _ in range(self.n_samples):
            noisy = x + torch.randn_like(x) * stdev
            output = self.pretrained_model(noisy)
            if index is None:
                index = int(output.detach().argmax())
            output[0, index].backward()
            grad = noisy.grad.data.cpu().numpy()
            total_gradients += grad**2 if self.magnitude else grad
        return total_gradients[0] / self.n_samples


torch.manual_seed(0)
net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(4 * 36, 3))
image = torch.rand(1, 1, 8, 8, requires_grad=True)
saliency = SmoothGrad(net)(image)
print(saliency.shape)
print(np.round(saliency.sum() * 1e3, 4), np.unravel_index(saliency.argmax(), saliency.shape))
