# https://github.com/pytorch/tutorials/pull/1537

import math

import numpy as np
import torch
import torch.nn.functional as F

rng = np.random.RandomState(1)
x_train = rng.rand(60, 10).astype(np.float32)
y_train = (x_train[:, :5].sum(1) > x_train[:, 5:].sum(1)).astype(np.int64)
x_train, y_train = map(torch.from_numpy, (x_train, y_train))

torch.manual_seed(0)
weights = torch.randn(10, 2) / math.sqrt(10)
weights.requires_grad_()
bias = torch.zeros(2, requires_grad=True)


def model(xb):
    return F.log_softmax(xb @ weights + bias, dim=-1)


bs, lr, epochs = 20, 0.5, 3
n = x_train.shape[0]
for epoch in range(epochs):
    for i in range((n - 1) // bs + 1):
        start_i = i * bs
        end_i = start_i + bs
        xb = x_train[start_i:end_i]
        yb = y_train[start_i:end_i]
        loss = F.nll_loss(model(xb), yb)

        loss.backward()
        with torch.no_grad():
            weights -= weights.grad * lr
            bias -= bias.grad * lr
            weights.grad.zero_()
            bias.grad.zero_()

print("loss", round(loss.item(), 4))
print("bias", [round(b, 4) for b in bias.tolist()], "w", round(weights[:, 0].sum().item(), 4))
