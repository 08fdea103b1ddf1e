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


_MOST_REMEMBERED = 1000
_by_storage: dict[int, torch.Tensor] = {}
"""the latest values, by the storage that stands for them: ``x.data`` is another tensor, made without asking us"""


def _wrap(host: torch.Tensor) -> torch.Tensor:
    on_device: torch.Tensor = torch._C._acc.create_empty_tensor(tuple(host.shape), host.dtype)
    on_device._toy_host = host  # type: ignore[attr-defined]
    if len(_by_storage) >= _MOST_REMEMBERED:
        del _by_storage[next(iter(_by_storage))]
    _by_storage.pop(on_device.untyped_storage()._cdata, None)
    _by_storage[on_device.untyped_storage()._cdata] = host
    return on_device


def _host(x: torch.Tensor) -> torch.Tensor:
    if not hasattr(x, "_toy_host"):
        x._toy_host = _by_storage[x.untyped_storage()._cdata]  # type: ignore[attr-defined]
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
    _see_through(target).copy_(_see_through(source))
    return target


def _see_through(x: torch.Tensor) -> torch.Tensor:
    """Return the host tensor behind `x`, with the lazy bits that `x` has: the border crossing must heed them."""
    if x.device.type != "toy":
        return x
    host = _host(x)
    host = torch._conj(host) if x.is_conj() else host
    return torch._neg_view(host) if x.is_neg() else host


def _compute(operator: Any) -> Any:
    """Let an operator run on the host values."""

    def run(*args: Any, **kwargs: Any) -> torch.Tensor:
        hosts = [_see_through(a) if isinstance(a, torch.Tensor) else a for a in args]
        return _wrap(operator(*hosts, **kwargs).resolve_conj().resolve_neg())

    return run


def _view(operator: Any) -> Any:
    """Let an operator make a view, which keeps the lazy bits."""

    def run(x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        view = _wrap(operator(_host(x), *args, **kwargs))
        torch._C._set_conj(view, x.is_conj())
        torch._C._set_neg(view, x.is_neg())
        return view

    return run


for _name in ("clone", "mul.Tensor", "sum"):
    _packet = getattr(torch.ops.aten, _name.partition(".")[0])
    torch.library.impl(f"aten::{_name}", "privateuseone")(_compute(_packet))
for _name in ("detach", "alias", "view", "as_strided"):
    torch.library.impl(f"aten::{_name}", "privateuseone")(_view(getattr(torch.ops.aten, _name)))
