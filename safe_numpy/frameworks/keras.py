"""Keras: placeholders of a model under construction. Its tensors are those of the backend, and guarded as such."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from types import CodeType, MappingProxyType
from typing import Any

import keras

from safe_numpy.diagnosis import framework as frameworks
from safe_numpy.diagnosis.causes import EVERY_DOOR, Plan, Step, make_plan
from safe_numpy.diagnosis.facts import NO_FACTS, Door, Kind, Subject
from safe_numpy.diagnosis.framework import Responder
from safe_numpy.guard.doors import guard_method, guard_missing
from safe_numpy.patching import Target

STEPS: Sequence[Step] = (
    Step(Kind.SYMBOLIC, "keras_tensor", lambda x, door: NO_FACTS, None, EVERY_DOOR),
)  # fmt: skip


class Keras(frameworks.Framework):
    """What the guard knows of Keras."""

    name = "keras"
    array_code: CodeType | None = None
    names: Mapping[str, Any] = MappingProxyType({"keras": keras})

    def is_tensor_class(self, cls: type) -> bool:
        """Tell whether `cls` is the placeholders'."""
        return issubclass(cls, keras.KerasTensor)

    def undisturbed(self) -> AbstractContextManager[object]:
        """Reading attributes runs nobody's code here."""
        return nullcontext()

    def plan(self, x: Any, door: Door) -> Plan:
        """Say what stops `x`: it has no value."""
        return make_plan(lambda _: STEPS, x, door)

    def describe(self, x: Any) -> Callable[[], Subject]:
        """Return what will say what `x` is, in words."""
        shape = ", ".join("?" if n is None else str(n) for n in x.shape)
        return functools.partial(Subject, "KerasTensor", str(x.dtype), f"[{shape}]", "", 0)

    def result_nbytes(self, x: Any, plan: Plan) -> int:
        """Return 0: nothing is made of it."""
        return 0

    def order(self, door: Door) -> tuple[str, ...]:
        """Return the one kind there is."""
        return ("symbolic",)

    def targets(self, guard: Responder) -> list[Target]:
        """Return the doors to guard."""
        return [
            Target(keras.KerasTensor, "__array__", functools.partial(guard_method, guard, Door.ARRAY)),
            Target(keras.KerasTensor, "__getattr__", functools.partial(guard_missing, guard)),
        ]

    def to_array(self, x: Any) -> Any:
        """Convert as plain Keras does: it raises."""
        return x.numpy()


FRAMEWORK: frameworks.Framework = Keras()
