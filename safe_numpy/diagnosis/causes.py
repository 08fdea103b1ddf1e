"""Steps, and the plan made of them: the one table behind the causes, the fix and the conversion.

A framework lists its steps in order. Walking that list over a tensor gives a `Plan`: what is wrong, and one Python
expression that puts it right. `Plan.run` compiles and calls that very expression, so advice cannot drift from
behaviour.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from safe_numpy.diagnosis.facts import Door, Facts, Kind, Problem

Sight = Callable[[Any, Door], Facts | None]

EVERY_DOOR = frozenset(Door)


class Scope(Enum):
    """Which tensors a step can concern at all, so that the others are not asked."""

    ANY = "any tensor"
    SUBCLASS = "instances of subclasses"
    TRANSFORM = "tensors inside a transform of functions"
    SPECIAL = "tensors that are not plain dense ones in host memory"


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One cause, how it is seen, and the code that cures it."""

    kind: Kind
    cause: str
    """names the sentence in `_wording`"""
    see: Sight
    """the facts if the tensor has this problem, else None; reads attributes only"""
    source: str | None
    """the cure, over ``{x}`` and the facts; None: there is none"""
    blocks: frozenset[Door]
    """the doors that fail because of it"""
    needed: frozenset[Door] = EVERY_DOOR
    """the doors for which the cure is applied; a DLPack capsule may stay on its device"""
    refused: frozenset[Door] = frozenset()
    """the doors by which permissive mode must not convert, though the fix is right when written out"""
    ends: bool = False
    """nothing follows: `source` is the array already, or the tensor can be asked nothing more"""
    copies: bool = True
    """the result does not share memory with what went in"""
    neutral: bool = False
    """applied to a tensor without this problem it changes nothing, so that one line may serve both"""
    waits: bool = False
    """it takes time, though nothing is copied"""
    itemsize: int | None = None
    """bytes of one element of the result, where that changes"""
    reveal: Callable[[Any], Any] | None = None
    """the tensor inside, which the later steps look at"""
    parts: Callable[[Any], Mapping[str, tuple[str, Any]]] | None = None
    """tensors inside that need plans of their own: name in `source` -> (expression over ``{x}``, tensor)"""
    scope: Scope = Scope.ANY


@dataclass(frozen=True, slots=True)
class Plan:
    """What is wrong with one tensor at one door, and the expressions over ``{x}`` that put it right."""

    problems: tuple[Problem, ...]
    """in the order of the fix"""
    array: str | None
    """gives the NumPy array; None: nothing does"""
    tensor: str | None
    """gives a tensor that this door takes; None: nothing does"""
    refused: bool
    """permissive mode must not convert"""
    copies: bool
    itemsize: int | None
    device: str = ""
    """where the data is copied from; empty: it is in host memory"""
    cuts: bool = False
    """autograd records the tensor, and not what becomes of the array"""
    applied: tuple[tuple[Step, str], ...] = ()
    """the cures, each over ``{x}``, where they are a chain; empty: they are not"""
    waits: bool = True
    """the program waits for it; False: it is a matter of microseconds, whatever the tensor's size"""

    @property
    def is_for_elements(self) -> bool:
        """The plan is for each tensor of a list, which stands for a column of numbers."""
        return self.problems[:1] != () and self.problems[0].cause == "scalars"

    def render(self, name: str) -> str | None:
        """Return the fix as an expression over `name`, in parentheses where a method call would bind tighter."""
        return None if self.array is None else self.array.format(x=name if is_primary(name) else f"({name})")

    def run(self, x: Any, names: Mapping[str, Any]) -> Any:
        """Return the array, by the code that `render` shows; `names` holds the modules that it mentions."""
        if self.array is None:
            raise ValueError("this plan has no conversion")
        function = _compiled.get(self.array) or _compile(self.array, names)
        return function(x)

    def run_tensor(self, x: Any, names: Mapping[str, Any]) -> Any:
        """Return the tensor to export, by the code in `tensor`."""
        if self.tensor is None:
            raise ValueError("this plan has no tensor")
        function = _compiled.get(self.tensor) or _compile(self.tensor, names)
        return function(x)


