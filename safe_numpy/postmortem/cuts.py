"""Rules of `why`: ``loss.backward()`` of a tensor that requires no grad, which statement cut its path; and None.

Follows the variables back through the source, as far as it says where they come from.
"""

from __future__ import annotations

import ast
from typing import Any, NamedTuple

from safe_numpy.callsite.evaluator import Evaluator, get_home
from safe_numpy.callsite.frames import is_exactly, read_members
from safe_numpy.callsite.functions import find_returns, find_scope, walk_own
from safe_numpy.callsite.source import RunningCode, find_statement, read_function
from safe_numpy.callsite.syntax import makes_tensor
from safe_numpy.diagnosis.causes import put_in_parentheses
from safe_numpy.diagnosis.framework import iterate_loaded
from safe_numpy.diagnosis.registry import FRAMEWORKS
from safe_numpy.messages.units import name_place
from safe_numpy.postmortem import error_site as site
from safe_numpy.postmortem import tensorflow, uses
from safe_numpy.postmortem.containers import Missing
from safe_numpy.postmortem.error_site import ErrorSite, Finding, find_making

_METHODS = frozenset({"detach", "item", "numpy", "tolist"})
_GUARDS = frozenset({"no_grad", "inference_mode"})
_MOST_STEPS = 60
_MOST_MODULES = 1000


_STAY = "what leads from the parameters to the loss must stay tensors, not detached"


class _Severed(NamedTuple):
    """Where a gradient is cut."""

    running: RunningCode
    filename: str
    node: ast.expr
    evaluator: Evaluator | None
    """knows the variables there; None: that function has returned"""


class _Search:
    """Goes back through the statements of one program; visits each expression once."""

    def __init__(self, line: ErrorSite) -> None:
        self._line = line
        self._seen: set[int] = set()

    def search(
        self, node: ast.AST, running: RunningCode, filename: str, evaluator: Evaluator | None
    ) -> _Severed | None:
        """Return the cut that an expression passes, the one nearest to its source."""
        if id(node) in self._seen or len(self._seen) > _MOST_STEPS:
            return None
        self._seen.add(id(node))
        for child in _list_sources(node):
            found = self._follow(child, running, filename, evaluator)
            if found is not None:
                return found
        return None

    def _follow(
        self, node: ast.expr, running: RunningCode, filename: str, evaluator: Evaluator | None
    ) -> _Severed | None:
        here = _Severed(running, filename, node, evaluator)
        if _is_guard(node):
            return here
        if isinstance(node, ast.Name):
            return self._follow_name(node, running, filename, evaluator)
        deeper = self.search(node, running, filename, evaluator)
        if deeper is not None:
            return deeper
        if isinstance(node, ast.Attribute) and node.attr == "data":
            return here
        if not isinstance(node, ast.Call):
            return None
        name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        if name in _METHODS and not node.args and _may_require(node.func.value, evaluator):  # type: ignore[attr-defined]
            return here
        if makes_tensor(name) and node.args and _makes_tensors(node, evaluator):
            return here if _holds_recorded(node.args[0], evaluator) else None
        return self._follow_call(here, node, evaluator)

    def _follow_name(
        self, node: ast.Name, running: RunningCode, filename: str, evaluator: Evaluator | None
    ) -> _Severed | None:
        scope = find_scope(node)
        for binding in reversed(uses.find_bindings(scope, node.id)):
            value = binding.value or getattr(binding.statement, "value", None)
            if value is None or id(binding.statement) in self._seen:
                continue
            place = uses.at(running, binding.statement)
            guard = _find_guard(binding.statement)
            if guard is not None:
                return _Severed(place, filename, guard, evaluator)
            found = self._follow(value, place, filename, evaluator)
            if found is not None:
                return found
        for use in uses.find_uses(scope, node.id):
            found = self._follow_appended(use, running, filename, evaluator)
            if found is not None:
                return found
        return None

    def _follow_appended(
        self, use: Any, running: RunningCode, filename: str, evaluator: Evaluator | None
    ) -> _Severed | None:
        """Go on with what is appended to a list."""
        asked = use.parent
        call = asked.parent if isinstance(asked, ast.Attribute) else None  # type: ignore[attr-defined]
        if not isinstance(call, ast.Call) or asked.attr not in ("append", "extend") or not call.args:
            return None
        return self.search(call, uses.at(running, find_statement(call)), filename, evaluator)

    def _follow_call(self, here: _Severed, node: ast.Call, evaluator: Evaluator | None) -> _Severed | None:
        """Go on in a function of the user's, or the `forward` of his module."""
        function = evaluator.find(node.func) if evaluator is not None else None
        if function is None:
            return None
        if _is_decorated(function):
            return here
        returns = find_returns(function) or find_returns(getattr(type(function), "forward", None))
        for running, value in returns.lines if returns is not None else ():
            known = _Self(function) if returns is not None else None
            found = self._follow(value, running, returns.filename, known)  # type: ignore[union-attr]
            if found is not None:
                return found
        return None


