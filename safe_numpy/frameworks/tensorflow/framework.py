"""TensorFlow: what the guard knows of it. The table of causes is in `causes`, the guarded methods in `doors`."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from types import FrameType, MappingProxyType
from typing import Any

import numpy as np
import tensorflow as tf

from safe_numpy.callsite.frames import add_translator, inherits
from safe_numpy.diagnosis.causes import Cause, Measures, Plan, Walk
from safe_numpy.diagnosis.facts import Door, Problem, Site, Subject
from safe_numpy.diagnosis.framework import Framework, Introspection, Twins, Watch
from safe_numpy.frameworks import keras_ops
from safe_numpy.frameworks.tensorflow import autograph, doors, tracing
from safe_numpy.frameworks.tensorflow import causes as table
from safe_numpy.frameworks.tensorflow.causes import CAUSES, INDEXED, find_graph, is_recorded
from safe_numpy.frameworks.tensorflow.twins import TWINS
from safe_numpy.guard.guard import Guard
from safe_numpy.patching import Target

_ORDER = ("symbolic", "composite", "handle")
"""the kinds as TensorFlow meets them"""

_NAMES: Mapping[str, Any] = MappingProxyType({"tf": tf, "np": np})


class _TapeWatch(Watch):
    """Warns where a conversion leaves a tape: who is upstream, only the tape's own ``gradient`` finds out."""

    steps = 0
    warn: Callable[..., None]

    def remember(self, x: Any, key: object, site: Site, expression: str, frame: FrameType) -> int:
        """Warn, once per call site."""
        self.warn(frame, x, table.TAPE, doors.find_tape)
        return self.steps


_WATCH = _TapeWatch()


class TensorFlowIntrospection(Introspection):
    """What is asked of a tensor of TensorFlow's when somebody reads."""

    def look_closer(
        self, problems: Sequence[Problem], path: str, stack: Sequence[FrameType]
    ) -> tuple[Sequence[Problem], Sequence[str]]:
        return [self._name(p, stack) if "function" in p.facts else p for p in problems], ()

    def find_twins(self, stack: Sequence[FrameType]) -> Twins | None:
        x = self.find_tensor()
        is_gone = find_graph(x) is not None and not tracing.is_open(find_graph(x), stack)
        if tracing.find_tracing(stack) is None or is_gone:
            return None
        return keras_ops.TWINS if tracing.is_called_by_keras(stack) else TWINS

    def is_learnt_from(self, stack: Sequence[FrameType]) -> bool:
        return tracing.is_for_gradient(stack)

    def _name(self, problem: Problem, stack: Sequence[FrameType]) -> Problem:
        """Call the traced function what its writer calls it."""
        x = self.find_tensor()
        is_leaked = problem.cause == "leaked" and not tracing.is_open(find_graph(x), stack)
        found = tracing.find_origin(x) if is_leaked else tracing.find_tracing(stack)
        if found is None:
            return problem
        cause = found.cause if problem.cause != "variable_in_graph" else problem.cause
        facts = {"function": found.function or problem.facts["function"], "operation": found.operation}
        says = next(row.says for row in CAUSES if row.name == cause)
        return replace(problem, cause=cause, says=says, facts={**problem.facts, **facts, "place": found.place})


class TensorFlow(Framework):
    """What the guard knows of TensorFlow."""

    name = "tensorflow"
    causes = CAUSES
    watch = _WATCH
    array_code = doors.VARIABLE_ARRAY_CODE

    def is_tensor_class(self, cls: type) -> bool:
        return inherits(cls, tf.Tensor, tf.Variable, tf.RaggedTensor, *table.COMPOSITES)

    def undisturbed(self) -> AbstractContextManager[object]:
        return nullcontext()

    def plan(self, x: Any, door: Door) -> Plan:
        plan = _plan_value(CAUSES, x, door)
        return replace(plan, cuts=True) if isinstance(x, INDEXED) and is_recorded(x) else plan

    def plan_hazards(self, x: Any, door: Door) -> Plan:
        return _plan_value((*table.HAZARDS, *CAUSES), x, door)

    def introspect(self, x: Any) -> Introspection:
        return TensorFlowIntrospection(x)

    def list_targets(self, guard: Guard) -> list[Target]:
        _WATCH.warn = guard.warn_hazard_at
        return doors.find_targets(guard)

    def examine_environment(self) -> tuple[list[str], str | None]:
        return [d.name for kind in ("GPU", "TPU") for d in tf.config.list_physical_devices(kind)], None


def _plan_value(causes: Sequence[Cause], x: Any, door: Door) -> Plan:
    dtype, shape = _read_dtype(x), _read_shape(x)
    words = f"[{', '.join('?' if n is None else str(n) for n in shape)}]" if shape is not None else "[?]"
    name = getattr(dtype, "name", "?")
    describe = functools.partial(Subject, type(x).__name__.lstrip("_"), name, words, _find_device(x))
    indexed = isinstance(x, INDEXED) and find_graph(x) is None and x.dense_shape is not None
    count = math.prod(int(n) for n in x.dense_shape) if indexed else _count(x)
    # strings count as their pointers; EagerTensor.numpy() always copies
    measures = Measures(describe, _count_value_bytes(x), count, getattr(dtype, "size", 0) or 8)
    return Walk(door, copies=True).follow(lambda x: causes, x).finish(_ORDER, _NAMES, measures)


def _count_value_bytes(x: Any) -> int:
    """Return the bytes that the data of `x` takes where it lives; 0 where it has none."""
    if find_graph(x) is not None:
        return 0
    if isinstance(x, INDEXED):
        return _count_value_bytes(x.values) + _count_value_bytes(x.indices)
    dtype = _read_dtype(x)
    return 0 if dtype in (tf.string, tf.variant, tf.resource) else _count(x) * getattr(dtype, "size", 0)


def _find_device(x: Any) -> str:
    """Return ``cpu:0`` for ``/job:localhost/replica:0/task:0/device:CPU:0``; nothing for what lives on none."""
    if find_graph(x) is not None:
        return ""
    if isinstance(x, INDEXED):
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


add_translator(autograph.MARK, autograph.TRANSLATOR)

FRAMEWORK: Framework = TensorFlow()
