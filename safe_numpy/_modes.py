"""The modes, and who spoke last. Imports nothing of ours.

An enclosing ``with mode(...)`` wins; else whichever of ``set_mode()`` and a *changed* ``SAFE_NUMPY`` came later.
A variable that is unset says nothing: what was said before it holds again.
"""

from __future__ import annotations

import functools
import inspect
import os
import warnings
from collections.abc import Callable
from contextlib import ContextDecorator
from contextvars import ContextVar
from enum import Enum
from typing import Any, NamedTuple, TypeVar

VARIABLE = "SAFE_NUMPY"

_Function = TypeVar("_Function", bound=Callable[..., Any])


class Mode(Enum):
    """What happens when a conversion fails.

    ``OFF``: nothing of ours. ``EXPLAIN``: the same exception, with every cause and a fix. ``PERMISSIVE``: the tensor
    is converted, with a warning. ``STRICT``: as ``EXPLAIN``; results that are silently wrong become errors too.
    """

    OFF = "off"
    EXPLAIN = "explain"
    PERMISSIVE = "permissive"
    STRICT = "strict"


_WORDS = {m.value: m for m in Mode}
_WORDS |= dict.fromkeys(("0", "false", "no"), Mode.OFF)
_WORDS |= dict.fromkeys(("1", "true", "yes", "on"), Mode.EXPLAIN)


class _Scope(NamedTuple):
    """An enclosing ``with mode(...)``, linked to the one around it."""

    mode: Mode
    outer: _Scope | None


class _Speakers:
    """What was last said outside any ``with`` block, and by whom."""

    def __init__(self) -> None:
        self.variable: str | None = None  # the raw text that was last looked at
        self.by_call: Mode | None = None
        self.current = Mode.EXPLAIN
        self.speaker = "default"


_scope: ContextVar[_Scope | None] = ContextVar("safe_numpy_mode", default=None)
_speakers = _Speakers()
_sleeper: list[Callable[[], None]] = []  # what to do when somebody first asks for more than OFF


def on_wake(action: Callable[[], None]) -> None:
    """Run `action` once, when a caller first asks for a mode other than OFF."""
    _sleeper.append(action)


def get_mode() -> Mode:
    """Return the mode in force here: in this thread, in this asyncio task, now."""
    scope = _scope.get()
    if scope is not None:
        return scope.mode
    raw = os.environ.get(VARIABLE)
    if raw != _speakers.variable:
        _hear_variable(raw)
    return _speakers.current


def get_speaker() -> str:
    """Return who set the mode that is in force here."""
    get_mode()
    return "an enclosing mode(...)" if _scope.get() is not None else _speakers.speaker


def set_mode(mode: Mode | str) -> None:
    """Set the mode for the whole process.

    Raises:
        ValueError: `mode` is no mode; nothing has changed then.
    """
    wanted = parse(mode)
    raw = os.environ.get(VARIABLE)
    if raw != _speakers.variable:
        _hear_variable(raw)  # it spoke before us
    _speakers.by_call = _speakers.current = wanted
    _speakers.speaker = "set_mode()"
    _wake(wanted)


class mode(ContextDecorator):  # noqa: N801 - it is used as a function is
    """Set the mode for a ``with`` block or for a function, in this thread and asyncio task alone.

    >>> import safe_numpy
    >>> with safe_numpy.mode("permissive"):
    ...     safe_numpy.get_mode()
    <Mode.PERMISSIVE: 'permissive'>

    One instance may be entered again, nested and from several threads: it holds no state of its own.

    Raises:
        ValueError: `mode` is no mode.
        TypeError: it decorates a generator, whose body runs in pieces; write ``with mode(...)`` inside it.
    """

    def __init__(self, mode: Mode | str) -> None:
        self._mode = parse(mode)

    def __enter__(self) -> None:
        _wake(self._mode)
        _scope.set(_Scope(self._mode, _scope.get()))

    def __exit__(self, *exc_info: object) -> None:
        scope = _scope.get()
        _scope.set(scope and scope.outer)

    def __call__(self, func: _Function) -> _Function:
        if inspect.isgeneratorfunction(func) or inspect.isasyncgenfunction(func):
            raise TypeError(
                f"mode({self._mode.value!r}) cannot decorate the generator {func.__qualname__}: its body runs in "
                f"pieces, between its caller's own code; write `with mode({self._mode.value!r}):` inside it"
            )
        if inspect.iscoroutinefunction(func):
            return self._decorate_coroutine(func)  # type: ignore[return-value]
        return super().__call__(func)

    def _decorate_coroutine(self, func: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(func)
        async def run(*args: Any, **kwargs: Any) -> Any:
            with self:
                return await func(*args, **kwargs)

        return run


def _wake(wanted: Mode) -> None:
    if _sleeper and wanted is not Mode.OFF:
        _sleeper.pop()()


def _hear_variable(raw: str | None) -> None:
    """Take in a changed variable: it is the last speaker now, or none if it is unset, empty or nonsense."""
    _speakers.variable = raw
    word = _clean(raw or "")
    if word == "":
        _speakers.current = _speakers.by_call or Mode.EXPLAIN
        _speakers.speaker = "default" if _speakers.by_call is None else "set_mode()"
    elif word in _WORDS:
        _speakers.current = _WORDS[word]
        _speakers.speaker = f"{VARIABLE}={raw}"
    else:
        _speakers.current = Mode.EXPLAIN
        _speakers.speaker = f"default, since {VARIABLE}={raw!r} is no mode"
        warnings.warn(
            f"{VARIABLE}={raw!r} is no mode; 'explain' is used. Valid: {_valid_words()}",
            UserWarning,
            stacklevel=3,
        )


def parse(mode: object) -> Mode:
    """Return the mode that a word stands for.

    Raises:
        ValueError: it stands for none.
    """
    if isinstance(mode, Mode):
        return mode
    found = _WORDS.get(_clean(mode)) if isinstance(mode, str) else None
    if found is None:
        raise ValueError(f"{mode!r} is no mode; expected a Mode or one of {_valid_words()}")
    return found


def _clean(word: str) -> str:
    # `%env SAFE_NUMPY="1"` stores the quotes.
    return word.strip().strip("\"'").strip().lower()


def _valid_words() -> str:
    return ", ".join(m.value for m in Mode) + " (0 false no: off; 1 true yes on: explain)"
