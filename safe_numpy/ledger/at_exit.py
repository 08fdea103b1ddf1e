"""``SAFE_NUMPY_REPORT``: the report of a process, printed or written when it ends.

A file is also written while the program runs, every few seconds at most: a process that is killed leaves what it knew.
"""

from __future__ import annotations

import atexit
import os
import sys
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from safe_numpy.config.setting import SWITCH, clean_word
from safe_numpy.messages.units import get_rank, show_controls
from safe_numpy.patching import when_imported

if TYPE_CHECKING:
    from safe_numpy.ledger.ledger import Ledger

VARIABLE = "SAFE_NUMPY_REPORT"
_OWNER = "SAFE_NUMPY_REPORT_OWNER"
"""the process that a ledger file is for by its very name; its children, which inherit this, write beside it"""

_SECONDS = 5.0
_SHARE = 50
"""writing takes at most the 50th part of the time"""


class _State:
    """What was arranged in this process."""

    def __init__(self) -> None:
        self.is_armed = False
        self.has_failed = False
        self.complaint = ""
        """what was last complained of, once"""


_state = _State()


def arm() -> None:
    """Arrange for the report, if the variable asks for one; harmless when called twice."""
    word = clean_word(os.environ.get(VARIABLE, ""))
    if _state.is_armed or not SWITCH.get(word, bool(word)):
        return
    _state.is_armed = True
    os.environ.setdefault(_OWNER, str(os.getpid()))
    atexit.register(deliver)
    # Before Python 3.13 a child that multiprocessing forked ends without its atexit functions, but with its own
    # finalizers (https://github.com/python/cpython/issues/83856).
    when_imported(
        "multiprocessing.util",
        lambda util: util.register_after_fork(_state, lambda state: util.Finalize(None, deliver, exitpriority=0)),
    )


def watch(ledger: Ledger) -> None:
    """Look at the variable whenever something is converted at a new instruction, and keep the file up to date."""

    def notice() -> None:
        arm()
        if _state.is_armed and ledger.due == float("inf") and not _state.has_failed and _is_kept_up():
            ledger.due = 0.0

    def keep() -> None:
        begun = time.perf_counter()
        deliver(is_complete=False)
        file_seconds = time.perf_counter() - begun
        ledger.due = float("inf") if _state.has_failed else time.time() + max(_SECONDS, _SHARE * file_seconds)

    ledger.on_instruction, ledger.on_due = notice, keep


def deliver(is_complete: bool = True) -> None:
    """Print or write the report of this process. Never raises."""
    file = _find_file()
    try:
        from safe_numpy.ledger.ledger import LEDGER
        from safe_numpy.ledger.report import make_report

        report = make_report(LEDGER.list_records(), is_complete)
        if file is not None and (report.records or _is_owner()):
            report.to_json(file)
        elif file is None and (report.records or _is_owner()) and sys.stderr is not None:
            who = "" if _is_owner() else f" (pid {os.getpid()})"
            print(f"\nsafe_numpy{who}: {report}", file=sys.stderr, flush=True)
    except Exception as error:
        _state.has_failed = True
        _complain(f"{VARIABLE}: the report could not be written{f' to {file}' if file else ''}: {error}")


def _complain(text: str) -> None:
    if text == _state.complaint:
        return
    _state.complaint = text
    text = show_controls(text)
    try:
        warnings.warn(text, RuntimeWarning, stacklevel=2)
    except Exception:  # the user's filters make an error of it, which nobody could catch here
        print(f"safe_numpy: {text}", file=sys.stderr)


def _is_kept_up() -> bool:
    """Tell whether the report goes to a file that may be written several times: a pipe gets the last one alone."""
    file = _find_file()
    if file is None:
        return False
    from safe_numpy.ledger.files import can_replace

    return can_replace(file)


def _is_owner() -> bool:
    return os.environ.get(_OWNER) == str(os.getpid())


def _find_file() -> Path | None:
    """Return the file to write; None: the report is to be printed."""
    word = os.environ.get(VARIABLE, "").strip().strip("\"'")
    if not word or clean_word(word) in SWITCH:
        return None
    path = Path(word).expanduser()
    rank = get_rank()
    marks = ([] if rank is None else [f"rank{rank}"]) + [f"pid{os.getpid()}"]
    if word.endswith(("/", os.sep)) or path.is_dir():
        return path / ".".join(["ledger", *marks, "json"])
    if _is_owner() and rank is None:
        return path
    return path.with_name(".".join([path.stem, *marks]) + (path.suffix or ".json"))
