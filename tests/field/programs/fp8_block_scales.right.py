# https://github.com/AI-Hypercomputer/maxtext/pull/5052

import numpy as np
import torch


class LazyLoader:
    """reads tensors of a checkpoint one by one"""

    def __init__(self, tensors):
        self._tensors = tensors

    def keys(self):
        return self._tensors.keys()

    def __getitem__(self, key):
        t = self._tensors[key]
        return np.array(t.float().numpy(), dtype=np.float32)


def block_quantize(w, block):
    blocks = w.reshape(w.shape[0] // block, block, -1)
    scale = blocks.abs().amax(dim=(1, 2)) / 448.0
    return (blocks / scale[:, None, None]).reshape(w.shape).to(torch.float8_e4m3fn), scale


def to_float(loader, name):
    scale = loader[name + ".weight_scale"]
    weight = loader[name + ".weight"]
    return weight * np.repeat(scale, weight.shape[0] // len(scale))[:, None]


torch.manual_seed(0)
w = torch.randn(8, 6)
q, s = block_quantize(w, block=4)
loader = LazyLoader({"q_proj.weight": q, "q_proj.weight_scale": s, "norm.weight": torch.ones(6).half()})

norm = loader["norm.weight"]
w_hat = to_float(loader, "q_proj")
print(sorted(loader.keys()), norm.mean())
print(w_hat.shape, f"max error {np.abs(w_hat - w.numpy()).max():.3f} mean {w_hat.mean():.4f}")
