"""What permissive mode converted, per call site. Holds no tensor, no array and no frame."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import CodeType, FrameType

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


class Ledger:
    """The book: one entry per call site, at most `most` of them, then one for all the others."""

    def __init__(self, most: int = _MOST_SITES) -> None:
        self._entries: dict[object, Entry] = {}
        self._most = most
        self._lock = threading.Lock()

    def book(self, frame: FrameType, plan: Plan, nbytes: int) -> Entry:
        """Enter a conversion asked for by `frame`; return the entry of that call site."""
        code, offset = frame.f_code, frame.f_lasti
        key: object = (id(code), offset)
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                entry = self._open(key, frame, plan)
            entry.count += 1
            entry.nbytes += nbytes
        return entry

    def _open(self, key: object, frame: FrameType, plan: Plan) -> Entry:
        if len(self._entries) >= self._most:
            other = self._entries.get(None)
            if other is None:
                other = self._entries[None] = Entry(Site("other", 0, ""), (), "", warned=True)
            return other
        entry = Entry(locate(frame), tuple(p.kind for p in plan.problems), plan.render("x") or "", code=frame.f_code)
        self._entries[key] = entry
        return entry

    def __iter__(self) -> Iterator[Entry]:
        return iter(sorted(self._entries.copy().values(), key=lambda e: -e.nbytes))

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()


LEDGER = Ledger()


def report() -> Report:
    """Return what permissive mode converted so far, the costliest call sites first."""
    return Report(tuple(LEDGER))
