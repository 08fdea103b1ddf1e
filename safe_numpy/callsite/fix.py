"""The user's own line, corrected: parts of its text replaced, and only what compiles is shown."""

from __future__ import annotations

import ast
import inspect
import sys
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from types import FrameType, FunctionType
from typing import Any

from safe_numpy.callsite import expression
from safe_numpy.callsite.expression import Evaluator, Occurrence, find_operands
from safe_numpy.callsite.frames import OURSELVES
from safe_numpy.callsite.source import RunningCode
from safe_numpy.diagnosis.causes import Plan, put_in_parentheses
from safe_numpy.diagnosis.facts import NOTHING_READ, Door, Edit, Kind, Reading
from safe_numpy.diagnosis.framework import find_framework, make_plan
from safe_numpy.diagnosis.registry import FRAMEWORKS

_MOST_ELEMENTS = 1000
_SIMPLE_KINDS = frozenset({Kind.GRAD, Kind.DEVICE, Kind.DTYPE})
"""what is as true of a part of a tensor as of the whole"""

_MOST_COLUMNS = 86
_MOST_LINES = 5
_SIMPLE_STATEMENTS = (ast.Expr, ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Assert, ast.Delete, ast.Raise)
"""statements that compile by themselves, without a body"""


def correct(running: RunningCode, replacements: Mapping[ast.expr, str]) -> Reading:
    """Return the line with some expressions in it replaced; nothing where its text is not to be had.

    `Reading.fix` is the largest expression around them that the line evaluates at once; `Reading.shown` is what to
    paste: the statement, or as much of it as stands by itself and is not too long.

    Args:
        running: the line, and the operation in it.
        replacements: expressions of that line, and the code to write for each.
    """
    edits = []
    for node, text in replacements.items():
        start, end = running.find_range(node)
        if start == end:
            return NOTHING_READ
        edits.append((start, end, text))
    if not edits:
        return NOTHING_READ
    edits.sort()
    around, within_scope = _find_around(running, [(start, end) for start, end, _ in edits])
    texts = [(node, _edit(running, node, edits)) for node in around]
    valid = [(node, text) for node, text in texts if text and _compiles(text, "eval")]
    expressions = [text for node, text in valid if node in within_scope]
    if not expressions:
        return NOTHING_READ
    shown = [text for _, text in valid]
    if isinstance(running.statement, _SIMPLE_STATEMENTS):
        statement = _edit(running, running.statement, edits)
        if statement and _compiles(statement, "exec"):
            shown.append(statement)
    fitting = [text for text in shown if _fits(text)]
    whole = running.source.text
    located = tuple(Edit(_find_position(whole, a), _find_position(whole, b), whole[a:b], new) for a, b, new in edits)
    return Reading(fix=expressions[-1], shown=fitting[-1] if fitting else shown[0], edits=located)


def _find_position(text: str, offset: int) -> tuple[int, int]:
    return text.count("\n", 0, offset) + 1, offset - (text.rfind("\n", 0, offset) + 1)


def _find_around(running: RunningCode, ranges: list[tuple[int, int]]) -> tuple[list[ast.expr], set[ast.expr]]:
    """Return the expressions around all of `ranges`, innermost first; and those of them inside the same lambda."""
    first, last = ranges[0][0], max(end for _, end in ranges)
    around = []
    for node in ast.walk(running.statement):
        if isinstance(node, ast.expr) and not isinstance(node, (ast.Starred, ast.FormattedValue, ast.Slice)):
            start, end = running.source.asttext().get_text_range(node, padded=False)
            if start <= first and last <= end and start < end:
                around.append((end - start, node))
    around.sort(key=lambda pair: pair[0])
    nodes = [node for _, node in around]
    within: set[ast.expr] = set()
    for node in nodes:
        if isinstance(node, ast.Lambda):
            break
        within.add(node)
    return nodes, within


def _edit(running: RunningCode, node: ast.AST, edits: list[tuple[int, int, str]]) -> str:
    """Return the text of a node with the edits made, its later lines moved to the left with the first."""
    start, end = running.find_range(node)
    text, position = [], start
    for first, last, replacement in edits:
        if not (start <= first and last <= end) or first < position:
            return ""
        text += [running.source.text[position:first], replacement]
        position = last
    text.append(running.source.text[position:end])
    line = running.source.text[running.source.text.rfind("\n", 0, start) + 1 : start]
    return "" if start == end else _dedent("".join(text), node, len(line) - len(line.lstrip()))


def _dedent(text: str, node: ast.AST, line_indent: int) -> str:
    """Move the later lines as far to the left as the first line of `node` is indented, but keep them apart."""
    strings = (n for n in ast.walk(node) if isinstance(n, (ast.Constant, ast.JoinedStr)))
    if any(string.end_lineno != string.lineno for string in strings):
        return text  # its indentation is part of its value
    first, *others = text.split("\n")
    indent = min([line_indent, *(len(line) - len(line.lstrip()) for line in others if line.strip())])
    return "\n".join([first, *(line[indent:] for line in others)])


def _fits(text: str) -> bool:
    lines = text.split("\n")
    return len(lines) <= _MOST_LINES and all(len(line) <= _MOST_COLUMNS for line in lines)


