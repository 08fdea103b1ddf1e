"""Whose line: the frame of the user's own code that asked for the array. Imports nothing of ours."""

from __future__ import annotations

import os
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


def locate(frame: FrameType) -> Site:
    """Return where `frame` stands."""
    code = frame.f_code
    return Site(code.co_filename, frame.f_lineno, code.co_name)


def _is_foreign(filename: str) -> bool:
    if filename.startswith(("<frozen ", "<safe_numpy ", "<__array_function__")):
        return True
    if filename.startswith((_STDLIB, _OURSELVES)):
        return True
    return any(mark in filename for mark in _PACKAGES)