class _Self(Evaluator):
    """Knows `self` alone, of a method that has returned."""

    def __init__(self, function: Any) -> None:
        owner = getattr(function, "__self__", function)
        super().__init__(({"self": owner},))

    def find(self, node: ast.expr, otherwise: Any = None) -> Any:
        found = super().find(node, otherwise)
        if found is otherwise and isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            owner = super().find(node.value)
            function = getattr(type(owner), node.attr, None) if owner is not None else None
            return function.__get__(owner) if callable(function) else otherwise
        return found


def _list_sources(node: ast.AST) -> list[ast.expr]:
    """Return the expressions that the value of one is made of."""
    if isinstance(node, ast.Call):
        owner = [node.func.value] if isinstance(node.func, ast.Attribute) else []
        return [*owner, *node.args, *(k.value for k in node.keywords)]
    return [n for n in ast.iter_child_nodes(node) if isinstance(n, ast.expr)]


def _is_guard(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in _GUARDS


def _is_decorated(function: Any) -> bool:
    """Tell whether a function, or the `forward` of a module, is decorated with ``torch.no_grad()``."""
    for each in (function, getattr(type(function), "forward", None)):
        bare = getattr(each, "__func__", each)
        if getattr(bare, "__globals__", {}).get("__name__") == "torch.utils._contextlib":
            return True
    return False


def _find_guard(statement: Any) -> ast.expr | None:
    """Return the ``torch.no_grad()`` that a statement stands under."""
    while statement is not None:
        if isinstance(statement, ast.With):
            guards = [item.context_expr for item in statement.items if _is_guard(item.context_expr)]
            if guards:
                return guards[0]
        statement = getattr(statement, "parent", None) if not isinstance(statement, ast.FunctionDef) else None
    return None


def _may_require(node: ast.expr, evaluator: Evaluator | None) -> bool:
    """Tell whether what is detached requires grad, as far as that is known."""
    guess = evaluator.guess(node) if evaluator is not None else None
    if guess is None or not guess.tensors:
        return evaluator is None or not evaluator.knows(node)
    return site.requires_grad(guess)


def _makes_tensors(node: ast.Call, evaluator: Evaluator | None) -> bool:
    home = get_home(evaluator.find(node.func)) if evaluator is not None else ""
    root = node.func.value if isinstance(node.func, ast.Attribute) else None
    return home in FRAMEWORKS or (isinstance(root, ast.Name) and root.id in FRAMEWORKS)


def _holds_recorded(node: ast.expr, evaluator: Evaluator | None) -> bool:
    """Tell whether an expression is a tensor that requires grad, or a list of such."""
    value: Any = evaluator.find(node) if evaluator is not None else None
    values: list[Any] = list(value) if is_exactly(value, list, tuple) else [value]
    if isinstance(node, (ast.List, ast.Tuple)) and evaluator is not None:
        values = [t for n in node.elts if (g := evaluator.guess(n)) is not None for t in g.tensors]
    return any(getattr(v, "requires_grad", False) is True for v in values)


def find_cut(error: BaseException, line: ErrorSite) -> Finding | None:
    """``loss.backward()``, where nothing that `loss` was computed from requires grad any more."""
    node = line.get_node()
    if not isinstance(error, RuntimeError) or not isinstance(node, ast.Call):
        return None
    if not isinstance(node.func, ast.Attribute) or node.func.attr != "backward":
        return None
    owner = node.func.value
    guess = line.guess(owner)
    is_confirmed = guess is not None and guess.is_itself and not site.requires_grad(guess)
    if not is_confirmed and "does not require grad" not in str(error):
        return None
    made = [cut for f in iterate_loaded() if f.watch is not None for cut in f.watch.find_cuts() if cut.expression]
    if made:  # by permissive mode: the last one most often
        place = name_place(made[-1].site.filename, made[-1].site.lineno)
        where = f"where permissive mode converted `{made[-1].expression}`, {place}, its path was cut"
        return Finding(f"`{line.find_text(owner)}` does not require grad: {where}.", note=_STAY, place=place)
    cut = _Search(line)._follow(owner, line.running, line.site.filename, line.evaluator)
    if cut is None:
        return None
    name, text = line.find_text(owner), cut.running.find_text(cut.node)
    place = name_place(cut.filename, cut.node.lineno)
    if not text:
        return None
    headline = f"`{name}` does not require grad: `{text}` cut its path, {place}."
    return Finding(headline, _fix_stack(line, cut), _STAY, place=place)


def _fix_stack(line: ErrorSite, cut: _Severed) -> str | None:
    """Return the line corrected where a list of tensors was made anew of their numbers."""
    node = cut.node
    if not isinstance(node, ast.Call) or cut.evaluator is not line.evaluator or node.keywords or len(node.args) != 1:
        return None
    values = line.find_value(node.args[0])
    if (
        not is_exactly(values, list, tuple)
        or not all(map(site.is_tensor, values))
        or len({*map(site.get_shape, values)}) != 1
    ):
        return None
    shape = site.get_shape(values[0])
    if shape not in ("[]", "[1]"):
        return None
    text = f"torch.{'stack' if shape == '[]' else 'cat'}({line.find_text(node.args[0])})"  # of one number each
    return line.fix_elsewhere(find_statement(node), {node: text})


def explain_none(missing: Missing) -> Finding | None:
    """Explain None that is asked for what tensors have."""
    holder = missing.holder
    owner = holder.value if isinstance(holder, ast.Attribute) and holder.attr == "grad" else None
    tensor = missing.line.find_value(owner) if owner is not None else None
    if owner is not None and site.is_tensor(tensor):
        return _explain_gradient(missing, owner, tensor)
    if not missing.is_certain():
        return None
    found = _explain_hook(missing, holder) if isinstance(holder, ast.Attribute) else None
    if found is not None:
        return found
    note = "the function that gave it may lack a `return`, or changes something in place"
    if tensorflow.has_tape(missing.line):
        note = tensorflow.NO_GRADIENT
    elif isinstance(holder, ast.Attribute):
        note = "what should set it has not run: a hook that did not fire, a method that was not called"
    return Finding(f"`{missing.name}` is None, not a tensor.", note=note)


def _explain_hook(missing: Missing, holder: ast.Attribute) -> Finding | None:
    """Explain what a backward hook set to ``grad_in[0]``, which is None where the input needs no gradient."""
    line, owner = missing.line, missing.line.find_value(holder.value)
    hooks = [h for m in _list_modules(owner) for h in list(read_members(m).get("_backward_hooks", {}).values())]
    if not any(_keeps_input_gradient(h, holder.attr) for h in hooks):
        return None
    calls = [n for n in walk_own(line.find_scope()) if isinstance(n, ast.Call) and line.evaluator.is_model(n.func)]
    calls = [n for n in calls if n.lineno < line.running.statement.lineno and len(n.args) == 1]
    if len(calls) != 1 or not _is_backward_between(line, find_statement(calls[0])):
        return None
    given: Any = calls[0].args[0]
    tensor: Any = line.find_value(given)
    if not site.is_of("torch", tensor) or tensor.requires_grad or not tensor.is_floating_point():
        return None
    text, statement = line.find_text(given), find_statement(given)
    headline = f"`{missing.name}` is None: `{text}` does not require grad, so none comes to the hook."
    fix = line.fix_elsewhere(statement, {given: f"{put_in_parentheses(text)}.requires_grad_()"})
    return Finding(headline, fix, place=line.name_statement(statement))


def _list_modules(owner: Any) -> list[Any]:
    """Return the modules that an object holds, and those inside them."""
    found: list[Any] = []
    pending = [owner, *read_members(owner).values()]
    while pending and len(found) < _MOST_MODULES:
        module = pending.pop()
        inner = read_members(module).get("_modules")
        if type(inner) is dict:
            found.append(module)
            pending += list(inner.values())
    return found


def _keeps_input_gradient(hook: Any, attribute: str) -> bool:
    """Tell whether a hook does nothing with the gradient of its module's input but keep it as an attribute."""
    code = getattr(getattr(hook, "__func__", hook), "__code__", None)
    found = read_function(code) if code is not None else None
    if found is None or not isinstance(found[1], ast.FunctionDef) or len(found[1].args.args) < 3:
        return False
    incoming = found[1].args.args[-2].arg
    for node in ast.walk(found[1]):
        target = node.targets[0] if isinstance(node, ast.Assign) else None
        if isinstance(target, ast.Attribute) and target.attr == attribute:
            value: Any = node.value  # type: ignore[attr-defined]
            is_first = isinstance(value, ast.Subscript) and ast.unparse(value.slice) == "0"
            return is_first and isinstance(value.value, ast.Name) and value.value.id == incoming
    return False


def _explain_gradient(missing: Missing, owner: ast.expr, tensor: Any) -> Finding:
    line, text = missing.line, missing.line.find_text(owner)
    headline = f"`{missing.name}` is None: `{text}` has no gradient."
    note = (
        f"backward() has not reached it: it was not called, `{text}` is no leaf (see retain_grad), does not "
        "require grad, or its path was cut"
    )
    if getattr(tensor, "is_leaf", True) is not False:
        return Finding(headline, note=note)
    note = f"`{text}` is no leaf, and keeps its gradient only after `{text}.retain_grad()`, before backward()"
    made = find_making(line, text) if isinstance(owner, ast.Name) else None
    if made is None or not _is_backward_between(line, made.statement):
        return Finding(headline, note=note)
    statement = line.running.find_text(made.statement)
    fix = f"{statement}\n{text}.retain_grad()" if "\n" not in statement else None
    return Finding(headline, fix, note, place=line.name_statement(made.statement))


def _is_backward_between(line: ErrorSite, made: ast.stmt) -> bool:
    """Tell whether ``backward()`` is called after a statement, and before the line."""
    calls = [n for n in walk_own(line.find_scope()) if isinstance(n, ast.Call)]
    return any(
        isinstance(n.func, ast.Attribute)
        and n.func.attr == "backward"
        and made.lineno < n.lineno < line.running.statement.lineno
        for n in calls
    )
