"""torch 2.13.0, NumPy 2.4.6: np.from_dlpack(x) is memory that nobody has written, where x is a ZeroTensor."""

import sys

import numpy as np
import torch

noise = [np.full(8, 7, np.float32) for _ in range(100)]
del noise  # what NumPy allocates next is likely to lie there
x = torch._efficientzerotensor((8,))
array = np.from_dlpack(x)  # the capsule holds no address, for which NumPy allocates memory of its own
print(f"torch {torch.__version__}, NumPy {np.__version__}: tensor {x.clone().tolist()}, array {array.tolist()}")
sys.exit(bool(array.any()))
