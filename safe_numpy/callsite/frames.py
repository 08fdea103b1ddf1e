"""Whose line: the frame of the user's own code that asked for the array. Imports nothing of ours."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import CodeType, FrameType, TracebackType
from typing import NamedTuple

OWN_VARIABLE = "SAFE_NUMPY_OWN"
"""installed packages whose code counts as the user's, separated by commas: for those who debug one"""

_STDLIB = os.path.dirname(os.__file__) + os.sep
_ZIPPED_STDLIB = os.path.join(sys.base_prefix, "lib", f"python{sys.version_info.major}{sys.version_info.minor}.zip", "")
_OURSELVES = os.path.dirname(os.path.dirname(__file__)) + os.sep
_PACKAGES = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
_MOST_FRAMES = 1000

_foreign: dict[str, bool] = {}  # one entry per source file that was ever met on the way


@dataclass(frozen=True, slots=True)
class Site:
    """A line of code."""

    filename: str
    lineno: int
    function: str
    library: str = ""
    """the package that this line called, and that asked for the array on its behalf; empty: the line asked itself"""
    source: str = ""
    """what the line says, where that is known"""
    rank: str = ""
    """which of several cooperating processes ran it: ``rank 1 of 4``"""


class Position(NamedTuple):
    """An instruction of the user's code, running. Holds no frame: frames hold tensors."""

    code: CodeType
    lasti: int
    """offset of the instruction in the bytecode"""
    lineno: int
    asks: bool
    """the guarded method was called by this very instruction"""

    def split(self, stack: list[FrameType]) -> tuple[FrameType | None, list[FrameType]]:
        """Return the frame that was called from here, if there is one, and the frames from this position outwards.

        Both are empty where `stack`, innermost first, does not contain this position (any more).
        """
        for i, frame in enumerate(stack):
            if frame.f_code is self.code:
                return (stack[i - 1] if i else None), stack[i:]
        return None, []


def unroll(traceback: TracebackType | None) -> list[FrameType]:
    """Return every frame that a traceback leads to, the innermost first: those that it passed, and their callers."""
    tracebacks = []
    while traceback is not None:
        tracebacks.append(traceback)
        traceback = traceback.tb_next
    stack: dict[FrameType, None] = {}
    for entry in reversed(tracebacks):  # not the last alone: a generator that has ended has lost its caller
        frame: FrameType | None = entry.tb_frame
        while frame is not None and frame not in stack and len(stack) < _MOST_FRAMES:
            stack[frame] = None
            frame = frame.f_back
    return list(stack)


def list_callers(frame: FrameType | None, most: int = _MOST_FRAMES) -> list[FrameType]:
    """Return a frame and its callers, the innermost first, at most so many."""
    stack: list[FrameType] = []
    while frame is not None and len(stack) < most:
        stack.append(frame)
        frame = frame.f_back
    return stack


_translators: dict[str, Callable[[FrameType], Site | None]] = {}


def find_user_frame(frame: FrameType) -> FrameType:
    """Return the innermost frame at or above `frame` that is no library's; else `frame` itself."""
    return find_user_call(frame)[0]


def find_user_call(frame: FrameType) -> tuple[FrameType, FrameType | None]:
    """Return the innermost frame at or above `frame` that is no library's, and the library's frame that it called.

    Where every frame is a library's, it is `frame` itself that asked.
    """
    candidate: FrameType | None = frame
    called = None
    while candidate is not None:
        if is_users(candidate):
            return candidate, called
        called = candidate
        candidate = candidate.f_back
    return frame, None


def is_users(frame: FrameType) -> bool:
    """Tell whether `frame` runs code of the user's own."""
    filename = frame.f_code.co_filename
    foreign = _foreign.get(filename)
    if foreign is None:
        foreign = _judge(filename, frame)
    return not foreign or _is_own(frame)


def find_package(frame: FrameType) -> str:
    """Return the top-level package whose code `frame` runs."""
    name = frame.f_globals.get("__name__")
    return name.partition(".")[0] if isinstance(name, str) else ""


def _is_own(frame: FrameType) -> bool:
    """Tell whether the user has said that the package whose code `frame` runs is theirs."""
    own = os.environ.get(OWN_VARIABLE)
    return own is not None and find_package(frame) in [word.strip().strip("\"'") for word in own.split(",") if word]


def _judge(filename: str, frame: FrameType) -> bool:
    if filename.startswith("<") and filename.endswith(">"):
        return _is_pseudo_file_foreign(filename, frame)
    foreign = _foreign[filename] = is_foreign(filename)
    return foreign


def _is_pseudo_file_foreign(filename: str, frame: FrameType) -> bool:
    """Judge code without a file: frozen, a cell, or made by a library in the name of the module it is for."""
    if filename.startswith("<frozen "):
        return filename[len("<frozen ") : -1].partition(".")[0] in sys.stdlib_module_names
    if filename.startswith(("<safe_numpy ", "<__array_function__")):
        return True
    home = frame.f_globals.get("__file__")
    return isinstance(home, str) and is_foreign(home)


def is_foreign(filename: str) -> bool:
    """Tell whether a file is the standard library's, an installed package's or ours."""
    if any(mark in filename for mark in _PACKAGES):
        return True
    return filename.startswith((_STDLIB, _ZIPPED_STDLIB, _OURSELVES))


def translate(mark: str, translator: Callable[[FrameType], Site | None]) -> None:
    """Have `translator` say where a frame stands whose file name contains `mark`: code made from other code."""
    _translators[mark] = translator


def is_translated(code: CodeType) -> bool:
    """Tell whether `code` was made from other code, which is what its reader wrote."""
    return any(mark in code.co_filename for mark in _translators)


def locate(frame: FrameType, library: str = "") -> Site:
    """Return where `frame` stands, in the source that its reader wrote."""
    code = frame.f_code
    for mark, translator in _translators.items():
        if mark in code.co_filename:
            try:
                site = translator(frame)
            except Exception:
                continue  # the generated line is better than none
            if site is not None:
                return site
    return Site(code.co_filename, frame.f_lineno, code.co_name, library)
