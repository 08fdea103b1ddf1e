"""TensorFlow: its doors to NumPy, and what a guard there needs to know. The causes are in `_tensorflow_steps`.

Most TensorFlow failures reach no method at all: a symbolic tensor has no ``numpy`` to call. So the door there is the
missing attribute, and stays missing: ``hasattr(x, "numpy")`` is how libraries tell a symbolic tensor from a value.
"""

from __future__ import annotations

import functools
import inspect
import linecache
import math
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from types import CodeType, FrameType, MappingProxyType
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python import pywrap_tfe as _tapes
from tensorflow.python.framework import ops
from tensorflow.python.ops import resource_variable_ops

from safe_numpy.callsite import frames as _callsite
from safe_numpy.callsite.frames import Site
from safe_numpy.callsite.members import read_variables
from safe_numpy.diagnosis import framework as frameworks
from safe_numpy.diagnosis.causes import Plan, make_plan
from safe_numpy.diagnosis.facts import Door, Subject
from safe_numpy.diagnosis.framework import Responder
from safe_numpy.frameworks.tensorflow import causes as table
from safe_numpy.guard.doors import guard_method, guard_missing
from safe_numpy.guard.outcome import STOCK, Outcome
from safe_numpy.patching import Target

_INDEXED = (tf.SparseTensor, tf.IndexedSlices)
_COMPOSITES = (*_INDEXED, tf.experimental.Optional)

_OBJECTS = (*_INDEXED, tf.RaggedTensor)
"""what np.asarray takes for an object like any other, and makes an array of one object of"""


_MOST_FRAMES = 100
"""between generated code and what holds the map of it: control flow lies between"""

_NOT_EXPORTABLE = frozenset({tf.string, tf.variant, tf.resource})


def _find_owner(cls: type, name: str) -> type:
    """Return the class in whose own dictionary the attribute stands: the public classes inherit theirs."""
    return next(c for c in cls.__mro__ if name in vars(c))


def _find_variable(frame: FrameType, value: Any) -> Any:
    """Return the variable whose own ``numpy`` has read `value`, if one has; else `value`."""
    if frame.f_code is not _VARIABLE_CODE:
        return value
    return read_variables(frame).get("self", value)


_VARIABLE_CODE = inspect.unwrap(vars(_find_owner(resource_variable_ops.ResourceVariable, "numpy"))["numpy"]).__code__


class _TapeWatch:
    """Warns where a conversion leaves a tape: who is upstream, only the tape's own ``gradient`` finds out."""

    steps = 0

    def __init__(self) -> None:
        self.warn: Callable[..., None] | None = None

    def remember(self, x: Any, key: object, site: Site, expression: str, frame: FrameType) -> int:
        """Warn, once per call site."""
        if self.warn is not None:
            self.warn(frame, x, "tape", _find_tape)
        return self.steps


_WATCH = _TapeWatch()


