# https://github.com/utiasSTARS/liegroups/issues/4
# causes: grad
# tensor: mat
# repair: line

import numpy as np
import torch
import torch.nn as nn


class SO2:
    """rotations of the plane, in batches"""

    def __init__(self, mat):
        self.mat = mat

    @classmethod
    def from_matrix(cls, mat, normalize=False):
        rot = cls(mat)
        if normalize:
            rot.normalize()
        return rot

    def normalize(self):
        # nearest orthogonal matrices
        mat = self.mat
        U, _, Vt = np.linalg.svd(mat, full_matrices=False)
        self.mat = U @ Vt

    def log(self):
        return torch.atan2(self.mat[:, 1, 0], self.mat[:, 0, 0])


torch.manual_seed(0)
pairs = torch.randn(32, 6)
angle_gt = 0.4 * pairs[:, 0]
net = nn.Linear(6, 4)
opt = torch.optim.SGD(net.parameters(), lr=0.05)
for i in range(6):
    rotation_ab_pred = net(pairs).view(-1, 2, 2) + 2 * torch.eye(2)
    angle = SO2.from_matrix(rotation_ab_pred, normalize=True).log()
    loss = torch.mean(1 - torch.cos(angle - angle_gt))
    opt.zero_grad()
    loss.backward()
    opt.step()
print("loss %.4f" % loss.item())
print("bias", [round(b, 3) for b in net.bias.tolist()])
