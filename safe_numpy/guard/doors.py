"""Guarded methods, for doors that any framework may have."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from safe_numpy.diagnosis.facts import Door
from safe_numpy.diagnosis.framework import Responder
from safe_numpy.guard.outcome import STOCK


def guard_method(guard: Responder, door: Door, stock: Callable[..., Any]) -> Callable[..., Any]:
    """Guard a method that fails for some tensors."""

    # functools.wraps keeps the module's name, by which AutoGraph knows that it need not convert the function
    @functools.wraps(stock)
    def guarded(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return stock(self, *args, **kwargs)
        except Exception as error:
            __tracebackhide__ = True
            try:
                outcome = guard.respond(error, self, door)
            except Exception:
                outcome = STOCK  # the stack is full: there is no room for the guard's first frame
            del self  # the traceback holds this frame, which must not hold the tensor
            if outcome.lets_pass:
                raise
            if outcome.is_error:
                raise outcome.take_error() from outcome.cause
            return outcome.value

    return guarded


def guard_missing(guard: Responder, stock: Callable[..., Any]) -> Callable[..., Any]:
    """Guard the lookup of an attribute that is not there; `stock` is what the class did about it."""

    def __getattr__(self: Any, name: str) -> Any:  # noqa: N807
        try:
            return stock(self, name)
        except AttributeError as error:
            __tracebackhide__ = True
            if name != "numpy":
                raise
            if guard.permits(self, Door.NUMPY):  # only where there is a value: else the attribute stays missing
                return functools.partial(_convert, self, guard, error)
            outcome = guard.respond(error, self, Door.NUMPY)
            del self
            if outcome.is_error:
                raise outcome.take_error() from outcome.cause
            raise

    return __getattr__


def _convert(x: Any, guard: Responder, error: AttributeError) -> Any:
    """Be the ``numpy`` method that a composite lacks."""
    outcome = guard.respond(error, x, Door.NUMPY)
    if outcome.lets_pass:
        raise error
    if outcome.is_error:
        raise outcome.take_error() from outcome.cause
    return outcome.value
