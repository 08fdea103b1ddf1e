"""The rules of `why`: attributes that are not there, and operations that fail before any tensor is asked."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from types import BuiltinMethodType, MethodType
from typing import Any, NamedTuple

from safe_numpy.callsite.frames import read_members
from safe_numpy.diagnosis.framework import is_tensor_class
from safe_numpy.messages.units import count_noun, name_type
from safe_numpy.postmortem import error_site as site
from safe_numpy.postmortem.error_site import ErrorSite, Finding, Rule

_ASKED = frozenset({"numpy", "cpu", "detach", "item", "cuda", "to"})
"""attributes that tensors have, and other things are often taken to have"""

_CERTAIN = frozenset({"numpy", "cpu", "detach"})
"""those of them that nothing but a tensor is asked for"""

_NUMBERS = (bool, int, float, complex)


class _Missing(NamedTuple):
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

    def replace_call(self, text: str) -> str | None:
        """Return the line with the whole of ``outputs.numpy(...)`` replaced."""
        node = self.line.get_node()
        if not isinstance(node, ast.Attribute):
            return None
        parent = node.parent  # type: ignore[attr-defined]
        return self.line.fix({parent if isinstance(parent, ast.Call) and parent.func is node else node: text})


def find_method(error: BaseException, line: ErrorSite) -> Finding | None:
    """``plt.plot(x.numpy)``, ``x.detach.numpy()``: the parentheses are missing."""
    nodes, node = line.get_operands(), line.get_node()
    if isinstance(error, AttributeError):
        if not isinstance(node, ast.Attribute) or node.attr != error.name:
            return None
        nodes = [node.value]
    elif not isinstance(error, (TypeError, ValueError)):
        return None
    for operand in nodes:
        method = line.find_value(operand)
        tensor = method.__self__ if type(method) in (MethodType, BuiltinMethodType) else None
        if site.is_tensor(tensor) and isinstance(operand, ast.Attribute):
            text = line.find_text(operand)
            is_numpy = operand.attr == "numpy"
            call = site.write_conversion(line.find_text(operand.value), tensor) if is_numpy else f"{text}()"
            return Finding(f"`{text}` is the method itself: its parentheses are missing.", line.fix({operand: call}))
    return None


def find_attribute(error: BaseException, line: ErrorSite) -> Finding | None:
    """``outputs.numpy()``, where `outputs` is no tensor; ``x.astype(...)``, where `x` is one."""
    if not isinstance(error, AttributeError) or not isinstance(error.name, str):
        return None
    obj, node = error.obj, line.get_node()
    holder = node.value if isinstance(node, ast.Attribute) and node.attr == error.name else None
    name = line.find_text(holder) if holder is not None else line.find_object(obj)
    if not name:
        return None
    if isinstance(holder, (ast.Name, ast.Attribute, ast.Subscript)) and line.find_value(holder, obj) is not obj:
        return None  # a list display, for one, is a new list each time
    missing = _Missing(line, name, error.name, obj, holder)
    if site.is_tensor(obj):
        return _explain_tensor(missing)
    if error.name not in _ASKED:
        return None
    return next(explain for is_kind, explain in _KINDS if is_kind(obj))(missing)


def _explain_tensor(missing: _Missing) -> Finding | None:
    numpy, name, attribute = sys.modules.get("numpy"), missing.name, missing.attribute
    if attribute == "__array_interface__":
        note = "Pillow wants height, width and channels in this order, in uint8"
        return site.say_array_wanted(name, missing.obj, missing.line, note)
    if numpy is None or attribute not in vars(numpy.ndarray) or missing.holder is None:
        return None
    headline = f"`{name}` is a tensor, and `{attribute}` is a method of arrays."
    fix = missing.line.fix({missing.holder: site.write_conversion(name, missing.obj)})
    return Finding(headline, fix, f"it is {site.describe_tensor(missing.obj)}")


def _explain_none(missing: _Missing) -> Finding | None:
    name, holder = missing.name, missing.holder
    if missing.attribute not in _CERTAIN:
        return None
    owner = holder.value if isinstance(holder, ast.Attribute) and holder.attr == "grad" else None
    if owner is not None and site.is_tensor(missing.line.find_value(owner)):
        tensor = missing.line.find_text(owner)
        return Finding(
            f"`{name}` is None: `{tensor}` has no gradient.",
            note=f"backward() has not reached it: it was not called, `{tensor}` is no leaf (see retain_grad), does not "
            "require grad, or its path was cut",
        )
    note = "the function that gave it may lack a `return`, or changes something in place"
    return Finding(f"`{name}` is None, not a tensor.", note=note)


def _explain_class(missing: _Missing) -> Finding | None:
    mro = type.mro(missing.obj)
    is_known = is_tensor_class(missing.obj) or any(c.__module__.startswith("torch.nn") for c in mro)
    return site.say_class(missing.name) if is_known else None


def _is_value(obj: Any) -> bool:
    numpy = sys.modules.get("numpy")
    return type(obj) in _NUMBERS or (numpy is not None and issubclass(type(obj), (numpy.ndarray, numpy.generic)))


def _explain_value(missing: _Missing) -> Finding:
    kind = name_type(missing.obj)
    headline = (
        f"`{missing.name}` needs no {missing.attribute}(): it is in host memory, and no tensor any more ({kind})."
    )
    return Finding(headline, missing.replace_call(missing.name) if missing.holder is not None else None)


def _explain_container(missing: _Missing) -> Finding | None:
    obj, name = missing.obj, missing.name
    values = list(obj.values() if type(obj) is dict else obj)
    tensors = [v for v in values if site.is_tensor(v)]
    if not tensors:
        return None
    fix = None
    if len(tensors) == len(values) and missing.attribute in _CERTAIN:
        element = _convert_element(tensors, missing.attribute)
        loop = f"{{k: {element} for k, t in {name}.items()}}" if type(obj) is dict else f"[{element} for t in {name}]"
        fix = missing.replace_call(loop)
    is_stackable = type(obj) is not dict and site.is_torch(tensors[0]) and len(set(map(site.get_shape, tensors))) == 1
    note = f"they have one shape: `torch.stack({name})` is one tensor" if is_stackable else ""
    return Finding(f"{missing.head} of {count_noun(len(tensors), 'tensor')}.", fix, note)


def _convert_element(tensors: list[Any], attribute: str) -> str:
    if attribute != "numpy":
        return f"t.{attribute}()"
    fixes = {site.write_conversion("t", t) for t in tensors}
    return (fixes.pop() if len(fixes) == 1 else None) or "safe_numpy.to_numpy(t)"


def _is_dataset(obj: Any) -> bool:
    names = {(c.__module__.partition(".")[0], c.__name__) for c in type.mro(type(obj))}
    return bool(names & {("torch", "Dataset"), ("torch", "DataLoader"), ("tensorflow", "DatasetV2")})


def _explain_dataset(missing: _Missing) -> Finding:
    loop = f"list({missing.name}.as_numpy_iterator())"
    fix = missing.replace_call(loop) if type(missing.obj).__module__.startswith("tensorflow") else None
    return Finding(f"{missing.head}, which gives tensors when it is iterated.", fix)


def _explain_members(missing: _Missing) -> Finding | None:
    name, attribute = missing.name, missing.attribute
    members = [m for m, v in list(read_members(missing.obj).items())[:100] if type(m) is str and site.is_tensor(v)]
    if not members:
        return None
    is_clear = len(members) == 1 and attribute in _CERTAIN
    fix = missing.replace_call(f"{name}.{members[0]}.{attribute}()") if is_clear else None
    shown = ", ".join(f"`{name}.{m}`" for m in members[:4])
    return Finding(f"{missing.head}, which holds tensors.", fix, f"they are {shown}")


_KINDS: tuple[tuple[Callable[[Any], bool], Callable[[_Missing], Finding | None]], ...] = (
    (lambda obj: obj is None, _explain_none),
    (lambda obj: issubclass(type(obj), type), _explain_class),
    (_is_value, _explain_value),
    (lambda obj: type(obj) in (list, tuple, dict), _explain_container),
    (_is_dataset, _explain_dataset),
    (lambda obj: True, _explain_members),
)


def find_operator(error: BaseException, line: ErrorSite) -> Finding | None:
    """``array + tensor``: neither library takes the other's part."""
    node = line.get_node()
    if not isinstance(error, TypeError) or not line.is_direct:
        return None
    sides = _get_sides(node)
    tensors = [(n, v) for n in sides if site.is_tensor(v := line.find_value(n))]
    others = [n for n in sides if all(n is not t for t, _ in tensors)]
    if len(tensors) != 1 or len(others) != 1:
        return None
    other = line.find_value(others[0])
    # what cannot be evaluated is an array by the error's word, which the tensor beside it confirms
    is_said = "'numpy.ndarray'" in str(error) or str(error).startswith("Concatenation operation is not implemented")
    numpy = sys.modules.get("numpy")
    is_array = numpy is not None and issubclass(type(other), numpy.ndarray)
    if not (is_array or (other is None and is_said)):
        return None
    tensor, x = tensors[0]
    text, array = line.find_text(tensor), line.find_text(others[0])
    return Finding(
        f"`{array}` is an array and `{text}` a tensor: NumPy and the tensor's framework do not compute together.",
        line.fix({tensor: site.write_conversion(text, x)}),
        f"`{text}` is {site.describe_tensor(x)}",
        f"to stay with tensors, convert the array instead: `torch.from_numpy({array})`" if site.is_torch(x) else "",
    )


