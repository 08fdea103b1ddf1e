"""What a door does when the stock code fails: diagnose, and act by mode. Knows no framework.

The rule above all others: if anything of ours fails, the user's original error comes out.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from time import perf_counter
from types import CodeType, FrameType, TracebackType
from typing import Any

from safe_numpy.callsite.frames import Site, find_user_frame, locate
from safe_numpy.config.modes import MODE, Mode
from safe_numpy.config.policy import DTYPE, ONLY, READONLY
from safe_numpy.diagnosis import memory as _memory
from safe_numpy.diagnosis.causes import Plan
from safe_numpy.diagnosis.diagnosis import Diagnosis, find_headline, make_diagnosis
from safe_numpy.diagnosis.facts import Door, Kind, Problem, Reading, Remark
from safe_numpy.diagnosis.framework import Framework, Watch
from safe_numpy.errors.pages import (
    ConversionError,
    ConversionWarning,
    HazardWarning,
    SeveredGradientWarning,
    make_error,
)
from safe_numpy.guard.failure import Asking, Failure, count_copied, digest_source, name_tree, read_conversion
from safe_numpy.guard.outcome import STOCK, Outcome
from safe_numpy.guard.silent import make_unless_accepted
from safe_numpy.ledger.ledger import LEDGER, Found, Place
from safe_numpy.messages import phrases as _wording
from safe_numpy.messages.place import get_rank
from safe_numpy.messages.units import format_bytes


class _Inside(threading.local):
    """Whether this thread is converting: what our own conversion calls is not explained a second time."""

    busy = False


_inside = _Inside()
_NUMPY, _FORCE, _DLPACK, _PERMISSIVE = Door.NUMPY, Door.FORCE, Door.DLPACK, Mode.PERMISSIVE
"""where a conversion passes: to look a member up in its enumeration takes 50 ns"""

_CALLS = {Door.NUMPY: "numpy()", Door.FORCE: "numpy(force=True)", Door.ARRAY: "np.asarray", Door.DLPACK: "__dlpack__()"}
_MOST_HAZARDS = 10_000


class Guard:
    """Answers for the doors of one framework."""

    def __init__(self, framework: Framework) -> None:
        self.framework = framework
        self.active = True
        """False once uninstalled: another library may still hold the guarded functions"""
        self._hazards: dict[tuple[int, int], CodeType] = {}

    def respond(self, error: Exception, x: Any, door: Door) -> Outcome:
        """Say what the guarded function, which calls this, is to do about a stock `error`."""
        if isinstance(error, ConversionError) or _inside.busy or not self.active:
            return STOCK
        try:
            _inside.busy = True
            mode = MODE.get()
            if mode is Mode.OFF:
                return STOCK
            caller = _find_caller(sys._getframe(1))
            if caller.f_code is self.framework.array_code:
                door = Door.ARRAY
            plan = examine(self.framework, x, door)
            if not plan.problems:
                return STOCK
            if mode is not Mode.PERMISSIVE or plan.refused or _is_unwanted(door):
                return Outcome(error=self._explain(error, x, door, caller, plan))
            try:
                return Outcome(self._convert(x, door, caller, plan))
            except (ConversionWarning, HazardWarning) as warning:  # the user's filters make errors of our warnings
                return Outcome(error=warning, cause=error)
            except Exception as failure:
                explained = self._explain(error, x, door, caller, replace(plan, refused=True))
                explained.add_note(_wording.note_failed_conversion(failure))
                return Outcome(error=explained)
        except Exception as own:
            with contextlib.suppress(Exception):  # where memory or the stack is full, this fails too
                error.add_note(_wording.note_own_failure(own))
            return STOCK
        finally:
            _inside.busy = False

    def warn_hazard(self, x: Any, hazard: str, find_place: Callable[[FrameType], str | None] | None = None) -> None:
        """Warn, once per call site, of what was lost in a conversion that worked; called by the guarded function.

        `find_place` adds where, or what else there is to say; if it gives None, nothing was lost.
        """
        if _inside.busy or not self.active:
            return
        try:
            _inside.busy = True
            if MODE.get() is not Mode.OFF:
                self.warn_hazard_at(find_user_frame(_find_caller(sys._getframe(1))), x, hazard, find_place)
        except HazardWarning:
            raise  # the user's filters make errors of our warnings
        except Exception:
            return  # the conversion worked: nothing of ours may spoil it
        finally:
            _inside.busy = False

    def warn_hazard_at(
        self, frame: FrameType, x: Any, hazard: str, find_place: Callable[[FrameType], str | None] | None = None
    ) -> None:
        """Do so for the line that `frame` runs.

        Raises:
            HazardWarning: the user's filters make errors of our warnings.
        """
        key = (id(frame.f_code), frame.f_lineno)
        if key in self._hazards or len(self._hazards) >= _MOST_HAZARDS or get_rank():
            return
        place = find_place(frame) if find_place is not None else ""
        if place is None:
            return
        subject = self.framework.describe(x)()
        _warn_at(locate(frame), frame, HazardWarning(_wording.warn_hazard(hazard, subject, place)))
        self._hazards[key] = frame.f_code  # keeps the id from being used again

    def warn_severed(self, names: Sequence[str], site: Site, expression: str) -> None:
        """Warn of parameters that got no gradient, since a conversion at `site` cut their path."""
        if self.active and not get_rank():
            warning = SeveredGradientWarning(_wording.warn_severed(names, site, expression))
            warnings.warn_explicit(warning, SeveredGradientWarning, site.filename, site.lineno)

    def _find_alias(self, x: Any, door: Door, frame: FrameType) -> str:
        """Return what is to be said of an array that shares the memory of `x`."""
        if READONLY.get():
            return "exported" if door is Door.DLPACK else "readonly"
        try:
            with self.framework.undisturbed():
                return self.framework.find_alias(x, frame)
        except Exception:
            return ""

    def check(self, x: Any, door: Door) -> Outcome | None:
        """Return the error to raise, as an outcome, for a conversion that worked, where strict mode finds it wrong."""
        if _inside.busy or not self.active or MODE.get() is not Mode.STRICT:
            return None
        try:
            _inside.busy = True
            caller = _find_caller(sys._getframe(1))
            if caller.f_code is self.framework.array_code:
                door = Door.ARRAY
            with self.framework.undisturbed():
                plan = self.framework.plan_strictly(x, door)
            if not plan.problems:
                return None
            failure, _ = self._capture(x, door, caller, plan, self.framework.plan_strictly)
            return make_unless_accepted(failure, _CALLS[door])
        except Exception:
            return None  # the conversion worked: nothing of ours may spoil it
        finally:
            _inside.busy = False

    def warn_exported(self, x: Any) -> None:
        """Warn, once per call site, where DLPack exports something else than the tensor's values."""
        self.warn_hazard(x, "exported", lambda frame: self._describe_export(x))

    def _describe_export(self, x: Any) -> str | None:
        """Return what is wrong with the capsule of `x`, and what to write instead; None: it is right."""
        with self.framework.undisturbed():
            problems = self.framework.plan_export(x).problems
            if not problems:
                return None
            diagnosis = make_diagnosis(self.framework.plan(x, Door.NUMPY), self.framework.describe(x)())
        return _wording.describe_export(diagnosis, problems)

    def permits(self, x: Any, door: Door) -> bool:
        """Tell whether a conversion of `x` at `door` would be made, here and now; never raises."""
        if _inside.busy or not self.active:
            return False
        try:
            if MODE.get() is not Mode.PERMISSIVE or _is_unwanted(door):
                return False
            return not examine(self.framework, x, door).refused
        except Exception:
            return False

    def convert(self, x: Any, door: Door) -> Any:
        """Convert `x`, which `permits` allowed, without an error to answer; called by the guarded function.

        Returns NotImplemented if the conversion itself fails: stock, which gives no error here, is asked instead.
        """
        was_busy, _inside.busy = _inside.busy, True
        try:
            return self._convert(x, door, _find_caller(sys._getframe(1)), examine(self.framework, x, door))
        except (ConversionWarning, HazardWarning):
            raise
        except Exception:
            return NotImplemented
        finally:
            _inside.busy = was_busy

    def convert_ahead(self, x: Any, plan: Plan, caller: FrameType) -> Any:
        """Convert `x` for `caller` by the plan that was foreseen, without asking the stock code first.

        Returns NotImplemented where that is not this guard's business now: inside no_grad, for one, nothing is wrong.
        """
        if not plan.problems or _inside.busy or not self.active or MODE.get() is not _PERMISSIVE:
            return NotImplemented
        try:
            _inside.busy = True
            if plan.copies and _memory.find_limit(self.framework.result_nbytes(x, plan)) is not None:
                return NotImplemented
            if caller.f_code is not self.framework.array_code:
                return self._convert(x, _NUMPY, caller, plan)
            return NotImplemented if _is_unwanted(Door.ARRAY) else self._convert(x, Door.ARRAY, caller, plan)
        except (ConversionWarning, HazardWarning):
            raise
        except Exception:
            return NotImplemented  # the stock code is asked, and its error answered, as if nobody had looked ahead
        finally:
            _inside.busy = False

    def _explain(self, error: Exception, x: Any, door: Door, caller: FrameType, plan: Plan) -> ConversionError:
        failure, plan = self._capture(x, door, caller, plan, self.framework.plan)
        return explain_error(error, plan, failure.order, failure.diagnose, failure.site)

    def _capture(
        self, x: Any, door: Door, caller: FrameType, plan: Plan, find_plan: Callable[[Any, Door], Plan]
    ) -> tuple[Failure, Plan]:
        framework = self.framework
        asking = Asking.find(caller, framework.array_code)
        with framework.undisturbed():
            if door is Door.DLPACK:
                # A capsule may stay on its device; the array that the reader is after may not.
                whole = find_plan(x, Door.NUMPY)
                plan = replace(whole, problems=plan.problems, refused=plan.refused)
            return Failure.capture(framework, x, plan, door, asking, _find_remarks(plan, door)), plan

    def _convert(self, x: Any, door: Door, caller: FrameType, plan: Plan) -> Any:
        """Return the array that `plan` makes of `x`; book it, and warn where `caller` is a new call site."""
        framework = self.framework
        begun = perf_counter() if plan.waits else 0.0
        result = plan.run_tensor(x, framework.names) if door is _DLPACK else plan.run(x, framework.names)
        seconds = perf_counter() - begun if begun else 0.0
        copies = plan.copies
        if not copies and READONLY.get():
            result = framework.protect(result)
            copies = door is _DLPACK
        place = LEDGER.places.get((id(caller.f_code), caller.f_lasti))  # most callers are the user's own
        if place is None:
            frame = find_user_frame(caller)
            place = LEDGER.places.get((id(frame.f_code), frame.f_lasti))
        if place is None or not place.entry.warned or not (plan.array in place.met or place.is_settled):
            place = self._meet(x, door, caller, plan, place)
        if plan.cuts and (watch := framework.watch) is not None and place.look_at <= watch.steps:
            self._watch(watch, x, place, caller)
        nbytes, device = framework.result_nbytes(x, plan), plan.device
        LEDGER.add(
            place.entry,
            door is _NUMPY or door is _FORCE,
            nbytes,
            nbytes if copies else 0,
            device,
            framework.count_bytes(x) if device else 0,
            seconds,
        )
        return result

    def _watch(self, watch: Watch, x: Any, place: Place, caller: FrameType) -> None:
        """Have the parameters upstream of `x` watched."""
        entry = place.entry
        try:
            with self.framework.undisturbed():
                text = entry.edits[0].old if entry.edits else ", ".join(entry.names)
                place.look_at = watch.remember(x, entry, entry.site, text, find_user_frame(caller))
        except HazardWarning:
            raise  # the user's filters make errors of our warnings
        except Exception:
            place.look_at = sys.maxsize

    def _meet(self, x: Any, door: Door, caller: FrameType, plan: Plan, place: Place | None) -> Place:
        """Note a place, or a conversion that is new there; warn if its line is new. Return the place."""
        framework = self.framework
        asking = Asking.find(caller, framework.array_code)
        site = asking.get_site()
        if place is None:
            place = LEDGER.make_place(asking.frame, site)
        entry = place.entry
        if entry.warned and (plan.array in place.met or place.is_settled):
            return place
        united = plan if place.plan is None else framework.unite(place.plan, plan)
        with framework.undisturbed():
            reading = read_conversion(x, united or plan, asking, site)
            diagnosis = make_diagnosis(plan, framework.describe(x)(), reading=reading)
        if not entry.warned:
            if not get_rank():  # one of several processes speaks for all; each counts
                alias = "" if plan.copies else self._find_alias(x, door, asking.frame)
                _warn_at(site, asking.frame, ConversionWarning(_wording.warn_converted(diagnosis, alias)))
            entry.warned = True  # not before: where the filters make an error of it, the next call is to fail as well
        kinds = tuple(p.kind.value for p in plan.problems)
        place.plan = united or place.plan
        obstacle = "conflict" if united is None else "" if reading.edits else "unread"
        digest = digest_source(asking.frame) if reading.edits else ""
        found = Found(kinds, reading.name or "", site.library, diagnosis.shown or "", reading.edits, obstacle, digest)
        LEDGER.note(place, plan.array, found)
        return place


