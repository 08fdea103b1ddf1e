"""A thing that can be set three ways, declared once: by a variable, by a call, and for a block.

An enclosing block wins; else whichever of the call and a *changed* variable came later. A variable that is unset says
nothing: what was said before it holds again.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any, Generic, TypeVar

_Value = TypeVar("_Value")

SWITCH = dict.fromkeys(("1", "true", "yes", "on"), True) | dict.fromkeys(("0", "false", "no", "off"), False)
"""the words for on and off"""


class Setting(Generic[_Value]):
    """One setting of the process.

    Args:
        name: the keyword that sets it.
        variable: the environment variable.
        parse: makes a value of what a caller gives, or of the variable's text; raises ValueError, naming what was
            expected.
        default: what holds while nobody has spoken.
        fallback: what a variable that is nonsense is replaced by, in words.
    """

    def __init__(
        self, name: str, variable: str, parse: Callable[[object], _Value], default: _Value, fallback: str
    ) -> None:
        self.on_change: Callable[[], None] = lambda: None
        """called when what holds outside of any block may have changed"""
        self.name = name
        self.variable = variable
        self.parse = parse
        self.default = default
        self._fallback = fallback
        self._read, self._key = _make_reader(variable)
        self.reset()

    def reset(self) -> None:
        """Forget what was said."""
        self._raw: object = None  # what was last found in the environment
        self._by_call: tuple[_Value, str] | None = None  # with the function that was called
        self._settle(self.default, "default")

    def get(self) -> _Value:
        """Return the value in force here: in this thread, in this asyncio task, now."""
        block = _block.get()
        if block is not None and self.name in block.values:
            found: _Value = block.values[self.name]
            return found
        return self.get_outside()

    def get_outside(self) -> _Value:
        """Return the value in force outside of any block."""
        raw = self._read(self._key)
        if raw != self._raw:
            self._read_variable(raw)
        return self.current

    def get_speaker(self) -> str:
        """Return who set the value that is in force here."""
        block = _block.get()
        if block is not None and self.name in block.values:
            return "an enclosing mode(...)"
        self.get_outside()
        return self._speaker

    def set(self, value: _Value, speaker: str) -> None:
        """Set it for the process; `value` is parsed."""
        self.get_outside()  # a variable that has changed spoke before us
        self._by_call = value, speaker
        self._settle(value, speaker)

    def _settle(self, value: _Value, speaker: str) -> None:
        self.current = value
        """what holds outside of any block, as far as the variable was looked at"""
        self._speaker = speaker
        self.on_change()

    def _read_variable(self, raw: object) -> None:
        """Take in a changed variable: it is the last speaker now, or none if it is unset, empty or nonsense."""
        self._raw = raw
        text = os.environ.get(self.variable, "")
        if clean_word(text) == "":
            self._settle(*(self._by_call or (self.default, "default")))
            return
        try:
            value = self.parse(text)
        except ValueError as error:
            self._settle(self.default, f"default, since {self.variable}={text!r} cannot be read")
            warnings.warn(f"{self.variable}: {error}; {self._fallback}", UserWarning, stacklevel=5)
        else:
            self._settle(value, f"{self.variable}={text}")


class Block:
    """An enclosing block, linked to the one around it. A context that was copied in it holds it as well."""

    __slots__ = ("__weakref__", "maker", "outer", "own", "values")

    def __init__(self, own: Mapping[str, Any], outer: Block | None, maker: object) -> None:
        self.own = own
        """what it says"""
        self.values: Mapping[str, Any] = {**outer.values, **own} if outer is not None else own
        """what holds in it: what it says, and what the blocks around it say of the rest"""
        self.outer = outer
        self.maker = maker
        """who enters it and leaves it"""


_block: ContextVar[Block | None] = ContextVar("safe_numpy_block", default=None)


def enter_block(values: Mapping[str, Any], maker: object) -> Block:
    """Have these values hold until `leave_block`, in this thread and asyncio task alone."""
    block = Block(values, _block.get(), maker)
    _block.set(block)
    return block


def leave_block(maker: object) -> list[Block]:
    """Take off the innermost block of `maker`; return those that were entered in it, made anew without it.

    There are some where a generator is closed inside of a block of its caller's. Where there is none of `maker`, since
    a generator is closed in another context than it ran in, nothing is taken off.
    """
    inside, block = [], _block.get()
    while block is not None and block.maker is not maker:
        inside.append(block)
        block = block.outer
    if block is None:
        return []
    outer, anew = block.outer, []
    for each in reversed(inside):
        outer = Block(each.own, outer, each.maker)
        anew.append(outer)
    _block.set(outer)
    return anew


def clean_word(word: str) -> str:
    """Return a word without quotes, which `%env SAFE_NUMPY="1"` stores, in small letters."""
    return word.strip().strip("\"'").strip().lower()


def make_parser(noun: str, words: Mapping[str, _Value], shown: str) -> Callable[[object], _Value]:
    """Return a parser that knows some words, and values of the right kind themselves."""

    def parse(value: object) -> _Value:
        for known in words.values():
            if value is known:
                return known
        key = clean_word(value) if isinstance(value, str) else None
        if key is None or key not in words:
            raise ValueError(f"{value!r} is no {noun}; expected {shown}")
        return words[key]

    return parse


def _make_reader(name: str) -> tuple[Callable[[Any], object], Any]:
    """Return a function and its argument that give what is the same for as long as a variable is.

    ``os.environ.get`` encodes the name and decodes the value at each call, 0.5 µs; below it lies a plain dict
    (https://github.com/python/cpython/blob/v3.13.0/Lib/os.py#L703-L717).
    """
    try:
        return os.environ._data.get, os.environ.encodekey(name)  # type: ignore[attr-defined]
    except AttributeError:  # not CPython's
        return os.environ.get, name
