"""TensorFlow's doors to NumPy.

Most TensorFlow failures reach no method at all: a symbolic tensor has no ``numpy`` to call. So the door there is the
missing attribute, and stays missing: ``hasattr(x, "numpy")`` is how libraries tell a symbolic tensor from a value.
"""

from __future__ import annotations

import functools
import inspect
import linecache
from collections.abc import Callable
from types import FrameType
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python import pywrap_tfe as _tapes
from tensorflow.python.framework import ops
from tensorflow.python.ops import resource_variable_ops

from safe_numpy.callsite.frames import find_direct_caller, find_package, read_variables
from safe_numpy.diagnosis.facts import Door
from safe_numpy.frameworks.tensorflow.causes import COMPOSITES, INDEXED, OBJECT_ARRAY, TAPE, find_graph
from safe_numpy.guard.doors import guard_method, guard_missing
from safe_numpy.guard.failure import Outcome
from safe_numpy.guard.guard import Guard
from safe_numpy.patching import Target

_NOT_EXPORTABLE = frozenset({tf.string, tf.variant, tf.resource})


def _find_owner(cls: type, name: str) -> type:
    """Return the class in whose own dictionary the attribute stands: the public classes inherit theirs."""
    return next(c for c in cls.__mro__ if name in vars(c))


def _find_variable(frame: FrameType, value: Any) -> Any:
    """Return the variable whose own ``numpy`` has read `value`, if one has; else `value`."""
    if frame.f_code is not _VARIABLE_CODE:
        return value
    return read_variables(frame).get("self", value)


# The classes, not instances' types: to make a tensor is to initialise the runtime, after which the program could not
# configure its devices any more.
_EAGER = _find_owner(ops.EagerTensor, "numpy")
_VARIABLE = _find_owner(resource_variable_ops.ResourceVariable, "numpy")
_VARIABLE_CODE = inspect.unwrap(vars(_VARIABLE)["numpy"]).__code__
VARIABLE_ARRAY_CODE = inspect.unwrap(vars(_VARIABLE)["__array__"]).__code__


def find_targets(guard: Guard) -> list[Target]:
    """Return the doors to guard."""
    method, missing = functools.partial(guard_method, guard), functools.partial(guard_missing, guard)
    exported = [Target(_EAGER, "__dlpack__", functools.partial(_guard_dlpack, guard))]
    return [
        *(exported if hasattr(_EAGER, "__dlpack__") else ()),  # older ones have none
        Target(_EAGER, "numpy", functools.partial(_guard_eager, guard)),
        Target(_EAGER, "__array__", functools.partial(method, Door.ARRAY)),
        Target(_VARIABLE, "numpy", functools.partial(method, Door.NUMPY)),
        Target(tf.Tensor, "__array__", functools.partial(method, Door.ARRAY)),
        Target(tf.Tensor, "__getattr__", missing),
        *(Target(cls, "__getattr__", missing) for cls in COMPOSITES),
        # what np.asarray takes for an object like any other, and makes an array of one object of
        *(Target(cls, "__array__", lambda stock: _ArrayDoor(guard)) for cls in (*INDEXED, tf.RaggedTensor)),
    ]


class _ArrayDoor:
    """The ``__array__`` that composites lack.

    Stock np.asarray makes a 0-d object array of them without a word, and so does this one, with a warning, unless
    conversions are permitted. TensorFlow's own code asks for the attribute too, and is told that there is none: what
    it does with a composite is its own affair.
    """

    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    def __get__(self, x: Any, cls: type) -> Any:
        if x is None or find_package(find_direct_caller()) == "tensorflow":
            raise AttributeError(f"type object {cls.__name__!r} has no attribute '__array__'")
        return functools.partial(_make_array, self._guard, x)


def _make_array(guard: Guard, x: Any, dtype: Any = None, copy: bool | None = None) -> Any:
    array: Any = NotImplemented
    if guard.permits(x, Door.ARRAY):  # a RaggedTensor's own method gives what np.asarray should have given
        array = x.numpy() if isinstance(x, tf.RaggedTensor) else guard.convert_permitted(x, Door.ARRAY)
    if array is NotImplemented:
        if find_graph(x) is None:
            outcome = guard.check(x, Door.ARRAY)
            if outcome is not None:
                del x, array  # the traceback holds this frame
                raise outcome.take_error()
            guard.warn_hazard(x, OBJECT_ARRAY)
        array = np.empty((), object)
        array[()] = x
    return array if dtype is None else array.astype(dtype, copy=False)


def _guard_dlpack(guard: Guard, stock: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(stock)
    def export(self: Any, *args: Any, **kwargs: Any) -> Any:
        if self.dtype in _NOT_EXPORTABLE:
            # Stock ends the process (a CHECK in Tensor::tensor_data, tensorflow/core/framework/tensor.cc); an error is
            # what the protocol asks for.
            raise BufferError(f"a tensor of dtype {self.dtype.name} cannot be exported by DLPack")
        return stock(self, *args, **kwargs)

    return guard_method(guard, Door.DLPACK, export)


def _guard_eager(guard: Guard, stock: Callable[..., Any]) -> Callable[..., Any]:
    guarded = guard_method(guard, Door.NUMPY, stock, inspect=functools.partial(_watch_tape, guard))
    is_idle = _tapes.TFE_Py_TapeSetIsEmpty

    @functools.wraps(stock)
    def numpy(self: Any) -> Any:  # stock takes no arguments, and a call without them is the fast one
        if is_idle():
            try:
                return stock(self)
            except Exception:
                pass  # it is asked again, and the error answered there
        __tracebackhide__ = True
        handed_on = [self]
        del self  # the traceback holds this frame, which must not hold the tensor
        return guarded(handed_on.pop())

    return numpy


def _watch_tape(guard: Guard, x: Any) -> Outcome | None:
    """Warn where the array leaves a tape that records the tensor: what is computed from it has no gradient.

    Returns an outcome with the error to raise, in strict mode.
    """
    if not _tapes.TFE_Py_TapeSetShouldRecordBackprop([x]):
        return None
    x = _find_variable(find_direct_caller(), x)
    outcome = guard.check(x, Door.NUMPY)
    if outcome is None:
        guard.warn_hazard(x, TAPE, find_tape)
    return outcome


def find_tape(frame: FrameType) -> str:
    """Return ``, opened at train.py:12`` for the innermost tape that is open in sight of `frame`, or nothing."""
    caller: FrameType | None = frame
    while caller is not None:
        if any(isinstance(v, tf.GradientTape) and v._recording for v in read_variables(caller).values()):
            code = caller.f_code
            lines = linecache.getlines(code.co_filename)[code.co_firstlineno - 1 : caller.f_lineno]
            numbers = [n for n, line in enumerate(lines, code.co_firstlineno) if "GradientTape(" in line]
            return f", opened at {code.co_filename}:{numbers[-1]}" if numbers else ""
        caller = caller.f_back
    return ""
