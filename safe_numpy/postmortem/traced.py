"""Rules of `why`: symbolic tensors, which have no value while a function is traced, where a value is wanted."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from safe_numpy.callsite.evaluator import get_home
from safe_numpy.callsite.expression import find_operands, walk_scope
from safe_numpy.callsite.frames import find_translator, is_foreign
from safe_numpy.callsite.traced import TracedLine
from safe_numpy.diagnosis.causes import put_in_parentheses
from safe_numpy.diagnosis.facts import NOTHING_READ, Door
from safe_numpy.diagnosis.framework import find_framework, make_plan
from safe_numpy.diagnosis.registry import FRAMEWORKS
from safe_numpy.messages import phrases
from safe_numpy.postmortem import error_site as site
from safe_numpy.postmortem.error_site import ErrorSite, Finding, find_making

_FOR_VALUES = frozenset({"builtins", "math", "numpy", "random", "operator", "json", "statistics"})
"""modules whose functions take values alone"""


def find_traced(error: BaseException, line: ErrorSite) -> Finding | None:
    """``int(x)``, ``range(n)``, ``if x > 0``, ``x.astype(...)``, ``a, b = x`` inside a function that is traced."""
    if not isinstance(error, (TypeError, AttributeError, ValueError)) and type(error).__module__ != "cv2":
        return None
    node, tensor = next(_find_symbolic(line), (None, None))
    if node is None:
        return None
    is_ragged = type(tensor).__name__ == "RaggedTensor"  # whose parts alone are handed on
    name = line.find_text(node) + (".flat_values" if is_ragged else "")
    reason, instead = _explain_missing_value(tensor, line, name)
    headline = f"`{name}` is a symbolic tensor, and a value is wanted here."
    size = _find_size(line, node)
    if size is not None:
        return Finding(headline, size[0], reason, "this size is known beforehand", place=size[1])
    written = _make_traced_line(line, node, tensor)
    reading = written.correct() if written is not None else NOTHING_READ
    if reading.shown is not None:
        return Finding(headline, reading.shown, reason, phrases.KEPT[reading.stays])
    return Finding(headline, note=reason, more=(written is not None and written.find_way(name)) or instead)


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
        home = get_home(line.find_value(function)) or _find_module(line, function)
        if is_text or home in _FOR_VALUES or _is_librarys(home):
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


def _is_librarys(home: str) -> bool:
    """Tell whether a package is an installed one that knows no tensors without values."""
    file = getattr(sys.modules.get(home), "__file__", None)
    return isinstance(file, str) and home not in FRAMEWORKS and is_foreign(file)


def _find_module(line: ErrorSite, function: ast.expr) -> str:
    """Return the module that a function in C is taken from, which it does not tell itself."""
    module = line.find_value(function.value) if isinstance(function, ast.Attribute) else None
    return module.__name__.partition(".")[0] if isinstance(module, ModuleType) else ""


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


def _find_size(line: ErrorSite, node: ast.expr) -> tuple[str, str] | None:
    """Return ``n = x.shape[1]`` for ``n = tf.shape(x)[1]``, where that is a number, and where it stands."""
    making = find_making(line, node.id) if isinstance(node, ast.Name) else None
    value = making.value if making is not None else None
    call = value.value if isinstance(value, ast.Subscript) else None
    if making is None or not isinstance(value, ast.Subscript) or not isinstance(call, ast.Call) or len(call.args) != 1:
        return None
    axis, shape = line.find_value(value.slice), getattr(line.find_value(call.args[0]), "shape", ())
    is_shape = line.evaluator.is_framework_function(call.func) and line.find_text(call.func).endswith("shape")
    if not is_shape or type(axis) is not int or not -len(shape) <= axis < len(shape) or shape[axis] is None:
        return None
    text = f"{put_in_parentheses(line.find_text(call.args[0]))}.shape[{line.find_text(value.slice)}]"
    fix = line.fix_elsewhere(making.statement, {value: text})
    return (fix, line.name_statement(making.statement)) if fix is not None else None


def _explain_missing_value(tensor: Any, line: ErrorSite, name: str) -> tuple[str, str]:
    """Return why there is no value, its function called what its writer calls it, and the usual way out."""
    plan, framework = make_plan(tensor, Door.ARRAY), find_framework(tensor)
    if plan is None or framework is None:
        return "", ""
    problems, _ = framework.introspect(tensor).look_closer(plan.problems, "", line.list_stack())
    facts = {"x": name, "nbytes": "", **problems[0].facts}
    reason = problems[0].says.reason.format_map(facts)
    return reason, problems[0].says.instead.format_map(facts)


def _make_traced_line(line: ErrorSite, node: ast.expr, tensor: Any) -> TracedLine | None:
    """Return what writes the line with the framework's own functions; None where nobody is seen to trace it."""
    framework, plan = find_framework(tensor), make_plan(tensor, Door.ARRAY)
    stack = line.list_stack()
    introspection = framework.introspect(tensor) if framework is not None else None
    twins = introspection.find_twins(stack) if introspection is not None else None
    if introspection is None or twins is None or plan is None:
        return None
    is_converted = find_translator(line.frame.f_code) is not None
    is_learnt, dtype = introspection.is_learnt_from(stack), plan.subject.dtype
    same = {n for n in walk_scope(line.running.statement) if line.find_value(n) is tensor}
    running, evaluator, failed = line.running, line.evaluator, frozenset({node, *same})
    return TracedLine(running, evaluator, twins, failed, dtype, True, None, is_learnt, is_converted)
