# https://github.com/lukemelas/EfficientNet-PyTorch/issues/6

import json

import torch
from torch import nn

torch.manual_seed(3)
labels_map = json.loads('["cat", "dog", "cow", "hen", "owl", "bee", "ant", "fox"]')
model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 8))
img = torch.rand(1, 3, 16, 16)

model.eval()
with torch.no_grad():
    logits = model(img)
preds = torch.topk(logits, k=5).indices.squeeze(0).tolist()

print("-----")
for idx in preds:
    label = labels_map[idx]
    prob = torch.softmax(logits, dim=1)[0, idx].item()
    print("{:<8} ({:.2f}%)".format(label, prob * 100))
