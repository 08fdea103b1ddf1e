# https://github.com/MouseLand/suite2p/issues/1271
# causes: device
# tensor: stack
# repair: line

import numpy as np
import torch
import toy_device
from scipy.ndimage import gaussian_filter1d

device = torch.device("toy")


def smooth_frames(stack, sigma):
    """smooth over the frames"""
    return gaussian_filter1d(stack, sigma=sigma, axis=0)


def frame_shifts(stack, ref_fft, reach, sigma_t):
    """rigid shifts of every frame"""
    n, h, w = stack.shape
    corr_map = torch.fft.ifft2(torch.fft.fft2(stack) * ref_fft).real
    corr_map = torch.roll(corr_map, (reach, reach), dims=(1, 2))[:, : 2 * reach + 1, : 2 * reach + 1]
    corr_map = corr_map.contiguous().to(device)
    if sigma_t > 0:
        corr_map = smooth_frames(corr_map, sigma_t)
    dy_best, dx_best = np.zeros(n, np.int32), np.zeros(n, np.int32)
    for t in range(n):
        dy_best[t], dx_best[t] = np.unravel_index(int(torch.argmax(corr_map[t])), (2 * reach + 1,) * 2)
    return dy_best - reach, dx_best - reach, corr_map


torch.manual_seed(0)
ref = torch.rand(24, 24)
frames = torch.stack([ref.roll((s, -s), (0, 1)) for s in (0, 0, 1, 1, 2, 2)])
dy, dx, corr_map = frame_shifts(frames, torch.fft.fft2(ref).conj(), 3, sigma_t=0.6)
print(dy.tolist(), dx.tolist())
print(tuple(corr_map.shape), round(float(corr_map.mean()), 4))
