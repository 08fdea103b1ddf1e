"""Which expression: where in the running line a tensor stands, by identity, or by the form of what it stands for."""

from __future__ import annotations

import ast
import dis
import inspect
import sys
from collections import OrderedDict, defaultdict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from types import CellType, CodeType, FrameType, FunctionType, MethodType, ModuleType
from typing import Any

from safe_numpy.callsite.evaluator import Evaluator, Guess
from safe_numpy.callsite.frames import (
    OURSELVES,
    Caller,
    get_class_dict,
    get_class_module,
    get_mro,
    is_exactly,
    read_members,
    read_variables,
)
from safe_numpy.callsite.source import COMPREHENSIONS, RunningCode
from safe_numpy.diagnosis.facts import Door
from safe_numpy.diagnosis.framework import Introspection, find_framework, is_tensor_class, make_plan
from safe_numpy.diagnosis.registry import FRAMEWORKS

METHODS = frozenset({"numpy", "__array__", "__dlpack__"})
"""what a tensor is asked by, where a line of code asks it itself"""

_MOST_DEEP = 4
_MOST_ITEMS = 10_000
_KEYS = (str, int, bool, bytes, type(None))
"""types of keys whose repr is theirs alone; floats and tuples are rare as keys"""

_DISPLAYS = (ast.List, ast.Tuple, ast.Set, ast.Dict, ast.Starred, ast.BoolOp)


@dataclass(frozen=True, slots=True, eq=False)
class Occurrence:
    """Where a tensor stands."""

    node: ast.expr
    """the expression that is the tensor, or a container that holds it"""
    path: str = ""
    """the way into the container: ``[3]``, ``['x'].logits``"""
    value: Any = None
    """the container"""
    asked: ast.expr | None = None
    """the whole of ``node.numpy()``, where the line asks the tensor itself"""


def choose_round(
    rounds: Sequence[Evaluator], running: RunningCode, introspection: Introspection, caller: Caller
) -> Evaluator:
    """Return what knows the variables of the round that failed: the tensor is met in it, or one that fails."""
    node, x = running.node, introspection.find_tensor()
    if node is None or len(rounds) == 1:
        return rounds[-1]
    met = (r for r in rounds if _find_in_operation(node, x, introspection, r, caller) is not None)
    failing = (r for r in rounds if any(fails(g) for n in find_operands(node) if (g := r.guess(n)) is not None))
    return next(chain(met, failing), rounds[0])  # what failed came from elsewhere: one round is as good as another


def find_occurrence(
    running: RunningCode, introspection: Introspection, evaluator: Evaluator, caller: Caller
) -> Occurrence | None:
    """Return where a tensor stands in the running line; None where that cannot be told.

    Args:
        running: the line, and the operation in it.
        introspection: knows the tensor, if it is not gone, or its data.
        evaluator: knows the variables.
        caller: what the line called.
    """
    x, node = introspection.find_tensor(), running.node
    found = _find_in_operation(node, x, introspection, evaluator, caller) if node is not None else None
    if found is None and x is not None:
        found = _search_all(running.statement if node is None else node, x, evaluator)
    return found if found is not None or node is None else _find_by_form(node, evaluator, caller)


def _find_in_operation(
    node: ast.expr, x: Any, introspection: Introspection, evaluator: Evaluator, caller: Caller
) -> Occurrence | None:
    asks = caller.asks
    receiver = find_receiver(node)
    if receiver is not None and evaluator.find(receiver, x if asks else None) is x:
        # a receiver that cannot be evaluated is what was asked all the same; `node` may be the ``x.numpy`` of a call
        parent = node.parent  # type: ignore[attr-defined]
        return Occurrence(receiver, asked=parent if isinstance(parent, ast.Call) and parent.func is node else node)
    owner = _get_method(node.func) if isinstance(node, ast.Call) and len(node.args) == 1 and not node.keywords else None
    if isinstance(node, ast.Call) and owner is not None and (asks or is_tensor_class(evaluator.find(owner))):
        return Occurrence(node.args[0], asked=node)  # torch.Tensor.numpy(x)
    operands = list(find_operands(node))
    found = _search(operands, x, evaluator) if x is not None else None
    if found is not None or asks or not isinstance(node, ast.Call) or caller.called is None:
        return found
    found = _search_parameters(node, x, evaluator, caller.called)
    return found or _search_alias(operands, introspection.identify_data(), evaluator)


