# https://github.com/flyingwolfz/RT-4K-CGH/issues/1

import numpy as np
import torch
from torch import nn

torch.manual_seed(0)
rng = np.random.default_rng(0)


class PhaseNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.Tanh(), nn.Conv2d(4, 1, 3, padding=1))

    def forward(self, amp):
        return np.pi * self.net(amp)


def load_gray(k):
    return rng.random((1, 1, 16, 16)).astype(np.float32)


def propagate(field):
    return torch.fft.ifft2(torch.fft.fft2(field) * torch.exp(1j * torch.linspace(0, 3, 16)))


model = PhaseNet()
optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
for k in range(4):
    gray = load_gray(k)
    phase = model(torch.from_numpy(gray))
    target_amp = torch.from_numpy(np.sqrt(gray))

    real, imag = torch.cos(phase), torch.sin(phase)
    target_amp_complex = torch.complex(target_amp * real, target_amp * imag)
    recon = propagate(target_amp_complex).abs()
    loss = ((recon - target_amp) ** 2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

print(round(loss.item(), 5))
print([round(p.detach().abs().sum().item(), 4) for p in model.parameters()])
