# https://github.com/llvm/torch-mlir/issues/410

import numpy as np
import torch
import torch.nn as nn


def delta2bbox(rois, deltas, stds=(0.1, 0.1, 0.2, 0.2), wh_ratio_clip=(16 / 1000, 50 / 1000)):
    denorm = deltas * deltas.new_tensor(stds)
    dxy, dwh = denorm[:, :2], denorm[:, 2:]
    # one limit for the width and one for the height
    max_ratio = deltas.new_tensor(np.abs(np.log(wh_ratio_clip)))
    dwh = dwh.clamp(
        min=-max_ratio,
        max=max_ratio,
    )
    pxy = (rois[:, :2] + rois[:, 2:]) * 0.5
    pwh = rois[:, 2:] - rois[:, :2]
    gxy, gwh = pxy + pwh * dxy, pwh * dwh.exp()
    return torch.cat([gxy - gwh * 0.5, gxy + gwh * 0.5], dim=-1)


torch.manual_seed(0)
head = nn.Linear(7, 4)
optimizer = torch.optim.SGD(head.parameters(), lr=0.01)
feats, lt = torch.randn(5, 7) * 8, torch.rand(5, 2) * 10
rois = torch.cat([lt, lt + 4], dim=1)
gts = rois + torch.tensor([0.5, -0.5, 1.0, 0.5])

for step in range(3):
    boxes = delta2bbox(rois, head(feats))
    loss = nn.functional.smooth_l1_loss(boxes, gts)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

print(boxes.shape, round(loss.item(), 4))
print(round(head.weight.grad.abs().sum().item(), 4), round(head.bias.detach().sum().item(), 4))