def _find_by_form(node: ast.expr, evaluator: Evaluator, caller: Caller) -> Occurrence | None:
    """Find the operand that is a tensor by its form, where nothing before it can be one of which that is not known."""
    called = caller.called
    is_c = called is None or called.f_code.co_filename.startswith(OURSELVES)  # a function in C asked for the array
    if _asks(node) if is_c else not takes_arrays_only(called):
        return None
    receiver = node.func.value if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else None
    operands = [n for n in find_operands(node) if n is not receiver]
    suspects = [n for n in operands if not (evaluator.knows(n) or evaluator.is_harmless(n))]
    unknown = [n for n in operands if not evaluator.knows(n) and not isinstance(n, ast.Constant)]
    if is_c and not suspects and len(unknown) == 1:  # its variables have been reset since
        return Occurrence(unknown[0])
    for operand in suspects:
        guess = evaluator.guess(operand)
        if guess is None:
            return None
        if len(suspects) == 1 or not guess.is_complete or fails(guess):
            return Occurrence(operand)
    return None


def fails(guess: Guess) -> bool:
    """Tell whether something stops one of the tensors that an expression is like."""
    plans = [make_plan(tensor, Door.ARRAY) for tensor in guess.tensors]
    return any(plan is not None and plan.problems for plan in plans)


def takes_arrays_only(called: FrameType | None) -> bool:
    """Tell whether the code that was called has nothing to do with tensors, and so wants an array of each."""
    if called is None or called.f_code.co_filename.startswith(OURSELVES):
        return called is None  # a guarded method is asked of a tensor
    known = [sys.modules[name] for name in FRAMEWORKS if name in sys.modules]
    return not any(value is module for value in list(dict.values(called.f_globals)) for module in known)


def _asks(node: ast.expr) -> bool:
    """Tell whether an operation asks a tensor by one of its methods, and not through a function in C."""
    return find_receiver(node) is not None or (isinstance(node, ast.Call) and _get_method(node.func) is not None)


def find_receiver(node: ast.AST) -> ast.expr | None:
    """Return ``x`` of ``x.numpy()``, and of ``x.numpy`` where the attribute is missing."""
    if isinstance(node, ast.Call):
        return _get_method(node.func) if not node.args else None
    return _get_method(node)


def _get_method(node: ast.AST) -> ast.expr | None:
    """Return ``x`` of ``x.numpy``."""
    return node.value if isinstance(node, ast.Attribute) and node.attr in METHODS else None


def find_operands(node: ast.expr) -> Iterator[ast.expr]:
    """Yield the expressions that an operation is given, those in list and dict displays one by one."""
    if isinstance(node, ast.Call):
        yield from _open_displays(*node.args, *(k.value for k in node.keywords))
        if isinstance(node.func, ast.Attribute):
            yield node.func.value
    elif isinstance(node, ast.Subscript):
        statement = node.parent  # type: ignore[attr-defined]
        if isinstance(statement, (ast.Assign, ast.AugAssign)):
            yield from _open_displays(statement.value)
        yield from _open_displays(node.slice, node.value)
    else:
        yield from _open_displays(*(n for n in ast.iter_child_nodes(node) if isinstance(n, ast.expr)))


def _open_displays(*nodes: ast.expr) -> Iterator[ast.expr]:
    for node in nodes:
        if isinstance(node, ast.IfExp):
            yield from _open_displays(node.body, node.orelse)
        elif isinstance(node, _DISPLAYS):
            yield from _open_displays(*(n for n in ast.iter_child_nodes(node) if isinstance(n, ast.expr)))
        else:
            yield node


def _search(nodes: Sequence[ast.expr], x: Any, evaluator: Evaluator) -> Occurrence | None:
    values = [(node, evaluator.find(node)) for node in nodes]
    for node, value in values:
        if value is x:
            return Occurrence(node)
    for node, value in values:
        path = find_inside(value, x)
        if path is not None:
            return Occurrence(node, path, value)
    return None


def _search_alias(operands: Sequence[ast.expr], data: object | None, evaluator: Evaluator) -> Occurrence | None:
    """Find the operand that the tensor is an alias of: libraries like to say ``x.detach().cpu()`` first."""
    if data is None:
        return None
    return next((Occurrence(n) for n in operands if _identify_value(evaluator.find(n)) == data), None)


def _identify_value(value: object) -> object | None:
    framework = find_framework(value)
    return None if framework is None else framework.introspect(value).identify_data()


def _search_all(whole: ast.stmt | ast.expr, x: Any, evaluator: Evaluator) -> Occurrence | None:
    for node in walk_scope(whole):
        receiver = find_receiver(node)
        if receiver is not None and evaluator.find(receiver) is x:
            return Occurrence(receiver, asked=node)
    names = [n for n in walk_scope(whole) if isinstance(n, (ast.Name, ast.Attribute, ast.Subscript))]
    names.sort(key=lambda n: not isinstance(n.ctx, ast.Load))  # what the line makes may be bound only by it
    return _search(names, x, evaluator)