def _compiles(text: str, mode: str) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the user's own code, which was warned about when it was compiled
            compile(text, "<fix>", mode, flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    except (SyntaxError, ValueError):
        return False
    return True


@dataclass(frozen=True, slots=True)
class Replacements:
    """Finds what to write for each tensor of a line that must be converted: not the one that failed first alone."""

    running: RunningCode
    evaluator: Evaluator
    called: FrameType | None

    def find_unknown(self) -> dict[ast.expr, str]:
        """Return what to write for the one operand whose value is not known: a tensor, or a container of some."""
        operation = self.running.node
        if not isinstance(operation, ast.Call) or not _takes_arrays_only(self.called):
            return {}
        unknown = expression.find_unknown(list(find_operands(operation)), self.evaluator)
        is_receiver = isinstance(operation.func, ast.Attribute) and operation.func.value is unknown
        if unknown is None or is_receiver or self._gives_iterator(unknown):
            return {}
        return {unknown: f"safe_numpy.to_numpy({self.running.find_text(unknown)})"}

    def _gives_iterator(self, node: ast.expr) -> bool:
        """Tell whether `node` is what `to_numpy` would exhaust."""
        if not isinstance(node, ast.Call):
            return isinstance(node, ast.GeneratorExp)
        function = self._get(node.func)
        if isinstance(function, type):
            return issubclass(function, Iterator)
        return inspect.isgeneratorfunction(function) if isinstance(function, FunctionType) else False

    def find(self, x: Any, plan: Plan, place: Occurrence) -> dict[ast.expr, str]:
        """Return the code to write, by the expression that it replaces; empty where none is known to be right."""
        if isinstance(place.asked, ast.Attribute):
            return {}  # the method is handed on; where it is called, is not to be seen here
        if place.asked is not None:
            return {**self._find_asked(), place.asked: self._render(plan, place.node)}
        operation = self.running.node
        operands = list(find_operands(operation)) if operation is not None else []
        if place.node not in operands:
            return {}  # it goes through other hands first, which may want the tensor
        found: dict[ast.expr, str] = {}
        if place.path:
            elements = plan if plan.is_for_elements else None
            text = self._convert_container(place, elements)
            if text is None or elements is not None:
                return {} if text is None else {place.node: text}
            found[place.node] = text
        elif (value := self._get(place.node)) is x or value is None:  # None: it cannot be evaluated
            found[place.node] = self._render(plan, place.node)
        else:  # an alias of it
            text = self._convert(place.node)
            if text is None:
                return {}
            found[place.node] = text
        for node in operands:
            value = self._get(node)
            if node not in found and (value is x or _takes_arrays_only(self.called)):
                is_same = place.path and value is place.value
                text = self._convert_container(replace(place, node=node)) if is_same else self._convert(node)
                if text is not None:
                    found[node] = text
        return found

    def _get(self, node: ast.expr) -> Any:
        return self.evaluator.find(node)

    def _render(self, plan: Plan, node: ast.expr) -> str:
        return plan.render(self.running.find_text(node)) or ""

    def _find_asked(self) -> dict[ast.expr, str]:
        """Return the other ``y.numpy()`` of the line, where they are going to fail too."""
        found: dict[ast.expr, str] = {}
        for node in expression.walk_scope(self.running.statement):
            receiver = expression.find_receiver(node) if isinstance(node, ast.Call) and not node.keywords else None
            if receiver is not None:
                text = self._convert(receiver, Door.NUMPY)
                if text is not None:
                    found[node] = text
        return found

    def _convert(self, node: ast.expr, door: Door = Door.ARRAY) -> str | None:
        """Return the code that converts a tensor, or a container of tensors; None where nothing stops it."""
        value = self._get(node)
        base = self.evaluator.find_base(node)
        if base is not None:
            plan = make_plan(base, door)
            if plan is None or not plan.problems or plan.array is None:
                return None
            if base is not value and not _SIMPLE_KINDS.issuperset(p.kind for p in plan.problems):
                return None
            return self._render(plan, node)
        if type(value) in (list, tuple, dict) and self._find_common_fix(_get_elements(value)) is not None:
            return self._convert_container(Occurrence(node, "[0]", value))
        return None

    def _convert_container(self, place: Occurrence, elements: Plan | None = None) -> str | None:
        """Return the code that converts a container's elements; by the plan `elements`, where that is for each."""
        text, value = self.running.find_text(place.node), place.value
        name = put_in_parentheses(text)
        fix = None
        if place.path.count("[") == 1:
            fix = self._find_common_fix(_get_elements(value)) if elements is None else elements.render("t")
        if fix is not None and type(value) is list:
            return f"[{fix} for t in {text}]"
        if fix is not None and type(value) is tuple:
            return f"tuple({fix} for t in {text})"
        if fix is not None and type(value) is dict:
            return f"{{k: {fix} for k, t in {name}.items()}}"
        return None if "." in place.path or elements is not None else f"safe_numpy.to_numpy({text})"

    def _find_common_fix(self, elements: list[Any]) -> str | None:
        """Return what converts every element, called ``t``; None if they need different things, or too many."""
        if not 0 < len(elements) <= _MOST_ELEMENTS or any(find_framework(e) is None for e in elements):
            return None
        plans = [plan for e in elements if (plan := make_plan(e, Door.ARRAY)) is not None]
        fixes = {plan.render("t") for plan in plans}
        return fixes.pop() if len(fixes) == 1 and plans[0].problems else None


def _get_elements(container: Any) -> list[Any]:
    if type(container) is dict:
        return list(container.values())
    return list(container) if type(container) in (list, tuple) else []


def _takes_arrays_only(called: FrameType | None) -> bool:
    """Tell whether the code that was called has nothing to do with tensors, and so wants an array of each."""
    if called is None or called.f_code.co_filename.startswith(OURSELVES):
        return called is None  # a guarded method is asked of a tensor
    known = [sys.modules[name] for name in FRAMEWORKS if name in sys.modules]
    return not any(value is module for value in list(called.f_globals.values()) for module in known)
