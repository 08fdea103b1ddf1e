"""Which element of a container is meant where the line treats it as a tensor, or whether all of them are."""

from __future__ import annotations

import ast
import re
from collections import OrderedDict, defaultdict, deque
from itertools import islice
from typing import Any, NamedTuple

from safe_numpy.callsite.expression import find_inside
from safe_numpy.callsite.frames import get_class_dict, get_class_module, get_mro, is_exactly, read_members
from safe_numpy.callsite.replacements import put_in_loop
from safe_numpy.diagnosis.causes import put_in_parentheses
from safe_numpy.diagnosis.facts import Door, Kind
from safe_numpy.diagnosis.framework import make_plan
from safe_numpy.messages.units import join_names, name_type
from safe_numpy.postmortem import error_site as site
from safe_numpy.postmortem.error_site import ErrorSite, Finding
from safe_numpy.postmortem.uses import Kind as Use

_KNOWN = ("logits", "out", "last_hidden_state", "prediction_logits", "sample", "pred", "preds", "prediction", "output")
"""the keys under which models give what is usually meant, in this order"""

_PLACES = re.compile(r"pred|ind|idx|label|class|arg|pos|rank|order|choice|action|token|cand", re.IGNORECASE)
"""names of variables that hold places rather than values"""

MOVING = frozenset(
    {"to", "cuda", "cpu", "detach", "float", "half", "double", "clone", "requires_grad_", "pin_memory", "contiguous"}
    | {"long", "int", "bool", "data", "bfloat16", "detach_", "type"}
)
"""what gives the same tensor in another form: where every tensor of a container is likely to be meant"""

_CONVERTING = frozenset(
    {"numpy", "item", "tolist", "squeeze", "unsqueeze", "flatten", "view", "reshape", "permute", "transpose"}
    | {"mean", "sum", "argmax", "softmax", "sigmoid", "abs", "log", "exp", "max", "min", "round"}
)
_REDUCING = frozenset({"mean", "sum", "std", "var", "median", "prod", "norm"})
_MOST = 100
_LOOPED = (list, tuple, dict, OrderedDict, defaultdict, deque)


SAME_IN_TORCH: dict[str, tuple[str, str]] = {
    # NumPy's function: PyTorch's, and what makes it the same
    **{name: (name, "") for name in ("mean", "sum", "prod", "argmax", "argmin", "squeeze", "cumsum", "sqrt", "exp")},
    **{name: (name, "") for name in ("log", "abs", "sin", "cos", "tanh", "square", "sign", "floor", "ceil", "clip")},
    **{name: (name, ", correction=0") for name in ("std", "var")},
    **{name: (f"a{name}", "") for name in ("max", "min")},
}
_OF_LISTS = frozenset({"stack", "cat", "concat", "concatenate", "hstack", "vstack", "dstack", "block_diag"})
"""functions of PyTorch that take lists of tensors"""

CERTAIN = frozenset({"numpy", "cpu", "detach", "backward"})
"""what nothing but a tensor is asked for"""


class Missing(NamedTuple):
    """An attribute that is not there."""

    line: ErrorSite
    name: str
    """the user's expression for the object"""
    attribute: str
    obj: Any
    holder: ast.expr | None
    """that expression, if the line asks it for the attribute"""

    @property
    def head(self) -> str:
        """How most sentences begin."""
        return f"`{self.name}` has no {self.attribute}(): it is a {name_type(self.obj)}"

    def list_chain(self) -> list[tuple[str, ast.expr]]:
        """Return the attributes that the line asks for, one of the other, and the expression that ends with each."""
        if self.holder is None:
            return []
        chain: list[tuple[str, ast.expr]] = []
        node = self.holder
        while True:
            parent: Any = node.parent  # type: ignore[attr-defined]
            if not isinstance(parent, ast.Attribute) or parent.value is not node:
                return chain
            called: Any = parent.parent  # type: ignore[attr-defined]
            node = called if isinstance(called, ast.Call) and called.func is parent else parent
            chain.append((parent.attr, node))

    def is_certain(self) -> bool:
        """Tell whether nothing but a tensor is asked for all this."""
        return any(attribute in CERTAIN for attribute, _ in self.list_chain()) or self.attribute in CERTAIN


