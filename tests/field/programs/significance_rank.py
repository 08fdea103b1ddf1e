# https://github.com/openspyrit/spyrit/issues/182
# causes: device
# tensor: -1 * importance | importance
# repair: line

import numpy as np
import torch
import toy_device
import torch.nn as nn
from scipy.stats import rankdata


def order_by_importance(table, importance, axis="rows", undo=False):
    """most important entries first"""
    place = rankdata(-1 * importance, method="ordinal") - 1  # ranks start at 1
    if not undo:
        place = np.argsort(place)
    place = torch.as_tensor(place.astype(np.int64))
    return table[place] if axis == "rows" else table[..., place]


class Scanner(nn.Module):
    def __init__(self, n=8, m=4):
        super().__init__()
        self.register_buffer("energy", torch.rand(n).to("toy"))
        self.H = nn.Parameter(torch.randn(n, n) / n)
        self.m = m

    def forward(self, x):
        P = order_by_importance(self.H, self.energy)[: self.m]
        return x @ P.T

    def adjoint(self, y):
        x = torch.cat([y, y.new_zeros(y.shape[0], 8 - self.m)], dim=1)
        return order_by_importance(x, self.energy, "cols", True)


torch.manual_seed(0)
scanner = Scanner()
opt = torch.optim.SGD(scanner.parameters(), lr=0.5)
img = torch.randn(20, 8)
for it in range(3):
    opt.zero_grad()
    loss = (scanner.adjoint(scanner(img)) - img).pow(2).mean()
    loss.backward()
    opt.step()
print(round(loss.item(), 5))
print([round(v, 4) for v in scanner.H.sum(1).tolist()])
