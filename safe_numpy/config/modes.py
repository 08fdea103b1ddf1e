"""The modes, and how permissive mode converts where there is a choice."""

from __future__ import annotations

import functools
import importlib.util
import inspect
import os
import threading
import weakref
from collections.abc import Callable, Mapping
from contextlib import ContextDecorator
from enum import Enum
from typing import Any, ClassVar, TypeVar

from safe_numpy.config import setting as settings
from safe_numpy.config.setting import SWITCH, Block, Setting, make_parser
from safe_numpy.messages.units import parse_size
from safe_numpy.patching import LOADING

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
_WORDS |= {word: Mode.EXPLAIN if is_on else Mode.OFF for word, is_on in SWITCH.items()}

_MODES = f"a Mode or one of {', '.join(m.value for m in Mode)} (0 false no: off; 1 true yes on: explain)"
_parse_mode = make_parser("mode", _WORDS, _MODES)
MODE: Setting[Mode] = Setting("mode", VARIABLE, _parse_mode, Mode.EXPLAIN, "'explain' is used")


def _parse_dtype(value: object) -> str:
    word = _parse_dtype_word(value)
    if word == "ml_dtypes" and importlib.util.find_spec("ml_dtypes") is None:
        raise ValueError(f"{value!r} needs the package ml_dtypes, which is not installed: pip install ml_dtypes")
    return word


_parse_dtype_word = make_parser(
    "dtype policy",
    {word: word for word in ("float32", "ml_dtypes", "raise")},
    "'float32', 'ml_dtypes' (the exact dtype) or 'raise'",
)


def _parse_max_bytes(value: object) -> int | None:
    found = parse_size(value) if isinstance(value, str) else value
    if type(found) is int and found >= 0:
        return found
    if value == "available":
        return None
    raise ValueError(f"{value!r} is no size; expected bytes, such as 1_000_000 or '8GiB', or 'available'")


DTYPE: Setting[str] = Setting("dtype", "SAFE_NUMPY_DTYPE", _parse_dtype, "float32", "float32 is used")
"""what a tensor of low precision becomes"""

_AVAILABLE = "the memory available is used"
MAX_BYTES: Setting[int | None] = Setting("max_bytes", "SAFE_NUMPY_MAX_BYTES", _parse_max_bytes, None, _AVAILABLE)
"""bytes that an array may take; None: what is free"""

_parse_only = make_parser("kind of conversion", {"explicit": "explicit", "all": "all"}, "'explicit' or 'all'")
ONLY: Setting[str] = Setting("only", "SAFE_NUMPY_ONLY", _parse_only, "all", "all are converted")
"""which conversions are made: with ``explicit`` those by ``numpy()``, not those by ``np.asarray`` and its like"""

_parse_switch = make_parser("switch", SWITCH, "True or False, or one of 1 true yes on 0 false no off")
READONLY: Setting[bool] = Setting("readonly", "SAFE_NUMPY_READONLY", _parse_switch, False, "arrays stay writable")
"""arrays that share their memory with a tensor cannot be written to"""

POLICIES = (DTYPE, MAX_BYTES, ONLY, READONLY)
"""how permissive mode converts; each is a keyword of `mode` and `set_mode`, and a variable"""

_PERMISSIVE_ONLY = (ONLY, READONLY)
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
    for setting in (MODE, *POLICIES):
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

    Around a ``yield`` it holds in the code that the generator yields to as well, until the generator leaves the block:
    Python knows no context of a generator's own. Fixtures and `contextlib.contextmanager` live by that; a generator
    that is looped over should not do it.

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
        TypeError: it decorates a generator, whose body runs in pieces, between its caller's own code.
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
        _note_block(settings.enter_block(self._values, self))

    def __exit__(self, *exc_info: object) -> None:
        for block in settings.leave_block(self):
            _note_block(block)

    def __call__(self, func: _Function) -> _Function:
        """Return `func`, which runs in the mode; it may be a coroutine function."""
        if inspect.isgeneratorfunction(func) or inspect.isasyncgenfunction(func):
            word = self._values["mode"].value
            raise TypeError(
                f"mode({word!r}) cannot decorate the generator {func.__qualname__}: its body runs in pieces, between "
                f"its caller's own code; decorate the function that loops over it, or write `with mode({word!r}):` "
                "inside it around statements that do not yield: around a `yield` it would hold in the caller as well"
            )
        if not inspect.iscoroutinefunction(func):
            return super().__call__(func)

        @functools.wraps(func)
        async def run(*args: Any, **kwargs: Any) -> Any:
            with self:
                return await func(*args, **kwargs)

        return run  # type: ignore[return-value]


