# https://github.com/AMLab-Amsterdam/lie_learn/issues/18

import numpy as np
import torch


def z_rot_mat(angle, l):
    """Rotation about z in the real spherical harmonics of degree l."""
    M = torch.zeros(2 * l + 1, 2 * l + 1)
    inds = np.arange(0, 2 * l + 1)
    reversed_inds = np.arange(2 * l, -1, -1)
    frequencies = torch.arange(l, -l - 1, -1)
    M[inds, reversed_inds] = torch.sin(frequencies * angle)
    M[inds, inds] = torch.cos(frequencies * angle)
    return M


torch.manual_seed(0)
l = 2
coeffs = torch.randn(5)
turned = torch.tensor([0.3, -0.7, 1.1, 0.2, 0.5])

angle = torch.nn.Parameter(torch.tensor(0.2))
optimizer = torch.optim.SGD([angle], lr=0.02)
for it in range(10):
    D = z_rot_mat(angle, l)
    loss = ((D @ coeffs - turned) ** 2).sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

print("angle %.4f" % angle.item(), "loss %.4f" % loss.item(), "grad %.4f" % angle.grad.item())
