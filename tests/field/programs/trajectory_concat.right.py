# https://github.com/marsmarcin/Visual-of-Social-GAN/issues/2

import numpy as np
import torch
import toy_device
import matplotlib.pyplot as plt


def accumulate(moves, origin):
    return torch.cumsum(moves, dim=0) + origin


def batches(n):
    for k in range(n):
        g = torch.Generator().manual_seed(k)
        rel = torch.randn(8, 3, 2, generator=g) * 0.3
        traj = accumulate(rel, torch.zeros(3, 2))
        yield [tensor.to("toy") for tensor in (traj[:5].contiguous(), traj[5:].contiguous())]


def draw_tracks(loader, ax):
    ends = []
    for batch in loader:
        past, future = batch
        seen = past.cpu().numpy()
        path = np.concatenate((seen, future.cpu()), axis=0)
        for walker in range(path.shape[1]):
            ax.plot(path[:, walker, 0], path[:, walker, 1], "-o")
        ends.append(path[-1].mean(0))
    return np.stack(ends)


fig, ax = plt.subplots()
ends = draw_tracks(batches(2), ax)
print(ends.shape, np.round(ends.astype(float), 4).tolist())
print(len(ax.lines), [round(float(l.get_xdata()[-1]), 3) for l in ax.lines])
