"""What a line of code called the tensor that failed, and the same line with the tensor converted.

All of it happens when somebody reads the explanation: what is needed for that is found from the error's traceback.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from dataclasses import dataclass, replace
from types import FrameType, FunctionType
from typing import Any

from safe_numpy.callsite.expression import (
    Evaluator,
    Place,
    find_operands,
    find_place,
    find_receiver,
    find_unknown,
    walk_scope,
)
from safe_numpy.callsite.fix import correct
from safe_numpy.callsite.frames import Position, Site, is_translated
from safe_numpy.callsite.source import RunningCode, read_line, read_running
from safe_numpy.diagnosis import framework as frameworks
from safe_numpy.diagnosis.causes import Plan, is_primary
from safe_numpy.diagnosis.facts import NOTHING_READ, Door, Kind, Reading
from safe_numpy.messages.layout import shorten

_MOST_ELEMENTS = 1000
_MOST_INSIDE = 60
_SIMPLE_KINDS = frozenset({Kind.GRAD, Kind.DEVICE, Kind.DTYPE})
"""what is as true of a part of a tensor as of the whole"""

_FRAMEWORK_NAMES = ("torch", "tensorflow", "tf", "keras", "jax")


def read_site(
    x: Any, data: object, plan: Plan, position: Position, site: Site, frame: FrameType, called: FrameType | None
) -> Reading:
    """Find `x` in the line that `frame` runs.

    Args:
        x: the tensor; None if it is gone, and only the operation can be named.
        data: identifies its data; see `frameworks.identify_data`.
        plan: what cures it.
        position: the instruction.
        site: the line, as its reader knows it.
        frame: the frame at that instruction.
        called: the frame of the function that it called, if that is a Python function.
    """
    if is_translated(position.code):  # other code than the user wrote: only the line is common to both
        running = read_line(site.filename, site.lineno)
    else:
        running = read_running(frame, position.lasti, position.lineno)
    if running is None:
        return NOTHING_READ
    source = _get_line(running, site.lineno)
    evaluator = Evaluator(frame, frameworks)
    place = find_place(running, x, data, evaluator, called, position.asks)
    text = running.excerpt.find_text(place.node) if place is not None else ""
    replacements = _Replacements(running, evaluator, called)
    if place is None or not text:
        inside = running.excerpt.find_text(running.node) if running.node is not None else ""
        is_curable = plan.array is not None and not plan.is_for_elements
        correction = _correct(running, replacements.find_unknown() if is_curable else {})
        inside = shorten(_put_on_one_line(inside), _MOST_INSIDE)
        return Reading(inside=inside, source=source, **correction)
    name = _as_name(text, place.path)
    is_curable = plan.array is not None and not is_translated(position.code)
    correction = _correct(running, replacements.find(x, plan, place) if is_curable else {})
    return Reading(name, place.path, source=source, **correction)


def name_argument(frame: FrameType, function: str) -> str | None:
    """Return the text of the one argument that `frame` is calling `function` with, if it is a short name or path."""
    running = read_running(frame, frame.f_lasti, frame.f_lineno)
    node = running.node if running is not None else None
    if running is None or not isinstance(node, ast.Call) or len(node.args) != 1 or node.keywords:
        return None
    called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", None)
    text = running.excerpt.find_text(node.args[0])
    is_path = isinstance(node.args[0], (ast.Name, ast.Attribute, ast.Subscript)) and len(text) <= _MOST_INSIDE
    return text if called == function and is_path else None


def _correct(running: RunningCode, replacements: dict[ast.expr, str]) -> dict[str, Any]:
    """Return what a `Reading` is to say of the corrected line."""
    correction = correct(running, replacements) if replacements else None
    if correction is None:
        return {}
    return {"fix": correction.expression, "shown": correction.shown, "edits": correction.edits}


def _as_name(text: str, path: str) -> str:
    name = _put_on_one_line(text)
    return name + path if not path or is_primary(name) else f"({name}){path}"


def _put_on_one_line(text: str) -> str:
    """Return an expression without its line breaks and its comments; what is in its strings stays."""
    return ast.unparse(ast.parse(f"({text}\n)", mode="eval")) if "\n" in text else text


def _get_line(running: RunningCode, lineno: int) -> str:
    lines = running.excerpt.source.lines
    return lines[lineno - 1].strip() if 0 < lineno <= len(lines) else ""


@dataclass(frozen=True, slots=True)
class _Replacements:
    """Finds what to write for each tensor of a line that must be converted: not the one that failed first alone."""

    running: RunningCode
    evaluator: Evaluator
    called: FrameType | None

    def find_unknown(self) -> dict[ast.expr, str]:
        """Return what to write for the one operand whose value is not known: a tensor, or a container of some."""
        operation = self.running.node
        if not isinstance(operation, ast.Call) or not _takes_arrays_only(self.called):
            return {}
        unknown = find_unknown(list(find_operands(operation)), self.evaluator)
        is_receiver = isinstance(operation.func, ast.Attribute) and operation.func.value is unknown
        if unknown is None or is_receiver or self._gives_iterator(unknown):
            return {}
        return {unknown: f"safe_numpy.to_numpy({self.running.excerpt.find_text(unknown)})"}

    def _gives_iterator(self, node: ast.expr) -> bool:
        """Tell whether `node` is what `to_numpy` would exhaust."""
        if not isinstance(node, ast.Call):
            return isinstance(node, ast.GeneratorExp)
        function = self._get(node.func)
        if isinstance(function, type):
            return issubclass(function, Iterator)
        return inspect.isgeneratorfunction(function) if isinstance(function, FunctionType) else False

    def find(self, x: Any, plan: Plan, place: Place) -> dict[ast.expr, str]:
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
        return plan.render(self.running.excerpt.find_text(node)) or ""

    def _find_asked(self) -> dict[ast.expr, str]:
        """Return the other ``y.numpy()`` of the line, where they are going to fail too."""
        found: dict[ast.expr, str] = {}
        for node in walk_scope(self.running.statement):
            receiver = find_receiver(node) if isinstance(node, ast.Call) and not node.keywords else None
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
            plan = _make_plan(base, door)
            if base is not value and not _SIMPLE_KINDS.issuperset(p.kind for p in plan.problems):
                return None
            return self._render(plan, node) if plan.problems and plan.array is not None else None
        if type(value) in (list, tuple, dict) and self._find_common_fix(_get_elements(value)) is not None:
            return self._convert_container(Place(node, "[0]", value))
        return None

    def _convert_container(self, place: Place, elements: Plan | None = None) -> str | None:
        """Return the code that converts a container's elements; by the plan `elements`, where that is for each."""
        text, value = self.running.excerpt.find_text(place.node), place.value
        name = text if is_primary(text) else f"({text})"
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
        if not 0 < len(elements) <= _MOST_ELEMENTS or any(frameworks.of(e) is None for e in elements):
            return None
        plans = [_make_plan(e, Door.ARRAY) for e in elements]
        fixes = {p.render("t") for p in plans}
        return fixes.pop() if len(fixes) == 1 and plans[0].problems else None


def _make_plan(x: Any, door: Door) -> Plan:
    framework = frameworks.of(x)
    if framework is None:
        raise TypeError("only a tensor has a plan")
    with framework.undisturbed():
        return framework.plan(x, door)


def _get_elements(container: Any) -> list[Any]:
    if type(container) is dict:
        return list(container.values())
    return list(container) if type(container) in (list, tuple) else []


def _takes_arrays_only(called: FrameType | None) -> bool:
    """Tell whether the code that was called has nothing to do with tensors, and so wants an array of each."""
    return called is None or not any(name in called.f_globals for name in _FRAMEWORK_NAMES)
