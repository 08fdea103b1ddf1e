"""Whether an array that a line makes becomes a tensor again, as far as the source of the functions around it says.

It follows names, not values: from the line through the assignments of its function, and with what that returns into
the statement that called it.
"""

from __future__ import annotations

import ast
import itertools
import linecache
from collections.abc import Iterator, Sequence
from enum import Enum

from safe_numpy.diagnosis.facts import Site

_MAKERS = frozenset(
    {"from_numpy", "as_tensor", "tensor", "from_dlpack", "new_tensor", "convert_to_tensor", "constant", "frombuffer"}
    | {"Tensor", "FloatTensor", "DoubleTensor", "HalfTensor", "BFloat16Tensor", "Variable"}
)
"""functions that make tensors of arrays, whatever module they are taken from"""

_ONLY_TORCH = frozenset({"asarray", "stack", "full"})
"""names that NumPy's functions have too"""

_KEEPERS = frozenset({"append", "appendleft", "extend", "extendleft", "add", "insert", "update", "put", "setdefault"})
"""methods by which containers take something in"""

_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
_BODIES = ("body", "orelse", "finalbody", "handlers", "cases")


class Flow(Enum):
    """What becomes of an array."""

    RETURNS = "it becomes a tensor again"
    ENDS = "it is shown, stored or thrown away"
    UNKNOWN = "its way cannot be followed"


def follow(sites: Sequence[Site]) -> Flow:
    """Follow the array that the first of these lines makes.

    Args:
        sites: the user's lines that were running, the innermost first.
    """
    for site in sites:
        scope, statement = _find_scope(site)
        if scope is None or statement is None:
            return Flow.UNKNOWN
        flow = _Scope(scope).follow(statement)
        if flow is not None:
            return flow
    return Flow.UNKNOWN


class _Scope:
    """One function, or a module."""

    def __init__(self, scope: ast.AST) -> None:
        self._statements = list(_walk_statements(scope))
        self._names: set[str] = set()
        """variables that hold the array, or what was made of it"""
        self._is_lost = False

    def follow(self, start: ast.stmt) -> Flow | None:
        """Return what becomes of the value that `start` computes; None: it is returned to the caller."""
        if any(map(_makes_tensor, _walk_head(start))):
            return Flow.RETURNS
        is_returned = self._take(start)
        while True:
            before = len(self._names)
            for statement in self._statements:
                if statement is start or not self._uses(statement):
                    continue
                if any(_makes_tensor(n) and self._uses(n) for n in _walk_head(statement)):
                    return Flow.RETURNS
                is_returned |= self._take(statement)
            if len(self._names) == before:
                break
        if is_returned:
            return None
        return Flow.UNKNOWN if self._is_lost else Flow.ENDS

    def _uses(self, node: ast.AST) -> bool:
        return any(isinstance(n, ast.Name) and n.id in self._names for n in _walk_head(node))

    def _take(self, statement: ast.stmt) -> bool:
        """Note where a statement puts its value; tell whether it returns it."""
        if isinstance(statement, ast.Return):
            return True
        if isinstance(statement, ast.Assign):
            for target in statement.targets:
                self._put(target)
        elif isinstance(statement, (ast.AnnAssign, ast.AugAssign, ast.For, ast.AsyncFor)):
            self._put(statement.target)
        elif isinstance(statement, ast.Expr):
            if any(isinstance(n, (ast.Yield, ast.YieldFrom)) for n in _walk_head(statement)):
                self._is_lost = True
            elif isinstance(statement.value, ast.Call) and isinstance(statement.value.func, ast.Attribute):
                self._take_call(statement.value.func)
        elif isinstance(statement, (*_SCOPES, ast.Global, ast.Nonlocal)):
            self._is_lost = True  # a function within sees the variable
        for node in _walk_head(statement):
            if isinstance(node, ast.NamedExpr):
                self._put(node.target)
        return False

    def _take_call(self, method: ast.Attribute) -> None:
        """Note what a method may keep whose result is thrown away: ``losses.append(array)``, ``self.keep(array)``."""
        if method.attr in _KEEPERS:
            self._put(method.value)
        elif isinstance(method.value, ast.Name) and method.value.id in ("self", "cls"):
            self._is_lost = True

    def _put(self, target: ast.expr) -> None:
        if isinstance(target, (ast.Tuple, ast.List)):
            for element in target.elts:
                self._put(element)
        elif isinstance(target, ast.Starred):
            self._put(target.value)
        elif isinstance(target, ast.Name):
            self._names.add(target.id)
        elif isinstance(target, ast.Subscript) and isinstance(target.value, ast.Name):
            self._names.add(target.value.id)
        else:
            self._is_lost = True  # an attribute: other functions see it


def _makes_tensor(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call):
        return False
    function = node.func
    if isinstance(function, ast.Name):
        return function.id in _MAKERS
    if not isinstance(function, ast.Attribute):
        return False
    owner = function.value.id if isinstance(function.value, ast.Name) else ""
    return function.attr in _MAKERS or (owner == "torch" and function.attr in _ONLY_TORCH)


def _find_scope(site: Site) -> tuple[ast.AST | None, ast.stmt | None]:
    """Return the innermost function, or the module, and the statement in it that was running."""
    try:
        scope: ast.AST = ast.parse("".join(linecache.getlines(site.filename)))
    except (SyntaxError, ValueError):
        return None, None
    # where the instruction stands tells several statements on one line apart
    places = itertools.islice(site.code.co_positions(), site.lasti // 2, None) if site.code else iter(())
    lineno, _, column, _ = next(places, (None, None, None, None))
    while True:
        if lineno is not None and column is not None:
            around = [s for s in _walk_statements(scope) if _is_around(s, lineno, column)]
        else:  # as under `-X no_debug_ranges`
            around = [s for s in _walk_statements(scope) if s.lineno <= site.lineno <= (s.end_lineno or s.lineno)]
            if [s.lineno for s in around].count(site.lineno) > 1:
                return scope, None
        innermost = max(around, key=lambda s: (s.lineno, s.col_offset), default=None)
        if not isinstance(innermost, _SCOPES):
            return scope, innermost
        scope = innermost


def _is_around(statement: ast.stmt, lineno: int, column: int) -> bool:
    end = (statement.end_lineno or 0, statement.end_col_offset or 0)
    return (statement.lineno, statement.col_offset) <= (lineno, column) < end


def _walk_statements(scope: ast.AST) -> Iterator[ast.stmt]:
    """Yield the statements of a function, those in its loops and branches too, but not those of functions within."""
    for field in _BODIES:
        children = getattr(scope, field, ())
        for child in children if isinstance(children, list) else ():
            if isinstance(child, ast.stmt):
                yield child
            if not isinstance(child, _SCOPES):
                yield from _walk_statements(child)


def _walk_head(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes of a statement without the statements inside of it; of a function within, all."""
    pending = [node]
    while pending:
        current = pending.pop()
        yield current
        for child in ast.iter_child_nodes(current):
            is_inside = isinstance(child, (ast.stmt, ast.ExceptHandler, ast.match_case))
            if not is_inside or isinstance(current, _SCOPES):
                pending.append(child)
