# https://github.com/MouseLand/Kilosort/issues/956

import numpy as np
import torch
import toy_device

device = torch.device("toy")


def draw(left, tries):
    """rows, drawn in proportion to what is still unexplained"""
    return torch.multinomial(left, tries).to(device)


def seed_centers(rows, k_max=4, tries=3, seed=1):
    torch.manual_seed(seed)
    energy = (rows**2).sum(1)
    n = energy.shape[0]
    centers = torch.zeros((k_max, rows.shape[1]))
    explained = torch.zeros(n)
    member = np.zeros(n, dtype=int)
    for j in range(k_max):
        left = torch.relu(energy - explained)
        open_rows = torch.nonzero(left > 1e-3).flatten()
        back = open_rows.numpy()
        # candidates
        chosen = back[draw(left[open_rows], tries).cpu()]
        cand = rows[chosen]
        gain_all = 2 * rows @ cand.T - (cand**2).sum(1)
        gain = torch.relu(gain_all - explained[:, None])
        top = torch.argmax(gain.sum(0)).item()
        better = (gain[:, top] > 0).numpy()
        member[better] = j
        centers[j] = cand[top]
        explained = torch.maximum(explained, gain_all[:, top])
    return member, centers


torch.manual_seed(0)
X = torch.randn(40, 3) + torch.arange(4).repeat_interleave(10)[:, None] * 4
labels, centers = seed_centers(X)
print(np.bincount(labels, minlength=4))
print(np.round(centers.numpy(), 3))
