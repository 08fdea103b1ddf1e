# https://github.com/Lightning-AI/pytorch-lightning/issues/1429

import torch
import toy_device
import numpy as np
import torch.nn as nn
import torch.nn.functional as F
from sklearn.metrics import accuracy_score
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
device = "toy"


class LitClassifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))

    def validation_step(self, batch):
        x, y = batch
        logits = self.net(x)
        loss = F.cross_entropy(logits, y)
        # predictions stay next to the labels on the gpu
        return loss, logits.argmax(dim=1).to(device), y.to(device)


val_loader = DataLoader(TensorDataset(torch.randn(22, 4), torch.arange(22) % 3), batch_size=8)
model = LitClassifier().eval()

val_loss = 0.0
all_preds, all_labels = [], []
with torch.no_grad():
    for batch in val_loader:
        loss, preds, labels = model.validation_step(batch)
        val_loss += loss.item() * len(preds)
        all_preds.extend(preds)
        all_labels.extend(labels)

acc = accuracy_score(
    np.array([label.cpu() for label in all_labels]),
    np.array([pred.cpu() for pred in all_preds]),
)
print(f"val_loss {val_loss / len(all_preds):.4f}  acc {acc:.4f}  n {len(all_labels)}")
