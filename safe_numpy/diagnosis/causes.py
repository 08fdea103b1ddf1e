"""Causes, and the plan made of them: the one table behind the reasons, the fix and the conversion.

A framework lists its causes in order. Walking that list over a tensor gives a `Plan`: what is wrong, and one Python
expression that puts it right. `Plan.run` compiles and calls that very expression, so advice cannot drift from
behaviour.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

from safe_numpy.diagnosis.facts import NO_FACTS, Door, Facts, Kind, Problem, Subject
from safe_numpy.messages.phrases import Sentences

Detect = Callable[[Any, Door], Facts | Literal[""] | bool | None]
"""the facts if a tensor has a problem, or True where there are none to tell; reads attributes only"""

EVERY_DOOR = frozenset(Door)


@dataclass(frozen=True, slots=True, eq=False)
class Cause:
    """A row of the table: one cause, how it is seen, the code that cures it, and what is said of it."""

    kind: Kind
    name: str
    detect: Detect
    code: str | None
    """the cure, over ``{x}`` and the facts; None: there is none"""
    reason: str
    """why it stops the conversion; these are templates, see `Sentences`"""
    done: str = ""
    """what the cure did"""
    instead: str = ""
    """the way out where there is no cure"""
    is_unguarded: bool = False
    """the stock code gives no error"""
    blocks: frozenset[Door] = EVERY_DOOR
    """the doors that fail because of it"""
    needed: frozenset[Door] = EVERY_DOOR
    """the doors for which the cure is applied; a DLPack capsule may stay on its device"""
    refused: frozenset[Door] = frozenset()
    """the doors by which permissive mode must not convert, though the fix is right when written out"""
    ends: bool = False
    """nothing follows: `code` gives the array already, or the tensor can be asked nothing more"""
    copies: bool = True
    """the result does not share memory with what went in"""
    neutral: bool = False
    """applied to a tensor without this problem it changes nothing, so that one line may serve both"""
    waits: bool = False
    """it takes time, though nothing is copied"""
    itemsize: int | None = None
    """bytes of one element of the result, where that changes"""
    reveal: Callable[[Any], Any] | None = None
    """the tensor inside, which the later causes look at"""
    parts: Callable[[Any], Mapping[str, tuple[str, Any]]] | None = None
    """tensors inside that need plans of their own: name in `code` -> (expression over ``{x}``, tensor)"""
    is_common: bool = False
    """plain dense tensors in host memory can have it too; they are not asked for the others"""
    is_foreseen: bool = False
    """where a framework foresees plans: it is known by what they are foreseen by, and need not be looked for"""
    says: Sentences = field(init=False)

    def __post_init__(self) -> None:
        sentences = Sentences(self.reason, self.done, self.instead, self.is_unguarded)
        object.__setattr__(self, "says", sentences)


class Measures(NamedTuple):
    """What a tensor is, and how large."""

    describe: Callable[[], Subject] | None
    """says what it is, in words; holds no tensor"""
    nbytes: int
    """bytes that its own data takes where it lives; 0 where it has none"""
    elements: int
    """of the array"""
    itemsize: int
    """bytes of one of them, where no cause changes that"""


_OF_ALL = Measures(None, 0, 0, 0)


@dataclass(slots=True, eq=False)  # not frozen, which would take 1 µs of every failure; but nobody changes one
class Plan:
    """What is wrong with one tensor at one door, and the expressions over ``{x}`` that put it right."""

    problems: tuple[Problem, ...]
    """in the order of the fix"""
    headline: Problem | None
    """the one that the framework meets first, whose error the user sees"""
    array: str | None
    """gives the NumPy array; None: nothing does"""
    tensor: str | None
    """gives a tensor that this door takes; None: nothing does"""
    names: Mapping[str, Any]
    """the modules that the expressions mention"""
    is_refused: bool
    """permissive mode must not convert"""
    copies: bool
    device: str = ""
    """where the data is copied from; empty: it is in host memory"""
    cuts: bool = False
    """autograd records the tensor, and not what becomes of the array"""
    applied: tuple[tuple[Cause, str], ...] = ()
    """the cures, each over ``{x}``, where they are a chain; empty: they are not"""
    waits: bool = True
    """the program waits for it; False: it is a matter of microseconds, whatever the tensor's size"""
    describe: Callable[[], Subject] | None = None
    """says what the tensor is; None in a plan for all tensors of a sort, which knows no sizes either"""
    nbytes: int = 0
    """bytes of the tensor where it lives; 0 if it has no data"""
    array_nbytes: int = 0
    """bytes that the fix allocates for the array; 0 if it shares memory, or there is none"""
    is_for_elements: bool = False
    """the plan is for each tensor of a list, which stands for a column of numbers"""
    is_asked_within: bool = False
    """a library asks the tensor by its ``numpy()``: it is to be given a tensor, since an array has none"""

    @property
    def subject(self) -> Subject:
        """What the tensor is, in words.

        Raises:
            ValueError: the plan is for all tensors of a sort, and describes none.
        """
        if self.describe is None:
            raise ValueError("a plan for all tensors of a sort describes none")
        return self.describe()

    def render(self, name: str) -> str | None:
        """Return the fix as an expression over `name`, in parentheses where a method call would bind tighter.

        A cure with which `name` ends already, as `x.detach()` does, is not written again.
        """
        code = self.tensor if self.is_asked_within and self.tensor is not None else self.array
        for cause, applied in self.applied:
            cure = applied.removeprefix("{x}")
            if code is not None and cause.neutral and name.endswith(cure):
                code = code.replace(cure, "", 1)
        return None if code is None else code.format(x=put_in_parentheses(name))

    def run(self, x: Any, door: Door) -> Any:
        """Return the array, or at the DLPack door the tensor to export, by the code that `render` shows."""
        expression = self.tensor if door is Door.DLPACK else self.array
        if expression is None:
            raise ValueError("this plan has no conversion")
        function = _compiled.get(expression) or _compile_expression(expression, self.names)
        return function(x)

    def refuse(self, problem: Problem | None = None) -> Plan:
        """Return the plan of a tensor that permissive mode must not convert, for one problem more if one is given."""
        return replace(self, problems=self.problems + ((problem,) if problem is not None else ()), is_refused=True)


