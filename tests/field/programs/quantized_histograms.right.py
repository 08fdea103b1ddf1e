# https://github.com/pytorch/pytorch/issues/39370

import torch
import torch.nn as nn
from torch.utils.tensorboard import summary


BINS = (-1, -0.5, 0, 0.5, 1)


def quantize_weights(model, scale=0.02):
    return {
        k: torch.quantize_per_tensor(v, scale, 0, torch.qint8) if k.endswith("weight") else v
        for k, v in model.state_dict().items()
    }


torch.manual_seed(0)
model = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))
protos = []
for k, v in quantize_weights(model).items():
    # the same call that SummaryWriter.add_histogram makes
    protos.append(summary.histogram(k, v.dequantize(), BINS))

for proto in protos:
    value = proto.value[0]
    print(value.tag, int(value.histo.num), f"{value.histo.sum:.3f} {value.histo.max:.3f}", list(value.histo.bucket))
