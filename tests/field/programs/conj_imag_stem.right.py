# https://github.com/pytorch/pytorch/pull/61925

import torch
import matplotlib.pyplot as plt

torch.manual_seed(0)
fs = 64
t = torch.arange(fs) / fs
channels = {
    "left": torch.sin(2 * torch.pi * 5 * t),
    "right": torch.cos(2 * torch.pi * 9 * t + 0.4),
}

fig, axes = plt.subplots(len(channels), 2, sharex=True)
for row, (name, sig) in zip(axes, channels.items()):
    spec = torch.fft.rfft(sig) / fs
    row[0].plot(spec.abs(), label=name)
    row[1].plot(spec.conj().imag.resolve_neg(), ".-", label=f"{name} (conj)")
    row[1].legend()

for row in axes:
    for ax in row:
        line = ax.get_lines()[0]
        y = line.get_ydata()
        print(line.get_label(), len(y), int(abs(y).argmax()), round(float(y[abs(y).argmax()]), 4))
