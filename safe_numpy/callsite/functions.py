"""What a function of the user's gives back, as its source says: its `return` statements."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from types import FunctionType, MethodType
from typing import Any

from safe_numpy.callsite.frames import is_foreign
from safe_numpy.callsite.source import RunningCode, find_statement, read_function
from safe_numpy.callsite.syntax import SCOPES

_MANY = (ast.Tuple, ast.List, ast.Set, ast.Dict, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_MAKERS = frozenset({"list", "tuple", "dict", "set", "zip", "map", "deque", "defaultdict", "OrderedDict", "sorted"})


@dataclass(frozen=True, slots=True)
class Returns:
    """Where a function gives something back."""

    name: str
    filename: str
    lines: tuple[tuple[RunningCode, ast.expr], ...]
    """the statements, and the value that each returns"""
    is_generator: bool

    @property
    def gives_one(self) -> bool:
        """Whether nothing says that several values are given at once."""
        return bool(self.lines) and not self.is_generator and not any(map(_is_many, self.lines))


def find_returns(function: Any) -> Returns | None:
    """Return where a function of the user's gives something back; None for any other, or where there is no source."""
    while isinstance(function, functools.partial):
        function = function.func
    if type(function) is not FunctionType and type(function) is not MethodType and not isinstance(function, type):
        function = _find_call(function)
    if type(function) is MethodType:
        function = function.__func__
    if type(function) is not FunctionType or is_foreign(function.__code__.co_filename):
        return None
    code = function.__code__
    found = read_function(code)
    if found is None:
        return None
    source, node = found
    if isinstance(node, ast.Lambda):
        return Returns("", code.co_filename, ((RunningCode(source, None, find_statement(node)), node.body),), False)
    inside = list(walk_own(node))
    lines = tuple(
        (RunningCode(source, None, statement), statement.value)
        for statement in inside
        if isinstance(statement, ast.Return) and statement.value is not None
    )
    is_generator = any(isinstance(n, (ast.Yield, ast.YieldFrom)) for n in inside)
    return Returns(code.co_name, code.co_filename, lines, is_generator)


def _find_call(instance: Any) -> Any:
    """Return what runs when an instance of a class of the user's is called."""
    for cls in type.mro(type(instance)):
        for name in ("forward", "__call__"):  # torch's modules call the one
            method = vars(cls).get(name)
            if type(method) is FunctionType:
                return method
    return None


def find_scope(node: ast.AST) -> ast.AST:
    """Return the function, class or module that a node stands in."""
    while not isinstance(node, (*SCOPES, ast.Module)) and getattr(node, "parent", None) is not None:
        node = node.parent  # type: ignore[attr-defined]
    return node


def walk_own(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what stands in a function, and not in another one inside it."""
    for child in ast.iter_child_nodes(node):
        yield child
        if not isinstance(child, SCOPES):
            yield from walk_own(child)


def _is_many(line: tuple[RunningCode, ast.expr]) -> bool:
    running, value = line
    if isinstance(value, ast.Call):
        return isinstance(value.func, ast.Name) and value.func.id in _MAKERS
    if not isinstance(value, ast.Name):
        return isinstance(value, _MANY)
    for node in walk_own(find_scope(running.statement)):
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == value.id for t in node.targets):
            made = node.value
            maker = made.func if isinstance(made, ast.Call) else None
            if isinstance(made, _MANY) or (isinstance(maker, ast.Name) and maker.id in _MAKERS):
                return True
    return False
