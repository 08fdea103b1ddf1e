"""torch 2.13.0: x.numpy() inside torch.func.functionalize does not share memory with x, nor does it hold its values."""

import sys

import torch

found = []


def look(x):
    found.append(x.numpy())
    return x


x = torch.tensor([5.0, 6.0])
torch.func.functionalize(look)(x)
print(
    f"torch {torch.__version__}: the tensor is at {x.data_ptr():#x}, "
    f"the array at {found[0].__array_interface__['data'][0]:#x}"
)
sys.exit(found[0].__array_interface__["data"][0] != x.data_ptr())
