"""What permissive mode converted, per call site. Holds no tensor, no array and no frame."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import CodeType, FrameType
from typing import Any

from safe_numpy import _wording
from safe_numpy._callsite import Site, locate
from safe_numpy._steps import Plan

_MOST_SITES = 10_000


@dataclass(slots=True)
class Entry:
    """The conversions at one call site."""

    site: Site
    kinds: tuple[str, ...]
    """kinds of problems, as the first conversion met them"""
    fix: str
    """the code to write instead"""
    count: int = 0
    nbytes: int = 0
    """bytes of all the arrays together"""
    warned: bool = False
    code: CodeType | None = field(default=None, repr=False)  # keeps the id in the key from being used again


@dataclass(frozen=True, slots=True)
class Report:
    """What permissive mode converted so far."""

    entries: tuple[Entry, ...]

    def __str__(self) -> str:
        return _wording.report(self)

    def _repr_html_(self) -> str:
        return _wording.report_in_html(self)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(str(self))  # what an IPython prompt shows


class Ledger:
    """The book: one entry per line of code that converts, at most `most` of them, then one for all the others."""

    def __init__(self, most: int = _MOST_SITES) -> None:
        self._entries: dict[object, Entry] = {}
        # Where in the code a call stands changes when the interpreter specialises it, and its line costs time to find:
        # so the places that were met are remembered beside the lines.
        self._places: dict[tuple[int, int], Entry] = {}
        self._most = most
        self._lock = threading.Lock()

    def book(self, frame: FrameType, plan: Plan, nbytes: int) -> Entry:
        """Enter a conversion asked for by `frame`; return the entry of that call site."""
        place = (id(frame.f_code), frame.f_lasti)
        with self._lock:
            entry = self._places.get(place)
            if entry is None:
                entry = self._find(frame, plan)
                if len(self._places) < 4 * self._most:
                    self._places[place] = entry
            entry.count += 1
            entry.nbytes += nbytes
        return entry

    def _find(self, frame: FrameType, plan: Plan) -> Entry:
        key = (id(frame.f_code), frame.f_lineno)
        entry = self._entries.get(key)
        if entry is None and len(self._entries) < self._most:
            kinds = tuple(p.kind for p in plan.problems)
            entry = self._entries[key] = Entry(locate(frame), kinds, plan.render("x") or "", code=frame.f_code)
        if entry is None:
            other = Entry(Site("other", 0, ""), (), "", warned=True)
            entry = self._entries.setdefault(None, other)
        return entry

    def __iter__(self) -> Iterator[Entry]:
        return iter(sorted(self._entries.copy().values(), key=lambda e: -e.nbytes))

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()
            self._places.clear()


LEDGER = Ledger()


def report() -> Report:
    """Return what permissive mode converted so far, the costliest call sites first."""
    return Report(tuple(LEDGER))
