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
from types import FrameType
from typing import NamedTuple

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


class Position(NamedTuple):
    """Where the user's code was running."""

    filename: str
    lineno: int
    column: int | None = None
    """in bytes, of the instruction; None: not known, as under ``-X no_debug_ranges``"""


def find_position(frame: FrameType) -> Position:
    """Return the place of the instruction that `frame` runs: several statements may stand on its line."""
    places = itertools.islice(frame.f_code.co_positions(), frame.f_lasti // 2, None)
    lineno, _, column, _ = next(places, (None, None, None, None))
    return Position(frame.f_code.co_filename, lineno or frame.f_lineno, column)


def follow(positions: Sequence[Position]) -> Flow:
    """Follow the array that the code at the first of these positions makes.

    Args:
        positions: where the user's code was running, the innermost first.
    """
    for position in positions:
        scope, statement = _find_scope(position)
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


def _find_scope(position: Position) -> tuple[ast.AST | None, ast.stmt | None]:
    """Return the innermost function, or the module, and the statement in it that stands at a position."""
    try:
        scope: ast.AST = ast.parse("".join(linecache.getlines(position.filename)))
    except (SyntaxError, ValueError):
        return None, None
    while True:
        around = [s for s in _walk_statements(scope) if _is_around(s, position)]
        innermost = max(around, key=lambda s: (s.lineno, s.col_offset), default=None)
        if position.column is None and [s.lineno for s in around].count(position.lineno) > 1:
            return scope, None  # which of them, is not to be told
        if not isinstance(innermost, _SCOPES):
            return scope, innermost
        scope = innermost


def _is_around(statement: ast.stmt, position: Position) -> bool:
    start, end = (statement.lineno, statement.col_offset), (statement.end_lineno or 0, statement.end_col_offset or 0)
    if position.column is None:
        return start[0] <= position.lineno <= end[0]
    return start <= (position.lineno, position.column) < end


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
