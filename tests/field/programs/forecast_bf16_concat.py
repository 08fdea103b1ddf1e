# https://github.com/Nixtla/neuralforecast/issues/1259
# causes: dtype grad
# tensor: fcsts[0]
# repair: line

import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset


class Mixer(nn.Module):
    """multivariate forecaster, `h` steps ahead"""

    def __init__(self, input_size, h, n_series, precision="32"):
        super().__init__()
        self.h, self.precision = h, precision
        self.time = nn.Linear(input_size, h)
        self.series = nn.Linear(n_series, n_series)

    def forward(self, windows):  # [B, L, N]
        return self.series(self.time(windows.transpose(1, 2)).transpose(1, 2))

    def predict(self, dataset, batch_size=4):
        fcsts = []
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.precision == "bf16-mixed"):
            for (windows,) in DataLoader(dataset, batch_size=batch_size):
                fcsts.append(self(windows))
        fcsts = np.concatenate(fcsts, axis=0)
        return fcsts


torch.manual_seed(0)
dataset = TensorDataset(torch.randn(10, 12, 3))
model = Mixer(12, h=4, n_series=3, precision="bf16-mixed").eval()
y_hat = model.predict(dataset)
print(y_hat.shape, f"{float(y_hat.mean()):.3f}", [f"{v:.2f}" for v in y_hat[0, 0]])
