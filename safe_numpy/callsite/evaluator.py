"""What an expression of a running line is, found without running anybody's code.

`pure_eval` evaluates what is safe to evaluate: names, plain attributes, subscripts of builtin containers. Where that
does not reach, the form may still tell: what operators, methods and the framework's own functions make of tensors is a
tensor. Else nothing is known, rather than guessed.
"""

from __future__ import annotations

import ast
import builtins
import itertools
from collections import ChainMap, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from types import FrameType, FunctionType, MethodType, ModuleType
from typing import Any, NamedTuple

import pure_eval
from pure_eval import CannotEval

from safe_numpy.callsite.frames import get_class_dict, get_class_module, get_mro, is_exactly, read_variables
from safe_numpy.callsite.source import RunningCode
from safe_numpy.diagnosis.framework import find_framework, read_member
from safe_numpy.diagnosis.registry import FRAMEWORKS

_SAME_KIND = frozenset({"T", "mT", "H", "mH", "data", "real", "imag", "grad", "values", "indices"})
"""attributes of a tensor, or of the pairs that some methods give, that are tensors like it"""

_NO_TENSORS = frozenset(
    {"item", "tolist", "numpy", "size", "dim", "ndimension", "numel", "nelement", "stride", "storage_offset", "type"}
    | {"data_ptr", "get_device", "element_size", "storage", "untyped_storage", "backward", "register_hook", "__len__"}
    | {"split", "chunk", "unbind", "topk", "sort", "kthvalue", "unique", "tensor_split", "hsplit", "vsplit", "dsplit"}
    | {
        "unique_consecutive",
        "cummax",
        "cummin",
        "frexp",
        "qr",
        "svd",
        "slogdet",
        "nonzero_tuple",
        "aminmax",
        "meshgrid",
    }
    | {"is_contiguous", "is_floating_point", "is_complex", "equal", "allclose", "to_list", "set_shape", "get_shape"}
    | {"state_dict", "parameters", "named_parameters", "children", "modules", "eval", "load", "save", "no_grad"}
)
"""methods of tensors, and functions of their frameworks, that give something else, or several"""

_PAIRS = frozenset({"max", "min", "median", "nanmedian", "mode", "std_mean", "var_mean"})
"""those that give a pair where they are told along which axis"""

_BUILTINS = frozenset({abs, sum, pow, round, max, min, divmod})
"""builtin functions that give a tensor of tensors"""

_NEVER = frozenset(
    {len, range, str, int, float, bool, complex, repr, id, hash, isinstance, issubclass, type, print, open, ord, chr}
    | {format, callable, hasattr, slice, bytes, all, any}
)
"""builtin functions that give no tensor, and nothing that holds one"""

_MOST_ITEMS = 1000
_MOST_ROUNDS = 100
_SAME_ITEMS = frozenset({"sorted", "reversed", "list", "tuple", "iter", "tqdm"})
"""functions that give the items of what they are given"""

_CONTAINERS = (defaultdict, OrderedDict, deque)
Loop = ast.comprehension | ast.For | ast.AsyncFor
NOTHING: Any = object()
"""what is known of an expression that cannot be evaluated"""


class Guess(NamedTuple):
    """A tensor that an expression gives, as its form tells."""

    tensors: tuple[Any, ...]
    """what it is like: of their device and dtype, and as differentiable"""
    is_complete: bool
    """it was computed from nothing else that may be a tensor"""
    is_itself: bool = False
    """it is that very tensor"""


