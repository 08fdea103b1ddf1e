# https://github.com/Atcold/NYU-DLSP20/issues/776

import torch
import toy_device
import torch.nn as nn
from sklearn.manifold import TSNE

device = torch.device("toy")
torch.manual_seed(1)
d = 4


class CodeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(12, 16), nn.ReLU(), nn.Linear(16, d * 2))

    def forward(self, x):
        pair_out = self.encoder(x).view(-1, 2, d)
        return pair_out[:, 0, :], pair_out[:, 1, :]


model = CodeNet()
archive = dict(mu=list(), log_s=list(), y=list())
data = torch.randn(30, 12)
for epoch in range(3):
    with torch.no_grad():
        mu, log_s = model(data * (epoch + 1))
        archive["mu"].append(mu.to(device))
        archive["y"].append((data[:, 0] > 0).long())

latents, classes, maps = list(), list(), list()
count = 30
shown = (0, 2)
for epoch in shown:
    latents.append(archive["mu"][epoch])
    maps.append(TSNE(n_components=2, perplexity=5, max_iter=250, random_state=0).fit_transform(latents[-1].cpu()))
    classes.append(archive["y"][epoch])

for e, x, y in zip(maps, latents, classes):
    print(e.shape, round(x.cpu().mean().item(), 4), int(y.sum()), bool(abs(e).max() > 0))
