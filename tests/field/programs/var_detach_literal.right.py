# https://github.com/pytorch/pytorch/pull/18481

import matplotlib.pyplot as plt
import torch
from torch import nn


class Block(nn.Module):
    def __init__(self, ch):
        super().__init__()
        self.conv = nn.Conv2d(ch, ch, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(ch)

    def forward(self, x):
        return torch.relu(x + self.bn(self.conv(x)))


torch.manual_seed(0)
resnet = nn.Sequential(nn.Conv2d(3, 4, 7, 2), Block(4), nn.AvgPool2d(4), nn.Flatten(), nn.Linear(36, 10))

# the first try was result.numpy(), and the message said: use var.detach().numpy()
result = resnet(torch.randn(1, 3, 32, 32))
scores = result.detach().numpy()

bars = plt.bar(range(10), scores[0])
plt.ylabel("score")
print(scores.shape, scores.argmax())
print([round(float(b.get_height()), 3) for b in bars])
