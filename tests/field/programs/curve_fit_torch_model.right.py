# https://github.com/pytorch/pytorch/issues/51407

import numpy as np
import torch
from scipy.optimize import curve_fit


class Pulse(torch.nn.Module):
    """detector pulse; the decay constant is calibrated elsewhere by gradient descent"""

    def __init__(self, tau):
        super().__init__()
        self.log_tau = torch.nn.Parameter(torch.tensor(np.log(tau)))

    def forward(self, x, amp, t0):
        x = torch.as_tensor(x)
        rise = torch.sigmoid((x - t0) / 0.1)
        return amp * rise * torch.exp(-(x - t0).clamp(min=0) / self.log_tau.exp())


pulse = Pulse(tau=1.5)
rng = np.random.RandomState(2)
x = np.linspace(0, 6, 80)

with torch.no_grad():
    truth = pulse(x, 3.0, 1.2).numpy()

fitted = []
for noise in [0.01, 0.1]:
    y = truth + noise * rng.randn(x.size)
    popt, pcov = curve_fit(lambda *args: pulse(*args).detach().numpy(), x, y, p0=[2.0, 1.0])
    fitted.append(popt)

for popt in fitted:
    print([f"{p:.2f}" for p in popt])
loss = (pulse(x, *fitted[-1]) - torch.as_tensor(truth)).pow(2).sum()
loss.backward()
print(f"{pulse.log_tau.grad.item():.3f}")
