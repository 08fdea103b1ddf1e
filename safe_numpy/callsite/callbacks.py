"""The function of the user's that gave a library a tensor, and its `return` corrected."""

from __future__ import annotations

import ast
import linecache
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from types import FrameType, FunctionType, TracebackType
from typing import Any

from safe_numpy.callsite.evaluator import Evaluator, is_framework_object
from safe_numpy.callsite.expression import find_operands, walk_scope
from safe_numpy.callsite.fix import correct
from safe_numpy.callsite.frames import (
    find_package,
    get_class_dict,
    get_mro,
    is_exactly,
    is_users,
    list_sites,
    read_members,
)
from safe_numpy.callsite.functions import Returns, find_returns, find_scope, list_names
from safe_numpy.callsite.source import RunningCode, read_line, read_running
from safe_numpy.diagnosis.causes import Plan, put_in_parentheses
from safe_numpy.diagnosis.facts import Kind, Reading
from safe_numpy.diagnosis.framework import find_framework
from safe_numpy.messages.units import name_place

_DERIVATIVES = frozenset({"jac", "fprime", "hess", "hessp", "grad", "Dfun", "dfunc"})
"""what SciPy calls the functions that give derivatives"""

_ASKED = ("predict", "predict_proba", "decision_function", "transform", "inverse_transform")
"""what scikit-learn asks of estimators, whose answers it computes with"""

_MOST_OBJECTS = 300
_MOST_SITES = 10
_MOST_STEPS = 3
_SETTER = re.compile(r"\.set_[xy]?data(?:_3d)?\(")
"""calls that give a line of a plot its data"""


def read_callback(running: RunningCode, plan: Plan, evaluator: Evaluator) -> Reading | None:
    """Find the tensor in what a function of the user's gave back to the library that called it."""
    node = running.node
    operands = list(find_operands(node)) if node is not None else []
    inline = [n for n in operands if isinstance(n, ast.Lambda)]
    if node is None or any(not (evaluator.knows(n) or evaluator.is_harmless(n)) for n in operands if n not in inline):
        return None
    if len(inline) == 1 and isinstance(node, ast.Call):
        fix = _convert_returned(running, inline[0].body, plan)
        fixed = correct(running, {inline[0].body: fix} if fix else {}, evaluator.enter_lambda(inline[0]))
        return replace(fixed, returned_by="the lambda")
    returns = find_callback(node, evaluator, plan.subject.shape == "[]")
    modules = [n for n in operands if evaluator.is_model(n)]
    if len(modules) == 1 and (returns is None or returns.name == "forward"):
        return _wrap_module(running, modules[0], plan, evaluator)
    if returns is None:
        return None
    who = f"`{returns.name}`" if returns.name else "the lambda"
    if len(returns.lines) != 1 or returns.is_generator:
        return Reading(returned_by=who)
    line, value = returns.lines[0]
    fix = _convert_returned(line, value, plan)
    fixed = correct(line, {value: fix} if fix else {}, evaluator)
    return replace(fixed, returned_by=who, place=name_place(returns.filename, line.statement.lineno))


def _wrap_module(running: RunningCode, module: ast.expr, plan: Plan, evaluator: Evaluator) -> Reading:
    """Correct the line that hands a module to a library: its own `return` is to give tensors."""
    text = running.find_text(module)
    array = plan.render(f"{text}(*args)")
    fixed = correct(running, {module: f"lambda *args: {array}"} if array else {}, evaluator)
    return replace(fixed, returned_by=f"`{text}`")


def _convert_returned(line: RunningCode, value: ast.expr, plan: Plan) -> str | None:
    """Return what a function is to return instead of `value`: an array, or a number; None where that is not certain."""
    text = line.find_text(value)
    if isinstance(value, ast.Tuple):
        return convert_tuple(text)
    if plan.array is None or isinstance(value, (ast.List, ast.Dict, ast.ListComp, ast.DictComp)):
        return None
    if plan.subject.shape == "[]" and {p.kind for p in plan.problems} <= {Kind.GRAD, Kind.DEVICE, Kind.DTYPE}:
        return f"{put_in_parentheses(text)}.item()"
    return plan.render(text)


def convert_tuple(text: str) -> str:
    """Return what a function is to return instead of several values, of which some are tensors."""
    return f"safe_numpy.to_numpy({put_in_parentheses(text)})"


def find_callback(node: ast.expr, evaluator: Evaluator, is_scalar: bool) -> Returns | None:
    """Return where the function of the user's gives something back that an operation hands on to a library.

    None where there is none, or which one gave the tensor is not certain. Of an objective and its derivative, the one
    gives scalars, the other does not.
    """
    if not isinstance(node, ast.Call):
        return None
    listeners = {k.value for k in node.keywords if k.arg == "callback"}  # what they return, nobody asks for
    handed = {n: evaluator.find(n) for n in find_operands(node) if n not in listeners}
    if isinstance(node.func, ast.Call):  # np.vectorize(function)(values)
        handed |= {n: evaluator.find(n) for n in find_operands(node.func)}
    members = read_members(evaluator.find(node.func)).values()
    found = {id(f): (n, r) for n, f in [*handed.items(), *((node.func, m) for m in members)] if (r := find_returns(f))}
    if len(found) == 2:
        derivatives = {k.value for k in node.keywords if k.arg in _DERIVATIVES}
        found = {key: (n, r) for key, (n, r) in found.items() if (n in derivatives) is not is_scalar}
    if not found:
        methods = _find_methods(handed.values())
        return methods[0] if len(methods) == 1 else None
    return next(iter(found.values()))[1] if len(found) == 1 else None


