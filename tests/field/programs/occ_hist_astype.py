# https://github.com/Yzichen/FlashOCC/issues/91
# causes: why
# tensor: pred[k] | pred
# repair: line

import numpy as np
import torch


class Metric_mIoU:
    def __init__(self, num_classes=4):
        self.num_classes = num_classes
        self.hist = np.zeros((num_classes, num_classes))
        self.cnt = 0

    def hist_info(self, n_cl, pred, gt):
        assert pred.shape == gt.shape
        k = (gt >= 0) & (gt < n_cl)
        labeled = np.sum(k)
        correct = int((pred[k] == gt[k]).sum())
        return (
            np.bincount(n_cl * gt[k].astype(int) + pred[k].astype(int), minlength=n_cl**2).reshape(n_cl, n_cl),
            correct,
            labeled,
        )

    def add_batch(self, semantics_pred, semantics_gt, mask):
        self.cnt += 1
        hist, _, _ = self.hist_info(self.num_classes, semantics_pred[mask], semantics_gt[mask])
        self.hist += hist

    def count_miou(self):
        return np.diag(self.hist) / (self.hist.sum(1) + self.hist.sum(0) - np.diag(self.hist))


torch.manual_seed(0)
rng = np.random.default_rng(0)
head, metric = torch.nn.Linear(5, 4), Metric_mIoU()
for _ in range(3):
    occ_pred = head(torch.randn(6, 6, 2, 5)).argmax(-1)
    metric.add_batch(occ_pred, rng.integers(0, 5, (6, 6, 2)), rng.random((6, 6, 2)) > 0.3)
print(metric.cnt, metric.hist.sum(), metric.count_miou().round(4).tolist())