class Choice(NamedTuple):
    """What is meant by a container that is treated as a tensor."""

    step: str = ""
    """the code that takes out the element that is meant; empty: that is not certain"""
    other: str = ""
    """the code for another that may be meant"""
    is_stacked: bool = False
    """all of them are, as one tensor"""
    is_mapped: bool = False
    """every element is"""
    attributes: frozenset[str] = frozenset()
    """what every element is asked for"""


def list_elements(container: Any) -> list[tuple[str, Any]]:
    """Return what a container holds, by the code that takes it out."""
    cls = type(container)
    if issubclass(cls, tuple) and cls is not tuple:
        own = [get_class_dict(c) for c in get_mro(cls)]
        known = [members.get("_fields") or members.get("__match_args__") for members in own]
        names = next((n for n in known if n), ())
        return [(f".{n}", v) for n, v in zip(names, tuple.__iter__(container), strict=False)]
    if issubclass(cls, (list, tuple, deque)):
        base = next(c for c in (list, tuple, deque) if issubclass(cls, c))  # not as a class of somebody's iterates
        return [(f"[{i}]", v) for i, v in enumerate(islice(base.__iter__(container), _MOST))]
    if issubclass(cls, dict):
        members: dict[Any, Any] = {**read_members(container)} if not is_exactly(container, *_LOOPED) else {}
        items = list(dict.items(container))[:_MOST]
        return [(f".{k}" if members.get(k) is v else f"[{k!r}]", v) for k, v in items if is_exactly(k, str, int)]
    return [(f".{k}", v) for k, v in list(read_members(container).items())[:_MOST] if type(k) is str]


def choose_element(container: Any, elements: list[tuple[str, Any]], asked: list[str], use: Use, hint: str) -> Choice:
    """Return what is meant by a container.

    Args:
        container: it.
        elements: what it holds, as `list_elements` gives it.
        asked: the attributes that the line asks it for, one of the other.
        use: whether the line wants one thing of it, or several.
        hint: the name of the variable that the line assigns.
    """
    tensors = [(step, value) for step, value in elements if site.is_tensor(value)]
    cls = type(container)
    wanted = frozenset(asked) & (MOVING | _CONVERTING)
    can_map = len(tensors) == len(elements) and is_exactly(container, *_LOOPED) and asked[0] in wanted
    mapped = Choice(is_mapped=True, attributes=wanted) if can_map else Choice()
    shapes = {site.get_shape(value) for _, value in tensors}
    if asked[0] == "item" and any(site.count_elements(value) != 1 for _, value in tensors):
        mapped = Choice()
    if can_map and asked[0] in _REDUCING and is_exactly(container, list, tuple) and len(shapes) == 1 and use != "many":
        return Choice(is_stacked=site.is_of("torch", tensors[0][1]))
    if can_map and cls is list and shapes == {"[]"} and len(tensors) > 1 and use == "one":
        return Choice(is_stacked=site.is_of("torch", tensors[0][1]))  # the numbers of a history
    if use == "many":
        return mapped
    is_moved = MOVING.issuperset(asked) and type(container) is not list
    if is_moved and can_map and use == "" and len(tensors) > 1:
        return mapped
    one = _choose_one(container, elements, tensors, asked, use, hint)
    return one if one.step or use == "one" else mapped


def choose_iterated(container: Any, elements: list[tuple[str, Any]], names: set[str]) -> Choice:
    """Return what is meant by an object that is treated as a tensor, whose result is gone through item by item.

    Args:
        names: of the variable that the line assigns, and of its items.
    """
    cls = type(container)
    tensors = [step for step, value in elements if site.is_tensor(value)]
    if get_class_module(cls) == "torch.return_types":
        is_place = ".indices" in tensors and any(map(_PLACES.search, names))
        return Choice(".indices" if is_place else "")
    return Choice(tensors[0]) if len(tensors) == 1 and not is_exactly(container, *_LOOPED) else Choice()


