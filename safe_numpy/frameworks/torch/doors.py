"""The doors of `torch.Tensor` to NumPy: the functions that stand in its class.

They are plain functions, which measured 1.1 times the bare call where a proxy object measured 2.1, and which
``torch.Tensor.numpy is torch.Tensor.numpy``, pickling and Dynamo take for methods. Two things are unusual in those for
``numpy()``, for the sake of calls that work: a parameter to catch what stock rejects, since the interpreter has no fast
call for keyword-only ones; and several bodies, of which the one in use is swapped. One wrong call is not seen, where
stock raises a TypeError: ``x.numpy(v, force=v)``.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from sys import _getframe
from time import perf_counter
from types import FunctionType
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad as _forward_ad
from torch.nn import Parameter

from safe_numpy.diagnosis.facts import Door
from safe_numpy.diagnosis.framework import Responder
from safe_numpy.frameworks.torch import ahead as _torch_ahead
from safe_numpy.frameworks.torch import detect as sights
from safe_numpy.guard.outcome import STOCK, Outcome
from safe_numpy.patching import when_imported

_PLAIN, _foresee = sights.PLAIN, _torch_ahead.foresee
_ABSENT: Any = inspect.Parameter.empty  # not an object of our own: a reload of this module would make another
_find_transform = torch._C._functorch.peek_interpreter_stack
_count_users: Callable[[int], int] = getattr(torch._C, "_storage_Use_Count", lambda storage: sys.maxsize)
_has_function_mode: Callable[[], bool] = torch._C._is_torch_function_mode_enabled
_OWN_USERS = 3
"""of the storage of a tensor that shares it with no other: the tensor, its Python object, and the array's tensor"""

_stock: Callable[..., Any]
_guard: Responder
_low: frozenset[torch.dtype] | None = None
"""the dtypes that ``numpy()`` looks for, beside a gradient, before it asks the stock method; None until one was met"""


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
            _learn(outcome, self)
        except Exception:
            outcome = STOCK  # the stack is full: there is no room for the guard's first frame
        del self
        if outcome.lets_pass:
            raise
        if outcome.is_error:
            raise outcome.take_error() from outcome.cause
        return outcome.value


def _numpy_ahead(self: Any, _positional: Any = _ABSENT, force: Any = _ABSENT) -> Any:
    if _positional is force and (type(self) is Tensor or type(self) is Parameter):  # 3 % less than `in _PLAIN`
        if self.requires_grad or (_low is not None and self.dtype in _low):
            try:
                plan = _foresee(self)
                answer = NotImplemented if plan is None else _guard.convert_ahead(self, plan, _getframe(1))
            except (RecursionError, MemoryError):
                answer = NotImplemented
            if answer is not NotImplemented:
                return answer
        try:
            return _stock(self)
        except Exception as error:
            __tracebackhide__ = True
            try:
                outcome = _guard.respond(error, self, Door.NUMPY)
                _learn(outcome, self)
            except Exception:
                outcome = STOCK  # here and below as in `_numpy`
            del self
            if outcome.lets_pass:
                raise
            if outcome.is_error:
                raise outcome.take_error() from outcome.cause
            return outcome.value
    __tracebackhide__ = True
    handed_on = [self]
    del self
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
        type(self) in _PLAIN
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
    in_a_row = 0
    """conversions that followed close upon one another"""
    latest = 0.0
    """when the latest of them was made, by `perf_counter`"""


_body = _Body()
_ENOUGH_IN_A_ROW = 8
_CLOSE = 0.001
"""seconds"""


def be_strict(is_on: bool) -> None:
    """Swap the body of ``numpy()`` for one that looks at what it gives, and back."""
    _body.is_strict = is_on
    _put_in_place()


def _learn(outcome: Outcome, x: Any) -> None:
    """Look ahead from now on if `x` was converted, as many were just before; no longer if it was not.

    A stock error that is raised and answered costs a conversion 10 µs; to look before stock is asked costs a tenth of
    a call that works, and another tenth where low precision is looked for. That pays where conversions come thick.
    """
    if outcome.lets_pass or outcome.is_error:
        _look_ahead(False)
        return
    now = perf_counter()
    _body.in_a_row = _body.in_a_row + 1 if now - _body.latest < _CLOSE else 1
    _body.latest = now
    if _body.in_a_row >= _ENOUGH_IN_A_ROW and type(x) in _PLAIN and _foresee(x) is not None:
        _look_ahead(True, is_low=x.dtype in _torch_ahead.LOW)


def _look_ahead(is_on: bool, is_low: bool = False) -> None:
    """Have ``numpy()`` look at a tensor before it asks the stock method; for low precision only if told so once."""
    global _low
    if is_low or not is_on:
        _low = _torch_ahead.LOW if is_on else None
    if not is_on:
        _body.in_a_row = 0
    _body.looks_ahead = is_on
    _put_in_place()


def _put_in_place() -> None:
    code = (_numpy_strict if _body.is_strict else _numpy_ahead if _body.looks_ahead else _numpy).__code__
    if _numpy_in_place.__code__ is not code:  # the interpreter learns to call it anew each time that it is set
        _numpy_in_place.__code__ = code


_numpy_in_place = FunctionType(_numpy.__code__, globals(), "numpy", _numpy.__defaults__)
"""the function that stands in the class; one for ever, since Dynamo knows it by its identity"""


def guard_numpy(stock: Callable[..., Any], guard: Responder) -> Callable[..., Any]:
    """Return the guarded ``Tensor.numpy``, the same object each time."""
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
        return  # torch 2.4, which cannot trace the unbound call without the guard either

    @torch.compiler.substitute_in_graph(_numpy_in_place)
    def traceable(self: Tensor, *, force: bool = False) -> Any:
        return self.numpy(force=force)


def guard_dlpack(stock: Callable[..., Any], guard: Responder) -> Callable[..., Any]:
    """Return the guarded ``Tensor.__dlpack__``, the same object each time."""
    global _guard
    _guard = guard
    return _make_dlpack(stock)


@functools.cache  # one for ever here too: torch.overrides remembers it
def _make_dlpack(stock: Callable[..., Any]) -> Callable[..., Any]:
    known = inspect.signature(stock).parameters

    @functools.wraps(stock)
    def __dlpack__(self: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N807
        try:
            capsule = stock(self, *args, **kwargs)
        except Exception as error:
            __tracebackhide__ = True
            if any(name not in known for name in kwargs):
                del self
                raise  # stock rejects it: NumPy asks by keywords of newer torch first, and then without them
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
        if type(self) not in _PLAIN or not sights.is_dense_on_host(self):
            _guard.warn_exported(self)
        return capsule

    return __dlpack__
