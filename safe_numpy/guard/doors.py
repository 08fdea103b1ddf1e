"""How a guarded method answers: one factory for the doors of every framework."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from safe_numpy.diagnosis.facts import Door
from safe_numpy.errors.pages import HazardWarning
from safe_numpy.guard.failure import STOCK, Outcome
from safe_numpy.guard.guard import Guard


def guard_method(
    guard: Guard,
    door: Door,
    stock: Callable[..., Any],
    *,
    respond: Callable[..., Outcome] | None = None,
    is_ours: Callable[..., bool] | None = None,
    inspect: Callable[[Any], Outcome | None] | None = None,
    finish: Callable[..., Any] | None = None,
) -> Callable[..., Any]:
    """Guard a method that fails for some tensors.

    Args:
        guard: answers a failure.
        door: what the method is.
        stock: the method.
        respond: answers in the guard's place; takes what `Guard.respond` takes.
        is_ours: tells by the arguments whether a failure is a conversion's.
        inspect: looks at a tensor for which stock worked; may return an outcome with an error.
        finish: makes of what was converted, and the arguments, what the method returns; its failure is a conversion's.
    """
    respond = respond or guard.respond
    # of this function, since the module's globals may be gone at the interpreter's end, where a `__del__` converts
    let_pass, passing = STOCK, HazardWarning

    # functools.wraps keeps the module's name, by which AutoGraph knows that it need not convert the function
    @functools.wraps(stock)
    def guarded(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            result = stock(self, *args, **kwargs)
        except Exception as error:
            __tracebackhide__ = True
            try:
                outcome = let_pass
                if is_ours is None or is_ours(*args, **kwargs):
                    how: dict[str, Any] = {}
                    if kwargs.get("copy") is False:  # as np.asarray and np.from_dlpack hand on
                        how["may_copy"] = False
                    if finish is not None:
                        how["finish"] = lambda value: finish(value, *args, **kwargs)
                    outcome = respond(error, self, door, **how)
            except Exception:
                outcome = let_pass  # the stack is full: there is no room for the guard's first frame
            del self  # here and below: the traceback holds this frame, which must not hold the tensor
            if outcome.lets_pass:
                raise
            if outcome.is_error:
                raise outcome.take_error() from outcome.cause
            return outcome.value
        if inspect is not None:
            try:
                found = inspect(self)
            except passing:
                raise  # the user's filters make errors of our warnings
            except Exception:
                found = None  # as above
            if found is not None:
                __tracebackhide__ = True
                del self, result
                raise found.take_error()
        return result

    return guarded


def guard_missing(guard: Guard, stock: Callable[..., Any]) -> Callable[..., Any]:
    """Guard the lookup of an attribute that is not there; `stock` is what the class did about it."""
    numpy = guard_method(guard, Door.NUMPY, lambda self: stock(self, "numpy"))

    def respond(error: Exception, x: Any, door: Door) -> Outcome:
        if guard.permits(x, door):  # only where there is a value: else the attribute stays missing
            return Outcome(functools.partial(numpy, x))
        return guard.respond(error, x, door)

    return guard_method(guard, Door.NUMPY, stock, respond=respond, is_ours=lambda name: name == "numpy")
