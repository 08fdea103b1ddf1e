"""Keras: placeholders of a model under construction. Its tensors are those of the backend, and guarded as such."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from types import FrameType
from typing import Any

import keras

from safe_numpy.callsite.frames import inherits
from safe_numpy.diagnosis.causes import Cause, Measures, Plan, Walk
from safe_numpy.diagnosis.facts import Door, Kind, Subject
from safe_numpy.diagnosis.framework import Framework, Introspection, Twins, make_plan
from safe_numpy.frameworks.keras_ops import TWINS
from safe_numpy.guard.doors import guard_method, guard_missing
from safe_numpy.guard.guard import Guard
from safe_numpy.patching import Target

CAUSES = (
    Cause(
        Kind.SYMBOLIC, "keras_tensor", lambda x, door: True, None,
        "it is a placeholder of a Keras model: a shape and a dtype, and no value",
        instead="compute with keras.ops, or inside the call() of a keras.layers.Layer; for numbers, build "
        "`keras.Model(model.inputs, {x})` of it and convert what `predict` gives",
    ),
)  # fmt: skip


def _plan_variable(x: Any, door: Door) -> Plan:
    """Return the plan of what holds a variable's values in the backend, for the variable."""
    inner = make_plan(x.value, door)
    if inner is None:  # JAX's arrays are NumPy's to take
        return Walk(door).follow(lambda x: (), x).finish((), {}, Measures(None, 0, 0, 0))
    if inner.array == "{x}.numpy()":  # which the variable has too
        return inner
    array, tensor = (code and code.replace("{x}", "{x}.value") for code in (inner.array, inner.tensor))
    return replace(inner, array=array, tensor=tensor, applied=())


class KerasIntrospection(Introspection):
    """What is asked of a placeholder when somebody reads."""

    def find_twins(self, stack: Sequence[FrameType]) -> Twins | None:
        return TWINS._replace(call="", show="")  # nothing is called when there are values: there is no run


class Keras(Framework):
    """What the guard knows of Keras."""

    name = "keras"
    causes = CAUSES

    def is_tensor_class(self, cls: type) -> bool:
        return inherits(cls, keras.KerasTensor, keras.Variable)

    def undisturbed(self) -> AbstractContextManager[object]:
        return nullcontext()

    def plan(self, x: Any, door: Door) -> Plan:
        if isinstance(x, keras.Variable):
            return _plan_variable(x, door)
        shape = ", ".join("?" if n is None else str(n) for n in x.shape)
        describe = functools.partial(Subject, "KerasTensor", str(x.dtype), f"[{shape}]", "")
        return Walk(door).follow(lambda x: CAUSES, x).finish((), {"keras": keras}, Measures(describe, 0, 0, 0))

    def introspect(self, x: Any) -> Introspection:
        return KerasIntrospection(x)

    def list_targets(self, guard: Guard) -> list[Target]:
        return [
            Target(keras.KerasTensor, "__array__", functools.partial(guard_method, guard, Door.ARRAY)),
            Target(keras.KerasTensor, "__getattr__", functools.partial(guard_missing, guard)),
        ]


FRAMEWORK: Framework = Keras()
