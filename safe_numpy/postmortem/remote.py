"""Errors of other processes, of which only the text of their traceback came along: no object can be asked.

Only what the line and Python's own words leave no doubt about is said.
"""

from __future__ import annotations

import ast
import re

from safe_numpy.callsite.evaluator import Evaluator
from safe_numpy.callsite.expression import walk_scope
from safe_numpy.callsite.fix import correct
from safe_numpy.callsite.frames import is_foreign
from safe_numpy.callsite.source import RunningCode, read_line
from safe_numpy.diagnosis.causes import put_in_parentheses
from safe_numpy.diagnosis.facts import Site
from safe_numpy.postmortem.error_site import Finding

_PLACE = re.compile(r'^\s*(?:- )?File "(.+)", line (\d+)(?:, in (\S+))?', re.MULTILINE)
_ATTRIBUTE = re.compile(r"AttributeError: '(\S+)' object has no attribute '(numpy|cpu|detach)'")
_OBJECTS = re.compile(r"TypeError: can't convert np\.ndarray of type numpy\.object_")
_OPERATOR = re.compile(r"TypeError: unsupported operand type\(s\) for (\S+): '(numpy\.ndarray|Tensor)' and '(\S+)'")
_STRIDES = re.compile(r"ValueError: At least one stride in the given numpy array is negative")
_ASKED = re.compile(r"AttributeError: '\S*EagerTensor' object has no attribute '(\w+)'")
_OPERATORS: dict[str, type[ast.operator]] = {
    "+": ast.Add,
    "-": ast.Sub,
    "*": ast.Mult,
    "/": ast.Div,
    "@": ast.MatMult,
    "**": ast.Pow,
}


def explain_remote(text: str) -> tuple[Finding | None, Site | None]:
    """Explain an error by its line alone; nothing unless that is certain."""
    places = [m for m in _PLACE.finditer(text) if not is_foreign(m[1]) and not m[1].startswith("<")]
    if not places:
        return None, None
    filename, lineno, function = places[-1][1], int(places[-1][2]), places[-1][3] or ""
    running = read_line(filename, lineno)
    if running is None:
        return None, None
    site = Site(filename, lineno, function, "", running.get_line(lineno))
    return _explain_line(text, running), site


def _explain_line(text: str, running: RunningCode) -> Finding | None:
    nodes = list(walk_scope(running.statement))
    if found := _ATTRIBUTE.search(text):
        asked = [n for n in nodes if isinstance(n, ast.Attribute) and n.attr == found[2]]
        if len(asked) != 1:
            return None
        return Finding(f"`{running.find_text(asked[0].value)}` has no {found[2]}(): it is a {found[1]}.")
    if found := _ASKED.search(text):
        asked = [n for n in nodes if isinstance(n, ast.Attribute) and n.attr == found[1]]
        if len(asked) != 1:
            return None
        name = running.find_text(asked[0].value)
        fix = _write_fix(running, asked[0].value, f"{put_in_parentheses(name)}.numpy()")
        return Finding(f"`{name}` is a tensor, and `{found[1]}` is no method of tensors.", fix)
    if found := _OPERATOR.search(text):
        kind = _OPERATORS.get(found[1])
        operations = [n for n in nodes if isinstance(n, ast.BinOp) and kind is not None and isinstance(n.op, kind)]
        if len(operations) != 1 or {found[2], found[3]} != {"numpy.ndarray", "Tensor"}:
            return None
        sides = [running.find_text(n) for n in (operations[0].left, operations[0].right)]
        array, tensor = sides if found[2] == "numpy.ndarray" else sides[::-1]
        return Finding(f"`{array}` is an array and `{tensor}` a tensor: they do not compute together.")
    return _explain_maker(text, running, nodes)


def _explain_maker(text: str, running: RunningCode, nodes: list[ast.expr]) -> Finding | None:
    makers = [
        n for n in nodes if isinstance(n, ast.Call) and n.args and _name(n) in ("tensor", "from_numpy", "as_tensor")
    ]
    if len(makers) != 1:
        return None
    argument = makers[0].args[0]
    name = running.find_text(argument)
    if _STRIDES.search(text):
        headline = f"`{name}` is an array that runs backwards in memory, as after `[::-1]`; no tensor does."
        return Finding(headline, _write_fix(running, argument, f"{put_in_parentheses(name)}.copy()"))
    if _OBJECTS.search(text):
        asked = next((running.find_text(k.value) for k in makers[0].keywords if k.arg == "dtype"), "")
        dtype = asked.rpartition(".")[2] if asked.startswith("torch.") else ""
        fix = _write_fix(running, argument, f"{put_in_parentheses(name)}.astype('{dtype}')") if dtype else None
        return Finding(f"`{name}` is an array of objects, which PyTorch has not.", fix)
    return None


def _name(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def _write_fix(running: RunningCode, node: ast.expr, text: str) -> str | None:
    return correct(running, {node: text}, Evaluator(())).shown
