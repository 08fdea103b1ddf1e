# https://github.com/swz30/MPRNet/issues/91
# causes: grad
# tensor: criterion_char(restored[j], target)
# repair: line

import numpy as np
import torch
import torch.nn as nn


class CharbonnierLoss(nn.Module):
    def __init__(self, eps=1e-3):
        super().__init__()
        self.eps = eps

    def forward(self, x, y):
        diff = x - y
        return torch.mean(torch.sqrt(diff * diff + self.eps**2))


class StageNet(nn.Module):
    def __init__(self, n_stages=3):
        super().__init__()
        self.stages = nn.ModuleList(nn.Conv2d(1, 1, 3, padding=1) for _ in range(n_stages))

    def forward(self, img):
        outs = []
        for conv in self.stages:
            img = img + conv(img)
            outs.append(img)
        return outs[::-1]


torch.manual_seed(0)
target = torch.rand(2, 1, 8, 8)
blurred = target + 0.2 * torch.randn(2, 1, 8, 8)

net = StageNet()
criterion_char = CharbonnierLoss()
opt = torch.optim.SGD(net.parameters(), lr=0.05)
for epoch in range(4):
    opt.zero_grad()
    restored = net(blurred)
    # every stage is compared with the sharp picture
    loss = np.sum([criterion_char(restored[j], target) for j in range(len(restored))])
    loss.backward()
    opt.step()

print("loss", round(loss.item(), 4))
print([round(conv.weight.sum().item(), 4) for conv in net.stages])
