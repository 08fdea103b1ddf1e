# https://github.com/rlcode/per/issues/3

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F


class Memory:
    e, a, beta = 0.01, 0.6, 0.4

    def __init__(self, transitions):
        self.data = transitions
        self.prio = np.ones(len(transitions))

    def sample(self, n, rng):
        p = self.prio / self.prio.sum()
        idxs = rng.choice(len(self.data), n, p=p)
        is_weight = np.power(len(self.data) * p[idxs], -self.beta)
        is_weight /= is_weight.max()
        return [self.data[i] for i in idxs], idxs, is_weight

    def update(self, idxs, errors):
        self.prio[idxs] = (np.abs(errors) + self.e) ** self.a


torch.manual_seed(0)
rng = np.random.default_rng(0)
memory = Memory([(torch.randn(4), i % 2, float(i % 3)) for i in range(20)])
model = nn.Linear(4, 2)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

for step in range(5):
    batch, idxs, is_weights = memory.sample(8, rng)
    states, actions, rewards = zip(*batch)
    pred = model(torch.stack(states)).gather(1, torch.tensor(actions)[:, None]).squeeze(1)
    target = torch.tensor(rewards)
    memory.update(idxs, (pred - target).detach().numpy())
    loss = (F.mse_loss(pred, target, reduction="none") * torch.from_numpy(is_weights)).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(round(loss.item(), 4), round(memory.prio.sum(), 4))
print([[round(v, 4) for v in row] for row in model.weight.tolist()])
