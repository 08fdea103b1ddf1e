"""Rules of `why`: symbolic tensors, which have no value while a function is traced, where a value is wanted."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from typing import Any

from safe_numpy.callsite.evaluator import get_home
from safe_numpy.callsite.expression import find_operands, walk_scope
from safe_numpy.callsite.frames import find_translator
from safe_numpy.callsite.traced import TracedLine
from safe_numpy.diagnosis.facts import NOTHING_READ, Door, Reading
from safe_numpy.diagnosis.framework import find_framework, make_plan
from safe_numpy.messages import phrases
from safe_numpy.postmortem import error_site as site
from safe_numpy.postmortem.error_site import ErrorSite, Finding

_CHOICE = "`tf.where` takes one of two results by element, and `tf.cond` calls one of two functions"
_LOOP = (
    "`tf.map_fn` calls a function for each part, and `tf.unstack` gives them where their number is known; so is a size "
    "that `x.shape[i]` gives, and not one of `tf.shape(x)`"
)
_STORE = "an array cannot hold what has no value: return it, and store it where the function is called"
_FOR_VALUES = frozenset({"builtins", "math", "numpy", "random", "operator", "json", "statistics"})
"""modules whose functions take values alone"""


def find_traced(error: BaseException, line: ErrorSite) -> Finding | None:
    """``int(x)``, ``range(n)``, ``if x > 0``, ``x.astype(...)``, ``a, b = x`` inside a function that is traced."""
    if not isinstance(error, (TypeError, AttributeError, ValueError)):
        return None
    node, tensor = next(_find_symbolic(line), (None, None))
    if node is None:
        return None
    name = line.find_text(node)
    reason, instead = _explain_missing_value(tensor, line, name)
    reading = _correct(line, node, tensor)
    headline = f"`{name}` is a symbolic tensor, and a value is wanted here."
    if reading.shown is not None:
        return Finding(headline, reading.shown, reason, phrases.KEPT[reading.stays])
    return Finding(headline, note=reason, more=_find_way(line, node) or instead)


def _find_symbolic(line: ErrorSite) -> Iterator[tuple[ast.expr, Any]]:
    """Yield the expressions of which a value is wanted that are symbolic tensors, and a tensor that each is like."""
    for node in _list_wanted(line):
        guess = line.guess(node)
        for tensor in guess.tensors if guess is not None else ():
            if site.is_symbolic(tensor) and find_framework(tensor) is not None:
                yield node, tensor


def _list_wanted(line: ErrorSite) -> list[ast.expr]:
    """Return the expressions of which the operation that failed wants a value."""
    node, statement = line.running.node, line.running.statement
    if isinstance(node, ast.Call):
        function = node.func
        is_text = isinstance(function, ast.Attribute) and type(line.find_value(function.value)) is str
        if is_text or get_home(line.find_value(function)) in _FOR_VALUES:
            return [n for n in find_operands(node) if n is not getattr(function, "value", None)]
        return _list_asked(line, function)
    if isinstance(node, ast.Subscript):
        is_array = site.is_array(line.find_value(node.value))
        is_stored = isinstance(node.ctx, ast.Store) and isinstance(statement, (ast.Assign, ast.AugAssign))
        stored = [statement.value] if is_stored and isinstance(statement, (ast.Assign, ast.AugAssign)) else []
        bounds = [n for n in ast.iter_child_nodes(node.slice) if isinstance(n, ast.expr)]
        return [node.slice, *bounds, *stored] if is_array else []
    if isinstance(node, ast.Attribute):
        return _list_asked(line, node)
    if isinstance(node, (ast.BinOp, ast.FormattedValue, ast.JoinedStr)):
        is_text = not isinstance(node, ast.BinOp) or type(line.find_value(node.left)) is str
        return [*find_operands(node)] if is_text else []
    return _list_tested(statement)


def _list_asked(line: ErrorSite, node: ast.expr) -> list[ast.expr]:
    """Return what is asked for an attribute of arrays or strings, or for ``numpy`` where it has that."""
    if not isinstance(node, ast.Attribute):
        return []
    owner, numpy = line.find_value(node.value), sys.modules.get("numpy")
    is_arrays = numpy is not None and hasattr(numpy.ndarray, node.attr)
    is_missing = (is_arrays or hasattr(bytes, node.attr)) and not hasattr(type(owner), node.attr)
    return [node.value] if is_missing or node.attr == "numpy" else []


def _list_tested(statement: ast.stmt) -> list[ast.expr]:
    """Return what a statement goes by, or takes apart."""
    found = [getattr(statement, name, None) for name in ("test", "iter")]
    if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], (ast.Tuple, ast.List)):
        found.append(statement.value)
    for node in walk_scope(statement):
        found += [node.test] if isinstance(node, ast.IfExp) else []
        found += [loop.iter for loop in getattr(node, "generators", [])]
    return [n for n in found if n is not None]


def _explain_missing_value(tensor: Any, line: ErrorSite, name: str) -> tuple[str, str]:
    """Return why there is no value, its function called what its writer calls it, and the usual way out."""
    plan, framework = make_plan(tensor, Door.ARRAY), find_framework(tensor)
    if plan is None or framework is None:
        return "", ""
    problems, _ = framework.introspect(tensor).look_closer(plan.problems, "", line.list_stack())
    facts = {"x": name, "nbytes": "", **problems[0].facts}
    reason = problems[0].says.reason.format_map(facts)
    return reason, problems[0].says.instead.format_map(facts)


def _find_way(line: ErrorSite, node: ast.expr) -> str:
    """Return what stands for a statement whose course depends on a value."""
    statement: Any = line.running.statement
    if isinstance(line.running.node, ast.Subscript) and isinstance(line.running.node.ctx, ast.Store):
        return _STORE
    if isinstance(statement, (ast.If, ast.While, ast.Assert)) and any(n is node for n in ast.walk(statement.test)):
        return _CHOICE
    if any(isinstance(n, ast.IfExp) and n.test is node for n in walk_scope(statement)):
        return _CHOICE
    loops = [statement, *(loop for n in walk_scope(statement) for loop in getattr(n, "generators", []))]
    is_iterated = any(n is node for loop in loops if hasattr(loop, "iter") for n in ast.walk(loop.iter))
    return _LOOP if is_iterated else ""


def _correct(line: ErrorSite, node: ast.expr, tensor: Any) -> Reading:
    """Return the line as it is to be written, by the framework's own functions; nothing where that is not certain."""
    framework, plan = find_framework(tensor), make_plan(tensor, Door.ARRAY)
    stack = line.list_stack()
    introspection = framework.introspect(tensor) if framework is not None else None
    twins = introspection.find_twins(stack) if introspection is not None else None
    if introspection is None or twins is None or plan is None:
        return NOTHING_READ
    is_converted = find_translator(line.frame.f_code) is not None
    is_learnt, dtype = introspection.is_learnt_from(stack), plan.subject.dtype
    running, evaluator, failed = line.running, line.evaluator, frozenset({node})
    return TracedLine(running, evaluator, twins, failed, dtype, True, None, is_learnt, is_converted).correct()
