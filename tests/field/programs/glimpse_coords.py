# https://github.com/kevinzakka/recurrent-visual-attention/issues/4
# causes: grad
# tensor: 0.5 * (l + 1.0) * (T - self.g) | (0.5 * (l + 1.0) * (T - self.g))
# repair: line

import numpy as np
import torch
import torch.nn as nn


class Retina:
    def __init__(self, g):
        self.g = g

    def extract_patch(self, x, l):
        """cut a g x g patch of each image at l, in [-1, 1]"""
        B, C, H, T = x.shape
        start = np.rint((0.5 * (l + 1.0) * (T - self.g)).numpy()).astype(int)
        patch = []
        for i in range(B):
            r, c = start[i]
            patch.append(x[i, :, r : r + self.g, c : c + self.g])
        return torch.stack(patch)


class GlimpseNetwork(nn.Module):
    def __init__(self, g=3, h=8):
        super().__init__()
        self.retina = Retina(g)
        self.what = nn.Linear(g * g, h)
        self.where = nn.Linear(2, h)

    def forward(self, x, l):
        phi = self.retina.extract_patch(x, l).flatten(1)
        return torch.relu(self.what(phi) + self.where(l))


torch.manual_seed(0)
images, labels = torch.rand(6, 1, 9, 9), torch.tensor([0, 1, 2, 0, 1, 2])
locator, sensor, classifier = nn.Linear(81, 2), GlimpseNetwork(), nn.Linear(8, 3)
modules = nn.ModuleList([locator, sensor, classifier])
optimizer = torch.optim.SGD(modules.parameters(), lr=0.2)
for step in range(4):
    l_t = torch.tanh(locator(images.flatten(1)))
    loss = nn.functional.cross_entropy(classifier(sensor(images, l_t)), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(round(loss.item(), 4), [round(b, 4) for b in locator.bias.tolist()])
print("what %.4f where %.4f" % (sensor.what.weight.grad.abs().sum(), sensor.where.weight.grad.abs().sum()))