class Evaluator(pure_eval.Evaluator):
    """Knows the variables of a frame; ``[node]`` gives the value of an expression, or raises `CannotEval`."""

    def __init__(self, scopes: Sequence[Any], hidden: frozenset[str] = frozenset()) -> None:
        super().__init__(ChainMap(*(s for s in scopes if type(s) is dict)))  # not where somebody's class would answer
        self._scopes = scopes
        self._hidden = hidden
        """names that stand for something else, which is not known"""

    @classmethod
    def from_frame(cls, frame: FrameType) -> Evaluator:
        """Return what knows the variables of a frame."""
        return cls((read_variables(frame), frame.f_globals, frame.f_builtins))

    @classmethod
    def list_possible(cls, running: RunningCode, frame: FrameType, lasti: int) -> list[Evaluator]:
        """Return what may have been the variables where an instruction ran.

        An error that leaves a comprehension without a frame of its own takes its variables away. They were those of one
        of its rounds; what comes last does not know them.
        """
        evaluator = cls.from_frame(frame)
        loops = running.list_inlined_loops(frame.f_code) if frame.f_lasti != lasti else []
        rounds = itertools.islice(evaluator.list_rounds(loops), _MOST_ROUNDS) if loops else ()
        return [*rounds, evaluator.hide(loops)]

    def enter(self, loops: Sequence[ast.comprehension]) -> Evaluator:
        """Return what knows the variables of a comprehension too, by the first item that each of its loops meets."""
        return next(self.list_rounds(loops))

    def list_rounds(self, loops: Sequence[Loop]) -> Iterator[Evaluator]:
        """Yield what knows the variables of loops too, in each of their rounds; once, where the items are not known."""
        if not loops:
            yield self
            return
        loop, *others = loops
        hidden = self.hide([loop])._hidden
        for item in self.list_items(loop.iter) or [NOTHING]:
            known: dict[str, Any] = {}
            _bind(loop.target, item, known)
            yield from Evaluator((known, *self._scopes), hidden - known.keys()).list_rounds(others)

    def hide(self, loops: Sequence[Loop]) -> Evaluator:
        """Return what does not know the variables of loops."""
        names = {n.id for loop in loops for n in ast.walk(loop.target) if isinstance(n, ast.Name)}
        return Evaluator(self._scopes, self._hidden | names)

    def enter_lambda(self, function: ast.Lambda) -> Evaluator:
        """Return what does not know the parameters of a function."""
        names = {n.arg for n in ast.walk(function.args) if isinstance(n, ast.arg)}
        return Evaluator(self._scopes, self._hidden | names)

    def list_items(self, node: ast.expr) -> list[Any]:
        """Return the items of what is iterated, at most a thousand; none where that is not known."""
        value = self.find(node, NOTHING)
        if is_exactly(value, list, tuple, deque, dict, set):
            return list(itertools.islice(value, _MOST_ITEMS))
        if not isinstance(node, ast.Call):
            return []
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if isinstance(node.func, ast.Attribute):
            owner = self.find(node.func.value)
            is_view = is_exactly(owner, dict, defaultdict, OrderedDict) and name in ("values", "items", "keys")
            return list(itertools.islice(getattr(owner, name)(), _MOST_ITEMS)) if is_view else []
        if name in _SAME_ITEMS and node.args:
            return self.list_items(node.args[0])
        parts = [self.list_items(n) for n in node.args[: 1 if name == "enumerate" else None]]
        if name == "enumerate" and parts:
            return list(enumerate(parts[0]))
        return list(zip(*parts, strict=False)) if name == "zip" else []

    def list_values(self, node: ast.expr, loop: Loop) -> list[Any]:
        """Return what an expression gives in each round of a loop, as far as that is known."""
        values = [inside.find(node, NOTHING) for inside in self.list_rounds([loop])]
        return [value for value in values if value is not NOTHING]

    def __getitem__(self, node: ast.expr) -> Any:
        if isinstance(node, ast.Name) and node.id in self._hidden:
            raise CannotEval
        if isinstance(node, ast.Attribute) and _has_own_lookup(self[node.value]):
            raise CannotEval
        try:
            return super().__getitem__(node)
        except CannotEval:
            if isinstance(node, ast.NamedExpr):
                return self[node.value]
            member: Any = NotImplemented
            if isinstance(node, ast.Attribute):
                member = read_member(self[node.value], node.attr, False)
            elif isinstance(node, ast.Subscript):
                owner, key = self[node.value], self[node.slice]
                member = _get_item(owner, key) if is_exactly(owner, *_CONTAINERS) else read_member(owner, key, True)
            if member is NotImplemented:
                raise
            return member

    def is_local(self, name: str) -> bool:
        """Tell whether a name is a variable of the function that the frame runs."""
        return any(name in scope for scope in self._scopes[:-2])  # but for the globals and the builtins

    def find(self, node: ast.expr, otherwise: Any = None) -> Any:
        """Return the value of an expression, or `otherwise`."""
        try:
            return self[node]
        except Exception:
            return otherwise

    def knows(self, node: ast.expr) -> bool:
        """Tell whether the value of an expression is known."""
        return self.find(node, NOTHING) is not NOTHING

    def guess(self, node: ast.expr) -> Guess | None:
        """Return which tensor an expression gives; None if it gives none, or that is not certain."""
        value = self.find(node, NOTHING)
        if value is not NOTHING:
            return Guess((value,), True, True) if find_framework(value) is not None else None
        rule = _RULES.get(type(node))
        return None if rule is None else rule(self, node)

    def is_harmless(self, node: ast.expr) -> bool:
        """Tell whether an expression that cannot be evaluated is known to give neither a tensor nor a holder of one."""
        if isinstance(node, (ast.JoinedStr, ast.Constant, ast.Compare, ast.Lambda, ast.Slice)):
            return not isinstance(node, ast.Compare) or self.guess(node) is None
        if isinstance(node, ast.BinOp):
            return self._is_no_tensor(node.left) and self._is_no_tensor(node.right)
        if isinstance(node, ast.UnaryOp):
            return self._is_no_tensor(node.operand)
        if isinstance(node, ast.Subscript):
            return self._is_array(node.value)
        if not isinstance(node, ast.Call):
            return False
        if isinstance(node.func, ast.Attribute):
            owner = self.guess(node.func.value)
            if owner is not None:
                return node.func.attr in ("item", "tolist", "numpy", "size", "dim", "numel", "type", "data_ptr")
            if self.is_harmless(node.func.value):
                return True  # a method of an array, of a string
        function = self.find(node.func)
        return _is_in(function, _NEVER) or get_home(function) == "numpy"

    def _is_no_tensor(self, node: ast.expr) -> bool:
        value = self.find(node, NOTHING)
        if value is not NOTHING:
            return find_framework(value) is None
        return self.guess(node) is None and self.is_harmless(node)

    def _is_array(self, node: ast.expr) -> bool:
        """Tell whether an expression is an array or a string, whose parts are no tensors."""
        value = self.find(node, NOTHING)
        if value is NOTHING:
            return self.guess(node) is None and self.is_harmless(node)
        return is_exactly(value, str, bytes, range) or get_home(type(value)) == "numpy"

    def is_model(self, node: ast.expr) -> bool:
        """Tell whether an expression is an instance of a class of a framework's that is called: a module, a layer."""
        return is_framework_object(self.find(node))

    def is_framework_function(self, node: ast.expr) -> bool:
        """Tell whether an expression is a function of a framework's."""
        function = self.find(node)
        if get_home(function) in FRAMEWORKS:
            return True
        root = node.value if isinstance(node, ast.Attribute) else None
        module = self.find(root) if root is not None else None
        return type(module) is ModuleType and module.__name__.partition(".")[0] in FRAMEWORKS


