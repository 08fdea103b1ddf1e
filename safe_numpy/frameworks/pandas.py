"""pandas: of a list of 0-d tensors it makes a column of objects. Its doors are in place while somebody is strict."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pandas

from safe_numpy.guard.outcome import Outcome
from safe_numpy.patching import Target

Check = Callable[[Any, str], Outcome | None]
"""returns an outcome with the error to raise for what is given to a constructor, which is named"""


def list_targets(check: Check) -> list[Target]:
    """Return the constructors."""
    classes = (pandas.Series, pandas.DataFrame)
    return [Target(cls, "__init__", functools.partial(_guard_constructor, check, cls.__name__)) for cls in classes]


def _guard_constructor(check: Check, name: str, stock: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(stock)
    def __init__(self: Any, data: Any = None, *args: Any, **kwargs: Any) -> None:  # noqa: N807
        outcome = check(data, f"pandas.{name}") if isinstance(data, (list, tuple, dict)) else None
        if outcome is None:
            return stock(self, data, *args, **kwargs)
        __tracebackhide__ = True
        del self, data, args, kwargs  # the traceback holds this frame
        raise outcome.take_error()

    return __init__
