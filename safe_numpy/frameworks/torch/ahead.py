"""The plans of the commonest tensors, known before the stock code is asked: by dtype and gradient."""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from safe_numpy.config.policy import DTYPE
from safe_numpy.diagnosis.causes import Plan, make_plan
from safe_numpy.diagnosis.facts import Door
from safe_numpy.frameworks.torch import causes as table
from safe_numpy.frameworks.torch.detect import DENSE_ON_HOST, NUMPY_DTYPES, compare_keys, get_keys, outside_modes

_find_transform = torch._C._functorch.peek_interpreter_stack
_is_grad_enabled = torch.is_grad_enabled

LOW = frozenset({torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2})
"""what mixed precision computes with, and NumPy lacks"""


def foresee(x: Tensor) -> Plan | None:
    """Return the plan at ``numpy()`` of a plain dense host tensor with all its data, outside of every transform.

    None: that takes a closer look. `x` is of a class in `PLAIN`.
    """
    if compare_keys(get_keys(x)) != DENSE_ON_HOST or not x.is_contiguous() or _find_transform() is not None:
        return None  # a transform would wrap the array-to-be, and what `_plan` makes
    nbytes, offset = x.nbytes, x.storage_offset()
    if not nbytes or x.untyped_storage().nbytes() < nbytes + (offset and offset * x.element_size()):
        return None  # freed, in part at least
    dtype = x.dtype
    if dtype in LOW and DTYPE.get() != "float32":  # before `_plan` is asked, which remembers what held then
        return None
    return _plan(dtype, x.requires_grad and _is_grad_enabled())


@functools.cache
def _plan(dtype: torch.dtype, requires_grad: bool) -> Plan | None:
    """Return the plan of a tensor of one of the common dtypes; None: its dtype is none of those."""
    if dtype not in NUMPY_DTYPES | LOW:
        return None
    with outside_modes():
        x = torch.empty(1, dtype=dtype, device="cpu", requires_grad=requires_grad)
        return make_plan(table.find_steps, x, Door.NUMPY)