def _has_own_lookup(value: Any) -> bool:
    """Tell whether a metaclass says what the attributes of its classes are: pure_eval would ask it."""
    cls = value if issubclass(type(value), type) else type(value)
    return any("__getattribute__" in get_class_dict(base) for base in get_mro(type(cls))[:-2])  # `type` and `object`


def _get_item(container: Any, key: Any) -> Any:
    """Return what a builtin container holds, without making it up where it is missing."""
    if type(container) is deque:
        return container[key] if type(key) is int and -len(container) <= key < len(container) else NotImplemented
    return dict.get(container, key, NotImplemented) if is_exactly(key, str, int, bool, bytes) else NotImplemented


def _bind(target: ast.expr, value: Any, known: dict[str, Any]) -> None:
    """Note the variables to which a value would be assigned."""
    if value is NOTHING:
        return
    if isinstance(target, ast.Name):
        known[target.id] = value
    elif (
        isinstance(target, (ast.Tuple, ast.List)) and is_exactly(value, tuple, list) and len(value) == len(target.elts)
    ):
        for element, item in zip(target.elts, value, strict=True):
            _bind(element, item, known)


def is_framework_object(value: Any) -> bool:
    """Tell whether a value is of a class of a framework's, or derived from one, and is no tensor."""
    cls = type(value)
    if issubclass(cls, type) or find_framework(value) is not None:
        return False
    bases = get_mro(cls)
    return not {get_home(base) for base in bases[:-1]}.isdisjoint(FRAMEWORKS) and any(
        "__call__" in get_class_dict(base) for base in bases
    )


def get_home(function: Any) -> str:
    """Return the top-level package of a function or a class; nothing where it does not tell."""
    kind = type(function)
    if kind is MethodType:
        function = function.__func__
    if type(function) is FunctionType:
        name = dict.get(function.__globals__, "__name__")  # what decorates a function may name another module
    elif issubclass(kind, type):
        name = get_class_module(function)
    elif get_home(kind) == "numpy":
        return "numpy"  # its functions are objects of its own
    else:
        is_builtin = get_class_module(kind) == "builtins"
        name = getattr(function, "__module__", None) if is_builtin else None
        owner = getattr(function, "__self__", None) if is_builtin else None
        if name is None and owner is not None:
            name = get_class_module(owner if issubclass(type(owner), type) else type(owner))
    return name.partition(".")[0] if isinstance(name, str) else ""


def _is_in(value: Any, known: frozenset[Any]) -> bool:
    try:
        return value in known if is_exactly(value, type, type(len)) else False
    except TypeError:
        return False


def _unite(evaluator: Evaluator, nodes: list[ast.expr]) -> Guess | None:
    """Return what operators and functions make of some operands, if one of them at least is a tensor."""
    guesses = [evaluator.guess(node) for node in nodes]
    tensors = tuple(t for g in guesses if g is not None for t in g.tensors)
    if not any(g is not None for g in guesses):
        return None
    is_complete = all(
        g.is_complete if g is not None else evaluator._is_no_tensor(node) or _is_plain(evaluator, node)
        for node, g in zip(nodes, guesses, strict=True)
    )
    return Guess(tensors, is_complete)


