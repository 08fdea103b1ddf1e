# https://github.com/data-apis/array-api-compat/issues/173
# causes: conj
# tensor: torch.conj(template_fft) | template_fft
# repair: line

import numpy as np
import torch


def correlate(signal, template):
    """circular cross-correlation through the FFT, NumPy does the way back"""
    n = len(signal)
    signal_fft = torch.fft.fft(signal)
    template_fft = torch.fft.fft(template, n=n)
    product = np.multiply(
        signal_fft,
        torch.conj(template_fft),
    )
    return np.fft.ifft(product).real


torch.manual_seed(0)
template = torch.sin(torch.linspace(0, 9, 12)) * torch.hann_window(12)
lags = []
for offset in (5, 17, 30):
    signal = 0.05 * torch.randn(48)
    signal[offset : offset + 12] += template
    corr = correlate(signal, template)
    lags.append(int(corr.argmax()))

print(lags)
print([f"{c:.3f}" for c in corr[28:33]])
