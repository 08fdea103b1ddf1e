# https://github.com/gd2016229035/faster-rcnn-rgbd/issues/6
# causes: grad device
# tensor: value
# repair: elsewhere

from collections import namedtuple

import torch
import toy_device
import numpy as np
import torch.nn as nn

LossTuple = namedtuple("LossTuple", ["rpn_loc_loss", "roi_cls_loss", "total_loss", "lr"])


class AverageValueMeter:
    def __init__(self):
        self.values = np.zeros(0)

    def add(self, value):
        self.values = np.append(self.values, value)


class FasterRCNNTrainer(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(5, 2)
        self.optimizer = torch.optim.SGD(self.parameters(), lr=0.1)
        self.meters = {k: AverageValueMeter() for k in LossTuple._fields}

    def train_step(self, x, y):
        self.optimizer.zero_grad()
        out = self.head(x)
        loc, cls = (out[:, 0] - y).abs().mean(), (out[:, 1] ** 2).mean()
        self.update_meters(LossTuple(loc.to("toy"), cls.to("toy"), (loc + cls).to("toy"), 0.1))
        (loc + cls).backward()
        self.optimizer.step()

    def update_meters(self, losses):
        loss_d = {k: v for k, v in losses._asdict().items()}
        for key, meter in self.meters.items():
            meter.add(loss_d[key])


torch.manual_seed(0)
trainer = FasterRCNNTrainer()
for step in range(4):
    trainer.train_step(torch.randn(6, 5), torch.ones(6))
print({k: m.values.round(4).tolist() for k, m in trainer.meters.items()})
print([round(b, 4) for b in trainer.head.bias.tolist()])
