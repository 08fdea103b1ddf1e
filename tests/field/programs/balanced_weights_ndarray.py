# https://github.com/pytorch/pytorch/issues/59237
# causes: grad
# tensor: per_sample
# repair: line

import numpy as np
import torch
from torch import nn
from sklearn.utils.class_weight import compute_sample_weight

rng = np.random.RandomState(0)
X = rng.randn(80, 4).astype(np.float32)
y = (X[:, 0] + X[:, 1] > 1.0).astype(np.int64)  # imbalanced
sample_weight = compute_sample_weight("balanced", y).astype(np.float32)

torch.manual_seed(0)
clf = nn.Linear(4, 2)
opt = torch.optim.SGD(clf.parameters(), lr=0.3)
criterion = nn.CrossEntropyLoss(reduction="none")

for epoch in range(5):
    for idx in np.array_split(np.arange(80), 4):
        logits = clf(torch.from_numpy(X[idx]))
        per_sample = criterion(logits, torch.from_numpy(y[idx]))
        # rare class counts more
        loss = (per_sample * sample_weight[idx]).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()

print(round(loss.item(), 4))
print([round(v, 4) for v in clf.weight.flatten().tolist()])
