# https://github.com/clcarwin/sphereface_pytorch/issues/12

import numpy as np
import torch
import toy_device
import torch.nn as nn
from sklearn.model_selection import KFold

device = "toy"


def hit_rate(threshold, diff):
    y_predict = (diff[:, 1] > threshold).astype(int)
    return np.mean(y_predict == diff[:, 2].astype(int))


def tune(thresholds, rows):
    accs = [hit_rate(t, rows) for t in thresholds]
    return thresholds[int(np.argmax(accs))]


torch.manual_seed(0)
net = nn.Sequential(nn.Linear(10, 8), nn.PReLU(), nn.Linear(8, 6))
net.eval()
rows = []
for i in range(40):
    same = i % 2
    img1 = torch.randn(10)
    img2 = img1 + 0.5 * torch.randn(10) if same else torch.randn(10)
    with torch.no_grad():
        f1, f2 = net(torch.stack([img1, img2]))
        cosine = f1.dot(f2) / (f1.norm() * f2.norm())
    cosine = cosine.to(device)
    rows.append([i, cosine, same])

accuracy, cuts = [], []
thresholds = np.arange(-1.0, 1.0, 0.05)
rows = np.array([[i, cos.cpu(), flag] for i, cos, flag in rows])
for train, test in KFold(n_splits=4).split(rows):
    cut = tune(thresholds, rows[train])
    accuracy.append(hit_rate(cut, rows[test]))
    cuts.append(cut)
print("acc {:.4f} cut {:.4f}".format(np.mean(accuracy), np.mean(cuts)))
print(round(float(rows[:, 1].mean()), 4))
