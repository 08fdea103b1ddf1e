"""PyTorch: its doors to NumPy, and what a guard there needs to know. The table of causes is in `_torch_steps`."""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from sys import _getframe
from types import FrameType, FunctionType
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad as _forward_ad

from safe_numpy import frameworks
from safe_numpy._facts import Door, Kind, Problem, Remark, Subject
from safe_numpy._outcome import STOCK
from safe_numpy._patching import Target, when_imported
from safe_numpy._policy import DTYPE
from safe_numpy._steps import Plan, make_plan, unite
from safe_numpy.frameworks import Responder, _torch_aliases, _torch_modules, _torch_origin, _torch_silent
from safe_numpy.frameworks import _torch_sights as sights
from safe_numpy.frameworks import _torch_steps as table
from safe_numpy.frameworks._torch_cuts import WATCH

_stock_numpy: Callable[..., Any] = torch._C.TensorBase.numpy
_dispatch_keys, _is_grad_enabled = torch._C._dispatch_keys, torch.is_grad_enabled
_find_transform = torch._C._functorch.peek_interpreter_stack
_count_users: Callable[[int], int] = getattr(torch._C, "_storage_Use_Count", lambda storage: sys.maxsize)
_has_function_mode: Callable[[], bool] = torch._C._is_torch_function_mode_enabled
_OWN_USERS = 3
"""of the storage of a tensor that shares it with no other: the tensor, its Python object, and the array's tensor"""


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
        _body.is_strict = is_on
        _put_in_place()

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
        if type(x) not in sights.PLAIN or _forward_ad._current_level >= 0 or _find_transform() is not None:
            return None
        return _foresee(x)

    def order(self, door: Door) -> tuple[str, ...]:
        """Return the kinds in the order in which torch checks them."""
        return table.STOCK_ORDER.get(door, table.STOCK_ORDER[Door.NUMPY])

    def targets(self, guard: Responder) -> list[Target]:
        """Return the doors to guard; ``Tensor.__array__`` calls ``self.numpy()``, and needs no guard of its own."""
        WATCH.tell = guard.warn_severed
        return [
            Target(Tensor, "numpy", lambda stock: _guard_numpy(stock, guard)),
            Target(Tensor, "__dlpack__", lambda stock: _guard_dlpack(stock, guard)),
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
        others = [name for name in ("mps", "xpu") if getattr(torch, name).is_available()]
        return cuda + others

    def find_trouble(self) -> str | None:
        """Tell whether this torch can use the NumPy that is installed: torch before 2.3 cannot use NumPy 2."""
        facts = sights.see_numpy(torch.empty(0), Door.NUMPY)
        return None if facts is None else f"{facts['state']}: no tensor can become an array"

    def identify_data(self, x: Tensor) -> object | None:
        """Return where the elements of a plain dense tensor in host memory are, and how they are read."""
        if type(x) not in sights.PLAIN or torch._C._dispatch_keys(x).raw_repr() != sights.DENSE_ON_HOST:
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


# The doors. They are plain functions, which measured 1.1 times the bare call where a proxy object measured 2.1, and
# which `torch.Tensor.numpy is torch.Tensor.numpy`, pickling and Dynamo take for methods. Two things are unusual in
# `_numpy`, for the sake of those whose call works: a parameter to catch what stock rejects, since the interpreter has
# no fast call for keyword-only ones; and several bodies, of which the one in use is swapped (`_look_ahead`). One wrong
# call is not seen, where stock raises a TypeError: `x.numpy(v, force=v)`.

_ABSENT: Any = inspect.Parameter.empty  # not an object of our own: a reload of this module would make another
_stock: Callable[..., Any]
_guard: Responder


def _numpy(self: Any, _positional: Any = _ABSENT, force: Any = _ABSENT) -> Any:
    try:
        if _positional is force:  # both absent: one look at two arguments, where each look costs 2 % of a call
            return _stock(self)
        if _positional is _ABSENT:
            return _stock(self, force=force)
        return _stock(self, _positional) if force is _ABSENT else _stock(self, _positional, force=force)
    except Exception as error:
        __tracebackhide__ = True
        if _positional is not _ABSENT or (force is not _ABSENT and type(force) is not bool):
            del self  # here and below: the traceback holds this frame, which must not hold the tensor
            raise  # stock rejects it, in its own words
        try:
            outcome = _guard.respond(error, self, Door.FORCE if force is True else Door.NUMPY)
        except Exception:
            outcome = STOCK  # the stack is full: there is no room for the guard's first frame
        del self
        if outcome.lets_pass:
            raise
        if outcome.is_error:
            raise outcome.take_error() from outcome.cause
        _look_ahead(True)
        return outcome.value


def _numpy_ahead(self: Any, _positional: Any = _ABSENT, force: Any = _ABSENT) -> Any:
    if type(self) in sights.PLAIN and (self.requires_grad or self.dtype in _LOW) and _positional is force:
        try:
            answer = _convert_ahead(self, _getframe(1))
        except (RecursionError, MemoryError):
            answer = NotImplemented
        if answer is not NotImplemented:
            return answer
    __tracebackhide__ = True
    handed_on = [self]
    del self  # as in `_numpy`
    return _numpy(handed_on.pop(), _positional, force)


def _numpy_strict(self: Any, _positional: Any = _ABSENT, force: Any = _ABSENT) -> Any:
    try:
        array = None if _positional is not _ABSENT else _stock(self) if force is _ABSENT else _stock(self, force=force)
    except Exception:
        array = None  # it is asked again, and the error answered there
    if array is None:
        __tracebackhide__ = True
        handed_on = [self]
        del self  # as in `_numpy`
        return _numpy(handed_on.pop(), _positional, force)
    if (
        type(self) in sights.PLAIN
        and not _has_function_mode()  # it would see what is looked at
        and _count_users((storage := self.untyped_storage())._cdata) <= _OWN_USERS
        and storage.nbytes() >= array.nbytes > 0  # else freed, in part at least, or without elements
        and 0 not in array.strides
        and _forward_ad._current_level < 0
        and _find_transform() is None
    ):
        return array
    try:
        outcome = _guard.check(self, Door.FORCE if force is True else Door.NUMPY)
    except Exception:
        outcome = None  # as in `_numpy`
    if outcome is None:
        return array
    __tracebackhide__ = True
    del self, array
    raise outcome.take_error()


class _Body:
    """Which of its bodies ``numpy()`` is to have."""

    looks_ahead = False
    is_strict = False


_body = _Body()


def _look_ahead(on: bool) -> None:
    """Have ``numpy()`` look at the tensor before it asks the stock method, whose raised error costs 7 µs.

    On once a tensor was converted, off with the first call that finds conversions not wanted.
    """
    _body.looks_ahead = on
    _put_in_place()


def _put_in_place() -> None:
    body = _numpy_strict if _body.is_strict else _numpy_ahead if _body.looks_ahead else _numpy
    _numpy_in_place.__code__ = body.__code__


_numpy_in_place = FunctionType(_numpy.__code__, globals(), "numpy", _numpy.__defaults__)
"""the function that stands in the class; one for ever, since Dynamo knows it by its identity"""


def _guard_numpy(stock: Callable[..., Any], guard: Responder) -> Callable[..., Any]:
    global _stock, _guard
    _stock, _guard = stock, guard
    numpy = _numpy_in_place
    _look_ahead(False)
    numpy.__doc__ = stock.__doc__
    numpy.__module__, numpy.__qualname__ = "torch", "Tensor.numpy"  # where pickle finds it
    numpy.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD),
            inspect.Parameter("force", inspect.Parameter.KEYWORD_ONLY, default=False),
        ]
    )
    when_imported("torch._dynamo", _teach_dynamo)
    return numpy


