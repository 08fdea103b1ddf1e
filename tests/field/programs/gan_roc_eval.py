# https://github.com/samet-akcay/ganomaly/issues/26
# causes: device
# tensor: labels | scores
# repair: line

import torch
import toy_device
import torch.nn as nn
from sklearn.metrics import auc, roc_curve

device = "toy"


def roc(labels, scores):
    """area under the curve of the anomaly scores"""
    fpr, tpr, _ = roc_curve(labels, scores)
    return auc(fpr, tpr)


def evaluate(labels, scores, metric="roc"):
    if metric == "roc":
        return roc(labels, scores)
    raise NotImplementedError("unknown metric")


class AnomalyModel:
    def __init__(self, loader):
        torch.manual_seed(0)
        self.loader = loader
        self.netg = nn.Sequential(nn.Linear(6, 2), nn.Tanh(), nn.Linear(2, 6))

    def test(self):
        with torch.no_grad():
            errors, truth = [], []
            for x, y in self.loader:
                fake = self.netg(x)
                errors.append(torch.mean((x - fake) ** 2, dim=1))
                truth.append(y)
            self.an_scores = torch.cat(errors).to(device)
            self.gt_labels = torch.cat(truth).to(device)
            return {"AUC": evaluate(self.gt_labels, self.an_scores)}


gen = torch.Generator().manual_seed(1)
batches = [(torch.randn(8, 6, generator=gen), torch.randint(0, 2, (8,), generator=gen)) for _ in range(3)]
model = AnomalyModel(batches)
print({k: round(float(v), 4) for k, v in model.test().items()}, tuple(model.an_scores.shape))