class TensorFlow(frameworks.Framework):
    """What the guard knows of TensorFlow."""

    name = "tensorflow"
    watch = _WATCH

    # The classes, not instances' types: to make a tensor is to initialise the runtime, after which the program could
    # not configure its devices any more.
    _eager = _find_owner(ops.EagerTensor, "numpy")
    _variable = _find_owner(resource_variable_ops.ResourceVariable, "numpy")
    array_code: CodeType | None = inspect.unwrap(vars(_variable)["__array__"]).__code__

    def is_tensor_class(self, cls: type) -> bool:
        """Tell whether `cls` is of tensors, variables or values made of tensors."""
        return issubclass(cls, (tf.Tensor, tf.Variable, tf.RaggedTensor, *_COMPOSITES))

    def undisturbed(self) -> AbstractContextManager[object]:
        """Reading attributes runs nobody's code here."""
        return nullcontext()

    def plan(self, x: Any, door: Door) -> Plan:
        """Say what stops `x` at `door`, and what cures it."""
        # EagerTensor.numpy() always copies
        return replace(
            make_plan(table.find_steps, x, door), copies=True, cuts=table.is_recorded(x) and isinstance(x, _INDEXED)
        )

    def plan_strictly(self, x: Any, door: Door) -> Plan:
        """Say what gets lost of `x` at `door`, though that gives an array."""
        return replace(make_plan(table.find_strict_steps, x, door), copies=True)

    names: Mapping[str, Any] = MappingProxyType({"tf": tf, "np": np})

    def describe(self, x: Any) -> Callable[[], Subject]:
        """Return what will say what `x` is, in words; it holds no reference to `x`."""
        dtype, shape = _read_dtype(x), _read_shape(x)
        words = f"[{', '.join('?' if n is None else str(n) for n in shape)}]" if shape is not None else "[?]"
        name = getattr(dtype, "name", "?")
        nbytes = self.count_bytes(x)
        return functools.partial(Subject, type(x).__name__.lstrip("_"), name, words, _find_device(x), nbytes)

    def count_bytes(self, x: Any) -> int:
        """Return the bytes that the data of `x` takes where it lives; 0 where it has none."""
        if table.find_graph(x) is not None:
            return 0
        if isinstance(x, _INDEXED):
            return self.count_bytes(x.values) + self.count_bytes(x.indices)
        dtype = _read_dtype(x)
        return 0 if dtype in (tf.string, tf.variant, tf.resource) else _count(x) * getattr(dtype, "size", 0)

    def result_nbytes(self, x: Any, plan: Plan) -> int:
        """Return the size in bytes of the array that `plan` makes of `x`; strings count as their pointers."""
        count = math.prod(int(n) for n in x.dense_shape) if isinstance(x, _INDEXED) else _count(x)
        return count * (getattr(_read_dtype(x), "size", 0) or 8)

    def order(self, door: Door) -> tuple[str, ...]:
        """Return the kinds in the order in which TensorFlow meets them."""
        return ("symbolic", "composite", "handle")

    def find_devices(self) -> list[str]:
        """Return the GPUs and TPUs that TensorFlow sees."""
        return [d.name for kind in ("GPU", "TPU") for d in tf.config.list_physical_devices(kind)]

    def targets(self, guard: Responder) -> list[Target]:
        """Return the doors to guard."""
        _WATCH.warn = guard.warn_hazard_at
        method, missing = functools.partial(guard_method, guard), functools.partial(guard_missing, guard)
        eager = self._eager
        exported = [Target(eager, "__dlpack__", functools.partial(_guard_dlpack, guard))]
        return [
            *(exported if hasattr(eager, "__dlpack__") else ()),  # older ones have none
            Target(eager, "numpy", functools.partial(_guard_eager, guard)),
            Target(eager, "__array__", functools.partial(method, Door.ARRAY)),
            Target(self._variable, "numpy", functools.partial(method, Door.NUMPY)),
            Target(tf.Tensor, "__array__", functools.partial(method, Door.ARRAY)),
            Target(tf.Tensor, "__getattr__", missing),
            *(Target(cls, "__getattr__", missing) for cls in _COMPOSITES),
            *(Target(cls, "__array__", functools.partial(_door_to_array, guard)) for cls in _OBJECTS),
        ]

    def to_array(self, x: Any) -> Any:
        """Convert as plain TensorFlow does, errors included."""
        return x.numpy()


def _door_to_array(guard: Responder, stock: Callable[..., Any] | None) -> Any:
    return _ArrayDoor(guard)


class _ArrayDoor:
    """The ``__array__`` that composites lack.

    Stock np.asarray makes a 0-d object array of them without a word, and so does this one, with a warning, unless
    conversions are permitted. TensorFlow's own code asks for the attribute too, and is told that there is none: what
    it does with a composite is its own affair.
    """

    def __init__(self, guard: Responder) -> None:
        self._guard = guard

    def __get__(self, x: Any, cls: type) -> Any:
        if x is None or _find_asker(sys._getframe(1)) == "tensorflow":
            raise AttributeError(f"type object {cls.__name__!r} has no attribute '__array__'")
        return functools.partial(_make_array, self._guard, x)


def _find_asker(frame: FrameType | None) -> str:
    """Return the top-level package whose code asks; the lookup may pass through our own ``__getattr__``."""
    while frame is not None:
        package: str = frame.f_globals.get("__name__", "").partition(".")[0]
        if package != __name__.partition(".")[0]:
            return package
        frame = frame.f_back
    return ""


def _make_array(guard: Responder, x: Any, dtype: Any = None, copy: bool | None = None) -> Any:
    array = _convert_object(x, guard) if guard.permits(x, Door.ARRAY) else NotImplemented
    if array is NotImplemented:
        if table.find_graph(x) is None:
            outcome = guard.check(x, Door.ARRAY)
            if outcome is not None:
                del x, array  # the traceback holds this frame
                raise outcome.take_error()
            guard.warn_hazard(x, "object_array")
        array = np.empty((), object)
        array[()] = x
    return array if dtype is None else array.astype(dtype, copy=False)


def _convert_object(x: Any, guard: Responder) -> Any:
    if isinstance(x, tf.RaggedTensor):
        return x.numpy()  # its own, and what np.asarray should have given
    return guard.convert(x, Door.ARRAY)


