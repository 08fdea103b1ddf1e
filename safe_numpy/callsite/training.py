"""The line of a computation that is learnt from, corrected so that tensors stay tensors and gradients flow."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from safe_numpy.callsite.evaluator import Evaluator, get_home
from safe_numpy.callsite.frames import is_exactly
from safe_numpy.callsite.source import RunningCode
from safe_numpy.callsite.syntax import makes_tensor
from safe_numpy.diagnosis.causes import put_in_parentheses
from safe_numpy.diagnosis.framework import Twins, find_framework

_NUMBERS = (bool, int, float)
_PATHS = (ast.Name, ast.Attribute, ast.Subscript)


@dataclass(frozen=True, slots=True)
class TensorKeeper:
    """Rewrites an expression with the functions that the framework has too."""

    running: RunningCode
    evaluator: Evaluator
    twins: Twins
    failed: frozenset[ast.AST]
    """expressions that are the tensor which failed, or hold it"""
    dtype: str
    """of that tensor"""
    is_on_host: bool
    asked: ast.expr | None = None
    """the whole of ``x.numpy()``, where the line asks the tensor itself"""

    def find(self, operation: ast.expr) -> dict[ast.expr, str]:
        """Return what to write, by the expression that it replaces; empty where the framework has no such code."""
        outermost: Any = operation
        around: list[ast.AST] = []
        while isinstance(outermost.parent, ast.expr) and not isinstance(outermost.parent, (ast.Lambda, ast.Await)):
            outermost = outermost.parent
            around.append(outermost)
        # what is asked for an array may stay a tensor only if one is made of the array in the same line
        can_keep = any(map(self._makes_of_tensor, around)) if self.asked is not None else self._can_keep(operation)
        return self._rewrite(outermost) if can_keep else {}

    def _makes_of_tensor(self, node: ast.AST) -> bool:
        """Tell whether a call makes a tensor of what stays one: it is left out."""
        is_plain = isinstance(node, ast.Call) and len(node.args) == 1 and not node.keywords
        return is_plain and self._is_maker(node) and self._is_tensor(node.args[0])  # type: ignore[attr-defined]

    def _can_keep(self, node: ast.expr) -> bool:
        """Tell whether the framework can do what the failing operation does."""
        if isinstance(node, ast.BinOp):
            return True
        return isinstance(node, ast.Call) and self._find_twin(node) is not None and self._write_call(node) is not None

    def _rewrite(self, node: ast.AST) -> dict[ast.expr, str]:
        """Return what to write in an expression, the outermost replacements alone."""
        if isinstance(node, ast.Call) and self._find_twin(node) is not None and self._is_tensor(node):
            text = self._write_call(node)
            if text is not None:
                return {node: text}
        if isinstance(node, ast.Call) and node is self.asked and isinstance(node.func, ast.Attribute):
            return {node: put_in_parentheses(self._write(node.func.value))}
        is_making = isinstance(node, ast.Call) and self._is_maker(node) and len(node.args) == 1 and not node.keywords
        if isinstance(node, ast.Call) and is_making and self._is_tensor(node.args[0]):
            return {node: self._write(node.args[0])}
        found: dict[ast.expr, str] = {}
        if isinstance(node, ast.BinOp) and self._is_tensor(node):
            for side, other in ((node.left, node.right), (node.right, node.left)):
                text = self._write_array(side, other)
                if text is not None:
                    found[side] = text
        for child in ast.iter_child_nodes(node):
            if child not in found:
                found |= self._rewrite(child)
        return found

    def _is_maker(self, node: ast.AST) -> bool:
        """Tell whether a call makes a tensor of an array."""
        if not isinstance(node, ast.Call) or not self.evaluator.is_framework_function(node.func):
            return False
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        return makes_tensor(name)

    def _find_twin(self, node: ast.Call) -> str | None:
        return self.twins.functions.get(self._read_path(node.func, "numpy"))

    def _read_path(self, function: ast.expr, package: str) -> str:
        """Return the name of a function in its package, as ``linalg.norm``; nothing if it is of another."""
        root, names = function, list[str]()
        while isinstance(root, ast.Attribute):
            names.insert(0, root.attr)
            root = root.value
        if get_home(self.evaluator.find(function)) != package:
            return ""
        return ".".join(names) if isinstance(self.evaluator.find(root), ModuleType) else getattr(root, "id", "")

    def _is_tensor(self, node: ast.expr) -> bool:
        """Tell whether an expression is a tensor, or will be one when what is in it stays one."""
        if node in self.failed or self.evaluator.guess(node) is not None:
            return True
        if self.evaluator.knows(node):
            return False
        if isinstance(node, ast.BinOp):
            return self._is_tensor(node.left) or self._is_tensor(node.right)
        if isinstance(node, ast.Call) and self._find_twin(node) is not None:
            return any(self._is_tensor(a) or self._holds_tensors(a) for a in node.args)
        if isinstance(node, (ast.UnaryOp, ast.Subscript)):
            return self._is_tensor(node.operand if isinstance(node, ast.UnaryOp) else node.value)
        return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and self._is_tensor(node.func.value)

    def _holds_tensors(self, node: ast.expr) -> bool:
        if isinstance(node, (ast.List, ast.Tuple)):
            return bool(node.elts) and all(map(self._is_tensor, node.elts))
        if isinstance(node, (ast.ListComp, ast.GeneratorExp)):
            return node in self.failed or node.elt in self.failed
        value = self.evaluator.find(node)
        return is_exactly(value, list, tuple) and len(value) > 0 and all(find_framework(v) is not None for v in value)

    def _write_call(self, node: ast.Call) -> str | None:
        """Return a call of NumPy's function as one of the framework's; None where that is not certain."""
        twin = self._find_twin(node)
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        keywords = [(self.twins.keywords.get(k.arg or ""), self._write(k.value)) for k in node.keywords]
        if twin is None or not node.args or any(key is None for key, _ in keywords):
            return None
        first, *others = node.args
        bound = self.twins.bounds.get(name)
        if bound is not None and len(node.args) == 2:
            for x, number in ((first, others[0]), (others[0], first)):
                if is_exactly(self.evaluator.find(number), *_NUMBERS):
                    return bound.format(x=self._write(x), bound=self._write(number))
        is_clear = self.evaluator.guess(first) is not None or self._holds_tensors(first) or self.evaluator.knows(first)
        if not is_clear and not self._is_tensor(first):
            return None
        if not is_clear and first in self.failed and self.asked is None:
            return None  # a tensor, or a list of some
        given = [self._write_operand(a, node) for a in node.args]
        if self._holds_tensors(first) and name not in self.twins.joining:
            stacked = self.twins.stack.format(x=self._write(first))
            if not twin:
                return stacked
            method = twin.removeprefix("torch.")
            rest = [*given[1:], *(f"{key}={text}" for key, text in keywords)]
            return f"{stacked}.{method}({', '.join(rest)})"
        if not twin:
            return given[0] if len(given) == 1 and not keywords else None
        return f"{twin}({', '.join([*given, *(f'{key}={text}' for key, text in keywords)])})"

    def _write_operand(self, node: ast.expr, call: ast.Call) -> str:
        tensors = [n for n in call.args if n is not node and self._is_tensor(n)]
        text = self._write_array(node, tensors[0]) if tensors else None
        return self._write(node) if text is None else text

    def _write_array(self, node: ast.expr, beside: ast.expr) -> str | None:
        """Return the code that makes a tensor of an array; None where it is none."""
        if self._is_tensor(node) or not self._is_tensor(beside):
            return None
        value = self.evaluator.find(node)
        cls = type(value)
        is_numpys = get_home(cls) == "numpy" and hasattr(cls, "__array__")
        is_call = value is None and isinstance(node, (ast.Call, ast.BinOp, ast.Subscript)) and self._is_arrays(node)
        if not is_numpys and not is_call:
            return None
        is_array = is_numpys and cls.__name__ == "ndarray"
        text = (self.twins.from_array if is_array else self.twins.from_any).format(x=self._write(node))
        is_fitting = is_numpys and (value.dtype.kind != "f" or value.dtype.name == self.dtype or not is_array)
        if is_fitting and self.is_on_host:
            return text
        names = [n for n in (beside, *self.failed) if isinstance(n, _PATHS)]
        like = self.running.find_text(names[0]) if names else put_in_parentheses(self._write(beside))
        return self.twins.like.format(x=text, y=like)

    def _is_arrays(self, node: ast.expr) -> bool:
        """Tell whether an expression that cannot be evaluated gives an array, by its form."""
        if self.evaluator.knows(node):
            return get_home(type(self.evaluator.find(node))) == "numpy"
        if isinstance(node, ast.BinOp):
            return self._is_arrays(node.left) or self._is_arrays(node.right)
        if isinstance(node, ast.Subscript):
            return self._is_arrays(node.value)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and self._is_arrays(node.func.value):
            return True
        return isinstance(node, ast.Call) and get_home(self.evaluator.find(node.func)) == "numpy"

    def _write(self, node: ast.expr) -> str:
        """Return the text of an expression with what is in it rewritten."""
        start, end = self.running.find_range(node)
        whole, text, position = self.running.source.text, "", start
        found = sorted((*self.running.find_range(n), new) for n, new in self._rewrite(node).items())
        for first, last, new in found:
            text += whole[position:first] + new
            position = last
        return text + whole[position:end]