def _choose_one(
    container: Any,
    elements: list[tuple[str, Any]],
    tensors: list[tuple[str, Any]],
    asked: list[str],
    use: Use,
    hint: str,
) -> Choice:
    cls = type(container)
    if "backward" in asked or "item" in asked:
        scalars = [step for step, value in tensors if site.count_elements(value) == 1]
        loss = [step for step in scalars if "loss" in step]
        found = loss[0] if len(loss) == 1 else scalars[0] if len(scalars) == 1 else ""
        if found or "backward" in asked:
            return Choice(found) if cls is not list or len(elements) > 1 else Choice()
    if get_class_module(cls) == "torch.return_types":
        is_single = "item" not in asked or all(site.count_elements(value) == 1 for _, value in tensors)
        return _choose_result(elements, hint) if is_single else Choice()
    if len(tensors) == 1 and (len(elements) > 1 or cls is not list or use == "one"):
        return Choice(tensors[0][0])
    by_name = {step.strip(".[]'\""): step for step, _ in tensors}
    known = by_name.get(hint) or next((by_name[name] for name in _KNOWN if name in by_name), "")
    if known or cls is not tuple:
        return Choice(known)
    large = [(step, value) for step, value in tensors if len(getattr(value, "shape", ())) > 0]
    is_clear = len({site.get_shape(value) for _, value in tensors}) > 1 and large
    return Choice(large[0][0]) if is_clear and asked[0] not in ("shape", "size") else Choice()


def _choose_result(elements: list[tuple[str, Any]], hint: str) -> Choice:
    """Return which member of what `torch.max` and others give is meant, as the name of the variable says."""
    steps = [step for step, _ in elements]
    if ".values" not in steps or ".indices" not in steps:
        return Choice(steps[0])
    return Choice(".indices") if _PLACES.search(hint) else Choice(".values", ".indices")


def write_mapped(
    line: ErrorSite, holder: ast.expr, container: Any, tensors: list[Any], chain: list[tuple[str, ast.expr]]
) -> str | None:
    """Return the code that asks every element of a container for what the line asks the container."""
    steps = "".join(_write_step(line, attribute, node) for attribute, node in chain)
    if re.search(r"\bt\b", steps):
        return put_in_loop(line.find_text(holder), _make_alike(container), f"x{steps}", "x")
    element = f"t{steps}"
    names = [attribute for attribute, _ in chain]
    if names and names[-1] == "numpy" and {*names[:-1]} <= {"detach", "cpu", "data", "clone"}:
        element = _convert_each(tensors, element, set(names))
    return put_in_loop(line.find_text(holder), _make_alike(container), element, "t")


def _make_alike(container: Any) -> Any:
    """Return a container whose loop is written as that of `container`."""
    return {} if issubclass(type(container), dict) else container


def _write_step(line: ErrorSite, attribute: str, node: ast.expr) -> str:
    if not isinstance(node, ast.Call):
        return f".{attribute}"
    keywords = [
        f"{k.arg}={line.find_text(k.value)}" if k.arg else f"**{line.find_text(k.value)}" for k in node.keywords
    ]
    return f".{attribute}({', '.join([*map(line.find_text, node.args), *keywords])})"


def _convert_each(tensors: list[Any], element: str, names: set[str]) -> str:
    """Return what converts each of some tensors: what the line says, where that works for all of them."""
    plans = [plan for t in tensors if (plan := make_plan(t, Door.ARRAY)) is not None]
    kinds = {problem.kind for plan in plans for problem in plan.problems}
    cured = {Kind.GRAD: {"detach", "data"}, Kind.DEVICE: {"cpu"}}
    if all(names & cured.get(kind, set()) for kind in kinds):
        return element
    fixes = {plan.render("t") for plan in plans}
    return (fixes.pop() if len(fixes) == 1 else None) or "safe_numpy.to_numpy(t)"


