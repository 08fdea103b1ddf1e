"""What is kept of a failed conversion until somebody reads the error: little, and neither a tensor nor a frame.

Most errors are caught and thrown away. What the line called the tensor, and where its gradient comes from, is found
when the error is read, along the traceback that it holds by then.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import CodeType, FrameType, TracebackType
from typing import Any, NamedTuple

from safe_numpy.callsite.frames import Position, Site, find_package, find_user_call, locate, unroll
from safe_numpy.diagnosis.causes import Plan
from safe_numpy.diagnosis.diagnosis import Diagnosis, make_diagnosis
from safe_numpy.diagnosis.facts import NOTHING_READ, Door, Problem, Reading, Remark, Subject
from safe_numpy.diagnosis.framework import Framework
from safe_numpy.late import LOADING

_OURSELVES = __name__.partition(".")[0]
_HELD_BY_US = 6
"""references to a temporary, as `capture` counts them: the guarded function's, those of `respond`, `_explain` and
`_capture`, and its own two"""


class Asking(NamedTuple):
    """Who asked for the array: the user's frame at this moment, and what it called."""

    frame: FrameType
    called: FrameType | None
    asks: bool
    library: str

    @classmethod
    def find(cls, caller: FrameType, array_code: CodeType | None) -> Asking:
        """Find the user's frame at or above `caller`, which called the guarded method.

        `array_code` is of the framework's own ``__array__``, which stands between a line and the guard as no library.
        """
        frame, called = find_user_call(caller)
        if called is None or called.f_code is array_code or find_package(called) == _OURSELVES:
            return cls(frame, None, frame is caller, "")
        return cls(frame, called, False, find_package(called))

    def get_position(self) -> Position:
        """Return the instruction that asked; it holds no frame."""
        frame = self.frame
        return Position(frame.f_code, frame.f_lasti, frame.f_lineno, self.asks)

    def get_site(self) -> Site:
        """Return the line that asked."""
        return locate(self.frame, self.library)


class Failure(NamedTuple):
    """A failed conversion."""

    framework: Framework
    plan: Plan
    order: tuple[str, ...]
    describe: Callable[[], Subject]
    find_tensor: Callable[[], Any]
    """gives the tensor, or None if it is gone"""
    clue: Any
    """what the framework remembers of a tensor that is going to be gone"""
    data: object | None
    """identifies the data of such a tensor"""
    position: Position
    site: Site
    array_nbytes: int
    remarks: tuple[Remark, ...]
    is_silent: bool = False
    """the stock conversion worked"""

    @classmethod
    def capture(
        cls, framework: Framework, x: Any, plan: Plan, door: Door, asking: Asking, remarks: tuple[Remark, ...] = ()
    ) -> Failure:
        """Keep what will be asked for; call it inside ``framework.undisturbed()``."""
        dies = sys.getrefcount(x) <= _HELD_BY_US
        return cls(
            framework,
            plan,
            framework.order(door),
            framework.describe(x),
            _refer(x),
            framework.remember(x) if dies else None,
            framework.identify_data(x) if dies and not asking.asks else None,
            asking.get_position(),
            asking.get_site(),
            count_copied(framework, x, plan),
            remarks,
        )

    def diagnose(self, traceback: TracebackType | None) -> Diagnosis:
        """Put together what can be said now, by the frames that `traceback` leads to."""
        reading = NOTHING_READ
        problems: Sequence[Problem] = self.plan.problems
        remarks: Sequence[Remark] = ()
        try:
            x = self.find_tensor()
            called, stack = self.position.split(unroll(traceback))
            if stack:
                reading = self._read(x, stack[0], called)
                problems, remarks = self.framework.look_closer(x, self.clue, problems, reading.path, stack)
        except Exception:  # what is there already is worth showing
            pass
        # what is right for an element is no fix for a list that is not to be found
        is_lost = self.plan.is_for_elements and reading.fix is None
        return make_diagnosis(
            replace(self.plan, problems=tuple(problems), array=None if is_lost else self.plan.array),
            self.describe(),
            self.order,
            reading=reading,
            site=self.site,
            array_nbytes=self.array_nbytes,
            remarks=(*self.remarks, *remarks),
            is_silent=self.is_silent,
        )

    def _read(self, x: Any, frame: FrameType, called: FrameType | None) -> Reading:
        if called is not None and called.f_code is self.framework.array_code:
            called = None
        data = self.data if x is None else self.framework.identify_data(x)
        return _read_site(x, data, self.plan, self.position, self.site, frame, called)


def count_copied(framework: Framework, x: Any, plan: Plan) -> int:
    """Return the bytes that the fix allocates for the array; 0 if it shares memory, or there is none."""
    return framework.result_nbytes(x, plan) if plan.copies and plan.array is not None else 0


def _refer(x: Any) -> Callable[[], Any]:
    try:
        return weakref.ref(x)
    except TypeError:  # a class with __slots__
        return lambda: None


def read_conversion(x: Any, plan: Plan, asking: Asking, site: Site) -> Reading:
    """Read the line that permissive mode is serving, while it runs; nothing if that fails."""
    try:
        return _read_site(x, None, plan, asking.get_position(), site, asking.frame, asking.called)
    except Exception:
        return NOTHING_READ


def digest_source(frame: FrameType) -> str:
    """Return the digest of the file that the code of `frame` was read from; nothing if that fails."""
    try:
        with LOADING:
            from safe_numpy.callsite import source as _source

        return _source.digest_file(frame)
    except Exception:
        return ""


def name_tree(frame: FrameType) -> str:
    """Return what the user calls the nesting that `frame` hands to `to_numpy`; ``tree`` where that is no name."""
    try:
        with LOADING:
            from safe_numpy.callsite import lookup as _lookup

        return _lookup.name_argument(frame, "to_numpy") or "tree"
    except Exception:
        return "tree"


def _read_site(
    x: Any, data: object, plan: Plan, position: Position, site: Site, frame: FrameType, called: FrameType | None
) -> Reading:
    with LOADING:
        from safe_numpy.callsite import (
            lookup as _lookup,  # here: it brings a parser along, for what most programs never ask
        )

    return _lookup.read_site(x, data, plan, position, site, frame, called)