class Walk:
    """The way along the causes over one tensor, and what was met on it."""

    def __init__(self, door: Door, start: str = "{x}", copies: bool = False) -> None:
        self._door = door
        self._start = start
        self._code = start
        self._problems: list[Problem] = []
        self._applied: list[tuple[Cause, str]] = []
        self._itemsize: int | None = None
        self._device = ""
        self._is_curable = True
        self._copies = copies
        self._is_ended = self._is_refused = self._cuts = self._waits = self._has_parts = False

    def follow(self, find_causes: Callable[[Any], Sequence[Cause]], x: Any) -> Walk:
        """Look at `x`, and at what is revealed in it, for every cause that can concern it."""
        door = self._door
        for cause in find_causes(x):
            if door not in cause.needed:
                continue
            found = cause.detect(x, door)
            if not found:
                continue
            self._meet(cause, NO_FACTS if found is True else found, x, find_causes)
            if cause.ends:
                break
            if cause.reveal is not None:
                x = cause.reveal(x)
        return self

    def _meet(self, cause: Cause, facts: Facts, x: Any, find_causes: Callable[[Any], Sequence[Cause]]) -> None:
        is_declined = cause.code is None or self._door in cause.refused
        if self._door in cause.blocks:
            self._problems.append(Problem(cause.kind, cause.name, cause.says, facts, is_declined))
        self._is_refused |= is_declined
        if cause.code is None:
            self._is_curable = False
            return
        self._copies |= cause.copies
        self._waits |= cause.copies or cause.waits
        self._itemsize = cause.itemsize or self._itemsize
        self._cuts |= cause.kind is Kind.GRAD
        self._is_ended |= cause.ends
        if cause.kind is Kind.DEVICE:
            self._device = facts["device"]
        if cause.parts is not None:
            self._enter_parts(cause.code, cause.parts(x), find_causes)
            return
        applied = cause.code.format(x="{x}", **facts)
        self._applied.append((cause, applied))
        self._code = applied.format(x=self._code)

    def _enter_parts(
        self, code: str, parts: Mapping[str, tuple[str, Any]], find_causes: Callable[[Any], Sequence[Cause]]
    ) -> None:
        """Walk over each of the tensors inside."""
        walks = {n: Walk(self._door, e.format(x=self._code)).follow(find_causes, t) for n, (e, t) in parts.items()}
        for walk in walks.values():
            known = {p.cause for p in self._problems}
            self._problems += [p for p in walk._problems if p.cause not in known]
            self._is_refused |= walk._is_refused or not walk._is_curable
            self._is_curable &= walk._is_curable
        # The first part holds the values; what the others share does not show in the array.
        first = next(iter(walks.values()))
        self._copies |= first._copies
        self._device = self._device or first._device
        self._cuts |= first._cuts
        self._waits |= first._waits
        self._has_parts = True
        self._code = code.format(x=self._code, **{name: walk._array for name, walk in walks.items()})

    @property
    def _array(self) -> str:
        return self._code if self._is_ended else self._code + ".numpy()"

    def finish(self, order: Sequence[str], names: Mapping[str, Any], measures: Measures = _OF_ALL) -> Plan:
        """Return the plan.

        Args:
            order: the kinds as the stock code checks them.
            names: the modules that the expressions mention.
            measures: of the tensor, unless the plan is for all of a sort.
        """
        is_curable, is_ended = self._is_curable, self._is_ended
        is_new = is_curable and self._copies
        return Plan(
            problems=tuple(self._problems),
            headline=find_headline(self._problems, order),
            array=self._array if is_curable else None,
            tensor=self._code if is_curable and not is_ended else None,
            names=names,
            is_refused=self._is_refused or not is_curable or (is_ended and self._door is Door.DLPACK),
            copies=self._copies,
            device=self._device,
            cuts=self._cuts,
            applied=tuple(self._applied) if self._start == "{x}" and not (self._has_parts or is_ended) else (),
            waits=self._waits,
            describe=measures.describe,
            nbytes=measures.nbytes,
            array_nbytes=measures.elements * (self._itemsize or measures.itemsize) if is_new else 0,
        )


