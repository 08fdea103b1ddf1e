"""What a function of the user's gives back, as its source says: its `return` statements."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import FrameType, FunctionType, MethodType, TracebackType
from typing import Any

from safe_numpy.callsite.evaluator import Evaluator
from safe_numpy.callsite.frames import get_class_dict, get_mro, is_exactly, is_foreign, list_sites
from safe_numpy.callsite.source import COMPREHENSIONS, RunningCode, find_statement, read_function, read_running
from safe_numpy.callsite.syntax import SCOPES

_MANY = (ast.Tuple, ast.List, ast.Set, ast.Dict, *COMPREHENSIONS)
_NUMBERS = frozenset({"int", "float", "len", "random.random", "random.randint", "random.randrange", "random.uniform"})
"""functions that give a number, as they are called"""

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
    while issubclass(type(function), functools.partial):
        function = function.func
    if not is_exactly(function, FunctionType, MethodType) and not issubclass(type(function), type):
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


def list_given(
    running: RunningCode, node: ast.expr, stack: Sequence[FrameType], traceback: TracebackType | None
) -> list[Any]:
    """Return what else a function may be given for a parameter, as the line that called it says.

    The other items of a container, where it takes one after the other; a number, where a function of the user's gave
    it that may return numbers too.
    """
    function = find_scope(running.statement)
    if not isinstance(node, ast.Name) or not isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return []
    is_bound = any(
        isinstance(n, ast.Name) and n.id == node.id and isinstance(n.ctx, ast.Store) for n in walk_own(function)
    )
    sites = list_sites(stack[1:2], 1, traceback)
    calling = read_running(stack[1], sites[0].lasti, sites[0].lineno) if sites and not is_bound else None
    call = calling.node if calling is not None else None
    if calling is None or not isinstance(call, ast.Call):
        return []
    evaluator = Evaluator.from_frame(stack[1])
    argument = _find_argument(call, evaluator, function, node.id)
    if isinstance(argument, ast.Subscript) and not isinstance(argument.slice, ast.Constant):
        container = evaluator.find(argument.value)
        return list(container.values() if type(container) is dict else container if type(container) is list else [])
    return _list_numbers(argument, calling, evaluator) if isinstance(argument, ast.Name) else []


def _find_argument(call: ast.Call, evaluator: Evaluator, function: Any, name: str) -> ast.expr | None:
    """Return what a call gives for a parameter."""
    is_method = type(evaluator.find(call.func)) is MethodType
    names = [a.arg for a in (*function.args.posonlyargs, *function.args.args)][is_method:]
    given = dict(zip(names, call.args, strict=False)) | {k.arg: k.value for k in call.keywords}
    return None if any(isinstance(a, ast.Starred) for a in call.args) else given.get(name)


def _list_numbers(argument: ast.Name, calling: RunningCode, evaluator: Evaluator) -> list[Any]:
    """Return the numbers that a variable may hold: what a loop gives it, or the function that it comes from."""
    scope = find_scope(calling.statement)
    found: list[Any] = []
    for node in walk_own(scope):
        if isinstance(node, (ast.For, ast.AsyncFor)) and argument.id in _list_all_names(node.target):
            found += evaluator.list_values(argument, node)
            found += [0 for value in _list_displayed(node.iter) if _says_number(value)]
        is_made = isinstance(node, ast.Assign) and argument.id in list_names(node.targets[0])
        maker = node.value.func if is_made and isinstance(node.value, ast.Call) else None  # type: ignore[attr-defined]
        returns = find_returns(evaluator.find(maker)) if maker is not None else None
        values = [value for _, value in returns.lines] if returns is not None else []
        found += [0 for value in values if _says_number(value)]
    return found


def _list_displayed(iterable: ast.expr) -> list[ast.expr]:
    """Return the items of a list that is written out, or the values of a dict."""
    if isinstance(iterable, ast.Call) and isinstance(iterable.func, ast.Attribute):
        iterable = iterable.func.value
    if isinstance(iterable, ast.Dict):
        return iterable.values
    return iterable.elts if isinstance(iterable, (ast.List, ast.Tuple)) else []


def _list_all_names(target: ast.expr) -> set[str]:
    return {n.id for n in ast.walk(target) if isinstance(n, ast.Name)}


def list_names(target: ast.expr) -> list[str]:
    """Return the variable that is assigned to, if it is one alone."""
    return [target.id] if isinstance(target, ast.Name) else []


def _says_number(value: ast.expr) -> bool:
    """Tell whether an expression is a number by its form: a literal, or one drawn at random."""
    if isinstance(value, ast.Constant):
        return isinstance(value.value, (int, float))
    return isinstance(value, ast.Call) and ast.unparse(value.func) in _NUMBERS


def _find_call(instance: Any) -> Any:
    """Return what runs when an instance of a class of the user's is called."""
    for cls in get_mro(type(instance)):
        for name in ("forward", "__call__"):  # torch's modules call the one
            method = get_class_dict(cls).get(name)
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
