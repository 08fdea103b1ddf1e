# https://github.com/meta-pytorch/tnt/pull/551

from collections import OrderedDict

import numpy as np
import torch
import torch.nn as nn


def scalar_to_float(scalar):
    if isinstance(scalar, torch.Tensor):
        return float(scalar.squeeze().detach().numpy())
    elif isinstance(scalar, np.ndarray):
        return float(scalar.squeeze())
    return float(scalar)


class InMemoryLogger:
    def __init__(self, decay=0.8):
        self.decay, self.buffer, self.smooth = decay, OrderedDict(), {}

    def log(self, name, data, step):
        value = scalar_to_float(data)
        self.buffer.setdefault(step, {})[name] = value
        # exponential moving average, without the bias of the first steps
        old, weight = self.smooth.get(name, (0.0, 0.0))
        d = self.decay
        self.smooth[name] = (d * old + (1 - d) * value, d * weight + (1 - d))

    def average(self, name):
        total, weight = self.smooth[name]
        return total / weight


torch.manual_seed(0)
logger = InMemoryLogger()
model = nn.Linear(3, 1)
optim = torch.optim.SGD(model.parameters(), lr=0.1)
sched = torch.optim.lr_scheduler.ExponentialLR(optim, gamma=0.9)
x, y = torch.randn(12, 3), torch.randn(12, 1)
for step in range(6):
    loss = nn.functional.mse_loss(model(x), y)
    optim.zero_grad()
    loss.backward()
    optim.step()
    logger.log("lr", sched.get_last_lr()[0], step)
    logger.log("loss", loss, step)
    sched.step()
print(round(logger.average("loss"), 4), round(logger.average("lr"), 4))
print([round(row["loss"], 4) for row in logger.buffer.values()], [round(w, 4) for w in model.weight[0].tolist()])
