"""PyTorch: its doors to NumPy, and what a guard there needs to know. The table of causes is in `_torch_steps`."""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from types import FrameType
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad as _forward_ad

from safe_numpy.diagnosis import framework as frameworks
from safe_numpy.diagnosis.causes import Plan, make_plan, unite
from safe_numpy.diagnosis.facts import Door, Kind, Problem, Remark, Subject
from safe_numpy.diagnosis.framework import Responder
from safe_numpy.frameworks.torch import ahead as _torch_ahead
from safe_numpy.frameworks.torch import aliases as _torch_aliases
from safe_numpy.frameworks.torch import causes as table
from safe_numpy.frameworks.torch import detect as sights
from safe_numpy.frameworks.torch import doors as _torch_doors
from safe_numpy.frameworks.torch import gradients as _torch_origin
from safe_numpy.frameworks.torch import hazards as _torch_silent
from safe_numpy.frameworks.torch import modules as _torch_modules
from safe_numpy.frameworks.torch.optimizers import WATCH
from safe_numpy.patching import Target

_stock_numpy: Callable[..., Any] = torch._C.TensorBase.numpy


class Torch(frameworks.Framework):
    """What the guard knows of PyTorch."""

    name = "torch"
    watch = WATCH
    array_code = inspect.unwrap(Tensor.__array__).__code__

    def is_tensor_class(self, cls: type) -> bool:
        """Tell whether `cls` is `torch.Tensor` or a subclass."""
        return issubclass(cls, Tensor)

    def undisturbed(self) -> AbstractContextManager[object]:
        """Keep ``__torch_function__`` of subclasses and modes from seeing what is read inside."""
        guard: AbstractContextManager[object] = torch._C.DisableTorchFunction()
        return guard

    def plan(self, x: Tensor, door: Door) -> Plan:
        """Say what stops `x` at `door`, and what cures it."""
        return make_plan(table.find_steps, x, door)

    def plan_strictly(self, x: Tensor, door: Door) -> Plan:
        """Say what makes the array of `x` wrong, or a trap, though `door` gives one."""
        plan = make_plan(_torch_silent.find_steps, x, door)
        return _keep_silent(plan) if door is Door.DLPACK else plan

    def plan_export(self, x: Tensor) -> Plan:
        """Say what makes the capsule of `x` another tensor than `x`."""
        return _keep_silent(self.plan(x, Door.DLPACK))

    def be_strict(self, is_on: bool) -> None:
        """Swap the body of ``numpy()`` for one that looks at what it gives, and back."""
        _torch_doors.be_strict(is_on)

    @functools.cached_property
    def names(self) -> Mapping[str, Any]:
        """What the fixes mention: torch, and NumPy where there is one."""
        try:
            import numpy
        except ImportError:
            return {"torch": torch}
        return {"torch": torch, "np": numpy, "ml_dtypes": _LateModule("ml_dtypes")}

    def describe(self, x: Tensor) -> Callable[[], Subject]:
        """Return what will say what `x` is, in words; it holds no reference to `x`."""
        if type(x) in sights.PLAIN:
            nbytes = _read(lambda: _count_bytes(x), 0)  # a backend may have no way to ask for a sparse tensor's parts
            return functools.partial(_put_into_words, type(x).__name__, x.dtype, _shape(x), x.device, nbytes)
        # A subclass may compute each of these, and fail.
        return functools.partial(
            _put_into_words,
            type(x).__name__,
            _read(lambda: x.dtype, "?"),
            _read(lambda: _shape(x), "[?]"),
            _read(lambda: x.device, "?"),
            _read(lambda: _count_bytes(x), 0),
        )

    def count_bytes(self, x: Tensor) -> int:
        """Return the bytes that the data of `x` takes where it lives; 0 where it has none."""
        with self.undisturbed():
            return _count_bytes(x)

    def protect(self, result: Any) -> Any:
        """Return an array read-only. A tensor for DLPack, which many consumers let be written to, is copied."""
        if isinstance(result, Tensor):
            return result.clone()
        for array in result.flat if result.dtype == object else (result,):
            array.flags.writeable = False
        return result

    def result_nbytes(self, x: Tensor, plan: Plan) -> int:
        """Return the size in bytes of the array that `plan` makes of `x`."""
        if not plan.copies and type(x) in sights.PLAIN:
            return x.nbytes
        with self.undisturbed():
            return x.numel() * (plan.itemsize or x.element_size())

    def foresee(self, x: Tensor) -> Plan | None:
        """Return the plan of a plain dense host tensor outside of every transform; None: that takes a closer look."""
        if type(x) not in sights.PLAIN or _forward_ad._current_level >= 0:
            return None
        return _torch_ahead.foresee(x)

    def order(self, door: Door) -> tuple[str, ...]:
        """Return the kinds in the order in which torch checks them."""
        return table.STOCK_ORDER.get(door, table.STOCK_ORDER[Door.NUMPY])

    def targets(self, guard: Responder) -> list[Target]:
        """Return the doors to guard; ``Tensor.__array__`` calls ``self.numpy()``, and needs no guard of its own."""
        WATCH.tell = guard.warn_severed
        return [
            Target(Tensor, "numpy", lambda stock: _torch_doors.guard_numpy(stock, guard)),
            Target(Tensor, "__dlpack__", lambda stock: _torch_doors.guard_dlpack(stock, guard)),
        ]

    def unite(self, plan: Plan, other: Plan) -> Plan | None:
        """Return one plan for both: ``detach()`` and ``cpu()`` leave alone what needs neither."""
        return unite(plan, other, table.STEPS)

    def find_alias(self, x: Tensor, frame: FrameType) -> str:
        """Tell a parameter, and a value that autograd has saved."""
        harmed = _torch_aliases.find_harmed(x, [frame])
        return "" if harmed is None else harmed.kind

    def release(self) -> None:
        """Stop watching optimizers."""
        WATCH.forget()

    def to_array(self, x: Tensor) -> Any:
        """Convert as plain torch does, errors included."""
        return _stock_numpy(x) if not sights.converts_itself(x) else x.numpy()

    def read_member(self, owner: Any, key: str | int, is_item: bool) -> Any:
        """Return a parameter, a buffer or a child of a module: ``model.head.weight``, ``model[0]``."""
        return _torch_modules.read_member(owner, key, is_item)

    def find_devices(self) -> list[str]:
        """Return the CUDA devices and the current accelerator of another kind."""
        cuda = [f"cuda:{i} ({torch.cuda.get_device_name(i)})" for i in range(torch.cuda.device_count())]
        others = {"mps": torch.backends.mps, "xpu": torch.xpu}  # torch.mps of torch 2.4 does not tell
        return cuda + [name for name, backend in others.items() if backend.is_available()]

    def find_trouble(self) -> str | None:
        """Tell whether this torch can use the NumPy that is installed: torch before 2.3 cannot use NumPy 2."""
        facts = sights.see_numpy(torch.empty(0, device="cpu"), Door.NUMPY)
        return None if facts is None else f"{facts['state']}: no tensor can become an array"

    def identify_data(self, x: Tensor) -> object | None:
        """Return where the elements of a plain dense tensor in host memory are, and how they are read."""
        if type(x) not in sights.PLAIN or not sights.is_dense_on_host(x):
            return None
        if not x.numel():
            return None
        return x.data_ptr(), x.dtype, x.shape, x.stride()

    def remember(self, x: Tensor) -> Any:
        """Return the nearest leaves that `x` was computed from, weakly."""
        if type(x) not in sights.PLAIN or not x.requires_grad:
            return None  # a subclass may compute these, and fail
        return _torch_origin.remember(x)

    def look_closer(
        self, x: Tensor | None, clue: Any, problems: Sequence[Problem], path: str, stack: Sequence[FrameType]
    ) -> tuple[Sequence[Problem], Sequence[Remark]]:
        """Say where a gradient comes from, and what to do about that here."""
        if not any(p.cause == "grad" for p in problems):
            return problems, ()
        with self.undisturbed():
            return _torch_origin.look_closer(x, clue, problems, path, stack)


