# https://github.com/mind-inria/ggrappa/pull/10

import torch
import toy_device
import numpy as np

cuda = True


def apply_kernel(sig, kernel):
    # first sampled line of the grid
    first = torch.nonzero(sig.abs().sum(dim=-1))[0]
    if cuda:
        first = first.to("toy")
    shift_y, shift_z = first

    out = np.zeros(sig.shape, dtype=np.complex64)
    cnt = np.arange(0, sig.shape[1] - 1, 2)
    zival = shift_z.cpu().numpy() + cnt
    for z in zival:
        patch = sig[:, int(z)].numpy()
        out[:, int(z) + 1] = np.convolve(patch[:, 0], kernel, mode="same")[:, None]
    return out, zival


torch.manual_seed(0)
sig = torch.zeros(6, 8, 2, dtype=torch.complex64)
sig[1:, 1::2] = torch.randn(5, 4, 2, dtype=torch.complex64)
kernel = np.array([0.25, 0.5, 0.25])

out, zival = apply_kernel(sig[:, :7], kernel)
print([int(z) for z in zival], out.shape)
print([f"{v:.3f}" for v in np.abs(out).sum(axis=(0, 2))])
