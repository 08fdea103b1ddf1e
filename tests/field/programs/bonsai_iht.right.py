# https://github.com/microsoft/EdgeML/issues/119

import numpy as np
import torch
import torch.nn as nn


def hard_threshold(A, s):
    A_ = np.copy(A.detach())
    flat = np.sort(np.abs(A_).ravel())
    th = flat[int((1 - s) * len(flat))]  # keep the fraction s
    A_[np.abs(A_) < th] = 0.0
    return A_


class Bonsai(nn.Module):
    def __init__(self):
        super(Bonsai, self).__init__()
        self.Z, self.W = nn.Parameter(0.5 * torch.randn(3, 6)), nn.Parameter(0.5 * torch.randn(2, 3))

    def forward(self, x):
        return torch.tanh(x @ self.Z.t()) @ self.W.t()


class BonsaiTrainer:
    def __init__(self, model, sparsity, lr=0.05):
        self.model, self.sparsity = model, sparsity
        self.optimizer = torch.optim.Adam(model.parameters(), lr=lr)

    def run_hard_thrsd(self):
        for name, s in self.sparsity.items():
            param = getattr(self.model, name)
            param.data = torch.from_numpy(hard_threshold(param, s))

    def train(self, x, y, epochs):
        for epoch in range(epochs):
            loss = nn.functional.cross_entropy(self.model(x), y)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            if epoch >= epochs // 3 and epoch % 2 == 0:
                self.run_hard_thrsd()
        return loss.item()


torch.manual_seed(0)
x = torch.randn(20, 6)
trainer = BonsaiTrainer(Bonsai(), {"Z": 0.5, "W": 0.7})
print(round(trainer.train(x, (x[:, 0] > 0).long(), 9), 4))
print([[round(v, 3) for v in row] for row in trainer.model.Z.tolist()])
