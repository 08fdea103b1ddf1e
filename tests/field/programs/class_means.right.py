# https://github.com/Continvvm/continuum/issues/278

import torch
import torch.nn as nn


def distance_to_barycenter(features, y, nb_classes):
    """Mean distance of each class to its own barycenter (keeps the exemplars of a class together)."""
    spread = []
    for class_id in range(nb_classes):
        D = features[y == class_id].T
        D = D / (torch.norm(D, dim=0) + 1e-8)
        mu = torch.mean(D, dim=1)
        spread.append(torch.norm(D - mu[:, None], dim=0).mean())
    return torch.stack(spread).mean()


torch.manual_seed(0)
images = torch.randn(18, 10)
labels = torch.arange(18) % 3
backbone = nn.Sequential(nn.Linear(10, 6), nn.ReLU())
head = nn.Linear(6, 3)
opt = torch.optim.SGD(
    [
        {"params": backbone.parameters()},
        {"params": head.parameters(), "lr": 0.2},
    ],
    lr=0.1,
)

for epoch in range(4):
    z = backbone(images)
    loss = nn.functional.cross_entropy(head(z), labels)
    loss = loss + 0.5 * distance_to_barycenter(z, labels, 3)
    opt.zero_grad()
    loss.backward()
    opt.step()

print(round(loss.item(), 4))
print([round(v, 4) for v in backbone[0].weight.grad.sum(1).tolist()])
