"""What to write for each expression of a line that must be converted: not for the one that failed first alone."""

from __future__ import annotations

import ast
import sys
from collections import OrderedDict, defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import reduce
from types import FunctionType
from typing import Any

from safe_numpy.callsite.evaluator import Evaluator, Guess, get_home
from safe_numpy.callsite.expression import Occurrence, find_operands, find_receiver, takes_arrays_only
from safe_numpy.callsite.expression import walk_scope as walk
from safe_numpy.callsite.frames import Caller, get_class_dict, get_mro, is_exactly
from safe_numpy.callsite.functions import find_returns
from safe_numpy.callsite.source import COMPREHENSIONS, RunningCode
from safe_numpy.diagnosis.causes import Plan, put_in_parentheses, unite_plans
from safe_numpy.diagnosis.facts import Door, Kind
from safe_numpy.diagnosis.framework import find_framework, make_plan
from safe_numpy.diagnosis.registry import FRAMEWORKS

_MOST_ELEMENTS = 1000
_SIMPLE_KINDS = frozenset({Kind.GRAD, Kind.DEVICE, Kind.DTYPE})
"""what is as true of a part of a tensor as of the whole"""

_HARMLESS_KINDS = frozenset({Kind.GRAD, Kind.DEVICE})
"""what is cured by methods that every tensor may be asked"""

_DISPLAYS = (ast.List, ast.Tuple, ast.Set)
_OPEN = (*_DISPLAYS, ast.Dict, ast.Starred, ast.IfExp)
_PASSING = frozenset({zip, map, list, tuple, enumerate, reversed, iter, filter})
"""builtin functions that hand on what they are given, as it is"""


