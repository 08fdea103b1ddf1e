# https://github.com/pranaymanocha/PerceptualAudio/issues/14
# causes: grad
# tensor: wav
# repair: line

import numpy as np
import torch
from torch import nn


class PerceptualLoss(nn.Module):
    """distance of two sounds in the features of a frozen network"""

    def __init__(self, n_feat=6):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv1d(1, n_feat, 9, stride=2), nn.LeakyReLU(), nn.Conv1d(n_feat, n_feat, 5, stride=2)
        )
        self.features.requires_grad_(False)

    def _load(self, wav):
        # the metric was trained on sounds between -1 and 1, [batch, channel, time]
        return torch.from_numpy(np.clip(wav, -1.0, 1.0)).reshape(-1, 1, wav.shape[-1])

    def forward(self, prediction, reference):
        a = self.features(self._load(prediction))
        b = self.features(self._load(reference))
        return (a - b).abs().mean()


torch.manual_seed(0)
clean = torch.sin(torch.linspace(0, 40, 64)).repeat(4, 1)
noisy = clean + 0.3 * torch.randn(4, 64)

denoiser = nn.Linear(64, 64)
loss_fn = PerceptualLoss()
optimizer = torch.optim.Adam(denoiser.parameters(), lr=0.01)
history = []
for step in range(6):
    optimizer.zero_grad()
    loss = loss_fn(denoiser(noisy), clean)
    loss.backward()
    optimizer.step()
    history.append(round(loss.item(), 4))
print(history)
print("weights:", round(denoiser.weight.abs().sum().item(), 3))
