"""The doors of `torch.Tensor` to NumPy: the functions that stand in its class.

They are plain functions, which measured 1.1 times the bare call where a proxy object measured 2.1, and which
``torch.Tensor.numpy is torch.Tensor.numpy``, pickling and Dynamo take for methods. Two things are unusual in those for
``numpy()``, for the sake of calls that work: a parameter to catch what stock rejects, since before Python 3.13 the
interpreter has no fast call for keyword-only ones
(https://github.com/python/cpython/blob/v3.11.2/Python/specialize.c#L1175-L1184); and a body for each mode, of which one
is in use. One wrong call is not seen, where stock raises a TypeError: ``x.numpy(v, force=v)``.

What a function took for stock when it was made stays its stock: others may hold the function, and call it from what
stands in the class by now. Were it told to call that, the two would call each other for ever.
"""

from __future__ import annotations

import builtins
import functools
import inspect
import sys
from collections.abc import Callable
from types import FunctionType, SimpleNamespace
from typing import Any
from weakref import WeakSet, WeakValueDictionary

import torch
from torch import Tensor
from torch.autograd import forward_ad as _forward_ad
from torch.nn import Parameter

from safe_numpy.config.modes import READONLY, Mode
from safe_numpy.diagnosis.facts import Door
from safe_numpy.frameworks.torch.causes import foresee
from safe_numpy.frameworks.torch.detect import is_dense_on_host
from safe_numpy.frameworks.torch.hazards import EXPORTED, describe_export
from safe_numpy.guard.doors import guard_method
from safe_numpy.guard.failure import STOCK, Outcome
from safe_numpy.guard.guard import Guard
from safe_numpy.patching import when_imported

_ABSENT: Any = inspect.Parameter.empty  # not an object of our own: a reload of this module would make another
_find_transform = torch._C._functorch.peek_interpreter_stack
# bound to CUDA alone in torch 2.6: https://github.com/pytorch/pytorch/blob/v2.6.0/torch/csrc/cuda/Module.cpp#L1282
_count_users: Callable[[int], int] = getattr(torch._C, "_storage_Use_Count", lambda storage: sys.maxsize)
_has_override: Callable[[object], bool] = torch._C._has_torch_function_unary
_has_function_mode: Callable[[], bool] = torch._C._is_torch_function_mode_enabled
_OWN_USERS = 3
"""of the storage of a tensor that shares it with no other: the tensor, its Python object, and the array's tensor"""

_stock: Callable[..., Any] = torch._C.TensorBase.numpy
_guard: Any = None
"""each function that stands in the class has globals of its own, and those two there"""


def _numpy(self: Any, _positional: Any = _ABSENT, force: Any = _ABSENT) -> Any:
    """Serve as ``numpy()`` in the modes off and explain: ask stock, and answer what it raises."""
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
        return outcome.value


def _numpy_permissive(self: Any, _positional: Any = _ABSENT, force: Any = _ABSENT) -> Any:
    """Serve as ``numpy()`` while anybody is in permissive mode: look first, since a stock error costs ten looks.

    The look is at the gradient: one at the dtype, too, would cost another tenth of a call that works.
    """
    if _positional is force and not _has_override(self):  # a subclass, or a mode, would see what is looked at
        try:
            if not self.requires_grad:
                return _stock(self)
        except Exception:
            pass  # it is asked again, and the error answered there, unless the plan is known
        try:
            plan = foresee(self) if type(self) is Tensor or type(self) is Parameter else None
            array = NotImplemented if plan is None else _guard.convert_ahead(self, plan)
        except Exception:
            array = NotImplemented  # as in `_numpy`, or the modules that it needs are gone
        if array is not NotImplemented:
            return array
    __tracebackhide__ = True
    handed_on = [self]
    del self
    return _numpy(handed_on.pop(), _positional, force)


def _numpy_strict(self: Any, _positional: Any = _ABSENT, force: Any = _ABSENT) -> Any:
    """Serve as ``numpy()`` while anybody is in strict mode: look at what came out."""
    try:
        array = None if _positional is not _ABSENT else _stock(self) if force is _ABSENT else _stock(self, force=force)
    except Exception:
        array = None  # as above
    if array is None:
        __tracebackhide__ = True
        handed_on = [self]
        del self
        return _numpy(handed_on.pop(), _positional, force)
    try:
        if (
            (type(self) is Tensor or type(self) is Parameter)
            and not _has_function_mode()  # it would see what is looked at
            and _count_users((storage := self.untyped_storage())._cdata) <= _OWN_USERS
            and storage.nbytes() >= array.nbytes > 0  # else freed, in part at least, or without elements
            and 0 not in array.strides
            and _forward_ad._current_level < 0
            and _find_transform() is None
        ):
            return array
        outcome = _guard.check(self, Door.FORCE if force is True else Door.NUMPY)
    except Exception:
        outcome = None  # as in `_numpy`
    if outcome is None:
        return array
    __tracebackhide__ = True
    del self, array
    raise outcome.take_error()


BODIES = {Mode.PERMISSIVE: _numpy_permissive, Mode.STRICT: _numpy_strict}
"""the modes that need another body than `_numpy`"""