@dataclass(frozen=True, slots=True)
class Replacements:
    """Finds the code to write, by the expression that it replaces."""

    running: RunningCode
    evaluator: Evaluator
    caller: Caller
    x: Any
    """the tensor that failed; None: it is gone"""
    plan: Plan
    """what cures it"""
    place: Occurrence | None
    """where it stands; None: that cannot be told"""
    outer: Evaluator
    """knows the variables around a comprehension or a lambda"""
    given: list[Any] = field(default_factory=list)
    """what stands in the place of the tensor where the function is called with something else"""
    sizes: list[int | None] = field(default_factory=list)
    """bytes that each conversion which was written allocates; None: not known"""

    def find(self) -> dict[ast.expr, str]:
        """Return the replacements; empty where none are known to be right."""
        place = self.place
        if place is not None and place.asked is not None:
            if isinstance(place.asked, ast.Attribute):
                return {}  # the method is handed on; where it is called, is not to be seen here
            return {**self._find_others(), place.asked: self._convert_rounds(place.node)}
        if place is not None and place.path and self.plan.is_for_elements:
            text = self._convert_container(place.node, place.value, place.path)
            return {} if text is None else {place.node: text}
        found: dict[ast.expr, str] = {}
        for root in self._list_roots():
            found |= self._collect(root)
        if place is not None and not any(place.node in walk_all(node) for node in found):
            return {}  # it goes through other hands first, which may want the tensor
        return found and {**self._find_others(), **found}

    def _list_roots(self) -> list[ast.expr]:
        """Return the expressions that the operation is given and may convert."""
        node, place = self.running.node, self.place
        if node is None or (isinstance(node, (ast.Tuple, ast.List, ast.Name)) and not isinstance(node.ctx, ast.Load)):
            return list(_list_values(self.running.statement))  # it is taken apart, or iterated
        receiver = node.func.value if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else None
        if isinstance(node, ast.Subscript):
            receiver = node.value
        operands = [n for n in find_operands(node) if n is not receiver or (place is not None and n is place.node)]
        return operands or [n for n in ast.iter_child_nodes(node) if isinstance(n, ast.expr)]

    def _collect(self, node: ast.expr) -> dict[ast.expr, str]:
        """Return what to write in an expression that code for arrays is given."""
        place, evaluator = self.place, self.evaluator
        if place is not None and node is place.node:
            text = self._convert_place(place)
            return {} if text is None else {node: text}
        takes_all = takes_arrays_only(self.caller.called)
        inner = self._list_inner(node) if takes_all or isinstance(node, _OPEN) else []
        if inner:
            inside = self._enter(node)
            return reduce(lambda a, b: a | b, map(inside._collect, inner), {})
        if evaluator.knows(node):
            value = evaluator.find(node)
            if not takes_all and value is not self.x:
                return {}
            is_tensor = find_framework(value) is not None
            guess = Guess((value,), True, True)
            text = self._convert_guess(node, guess) if is_tensor else self._convert_container(node, value)
            return {} if text is None else {node: text}
        if not takes_all:
            return {}
        guessed = evaluator.guess(node)
        if guessed is not None:
            text = self._convert_guess(node, guessed)
            return {} if text is None else {node: text}
        view = self._find_view(node)
        if view is not None:
            return {} if (text := self._write_loop(node, view)) is None else {node: text}
        is_whole = self.running.node is None  # which operation failed is not known: a call may want tensors
        if is_whole or evaluator.is_harmless(node) or self._gives_iterator(node) or not self._is_suspect(node):
            return {}
        if self._makes_object(node):
            return {}
        return {node: self._convert_unknown(node)}

    def _enter(self, node: ast.expr) -> Replacements:
        """Return the same for the expressions in a comprehension."""
        loops = getattr(node, "generators", [])
        return replace(self, evaluator=self.evaluator.enter(loops)) if loops else self

    def _find_view(self, node: ast.expr) -> list[Any] | None:
        """Return the values of a dict, where an expression asks for them."""
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or node.func.attr != "values":
            return None
        owner = self.evaluator.find(node.func.value)
        return list(owner.values()) if is_exactly(owner, dict, OrderedDict, defaultdict) else None

    def _list_inner(self, node: ast.expr) -> list[ast.expr]:
        """Return the expressions in one that hands them on as they are."""
        if isinstance(node, (*_DISPLAYS, *COMPREHENSIONS, ast.Dict, ast.Starred, ast.IfExp)):
            parts = {"elts", "elt", "values", "value", "body", "orelse"} & {*node._fields}
            found = [getattr(node, name) for name in node._fields if name in parts]
            return [n for part in found for n in (part if isinstance(part, list) else [part])]
        if not isinstance(node, ast.Call):
            return []
        function, arguments = self.evaluator.find(node.func), [*node.args, *(k.value for k in node.keywords)]
        is_passing = is_exactly(function, type, type(len)) and function in _PASSING
        if self._maps_to_arrays(node):
            return arguments[1:]
        return arguments if is_passing or self._builds_of_arrays(node) else []

    def _maps_to_arrays(self, node: ast.Call) -> bool:
        """Tell whether a pool, or its like, is given a function of NumPy's to call for each of what follows."""
        is_map = isinstance(node.func, ast.Attribute) and node.func.attr in (
            "map",
            "imap",
            "starmap",
            "submit",
            "apply",
        )
        return is_map and len(node.args) > 1 and get_home(self.evaluator.find(node.args[0])) == "numpy"

    def _builds_of_arrays(self, node: ast.Call) -> bool:
        """Tell whether a call is of a library's class or function that knows no tensors, and is given some."""
        function = self.evaluator.find(node.func)
        home = get_home(function)
        module = sys.modules.get(home)
        if module is None or home in ("builtins", "numpy", *FRAMEWORKS) or home in sys.stdlib_module_names:
            return False
        is_installed = any(
            mark in (getattr(module, "__file__", "") or "") for mark in ("site-packages", "dist-packages")
        )
        if not is_installed or self.evaluator.guess(node) is not None:
            return False
        scope = getattr(sys.modules.get(getattr(function, "__module__", "")), "__dict__", {})
        frameworks = [sys.modules[name] for name in FRAMEWORKS if name in sys.modules]
        if any(value is f for value in list(scope.values()) for f in frameworks):
            return False
        return any(isinstance(n, ast.expr) and self._is_failing(n) for n in walk_all(node) if n is not node)

    def _is_failing(self, node: ast.expr) -> bool:
        guess = self.evaluator.guess(node)
        return guess is not None and self._plan_guess(guess) is not None

    def _is_suspect(self, node: ast.expr) -> bool:
        """Tell whether an expression of which nothing is known may be, or hold, a tensor that fails."""
        if self.place is None or self.place.node not in self._list_roots():
            return True
        return any(isinstance(n, ast.expr) and self._is_failing(n) for n in walk_all(node) if n is not node)

    def _convert_place(self, place: Occurrence) -> str | None:
        node, value = place.node, self.evaluator.find(place.node)
        if place.path:
            return self._convert_container(node, place.value, place.path)
        if value is self.x or value is None:  # None: it cannot be evaluated
            return self._convert_rounds(node)
        return self._convert_guess(node, Guess((value,), True, True))  # an alias of it

    def _convert_rounds(self, node: ast.expr) -> str:
        """Return the code that converts the tensor, and what stands in its place in the other rounds of a loop."""
        values = [*self._list_rounds(node), *self.given]
        frameworks = [find_framework(v) for v in values]
        plans = {p.array: p for v in values if (p := make_plan(v, Door.NUMPY)) is not None}
        united: Plan | None = self.plan
        for plan in plans.values():
            causes = frameworks[0].causes if frameworks[0] is not None else ()
            united = None if united is None else unite_plans(united, plan, causes)
        if united is not None and None not in frameworks:
            return self._render(node, united)
        self.sizes.append(None)
        return f"safe_numpy.to_numpy({self.running.find_text(node)})"

    def _list_rounds(self, node: ast.expr) -> list[Any]:
        around: Any = node
        names = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
        while not isinstance(around, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.Module)):
            around = around.parent
            loops = [around] if isinstance(around, (ast.For, ast.AsyncFor)) else getattr(around, "generators", [])
            for loop in loops:
                if names & {n.id for n in ast.walk(loop.target) if isinstance(n, ast.Name)}:
                    return self.outer.list_values(node, loop) or self.evaluator.list_values(node, loop)
        return []

    def _render(self, node: ast.expr, plan: Plan | None = None, is_exact: bool = True) -> str:
        self.sizes.append((plan or self.plan).array_nbytes if is_exact else None)
        given = replace(plan or self.plan, is_asked_within=self.plan.is_asked_within)
        return given.render(self.running.find_text(node)) or ""

    def _convert_guess(self, node: ast.expr, guess: Guess, door: Door = Door.ARRAY) -> str | None:
        """Return the code that converts a tensor; None where nothing stops it, or that is not certain."""
        plan = self._plan_guess(guess, door)
        is_exact = guess.is_itself or plan is None or not plan.copies
        return None if plan is None or plan.array is None else self._render(node, plan, is_exact)

    def _plan_guess(self, guess: Guess, door: Door = Door.ARRAY) -> Plan | None:
        """Return what cures an expression that is like some tensors; None where nothing is wrong, or not certain."""
        plans = [p for tensor in guess.tensors if (p := make_plan(tensor, door)) is not None and p.problems]
        if guess.is_itself:
            return plans[0] if plans else None
        if not guess.is_complete and _HARMLESS_KINDS.issuperset(p.kind for p in self.plan.problems):
            plans.append(self.plan)
        framework = find_framework(guess.tensors[0]) if guess.tensors else None
        united = plans[0] if plans else None
        for plan in plans[1:]:
            if united is None or framework is None:
                break
            united = unite_plans(united, plan, framework.causes)
        if united is None or not _SIMPLE_KINDS.issuperset(p.kind for p in united.problems):
            return None
        return united

    def _convert_unknown(self, node: ast.expr) -> str:
        """Return the code that converts a tensor, or whatever holds some."""
        returns = find_returns(self.evaluator.find(node.func)) if isinstance(node, ast.Call) else None
        is_kind = _SIMPLE_KINDS.issuperset(p.kind for p in self.plan.problems)
        if is_kind and self.place is None and returns is not None and returns.gives_one:
            return self._render(node)
        self.sizes.append(None)
        return f"safe_numpy.to_numpy({self.running.find_text(node)})"

    def _gives_iterator(self, node: ast.expr) -> bool:
        """Tell whether `node` is what `to_numpy` would exhaust."""
        if not isinstance(node, ast.Call):
            return isinstance(node, ast.GeneratorExp)
        function = self.evaluator.find(node.func)
        if issubclass(type(function), type):
            return any("__next__" in get_class_dict(base) for base in get_mro(function))
        returns = find_returns(function) if type(function) is FunctionType else None
        return returns is not None and returns.is_generator

    def _makes_object(self, node: ast.expr) -> bool:
        """Tell whether `node` makes an instance of a class of the user's that no array is made of, as an estimator."""
        cls = self.evaluator.find(node.func) if isinstance(node, ast.Call) else None
        if not issubclass(type(cls), type) or get_home(cls) in FRAMEWORKS:
            return False
        members = {name for base in get_mro(cls)[:-1] for name in get_class_dict(base)}
        return members.isdisjoint(
            ("__array__", "__iter__", "__getitem__", "__len__", "__float__", "__dataclass_fields__")
        )

    def _find_others(self) -> dict[ast.expr, str]:
        """Return what to write where the line asks for other arrays, by ``y.numpy()`` or a function of NumPy's."""
        node: Any = self.running.node
        while node is not None and not isinstance(node, (ast.stmt, ast.Lambda, *COMPREHENSIONS)):
            node = node.parent
        if node is None or isinstance(node, ast.stmt):
            return self._find_others_in(self.running.statement)
        around = replace(self, evaluator=self.outer)._find_others_in(self.running.statement, node)
        return around | self._find_others_in(node)

    def _find_others_in(self, scope: ast.AST, done: ast.AST | None = None) -> dict[ast.expr, str]:
        """Return the same for what a scope evaluates, and for the comprehensions in it but the one that is `done`."""
        found: dict[ast.expr, str] = {}
        asked = self.place.asked if self.place is not None else None
        for node in walk(scope):
            if isinstance(node, COMPREHENSIONS) and node is not done:
                found |= self._enter(node)._find_others_in(node)
            if not isinstance(node, ast.Call) or node in (self.running.node, asked):
                continue
            receiver = find_receiver(node) if not node.keywords else None
            if receiver is not None:
                guess = self._guess(receiver)
                text = self._convert_guess(receiver, guess, Door.NUMPY) if guess else None
                if text is None and self._is_alike(receiver):
                    text = self._render(receiver)
                if text is not None:
                    found[node] = text
            elif get_home(self.evaluator.find(node.func)) == "numpy":
                found |= self._find_others_of(node)
        return found

    def _find_others_of(self, call: ast.Call) -> dict[ast.expr, str]:
        """Return what to write for what a function of NumPy's is given, but for what leads to the operation."""
        found = {}
        for operand in find_operands(call):
            if self.running.node not in walk_all(operand):
                guess = self._guess(operand)
                text = self._convert_guess(operand, guess) if guess and guess.is_complete else None
                if text is not None:
                    found[operand] = text
        return found

    def _guess(self, node: ast.expr) -> Guess | None:
        """Return which tensor an expression gives, in every round of the loops around it."""
        rounds = self._list_rounds(node)
        if len(rounds) < 2 or any(find_framework(value) is None for value in rounds):
            return self.evaluator.guess(node)
        return Guess(tuple(rounds), True)

    def _is_alike(self, receiver: ast.expr) -> bool:
        """Tell whether a call is one of the function that gave the tensor which failed."""
        failed = self.place.node if self.place is not None else None
        if not isinstance(receiver, ast.Call) or not isinstance(failed, ast.Call) or self.evaluator.knows(receiver):
            return False
        return ast.dump(receiver.func) == ast.dump(failed.func)

    def _write_loop(self, node: ast.expr, value: Any) -> str | None:
        return write_loop(self.running.find_text(node), value, is_asked_within=self.plan.is_asked_within)

    def _convert_container(self, node: ast.expr, value: Any, path: str = "") -> str | None:
        """Return the code that converts what a container holds; None where nothing in it fails, or it is none."""
        text = self.running.find_text(node)
        self.sizes.append(_count_bytes_of_all(value))
        if self.plan.is_for_elements and path:
            found = self.plan.render("t") if path.count("[") == 1 and "." not in path else None
            return None if found is None else put_in_loop(text, value, found, "t")
        text_of_loop = self._write_loop(node, value)
        is_held = path or any(find_framework(e) is not None and _fails(e) for e in _get_elements(value))
        if text_of_loop is not None or "." in path or not is_held:
            return text_of_loop
        return f"safe_numpy.to_numpy({text})"


