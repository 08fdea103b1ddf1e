# https://github.com/pytorch/pytorch/issues/125532

import numpy as np
import torch

k = torch.nn.Parameter(torch.tensor(0.8, dtype=torch.float64))
opt = torch.optim.SGD([k], lr=0.01)


def model(y, t):
    dydt = -k * torch.as_tensor(y)
    return dydt


def odeint(f, y0, t):
    """Runge-Kutta 4 in torch: scipy's odeint can carry no gradient to k"""
    path = [torch.as_tensor(y0)]
    for start, end in zip(t[:-1], t[1:]):
        y, h = path[-1], end - start
        k1 = f(y, start)
        k2 = f(y + h / 2 * k1, start + h / 2)
        k3 = f(y + h / 2 * k2, start + h / 2)
        k4 = f(y + h * k3, end)
        path.append(y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4))
    return torch.stack(path)


y0 = np.array([5.0])
t = np.linspace(0, 4, 21)
measured = torch.tensor(5 * np.exp(-0.3 * t))

for epoch in range(3):
    y = odeint(model, y0, t)
    y = torch.as_tensor(y)[:, 0]
    loss = ((y - measured) ** 2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()

print(f"k = {k.item():.4f}", f"loss {loss.item():.4f}", tuple(y.shape))
