# https://github.com/flyingwolfz/RT-4K-CGH/issues/1
# causes: why
# tensor: amplitude
# repair: line

import cv2
import numpy as np
import torch
import torch.nn as nn


def read_target(i):
    img = np.random.RandomState(i).randint(0, 255, (32, 32), dtype=np.uint8)
    gray = cv2.resize(img, (16, 16)) / 255.0
    return np.sqrt(gray).astype(np.float32)


class PhaseNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 3, padding=1)

    def forward(self, amp):
        return torch.pi * torch.tanh(self.conv(amp))


torch.manual_seed(0)
net = PhaseNet()
optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
for k in range(4):
    amplitude = read_target(k)
    phase = net(torch.from_numpy(amplitude)[None, None])[0, 0]
    cos_part = torch.cos(phase)
    sin_part = torch.sin(phase)
    field = torch.complex(amplitude * cos_part, amplitude * sin_part)
    slm = torch.fft.fft2(field, norm="ortho")
    replay = torch.fft.ifft2(slm / slm.abs().clamp_min(1e-6), norm="ortho").abs()
    loss = ((replay - torch.from_numpy(amplitude)) ** 2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(k, round(loss.item(), 5))
print([round(v, 4) for v in net.conv.weight.flatten().tolist()])
