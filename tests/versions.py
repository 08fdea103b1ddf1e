"""What the tests use of torch, for those of before 2.8 too, which have it elsewhere or not at all. Needs torch."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

import pytest
import torch
from torch.utils import backend_registration

HAS_PYTHON_BACKENDS = hasattr(backend_registration, "_setup_privateuseone_for_python_backend")
"""a device can be written in Python: without that there is no toy device"""

IS_OLD = torch.__version__ < (2, 10)
newer_torch = pytest.mark.skipif(
    IS_OLD, reason="needs what torch 2.10 does or says; the test is about a detail of that"
)
"""for tests of what stock torch itself says, of the toy device, and of what autograd has saved"""


def import_sharding() -> ModuleType:
    """Return the module of DTensor, which was private before torch 2.5."""
    try:
        module = importlib.import_module("torch.distributed.tensor")
        module.DTensor  # noqa: B018 - is it there?
    except (ImportError, AttributeError):
        return importlib.import_module("torch.distributed._tensor")
    return module


def unwrap(x: torch.Tensor) -> torch.Tensor:
    """Return the tensor inside of the wrappers of torch.func; torch.func.debug_unwrap came with torch 2.7."""
    while torch._C._functorch.is_functorch_wrapped_tensor(x):
        x = torch._C._functorch.get_unwrapped(x)
    return x


def stand_in_for_toy_device() -> None:
    """Let ``import toy_device`` pass where there can be none; what moves a tensor there fails."""
    stand_in = ModuleType("toy_device")
    stand_in.transfers = []  # type: ignore[attr-defined]
    sys.modules.setdefault("toy_device", stand_in)
