# https://github.com/Project-MONAI/MONAI/issues/8040

import matplotlib.pyplot as plt
import numpy as np
import torch


def max_along(x, dim):
    """Works for arrays and for tensors."""
    if isinstance(x, np.ndarray):
        return np.max(x, axis=dim)
    return torch.max(x, dim=dim).values


torch.manual_seed(0)
volume = torch.rand(6, 8, 10)
volume[2, 3, 4] = 5.0

fig, axes = plt.subplots(1, 3)
shown = []
for axis, ax in enumerate(axes):
    mip = max_along(volume, axis)
    picture = ax.imshow(
        mip.cpu().numpy(),
        cmap="gray",
        vmin=0,
        vmax=5,
    )
    ax.set_title(f"axis {axis}")
    shown.append(picture.get_array())

for data in shown:
    print(data.shape, round(float(data.mean()), 4), float(data.max()))
