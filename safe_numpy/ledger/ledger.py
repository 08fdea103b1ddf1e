"""What permissive mode converted, per call site. Holds no tensor, no array and no frame.

Writers take turns; readers wait for nobody: what is counted of a site is one tuple, replaced as a whole.
"""

from __future__ import annotations

import math
import operator
import os
import threading
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from time import time
from types import CodeType, FrameType
from typing import NamedTuple, TypeVar

from safe_numpy.diagnosis.causes import Plan
from safe_numpy.diagnosis.facts import Edit, Site

MOST_SITES = 10_000
_MOST_CONVERSIONS = 16
"""at one instruction"""

_Item = TypeVar("_Item")

OTHER_SITES = Site("other", 0, "")
"""all the sites beyond those"""


BOOKED_OBSTACLES: dict[str, str] = {
    "unread": "the line does not say which expression is the tensor",
    "learnt": "a gradient is computed of the result, and no array has one: stay with tensors there",
    "conflict": "tensors of different dtypes or layouts came by, and no one expression is right for all",
    "versions": "several versions of the file ran",
}
"""why a line cannot be rewritten, as far as that is known when it is booked"""


class Figures(NamedTuple):
    """What is counted."""

    times: int = 0
    explicit: int = 0
    """how many of them were asked for by ``numpy()``"""
    nbytes: int = 0
    """bytes of the arrays"""
    allocated: int = 0
    """bytes of those arrays that are copies"""
    moved: tuple[tuple[str, int], ...] = ()
    """bytes that left a device, by device"""
    seconds: float = 0.0
    """time that the program waited for the conversions"""
    first: float = 0.0
    """seconds since the epoch"""
    last: float = 0.0

    def merge(self, other: Figures) -> Figures:
        """Return the figures of both."""
        if not self.times or not other.times:
            return self if self.times else other
        moved = self.moved
        for device, nbytes in other.moved:
            moved = _add_moved(moved, device, nbytes)
        times, explicit, nbytes, allocated = map(operator.add, self[:4], other[:4])
        span = self.seconds + other.seconds, min(self.first, other.first), max(self.last, other.last)
        return Figures(times, explicit, nbytes, allocated, moved, *span)


NO_FIGURES = Figures()


@dataclass(frozen=True, slots=True)
class Record:
    """What was converted at one line of code, and what is known of it."""

    site: Site
    figures: Figures = NO_FIGURES
    kinds: tuple[str, ...] = ()
    """kinds of problems that were met"""
    names: tuple[str, ...] = ()
    """the user's expressions for the tensors"""
    libraries: tuple[str, ...] = ()
    """who asked on the line's behalf"""
    fix: str = ""
    """the code to write instead"""
    edits: tuple[Edit, ...] = ()
    """what to change in the file; several for one instruction, if tensors there needed different things"""
    obstacle: str = ""
    """why the edits are not all there is to do: a key of `BOOKED_OBSTACLES`"""
    file_digest: str = ""
    """of the text that ran; see `digest_lines`"""
    solved: int = 0
    """how many problems `fix` is for"""

    @property
    def key(self) -> tuple[str, int, str]:
        """What the same line has in every process."""
        return self.site.filename, self.site.lineno, self.site.function

    def merge(self, other: Record) -> Record:
        """Return what was converted here and in `other`, of the same line."""
        larger = max((self, other), key=lambda record: record.solved)
        is_same = not self.file_digest or not other.file_digest or self.file_digest == other.file_digest
        return Record(
            self.site,
            self.figures.merge(other.figures),
            join(self.kinds, other.kinds),
            join(self.names, other.names),
            join(self.libraries, other.libraries),
            larger.fix,
            join(self.edits, other.edits),
            self.obstacle or other.obstacle or ("" if is_same else "versions"),
            self.file_digest or other.file_digest,
            larger.solved,
        )


class Entry:
    """The conversions at one line of code, still being written to."""

    __slots__ = ("counted", "record", "warned")

    def __init__(self, site: Site, warned: bool = False) -> None:
        self.record = Record(site)
        """what is known of the line; replaced as a whole"""
        self.counted: tuple[int, int, int, int, tuple[tuple[str, int], ...], float, float, float] = NO_FIGURES
        """the fields of its `Figures`; a plain tuple, since one is made for every conversion"""
        self.warned = warned

    def make_record(self) -> Record:
        """Return what was counted here, and what is known of it."""
        site = replace(self.record.site, library="", code=None)
        return replace(self.record, site=site, figures=Figures(*self.counted))


