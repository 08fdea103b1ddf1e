"""Permissive mode converts: the array is made, the ledger counts it, and a new line is warned of."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from time import perf_counter
from types import FrameType
from typing import Any

from safe_numpy.callsite.frames import Caller, find_caller, list_callers
from safe_numpy.config.modes import READONLY
from safe_numpy.diagnosis.causes import Plan, unite_plans
from safe_numpy.diagnosis.diagnosis import make_diagnosis
from safe_numpy.diagnosis.facts import NOTHING_READ, Door
from safe_numpy.diagnosis.framework import Framework, Introspection
from safe_numpy.errors.pages import ConversionWarning, HazardWarning
from safe_numpy.guard.failure import read_source
from safe_numpy.guard.warn import CLAIMS, warn_at
from safe_numpy.ledger.ledger import LEDGER, NO_FIGURES, Instruction, Record
from safe_numpy.messages import phrases
from safe_numpy.messages.units import get_rank

_NUMPY, _FORCE, _DLPACK = Door.NUMPY, Door.FORCE, Door.DLPACK
"""where a conversion passes: to look a member up in its enumeration takes 50 ns"""


class Inside(threading.local):
    """Whether this thread is converting: what our own conversion calls is not explained a second time."""

    busy = False


INSIDE = Inside()


def convert(
    framework: Framework,
    x: Any,
    door: Door,
    direct: FrameType,
    plan: Plan,
    finish: Callable[[Any], Any] | None = None,
) -> Any:
    """Return the array that `plan` makes of `x`; count it, and warn where the caller is a new call site.

    `direct` is the frame that called the guarded method. At the DLPack door it is a tensor, of which `finish` makes a
    capsule: what fails to be one is not counted.
    """
    begun = perf_counter() if plan.waits else 0.0
    result = plan.run(x, door)
    if finish is not None:
        result = finish(result)
    seconds = perf_counter() - begun if begun else 0.0
    copies = plan.copies
    if not copies and READONLY.get():
        copies = door is _DLPACK  # a capsule cannot be read-only: the door exports a copy
        if not copies:
            for array in result.flat if result.dtype == object else (result,):
                array.flags.writeable = False
    instruction = LEDGER.instructions.get((id(direct.f_code), direct.f_lasti))  # most callers are the user's own
    if instruction is None:
        frame = find_caller(direct).frame
        instruction = LEDGER.instructions.get((id(frame.f_code), frame.f_lasti))
    is_new = instruction is None or not (plan.array in instruction.met or instruction.is_settled)
    if instruction is None or is_new or not instruction.entry.warned:
        instruction = _meet(framework, x, door, direct, plan, instruction)
    if plan.cuts and (watch := framework.watch) is not None and instruction.look_at <= watch.steps:
        _watch(framework, x, instruction, direct)
    nbytes = result.nbytes if plan.describe is None else plan.array_nbytes or plan.nbytes
    device = plan.device
    is_explicit, moved = door is _NUMPY or door is _FORCE, plan.nbytes if device else 0
    LEDGER.add(instruction.entry, is_explicit, nbytes, nbytes if copies else 0, device, moved, seconds)
    return result


def _watch(framework: Framework, x: Any, instruction: Instruction, direct: FrameType) -> None:
    """Have the parameters upstream of `x` watched."""
    if framework.watch is None:
        return
    record = instruction.entry.record
    try:
        with framework.undisturbed():
            frame = find_caller(direct).frame
            instruction.look_at = framework.watch.remember(
                x, instruction.entry, record.site, instruction.expression, frame
            )
    except HazardWarning:
        raise  # the user's filters make errors of our warnings
    except Exception:
        instruction.look_at = sys.maxsize


def _meet(
    framework: Framework, x: Any, door: Door, direct: FrameType, plan: Plan, instruction: Instruction | None
) -> Instruction:
    """Note an instruction, or a conversion that is new there; warn if its line is new. Return the instruction."""
    caller = find_caller(direct, framework.array_code)
    site = caller.make_site()
    if instruction is None:
        instruction = LEDGER.add_instruction(caller.frame, site)
    entry = instruction.entry
    if entry.warned and (plan.array in instruction.met or instruction.is_settled):
        return instruction
    stack = list_callers(caller.frame) if plan.cuts else ()
    with framework.undisturbed():
        if plan.describe is None:
            plan = framework.plan(x, door)
        plan = direct_plan(plan, door, caller)
        united = plan if instruction.plan is None else unite_plans(instruction.plan, plan, framework.causes)
        introspection = framework.introspect(x)
        reading = read_source(
            lambda lookup: lookup.read_site(introspection, united or plan, site, caller, stack), NOTHING_READ
        )
        diagnosis = make_diagnosis(plan, reading)
    with CLAIMS.claim(entry) as is_ours:
        if is_ours and not entry.warned:
            if not get_rank():  # one of several processes speaks for all; each counts
                sharing = _describe_sharing(framework, introspection, door, caller, plan)
                warn_at(site, caller.frame, ConversionWarning(diagnosis.describe_conversion(sharing)))
            entry.warned = True  # not before: where the filters make an error of it, the next call is to fail as well
    kinds = tuple(p.kind.value for p in plan.problems)
    instruction.plan, instruction.expression = united or instruction.plan, reading.asked or reading.name or ""
    names, libraries = [(text,) if text else () for text in (reading.name, site.library)]
    obstacle = "" if reading.edits else "learnt" if reading.stays else "unread"
    obstacle = "conflict" if united is None else obstacle
    digest = read_source(lambda lookup: lookup.digest_file(caller.frame), "") if reading.edits else ""
    about = kinds, names, libraries, diagnosis.shown or "", reading.edits, obstacle, digest, len(kinds)
    record = Record(site, NO_FIGURES, *about)
    LEDGER.note(instruction, plan.array, record)
    return instruction


def direct_plan(plan: Plan, door: Door, caller: Caller) -> Plan:
    """Return the plan that says what to give to a library, where that asks the tensor by ``numpy()``."""
    return replace(plan, is_asked_within=True) if door.is_explicit and caller.called is not None else plan


def _describe_sharing(
    framework: Framework, introspection: Introspection, door: Door, caller: Caller, plan: Plan
) -> str:
    """Return what is to be said of an array that is no copy."""
    if plan.copies:
        return ""
    if READONLY.get():
        return phrases.COPIED_FOR_EXPORT if door is Door.DLPACK else phrases.READONLY
    try:
        with framework.undisturbed():
            sharer = introspection.find_sharer(caller.frame)
            return (
                phrases.SHARED
                if sharer is None
                else f"{phrases.SHARED}, {sharer.what}: writing to the array {sharer.effect}"
            )
    except Exception:
        return phrases.SHARED
