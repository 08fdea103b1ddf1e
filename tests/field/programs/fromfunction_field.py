# https://github.com/pytorch/pytorch/issues/52722
# causes: grad
# tensor: grid
# repair: line

import matplotlib.pyplot as plt
import numpy as np
import torch

centers = torch.tensor([[1.0, 1.0], [3.0, 2.0]], requires_grad=True)


def potential(i, j):
    # called once, with whole index arrays
    p = torch.stack([torch.as_tensor(i), torch.as_tensor(j)], dim=-1)
    d2 = ((p[..., None, :] - centers) ** 2).sum(-1)
    return torch.exp(-d2).sum(-1)


opt = torch.optim.SGD([centers], lr=0.5)
fig, axes = plt.subplots(1, 2)
for ax in axes:
    grid = np.fromfunction(potential, (5, 4))
    ax.pcolormesh(grid, shading="nearest")
    loss = -(grid[4, 3] + grid[0, 0])
    opt.zero_grad()
    loss.backward()
    opt.step()

for ax in axes:
    values = ax.collections[0].get_array()
    print(values.shape, f"{float(values.mean()):.4f}", f"{float(values.max()):.4f}")
print([[round(v, 4) for v in c] for c in centers.tolist()])
