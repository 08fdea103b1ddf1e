"""Errors of other processes, of which only their text came along: no object can be asked.

Only what the line and Python's own words leave no doubt about is said.
"""

from __future__ import annotations

import ast
import re
from typing import Any

from safe_numpy.callsite.evaluator import Evaluator
from safe_numpy.callsite.expression import walk_scope
from safe_numpy.callsite.fix import correct
from safe_numpy.callsite.frames import is_foreign
from safe_numpy.callsite.functions import find_returns, walk_own
from safe_numpy.callsite.source import RunningCode, read_line
from safe_numpy.diagnosis.causes import put_in_parentheses
from safe_numpy.diagnosis.facts import Site
from safe_numpy.messages.units import name_place
from safe_numpy.postmortem.error_site import ErrorSite, Finding, list_passed

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


def find_pool(error: BaseException, line: ErrorSite) -> Finding | None:
    """``pool.map(function, values)``, where the function gives tensors that autograd records."""
    node = line.get_node()
    if type(error).__name__ != "MaybeEncodingError" or not isinstance(node, ast.Call) or not node.args:
        return None
    returns = find_returns(line.find_value(node.args[0]))
    if returns is None or "requires_grad" not in str(getattr(error, "exc", "")):
        return None
    name = line.find_text(node.args[0])
    headline = f"`{name}` returns a tensor that autograd records: it cannot come from another process."
    if any(_computes_gradients(caller) for caller in list_passed(line)):
        statement = _find_import(line)
        note = "threads share the memory, and a gradient passes: multiprocessing.pool.ThreadPool"
        if statement is None:
            return Finding(headline, note=note)
        threads = "from multiprocessing.pool import ThreadPool as Pool"
        return Finding(headline, threads, note, place=line.name_statement(statement))
    note = "detach() what the function returns"
    if len(returns.lines) != 1 or not returns.gives_one:
        return Finding(headline, note=note)
    returned, value = returns.lines[0]
    text = f"{put_in_parentheses(returned.find_text(value))}.detach()"
    fix = correct(returned, {value: text}, line.evaluator).shown
    return Finding(headline, fix, place=name_place(returns.filename, returned.statement.lineno))


def _computes_gradients(line: ErrorSite) -> bool:
    calls = [n.func for n in walk_own(line.find_scope()) if isinstance(n, ast.Call)]
    return any(isinstance(f, ast.Attribute) and f.attr in ("backward", "grad") for f in calls)


def _find_import(line: ErrorSite) -> ast.stmt | None:
    """Return ``from multiprocessing import Pool``, where nothing else is imported so, and it is called for its size."""
    tree: Any = line.running.statement
    while getattr(tree, "parent", None) is not None:
        tree = tree.parent
    imports = [n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.module == "multiprocessing"]
    calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and getattr(n.func, "id", "") == "Pool"]
    is_plain = len(calls) == 1 and len(calls[0].args) <= 1 and not calls[0].keywords
    found = [n for n in imports if [(a.name, a.asname) for a in n.names] == [("Pool", None)]]
    return found[0] if len(found) == len(imports) == 1 and is_plain else None