def _get_sides(node: ast.AST) -> list[ast.expr]:
    if isinstance(node, ast.BinOp):
        return [node.left, node.right]
    if isinstance(node, ast.AugAssign):
        return [node.target, node.value]
    return [node.left, *node.comparators] if isinstance(node, ast.Compare) else []


def find_numpy_function(error: BaseException, line: ErrorSite) -> Finding | None:
    """``np.mean(tensor)``: NumPy calls the method of that name, which is torch's and takes other arguments."""
    node = line.get_node()
    if not isinstance(error, TypeError) or not isinstance(node, ast.Call) or not node.args:
        return None
    function, x = line.find_value(node.func), line.find_value(node.args[0])
    if type(function).__module__.partition(".")[0] != "numpy" or line.site.library not in ("", "numpy"):
        return None
    method = getattr(function, "__name__", "")
    if not site.is_tensor(x) or not method or not hasattr(type(x), method):
        return None
    name, called = line.find_text(node.args[0]), line.find_text(node.func)
    headline = (
        f"`{name}` is a tensor, whose own `{method}` is called by `{called}`, with arguments that only NumPy's takes."
    )
    return Finding(headline, line.fix_tensors())


def find_constructor(error: BaseException, line: ErrorSite) -> Finding | None:
    """``torch.tensor([t, t])``, ``np.array([t, u])``: a list of tensors where numbers, or equal shapes, are wanted."""
    node = line.get_node()
    if not isinstance(error, (ValueError, TypeError)) or not isinstance(node, ast.Call) or not node.args:
        return None
    elements = _find_elements(line, node.args[0])
    if len(elements) < 2 or not all(map(site.is_tensor, elements)) or not line.is_direct:
        return None
    shapes = list(dict.fromkeys(map(site.get_shape, elements)))
    function, called, name = line.find_value(node.func), line.find_text(node.func), line.find_text(node.args[0])
    home, constructor = getattr(function, "__module__", None), getattr(function, "__name__", "")
    if home == "torch" and constructor in ("tensor", "as_tensor", "asarray"):
        stack = f"{called.rpartition('.')[0] or 'torch'}.stack({name})"
        is_same = len(shapes) == 1 and len(node.args) == 1 and not node.keywords
        headline = f"`{called}` builds a tensor of numbers, and `{name}` is a list of tensors."
        return Finding(headline, line.fix({node: stack}) if is_same else None)
    if home == "numpy" and len(shapes) > 1 and constructor in ("array", "asarray", "asanyarray"):
        note = "pad them (torch.nn.utils.rnn.pad_sequence), or keep a list: `[t.numpy() for t in ...]`"
        return Finding(
            f"`{name}` is a list of tensors of shapes {' and '.join(shapes[:2])}: no array has both.", note=note
        )
    return None