def is_inside() -> bool:
    """Tell whether this thread is converting: what our own conversion calls is not looked at."""
    return _inside.busy


def _is_unwanted(door: Door) -> bool:
    """Tell whether permissive mode is to leave a conversion alone, since nobody has written it out."""
    return not door.is_explicit and ONLY.get() == "explicit"


def _find_remarks(plan: Plan, door: Door) -> tuple[Remark, ...]:
    """Return what is to be said where permissive mode was told not to convert."""
    if MODE.get() is not Mode.PERMISSIVE:
        return ()
    if _is_unwanted(door):
        return (Remark("implicit"),)
    return (Remark("undecided"),) if _is_undecided(plan) else ()


def _is_undecided(plan: Plan) -> bool:
    """Tell whether the conversion would change the dtype, and the user is to say to which."""
    return DTYPE.get() == "raise" and plan.array is not None and any(p.kind is Kind.DTYPE for p in plan.problems)


def _find_caller(guarded: FrameType) -> FrameType:
    """Return the frame that called the guarded function; `guarded` is that function's or a helper's beside it."""
    frame, own_file = guarded, guarded.f_code.co_filename
    while frame.f_code.co_filename == own_file and frame.f_back is not None:
        frame = frame.f_back
    return frame


def _warn_at(site: Site, frame: FrameType, warning: Warning) -> None:
    warnings.warn_explicit(
        warning,
        type(warning),
        site.filename,
        site.lineno,
        module=frame.f_globals.get("__name__"),
        registry=frame.f_globals.setdefault("__warningregistry__", {}),
    )


