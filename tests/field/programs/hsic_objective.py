# https://github.com/amber0309/HSIC/issues/6
# causes: grad
# tensor: -H / (2 * width ** 2) | H
# repair: none

import numpy as np
import torch
import torch.nn as nn


def rbf_kernel(a, width):
    H = ((a[:, None, :] - a[None, :, :]) ** 2).sum(-1)
    return np.exp(-H / (2 * width**2))


def hsic_gam(X, Y, width=1.0):
    """Dependence of X on Y; 0 for independent samples."""
    n = X.shape[0]
    C = np.identity(n) - np.ones((n, n)) / n
    K, L = rbf_kernel(X, width), rbf_kernel(Y, width)
    Kc = np.dot(np.dot(C, K), C)
    return np.trace(np.dot(Kc, L)) / (n - 1) ** 2


torch.manual_seed(0)
inputs = torch.randn(24, 5)
sensitive = inputs[:, :1].sign()
labels = (inputs[:, 1] + 0.5 * inputs[:, 0] > 0).float()

encoder = nn.Sequential(nn.Linear(5, 4), nn.Tanh())
clf = nn.Linear(4, 1)
params = list(encoder.parameters()) + list(clf.parameters())
optim = torch.optim.Adam(params, lr=0.02)
for step in range(6):
    code = encoder(inputs)
    task = nn.functional.binary_cross_entropy_with_logits(clf(code).squeeze(1), labels)
    # the code should say nothing about the sensitive column
    dependence = hsic_gam(code, sensitive)
    loss = task + 20.0 * dependence
    optim.zero_grad()
    loss.backward()
    optim.step()
print("task %.4f dependence %.5f" % (task.item(), dependence.item()))
print("weights on the sensitive column", [round(w, 4) for w in encoder[0].weight[:, 0].tolist()])
