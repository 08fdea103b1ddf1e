"""torch 2.13.0, NumPy 2.4.6: np.from_dlpack(x) has the wrong sign where x carries the negative bit.

Tensor.__dlpack__ refuses the conjugate bit ("tensors with the conjugate bit set"), and not the negative bit.
"""

import sys

import numpy as np
import torch

x = torch._neg_view(torch.tensor([1.0, 2.0]))  # as in the imaginary part of x.conj()
array = np.from_dlpack(x)
print(f"torch {torch.__version__}, NumPy {np.__version__}: tensor {x.tolist()}, array {array.tolist()}")
sys.exit(array.tolist() != x.tolist())
