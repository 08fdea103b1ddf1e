# https://github.com/pytorch/pytorch/issues/74839

import numpy as np
import scipy.optimize as opt
import torch
import torch.nn as nn


class EquilibriumLayer(nn.Module):
    """z* = cell(z*, x), found by scipy; one more step with autograd gives (approximate) gradients"""

    def __init__(self, dim):
        super().__init__()
        self.dim = dim
        self.lin_z = nn.Linear(dim, dim, bias=False)
        self.lin_x = nn.Linear(dim, dim)

    def cell(self, z, x):
        return torch.tanh(0.5 * self.lin_z(z) + self.lin_x(x))

    def residual(self, z, x):
        z = torch.as_tensor(z)
        return (z - self.cell(z, x)).detach().numpy()

    def forward(self, x):
        solution = opt.root(
            self.residual,
            np.zeros(self.dim),
            args=(x,),
            method="hybr",
        )
        z_star = torch.as_tensor(solution.x)
        return self.cell(z_star, x), solution.nfev


torch.manual_seed(0)
layer = EquilibriumLayer(3).double()
sgd = torch.optim.SGD(layer.parameters(), lr=0.3)
x, target = torch.ones(3).double(), torch.tensor([0.2, -0.1, 0.4]).double()
for _ in range(5):
    z, nfev = layer(x)
    loss = (z - target).pow(2).sum()
    sgd.zero_grad()
    loss.backward()
    sgd.step()
print(f"{loss.item():.4f}", [f"{v:.3f}" for v in z.tolist()], nfev > 0)
print([f"{b:.4f}" for b in layer.lin_x.bias.tolist()])
