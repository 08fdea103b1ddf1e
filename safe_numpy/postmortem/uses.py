"""What becomes of a variable in its function, as the source says: where it is bound, and how it is used."""

from __future__ import annotations

import ast
import sys
from typing import Any, Literal, NamedTuple

from safe_numpy.callsite.evaluator import NOTHING, Evaluator, get_home
from safe_numpy.callsite.functions import walk_own
from safe_numpy.callsite.source import RunningCode, find_statement
from safe_numpy.callsite.syntax import FUNCTIONS, makes_tensor
from safe_numpy.diagnosis.framework import find_framework
from safe_numpy.diagnosis.registry import FRAMEWORKS

Kind = Literal["one", "many", "array", "tensor", ""]
"""a use that only a tensor or an array stands, one of several things, one of an array, one of a tensor; any"""

_MANY_ATTRIBUTES = frozenset(
    {"append", "extend", "items", "keys", "values", "get", "index", "count", "pop", "insert", "update", "setdefault"}
)
_TENSOR_ATTRIBUTES = frozenset(
    {"backward", "requires_grad", "grad", "detach", "cpu", "cuda", "to", "unsqueeze", "permute", "is_cuda", "numpy"}
    | {"device", "item", "size", "numel", "clamp", "argmax"}
)
_ARRAY_ATTRIBUTES = frozenset({"astype", "tobytes", "copy"})
_OPENERS = frozenset({"len", "enumerate", "zip", "iter", "next", "list", "tuple", "dict", "sorted", "reversed"})
_JOINERS = frozenset({"stack", "concatenate", "concat", "cat", "vstack", "hstack", "dstack", "column_stack"})
_SHOWING = frozenset({"print", "float", "int", "round", "str", "format"})


class Binding(NamedTuple):
    """Where a variable gets its value."""

    statement: ast.stmt
    value: ast.expr | None
    """what is assigned to it alone; None: it is one of several, a loop's, or no simple assignment"""


def is_parameter(scope: ast.AST, name: str) -> bool:
    """Tell whether a variable is a parameter of its function."""
    if not isinstance(scope, (*FUNCTIONS, ast.Lambda)):
        return False
    return any(isinstance(n, ast.arg) and n.arg == name for n in ast.walk(scope.args))


def find_bindings(scope: ast.AST, name: str) -> list[Binding]:
    """Return every place in a function that binds a variable."""
    found = []
    for node in walk_own(scope):
        if not isinstance(node, ast.Name) or node.id != name or isinstance(node.ctx, ast.Load):
            continue
        statement = find_statement(node)
        is_alone = isinstance(statement, ast.Assign) and statement.targets == [node]
        found.append(Binding(statement, statement.value if is_alone else None))  # type: ignore[attr-defined]
    return found


def find_uses(scope: ast.AST, name: str, but_for: ast.stmt | None = None) -> list[ast.Name]:
    """Return where a variable is read, outside one statement."""
    skipped = set(map(id, ast.walk(but_for))) if but_for is not None else set()
    return [
        n
        for n in walk_own(scope)
        if isinstance(n, ast.Name) and n.id == name and isinstance(n.ctx, ast.Load) and id(n) not in skipped
    ]


def follow_result(node: ast.AST) -> Kind | ast.Name:
    """Return how a statement uses the value of one of its expressions, or the variable to which it is assigned."""
    parent: Any = node.parent  # type: ignore[attr-defined]
    if isinstance(parent, ast.Assign):
        target = parent.targets[0]
        if isinstance(target, ast.Name) and len(parent.targets) == 1:
            return target
        if isinstance(target, (ast.Tuple, ast.List)):
            return "many"
        return "one" if isinstance(target, ast.Subscript) else ""
    if isinstance(parent, (ast.ListComp, ast.GeneratorExp, ast.SetComp)) and parent.elt is node:
        return "one"
    return _classify_parent(node, parent)