@functools.cache
def _teach_dynamo(dynamo: object) -> None:
    """Let ``torch.Tensor.numpy(x)``, unbound, be traced as the method call that it is: it would break the graph."""
    if not hasattr(torch.compiler, "substitute_in_graph"):
        return  # torch 2.4: the unbound call breaks the graph there, and works

    @torch.compiler.substitute_in_graph(_numpy_in_place)
    def traceable(self: Tensor, *, force: bool = False) -> Any:
        return self.numpy(force=force)


_LOW = frozenset({torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2})
"""what mixed precision computes with, and NumPy lacks"""


def _convert_ahead(x: Tensor, caller: FrameType) -> Any:
    """Return the array of a plain tensor that stock refuses, without the stock error first."""
    plan = _foresee(x)
    if plan is None or not plan.problems:  # inside no_grad stock converts what requires grad
        return NotImplemented
    answer = _guard.convert_ahead(x, plan, caller)
    if answer is NotImplemented:
        _look_ahead(False)
    return answer


def _foresee(x: Tensor) -> Plan | None:
    """Return the plan of a plain dense host tensor, with all its data, by its dtype and gradient; None: look closer."""
    dtype = x.dtype
    if not (
        _dispatch_keys(x).raw_repr() == sights.DENSE_ON_HOST
        and x.is_contiguous()
        and x.untyped_storage().nbytes() >= (x.storage_offset() + x.numel()) * dtype.itemsize > 0  # else freed, in part
        and (dtype in sights.NUMPY_DTYPES or (dtype in _LOW and DTYPE.get() == "float32"))
    ):
        return None
    return _plan_ahead(dtype, x.requires_grad and _is_grad_enabled())


@functools.cache
def _plan_ahead(dtype: torch.dtype, requires_grad: bool) -> Plan:
    with torch.enable_grad():
        x = torch.empty(1, dtype=dtype, requires_grad=requires_grad)
        return make_plan(table.find_steps, x, Door.NUMPY)


def _guard_dlpack(stock: Callable[..., Any], guard: Responder) -> Callable[..., Any]:
    global _guard
    _guard = guard
    return _make_dlpack(stock)


@functools.cache  # one for ever here too: torch.overrides remembers it
def _make_dlpack(stock: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(stock)
    def __dlpack__(self: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N807
        try:
            capsule = stock(self, *args, **kwargs)
        except Exception as error:
            __tracebackhide__ = True
            try:
                outcome = _guard.respond(error, self, Door.DLPACK)
            except Exception:
                outcome = STOCK  # as in `_numpy`
            del self
            if outcome.lets_pass:
                raise
            if outcome.is_error:
                raise outcome.take_error() from outcome.cause
            return stock(outcome.value, *args, **kwargs)
        found = _guard.check(self, Door.DLPACK) if _body.is_strict else None
        if found is not None:
            __tracebackhide__ = True
            del self, capsule
            raise found.take_error()
        if type(self) not in sights.PLAIN or _dispatch_keys(self).raw_repr() != sights.DENSE_ON_HOST:
            _guard.warn_exported(self)
        return capsule

    return __dlpack__


FRAMEWORK: frameworks.Framework = Torch()
