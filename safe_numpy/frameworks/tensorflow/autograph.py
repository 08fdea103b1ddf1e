"""AutoGraph: what the user wrote, for the code that it makes of a function and runs in its place.

The forms are those of tensorflow/python/autograph/converters: calls, variables, logical operators and conditional
expressions become calls of ``ag__``; the rest of an expression stays as it is.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from types import FrameType
from typing import Any

from safe_numpy.callsite.frames import Translator, read_variables
from safe_numpy.diagnosis.causes import parse_code
from safe_numpy.diagnosis.facts import Site

MARK = "__autograph_generated_file"
"""stands in the names of the files that it writes"""

_MOST_FRAMES = 100
"""between generated code and what holds the map of it: control flow lies between"""


def _translate(frame: FrameType, lineno: int) -> Site | None:
    """Return the line that the user wrote for one that AutoGraph generated from it.

    The map between the two hangs on the converted function, which AutoGraph's frames around this one hold.
    """
    line = (frame.f_code.co_filename, lineno)
    caller = frame.f_back
    for _ in range(_MOST_FRAMES):
        if caller is None:
            return None
        variables = read_variables(caller)
        for candidate in (variables.get("converted_f"), variables.get("f")):
            for location, origin in getattr(candidate, "ag_source_map", {}).items():
                if (location.filename, location.lineno) == line:
                    return Site(origin.loc.filename, origin.loc.lineno, origin.function_name)
        caller = caller.f_back
    return None


class _Restorer(ast.NodeTransformer):
    """Writes an expression as it was before AutoGraph."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        function = node.func
        is_made = isinstance(function, ast.Attribute) and getattr(function.value, "id", "") == "ag__"
        restore = _FORMS.get(function.attr) if is_made and isinstance(function, ast.Attribute) else None
        return node if restore is None else restore(*node.args)


def _restore_call(function: Any, positional: Any, keywords: Any = None, *others: Any) -> ast.expr:
    """``ag__.converted_call(f, (x,), dict(axis=1), fscope)`` was ``f(x, axis=1)``."""
    named = keywords.keywords if isinstance(keywords, ast.Call) else []
    return ast.Call(function, _list_positional(positional), named)


def _list_positional(node: Any) -> list[ast.expr]:
    """``(x,) + tuple(rest)`` was ``x, *rest``."""
    if isinstance(node, ast.BinOp):
        return [*_list_positional(node.left), *_list_positional(node.right)]
    if isinstance(node, ast.Tuple):
        return node.elts
    inner = node.args[0] if isinstance(node, ast.Call) and node.args else node
    return [ast.Starred(inner, ast.Load())]


_FORMS: dict[str, Callable[..., ast.AST]] = {
    "ld": lambda variable: variable,
    "autograph_artifact": lambda function: function,
    "converted_call": _restore_call,
    "and_": lambda *sides: ast.BoolOp(ast.And(), [side.body for side in sides]),
    "or_": lambda *sides: ast.BoolOp(ast.Or(), [side.body for side in sides]),
    "not_": lambda operand: ast.UnaryOp(ast.Not(), operand),
    "if_exp": lambda test, body, orelse, *text: ast.IfExp(test, body.body, orelse.body),
}
"""by the name in ``ag__``"""


def _restore(node: ast.expr) -> ast.expr:
    restored: ast.expr = _Restorer().visit(parse_code(ast.unparse(node), "eval").body)
    return restored


TRANSLATOR = Translator(_translate, _restore, "tensorflow.python.autograph")
