"""A line that is traced, before there are values: corrected so that it computes, prints or calls Python when there are.

Traced code runs once, and what it does with tensors is done again at every run; see
https://www.tensorflow.org/guide/function.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from safe_numpy.callsite.evaluator import get_home
from safe_numpy.callsite.expression import METHODS, find_receiver, walk_scope
from safe_numpy.callsite.fix import correct
from safe_numpy.callsite.frames import is_foreign
from safe_numpy.callsite.printed import open_format
from safe_numpy.callsite.source import COMPREHENSIONS
from safe_numpy.callsite.syntax import KEEPERS
from safe_numpy.callsite.training import TensorKeeper
from safe_numpy.diagnosis.causes import put_in_parentheses
from safe_numpy.diagnosis.facts import NOTHING_READ, Reading
from safe_numpy.diagnosis.framework import Template, find_framework
from safe_numpy.diagnosis.registry import FRAMEWORKS
from safe_numpy.messages import phrases

_PATHS = (ast.Name, ast.Attribute, ast.Subscript)
_DISPLAYS = (ast.List, ast.Tuple, ast.Dict)
_HANDED_ON = (*_DISPLAYS, *COMPREHENSIONS, ast.comprehension, ast.keyword)
_COMPUTED = (ast.BinOp, ast.UnaryOp, ast.Subscript, ast.IfExp)
_OPERATORS: dict[type, str] = {ast.Add: "add", ast.Sub: "subtract", ast.Mult: "multiply", ast.Div: "divide"}
_DTYPES = frozenset({f"{kind}{n}" for kind in ("int", "uint", "float") for n in (8, 16, 32, 64)} | {"bool"})
_MAKERS = frozenset({"zeros", "ones", "full", "zeros_like", "ones_like", "full_like", "arange", "eye"})
"""functions that make an array of a shape, and may be told a dtype"""

_NUMBERS = ("sklearn",)
"""packages whose functions give numbers, of float64"""


@dataclass(frozen=True, slots=True)
class TracedLine(TensorKeeper):
    """Rewrites a line that is traced; see `correct`."""

    is_learnt: bool = False
    """a gradient is computed of the result, which passes through no code but the framework's"""
    is_converted: bool = False
    """``if``, ``while`` and ``for`` may go by tensors: they have been made functions"""

    def correct(self) -> Reading:
        """Return the line as it is to be written; nothing where that is not certain."""
        statement: Any = self.running.statement
        value = statement.value if isinstance(statement, ast.Expr) else None
        predicted = self._write_prediction(self.running.node)
        if predicted is not None and self.running.node is not None:
            return self._put_in({self.running.node: predicted}, "traced")
        operation = self.asked or self.running.node
        if isinstance(value, ast.Call) and self.twins.show and self._find_path(value.func) == "builtins.print":
            return self._put_in({value: self._write_print(value)}, "printed")
        if isinstance(statement, ast.Assign) and statement.value in self.failed and self._takes_apart(statement):
            return self._put_in({statement.value: self.twins.unstack.format(x=self._write(statement.value))}, "traced")
        if isinstance(value, ast.Call) and not self._keeps_here(value):
            return self._put_in({value: self._write_later(value, "[]")}, "noted")
        kept = self._keep(operation) if operation is not None else {}
        if kept:
            return self._put_in(dict(kept), "traced")
        is_taken = isinstance(statement, (ast.Assign, ast.Return, ast.AnnAssign))
        if not is_taken or operation is None or self.is_learnt:
            return NOTHING_READ
        whole: Any = operation
        while isinstance(whole.parent, (ast.expr, ast.keyword)) and not isinstance(whole.parent, _DISPLAYS):
            whole = whole.parent
        return self._put_in({whole: self._write_later(whole)}, "called")

    def _write_prediction(self, node: ast.expr | None) -> str | None:
        """Return ``model(x, training=False)`` for ``model.predict(x)``, which gives arrays."""
        is_call = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and len(node.args) == 1
        if not is_call or not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            return None
        is_predicting = node.func.attr == "predict" and self.evaluator.is_model(node.func.value)
        model, given = self.running.find_text(node.func.value), self.running.find_text(node.args[0])
        return f"{model}({given}, training=False)" if is_predicting else None

    def find_way(self, name: str) -> str:
        """Return what stands for a statement whose course depends on a value, or that stores one."""
        statement: Any = self.running.statement
        node, conditions = self.running.node, (ast.If, ast.While, ast.Assert)
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
            return phrases.STORE.format(x=name)
        tested = [statement.test] if isinstance(statement, conditions) else []
        tested += [n.test for n in walk_scope(statement) if isinstance(n, ast.IfExp)]
        if any(self.failed & set(ast.walk(test)) for test in tested):
            return phrases.CHOICE
        loops = [*(loop for n in walk_scope(statement) for loop in getattr(n, "generators", []))]
        loops += [statement] if isinstance(statement, ast.For) else []
        ranges = [n for loop in loops if isinstance(loop.iter, ast.Call) for n in loop.iter.args]
        if self.failed & {*(loop.iter for loop in loops), *ranges}:
            return phrases.LOOP
        call = "tf.py_function" if self.asked is not None else "tf.numpy_function"
        return phrases.BYTES.format(x=name, call=call) if self.dtype == "string" else ""

    def _takes_apart(self, statement: ast.Assign) -> bool:
        return isinstance(statement.targets[0], (ast.Tuple, ast.List)) and self.running.node is not statement.value

    def _put_in(self, found: dict[ast.expr, str | None], stays: Any) -> Reading:
        known = {node: text for node, text in found.items() if text is not None}
        fixed = correct(self.running, known, self.evaluator)
        return NOTHING_READ if fixed.shown is None else replace(fixed, stays=stays)

    def _keep(self, operation: ast.expr) -> dict[ast.expr, str]:
        """Return what to write for the expressions that it computes with."""
        outermost: Any = operation
        around: list[Any] = [operation]
        inner = (ast.expr, ast.keyword, ast.comprehension)
        while isinstance(outermost.parent, inner) and not isinstance(outermost.parent, (ast.Lambda, ast.Await)):
            outermost = outermost.parent
            around.append(outermost)
        if self._decides(around):
            return {}
        found = self._rewrite(outermost)
        kept = [node for node in found if node in around]
        if not kept or self._is_asked_more(kept[0]) or any(map(self._is_for_arrays, around)):
            return {}
        if all(map(self._is_asking, found)):
            may_stay = self.twins.call and all(map(self._may_stay, found))  # of a placeholder numbers are wanted
            return found if may_stay else {}
        return {} if self._leaves_some(outermost, found) else found

    def _leaves_some(self, node: ast.AST, found: dict[ast.expr, str]) -> bool:
        """Tell whether a function of NumPy's would still be given a tensor."""
        if node in found:
            return False
        is_numpys = isinstance(node, ast.Call) and get_home(self.evaluator.find(node.func)) == "numpy"
        if is_numpys and isinstance(node, ast.Call) and any(map(self._is_tensor, node.args)):
            return True
        return any(self._leaves_some(child, found) for child in ast.iter_child_nodes(node))

    def _is_asking(self, node: ast.AST) -> bool:
        """Tell whether a call asks a tensor for its array: the one that failed, or another of the line's."""
        receiver = find_receiver(node) if isinstance(node, ast.Call) and not node.keywords else None
        return node is self.asked or (receiver is not None and self.evaluator.guess(receiver) is not None)

    def _is_tensor(self, node: ast.expr) -> bool:
        if isinstance(node, ast.Compare):
            return any(map(self._is_tensor, (node.left, *node.comparators)))
        return self._is_asking(node) or TensorKeeper._is_tensor(self, node)

    def _decides(self, around: list[Any]) -> bool:
        """Tell whether the course of the function depends on the result."""
        statement: Any = self.running.statement
        is_made = self.is_converted  # but for comprehensions
        tested = [] if is_made else [getattr(statement, name, None) for name in ("test", "iter")]
        tested += [n.test for n in around if isinstance(n, ast.IfExp) and not is_made]
        tested += [loop.iter for n in around for loop in getattr(n, "generators", [])]
        return any(node in tested for node in around)

    def _is_asked_more(self, node: Any) -> bool:
        """Tell whether what becomes a tensor is asked something that arrays alone know."""
        guesses = [self.evaluator.guess(n) for n in self.failed if isinstance(n, ast.expr) and n is not self.asked]
        tensors = [t for guess in guesses if guess is not None for t in guess.tensors]
        parent = node.parent
        return isinstance(parent, ast.Attribute) and not (tensors and parent.attr in dir(tensors[0]))

    def _is_for_arrays(self, node: ast.expr) -> bool:
        """Tell whether a call is of an installed library's, which knows no tensors without values."""
        function = self.evaluator.find(node.func) if isinstance(node, ast.Call) else None
        home = get_home(function)
        module = sys.modules.get(home)
        is_known = home in ("", "numpy", *FRAMEWORKS) or home in sys.stdlib_module_names
        return not is_known and is_foreign(getattr(module, "__file__", None) or "")

    def _rewrite(self, node: ast.AST) -> dict[ast.expr, str]:
        text = self._write_traced(node) if isinstance(node, ast.expr) else None
        if text is not None and isinstance(node, ast.expr):
            return {node: text}
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and self._is_asking(node):
            return {node: put_in_parentheses(self._write(node.func.value))}
        return TensorKeeper._rewrite(self, node)

    def _write_traced(self, node: ast.expr) -> str | None:
        """Return the code for an expression that tracing alone is in the way of; None where there is none."""
        if isinstance(node, ast.Subscript) and get_home(type(self.evaluator.find(node.value))) == "numpy":
            bounds = [n for n in ast.iter_child_nodes(node.slice) if isinstance(n, ast.expr)]
            if isinstance(node.slice, ast.Slice) and any(map(self._is_tensor, bounds)):
                _, end = self.running.find_range(node.value)
                rest = self.running.source.text[end : self.running.find_range(node)[1]]
                return self.twins.constant.format(x=self._write(node.value)) + rest
            if not isinstance(node.slice, (ast.Slice, ast.Tuple)) and self._is_tensor(node.slice):
                return self.twins.gather.format(x=self._write(node.value), index=self._write(node.slice))
        if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS and self._meets_array(node):
            function = self.twins.functions[_OPERATORS[type(node.op)]]
            return f"{function}({self._write(node.left)}, {self._write(node.right)})"
        if isinstance(node, ast.Attribute) and node.attr == "T" and self._asks(node.value):
            return self.twins.templates["T"].codes["x"].format(x=self._write(node.value))
        return self._write_function(node) if isinstance(node, ast.Call) else None

    def _meets_array(self, node: ast.BinOp) -> bool:
        """Tell whether an array is asked to compute with a placeholder of a model, which it cannot."""
        is_array = get_home(type(self.evaluator.find(node.left))) == "numpy"
        return node is self.running.node and is_array and self._is_tensor(node.right)

    def _write_call(self, node: ast.Call) -> str | None:
        return self._write_function(node)

    def _write_function(self, node: ast.Call) -> str | None:
        function = node.func
        if isinstance(function, ast.Attribute) and self._asks(function.value):
            return self._write_template(function.attr, [function.value, *node.args], node.keywords)
        path = self._find_path(function)
        parts = [n for a in node.args for n in (a.elts if isinstance(a, ast.Tuple) and path in _MAKERS else [a])]
        if not path or not any(self._is_tensor(a) or self._holds_tensors(a) for a in parts):
            return None
        return self._write_template(path, list(node.args), node.keywords)

    def _asks(self, owner: ast.expr) -> bool:
        """Tell whether a method is asked of an array that is to stay a tensor."""
        return self._is_asking(owner) or (owner in self.failed and self.asked is None) or self._asks_inside(owner)

    def _asks_inside(self, owner: ast.expr) -> bool:
        if isinstance(owner, ast.Call) and isinstance(owner.func, ast.Attribute):
            return owner.func.attr not in METHODS and self._asks(owner.func.value)
        return isinstance(owner, ast.Subscript) and self._asks(owner.value)

    def _find_path(self, function: ast.expr) -> str:
        """Return the name of a function in the tables; nothing where it is in none."""
        path = self._read_path(function, "numpy")
        for module in ("builtins", "math"):
            name = self._read_path(function, module)
            path = f"{module}.{name}" if name and not path else path
        return path

    def _write_template(self, path: str, given: list[ast.expr], keywords: list[ast.keyword]) -> str | None:
        template = self.twins.templates.get(path)
        if template is not None:
            return self._fill(template, given, keywords)
        twin = self.twins.functions.get(path)
        known = {"dtype": "dtype"} if path in _MAKERS else {}
        known.update(self.twins.keywords)
        names = [(known.get(k.arg or ""), self._write_argument(k.arg, k.value)) for k in keywords]
        if twin is None or not given or any(None in pair for pair in names):
            return None
        is_list = self._holds_tensors(given[0]) and path.rpartition(".")[2] not in self.twins.joining
        first = self._write_argument(None, given[0]) or ""
        first = self.twins.stack.format(x=first) if is_list else first
        is_whole = self.dtype.startswith(("int", "uint", "bool")) and path in self.twins.floats
        is_truth = isinstance(given[0], ast.Compare) and path in (*self.twins.floats, "sum")
        first = self.twins.of_integers.format(x=first) if self.twins.of_integers and (is_whole or is_truth) else first
        if not twin:
            return put_in_parentheses(first) if len(given) == 1 and not names else None
        others = [self._write_operand(a, ast.Call(given[0], given, [])) for a in given[1:]]
        return f"{twin}({', '.join([first, *others, *(f'{name}={text}' for name, text in names)])})"

    def _fill(self, template: Template, given: list[ast.expr], keywords: list[ast.keyword]) -> str | None:
        bound = dict(zip(template.parameters, given, strict=False)) | {k.arg or "": k.value for k in keywords}
        if len(given) > len(template.parameters) or not bound.keys() <= set(template.parameters):
            return None
        code = template.codes.get(" ".join(name for name in template.parameters if name in bound))
        texts = {n: self._write_argument(n, v) for n, v in bound.items()}
        if code is None or None in texts.values():
            return None
        return code.format_map(texts)

    def _write_argument(self, name: str | None, node: ast.expr) -> str | None:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and self._is_asking(node):
            return self._write(node.func.value)  # without parentheses
        return self._write_dtype(node) if name == "dtype" else self._write(node)

    def _write_dtype(self, node: ast.expr) -> str | None:
        """Return the framework's dtype for one of NumPy's: ``np.float32``, ``"int64"``."""
        value = self.evaluator.find(node)
        name = value if isinstance(value, str) else {int: "int64", float: "float64", bool: "bool"}.get(value)
        if name is None and get_home(value) == "numpy":
            name = getattr(value, "__name__", None) or str(value)
        return self.twins.dtype.format(name=name) if name in _DTYPES else None

    def _may_stay(self, node: Any) -> bool:
        """Tell whether the tensor itself may stand where an array was asked for: nothing there wants more of it."""
        parent = node.parent
        if isinstance(parent, ast.Subscript) and node is parent.slice:
            return False
        if isinstance(parent, (*_HANDED_ON, *_COMPUTED)):
            return self._may_stay(parent)
        if isinstance(parent, ast.Attribute):
            return not self._is_asked_more(node) and parent.attr not in self.twins.functions
        if isinstance(parent, ast.Call):
            return self.evaluator.is_framework_function(parent.func) or self._keeps_here(parent)
        if isinstance(parent, ast.Assign) and all(isinstance(t, ast.Name) for t in parent.targets):
            names = {t.id for t in parent.targets if isinstance(t, ast.Name)}
            return all(self._may_stay(use) for use in self._find_uses(parent, names))
        return isinstance(parent, ast.Return)

    def _find_uses(self, after: ast.stmt, names: set[str]) -> Iterator[ast.Name]:
        """Yield where variables are read below a statement, in its function."""
        scope: Any = after
        while not isinstance(scope, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Module)):
            scope = scope.parent
        for node in ast.walk(scope):
            is_below = isinstance(node, ast.Name) and node.lineno > after.lineno
            if is_below and isinstance(node, ast.Name) and node.id in names and isinstance(node.ctx, ast.Load):
                yield node

    def _keeps_here(self, call: ast.Call) -> bool:
        """Tell whether a call puts something into a container that this run of the function made."""
        function = call.func
        if not isinstance(function, ast.Attribute) or function.attr not in KEEPERS:
            return self.evaluator.is_framework_function(function)
        return isinstance(function.value, ast.Name) and self.evaluator.is_local(function.value.id)

    def _write_print(self, node: ast.Call) -> str | None:
        """Return a call of print as one that prints at every run."""
        opened = [open_format(argument) for argument in node.args]
        if None in opened or not {k.arg for k in node.keywords} <= {"end", "sep"}:
            return None
        parts = [self._strip(piece) for pieces in opened for piece in pieces or ()]
        named = [f"{k.arg}={self.running.find_text(k.value)}" for k in node.keywords]
        return f"{self.twins.show}({', '.join([*parts, *named])})"

    def _strip(self, node: ast.expr) -> str:
        """Return the text of what is printed, tensors as they are."""
        if isinstance(node, ast.Constant) and not hasattr(node, "parent"):
            return _quote(node.value)
        while isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and not node.args:
            if node.func.attr not in (*METHODS, "item", "tolist") or node.keywords:
                break
            node = node.func.value
        if isinstance(node, ast.Call) and self._find_path(node.func) in ("builtins.float", "builtins.int"):
            return self._strip(node.args[0]) if len(node.args) == 1 else self._write(node)
        return self._write(node)

    def _write_later(self, node: ast.expr, dtype: str = "") -> str | None:
        """Return the call of some code with values, at every run; None where that is not certain."""
        inside = list(ast.walk(node))
        found = self._find_values(node)
        is_for_values = any(isinstance(n, ast.Call) and n is not self.asked for n in inside) and self.twins.call
        names = {text: _name_parameter(n) for n, text in found.items()}
        mixed = (ast.Lambda, *COMPREHENSIONS, ast.Await, ast.Yield, ast.NamedExpr)
        is_plain = not any(isinstance(n, mixed) for n in inside)
        is_class = isinstance(node, ast.Call) and isinstance(self.evaluator.find(node.func), type)
        is_clear = not is_class and len(set(names.values())) == len(names) > 0 and self.dtype != "string"
        if not is_clear or not is_plain or not is_for_values:
            return None
        is_number = isinstance(node, ast.Call) and get_home(self.evaluator.find(node.func)) in _NUMBERS
        kind = "float32" if is_number or not self.dtype.startswith(("float", "int", "uint")) else self.dtype
        edits = [(*self.running.find_range(n), self._take_value(n, names[text])) for n, text in found.items()]
        code = self._replace_all(node, edits)
        text = self.twins.call.format(
            names=", ".join(names.values()), code=code, values=", ".join(names), dtype=dtype or f"tf.{kind}"
        )
        return self.twins.number.format(x=text) if is_number and not dtype else text

    def _take_value(self, node: ast.expr, name: str) -> str:
        """Return the code for a tensor's value where Python is called: an array, where no framework takes it."""
        parent: Any = node.parent  # type: ignore[attr-defined]
        is_asked = isinstance(parent, ast.Attribute) and parent.attr in METHODS
        call = getattr(parent, "parent", None) if isinstance(parent, ast.keyword) else parent
        is_tensors = isinstance(call, ast.Call) and self.evaluator.is_framework_function(call.func)
        return name if is_asked or is_tensors else f"{name}.numpy()"

    def _find_values(self, node: ast.expr) -> dict[ast.expr, str]:
        """Return the largest expressions in one that are variables which hold symbolic tensors, and their texts."""
        is_variable = isinstance(node, _PATHS) and find_framework(self.evaluator.find(node)) is not None
        if is_variable or (node in self.failed and node is not self.asked):
            return {node: self.running.find_text(node)}
        found: dict[ast.expr, str] = {}
        for child in ast.iter_child_nodes(node):
            inner = child.value if isinstance(child, ast.keyword) else child
            found |= self._find_values(inner) if isinstance(inner, ast.expr) else {}
        return found

    def _replace_all(self, node: ast.expr, edits: list[tuple[int, int, str]]) -> str:
        start, end = self.running.find_range(node)
        whole, text, position = self.running.source.text, "", start
        for first, last, new in sorted(edits):
            text += whole[position:first] + new
            position = last
        return text + whole[position:end]


def _name_parameter(node: ast.expr) -> str:
    """Return what to call the value of an expression: the last name in a path."""
    while isinstance(node, ast.Subscript):
        node = node.value
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "t")


def _quote(text: Any) -> str:
    return f'"{text}"' if isinstance(text, str) and text.isprintable() and not {'"', "\\"} & set(text) else repr(text)
