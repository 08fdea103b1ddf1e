"""Rules of `why` for operations on tensors and arrays that fail before any tensor is asked for its array."""

from __future__ import annotations

import ast
import sys
from typing import Any

from safe_numpy.diagnosis.framework import is_tensor_class
from safe_numpy.postmortem.attributes import ASKED
from safe_numpy.postmortem.error_site import (
    ErrorSite,
    Finding,
    Rule,
    describe_tensor,
    get_shape,
    is_tensor,
    is_torch,
    say_array_wanted,
    say_class,
    write_conversion,
)


def find_operator(error: BaseException, line: ErrorSite) -> Finding | None:
    """``array + tensor``: neither library takes the other's part."""
    node = line.get_node()
    if not isinstance(error, TypeError) or not line.is_direct:
        return None
    sides = _get_sides(node)
    tensors = [(n, v) for n in sides if is_tensor(v := line.find_value(n))]
    others = [n for n in sides if all(n is not t for t, _ in tensors)]
    if len(tensors) != 1 or len(others) != 1:
        return None
    other = line.find_value(others[0])
    # what cannot be evaluated is an array by the error's word, which the tensor beside it confirms
    is_said = "'numpy.ndarray'" in str(error) or str(error).startswith("Concatenation operation is not implemented")
    if not (_is_array(other) or (other is None and is_said)):
        return None
    tensor, x = tensors[0]
    text, array = line.find_text(tensor), line.find_text(others[0])
    return Finding(
        f"`{array}` is an array and `{text}` a tensor: NumPy and the tensor's framework do not compute together.",
        line.fix({tensor: write_conversion(text, x)}),
        f"`{text}` is {describe_tensor(x)}",
        f"to stay with tensors, convert the array instead: `torch.from_numpy({array})`" if is_torch(x) else "",
    )


def _get_sides(node: ast.AST) -> list[ast.expr]:
    if isinstance(node, ast.BinOp):
        return [node.left, node.right]
    if isinstance(node, ast.AugAssign):
        return [node.target, node.value]
    return [node.left, *node.comparators] if isinstance(node, ast.Compare) else []


def _is_array(x: Any) -> bool:
    numpy = sys.modules.get("numpy")
    return numpy is not None and issubclass(type(x), numpy.ndarray)


def find_function(error: BaseException, line: ErrorSite) -> Finding | None:
    """``np.mean(tensor)``: NumPy calls the method of that name, which is torch's and takes other arguments."""
    node = line.get_node()
    if not isinstance(error, TypeError) or not isinstance(node, ast.Call) or not node.args:
        return None
    function, x = line.find_value(node.func), line.find_value(node.args[0])
    if type(function).__module__.partition(".")[0] != "numpy" or line.site.library not in ("", "numpy"):
        return None
    method = getattr(function, "__name__", "")
    if not is_tensor(x) or not method or not hasattr(type(x), method):
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
    if len(elements) < 2 or not all(map(is_tensor, elements)) or not line.is_direct:
        return None
    shapes = list(dict.fromkeys(map(get_shape, elements)))
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
    return say_array_wanted(
        line.find_text(tensors[0][0]), tensors[0][1], line, "OpenCV wants height, width and channels in this order"
    )


def find_unbound(error: BaseException, line: ErrorSite) -> Finding | None:
    """``torch.Tensor.numpy()``: asked of the class."""
    node = line.get_node()
    if not isinstance(error, TypeError) or not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return None
    owner = line.find_value(node.func.value)
    if node.func.attr not in ASKED or node.args or not issubclass(type(owner), type) or not is_tensor_class(owner):
        return None
    return say_class(line.find_text(node.func.value))


RULES: tuple[Rule, ...] = (find_operator, find_constructor, find_function, find_opencv, find_unbound)
