# https://github.com/TaoShuchang/G-NIA/issues/2
# causes: grad device
# tensor: history["train"][0] | history["val"][0]
# repair: line

from collections import defaultdict

import torch
import toy_device
import numpy as np
import torch.nn.functional as F

device = "toy"
torch.manual_seed(0)

features = torch.randn(12, 6)
labels = (features[:, 0] > 0).long()
surrogate = torch.nn.Linear(6, 2)
for p in surrogate.parameters():
    p.requires_grad_(False)
injected = torch.zeros(6, requires_grad=True)
optimizer = torch.optim.Adam([injected], lr=0.1)


def attack_loss(batch):
    logits = surrogate(features[batch] + injected)
    return -F.cross_entropy(logits, labels[batch])


for epoch in range(3):
    history = defaultdict(list)
    for batch in torch.arange(8).split(4):
        loss = attack_loss(batch)
        history["train"].append(loss.to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    history["val"].append(attack_loss(torch.arange(8, 12)).to(device))
    train_loss, val_loss = (np.array(history[k]).sum() for k in ("train", "val"))
    print(f"{epoch} {float(train_loss):.4f} {float(val_loss):.4f}")

print([round(v, 4) for v in injected.tolist()])
