"""Shown unasked: below the traceback of an uncaught error that no guard saw, in scripts and in threads.

Each hook calls the one that was there before it, first. If another one has been put on top of ours when it is taken
out, ours stays in the chain, and does nothing more than call the one before.
"""

from __future__ import annotations

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
            _print_unsaid(error)


_HOMES: tuple[Any, ...] = (sys, threading)
_links: list[_Link] = globals().get("_links") or []  # a reload of this module must not forget


def add_hooks() -> None:
    """Put our hooks on top, unless they are in the chain already."""
    if _links:
        return
    for home in _HOMES:
        link = _Link(home.excepthook)
        home.excepthook = link
        _links.append(link)


def remove_hooks() -> None:
    """Take our hooks out; one on top of which others have put theirs stays, and is silent."""
    for home, link in zip(_HOMES, _links, strict=False):
        link.active = False
        if home.excepthook is link:
            home.excepthook = link.previous
    _links.clear()


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
