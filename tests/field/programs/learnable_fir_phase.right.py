# https://github.com/unifyai/ivy/pull/10145

import matplotlib.pyplot as plt
import torch
import torch.nn as nn


class FIR(nn.Module):
    def __init__(self, n_taps):
        super().__init__()
        self.taps = nn.Parameter(torch.linspace(1.0, 0.1, n_taps))

    def response(self, n_fft=16):
        return torch.fft.rfft(self.taps, n=n_fft)


torch.manual_seed(0)
fir = FIR(5)
opt = torch.optim.Adam(fir.parameters(), lr=0.05)
wanted = torch.linspace(1, 0, 9)

fig, (ax_mag, ax_im) = plt.subplots(1, 2)
for it in range(20):
    response = fir.response()
    loss = (response.abs() - wanted).pow(2).mean()
    if it % 10 == 0:
        ax_mag.plot(response.abs().tolist(), label=f"it {it}")
        ax_im.plot(range(len(response)), response.conj().imag.detach().resolve_neg(), label=f"it {it}")
    opt.zero_grad()
    loss.backward()
    opt.step()
ax_im.legend()

for line in ax_im.get_lines():
    print(line.get_label(), [f"{float(v):.3f}" for v in line.get_ydata()])
print([round(t, 4) for t in fir.taps.tolist()])