def _is_plain(evaluator: Evaluator, node: ast.expr) -> bool:
    value = evaluator.find(node, NOTHING)
    return value is not NOTHING and find_framework(value) is None


def _guess_part(evaluator: Evaluator, node: ast.Subscript) -> Guess | None:
    inner = evaluator.guess(node.value)
    return None if inner is None else Guess(inner.tensors, inner.is_complete)


def _guess_attribute(evaluator: Evaluator, node: ast.Attribute) -> Guess | None:
    if node.attr not in _SAME_KIND:
        return None
    inner = node.value
    if node.attr in ("values", "indices"):  # of ``x.max(1)``
        return _guess_call(evaluator, inner, _PAIRS | _NO_TENSORS) if isinstance(inner, ast.Call) else None
    found = evaluator.guess(inner)
    return None if found is None else Guess(found.tensors, found.is_complete)


def _guess_unary(evaluator: Evaluator, node: ast.UnaryOp) -> Guess | None:
    return None if isinstance(node.op, ast.Not) else _unite(evaluator, [node.operand])


def _guess_operation(evaluator: Evaluator, node: ast.BinOp) -> Guess | None:
    return _unite(evaluator, [node.left, node.right])


def _guess_comparison(evaluator: Evaluator, node: ast.Compare) -> Guess | None:
    is_single = len(node.ops) == 1 and isinstance(node.ops[0], (ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq))
    return _unite(evaluator, [node.left, *node.comparators]) if is_single else None


def _guess_choice(evaluator: Evaluator, node: ast.IfExp) -> Guess | None:
    one, other = evaluator.guess(node.body), evaluator.guess(node.orelse)
    return None if one is None or other is None else Guess(one.tensors + other.tensors, False)


def _guess_walrus(evaluator: Evaluator, node: ast.NamedExpr) -> Guess | None:
    return evaluator.guess(node.value)


def _guess_call(evaluator: Evaluator, node: ast.Call, also: frozenset[str] = frozenset()) -> Guess | None:
    """Return what a method of a tensor gives, a function of its framework, a module, or one of the builtin functions.

    `also` names what may be called though it gives more than one tensor, since one of them is taken.
    """
    function, arguments = node.func, [*node.args, *(k.value for k in node.keywords)]
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    if name not in also:
        has_axis = len(arguments) > (0 if _is_method(evaluator, function) else 1)
        if (
            name in _NO_TENSORS
            or name.startswith("is_")
            or (name in _PAIRS and has_axis and not _is_builtin(evaluator, function))
        ):
            return None
    if _is_method(evaluator, function):
        assert isinstance(function, ast.Attribute)
        inner = evaluator.guess(function.value)
        assert inner is not None
        others = [g for a in arguments if (g := evaluator.guess(a)) is not None]
        tensors = inner.tensors + tuple(t for g in others for t in g.tensors)
        return Guess(tensors, inner.is_complete and all(g.is_complete for g in others))
    if _is_builtin(evaluator, function):
        return _guess_builtin(evaluator, node)
    if evaluator.is_framework_function(function):
        elements = [e for a in arguments for e in (a.elts if isinstance(a, (ast.List, ast.Tuple)) else [a])]
        found = _unite(evaluator, elements)
        if found is not None:
            return found
        held = [t for a in arguments for t in _get_held(evaluator.find(a))]
        return Guess(tuple(held), True) if held else None
    return Guess((), False) if evaluator.is_model(function) else None


def _is_method(evaluator: Evaluator, function: ast.expr) -> bool:
    return isinstance(function, ast.Attribute) and evaluator.guess(function.value) is not None


def _is_builtin(evaluator: Evaluator, function: ast.expr) -> bool:
    return isinstance(function, ast.Name) and getattr(builtins, function.id, None) is evaluator.find(function, builtins)


def _guess_builtin(evaluator: Evaluator, node: ast.Call) -> Guess | None:
    if not _is_in(evaluator.find(node.func), _BUILTINS) or not node.args:
        return None
    held = _get_held(evaluator.find(node.args[0]))
    return Guess(tuple(held), True) if held else _unite(evaluator, list(node.args))


def _get_held(value: Any) -> list[Any]:
    """Return the tensors in a list or tuple of nothing else."""
    items = list(value) if is_exactly(value, list, tuple) and 0 < len(value) <= 1000 else []
    return items if all(find_framework(item) is not None for item in items) else []


_RULES: dict[type[ast.AST], Callable[[Evaluator, Any], Guess | None]] = {
    ast.Subscript: _guess_part,
    ast.Attribute: _guess_attribute,
    ast.UnaryOp: _guess_unary,
    ast.BinOp: _guess_operation,
    ast.Compare: _guess_comparison,
    ast.IfExp: _guess_choice,
    ast.NamedExpr: _guess_walrus,
    ast.Call: _guess_call,
}
