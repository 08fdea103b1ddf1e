# https://github.com/foolwood/DCFNet_pytorch/issues/23
# causes: device
# tensor: where[winner]
# repair: line

import numpy as np
import torch
import toy_device


class Settings(object):
    n_scales = 3
    crop_size = [5, 5]
    penalties = np.array([0.98, 1.0, 0.98], dtype=np.float32)


def correlate(crops):
    resp = torch.fft.irfft2(torch.fft.rfft2(crops) * torch.fft.rfft2(crops.roll(1, -1)).conj(), s=(5, 5))
    peak, where = torch.max(resp.view(settings.n_scales, -1), 1)
    return peak.to("toy"), where.to("toy")


settings = Settings()
torch.manual_seed(0)
center = np.array([20.0, 30.0])
for frame in range(3):
    crops = torch.rand(settings.n_scales, 5, 5)
    peak, where = correlate(crops)
    peak = peak.cpu().numpy() * settings.penalties
    winner = np.argmax(peak)
    row, col = np.unravel_index(where[winner], settings.crop_size)
    if row > settings.crop_size[0] / 2:
        row = row - settings.crop_size[0]
    center = center + np.array([col, row])
    print(frame, int(winner), int(row), int(col), center.tolist())
