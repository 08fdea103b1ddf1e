"""The modes, and who spoke last."""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable, Mapping
from contextlib import ContextDecorator
from enum import Enum
from typing import Any, TypeVar

from safe_numpy.config import policy as _policy
from safe_numpy.config import setting as _settings
from safe_numpy.config.setting import Setting

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
_WORDS |= {word: Mode.EXPLAIN if is_on else Mode.OFF for word, is_on in _settings.SWITCH.items()}

_parse = _settings.make_parser(
    "mode",
    _WORDS,
    f"a Mode or one of {', '.join(m.value for m in Mode)} (0 false no: off; 1 true yes on: explain)",
)
MODE: Setting[Mode] = Setting("mode", VARIABLE, _parse, Mode.EXPLAIN, "'explain' is used")
_PERMISSIVE_ONLY = (_policy.ONLY, _policy.READONLY)
"""what the other modes have no use for: they convert nothing of themselves"""

_sleeper: list[Callable[[], None]] = []  # what to do when somebody first asks for more than OFF


def get_mode() -> Mode:
    """Return the mode in force here: in this thread, in this asyncio task, now."""
    return MODE.get()


def on_wake(action: Callable[[], None]) -> None:
    """Run `action` once, when a caller first asks for a mode other than OFF."""
    _sleeper.append(action)


def set_mode(
    mode: Mode | str,
    *,
    dtype: str | None = None,
    max_bytes: int | str | None = None,
    only: str | None = None,
    readonly: bool | None = None,
) -> None:
    """Set the mode for the whole process, and how permissive mode converts; what is not given stays as it is.

    Args:
        mode: a `Mode` or its word.
        dtype: see `mode`; so are the others.
        max_bytes: bytes.
        only: which conversions are made.
        readonly: whether arrays that share memory can be written to.

    Raises:
        ValueError: something is not what was expected; nothing has changed then.
    """
    values = _parse_all(mode, {"dtype": dtype, "max_bytes": max_bytes, "only": only, "readonly": readonly})
    for setting in (MODE, *_policy.SETTINGS):
        if setting.name in values:
            setting.set(values[setting.name], "set_mode()")
    _wake(values["mode"])


class mode(ContextDecorator):  # noqa: N801 - it is used as a function is
    """Set the mode for a ``with`` block or for a function, in this thread and asyncio task alone.

    >>> import safe_numpy
    >>> with safe_numpy.mode("permissive"):
    ...     safe_numpy.get_mode()
    <Mode.PERMISSIVE: 'permissive'>

    One instance may be entered again, nested and from several threads: it holds no state of its own.

    Args:
        mode: a `Mode` or its word.
        dtype: what a tensor of low precision (bfloat16, float8, complex32) becomes: ``"float32"``; ``"ml_dtypes"``, the
            exact dtype, of that package; or ``"raise"``, an error in permissive mode too. Fixes go by it in every mode.
            Variable: ``SAFE_NUMPY_DTYPE``.
        max_bytes: bytes that an array may take, as a number or as ``"8GiB"``; ``"available"`` asks the machine.
            Variable: ``SAFE_NUMPY_MAX_BYTES``.
        only: ``"explicit"`` converts where ``numpy()`` was called, and explains ``np.asarray`` and its like; ``"all"``.
            Variable: ``SAFE_NUMPY_ONLY``.
        readonly: an array that permissive mode makes, and that shares its memory with a tensor, cannot be written to.
            Variable: ``SAFE_NUMPY_READONLY``.

    Raises:
        ValueError: something is not what was expected, or has no meaning in this mode.
        TypeError: it decorates a generator, whose body runs in pieces; write ``with mode(...)`` inside it.
    """

    def __init__(
        self,
        mode: Mode | str,
        *,
        dtype: str | None = None,
        max_bytes: int | str | None = None,
        only: str | None = None,
        readonly: bool | None = None,
    ) -> None:
        self._values = _parse_all(mode, {"dtype": dtype, "max_bytes": max_bytes, "only": only, "readonly": readonly})

    def __enter__(self) -> None:
        _wake(self._values["mode"])
        need = {_Need.NAME: _Need()} if self._values["mode"] is Mode.STRICT else {}
        _settings.enter_block({**self._values, **need})

    def __exit__(self, *exc_info: object) -> None:
        _settings.leave_block()

    def __call__(self, func: _Function) -> _Function:
        if inspect.isgeneratorfunction(func) or inspect.isasyncgenfunction(func):
            word = self._values["mode"].value
            raise TypeError(
                f"mode({word!r}) cannot decorate the generator {func.__qualname__}: its body runs in "
                f"pieces, between its caller's own code; write `with mode({word!r}):` inside it"
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


def parse(mode: object) -> Mode:
    """Return the mode that a word stands for.

    Raises:
        ValueError: it stands for none.
    """
    return _parse(mode)


def _parse_all(mode: object, given: Mapping[str, object]) -> dict[str, Any]:
    """Return the values by their keywords; those that are None are not given."""
    values: dict[str, Any] = {"mode": parse(mode)}
    for setting in _policy.SETTINGS:
        if given[setting.name] is None:
            continue
        if setting in _PERMISSIVE_ONLY and values["mode"] is not Mode.PERMISSIVE:
            raise ValueError(
                f"{setting.name}= says how permissive mode converts; {values['mode'].value!r} mode converts nothing"
            )
        values[setting.name] = setting.parse(given[setting.name])
    return values


class _Need:
    """What a block in strict mode holds, and with it every context that was copied from it and lives on."""

    NAME = "need for strict mode"
    live = 0
    told: bool | None = None
    """what the listeners know"""

    def __init__(self) -> None:
        with _lock:
            _Need.live += 1
            _notify()

    def __del__(self) -> None:
        with _lock:
            _Need.live -= 1
            _notify()


_lock = threading.RLock()  # a block may end, by garbage collection, while another begins
_listeners: list[Callable[[bool], None]] = []


def on_strict(listener: Callable[[bool], None]) -> None:
    """Tell `listener` whether anybody is in strict mode: at once, and whenever that changes."""
    _listeners.append(listener)
    listener(is_strict_anywhere())


def is_strict_anywhere() -> bool:
    """Tell whether strict mode holds for the process, or in a block of any thread or task."""
    return _Need.live > 0 or MODE.get_outside() is Mode.STRICT


def _notify() -> None:
    with _lock:
        while _Need.told is not (wanted := _Need.live > 0 or MODE.current is Mode.STRICT):  # it may change meanwhile
            _Need.told = wanted
            for listener in _listeners:
                listener(wanted)


MODE.on_change = _notify


def _wake(wanted: Mode) -> None:
    if _sleeper and wanted is not Mode.OFF:
        _sleeper.pop()()
