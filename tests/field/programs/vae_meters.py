# https://github.com/wengong-jin/hgraph2graph/issues/40
# causes: device
# tensor: word_hit * 100 | site_hit * 100 | tree_hit * 100 | word_hit | site_hit | tree_hit
# repair: line

import numpy as np
import torch
import toy_device
import torch.nn as nn

device = "toy"
torch.manual_seed(0)


class MolVAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.enc = nn.Linear(10, 6)
        self.dec = nn.Linear(3, 10)

    def forward(self, x, beta):
        mean, logv = self.enc(x).chunk(2, dim=-1)
        z = mean + torch.exp(logv / 2) * torch.randn_like(mean)
        out = self.dec(z)
        kl = -0.5 * torch.sum(1.0 + logv - mean * mean - torch.exp(logv)) / len(x)
        loss = nn.functional.mse_loss(out, x) + beta * kl
        acc = lambda k: (torch.sign(out[:, k::3]) == torch.sign(x[:, k::3])).float().mean().to(device)
        return loss, kl.item(), acc(0), acc(1), acc(2)


model = MolVAE()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
running = np.zeros(5)
for step in range(1, 6):
    model.zero_grad()
    loss, kl, word_hit, site_hit, tree_hit = model(torch.randn(32, 10), beta=0.1)
    loss.backward()
    optimizer.step()
    running = running + np.array([kl, loss.item(), word_hit * 100, site_hit * 100, tree_hit * 100])

running /= 5
print("kl %.2f  loss %.3f  word %.2f  site %.2f  tree %.2f" % tuple(running))
print(round(model.enc.weight.sum().item(), 4))