def _parse_all(mode: object, given: Mapping[str, object]) -> dict[str, Any]:
    """Return the values by their keywords; those that are None are not given."""
    values: dict[str, Any] = {"mode": MODE.parse(mode)}
    for setting in POLICIES:
        if given[setting.name] is None:
            continue
        if setting in _PERMISSIVE_ONLY and values["mode"] is not Mode.PERMISSIVE:
            raise ValueError(
                f"{setting.name}= says how permissive mode converts; {values['mode'].value!r} mode converts nothing"
            )
        values[setting.name] = setting.parse(given[setting.name])
    return values


LOCK = threading.RLock()
"""for what holds, and what is installed: one lock, since a block may end, by garbage collection, anywhere"""


def _hold() -> None:
    """Let nobody be at it while the process forks.

    A child has none of its parent's other threads. Were one of them importing a module of ours at that moment, or
    changing the mode, its lock would be held by nobody, and whoever wants it in the child would wait for ever.
    """
    LOADING.acquire()  # first: while modules are imported, a block may end by garbage collection
    LOCK.acquire()


def _let_go() -> None:
    LOCK.release()
    LOADING.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_hold, after_in_parent=_let_go, after_in_child=_let_go)


class _Demand:
    """The modes that a conversion that works has to know of: who is in one, and what was last told."""

    blocks: ClassVar[dict[weakref.ref[Block], Mode]] = {}
    """blocks that are open, or live on in contexts that were copied in them"""
    strict = permissive = 0
    """how many of them are in that mode"""
    told: Mode | None = None
    listeners: ClassVar[list[Callable[[Mode], None]]] = []


def on_demand(listener: Callable[[Mode], None]) -> None:
    """Tell `listener` the most demanding mode that holds anywhere, at once and whenever that changes.

    It is STRICT, PERMISSIVE, or else EXPLAIN; anywhere: for the process, or in a block of any thread or task.
    """
    _Demand.listeners.append(listener)
    listener(find_demand())


def find_demand() -> Mode:
    """Return the most demanding mode that holds anywhere."""
    return _pick_demand(MODE.get_outside())


def _pick_demand(outside: Mode) -> Mode:
    if _Demand.strict or outside is Mode.STRICT:
        return Mode.STRICT
    return Mode.PERMISSIVE if _Demand.permissive or outside is Mode.PERMISSIVE else Mode.EXPLAIN


def _note_block(block: Block) -> None:
    mode = block.values["mode"]
    if mode is Mode.STRICT or mode is Mode.PERMISSIVE:
        with LOCK:
            _Demand.blocks[weakref.ref(block, _forget_block)] = mode
            _count_block(mode, 1)


def _forget_block(reference: weakref.ref[Block]) -> None:
    with LOCK:
        _count_block(_Demand.blocks.pop(reference), -1)


def _count_block(mode: Mode, one: int) -> None:
    if mode is Mode.STRICT:
        _Demand.strict += one
    else:
        _Demand.permissive += one
    _notify()


def _notify() -> None:
    with LOCK:
        while (wanted := _pick_demand(MODE.current)) is not _Demand.told:  # it may change meanwhile
            _Demand.told = wanted
            for listener in _Demand.listeners:
                listener(wanted)


MODE.on_change = _notify


def _wake(wanted: Mode) -> None:
    if _sleeper and wanted is not Mode.OFF:
        _sleeper.pop()()