def make_plan(find_steps: Callable[[Any], Sequence[Step]], x: Any, door: Door, start: str = "{x}") -> Plan:
    """Walk the steps that concern `x`: every problem at this door, in order, and the expressions that cure them."""
    problems: list[Problem] = []
    source, ended, curable, refused, copies = start, False, True, False, False
    device, cuts, waits = "", False, False
    applied: list[tuple[Step, str]] = []
    is_chain = start == "{x}"
    itemsize: int | None = None
    for step in find_steps(x):
        if door not in step.needed:
            continue
        facts = step.see(x, door)
        if facts is None:
            continue
        declined = step.source is None or door in step.refused
        if door in step.blocks:
            problems.append(Problem(step.kind, step.cause, facts, declined))
        refused |= declined
        if step.source is None:
            curable = False
            if step.ends:
                break
            continue
        copies |= step.copies
        itemsize = step.itemsize or itemsize
        device = facts["device"] if step.kind is Kind.DEVICE else device
        cuts |= step.kind is Kind.GRAD
        waits |= step.copies or step.waits
        if step.parts is not None:
            inner = {
                name: make_plan(find_steps, tensor, door, expression.format(x=source))
                for name, (expression, tensor) in step.parts(x).items()
            }
            for plan in inner.values():
                causes = {p.cause for p in problems}
                problems += [p for p in plan.problems if p.cause not in causes]
                refused |= plan.refused
                curable &= plan.array is not None
            # The first part holds the values; what the others share does not show in the array.
            first = next(iter(inner.values()))
            copies |= first.copies
            device, cuts, waits = device or first.device, cuts or first.cuts, waits or first.waits
            source = step.source.format(x=source, **{name: plan.array for name, plan in inner.items()})
        else:
            applied.append((step, step.source.format(x="{x}", **facts)))
            source = applied[-1][1].format(x=source)
        is_chain &= step.parts is None and not step.ends
        if step.ends:
            ended = True
            break
        if step.reveal is not None:
            x = step.reveal(x)
    return Plan(
        problems=tuple(problems),
        array=(source if ended else source + ".numpy()") if curable else None,
        tensor=source if curable and not ended else None,
        refused=refused or not curable or (ended and door is Door.DLPACK),
        copies=copies,
        itemsize=itemsize,
        device=device,
        cuts=cuts,
        applied=tuple(applied) if is_chain else (),
        waits=waits,
    )


def unite(plan: Plan, other: Plan, order: Sequence[Step]) -> Plan | None:
    """Return a plan that is right for the tensors of both; None: there is none that changes nothing for either.

    Args:
        plan: what cures the one.
        other: what cures the other.
        order: the steps of both, in the order of the fix.
    """
    if plan.array == other.array:
        return plan
    if not plan.applied or not other.applied:
        return None
    sources = dict(plan.applied) | dict(other.applied)
    if any(not s.neutral and not (s in dict(plan.applied) and s in dict(other.applied)) for s in sources):
        return None
    if any(dict(plan.applied).get(s, t) != t for s, t in other.applied):
        return None
    source = "{x}"
    applied = tuple((s, sources[s]) for s in order if s in sources)
    for _, text in applied:
        source = text.format(x=source)
    return replace(plan, array=source + ".numpy()", applied=applied)


def is_primary(expression: str) -> bool:
    """Tell whether ``.method()`` can be put behind an expression as it stands."""
    try:
        node = ast.parse(expression, mode="eval").body
    except (SyntaxError, ValueError):
        return False
    return isinstance(node, (ast.Name, ast.Attribute, ast.Subscript, ast.Call))


_compiled: dict[str, Callable[[Any], Any]] = {}  # few: one per combination of causes


def _compile(expression: str, names: Mapping[str, Any]) -> Callable[[Any], Any]:
    code = compile("lambda x: " + expression.format(x="x"), "<safe_numpy fix>", "eval")
    function: Callable[[Any], Any] = eval(code, dict(names))
    _compiled[expression] = function
    return function
