"""torch 2.13.0, NumPy 2.4.6: np.from_dlpack(x) is not the values of a wrapper subclass; x.numpy() refuses it.

The wrapper has no memory of its own (torch.Tensor._make_wrapper_subclass), and its __dlpack__ exports that.
"""

import sys
import warnings

import numpy as np
import torch
from torch.masked import masked_tensor

warnings.simplefilter("ignore")
x = masked_tensor(torch.tensor([5.0, 6.0]), torch.tensor([True, True]))
try:
    array = np.from_dlpack(x)
except Exception as error:
    print(f"torch {torch.__version__}: refused: {error}")
    sys.exit(0)
print(
    f"torch {torch.__version__}, NumPy {np.__version__}: values {x.get_data().tolist()}, array {array.shape}, "
    f"at {array.__array_interface__['data'][0]:#x}; the values are at {x.get_data().data_ptr():#x}"
)
sys.exit(array.__array_interface__["data"][0] != x.get_data().data_ptr())