def _find_methods(objects: Iterable[Any]) -> list[Returns]:
    """Return where the methods of the user's give something back that a library asks of estimators.

    None of them where an estimator holds a tensor, which the library may have found there.
    """
    found: dict[tuple[str, int], Returns] = {}
    pending, seen = list(objects), set[int]()
    while pending and len(seen) < _MOST_OBJECTS:
        value = pending.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if find_framework(value) is not None:
            return []
        pending += list(value)[:_MOST_OBJECTS] if is_exactly(value, list, tuple) else []
        if not is_framework_object(value) and any(
            name in get_class_dict(c) for c in get_mro(type(value)) for name in _ASKED
        ):
            pending += read_members(value).values()
            told = [r for n in _ASKED if (r := find_returns(_find_method(value, n))) is not None and r.gives_one]
            found |= {(r.filename, r.lines[0][0].statement.lineno): r for r in told}
    return list(found.values())


def _find_method(instance: Any, name: str) -> Any:
    """Return a method as it was written: scikit-learn wraps those of its transformers."""
    own = (get_class_dict(cls) for cls in get_mro(type(instance)))
    method = next((members[name] for members in own if name in members), None)
    while type(method) is FunctionType and "__wrapped__" in vars(method):
        method = vars(method)["__wrapped__"]
    return method


def is_made_constant(stack: Sequence[FrameType], traceback: TracebackType | None) -> bool:
    """Tell whether an array is only made a tensor again beside what carries a gradient: a target, weights, an input.

    Where all that is computed with it is so, nobody expects a gradient to pass through the library that made it.
    """
    sites = list_sites(stack, _MOST_SITES, traceback)
    frames = [f for f in stack if is_users(f)][: len(sites)]
    found: list[bool] = []
    for frame, place in zip(frames, sites, strict=True):
        running = read_running(frame, place.lasti, place.lineno)
        targets = running.statement.targets if running is not None and isinstance(running.statement, ast.Assign) else []
        if running is None or not targets or not isinstance(targets[0], ast.Name):
            continue
        scope, evaluator = find_scope(running.statement), Evaluator.from_frame(frame)
        makers = [n for n in ast.walk(scope) if isinstance(n, ast.Call) and _remakes(n, targets[0].id)]
        found += [_is_beside_gradient(n, scope, evaluator) for n in makers]
    return bool(found) and all(found)


def _remakes(call: ast.Call, name: str) -> bool:
    """Tell whether a call makes a tensor of a variable, or of a part of it."""
    function = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    names = {n.id for n in ast.walk(call) if isinstance(n, ast.Name)}
    return function in ("tensor", "as_tensor", "from_numpy") and name in names


def _is_beside_gradient(node: Any, scope: ast.AST, evaluator: Evaluator) -> bool:
    """Tell whether a new tensor meets what carries a gradient at once: in an operation, a loss, a module."""
    while isinstance(node.parent, (ast.Attribute, ast.Subscript)) or getattr(node.parent, "func", None) is node:
        node = node.parent
    around = node.parent
    if isinstance(around, ast.Call) and evaluator.is_model(around.func):
        return True
    if not isinstance(around, (ast.BinOp, ast.Call)):
        return False
    others = [n for n in find_operands(around) if n is not node]
    return any(_carries_gradient(n, scope, evaluator, _MOST_STEPS) for n in others)


def _carries_gradient(node: ast.expr, scope: ast.AST, evaluator: Evaluator, steps: int) -> bool:
    """Tell whether an expression is computed of a module, or of what requires grad, as far as the source says."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.Call) and evaluator.is_model(inner.func):
            return True
        if isinstance(inner, ast.keyword) and inner.arg == "requires_grad":
            return evaluator.find(inner.value) is True
        if not isinstance(inner, ast.Name):
            continue
        guess = evaluator.guess(inner)
        if guess is not None and any(getattr(t, "requires_grad", False) is True for t in guess.tensors):
            return True
        made = [n.value for n in ast.walk(scope) if isinstance(n, ast.Assign) and inner.id in list_names(n.targets[0])]
        if steps and any(_carries_gradient(value, scope, evaluator, steps - 1) for value in made):
            return True
    return False


def read_setter(plan: Plan, traceback: TracebackType | None) -> Reading | None:
    """Find the line that gave a line of a plot its data: matplotlib takes any, and converts it when it is drawn."""
    frames: list[FrameType] = []
    while traceback is not None:
        frames.append(traceback.tb_frame)
        traceback = traceback.tb_next
    if not any(f.f_code.co_name == "recache" and find_package(f) == "matplotlib" for f in frames):
        return None
    user = next((f for f in reversed(frames) if is_users(f)), None)
    file = user.f_code.co_filename if user is not None else ""
    linenos = [i + 1 for i, text in enumerate(linecache.getlines(file)) if _SETTER.search(text)]
    running = read_line(file, linenos[0]) if len(linenos) == 1 else None
    calls = [n for n in walk_scope(running.statement) if isinstance(n, ast.Call)] if running is not None else []
    calls = [n for n in calls if getattr(n.func, "attr", "") in ("set_xdata", "set_ydata")]
    if (
        user is None
        or running is None
        or len(calls) != 1
        or len(calls[0].args) != 1
        or isinstance(calls[0].args[0], ast.Starred)
    ):
        return None
    given = calls[0].args[0]
    text = plan.render(running.find_text(given))
    fixed = correct(running, {given: text} if text else {}, Evaluator((user.f_globals,)))
    return replace(fixed, place=name_place(file, linenos[0])) if fixed.shown else None
