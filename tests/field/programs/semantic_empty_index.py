# https://github.com/tinyvision/SOLIDER/issues/12
# causes: why
# tensor: torch.from_numpy(mask_idxs) | mask_idxs
# repair: elsewhere

import numpy as np
import torch
from torch import nn


class Head(nn.Module):
    def __init__(self, parts=3):
        super().__init__()
        self.embed = nn.Linear(6, 8)
        self.part = nn.Linear(8, parts)

    def forward(self, x):
        x = torch.tanh(self.embed(x))
        return x, self.part(x)


def train_one_epoch(student, loader, optimizer):
    for batch, visible in loader:
        mask_idxs = []
        for i, v in enumerate(visible):
            if v < 0.5:
                mask_idxs.append(i)
        mask_idxs = np.array(mask_idxs)

        feats, semantic = student(batch)
        semantic_weight = [w.softmax(-1) for w in semantic.chunk(2)]
        masked = torch.cat(semantic_weight)[torch.from_numpy(mask_idxs)]
        loss = feats.pow(2).mean() + (masked * masked.log()).sum() / max(1, len(mask_idxs))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        history.append((len(mask_idxs), round(loss.item(), 4)))


torch.manual_seed(0)
history = []
loader = [(torch.rand(6, 6), v) for v in (torch.linspace(0, 1, 6), torch.ones(6), torch.zeros(6))]
student = Head()
train_one_epoch(student, loader, torch.optim.SGD(student.parameters(), lr=0.3))
print(history)
print(round(student.part.weight.detach().abs().sum().item(), 4))
