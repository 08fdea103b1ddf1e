"""pandas: of a list of 0-d tensors it makes a column of objects. Its doors are in place while somebody is strict."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pandas

from safe_numpy.callsite.frames import find_caller, find_direct_caller
from safe_numpy.config.modes import MODE, Mode
from safe_numpy.diagnosis.facts import Door, Kind, Problem
from safe_numpy.diagnosis.framework import find_framework, make_plan
from safe_numpy.guard.convert import INSIDE
from safe_numpy.guard.failure import Failure, Outcome
from safe_numpy.guard.guard import refuse_hazard
from safe_numpy.messages.phrases import Sentences
from safe_numpy.patching import Target

_SCALARS = Sentences(
    "it is one of {count} 0-d tensors in a list: {consumer} makes a column of objects of them",
    instead="a number of each: `[t.item() for t in ...]`",
    is_unguarded=True,
)


def list_constructors() -> list[Target]:
    """Return the constructors."""
    classes = (pandas.Series, pandas.DataFrame)
    return [Target(cls, "__init__", functools.partial(_guard_constructor, cls.__name__)) for cls in classes]


def _guard_constructor(name: str, stock: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(stock)
    def __init__(self: Any, data: Any = None, *args: Any, **kwargs: Any) -> None:  # noqa: N807
        outcome = _check_list(data, f"pandas.{name}") if isinstance(data, (list, tuple, dict)) else None
        if outcome is None:
            return stock(self, data, *args, **kwargs)
        __tracebackhide__ = True
        del self, data, args, kwargs  # the traceback holds this frame
        raise outcome.take_error()

    return __init__


def _check_list(data: Any, consumer: str) -> Outcome | None:
    """Return the error to raise in strict mode, as an outcome, for a list of 0-d tensors: `consumer` makes objects."""
    if INSIDE.busy or MODE.get() is not Mode.STRICT:
        return None
    try:
        column = _find_scalars(data)
        framework = find_framework(column[0]) if column else None
        if framework is None:
            return None
        facts = {"count": str(len(column)), "consumer": consumer}
        why = Problem(Kind.OBJECT, "scalars", _SCALARS, facts, is_refused=True)
        with framework.undisturbed():
            plan = framework.plan(column[0], Door.ARRAY)
            plan = replace(plan, problems=(why,), headline=why, array="{x}.item()", tensor=None, is_refused=True)
            plan = replace(plan, copies=True, array_nbytes=plan.nbytes, is_for_elements=True)
            site = find_caller(find_direct_caller()).make_site()
            failure = Failure(framework, plan, framework.introspect(column[0]), site, is_hazard=True)
        return refuse_hazard(failure, consumer)
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
    plan = make_plan(x, Door.ARRAY)
    return plan is not None and plan.subject.shape == "[]"
