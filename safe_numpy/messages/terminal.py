"""When to colour: only what the interpreter itself is about to print to a terminal."""

from __future__ import annotations

import os
import sys
from types import FrameType


def is_displayed(frame: FrameType) -> bool:
    """Tell whether the interpreter is displaying an uncaught error, whose ``__str__`` runs in `frame`.

    It calls ``__str__`` with no Python code in between but our hook, or, since Python 3.13, from a function of
    `traceback`. Anybody else may want the text for a file.
    """
    caller = frame.f_back
    while caller is not None and caller.f_globals.get("__name__") == "safe_numpy.postmortem.excepthook":
        caller = caller.f_back
    if caller is None:
        return True
    while caller is not None:
        if caller.f_code.co_name == "_print_exception_bltin":
            return True
        caller = caller.f_back
    return False


def wants_colour() -> bool:
    """Tell whether what is printed to stderr is to be coloured.

    ``NO_COLOR`` (https://no-color.org) and ``FORCE_COLOR`` (https://force-color.org) overrule the look at the stream.
    """
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    stream = sys.stderr
    return stream is not None and stream.isatty() and os.environ.get("TERM") != "dumb"
