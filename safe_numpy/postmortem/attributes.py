"""Rules of `why` for an attribute that is not there: `numpy` of a list, parentheses that are missing."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from types import BuiltinMethodType, MethodType
from typing import Any

from safe_numpy.callsite.members import read_members
from safe_numpy.diagnosis import framework as frameworks
from safe_numpy.messages import phrases as _wording
from safe_numpy.postmortem.error_site import Finding, Rule, Scene, convert, describe, get_shape, is_tensor, is_torch

ASKED = frozenset({"numpy", "cpu", "detach", "item", "cuda", "to"})
"""attributes that tensors have, and other things are often taken to have"""

_CERTAIN = frozenset({"numpy", "cpu", "detach"})
"""those of them that nothing but a tensor is asked for"""

_NUMBERS = (bool, int, float, complex)


def find_method(error: BaseException, scene: Scene) -> Finding | None:
    """``plt.plot(x.numpy)``, ``x.detach.numpy()``: the parentheses are missing."""
    nodes, node = scene.get_operands(), scene.get_node()
    if isinstance(error, AttributeError):
        if not isinstance(node, ast.Attribute) or node.attr != error.name:
            return None
        nodes = [node.value]
    elif not isinstance(error, (TypeError, ValueError)):
        return None
    for operand in nodes:
        tensor = _get_tensor_of_method(scene.find_value(operand))
        if tensor is not None and isinstance(operand, ast.Attribute):
            text = scene.find_text(operand)
            call = convert(scene.find_text(operand.value), tensor) if operand.attr == "numpy" else f"{text}()"
            return Finding("method", {"name": text}, scene.fix({operand: call}))
    return None


def _get_tensor_of_method(x: Any) -> Any:
    """Return the tensor whose method `x` is, or None."""
    if type(x) not in (MethodType, BuiltinMethodType):
        return None
    return x.__self__ if is_tensor(x.__self__) else None


def find_attribute(error: BaseException, scene: Scene) -> Finding | None:
    """``outputs.numpy()``, where `outputs` is no tensor; ``x.astype(...)``, where `x` is one."""
    if not isinstance(error, AttributeError) or not isinstance(error.name, str):
        return None
    obj, node = error.obj, scene.get_node()
    holder = node.value if isinstance(node, ast.Attribute) and node.attr == error.name else None
    name = scene.find_text(holder) if holder is not None else scene.find_object(obj)
    if not name:
        return None
    if isinstance(holder, (ast.Name, ast.Attribute, ast.Subscript)) and scene.find_value(holder, obj) is not obj:
        return None  # a list display, for one, is a new list each time
    facts = {"name": name, "attribute": error.name, "type": _wording.name_type(obj)}
    if is_tensor(obj):
        return _explain_tensor(scene, facts, obj, holder)
    if error.name not in ASKED:
        return None
    explain = next(explain for is_kind, explain in _KINDS if is_kind(obj))
    return explain(scene, facts, obj, holder)


def _explain_tensor(scene: Scene, facts: dict[str, str], x: Any, holder: ast.expr | None) -> Finding | None:
    numpy = sys.modules.get("numpy")
    facts["what"] = describe(x)
    if facts["attribute"] == "__array_interface__":
        return Finding("wants_array", facts, scene.fix_tensors(), "pillow")
    if numpy is None or facts["attribute"] not in vars(numpy.ndarray) or holder is None:
        return None
    return Finding("array_method", facts, scene.fix({holder: convert(facts["name"], x)}))


def _replace_call(scene: Scene, text: str) -> str | None:
    """Return the line with the whole of ``outputs.numpy(...)`` replaced."""
    node = scene.get_node()
    if not isinstance(node, ast.Attribute):
        return None
    parent = node.parent  # type: ignore[attr-defined]
    return scene.fix({parent if isinstance(parent, ast.Call) and parent.func is node else node: text})


def _explain_none(scene: Scene, facts: dict[str, str], obj: Any, holder: ast.expr | None) -> Finding | None:
    if facts["attribute"] not in _CERTAIN:
        return None
    if isinstance(holder, ast.Attribute) and holder.attr == "grad" and is_tensor(scene.find_value(holder.value)):
        return Finding("no_grad", {**facts, "tensor": scene.find_text(holder.value)})
    return Finding("none", facts)


def _explain_class(scene: Scene, facts: dict[str, str], obj: Any, holder: ast.expr | None) -> Finding | None:
    is_known = frameworks.is_tensor_class(obj) or any(c.__module__.startswith("torch.nn") for c in type.mro(obj))
    return Finding("class", facts) if is_known else None


def _is_value(obj: Any) -> bool:
    numpy = sys.modules.get("numpy")
    return type(obj) in _NUMBERS or (numpy is not None and issubclass(type(obj), (numpy.ndarray, numpy.generic)))


def _explain_value(scene: Scene, facts: dict[str, str], obj: Any, holder: ast.expr | None) -> Finding:
    return Finding("array", facts, _replace_call(scene, facts["name"]) if holder is not None else None)


def _explain_container(scene: Scene, facts: dict[str, str], obj: Any, holder: ast.expr | None) -> Finding | None:
    values = list(obj.values() if type(obj) is dict else obj)
    tensors = [v for v in values if is_tensor(v)]
    if not tensors:
        return None
    facts["count"] = f"{len(tensors)} tensor{'s' if len(tensors) > 1 else ''}"
    name, fix = facts["name"], None
    if len(tensors) == len(values) and facts["attribute"] in _CERTAIN:
        element = _convert_element(tensors, facts["attribute"])
        loop = f"{{k: {element} for k, t in {name}.items()}}" if type(obj) is dict else f"[{element} for t in {name}]"
        fix = _replace_call(scene, loop)
    is_stackable = type(obj) is not dict and is_torch(tensors[0]) and len(set(map(get_shape, tensors))) == 1
    return Finding("container", facts, fix, "stack" if is_stackable else "")


def _convert_element(tensors: list[Any], attribute: str) -> str:
    if attribute != "numpy":
        return f"t.{attribute}()"
    fixes = {convert("t", t) for t in tensors}
    return (fixes.pop() if len(fixes) == 1 else None) or "safe_numpy.to_numpy(t)"


def _is_dataset(obj: Any) -> bool:
    names = {(c.__module__.partition(".")[0], c.__name__) for c in type.mro(type(obj))}
    return bool(names & {("torch", "Dataset"), ("torch", "DataLoader"), ("tensorflow", "DatasetV2")})


def _explain_dataset(scene: Scene, facts: dict[str, str], obj: Any, holder: ast.expr | None) -> Finding:
    is_tensorflow = type(obj).__module__.startswith("tensorflow")
    return Finding(
        "dataset", facts, _replace_call(scene, f"list({facts['name']}.as_numpy_iterator())") if is_tensorflow else None
    )


def _explain_members(scene: Scene, facts: dict[str, str], obj: Any, holder: ast.expr | None) -> Finding | None:
    members = [m for m, v in list(read_members(obj).items())[:100] if type(m) is str and is_tensor(v)]
    if not members:
        return None
    facts["members"] = ", ".join(f"`{facts['name']}.{m}`" for m in members[:4])
    call = f"{facts['name']}.{members[0]}.{facts['attribute']}()"
    is_clear = len(members) == 1 and facts["attribute"] in _CERTAIN
    return Finding("members", facts, _replace_call(scene, call) if is_clear else None)


_KINDS: tuple[tuple[Callable[[Any], bool], Callable[..., Finding | None]], ...] = (
    (lambda obj: obj is None, _explain_none),
    (lambda obj: issubclass(type(obj), type), _explain_class),
    (_is_value, _explain_value),
    (lambda obj: type(obj) in (list, tuple, dict), _explain_container),
    (_is_dataset, _explain_dataset),
    (lambda obj: True, _explain_members),
)

RULES: tuple[Rule, ...] = (find_method, find_attribute)