def examine(framework: Framework, x: Any, door: Door = Door.NUMPY) -> Plan:
    """Return what stops `x` at `door` and what cures it; refused if the array would not fit into memory."""
    with framework.undisturbed():
        plan = framework.plan(x, door)
        if _is_undecided(plan):
            plan = replace(plan, refused=True)
        if plan.refused or not (plan.copies and plan.problems):
            return plan
        needed = framework.result_nbytes(x, plan)
        limit = _memory.find_limit(needed)
        if limit is None:
            return plan
        facts = {"needed": format_bytes(needed), "limit": format_bytes(limit)}
        too_large = Problem(plan.problems[-1].kind, "too_large", facts, refused=True)
        return replace(plan, problems=(*plan.problems, too_large), refused=True)


def diagnose_with(framework: Framework, x: Any, name: str | None) -> Diagnosis:
    """Look at a tensor of `framework`; see `safe_numpy.diagnose`."""
    plan = examine(framework, x)
    with framework.undisturbed():
        order, size = framework.order(Door.NUMPY), count_copied(framework, x, plan)
        return make_diagnosis(plan, framework.describe(x)(), order, reading=Reading(name), array_nbytes=size)


def convert_with(framework: Framework, x: Any, find_path: Callable[[], str]) -> Any:
    """Convert a tensor of `framework` because the user asked for it: no warning, nothing booked.

    Raises:
        ConversionError: it cannot be converted; the message calls the tensor by its path in the user's nesting.
    """
    plan = framework.foresee(x)
    if plan is None or plan.copies:  # a copy may be too large
        plan = examine(framework, x)
    was_busy, _inside.busy = _inside.busy, True
    try:
        if not plan.refused:
            return plan.run(x, framework.names)
        original = _find_stock_error(framework, x)
    finally:
        _inside.busy = was_busy
    with framework.undisturbed():
        describe, order = framework.describe(x), framework.order(Door.NUMPY)
    frame = find_user_frame(sys._getframe(1))
    site, name = locate(frame), name_tree(frame) + find_path()

    def diagnose(traceback: object) -> Diagnosis:
        return make_diagnosis(plan, describe(), order, reading=Reading(name), site=site)

    raise explain_error(original, plan, order, diagnose, site)


def explain_error(
    original: Exception,
    plan: Plan,
    order: tuple[str, ...],
    diagnose: Callable[[TracebackType | None], Diagnosis],
    site: Site,
) -> ConversionError:
    """Return `original`, explained; what takes time waits until somebody reads it."""
    headline = find_headline(plan.problems, order)
    if headline is None:
        raise ValueError("a tensor without problems has no error to explain")
    return make_error(original, headline.kind, diagnose, site)


def _find_stock_error(framework: Framework, x: Any) -> Exception:
    """Return the error that the framework itself has for `x`, or a ValueError where it has none."""
    try:
        framework.to_array(x)
    except Exception as error:
        return error
    return ValueError("the tensor has no values to convert")
