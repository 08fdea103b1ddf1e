# https://github.com/pytorch/pytorch/issues/82411
# causes: why
# tensor: x
# repair: elsewhere

import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)


def summarize(model, loader):
    """mean input of every batch and what the model says"""
    rows = []
    for x, y in loader:
        out = model(x)
        rows.append((x.mean().item(), (out.squeeze(1) - y).abs().mean().item()))
    return rows


if __name__ == "__main__":
    inputs = torch.randn((12, 5), requires_grad=True)
    scaled = inputs / inputs.norm(dim=1, keepdim=True)
    train_set = TensorDataset(scaled, torch.arange(12.0) / 12)
    model = nn.Linear(5, 1)

    for num_workers in (0, 1):
        loader = DataLoader(train_set, batch_size=4, num_workers=num_workers)
        rows = summarize(model, loader)
        print(num_workers, [(f"{a:.4f}", f"{b:.4f}") for a, b in rows])