_in_place: WeakSet[FunctionType] = WeakSet()
"""the functions that stand in the class, or that somebody who has patched over them may still call"""
_numpys: WeakValueDictionary[int, FunctionType] = WeakValueDictionary()
_dlpacks: WeakValueDictionary[int, Any] = WeakValueDictionary()
"""by the id of their stock, which they hold; by identity, since a wrapper may say that it equals what it wraps"""
_numpy_in_place: FunctionType
"""the last that was put into the class"""
_demand = SimpleNamespace(is_strict=False)


def choose_body(mode: Mode) -> None:
    """Have ``numpy()`` do what the most demanding mode that holds anywhere needs.

    Before Python 3.13 the interpreter learns to call a function anew each time that its code is set; since then its
    calls are not specialized any more
    (https://github.com/python/cpython/blob/v3.13.5/Objects/funcobject.c#L255-L257).
    """
    code = BODIES.get(mode, _numpy).__code__
    _demand.is_strict = mode is Mode.STRICT
    for function in list(_in_place):
        if function.__code__ is not code:
            function.__code__ = code


def guard_numpy(stock: Callable[..., Any], guard: Guard) -> Callable[..., Any]:
    """Return the guarded ``Tensor.numpy``; for the same stock the same object: Dynamo knows it by its identity."""
    global _numpy_in_place
    numpy = _numpys.get(id(stock))
    if numpy is None:
        numpy = _numpys[id(stock)] = _make_numpy(stock)
        _in_place.add(numpy)
    numpy.__globals__["_guard"] = guard
    _numpy_in_place = numpy
    if stock is _stock:
        when_imported("torch._dynamo", functools.partial(_teach_dynamo, numpy))
    return numpy


def _make_numpy(stock: Callable[..., Any]) -> FunctionType:
    """Make a function whose globals are its own: a stock for each, and at the interpreter's end they outlive ours.

    By then the module's own may be None, and what is built in, too, while somebody's ``__del__`` still converts.
    """
    own = {**vars(builtins), **globals(), "_stock": stock}
    own["_numpy"] = FunctionType(_numpy.__code__, own, "_numpy", _numpy.__defaults__)
    numpy = FunctionType(_numpy.__code__, own, "numpy", _numpy.__defaults__)
    numpy.__doc__ = stock.__doc__
    numpy.__module__, numpy.__qualname__ = "torch", "Tensor.numpy"  # where pickle finds it
    numpy.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD),
            inspect.Parameter("force", inspect.Parameter.KEYWORD_ONLY, default=False),
        ]
    )
    return numpy


@functools.cache
def _teach_dynamo(numpy: FunctionType, dynamo: object) -> None:
    """Let ``torch.Tensor.numpy(x)``, unbound, be traced as the method call that it is: it would break the graph.

    https://github.com/pytorch/pytorch/pull/133712; the signature must be the same (pull/133813).
    """
    if not hasattr(torch.compiler, "substitute_in_graph"):
        return  # torch 2.4, which cannot trace the unbound call without the guard either

    @torch.compiler.substitute_in_graph(numpy)
    def traceable(self: Tensor, *, force: bool = False) -> Any:
        return self.numpy(force=force)


def guard_dlpack(stock: Callable[..., Any], guard: Guard) -> Callable[..., Any]:
    """Return the guarded ``Tensor.__dlpack__``; for the same stock the same object: torch.overrides remembers it."""
    dlpack: Any = _dlpacks.get(id(stock))
    if dlpack is None:
        dlpack = _dlpacks[id(stock)] = _make_dlpack(stock, guard)
    dlpack.held.guard = guard
    return dlpack  # type: ignore[no-any-return]


def _make_dlpack(stock: Callable[..., Any], guard: Guard) -> Any:
    known = inspect.signature(stock).parameters
    held = SimpleNamespace(guard=guard)
    # held here, since the module's globals may be gone at the interpreter's end
    demand, door, readonly, has_memory = _demand, Door.DLPACK, READONLY, is_dense_on_host
    plain, plain_too = Tensor, Parameter

    def inspect_capsule(x: Any) -> Outcome | None:
        found: Outcome | None = held.guard.check(x, door) if demand.is_strict else None
        is_plain = type(x) is plain or type(x) is plain_too
        if found is None and not (is_plain and has_memory(x)):
            held.guard.warn_hazard(x, EXPORTED, lambda frame: describe_export(x))
        return found

    def export(x: Tensor, *args: Any, **kwargs: Any) -> Any:
        # a capsule cannot be read-only, and many consumers let it be written to
        return stock(x.clone() if readonly.get() else x, *args, **kwargs)

    guarded: Any = guard_method(
        guard,
        Door.DLPACK,
        stock,
        respond=lambda *failure, **how: held.guard.respond(*failure, **how),  # the guard of the moment
        # NumPy asks by keywords of newer torch first, and then without them: stock rejects them
        # (https://github.com/numpy/numpy/blob/v2.4.0/numpy/_core/src/multiarray/dlpack.c#L523-L540)
        is_ours=lambda *args, **kwargs: all(name in known for name in kwargs),
        inspect=inspect_capsule,
        finish=export,
    )
    guarded.held = held
    return guarded
