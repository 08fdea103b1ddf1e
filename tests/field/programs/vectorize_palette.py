# https://github.com/pytorch/pytorch/issues/33671
# causes: grad
# tensor: to_weight(label_map.flat[0]) | class_weight[train_id]
# repair: elsewhere

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)

# ids of the annotation tool -> ids for training
ID_TO_TRAIN = {7: 0, 8: 1, 11: 2, 0: 255}
# learned in the first stage, fixed from here on
stage_one = nn.Linear(1, 3, bias=False)
class_weight = stage_one.weight.squeeze(1).exp()


def to_weight(raw_id):
    train_id = ID_TO_TRAIN[int(raw_id)]
    return class_weight[train_id] if train_id != 255 else torch.tensor(0.0)


label_map = np.array([[7, 7, 8, 11], [7, 8, 8, 11], [11, 0, 0, 7]])

lookup = np.vectorize(lambda i: ID_TO_TRAIN[int(i)])
train_ids = torch.from_numpy(lookup(label_map))
weight_map = np.vectorize(to_weight)(label_map)

logits = torch.randn(1, 3, *label_map.shape, requires_grad=True)
per_pixel = F.cross_entropy(logits, train_ids[None], ignore_index=255, reduction="none")
loss = (per_pixel * torch.as_tensor(weight_map, dtype=torch.float32)).sum()
loss.backward()
print([[round(float(w), 4) for w in row] for row in weight_map])
print(f"{loss.item():.4f} {logits.grad.abs().sum().item():.4f}")
