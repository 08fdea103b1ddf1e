"""A device that is not the CPU, on a machine that has only one: tensors on ``toy:0`` keep their values in host memory.

It is torch's own Python backend (PrivateUse1, as in torch's test_privateuseone_python_backend.py): operators are not
emulated, the device errors are the real ones, ``.cpu()`` really copies, and gradients are recorded. Importing this
module registers the device; a process can have one such backend.

    import toy_device
    logits = logits.to("toy")
"""

from __future__ import annotations

from typing import Any

import torch
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

_setup_privateuseone_for_python_backend("toy")

transfers: list[tuple[str, str, int]] = []
"""every copy across the border: from, to, bytes"""


def _wrap(host: torch.Tensor) -> torch.Tensor:
    on_device: torch.Tensor = torch._C._acc.create_empty_tensor(tuple(host.shape), host.dtype)
    on_device._toy_host = host  # type: ignore[attr-defined]
    return on_device


def _host(x: torch.Tensor) -> torch.Tensor:
    host: torch.Tensor = x._toy_host  # type: ignore[attr-defined]
    return host


@torch.library.impl("aten::empty_strided", "privateuseone")
def _empty_strided(size: Any, stride: Any, *, dtype: Any = None, **_: Any) -> torch.Tensor:
    return _wrap(torch.empty_strided(size, stride, dtype=dtype, device="cpu"))


@torch.library.impl("aten::empty.memory_format", "privateuseone")
def _empty(size: Any, *, dtype: Any = None, **_: Any) -> torch.Tensor:
    return _wrap(torch.empty(size, dtype=dtype, device="cpu"))


@torch.library.impl("aten::_copy_from", "privateuseone")
def _copy_from(source: torch.Tensor, target: torch.Tensor, non_blocking: bool = False) -> torch.Tensor:
    if source.device.type != target.device.type:
        nbytes = source.numel() * source.element_size()
        transfers.append((str(source.device), str(target.device), nbytes))
    from_host = _host(source) if source.device.type == "toy" else source
    to_host = _host(target) if target.device.type == "toy" else target
    to_host.copy_(from_host)
    return target


def _lift(operator: Any) -> Any:
    """Let an operator that keeps to one tensor run on the host values."""

    def run(x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        kwargs.pop("device", None)
        return _wrap(operator(_host(x), *args, **kwargs))

    return run


for _name, _operator in {
    "aten::detach": torch.ops.aten.detach,
    "aten::alias": torch.ops.aten.alias,
    "aten::clone": torch.ops.aten.clone,
    "aten::view": torch.ops.aten.view,
    "aten::mul.Tensor": torch.ops.aten.mul,
    "aten::sum": torch.ops.aten.sum,
}.items():
    torch.library.impl(_name, "privateuseone")(_lift(_operator))