def walk_scope(scope: ast.AST) -> Iterator[ast.expr]:
    """Yield the expressions in a statement, a lambda or a comprehension that its own frame evaluates."""
    pending = deque(n for n in ast.iter_child_nodes(scope) if not isinstance(n, ast.stmt))
    while pending:
        node = pending.popleft()
        if isinstance(node, ast.expr):
            yield node
        if not isinstance(node, (ast.stmt, ast.Lambda, *COMPREHENSIONS)):
            pending += ast.iter_child_nodes(node)


def _search_parameters(call: ast.Call, x: Any, evaluator: Evaluator, called: FrameType) -> Occurrence | None:
    """Find an argument by what became of it: a parameter of the called function that still holds `x`.

    Only parameters to which that function never assigns: else what it holds need not be what the line gave.
    """
    function, code = evaluator.find(call.func), called.f_code
    keywords = {k.arg: k.value for k in call.keywords if k.arg is not None}
    is_plain = len(keywords) == len(call.keywords) and not any(isinstance(a, ast.Starred) for a in call.args)
    if x is None or not is_plain or not _is_code_of(function, code):
        return None
    values, assigned = read_variables(called), _find_assigned(code)
    # of the code that runs: a function may show the signature of another, that it wraps
    bare = FunctionType(code, {}, closure=tuple(CellType() for _ in code.co_freevars))
    receiver = [call.func] if type(function) is MethodType else []
    for name, given in inspect.signature(bare).bind_partial(*receiver, *call.args, **keywords).arguments.items():
        nodes, held = (given, values.get(name)) if isinstance(given, tuple) else ((given,), (values.get(name),))
        if name not in assigned and isinstance(held, tuple):
            found = [node for node, value in zip(nodes, held, strict=False) if value is x and node is not call.func]
            if found:
                return Occurrence(found[0])
    return None


def _is_code_of(function: Any, code: CodeType) -> bool:
    if type(function) is MethodType:
        function = function.__func__
    elif (
        get_class_module(type(function)) == "numpy"
    ):  # NumPy's functions are objects of its own, which hold the Python one
        function = getattr(function, "_implementation", None)
    return type(function) is FunctionType and function.__code__ is code


def _find_assigned(code: CodeType) -> set[str]:
    """Return the names that a function assigns to or deletes, parameters among them."""
    names: set[str] = set()
    for instruction in dis.get_instructions(code):
        if "STORE_" in instruction.opname or "DELETE_" in instruction.opname:
            value = instruction.argval
            names.update(value if isinstance(value, tuple) else (value,))
    return names


def find_inside(container: Any, x: Any) -> str | None:
    """Return the way to `x` inside a container, at most four levels and ten thousand items: ``['x'][3]``."""
    level: list[tuple[str, Any]] = [("", container)]
    seen, items = {id(container)}, 0
    for _ in range(_MOST_DEEP):
        below: list[tuple[str, Any]] = []
        for path, outer in level:
            for step, inner in _open(outer):
                if inner is x:
                    return path + step
                items += 1
                if items > _MOST_ITEMS:
                    return None
                if id(inner) not in seen and _can_hold(inner):
                    seen.add(id(inner))
                    below.append((path + step, inner))
        level = below
    return None


def _can_hold(value: Any) -> bool:
    return not is_exactly(value, str, bytes, int, float, complex, bool, type(None), type, FunctionType, ModuleType)


def _open(container: Any) -> Iterator[tuple[str, Any]]:
    """Yield what a container holds, with the code that takes it out."""
    cls = type(container)
    if is_exactly(container, list, tuple, deque):
        yield from ((f"[{i}]", item) for i, item in enumerate(islice(cls.__iter__(container), _MOST_ITEMS)))
    elif is_exactly(container, dict, defaultdict, OrderedDict):
        items = islice(dict.items(container), _MOST_ITEMS)
        yield from ((f"[{key!r}]", item) for key, item in items if is_exactly(key, *_KEYS))
    elif issubclass(cls, tuple):
        fields = get_class_dict(cls).get("_fields")
        if type(fields) is tuple:
            yield from ((f".{f}", item) for f, item in zip(fields, tuple.__iter__(container), strict=False))
    elif _can_hold(container):
        for name, value in list(read_members(container).items())[:1000]:
            if type(name) is str and name.isidentifier() and _is_shown(container, name):
                yield f".{name}", value


def _is_shown(instance: Any, name: str) -> bool:
    """Tell whether ``instance.name`` gives the member: a property of that name would stand before it."""
    classes = (get_class_dict(cls) for cls in get_mro(type(instance)))
    own = next((members[name] for members in classes if name in members), None)
    return not any(
        "__set__" in get_class_dict(cls) or "__delete__" in get_class_dict(cls) for cls in get_mro(type(own))
    )
