"""torch 2.13.0: x.numpy() of a forward-mode dual number drops the tangent without a word; reverse mode refuses."""

import sys

import torch
from torch.autograd import forward_ad

with forward_ad.dual_level():
    x = forward_ad.make_dual(torch.ones(2), torch.ones(2))
    try:
        y = torch.from_numpy(x.numpy())
    except Exception as error:
        print(f"torch {torch.__version__}: refused: {error}")
        sys.exit(0)
    tangent = forward_ad.unpack_dual(y).tangent
print(f"torch {torch.__version__}: the tangent after the detour is {tangent}")
sys.exit(tangent is None)
