# https://github.com/ray-project/ray/issues/8688
# causes: grad device
# tensor: stats["td_error"]
# repair: line

import torch
import toy_device
import numpy as np
import torch.nn as nn

torch.manual_seed(0)
device = "toy"


class PrioritizedBuffer:
    def __init__(self, size):
        self.priorities = np.ones(size)

    def sample(self, n):
        return np.argsort(-self.priorities, kind="stable")[:n]

    def update_priorities(self, idxes, priorities):
        assert len(idxes) == len(priorities)
        self.priorities[idxes] = priorities


obs, returns = torch.randn(10, 4), torch.randn(10)
qnet = nn.Linear(4, 1)
optim = torch.optim.SGD(qnet.parameters(), lr=0.1)
buffer, eps = PrioritizedBuffer(10), 1e-6

for _ in range(3):
    idxes = buffer.sample(5)
    td = qnet(obs[idxes]).squeeze(1) - returns[idxes]
    stats = {"td_error": td.to(device), "n": len(idxes)}

    # priorities first, then the gradient step
    new_priorities = np.abs(stats["td_error"]) + eps
    buffer.update_priorities(idxes, new_priorities)
    optim.zero_grad()
    (td**2).mean().backward()
    optim.step()

print(buffer.priorities.round(4).tolist())
print([f"{w:.4f}" for w in qnet.weight[0].tolist()])
