"""The walk of a value through one function: names are followed, in the order in which statements run.

It starts at a line, goes through the assignments of its function, and into functions of the same file. Nothing is run.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Sequence
from enum import Flag, auto
from typing import Any

from safe_numpy.callsite.source import COMPREHENSIONS
from safe_numpy.callsite.syntax import (
    CASTS,
    FACTS,
    FORGETTERS,
    FORWARD,
    FUNCTIONS,
    HELPERS,
    KEEPERS,
    ONLY_TENSORS,
    READERS,
    ROOTS,
    SCOPES,
    TORCH_ROOTS,
    WRITERS,
    Function,
    Place,
    computes_gradient,
    find_place,
    is_drawn,
    is_showing,
    is_wrapped,
    list_drawn,
    list_own_variables,
    list_read_variables,
    makes_tensor,
    name_path,
    stacks_tensors,
    walk_statements,
)
from safe_numpy.diagnosis.facts import Site

_MOST_ROUNDS = 10
"""through a loop: each but the last brings one more variable into play, and such chains are short"""

_MOST_DEEP = 3
"""functions that are followed into one another"""


class Held(Flag):
    """What is held of the value that is followed; nothing: 0."""

    PART = auto()
    """something that was made of it, or that holds it"""
    ITSELF = auto()
    TENSOR = auto()
    """it is a tensor, or a tensor was made of it"""


NOTHING_HELD = Held(0)


def walk_from(site: Site, held: Held, trees: dict[str, ast.Module], is_array: bool = False) -> ScopeWalk | None:
    """Follow what stands at `site` to the end of its function; None where there is no source.

    `is_array`: it is an array, though the line's function would make a tensor again of a tensor.
    """
    place = find_place(site, trees)
    if place is None:
        return None
    walk = ScopeWalk(place, held)
    walk.is_array = is_array
    walk.run()
    return walk


class ScopeWalk:
    """Follows a value through one function, or a module, in the order in which its statements run."""

    def __init__(self, place: Place, first: Held, deep: int = 0) -> None:
        self._place, self._first, self._deep = place, first, deep
        self._scope = place.scopes[-1]
        self._held: dict[str, Held] = {}
        """what variables, and members such as ``self.x``, hold at this point"""
        self._ever: dict[str, Held] = {}
        """what they held at any point"""
        self._drawn: set[str] = set()
        """variables that hold a random choice"""
        self.is_forward = any(isinstance(s, FUNCTIONS) and s.name in FORWARD for s in place.scopes)
        self._starts = self._tests = False
        self.is_array = False
        self.returned = NOTHING_HELD
        self.is_learnt = self.is_taken = False
        self.is_lost = False
        """it went where it cannot be followed"""
        self.has_tensor = self.is_shown = self.is_used = False
        """a tensor was made of it by name, a tensor of it was shown, and handed to a call whose result nobody takes"""

    def run(self) -> None:
        """Walk to the end, and then into the functions and methods that see the same variables."""
        if isinstance(self._scope, ast.Lambda):
            self.returned |= self._evaluate(self._scope.body)
            return
        self._run_all(getattr(self._scope, "body", []))
        self.is_learnt |= self.is_forward and Held.TENSOR in self.returned
        if not self._ever:
            return
        statements = list(walk_statements(self._scope))
        for statement in statements:
            if isinstance(statement, (ast.Global, ast.Nonlocal)) and not self._ever.keys().isdisjoint(statement.names):
                self.is_lost = True
        inside = [f for s in statements if isinstance(s, SCOPES) for f in ast.walk(s) if isinstance(f, FUNCTIONS)]
        self._look_into(inside, lambda function: self._ever.keys() - list_own_variables(function))
        owner = self._place.scopes[-2] if len(self._place.scopes) > 1 else None
        if isinstance(owner, ast.ClassDef):
            members = {name for name in self._ever if name.startswith("self.")}
            self._look_into([f for f in owner.body if isinstance(f, FUNCTIONS)], lambda function: members)

    def _look_into(self, functions: Iterable[Function], find_visible: Callable[[Function], set[str]]) -> None:
        for function in functions:
            seen = {n: self._ever[n] & ~Held.ITSELF for n in find_visible(function) & list_read_variables(function)}
            if function is not self._scope and seen:
                self.is_lost = True  # who calls it, and what with, is not known
                self._enter(function, [*self._place.scopes, function], seen)

    def _enter(self, function: Function, scopes: Sequence[ast.AST], held: dict[str, Held]) -> Held:
        """Return what a function returns in which variables hold something."""
        if self._deep >= _MOST_DEEP:
            return NOTHING_HELD
        walk = ScopeWalk(Place(scopes, None, None), NOTHING_HELD, self._deep + 1)
        walk._held = held
        walk.run()
        self.is_learnt |= walk.is_learnt
        self.is_taken |= walk.is_taken
        self.is_lost |= walk.is_lost
        self.has_tensor |= walk.has_tensor
        self.is_shown |= walk.is_shown
        self.is_used |= walk.is_used
        return walk.returned

    def _run_all(self, statements: Sequence[ast.stmt]) -> None:
        for statement in statements:
            self._starts = statement is self._place.statement and self._place.node is None
            self._run(statement)
            self._starts = False

    def _run(self, statement: ast.stmt) -> None:
        match statement:
            case ast.Assign(targets, value):
                held = self._evaluate(value)
                for target in targets:
                    self._put(target, held, value)
                    self._drawn |= list_drawn(target, value, self._drawn)
            case ast.AugAssign(target, _, value):
                held = self._evaluate(value) & ~Held.ITSELF
                self._put(target, held | self._held.get(name_path(target), NOTHING_HELD) & ~Held.ITSELF)
            case ast.AnnAssign(target, _, value) if value is not None:
                self._put(target, self._evaluate(value), value)
            case ast.Return(value) if value is not None:
                self.returned |= self._evaluate(value)
            case ast.Expr(value):
                held = self._evaluate(value)
                if held and isinstance(value, ast.Call):
                    self.is_used |= Held.TENSOR in held
                    self.is_lost |= name_path(value.func).startswith(
                        ("self.", "cls.")
                    )  # it may keep it: self.record(x)
            case ast.Assert(test):
                self._test(test)
            case ast.Delete(targets):
                for target in targets:
                    self._held.pop(name_path(target), None)
            case ast.Raise(error) if error is not None:
                self._evaluate(error)
            case _ if not isinstance(statement, SCOPES):
                self._run_block(statement)

    def _run_block(self, statement: ast.stmt) -> None:
        match statement:
            case ast.For(target, iterable, body, orelse) | ast.AsyncFor(target, iterable, body, orelse):
                held = self._evaluate(iterable) & ~Held.ITSELF
                self._drawn |= list_drawn(target, iterable, self._drawn)
                self._repeat(body, lambda: self._put(target, held))
                self._run_all(orelse)
            case ast.While(test, body, orelse):
                self._repeat(body, lambda: self._test(test))
                self._run_all(orelse)
            case ast.If(test, body, orelse):
                self._test(test)
                self._choose(body, orelse)
            case ast.With(items, body) | ast.AsyncWith(items, body):
                for item in items:
                    held = self._evaluate(item.context_expr) & ~Held.ITSELF
                    if item.optional_vars is not None:
                        self._put(item.optional_vars, held)
                self._run_all(body)
            case ast.Try(body, handlers, orelse, final) | ast.TryStar(body, handlers, orelse, final):
                self._choose(body, [])
                self._choose(orelse, *(handler.body for handler in handlers))
                self._run_all(final)
            case ast.Match(subject, cases):
                self._test(subject)
                self._choose([], *(case.body for case in cases))

    def _choose(self, *branches: Sequence[ast.stmt]) -> None:
        """Run branches of which one is taken."""
        before, after = self._held, dict[str, Held]()
        for branch in branches:
            self._held = dict(before)
            self._run_all(branch)
            after = _join(after, self._held)
        self._held = after

    def _repeat(self, body: Sequence[ast.stmt], begin: Callable[[], None]) -> None:
        """Run a loop until a round brings nothing new."""
        for _ in range(_MOST_ROUNDS):
            before = self._held
            self._held = dict(before)
            begin()
            self._run_all(body)
            self._held = _join(before, self._held)
            if self._held == before:
                return

    def _test(self, test: ast.expr) -> None:
        """Evaluate a condition: what it looks at goes nowhere."""
        was_test, self._tests = self._tests, True
        self._show(self._evaluate(test))
        self._tests = was_test

    def _show(self, held: Held) -> None:
        self.is_shown |= Held.TENSOR in held

    def _evaluate(self, node: ast.expr) -> Held:
        """Return what the value of an expression holds; note where its parts go."""
        if not self._held and not self._is_beside(node):
            return NOTHING_HELD
        held = self._evaluate_parts(node)
        if node is not self._place.node:
            return held
        if isinstance(node, ast.Call) and name_path(node.func).rpartition(".")[2] in FORGETTERS:
            return NOTHING_HELD
        return self._first | Held.TENSOR if is_wrapped(node) and not self.is_array else self._first

    def _is_beside(self, node: ast.expr) -> bool:
        """Tell whether an expression stands on a line of the statement from which the value comes."""
        start = self._place.statement
        if start is None:
            return False
        return node.lineno <= (start.end_lineno or 0) and start.lineno <= (node.end_lineno or 0)

    def _evaluate_parts(self, node: ast.expr) -> Held:
        match node:
            case ast.Name(name):
                is_start = self._starts and name not in ROOTS
                return self._first & ~Held.ITSELF if is_start else self._held.get(name, NOTHING_HELD)
            case ast.Attribute(value, member):
                held = self._held.get(name_path(node), NOTHING_HELD) | self._evaluate(value) & ~Held.ITSELF
                return NOTHING_HELD if member in FACTS else held
            case ast.Call():
                return self._call(node)
            case ast.Subscript(_, index) if is_drawn(index, self._drawn):
                return NOTHING_HELD  # of a replay buffer: it is data
            case ast.Compare(left, _, others):
                self._show(self._unite([left, *others]))
                return NOTHING_HELD  # no gradient passes a comparison
            case ast.NamedExpr(target, value):
                held = self._evaluate(value)
                self._put(target, held, value)
                return held
            case ast.Subscript(value, index):
                self._evaluate(index)  # where it stands, and not what stands there
                return self._evaluate(value) & ~Held.ITSELF
            case ast.IfExp(test, body, orelse):
                self._test(test)
                return self._evaluate(body) | self._evaluate(orelse)
            case ast.JoinedStr(values):
                self._show(self._unite(values))
                return NOTHING_HELD
            case ast.Yield(value) | ast.YieldFrom(value) if value is not None:
                self.returned |= self._evaluate(value) & ~Held.ITSELF
                return NOTHING_HELD
            case ast.Lambda(_, body):
                self.is_lost |= any(isinstance(n, ast.Name) and n.id in self._held for n in ast.walk(body))
                return NOTHING_HELD
        if isinstance(node, COMPREHENSIONS):
            return self._comprehend(node)
        return self._unite(child for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr))

    def _comprehend(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp) -> Held:
        before = dict(self._held)
        for generator in node.generators:
            self._put(generator.target, self._evaluate(generator.iter) & ~Held.ITSELF)
            self._drawn |= list_drawn(generator.target, generator.iter, self._drawn)
            for condition in generator.ifs:
                self._test(condition)
        held = self._unite([node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt])
        self._held = before  # its variables are its own
        return held

    def _unite(self, nodes: Iterable[ast.expr]) -> Held:
        held = NOTHING_HELD
        for node in nodes:
            held |= self._evaluate(node) & ~Held.ITSELF
        return held

    def _call(self, node: ast.Call) -> Held:
        function = node.func
        path = name_path(function)
        name = function.attr if isinstance(function, ast.Attribute) else path
        root = path.partition(".")[0]
        receiver = self._evaluate(function.value) if isinstance(function, ast.Attribute) else NOTHING_HELD
        given = self._unite([*node.args, *(keyword.value for keyword in node.keywords)])
        held = (receiver | given) & ~Held.ITSELF
        if not held:
            return NOTHING_HELD
        if root in TORCH_ROOTS and isinstance(function, ast.Attribute) and not makes_tensor(name, root):
            self.is_taken |= bool(given) and Held.TENSOR not in given and name not in WRITERS
        if computes_gradient(path, name, root):
            self.is_learnt = True
            self.is_taken |= Held.TENSOR not in held
            return NOTHING_HELD
        if Held.ITSELF | Held.TENSOR in receiver and ONLY_TENSORS.fullmatch(name):
            self.is_learnt = True
        if is_showing(name, root, bool(given)):
            self._show(held)
            return NOTHING_HELD
        if name in FORGETTERS:
            return NOTHING_HELD
        if (
            name in READERS
            and not (isinstance(function, ast.Attribute) and name in CASTS)
            and not (given and isinstance(function, ast.Attribute))
        ):
            self._show(held)
            return Held.PART
        return self._hand_over(node, name, root, given, held)

    def _hand_over(self, node: ast.Call, name: str, root: str, given: Held, held: Held) -> Held:
        """Return what a call makes of what it is given, which it may keep."""
        function = node.func
        if name == "setattr":
            self.is_lost = True
        keeps = name in KEEPERS or (name.endswith("_") and not name.startswith("_"))
        if isinstance(function, ast.Attribute) and given and keeps:
            self._put_into(function.value, given)
        if makes_tensor(name, root) or stacks_tensors(name, root):
            self.has_tensor = True
            return held | Held.TENSOR
        own = self._find_function(function)
        if own is not None:
            names = {a.arg for a in (*own[-1].args.posonlyargs, *own[-1].args.args, *own[-1].args.kwonlyargs)}
            return self._enter(own[-1], own, dict.fromkeys(names - {"self", "cls"}, held)) & ~Held.ITSELF
        if self.is_forward and not self._tests and Held.TENSOR in given:
            is_variable = isinstance(function, (ast.Name, ast.Attribute)) and root not in {"self", *TORCH_ROOTS}
            self.is_learnt |= not is_variable  # but a module, or a function of torch's
        if given and HELPERS.fullmatch(name):
            self.has_tensor = True
            return held | Held.TENSOR
        return held

    def _find_function(self, function: ast.expr) -> list[Any] | None:
        """Return a function or method of the same file that is called, after the scopes around it."""
        module = self._place.scopes[0]
        owners: list[list[ast.AST]] = [[module]] if isinstance(function, ast.Name) else []
        if isinstance(function, ast.Attribute) and name_path(function.value) == "self":
            owners = [[module, scope] for scope in self._place.scopes if isinstance(scope, ast.ClassDef)]
        name = name_path(function).rpartition(".")[2]
        for owner in owners:
            for statement in getattr(owner[-1], "body", []):
                if isinstance(statement, FUNCTIONS) and statement.name == name:
                    return [*owner, statement]
        return None

    def _put(self, target: ast.expr, held: Held, value: ast.expr | None = None) -> None:
        if isinstance(target, (ast.Tuple, ast.List)):
            values = value.elts if isinstance(value, (ast.Tuple, ast.List)) else []
            is_matched = len(values) == len(target.elts) and not any(isinstance(v, ast.Starred) for v in values)
            for i, element in enumerate(target.elts):
                self._put(element, self._evaluate(values[i]) if is_matched else held & ~Held.ITSELF)
        elif isinstance(target, ast.Starred):
            self._put(target.value, held & ~Held.ITSELF)
        elif isinstance(target, ast.Subscript):
            self._put_into(target, held)
        else:
            self._set(name_path(target), held)

    def _put_into(self, container: ast.expr, held: Held) -> None:
        while isinstance(container, ast.Subscript):
            container = container.value
        name = name_path(container)
        self._set(name, (held | self._held.get(name, NOTHING_HELD)) & ~Held.ITSELF)

    def _set(self, name: str, held: Held) -> None:
        if not held:
            self._held.pop(name, None)
            return
        self._held[name] = held
        self._ever[name] = self._ever.get(name, NOTHING_HELD) | held
        self.is_lost |= not name or "." in name  # an attribute: other functions see it


def _join(one: dict[str, Held], other: dict[str, Held]) -> dict[str, Held]:
    return {name: one.get(name, NOTHING_HELD) | other.get(name, NOTHING_HELD) for name in {**one, **other}}
