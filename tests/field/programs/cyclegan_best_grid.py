# https://github.com/fastai/course-v3/issues/509
# causes: device
# tensor: made[i].permute(1, 2, 0) | made[i]
# repair: line

import numpy as np
import torch
import toy_device
import torch.nn as nn
import matplotlib.pyplot as plt

device = "toy"
torch.manual_seed(0)
names = np.array([f"pony_{i}.png" for i in range(6)])
images = {f: torch.rand(3, 8, 8) * 2 - 1 for f in names}
painter = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.Tanh())


def load(names):
    return torch.stack([images[n] for n in names])


def contact_sheet(names, badness, painter, n=4):
    order = badness.argsort()
    _, cells = plt.subplots(n // 2, 4, figsize=(8, n))
    real = load(names[order][:n])
    with torch.no_grad():
        made = painter(real)
    real, made = (1 + real) / 2, ((1 + made) / 2).to(device)
    for i in range(n):
        cells.flat[2 * i].imshow(real[i].permute(1, 2, 0))
        cells.flat[2 * i].set_axis_off()
        cells.flat[2 * i + 1].imshow(made[i].permute(1, 2, 0))
        cells.flat[2 * i + 1].set_title(round(badness[order][i].item(), 3))
    return cells


cells = contact_sheet(names, torch.rand(6), painter)
for ax in cells.flatten():
    arr = ax.images[0].get_array()
    print(ax.get_title(), arr.shape, round(float(arr.mean()), 4))
