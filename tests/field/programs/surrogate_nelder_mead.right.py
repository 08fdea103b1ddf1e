# https://github.com/CyberAgentAILab/cmaes/pull/224

import numpy as np
import torch
import torch.nn as nn
from scipy import optimize

torch.manual_seed(0)
xs = torch.rand(64, 2) * 4 - 2
ys = (xs[:, :1] - 1) ** 2 + 0.5 * (xs[:, 1:] + 0.5) ** 2

surrogate = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 1)).double()
adam = torch.optim.Adam(surrogate.parameters(), lr=0.05)
for _ in range(150):
    adam.zero_grad()
    nn.functional.mse_loss(surrogate(xs.double()), ys.double()).backward()
    adam.step()

objective = lambda x: surrogate(torch.from_numpy(np.clip(x, -2, 2))).item()

results = []
for start in ([0.0, 0.0], [-1.0, 1.0]):
    res = optimize.minimize(objective, start, method="Nelder-Mead", options={"xatol": 1e-3, "fatol": 1e-4})
    results.append(res)

best = min(results, key=lambda r: r.fun)
print([f"{v:.2f}" for v in best.x], f"{best.fun:.3f}", len(results))