def find_headline(problems: Sequence[Problem], order: Sequence[str]) -> Problem | None:
    """Return the problem that the framework meets first: `order` has the kinds as it checks them."""
    if len(problems) <= 1:
        return problems[0] if problems else None
    ranks = {kind: rank for rank, kind in enumerate(order)}
    return min(problems, key=lambda p: ranks.get(p.kind, len(ranks)))


def unite_plans(plan: Plan, other: Plan, causes: Sequence[Cause]) -> Plan | None:
    """Return a plan that is right for the tensors of both; None: there is none that changes nothing for either.

    Args:
        plan: what cures the one.
        other: what cures the other.
        causes: the framework's, in the order of the fix.
    """
    if plan.array == other.array:
        return plan
    own, others = dict(plan.applied), dict(other.applied)
    codes = own | others
    if not own or not others or any(own.get(cause, code) != code for cause, code in others.items()):
        return None
    if any(not cause.neutral and not (cause in own and cause in others) for cause in codes):
        return None
    applied = tuple((cause, codes[cause]) for cause in causes if cause in codes)
    array = "{x}"
    for _, code in applied:
        array = code.format(x=array)
    return replace(plan, array=array + ".numpy()", tensor=array, applied=applied)


_UNKNOWN = "<unknown>"
_HUSH = ("ignore", None, Warning, re.compile(_UNKNOWN), 0)


@contextmanager
def parsing_quietly() -> Iterator[str]:
    """Parse inside without warnings, under the file name that is given: who compiled the program has seen them.

    The list of filters is not replaced, as `warnings.catch_warnings` does it: other threads may look at it, and every
    module would forget what it has warned of.
    """
    filters: Any = warnings.filters
    filters.insert(0, _HUSH)
    try:
        yield _UNKNOWN
    finally:
        with suppress(ValueError):  # somebody has emptied it
            filters.remove(_HUSH)


def parse_code(text: str | bytes, mode: str = "exec") -> Any:
    """Return the syntax tree of a program's own source, or of a piece of it."""
    with parsing_quietly() as filename:
        return ast.parse(text, filename, mode)


def put_in_parentheses(expression: str) -> str:
    """Return an expression behind which ``.method()`` can be put: as it stands, or in parentheses."""
    return expression if is_primary(expression) else f"({expression})"


def is_primary(expression: str) -> bool:
    """Tell whether ``.method()`` can be put behind an expression as it stands."""
    try:
        node = parse_code(expression, "eval").body
    except (SyntaxError, ValueError):
        return False
    return isinstance(node, (ast.Name, ast.Attribute, ast.Subscript, ast.Call))


_compiled: dict[str, Callable[[Any], Any]] = {}  # few: one per combination of causes


def _compile_expression(expression: str, names: Mapping[str, Any]) -> Callable[[Any], Any]:
    code = compile("lambda x: " + expression.format(x="x"), "<safe_numpy fix>", "eval")
    function: Callable[[Any], Any] = eval(code, dict(names))
    _compiled[expression] = function
    return function
