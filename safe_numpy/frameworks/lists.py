"""Lists of 0-d tensors, of which a library makes objects: looked at in strict mode alone."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from safe_numpy.config.modes import MODE, Mode
from safe_numpy.diagnosis import framework as frameworks
from safe_numpy.diagnosis.causes import Plan
from safe_numpy.diagnosis.facts import Door, Kind, Problem
from safe_numpy.guard.failure import Asking, Failure
from safe_numpy.guard.guard import is_inside
from safe_numpy.guard.outcome import Outcome
from safe_numpy.guard.silent import make_unless_accepted


def check_list(data: Any, consumer: str) -> Outcome | None:
    """Return the error to raise in strict mode, as an outcome, for a list of 0-d tensors: `consumer` makes objects."""
    if is_inside() or MODE.get() is not Mode.STRICT:
        return None
    try:
        column = _find_scalars(data)
        framework = frameworks.of(column[0]) if column else None
        if framework is None:
            return None
        facts = {"count": str(len(column)), "consumer": consumer}
        problem = Problem(Kind.OBJECT, "scalars", facts, refused=True)
        plan = Plan((problem,), "{x}.item()", None, refused=True, copies=True, itemsize=None)
        asking = Asking.find(sys._getframe(2), None)  # who called the constructor
        with framework.undisturbed():
            failure = Failure.capture(framework, column[0], plan, Door.ARRAY, asking)
        return make_unless_accepted(failure, consumer)
    except Exception:
        return None


def _find_scalars(data: Any) -> Sequence[Any]:
    """Return the first list in `data` that begins with a 0-d tensor, or the values of its first row."""
    pending = [data, *(data.values() if isinstance(data, dict) else data[:1])]
    for column in pending:
        values = list(column.values()) if isinstance(column, dict) and column is not data else column
        if isinstance(values, (list, tuple)) and values and _is_scalar(values[0]):
            return values
    return ()


def _is_scalar(x: Any) -> bool:
    framework = frameworks.of(x)
    return framework is not None and framework.describe(x)().shape == "[]"