def find_first(line: ErrorSite, node: ast.expr) -> tuple[str, Any] | None:
    """Return the name of a tensor that an expression is or holds, and the tensor."""
    value = line.find_value(node)
    if site.is_tensor(value):
        return line.find_text(node), value
    for tensor in _list_held(value):
        path = find_inside(value, tensor)
        if path is not None:
            return f"{put_in_parentheses(line.find_text(node))}{path}", tensor
    return None


def _list_held(value: Any, depth: int = 3) -> list[Any]:
    """Return the tensors that a container holds, or an object as its members."""
    found = []
    for _, inner in list_elements(value):
        if site.is_tensor(inner):
            found.append(inner)
        elif depth and is_exactly(inner, list, tuple, dict):
            found += _list_held(inner, depth - 1)
    return found


def is_torchs(x: Any) -> bool:
    """Tell whether `x` is a tensor of PyTorch's."""
    return site.is_of("torch", x)


def open_lists(nodes: list[ast.expr]) -> list[ast.expr]:
    """Return expressions, of list displays what is in them."""
    return [e for n in nodes for e in (n.elts if isinstance(n, (ast.List, ast.Tuple)) else [n])]


def explain_list(line: ErrorSite, node: ast.Call, name: str, said: str) -> Finding | None:
    """Explain a list that is given where one tensor is wanted."""
    if not node.args or (name in _OF_LISTS and not _holds_arrays(line.find_value(node.args[0]))):
        return None
    value, text, called = line.find_value(node.args[0]), line.find_text(node.args[0]), line.find_text(node.func)
    items = list(value) if is_exactly(value, list, tuple) else []
    items = items or [line.find_value(n) for n in open_lists(node.args[:1])]
    if _holds_arrays(items):
        new = f"[torch.from_numpy(a) for a in {text}]" if name in _OF_LISTS else f"torch.from_numpy(np.array({text}))"
        return Finding(f"`{text}` is a list of arrays, and `{called}` takes tensors.", line.fix({node.args[0]: new}))
    if "must be Tensor" in said and type(value).__name__ in said and type(value) is not list:
        return _explain_container_argument(line, node.args[0], value, called)
    if type(value) is not list and not isinstance(node.args[0], ast.List):
        return None
    if not items or not all(map(is_torchs, items)):
        return None
    is_same = len(set(map(site.get_shape, items))) == 1 and name in SAME_IN_TORCH
    note = f"`torch.stack({text})` is one tensor, if they have one shape; `torch.cat` joins them"
    fix = line.fix({node.args[0]: f"torch.stack({text})"}) if is_same else None
    headline = f"`{text}` is a list of tensors, and `{called}` takes one tensor."
    return Finding(headline, fix, "" if fix else note)


def _explain_container_argument(line: ErrorSite, argument: ast.expr, value: Any, called: str) -> Finding | None:
    """Explain a dict or a tuple that is given where one tensor is wanted."""
    name, elements = put_in_parentheses(line.find_text(argument)), list_elements(value)
    tensors = [(step, v) for step, v in elements if site.is_tensor(v)]
    if not tensors:
        return None
    headline = f"`{name}` is a {name_type(value)} that holds tensors, and `{called}` takes one tensor."
    chosen = choose_element(value, elements, ["numpy"], "one", "")
    if chosen.step:
        return Finding(headline, line.fix({argument: f"{name}{chosen.step}"}))
    named = [f"`{name}{step}`, {site.describe_tensor(v)}" for step, v in tensors[:4]]
    return Finding(headline, note=f"it holds {join_names(named)}: take the one that is meant")


def _holds_arrays(value: Any) -> bool:
    return is_exactly(value, list, tuple) and bool(value) and all(map(site.is_array, value))
