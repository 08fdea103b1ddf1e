"""Shown unasked: below the traceback of an uncaught error that no guard saw, in scripts and in threads.

Each hook calls the one that was there before it, first. If another one has been put on top of ours when it is taken
out, ours stays in the chain, and does nothing more than call the one before. One that is put on top and calls nobody,
as rich's does, keeps ours from being asked: so the error that ended a script is looked for once more at its end.
"""

from __future__ import annotations

import atexit
import sys
import threading
from collections.abc import Callable
from typing import Any


class _Link:
    """One hook of ours, and the one that was there before it.

    A new one for each time that we are installed: an old one may still be in the chain, below somebody else's.
    """

    def __init__(self, previous: Callable[..., Any]) -> None:
        self.previous = previous
        self.active = True

    def __call__(self, *arguments: Any) -> None:
        self.previous(*arguments)
        error = arguments[1] if len(arguments) > 1 else arguments[0].exc_value  # sys's hook has three, threading's one
        if self.active and error is not None:
            _seen[:] = [id(error)]
            _print_unsaid(error)


_HOMES: tuple[Any, ...] = (sys, threading)
_links: list[_Link] = globals().get("_links") or []  # a reload of this module must not forget
_seen: list[int] = globals().get("_seen") or []
"""the id of the last error that our hooks were asked about"""


def add_hooks() -> None:
    """Put our hooks on top, unless they are in the chain already."""
    if _links:
        return
    for home in _HOMES:
        link = _Link(home.excepthook)
        home.excepthook = link
        _links.append(link)
    atexit.register(print_last)


def remove_hooks() -> None:
    """Take our hooks out; one on top of which others have put theirs stays, and is silent."""
    for home, link in zip(_HOMES, _links, strict=False):
        link.active = False
        if home.excepthook is link:
            home.excepthook = link.previous
    _links.clear()
    atexit.unregister(print_last)


def print_last() -> None:
    """Print what is to be said of the error that ended a script, if another hook kept ours from being asked.

    The interpreter notes it as the last one before it calls any hook
    (https://github.com/python/cpython/blob/v3.13.5/Python/pythonrun.c#L900-L1003).
    """
    error = getattr(sys, "last_value", None)
    is_prompt = hasattr(sys, "ps1") or bool(sys.flags.interactive)  # where errors do not end the program
    # debuggers and test runners note errors too, which ended nothing: they leave the hook alone
    is_covered = sys.excepthook is not sys.__excepthook__ and not isinstance(sys.excepthook, _Link)
    if _links and is_covered and error is not None and not is_prompt and id(error) not in _seen:
        _print_unsaid(error)


def _print_unsaid(error: BaseException) -> None:
    """Print what the error itself does not say already."""
    if sys.stderr is None or not isinstance(error, Exception):
        return  # after KeyboardInterrupt, code that is run here would change the exit status
    try:
        from safe_numpy.config.modes import Mode, get_mode
        from safe_numpy.messages.layout import wants_colour
        from safe_numpy.postmortem.why import find_unsaid

        explanation = find_unsaid(error) if get_mode() is not Mode.OFF else None
        if explanation is not None:
            text = explanation.compose().to_ansi() if wants_colour() else str(explanation)
            print(f"\n{text}", file=sys.stderr, flush=True)
    except Exception:
        return  # the traceback has been shown: nothing of ours may add another
