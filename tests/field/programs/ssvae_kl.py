# https://github.com/GuHY777/SS-VAE-pytorch/issues/1
# causes: grad
# tensor: 2 * np.pi * var | var
# repair: line

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F


def log_gaussian(x, mu, var):
    return torch.sum(
        -0.5 * np.log(2 * np.pi * var) - 0.5 * (x - mu) ** 2 / var,
        dim=1,
    )


class VAE(nn.Module):
    def __init__(self, x_dim=6, z_dim=2):
        super().__init__()
        self.mu = nn.Linear(x_dim, z_dim)
        self.var = nn.Linear(x_dim, z_dim)
        self.dec = nn.Linear(z_dim, x_dim)

    def elbo(self, x):
        z_mu, z_var = self.mu(x), F.softplus(self.var(x)) + 1e-4
        z = z_mu + torch.sqrt(z_var) * torch.randn_like(z_mu)
        log_q_z = log_gaussian(z, z_mu, z_var)
        log_p_z = log_gaussian(z, torch.zeros_like(z), torch.ones_like(z))
        log_p_x = -F.binary_cross_entropy_with_logits(self.dec(z), x, reduction="none").sum(1)
        return (log_p_x + log_p_z - log_q_z).mean()


torch.manual_seed(0)
x = torch.bernoulli(torch.full((16, 6), 0.3))
vae = VAE()
opt = torch.optim.SGD(vae.parameters(), lr=0.1)
for _ in range(5):
    opt.zero_grad()
    loss = -vae.elbo(x)
    loss.backward()
    opt.step()
# the variance head learns only through the two densities
print("bias of the variance head:", [round(b, 4) for b in vae.var.bias.tolist()])
print("grad:", [round(g, 4) for g in vae.var.weight.grad.sum(1).tolist()])