def _guard_dlpack(guard: Responder, stock: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(stock)
    def export(self: Any, *args: Any, **kwargs: Any) -> Any:
        if self.dtype in _NOT_EXPORTABLE:
            # Stock ends the process here; an error is what the protocol asks for.
            raise BufferError(f"a tensor of dtype {self.dtype.name} cannot be exported by DLPack")
        return stock(self, *args, **kwargs)

    return guard_method(guard, Door.DLPACK, export)


def _guard_eager(guard: Responder, stock: Callable[..., Any]) -> Callable[..., Any]:
    is_idle = _tapes.TFE_Py_TapeSetIsEmpty

    @functools.wraps(stock)
    def numpy(self: Any) -> Any:  # stock takes no arguments, and a call without them is the fast one
        try:
            array = stock(self)
        except Exception as error:
            __tracebackhide__ = True
            try:
                outcome = guard.respond(error, self, Door.NUMPY)
            except Exception:
                outcome = STOCK  # as in `guard_method`
            del self
            if outcome.lets_pass:
                raise
            if outcome.is_error:
                raise outcome.take_error() from outcome.cause
            return outcome.value
        if not is_idle():
            try:
                found = _watch_tape(guard, self)
            except (RecursionError, MemoryError):
                found = None
            if found is not None:
                __tracebackhide__ = True
                del self, array
                raise found.take_error()
        return array

    return numpy


def _watch_tape(guard: Responder, x: Any) -> Outcome | None:
    """Warn where the array leaves a tape that records the tensor: what is computed from it has no gradient.

    Returns an outcome with the error to raise, in strict mode.
    """
    if not _tapes.TFE_Py_TapeSetShouldRecordBackprop([x]):
        return None
    x = _find_variable(sys._getframe(2), x)
    outcome = guard.check(x, Door.NUMPY)
    if outcome is None:
        guard.warn_hazard(x, "tape", _find_tape)
    return outcome


def _find_tape(frame: FrameType) -> str:
    """Return ``, opened at train.py:12`` for the innermost tape that is open in sight of `frame`, or nothing."""
    caller: FrameType | None = frame
    while caller is not None:
        if any(isinstance(v, tf.GradientTape) and v._recording for v in read_variables(caller).values()):
            code = caller.f_code
            lines = linecache.getlines(code.co_filename)[code.co_firstlineno - 1 : caller.f_lineno]
            numbers = [n for n, line in enumerate(lines, code.co_firstlineno) if "GradientTape(" in line]
            return f", opened at {code.co_filename}:{numbers[-1]}," if numbers else ""
        caller = caller.f_back
    return ""


def _find_device(x: Any) -> str:
    """Return ``cpu:0`` for ``/job:localhost/replica:0/task:0/device:CPU:0``; nothing for what lives on none."""
    if table.find_graph(x) is not None:
        return ""
    if isinstance(x, _INDEXED):
        x = x.values
    device: str = getattr(x, "device", "")
    return device.rpartition("device:")[2].lower()


def _read_dtype(x: Any) -> Any:
    if isinstance(x, tf.experimental.Optional):
        return getattr(x.element_spec, "dtype", None)
    return x.dtype


def _read_shape(x: Any) -> list[int | None] | None:
    shape = getattr(x.element_spec, "shape", None) if isinstance(x, tf.experimental.Optional) else x.shape
    return None if shape is None or shape.rank is None else shape.as_list()


def _count(x: Any) -> int:
    """Return the number of elements; 0 where that is not known."""
    shape = _read_shape(x)
    return 0 if shape is None else math.prod(n or 0 for n in shape)


def _translate_autograph(frame: FrameType) -> Site | None:
    """Return the line that the user wrote for one that AutoGraph generated from it.

    The map between the two hangs on the converted function, which AutoGraph's frames around this one hold.
    """
    line = (frame.f_code.co_filename, frame.f_lineno)
    caller = frame.f_back
    for _ in range(_MOST_FRAMES):
        if caller is None:
            return None
        variables = read_variables(caller)
        for candidate in (variables.get("converted_f"), variables.get("f")):
            for location, origin in getattr(candidate, "ag_source_map", {}).items():
                if (location.filename, location.lineno) == line:
                    return Site(origin.loc.filename, origin.loc.lineno, origin.function_name)
        caller = caller.f_back
    return None


_callsite.translate("__autograph_generated_file", _translate_autograph)

FRAMEWORK: frameworks.Framework = TensorFlow()
