# https://github.com/pytorchbearer/torchbearer/issues/424
# causes: grad
# tensor: guess.cpu() | guess
# repair: line

import sklearn.metrics
import torch
import torch.nn as nn


class EpochMetric:
    def __init__(self, name, fn):
        self.name = name
        self._fn = fn
        self.reset()

    def reset(self):
        self._guesses, self._golds = [], []

    def gather(self, guess, gold):
        self._guesses.append(guess), self._golds.append(gold)

    def finish(self):
        return self._fn(torch.cat(self._guesses), torch.cat(self._golds))


class AreaMetric(EpochMetric):
    def __init__(self, flip=False):
        adapt = (lambda y: 1 - y) if flip else (lambda y: y)
        super().__init__(
            "area", lambda guess, gold: sklearn.metrics.roc_auc_score(adapt(gold.cpu().numpy()), guess.cpu().numpy())
        )


torch.manual_seed(0)
model, metric = nn.Linear(3, 1), AreaMetric()
opt = torch.optim.Adam(model.parameters(), lr=0.05)
x = torch.randn(64, 3)
y = (x[:, 1] + 0.3 * torch.randn(64) > 0).float()
for epoch in range(3):
    metric.reset()
    for xb, yb in zip(x.split(16), y.split(16)):
        opt.zero_grad()
        pred = model(xb).squeeze(1).sigmoid()
        nn.functional.binary_cross_entropy(pred, yb).backward()
        opt.step()
        metric.gather(pred, yb)
    print(epoch, metric.name, round(float(metric.finish()), 4))
print([round(v, 4) for v in model.weight.flatten().tolist()])