def _find_elements(line: ErrorSite, node: ast.expr) -> list[Any]:
    if isinstance(node, (ast.List, ast.Tuple)):
        return [line.find_value(n) for n in node.elts]
    value = line.find_value(node)
    return list(value) if type(value) in (list, tuple) else []


def find_opencv(error: BaseException, line: ErrorSite) -> Finding | None:
    """``cv2.GaussianBlur(tensor, …)``: OpenCV takes arrays only."""
    node, opencv = line.get_node(), sys.modules.get("cv2")
    if opencv is None or not isinstance(node, ast.Call) or not line.is_direct:
        return None
    if type(error).__module__ != "cv2" and not isinstance(error, TypeError):
        return None
    function = line.find_value(node.func)
    is_module = isinstance(node.func, ast.Attribute) and line.find_value(node.func.value) is opencv
    if not is_module and all(f is not function for f in list(vars(opencv).values())):
        return None
    tensors = list(line.find_tensors())
    if not tensors:
        return None
    return site.say_array_wanted(
        line.find_text(tensors[0][0]), tensors[0][1], line, "OpenCV wants height, width and channels in this order"
    )


def find_unbound(error: BaseException, line: ErrorSite) -> Finding | None:
    """``torch.Tensor.numpy()``: asked of the class."""
    node = line.get_node()
    if not isinstance(error, TypeError) or not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return None
    owner = line.find_value(node.func.value)
    if node.func.attr not in _ASKED or node.args or not issubclass(type(owner), type) or not is_tensor_class(owner):
        return None
    return site.say_class(line.find_text(node.func.value))


RULES: tuple[Rule, ...] = (
    *(find_method, find_attribute, find_operator),
    *(find_constructor, find_numpy_function, find_opencv, find_unbound),
)
