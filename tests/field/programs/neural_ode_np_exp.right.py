# https://github.com/NeuroDiffGym/neurodiffeq/issues/75

import torch
import torch.nn as nn


def diff(x, t):
    return torch.autograd.grad(x.sum(), t, create_graph=True)[0]


class FCNN(nn.Module):
    def __init__(self, n_hidden_units):
        super().__init__()
        self.seq = nn.Sequential(nn.Linear(1, n_hidden_units), nn.Tanh(), nn.Linear(n_hidden_units, 1))

    def forward(self, t):
        return self.seq(t)


def solve(ode, net, t_min, t_max, x_0, max_epochs, n=16):
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    history = []
    for _ in range(max_epochs):
        t = torch.linspace(t_min, t_max, n).view(-1, 1).requires_grad_()
        x = x_0 + (1 - torch.exp(-(t - t_min))) * net(t)
        loss = (ode(x, t) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        history.append(loss.item())
    return history


torch.manual_seed(0)
ode = lambda x, t: diff(x, t) + 5 * x - torch.exp(3 * t)
fcnn = FCNN(n_hidden_units=5)
history = solve(ode=ode, net=fcnn, t_min=0.0, t_max=0.5, x_0=0.0, max_epochs=30)
print(len(history), f"{history[0]:.3f} {history[-1]:.3f}")
print([f"{w:.4f}" for w in fcnn.seq[0].weight.flatten().tolist()])