def _classify_parent(node: ast.AST, parent: ast.AST) -> Kind:
    if isinstance(parent, (ast.BinOp, ast.UnaryOp, ast.Compare, ast.AugAssign, ast.FormattedValue)):
        return "one"
    if isinstance(parent, (ast.For, ast.comprehension)):
        return "many" if parent.iter is node else ""
    if isinstance(parent, ast.Starred):
        return "many"
    if isinstance(parent, ast.Subscript) and parent.value is node:
        return "one" if isinstance(parent.slice, ast.Tuple) else ""
    if isinstance(parent, ast.Assign) and isinstance(parent.targets[0], (ast.Tuple, ast.List)):
        return "many"
    return ""


def classify_use(use: ast.AST, evaluator: Evaluator) -> Kind:
    """Return what a use of a variable asks of it."""
    parent: Any = use.parent  # type: ignore[attr-defined]
    if isinstance(parent, ast.Attribute):
        if parent.attr in _MANY_ATTRIBUTES:
            return "many"
        return "tensor" if parent.attr in _TENSOR_ATTRIBUTES else "array" if parent.attr in _ARRAY_ATTRIBUTES else ""
    if isinstance(parent, ast.Call) and parent.func is not use:
        return _classify_argument(parent, evaluator)
    if isinstance(parent, ast.FormattedValue):
        return "array"
    if isinstance(parent, (ast.BinOp, ast.Compare)):
        others = [n for n in ast.iter_child_nodes(parent) if isinstance(n, ast.expr) and n is not use]
        values = [evaluator.find(n, NOTHING) for n in others]
        is_arrays = any(get_home(type(v)) == "numpy" for v in values)
        if any(find_framework(v) is not None for v in values) or any(evaluator.guess(n) is not None for n in others):
            return "tensor"
        return "array" if is_arrays else "one"
    return _classify_parent(use, parent)


def _classify_argument(call: ast.Call, evaluator: Evaluator) -> Kind:
    function = call.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    if isinstance(function, ast.Name) and name in _OPENERS:
        return "many"
    home = get_home(evaluator.find(function))
    if name in _JOINERS:
        return "many"
    if home == "numpy" or (home in FRAMEWORKS and (makes_tensor(name) or name == "LongTensor")):
        return "array"
    if name in _SHOWING or is_librarys(home):
        return "array"
    is_frameworks = home in FRAMEWORKS or evaluator.is_framework_function(function) or evaluator.is_model(function)
    return "tensor" if is_frameworks else ""


def is_librarys(home: str) -> bool:
    """Tell whether a package is an installed one that has nothing to do with training: for plots, tables, scores."""
    module = sys.modules.get(home)
    is_installed = "-packages" in (getattr(module, "__file__", None) or "")
    return is_installed and home not in ("numpy", "keras", *FRAMEWORKS) and not home.startswith("torch")


def find_takers(scope: ast.AST, name: str, evaluator: Evaluator, but_for: ast.stmt | None = None) -> set[Kind]:
    """Return what the functions want to which a variable is given, as it is or computed with."""
    found: set[Kind] = set()
    for use in find_uses(scope, name, but_for):
        node: Any = use
        while isinstance(node.parent, (ast.BinOp, ast.UnaryOp, ast.Subscript)):
            node = node.parent
        parent = node.parent
        if isinstance(parent, ast.FormattedValue) or (isinstance(parent, ast.Call) and parent.func is not node):
            kind = classify_use(node, evaluator)
            if kind == "many" and isinstance(parent, ast.Call):  # joined into one
                home = get_home(evaluator.find(parent.func))
                kind = "array" if home == "numpy" else "tensor" if home in FRAMEWORKS else kind
            found.add(kind)
    return found - {""}


def list_kinds(scope: ast.AST, name: str, evaluator: Evaluator, but_for: ast.stmt | None = None) -> set[Kind]:
    """Return what the uses of a variable outside one statement ask of it."""
    return {classify_use(use, evaluator) for use in find_uses(scope, name, but_for)} - {""}


def at(running: RunningCode, statement: ast.stmt) -> RunningCode:
    """Return another statement of the same file."""
    return RunningCode(running.source, None, statement)
