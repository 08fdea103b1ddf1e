"""What a door does when the stock code fails: diagnose, and act by mode. Knows no framework.

The rule above all others: if anything of ours fails, the user's original error comes out.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from dataclasses import replace
from types import FrameType
from typing import Any

from safe_numpy.callsite.frames import Caller, find_caller, find_direct_caller
from safe_numpy.config.modes import DTYPE, MODE, ONLY, Mode
from safe_numpy.diagnosis.causes import Plan
from safe_numpy.diagnosis.diagnosis import Diagnosis, make_diagnosis
from safe_numpy.diagnosis.facts import Door, Kind, Problem, Reading
from safe_numpy.diagnosis.framework import Framework
from safe_numpy.diagnosis.memory import find_limit
from safe_numpy.errors.base import ConversionError
from safe_numpy.errors.pages import ConversionWarning, HazardWarning, SilentError, make_error
from safe_numpy.guard.convert import INSIDE, convert, direct_plan
from safe_numpy.guard.failure import STOCK, Failure, Outcome, read_source
from safe_numpy.guard.warn import FindDetail, HazardMemory
from safe_numpy.ledger.baseline import Baseline
from safe_numpy.messages import phrases
from safe_numpy.messages.units import format_bytes

_NUMPY, _PERMISSIVE = Door.NUMPY, Mode.PERMISSIVE
"""where a conversion passes: to look a member up in its enumeration takes 50 ns"""


class Guard:
    """Answers for the doors of one framework."""

    def __init__(self, framework: Framework) -> None:
        self.framework = framework
        self.active = True
        """False once uninstalled: another library may still hold the guarded functions"""
        self._hazards = HazardMemory()

    def respond(
        self, error: Exception, x: Any, door: Door, may_copy: bool = True, finish: Callable[[Any], Any] | None = None
    ) -> Outcome:
        """Say what the guarded function, which calls this, is to do about a stock `error`.

        `finish` makes of what was converted what the function returns.
        """
        if isinstance(error, ConversionError) or INSIDE.busy or not self.active:
            return STOCK
        try:
            INSIDE.busy = True
            mode = MODE.get()
            if mode is Mode.OFF:
                return STOCK
            direct = find_direct_caller(2)
            if direct.f_code is self.framework.array_code:
                door = Door.ARRAY
            plan = examine(self.framework, x, door)
            if not plan.problems:
                return STOCK
            if mode is _PERMISSIVE and plan.copies and not may_copy:
                plan = plan.refuse()
            if mode is not _PERMISSIVE or plan.is_refused or _is_unwanted(door):
                return self._explain(error, x, door, direct, plan)
            try:
                return Outcome(convert(self.framework, x, door, direct, plan, finish))
            except (ConversionWarning, HazardWarning) as warning:  # the user's filters make errors of our warnings
                return Outcome(error=warning, cause=error)
            except Exception as failure:
                return self._explain(error, x, door, direct, plan.refuse(), phrases.note_failed_conversion(failure))
        except Exception as own:
            with contextlib.suppress(Exception):  # where memory or the stack is full, this fails too
                note = phrases.note_own_failure(own)
                if note not in getattr(error, "__notes__", ()):  # a subclass's numpy() comes by here twice
                    error.add_note(note)
            return STOCK
        finally:
            INSIDE.busy = False

    def check(self, x: Any, door: Door) -> Outcome | None:
        """Return the error to raise, as an outcome, for a conversion that worked, where strict mode finds it wrong."""
        if INSIDE.busy or not self.active or MODE.get() is not Mode.STRICT:
            return None
        try:
            INSIDE.busy = True
            direct = find_direct_caller(2)
            if direct.f_code is self.framework.array_code:
                door = Door.ARRAY
            with self.framework.undisturbed():
                plan = self.framework.plan_hazards(x, door)
            if not plan.problems:
                return None
            failure = self._capture(x, door, find_caller(direct, self.framework.array_code), plan, is_hazard=True)
            return refuse_hazard(failure, door.call)
        except Exception:
            return None  # the conversion worked: nothing of ours may spoil it
        finally:
            INSIDE.busy = False

    def warn_hazard(self, x: Any, template: str, find_detail: FindDetail = lambda frame: "") -> None:
        """Warn, once per call site, of what was lost in a conversion that worked; called by the guarded function.

        `template` is the sentence, over ``{subject}`` and ``{detail}``; if `find_detail` gives None, nothing was lost.
        """
        if INSIDE.busy or not self.active:
            return
        try:
            INSIDE.busy = True
            if MODE.get() is not Mode.OFF:
                self.warn_hazard_at(find_caller(find_direct_caller(2)).frame, x, template, find_detail)
        except HazardWarning:
            raise  # the user's filters make errors of our warnings
        except Exception:
            return  # the conversion worked: nothing of ours may spoil it
        finally:
            INSIDE.busy = False

    def warn_hazard_at(self, frame: FrameType, x: Any, template: str, find_detail: FindDetail) -> None:
        """Do so for the line that `frame` runs.

        Raises:
            HazardWarning: the user's filters make errors of our warnings.
        """
        self._hazards.warn(frame, x, template, find_detail)

    def permits(self, x: Any, door: Door) -> bool:
        """Tell whether a conversion of `x` at `door` would be made, here and now; never raises."""
        if INSIDE.busy or not self.active:
            return False
        try:
            if MODE.get() is not _PERMISSIVE or _is_unwanted(door):
                return False
            return not examine(self.framework, x, door).is_refused
        except Exception:
            return False

    def convert_permitted(self, x: Any, door: Door) -> Any:
        """Convert `x`, which `permits` allowed, without an error to answer; called by the guarded function.

        Returns NotImplemented if the conversion itself fails: stock, which gives no error here, is asked instead.
        """
        try:
            INSIDE.busy = True
            return convert(self.framework, x, door, find_direct_caller(2), examine(self.framework, x, door))
        except (ConversionWarning, HazardWarning):
            raise
        except Exception:
            return NotImplemented
        finally:
            INSIDE.busy = False

    def convert_ahead(self, x: Any, plan: Plan) -> Any:
        """Convert `x` by the plan that was foreseen, without asking the stock code first.

        Returns NotImplemented where that is not this guard's business now, as inside no_grad, where nothing is wrong;
        or where it fails, be it since the user's filters make an error of our warning. Then stock's own comes first.
        """
        if not plan.problems or INSIDE.busy or not self.active or MODE.get() is not _PERMISSIVE:
            return NotImplemented
        try:
            INSIDE.busy = True
            # as `find_direct_caller`, in a fifth of its time: ``numpy()`` calls this, and nothing of ours calls that
            direct, door = sys._getframe(2), _NUMPY
            if direct.f_code is self.framework.array_code:
                door = Door.ARRAY
                if _is_unwanted(door):
                    return NotImplemented
            return convert(self.framework, x, door, direct, plan)
        except Exception:
            return NotImplemented
        finally:
            INSIDE.busy = False

    def _explain(self, error: Exception, x: Any, door: Door, direct: FrameType, plan: Plan, note: str = "") -> Outcome:
        caller = find_caller(direct, self.framework.array_code)
        plan = direct_plan(plan, door, caller)
        failure = self._capture(x, door, caller, plan, _find_remarks(plan, door))
        if plan.headline is None:
            raise ValueError("a tensor without problems has no error to explain")
        explained = make_error(error, plan.headline.kind, failure.diagnose, failure.site)
        if note:
            explained.add_note(note)
        return Outcome(error=explained, introspection=failure.introspection)

    def _capture(
        self, x: Any, door: Door, caller: Caller, plan: Plan, remarks: tuple[str, ...] = (), is_hazard: bool = False
    ) -> Failure:
        framework = self.framework
        with framework.undisturbed():
            if door is Door.DLPACK:
                # A capsule may stay on its device; the array that the reader is after may not.
                whole = (framework.plan_hazards if is_hazard else framework.plan)(x, Door.NUMPY)
                plan = replace(whole, problems=plan.problems, headline=plan.headline, is_refused=plan.is_refused)
            return Failure(framework, plan, framework.introspect(x), caller.make_site(), remarks, is_hazard)


def refuse_hazard(failure: Failure, call: str) -> Outcome | None:
    """Return the error for a conversion that worked and should not, as an outcome, unless the baseline accepts it."""
    problems, baseline = failure.plan.problems, Baseline.active
    if baseline is not None and baseline.accepts(failure.site, [p.cause for p in problems]):
        return None
    text = phrases.say_hazard(problems[0].kind, call)
    error = SilentError(text, failure.diagnose, failure.site)
    return Outcome(error=error, introspection=failure.introspection)


def examine(framework: Framework, x: Any, door: Door = Door.NUMPY) -> Plan:
    """Return what stops `x` at `door` and what cures it; refused if the array would not fit into memory."""
    with framework.undisturbed():
        plan = framework.plan(x, door)
    if _is_undecided(plan):
        plan = plan.refuse()
    is_open = plan.problems and plan.array_nbytes and not plan.is_refused
    limit = find_limit(plan.array_nbytes) if is_open else None
    if limit is None:
        return plan
    facts = {"needed": format_bytes(plan.array_nbytes), "limit": format_bytes(limit)}
    return plan.refuse(Problem(plan.problems[-1].kind, "too_large", phrases.TOO_LARGE, facts, is_refused=True))


def _is_unwanted(door: Door) -> bool:
    """Tell whether permissive mode is to leave a conversion alone, since nobody has written it out."""
    return not door.is_explicit and ONLY.get() == "explicit"


def _is_undecided(plan: Plan) -> bool:
    """Tell whether the conversion would change the dtype, and the user is to say to which."""
    return DTYPE.get() == "raise" and plan.array is not None and any(p.kind is Kind.DTYPE for p in plan.problems)


def _find_remarks(plan: Plan, door: Door) -> tuple[str, ...]:
    """Return what is to be said where permissive mode was told not to convert."""
    if MODE.get() is not _PERMISSIVE:
        return ()
    if _is_unwanted(door):
        return (phrases.IMPLICIT,)
    return (phrases.UNDECIDED,) if _is_undecided(plan) else ()


def diagnose_tensor(framework: Framework, x: Any, name: str | None) -> Diagnosis:
    """Look at a tensor of `framework`; see `safe_numpy.diagnose`."""
    return make_diagnosis(examine(framework, x), Reading(name))


def convert_tensor(framework: Framework, x: Any, find_path: Callable[[], str]) -> Any:
    """Convert a tensor of `framework` because the user asked for it: no warning, nothing counted.

    Raises:
        ConversionError: it cannot be converted; the message calls the tensor by its path in the user's nesting.
    """
    was_busy, INSIDE.busy = INSIDE.busy, True
    try:
        plan = framework.foresee(x) or examine(framework, x)
    except Exception:  # a class that computes what is asked of it, and fails: its `numpy()` may ask nothing of that
        try:
            return x.numpy()
        finally:
            INSIDE.busy = was_busy
    try:
        if not plan.is_refused:
            return plan.run(x, Door.NUMPY)
        original: Exception = ValueError("the tensor has no values to convert")
        try:
            x.numpy()
        except Exception as error:
            original = error  # the framework's own
    finally:
        INSIDE.busy = was_busy
    caller = find_caller(find_direct_caller())
    site, path = caller.make_site(), find_path()
    if plan.headline is None:
        raise original
    name = read_source(lambda lookup: lookup.name_argument(caller.frame, "to_numpy"), None) or "tree"
    reading = Reading(name + path)
    raise make_error(original, plan.headline.kind, lambda traceback: make_diagnosis(plan, reading, site), site)
