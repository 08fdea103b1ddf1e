"""The function of the user's that gave a library a tensor, and its `return` corrected."""

from __future__ import annotations

import ast
from dataclasses import replace

from safe_numpy.callsite.evaluator import Evaluator
from safe_numpy.callsite.expression import find_operands
from safe_numpy.callsite.fix import correct
from safe_numpy.callsite.frames import read_members
from safe_numpy.callsite.functions import Returns, find_returns
from safe_numpy.callsite.source import RunningCode
from safe_numpy.diagnosis.causes import Plan, put_in_parentheses
from safe_numpy.diagnosis.facts import Kind, Reading
from safe_numpy.messages.units import name_place

_DERIVATIVES = frozenset({"jac", "fprime", "hess", "hessp", "grad", "Dfun", "dfunc"})
"""what SciPy calls the functions that give derivatives"""


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
        return f"safe_numpy.to_numpy({put_in_parentheses(text)})"
    if plan.array is None or isinstance(value, (ast.List, ast.Dict, ast.ListComp, ast.DictComp)):
        return None
    if plan.subject.shape == "[]" and {p.kind for p in plan.problems} <= {Kind.GRAD, Kind.DEVICE, Kind.DTYPE}:
        return f"{put_in_parentheses(text)}.item()"
    return plan.render(text)


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
    return next(iter(found.values()))[1] if len(found) == 1 else None