class Instruction:
    """An instruction that converts, and what it is known to have met; several may stand in one line."""

    __slots__ = ("code", "entry", "expression", "is_kept", "look_at", "met", "plan")

    def __init__(self, entry: Entry, code: CodeType, is_kept: bool) -> None:
        self.entry = entry
        self.code = code  # keeps the id in the key from being used again
        self.is_kept = is_kept
        """False: the ledger is full, and nobody will remember what was met here"""
        self.met: set[str | None] = set()
        """the conversions"""
        self.plan: Plan | None = None
        """what is right for all that was converted here, as far as one expression is"""
        self.expression = ""
        """what the line calls the tensor, with its ``.numpy()`` where the line says that itself"""
        self.look_at = 0
        """how many steps of an optimizer there have to be before a cut gradient is worth a look"""

    @property
    def is_settled(self) -> bool:
        """There is no use in looking at more conversions here."""
        return not self.is_kept or len(self.met) >= _MOST_CONVERSIONS


class Ledger:
    """One entry per line of code that converts, at most `most` of them, then one for all the others."""

    def __init__(self, most: int = MOST_SITES) -> None:
        self.most = most
        self._entries: dict[object, Entry] = {}
        self.instructions: dict[tuple[int, int], Instruction] = {}
        """by id of the code and offset of the instruction; that of the same call changes when it is specialised"""
        self._lock = threading.RLock()  # a signal handler, or a __del__, may convert while this thread holds it
        self.due = math.inf
        """when `on_due` is to be called next, in seconds since the epoch"""
        self.on_due: Callable[[], None] = lambda: None
        self.on_instruction: Callable[[], None] = lambda: None
        """called with every new instruction"""

    def add_instruction(self, frame: FrameType, site: Site) -> Instruction:
        """Return the instruction where `frame` stands, in the entry of its line; or that of all the other sites."""
        code = frame.f_code
        key = (id(code), site.lineno)  # the entry's site keeps the code, and so the id
        with self._lock:
            entry = self._entries.get(key)
            if entry is None and len(self._entries) < self.most:
                if os.path.isfile(site.filename):
                    site = replace(site, filename=os.path.abspath(site.filename))  # the directory may change
                entry = self._entries[key] = Entry(site)
            if entry is None:
                entry = self._entries.setdefault(None, Entry(OTHER_SITES, warned=True))
            is_kept = entry.record.site is not OTHER_SITES and len(self.instructions) < 4 * self.most
            instruction = Instruction(entry, code, is_kept)
            if is_kept:
                self.instructions[id(code), frame.f_lasti] = instruction
        self.on_instruction()
        return instruction

    def note(self, instruction: Instruction, conversion: str | None, found: Record) -> None:
        """Enter what was found out about a conversion, beside what was known of its line."""
        entry = instruction.entry
        with self._lock:
            instruction.met.add(conversion)
            entry.record = entry.record.merge(found)

    def add(
        self, entry: Entry, is_explicit: bool, nbytes: int, allocated: int, device: str, moved: int, seconds: float
    ) -> None:
        """Count one conversion."""
        now = time()
        with self._lock:
            count, explicit, all_nbytes, all_allocated, all_moved, all_seconds, first, _ = entry.counted
            entry.counted = (
                count + 1,
                explicit + is_explicit,
                all_nbytes + nbytes,
                all_allocated + allocated,
                _add_moved(all_moved, device, moved) if device else all_moved,
                all_seconds + seconds,
                first or now,
                now,
            )
        if now >= self.due:
            self.due = math.inf  # one thread does it
            self.on_due()

    def list_records(self, reset: bool = False) -> list[Record]:
        """Return what was counted; begin anew if `reset`: nothing is counted twice, nothing is lost."""
        with self._lock if reset else nullcontext():  # readers wait for nobody
            counted = [entry for entry in self._entries.copy().values() if entry.counted[0]]
            records = [entry.make_record() for entry in counted]
            for entry in counted if reset else ():
                entry.counted = NO_FIGURES
        return records

    def clear(self) -> None:
        """Forget everything, also what was warned about."""
        with self._lock:
            self._entries.clear()
            self.instructions.clear()

    def start_child(self) -> None:
        """Begin anew in a forked process, whose parent keeps its own ledger, and may have held the lock."""
        self._lock = threading.RLock()
        for entry in self._entries.values():
            entry.counted = NO_FIGURES
        self.due = math.inf if self.due == math.inf else 0.0


def join(known: Iterable[_Item], more: Iterable[_Item]) -> tuple[_Item, ...]:
    """Return what is in either, once, in the order in which it was met."""
    return tuple(dict.fromkeys((*known, *more)))


def _add_moved(moved: Iterable[tuple[str, int]], device: str, nbytes: int) -> tuple[tuple[str, int], ...]:
    totals = dict(moved)
    totals[device] = totals.get(device, 0) + nbytes
    return tuple(totals.items())


LEDGER = Ledger()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=LEDGER.start_child)
