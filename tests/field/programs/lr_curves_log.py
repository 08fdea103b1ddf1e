# https://github.com/source-separation/tutorial/issues/28
# causes: grad
# tensor: all_losses[row]
# repair: line

import numpy as np
import torch
from torch import nn
import matplotlib.pyplot as plt

RATES = [1e-3, 1e-2, 1e-1]


def fit_once(lr, n_steps=8):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
    opt = torch.optim.SGD(net.parameters(), lr=lr)
    inputs = torch.randn(32, 4)
    wanted = inputs.sum(1, keepdim=True)
    clipped, curve = [], []
    for _ in range(n_steps):
        opt.zero_grad()
        loss = nn.functional.l1_loss(net(inputs), wanted)
        loss.backward()
        clipped.append(nn.utils.clip_grad_norm_(net.parameters(), 10.0))
        opt.step()
        curve.append(loss)
    return clipped, curve


all_norms, all_losses = zip(*[fit_once(lr) for lr in RATES])

fig, panes = plt.subplots(1, 2, figsize=(9, 3))
for row, lr in enumerate(RATES):
    panes[0].plot(all_norms[row], label=f"lr={lr:g}")
    panes[0].legend()

for row, lr in enumerate(RATES):
    panes[1].plot(np.log10(all_losses[row]), label=f"lr={lr:g}")
    panes[1].legend()
    panes[1].set_ylabel("log10 loss")

for a in panes:
    print([[round(float(v), 3) for v in l.get_ydata()] for l in a.get_lines()])