def _list_values(statement: ast.stmt) -> Iterator[ast.expr]:
    """Yield what a statement assigns, iterates, returns or throws away."""
    if isinstance(statement, (ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Return, ast.Expr)):
        yield from [statement.value] if statement.value is not None else []
    elif isinstance(statement, (ast.For, ast.AsyncFor)):
        yield statement.iter


def walk_all(node: ast.AST) -> set[ast.AST | None]:
    """Return a node and all below it."""
    return set(ast.walk(node))


LOOP_FORMS: dict[type, str] = {
    list: "[{fix} for {t} in {text}]",
    deque: "[{fix} for {t} in {text}]",
    tuple: "tuple({fix} for {t} in {text})",
    dict: "{{k: {fix} for k, {t} in {name}.items()}}",
}


def write_loop(text: str, container: Any, depth: int = 0, is_asked_within: bool = False) -> str | None:
    """Return the code that converts every element; None if they need different things, or nothing.

    `is_asked_within`: see `Plan`.
    """
    elements = _get_elements(container)
    if not 0 < len(elements) <= _MOST_ELEMENTS:
        return None
    if is_exactly(elements[0], *LOOP_FORMS) and all(type(e) is type(elements[0]) for e in elements):
        inner = {write_loop("row", e, depth + 1, is_asked_within) for e in elements} if depth == 0 else set()
        fix = inner.pop() if len(inner) == 1 else None
        is_deep = fix is None or " in row" not in fix or fix.count(" in ") > 1
        return None if fix is None or is_deep else put_in_loop(text, container, fix, "row")
    fix = _write_common(elements, is_asked_within)
    return None if fix is None else put_in_loop(text, container, fix, "t")


