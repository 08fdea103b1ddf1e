# https://github.com/source-separation/tutorial/issues/28
# causes: grad
# tensor: losses[j]
# repair: line

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn as nn

LEARNING_RATES = [1e-1, 1e-2, 1e-3]
N_ITER = 8

losses, grad_norms, finals = [], [], []
for lr in LEARNING_RATES:
    torch.manual_seed(0)
    mix, mask = torch.rand(10, 5), torch.rand(10, 5).round()
    model = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 5), nn.Sigmoid())
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    loss_history, norm_history = [], []
    for i in range(N_ITER):
        optimizer.zero_grad()
        loss = nn.functional.l1_loss(model(mix) * mix, mask * mix)
        loss.backward()
        norm_history.append(nn.utils.clip_grad_norm_(model.parameters(), 1.0))
        loss_history.append(loss)
        optimizer.step()
    losses.append(loss_history)
    grad_norms.append(norm_history)
    finals.append(model[0].bias.sum().item())

fig, ax = plt.subplots(1, 2, figsize=(15, 5))
for j, lr in enumerate(LEARNING_RATES):
    ax[0].plot(grad_norms[j], label=f"Learning rate: {lr}")
    ax[0].set_title("Gradient norm for each learning rate")
for j, lr in enumerate(LEARNING_RATES):
    ax[1].plot(np.log10(losses[j]), label=f"Learning rate: {lr}")
    ax[1].set_ylabel("log(loss)")
    ax[1].legend()
plt.tight_layout()

for line in ax[1].get_lines():
    print(line.get_label(), np.round(line.get_ydata(), 4).tolist())
print([round(float(line.get_ydata()[-1]), 4) for line in ax[0].get_lines()])
print([round(f, 4) for f in finals])
