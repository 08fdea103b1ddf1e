# https://github.com/flyingwolfz/RT-4K-CGH/issues/1

import numpy as np
import torch
import torch.nn as nn
import torch.optim as optim


class PhasePredictor(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 1, 3, padding=1))

    def forward(self, amp):
        return torch.pi * torch.tanh(self.layers(amp))


def load_gray(i, size=8):
    rng = np.random.default_rng(i)
    gray = rng.integers(0, 256, (1, 1, size, size)) / 255.0
    return gray.astype(np.float32)


torch.manual_seed(0)
net = PhasePredictor()
opt = optim.Adam(net.parameters(), lr=5e-3)
scale = nn.Parameter(torch.tensor(1.0))
opt.add_param_group({"params": [scale]})

for k in range(5):
    target_amp = np.sqrt(load_gray(k))
    phase = net(torch.from_numpy(target_amp))
    target_field = torch.from_numpy(target_amp) * torch.exp(1j * phase)
    # propagate, keep only the phase in the hologram plane, and come back
    holo = torch.fft.fft2(target_field, norm="ortho")
    recon = torch.fft.ifft2(torch.exp(1j * holo.angle()), norm="ortho").abs()
    loss = nn.functional.mse_loss(scale * recon, torch.from_numpy(target_amp))
    opt.zero_grad()
    loss.backward()
    opt.step()
print("loss %.4f scale %.4f" % (loss.item(), scale.item()))
print("conv grad %.5f" % net.layers[0].weight.grad.abs().sum().item())
