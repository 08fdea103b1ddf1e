# https://github.com/data-apis/array-api-compat/issues/173

import numpy as np
import torch
from scipy import signal


def chirp(n, rate):
    t = torch.linspace(-1, 1, n)
    return torch.polar(torch.hann_window(n, periodic=False), rate * t**2)


def delay(x, k, n):
    out = torch.zeros(n, dtype=x.dtype)
    out[k : k + len(x)] = x
    return out


torch.manual_seed(0)
reference = chirp(32, rate=25.0)
lags = {}
for true_lag in (10, 47, 80):
    rx = delay(reference, true_lag, 128)
    rx = rx + 0.2 * torch.complex(torch.randn(128), torch.randn(128))
    # matched filter
    corr = np.convolve(rx, reference.flip(0).conj().resolve_conj(), mode="valid")
    peaks, props = signal.find_peaks(np.abs(corr), height=3)
    lags[true_lag] = int(np.argmax(np.abs(corr))), round(float(np.abs(corr).max()), 2)

print(lags)
