"""What is kept of a failed conversion until somebody reads the error, and what a guarded method is to do meanwhile.

Most errors are caught and thrown away. What the line called the tensor, and where its gradient comes from, is found
when the error is read, along the traceback that it holds by then.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, NamedTuple, TypeVar

from safe_numpy.callsite.frames import find_caller_in, unroll
from safe_numpy.diagnosis.causes import Plan
from safe_numpy.diagnosis.diagnosis import Diagnosis, make_diagnosis
from safe_numpy.diagnosis.facts import NOTHING_READ, Problem, Site
from safe_numpy.diagnosis.framework import Framework, Introspection
from safe_numpy.patching import LOADING

_Answer = TypeVar("_Answer")


class Outcome:
    """Let the stock error pass, raise another one, or return a value.

    The error is handed over, not shared: a frame that kept it would stand in the traceback that the error holds, and
    that circle would keep the tensor alive until the next garbage collection. The guarded function takes it when it has
    let go of the tensor, so that it shows then whether anybody else has hold of that.
    """

    __slots__ = ("_error", "_introspection", "cause", "lets_pass", "value")

    def __init__(
        self,
        value: Any = None,
        error: Exception | None = None,
        cause: Exception | None = None,
        lets_pass: bool = False,
        introspection: Introspection | None = None,
    ) -> None:
        self.value = value
        """the array; at the DLPack door, the tensor to export"""
        self.cause = cause
        self.lets_pass = lets_pass
        self._error = error
        self._introspection = introspection

    @property
    def is_error(self) -> bool:
        """Whether there is an error to raise."""
        return self._error is not None

    def take_error(self) -> Exception:
        """Return the error to raise, once."""
        error, self._error = self._error, None
        if error is None:
            raise AssertionError("the error was taken already")
        try:
            if self._introspection is not None:
                self._introspection.let_go()
        except Exception:  # less is known of the tensor, then
            pass
        return error


STOCK = Outcome(lets_pass=True)
"""the stock error is to pass as it is"""


class Failure(NamedTuple):
    """A failed conversion. Holds neither a tensor nor a frame."""

    framework: Framework
    plan: Plan
    introspection: Introspection
    site: Site
    remarks: tuple[str, ...] = ()
    is_hazard: bool = False
    """the stock conversion worked"""

    def diagnose(self, traceback: TracebackType | None) -> Diagnosis:
        """Put together what can be said now, by the frames that `traceback` leads to."""
        reading, plan, site = NOTHING_READ, self.plan, self.site
        problems: Sequence[Problem] = plan.problems
        remarks: Sequence[str] = ()
        sharer = None
        try:
            caller, stack = find_caller_in(unroll(traceback), site, self.framework.array_code)
            if caller is not None:
                site = site if caller.frame.f_code is site.code else caller.make_site()
                reading = read_source(
                    lambda lookup: lookup.read_site(self.introspection, plan, site, caller, stack, traceback),
                    NOTHING_READ,
                )
                if reading.keeps == "array" and not (plan.copies or reading.stays or self.is_hazard):
                    with self.framework.undisturbed():
                        sharer = self.introspection.find_sharer(caller.frame)
                problems, remarks = self.introspection.look_closer(problems, reading.path, stack)
        except Exception:  # what is there already is worth showing
            pass
        # what is right for an element is no fix for a list that is not to be found
        is_lost = plan.is_for_elements and reading.fix is None
        plan = replace(plan, problems=tuple(problems), array=None if is_lost else plan.array)
        remarks = (*self.remarks, *remarks)
        return make_diagnosis(plan, reading, site, remarks, self.is_hazard, bool(self.remarks), sharer)


def read_source(question: Callable[[Any], _Answer], otherwise: _Answer) -> _Answer:
    """Ask the module that reads source; it brings a parser along, for what most programs never ask.

    `otherwise` is returned if that fails.
    """
    try:
        with LOADING:
            from safe_numpy.callsite import lookup

        return question(lookup)
    except Exception:
        return otherwise
