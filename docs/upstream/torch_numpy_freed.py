"""torch 2.13.0: x.numpy() gives an array over no memory, once the storage of x was freed, as FSDP does between uses.

Reading it is undefined: it is not read here.
"""

import sys

import torch

x = torch.ones(2)
x.untyped_storage().resize_(0)
try:
    array = x.numpy()
except Exception as error:
    print(f"torch {torch.__version__}: refused: {error}")
    sys.exit(0)
print(f"torch {torch.__version__}: storage of {x.untyped_storage().nbytes()} bytes, array of {array.nbytes}")
sys.exit(array.nbytes > x.untyped_storage().nbytes())
