# https://github.com/pytorch/pytorch/issues/125532
# causes: grad
# tensor: model(y0, t[0]) | dydt
# repair: none

import numpy as np
import torch
from scipy.integrate import odeint

k = torch.nn.Parameter(torch.tensor(0.8, dtype=torch.float64))
opt = torch.optim.SGD([k], lr=0.01)


def model(y, t):
    dydt = -k * torch.as_tensor(y)
    return dydt


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
