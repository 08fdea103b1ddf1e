"""Rules of `why` for operations on tensors and arrays that fail before any tensor is asked for its array."""

from __future__ import annotations

import ast
import sys
from typing import Any

from safe_numpy.diagnosis import framework as frameworks
from safe_numpy.postmortem.attributes import ASKED
from safe_numpy.postmortem.error_site import Finding, Rule, Scene, convert, describe, get_shape, is_tensor, is_torch


def find_operator(error: BaseException, scene: Scene) -> Finding | None:
    """``array + tensor``: neither library takes the other's part."""
    node = scene.get_node()
    if not isinstance(error, TypeError) or not scene.is_direct:
        return None
    sides = _get_sides(node)
    tensors = [(n, v) for n in sides if is_tensor(v := scene.find_value(n))]
    others = [n for n in sides if all(n is not t for t, _ in tensors)]
    if len(tensors) != 1 or len(others) != 1:
        return None
    other = scene.find_value(others[0])
    # what cannot be evaluated is an array by the error's word, which the tensor beside it confirms
    is_said = "'numpy.ndarray'" in str(error) or str(error).startswith("Concatenation operation is not implemented")
    if not (_is_array(other) or (other is None and is_said)):
        return None
    tensor, x = tensors[0]
    text = scene.find_text(tensor)
    facts = {"array": scene.find_text(others[0]), "name": text, "what": describe(x)}
    return Finding("operator", facts, scene.fix({tensor: convert(text, x)}), "from_numpy" if is_torch(x) else "")


def _get_sides(node: ast.AST) -> list[ast.expr]:
    if isinstance(node, ast.BinOp):
        return [node.left, node.right]
    if isinstance(node, ast.AugAssign):
        return [node.target, node.value]
    return [node.left, *node.comparators] if isinstance(node, ast.Compare) else []


def _is_array(x: Any) -> bool:
    numpy = sys.modules.get("numpy")
    return numpy is not None and issubclass(type(x), numpy.ndarray)


def find_function(error: BaseException, scene: Scene) -> Finding | None:
    """``np.mean(tensor)``: NumPy calls the method of that name, which is torch's and takes other arguments."""
    node = scene.get_node()
    if not isinstance(error, TypeError) or not isinstance(node, ast.Call) or not node.args:
        return None
    function, x = scene.find_value(node.func), scene.find_value(node.args[0])
    if type(function).__module__.partition(".")[0] != "numpy" or scene.site.library not in ("", "numpy"):
        return None
    method = getattr(function, "__name__", "")
    if not is_tensor(x) or not method or not hasattr(type(x), method):
        return None
    facts = {"function": scene.find_text(node.func), "name": scene.find_text(node.args[0]), "method": method}
    return Finding("function", facts, scene.fix_tensors())


def find_constructor(error: BaseException, scene: Scene) -> Finding | None:
    """``torch.tensor([t, t])``, ``np.array([t, u])``: a list of tensors where numbers, or equal shapes, are wanted."""
    node = scene.get_node()
    if not isinstance(error, (ValueError, TypeError)) or not isinstance(node, ast.Call) or not node.args:
        return None
    elements = _find_elements(scene, node.args[0])
    if len(elements) < 2 or not all(map(is_tensor, elements)) or not scene.is_direct:
        return None
    shapes = list(dict.fromkeys(map(get_shape, elements)))
    facts = {"function": scene.find_text(node.func), "name": scene.find_text(node.args[0])}
    function = scene.find_value(node.func)
    home, name = getattr(function, "__module__", None), getattr(function, "__name__", "")
    if home == "torch" and name in ("tensor", "as_tensor", "asarray"):
        stack = f"{facts['function'].rpartition('.')[0] or 'torch'}.stack({facts['name']})"
        is_same = len(shapes) == 1 and len(node.args) == 1 and not node.keywords
        return Finding("constructor", facts, scene.fix({node: stack}) if is_same else None)
    if home == "numpy" and len(shapes) > 1 and name in ("array", "asarray", "asanyarray"):
        return Finding("ragged", {**facts, "shapes": " and ".join(shapes[:2])})
    return None


def _find_elements(scene: Scene, node: ast.expr) -> list[Any]:
    if isinstance(node, (ast.List, ast.Tuple)):
        return [scene.find_value(n) for n in node.elts]
    value = scene.find_value(node)
    return list(value) if type(value) in (list, tuple) else []


def find_opencv(error: BaseException, scene: Scene) -> Finding | None:
    """``cv2.GaussianBlur(tensor, …)``: OpenCV takes arrays only."""
    node, opencv = scene.get_node(), sys.modules.get("cv2")
    if opencv is None or not isinstance(node, ast.Call) or not scene.is_direct:
        return None
    if type(error).__module__ != "cv2" and not isinstance(error, TypeError):
        return None
    function = scene.find_value(node.func)
    is_module = isinstance(node.func, ast.Attribute) and scene.find_value(node.func.value) is opencv
    if not is_module and all(f is not function for f in list(vars(opencv).values())):
        return None
    tensors = list(scene.find_tensors())
    if not tensors:
        return None
    facts = {"name": scene.find_text(tensors[0][0]), "what": describe(tensors[0][1])}
    return Finding("wants_array", facts, scene.fix_tensors(), "opencv")


def find_unbound(error: BaseException, scene: Scene) -> Finding | None:
    """``torch.Tensor.numpy()``: asked of the class."""
    node = scene.get_node()
    if not isinstance(error, TypeError) or not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return None
    owner = scene.find_value(node.func.value)
    if node.func.attr not in ASKED or node.args or not issubclass(type(owner), type):
        return None
    if not frameworks.is_tensor_class(owner):
        return None
    return Finding("class", {"name": scene.find_text(node.func.value)})


RULES: tuple[Rule, ...] = (find_operator, find_constructor, find_function, find_opencv, find_unbound)
