# https://github.com/sktime/pytorch-forecasting/issues/689

from typing import List

import torch
import torch.nn as nn


class QuantileLossBase(nn.Module):
    def __init__(self, quantiles: List[float]):
        super().__init__()
        self.quantiles = quantiles

    def forward(self, y_pred, target):
        return self.loss(y_pred, target).mean()


class MyLoss(QuantileLossBase):
    def loss(self, y_pred: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        losses = []
        for i, q in enumerate(self.quantiles):
            errors = target - y_pred[..., i]
            losses.append(torch.maximum((q - 1) * errors, q * errors))
        return 2 * torch.stack(losses, dim=-1)


torch.manual_seed(0)
t = torch.linspace(0, 3, 30)
x, y = torch.stack([t, torch.sin(t)], dim=1), t + torch.sin(t) + 0.3 * torch.randn(30)
net = nn.Linear(2, 3)
criterion = MyLoss([0.1, 0.5, 0.9])
optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
for epoch in range(10):
    optimizer.zero_grad()
    loss = criterion(net(x), y)
    loss.backward()
    optimizer.step()
print("loss", round(loss.item(), 4))
print("bias of the quantiles", [round(b, 4) for b in net.bias.tolist()])