def put_in_loop(text: str, container: Any, fix: str, variable: str) -> str | None:
    """Return the code that gives a container like one called `text`, of what `fix` makes of each element."""
    form = LOOP_FORMS.get(type(container))
    return None if form is None else form.format(fix=fix, t=variable, text=text, name=put_in_parentheses(text))


def _write_common(elements: list[Any], is_asked_within: bool) -> str | None:
    """Return what converts each of some tensors, called ``t``."""
    first = find_framework(elements[0])
    if first is None or any(find_framework(e) is None for e in elements):
        return None
    plans = {plan.array: plan for e in elements if (plan := make_plan(e, Door.ARRAY)) is not None}
    if not any(plan.problems for plan in plans.values()):
        return None
    united: Plan | None = next(iter(plans.values()))
    for plan in plans.values():
        united = united and unite_plans(united, plan, first.causes)
    return None if united is None else replace(united, is_asked_within=is_asked_within).render("t")


def _count_bytes_of_all(container: Any) -> int | None:
    """Return how many bytes the arrays of a container's tensors take that do not share their memory."""
    elements = _get_elements(container)
    plans = [make_plan(e, Door.ARRAY) for e in elements[:_MOST_ELEMENTS]]
    if not plans or len(elements) > _MOST_ELEMENTS or any(plan is None for plan in plans):
        return None
    return sum(plan.array_nbytes for plan in plans if plan is not None)


def _fails(x: Any) -> bool:
    plan = make_plan(x, Door.ARRAY)
    return plan is not None and bool(plan.problems)


def _get_elements(container: Any) -> list[Any]:
    if type(container) is dict:
        return list(container.values())
    return list(container) if is_exactly(container, list, tuple, deque) else []
