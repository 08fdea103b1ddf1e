# https://github.com/ry-takashima/python_asr/issues/1

import torch
import toy_device
import torch.nn as nn
import matplotlib.pyplot as plt

device = torch.device("toy")
torch.manual_seed(0)

model = nn.Linear(6, 3)
optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
criterion = nn.CrossEntropyLoss()
folds = {}
for stage in ["train", "validation"]:
    frames = torch.randn(40, 6)
    folds[stage] = (frames, frames[:, :3].argmax(1))

costs = {"train": [], "validation": []}
wrong_rate = {"train": [], "validation": []}

for epoch in range(6):
    for stage in ["train", "validation"]:
        frames, label = folds[stage]
        with torch.set_grad_enabled(stage == "train"):
            outputs = model(frames)
            loss = criterion(outputs, label)
            if stage == "train":
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        best = torch.argmax(outputs, 1)
        error = (best != label).float().mean().to(device)
        costs[stage].append(loss.item())
        wrong_rate[stage].append(error)

err_fig = plt.figure()
for stage in ["train", "validation"]:
    plt.plot([e.cpu() for e in wrong_rate[stage]], label="wrong frames, " + stage)
plt.legend()
for line in plt.gca().get_lines():
    print(line.get_label(), [round(float(v), 3) for v in line.get_ydata()])
