# https://github.com/samet-akcay/ganomaly/issues/26
# causes: device
# tensor: is_odd | oddness
# repair: line

import torch
import toy_device
import torch.nn as nn
from sklearn.metrics import roc_curve, auc, average_precision_score


def summarize(is_odd, oddness, metric="roc"):
    if metric == "roc":
        return roc_area(is_odd, oddness)
    elif metric == "auprc":
        return average_precision_score(is_odd, oddness)
    raise NotImplementedError(metric)


def roc_area(is_odd, oddness):
    fpr, tpr, _ = roc_curve(is_odd, oddness)
    return auc(fpr, tpr), len(fpr)


class AnomalyNet:
    def __init__(self, data, device):
        torch.manual_seed(0)
        self.autoenc = nn.Sequential(nn.Linear(8, 3), nn.ReLU(), nn.Linear(3, 8))
        self.data, self.device = data, device

    def test(self):
        with torch.no_grad():
            residuals, truth = [], []
            for x, gt in self.data:
                err = torch.mean((self.autoenc(x) - x) ** 2, dim=1)
                residuals.append(err), truth.append(gt)
            oddness = torch.cat(residuals)
            oddness = (oddness - oddness.min()) / (oddness.max() - oddness.min())
            self.residuals = oddness.to(self.device)
            self.truth = torch.cat(truth).to(self.device)
        return summarize(self.truth, self.residuals, metric="roc")


torch.manual_seed(3)
gts = [torch.randint(0, 2, (16,)) for _ in range(3)]
model = AnomalyNet([(torch.randn(16, 8) * (1 + 0.4 * gt[:, None]), gt) for gt in gts], "toy")
area, n = model.test()
print(round(float(area), 4), n)
