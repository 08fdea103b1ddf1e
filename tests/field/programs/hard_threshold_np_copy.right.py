# https://github.com/microsoft/EdgeML/issues/119

import numpy as np
import torch
import torch.nn as nn


def keep_largest(weight, fraction):
    pruned = np.copy(weight.detach())
    cut = np.percentile(np.abs(pruned), (1 - fraction) * 100.0, method="higher")
    pruned[np.abs(pruned) < cut] = 0.0
    return pruned


class TinyTree(nn.Module):
    def __init__(self):
        super().__init__()
        self.proj = nn.Parameter(torch.randn(4, 6) * 0.3)
        self.leaf = nn.Parameter(torch.randn(2, 4) * 0.3)

    def forward(self, x):
        return x @ self.proj.T @ self.leaf.T


class SparseTrainer:
    def __init__(self, model, keep_w=0.5, keep_z=0.25):
        self.model, self.keep_w, self.keep_z = model, keep_w, keep_z
        self.opt = torch.optim.SGD(model.parameters(), lr=0.2)

    # iterative hard thresholding
    def sparsify(self):
        self.model.leaf.data = torch.FloatTensor(keep_largest(self.model.leaf, self.keep_w))
        self.model.proj.data = torch.FloatTensor(keep_largest(self.model.proj, self.keep_z))

    def train(self, x, y):
        for e in range(6):
            self.opt.zero_grad()
            loss = nn.functional.cross_entropy(self.model(x), y)
            loss.backward(), self.opt.step()
            self.sparsify()
        return loss.item()


torch.manual_seed(0)
trainer, x = SparseTrainer(TinyTree()), torch.randn(50, 6)
print(round(trainer.train(x, (x[:, 0] > 0).long()), 4))
print(
    [
        (n, int((p != 0).sum()), round(p.abs().sum().item(), 4), p.requires_grad)
        for n, p in trainer.model.named_parameters()
    ]
)
