"""Whose line: the frame of the user's own code that asked for the array. Imports nothing of ours."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType

_STDLIB = os.path.dirname(os.__file__) + os.sep
_OURSELVES = os.path.dirname(__file__) + os.sep
_PACKAGES = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")

_foreign: dict[str, bool] = {}  # one entry per source file that was ever met on the way


@dataclass(frozen=True, slots=True)
class Site:
    """A line of code."""

    filename: str
    lineno: int
    function: str


_translators: dict[str, Callable[[FrameType], Site | None]] = {}


def find_user_frame(frame: FrameType) -> FrameType:
    """Return the innermost frame at or above `frame` that is no library's; else `frame` itself."""
    candidate: FrameType | None = frame
    while candidate is not None:
        filename = candidate.f_code.co_filename
        foreign = _foreign.get(filename)
        if foreign is None:
            foreign = _foreign[filename] = _is_foreign(filename)
        if not foreign:
            return candidate
        candidate = candidate.f_back
    return frame


def translate(mark: str, translator: Callable[[FrameType], Site | None]) -> None:
    """Have `translator` say where a frame stands whose file name contains `mark`: code made from other code."""
    _translators[mark] = translator


def locate(frame: FrameType) -> Site:
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
    return Site(code.co_filename, frame.f_lineno, code.co_name)


def _is_foreign(filename: str) -> bool:
    if filename.startswith(("<frozen ", "<safe_numpy ", "<__array_function__")):
        return True
    if filename.startswith((_STDLIB, _OURSELVES)):
        return True
    return any(mark in filename for mark in _PACKAGES)
