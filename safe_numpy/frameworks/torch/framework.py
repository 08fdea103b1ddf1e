"""PyTorch: what the guard knows of it. The table of causes is in `causes`, the guarded methods in `doors`."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from types import FrameType
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad as _forward_ad

from safe_numpy.config.modes import Mode
from safe_numpy.diagnosis.causes import Cause, Measures, Plan, Walk
from safe_numpy.diagnosis.facts import Door, Problem, Sharer, Subject
from safe_numpy.diagnosis.framework import Framework, Introspection, Twins
from safe_numpy.frameworks.torch import causes, detect, doors, gradients, hazards, modules
from safe_numpy.frameworks.torch.distributed import gather_over
from safe_numpy.frameworks.torch.optimizers import WATCH
from safe_numpy.frameworks.torch.twins import TWINS
from safe_numpy.guard.guard import Guard
from safe_numpy.guard.warn import warn_of_severed
from safe_numpy.patching import Target


class TorchIntrospection(Introspection):
    """What is asked of a PyTorch tensor when somebody reads."""

    def __init__(self, x: Tensor) -> None:
        super().__init__(x)
        # a subclass may compute these, and fail; a view of which torch has no ``grad_fn`` any more raises
        is_traced = detect.is_plain(x) and x.requires_grad
        self._made = _read(lambda: (x.grad_fn, x.dim()), None) if is_traced else None
        self._origin: Callable[[], gradients.Origin] | None = None
        self._data = _identify_data(x)

    def let_go(self) -> None:
        made, self._made = self._made, None  # its node keeps the whole graph
        if self.find_tensor() is not None:
            self._data = None  # should it go later, its memory may be another's by the time of reading
        elif made is not None:
            self._origin = gradients.remember_origin(*made)

    def identify_data(self) -> object | None:
        x = self.find_tensor()
        return self._data if x is None else _identify_data(x)

    def find_twins(self, stack: Sequence[FrameType]) -> Twins | None:
        return TWINS

    def find_sharer(self, frame: FrameType) -> Sharer | None:
        x = self.find_tensor()
        return None if x is None else hazards.find_sharer(x, [frame])

    def look_closer(
        self, problems: Sequence[Problem], path: str, stack: Sequence[FrameType]
    ) -> tuple[Sequence[Problem], Sequence[str]]:
        if not any(p.cause == "grad" for p in problems):
            return problems, ()
        with torch._C.DisableTorchFunction():
            return gradients.explain_gradient(self.find_tensor(), self._origin, problems, path, stack)


class Torch(Framework):
    """What the guard knows of PyTorch."""

    name = "torch"
    causes = causes.CAUSES
    watch = WATCH
    # Tensor.__array__ calls self.numpy(), and needs no guard of its own
    # (https://github.com/pytorch/pytorch/blob/v2.13.0/torch/_tensor.py#L1241-L1247)
    array_code = inspect.unwrap(Tensor.__array__).__code__

    def is_tensor_class(self, cls: type) -> bool:
        return issubclass(cls, Tensor)

    def undisturbed(self) -> AbstractContextManager[object]:
        guard: AbstractContextManager[object] = torch._C.DisableTorchFunction()
        return guard

    def plan(self, x: Tensor, door: Door) -> Plan:
        return _plan_tensor(causes.find_causes, x, door)

    def plan_hazards(self, x: Tensor, door: Door) -> Plan:
        plan = _plan_tensor(hazards.find_hazards, x, door)
        return hazards.keep_hazards(plan) if door is Door.DLPACK else plan

    def foresee(self, x: Tensor) -> Plan | None:
        is_plain = detect.is_plain(x) and _forward_ad._current_level < 0
        return causes.foresee(x) if is_plain else None

    def introspect(self, x: Tensor) -> Introspection:
        return TorchIntrospection(x)

    def read_member(self, owner: Any, key: str | int, is_item: bool) -> Any:
        return modules.read_module_member(owner, key, is_item)

    def list_targets(self, guard: Guard) -> list[Target]:
        WATCH.tell = lambda *about: warn_of_severed(*about) if guard.active else None
        return [
            Target(Tensor, "numpy", lambda stock: doors.guard_numpy(stock, guard)),
            Target(Tensor, "__dlpack__", lambda stock: doors.guard_dlpack(stock, guard)),
        ]

    def follow_mode(self, mode: Mode) -> None:
        doors.choose_body(mode)
        if mode is Mode.OFF:
            WATCH.forget()

    def gather(self, own: Callable[[], Any], group: Any) -> list[Any] | None:
        return gather_over(group, own)

    def examine_environment(self) -> tuple[list[str], str | None]:
        devices = [f"cuda:{i} ({torch.cuda.get_device_name(i)})" for i in range(torch.cuda.device_count())]
        others = {"mps": torch.backends.mps, "xpu": torch.xpu}  # torch.mps of torch 2.4 does not tell
        devices += [name for name, backend in others.items() if backend.is_available()]
        facts = detect.find_numpy_missing(torch.empty(0, device="cpu"), Door.NUMPY)
        return devices, None if facts is None else f"{facts['state']}: no tensor can become an array"


def _plan_tensor(find_causes: Callable[[Any], Sequence[Cause]], x: Tensor, door: Door) -> Plan:
    if detect.is_plain(x):
        measures = Measures(
            functools.partial(_put_into_words, type(x).__name__, x.dtype, _shape(x), x.device),
            # a backend may have no way to ask for a sparse tensor's parts
            x.nbytes if x.layout is torch.strided and not x.is_meta else _read(lambda: _count_bytes(x), 0),
            x.numel(),
            x.element_size(),
        )
    else:  # a subclass may compute each of these, and fail
        dtype, shape = _read(lambda: x.dtype, "?"), _read(lambda: _shape(x), "[?]")
        device = _read(lambda: x.device, "?")
        describe = functools.partial(_put_into_words, type(x).__name__, dtype, shape, device)
        count, itemsize = _read(x.numel, 0), _read(x.element_size, 0)
        measures = Measures(describe, _read(lambda: _count_bytes(x), 0), count, itemsize)
    order = causes.STOCK_ORDER.get(door, causes.STOCK_ORDER[Door.NUMPY])
    return Walk(door).follow(find_causes, x).finish(order, causes.NAMES, measures)


def _identify_data(x: Tensor) -> object | None:
    is_readable = detect.is_plain(x) and (detect.is_dense_on_host(x) or (x.is_quantized and x.is_cpu))
    if not is_readable or not x.numel():
        return None
    return x.data_ptr(), x.dtype, x.shape, x.stride()


def _read(attribute: Callable[[], Any], otherwise: Any) -> Any:
    try:
        return attribute()
    except Exception:
        return otherwise


def _put_into_words(
    type_name: str, dtype: torch.dtype | str, shape: Sequence[object] | str, device: torch.device | str
) -> Subject:
    words = shape if isinstance(shape, str) else f"[{', '.join(map(str, shape))}]"
    return Subject(type_name, detect.dtype_name(dtype), words, str(device))


def _shape(x: Tensor) -> Sequence[object] | str:
    if x.is_nested:
        return f"[{x.size(0)} rows]"
    return "[?]" if detect.is_uninitialized(x) else x.shape


def _count_bytes(x: Tensor) -> int:
    if detect.is_plain(x) and x.layout is torch.strided and not x.is_meta:
        return x.nbytes
    if x.is_meta or detect.is_a(x, "FakeTensor") or detect.is_uninitialized(x):
        return 0
    if x.layout is torch.sparse_coo and not detect.is_a(x, "MaskedTensor"):
        return x._values().nbytes + x._indices().nbytes
    if x.layout in (torch.sparse_csr, torch.sparse_bsr) and not detect.is_a(x, "MaskedTensor"):
        return x.values().nbytes + x.crow_indices().nbytes + x.col_indices().nbytes
    if x.layout in (torch.sparse_csc, torch.sparse_bsc) and not detect.is_a(x, "MaskedTensor"):
        return x.values().nbytes + x.ccol_indices().nbytes + x.row_indices().nbytes
    return x.numel() * x.element_size()


FRAMEWORK: Framework = Torch()