_LOUD = frozenset({Kind.GRAD, Kind.CONJ, Kind.LAYOUT, Kind.NESTED, Kind.DTYPE, Kind.QUANTIZED})
"""what ``__dlpack__`` refuses itself (torch/_tensor.py), or NumPy, when it is handed the capsule"""


def _keep_silent(plan: Plan) -> Plan:
    return replace(plan, problems=tuple(p for p in plan.problems if p.kind not in _LOUD))


class _LateModule:
    """A module that few fixes mention, imported when one does."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        return getattr(importlib.import_module(self._name), name)


def _read(attribute: Callable[[], Any], otherwise: Any) -> Any:
    try:
        return attribute()
    except Exception:
        return otherwise


def _put_into_words(
    type_name: str, dtype: torch.dtype | str, shape: Sequence[object] | str, device: torch.device | str, nbytes: int
) -> Subject:
    words = shape if isinstance(shape, str) else f"[{', '.join(map(str, shape))}]"
    return Subject(type_name, sights.dtype_name(dtype), words, str(device), nbytes)


def _shape(x: Tensor) -> Sequence[object] | str:
    if x.is_nested:
        return f"[{x.size(0)} rows]"
    return "[?]" if sights.is_uninitialized(x) else x.shape


def _count_bytes(x: Tensor) -> int:
    if type(x) in sights.PLAIN and x.layout is torch.strided and not x.is_meta:
        return x.nbytes
    if x.is_meta or sights.is_fake(x) or sights.is_uninitialized(x):
        return 0
    if x.layout is torch.sparse_coo and not sights.is_masked(x):
        return x._values().nbytes + x._indices().nbytes
    if x.layout in (torch.sparse_csr, torch.sparse_bsr) and not sights.is_masked(x):
        return x.values().nbytes + x.crow_indices().nbytes + x.col_indices().nbytes
    if x.layout in (torch.sparse_csc, torch.sparse_bsc) and not sights.is_masked(x):
        return x.values().nbytes + x.ccol_indices().nbytes + x.row_indices().nbytes
    return x.numel() * x.element_size()


FRAMEWORK: frameworks.Framework = Torch()
