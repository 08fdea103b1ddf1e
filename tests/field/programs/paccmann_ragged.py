# https://github.com/PaccMann/paccmann_predictor/issues/27
# causes: why
# tensor: [p.cpu() for preds in predictions for p in preds]
# repair: line

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader

torch.manual_seed(0)


class Predictor(nn.Module):
    """One prediction for every cell line on which the drug was tried."""

    def __init__(self):
        super().__init__()
        self.drug = nn.Embedding(20, 5)
        self.cell = nn.Embedding(9, 5)

    def forward(self, drugs, cells):
        return [self.cell(c) @ self.drug(d) for d, c in zip(drugs, cells)]


def collate(rows):
    drugs, cells, labels = zip(*rows)
    return torch.stack(drugs), cells, torch.cat(labels)


rows = []
for d in range(7):
    n = 2 + d % 3
    rows.append((torch.tensor(d), torch.randint(0, 9, (n,)), torch.rand(n)))
test_loader = DataLoader(rows, batch_size=3, collate_fn=collate)

model = Predictor().eval()
predictions, labels = [], []
with torch.no_grad():
    for drugs, cells, y in test_loader:
        predictions.append(model(drugs, cells))
        labels.append(y.numpy())

predictions = np.array([p.cpu() for preds in predictions for p in preds])
labels = np.concatenate(labels)
test_rmse = np.sqrt(np.mean((predictions - labels) ** 2))
test_pearson = np.corrcoef(predictions, labels)[0, 1]
print(predictions.shape, predictions.dtype)
print(f"rmse {test_rmse:.4f} pearson {test_pearson:.4f}")
