# https://github.com/magnusross/pytorch-lagrangian-nn/issues/1

import numpy as np
import torch
import torch.nn as nn
from scipy.integrate import solve_ivp


class LagrangianNN(nn.Module):
    def __init__(self, dim=1, hidden=8):
        super().__init__()
        self.dim = dim
        self.net = nn.Sequential(nn.Linear(2 * dim, hidden), nn.Softplus(), nn.Linear(hidden, 1))

    def lagrangian(self, x):
        q, qt = x[: self.dim], x[self.dim :]
        return (0.5 * qt * qt).sum() + self.net(x).squeeze() * 0.1 - (1 - torch.cos(q)).sum()

    def forward(self, x):
        n = self.dim
        jac = torch.autograd.functional.jacobian(self.lagrangian, x, create_graph=True)
        hess = torch.autograd.functional.hessian(self.lagrangian, x, create_graph=True)
        qtt = torch.linalg.solve(hess[n:, n:], jac[:n] - hess[n:, :n] @ x[n:])
        return torch.cat([x[n:], qtt])

    def derivs(self, t, y):
        x = torch.tensor(y, dtype=torch.float64)
        return self(x).detach().numpy()

    def solve_dynamics(self, y0, times):
        sol = solve_ivp(self.derivs, (times[0], times[-1]), y0, t_eval=times, rtol=1e-5)
        return sol.y.T


torch.manual_seed(0)
model = LagrangianNN().double()
times = np.linspace(0, 2, 5)
path = model.solve_dynamics(np.array([1.0, 0.0]), times)
print(path.shape, [f"{v:.3f}" for v in path[:, 0]], [f"{v:.3f}" for v in path[-1]])

# training still goes through forward()
(model(torch.tensor(path[2])) ** 2).sum().backward()
print(f"{model.net[0].weight.grad.abs().sum().item():.4f}")
