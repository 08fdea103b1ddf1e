"""What a line of code called the tensor that failed, and the same line with the tensor converted.

All of it happens when somebody reads the explanation: what is needed for that is found from the error's traceback.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import replace
from types import FrameType, TracebackType
from typing import Any, Literal

from safe_numpy.callsite.callbacks import is_made_constant, read_callback, read_setter
from safe_numpy.callsite.evaluator import Evaluator, get_home
from safe_numpy.callsite.expression import Occurrence, choose_round, find_occurrence, find_operands
from safe_numpy.callsite.fix import correct
from safe_numpy.callsite.flow import is_learnt_from, is_taken_by_torch
from safe_numpy.callsite.frames import Caller, find_translator, list_sites
from safe_numpy.callsite.functions import list_given
from safe_numpy.callsite.replacements import Replacements
from safe_numpy.callsite.source import COMPREHENSIONS, RunningCode, digest_file, read_running
from safe_numpy.callsite.syntax import KEEPERS
from safe_numpy.callsite.traced import TracedLine
from safe_numpy.callsite.training import TensorKeeper
from safe_numpy.callsite.written import read_written
from safe_numpy.diagnosis.causes import Plan, parse_code, put_in_parentheses
from safe_numpy.diagnosis.facts import NOTHING_READ, Kind, Reading, Site
from safe_numpy.diagnosis.framework import Introspection
from safe_numpy.messages.layout import shorten

__all__ = ["digest_file", "name_argument", "name_tensor", "read_site"]

_MOST_INSIDE = 60
_MOST_CALLERS = 10
_CONSTRUCTORS: dict[str, Literal["array", "copy"]] = {
    **dict.fromkeys(("asarray", "asanyarray", "ascontiguousarray", "from_dlpack"), "array"),
    "array": "copy",
}
"""functions of NumPy that give the array of a tensor itself, or a copy"""

_UNIQUE = ("SparseTensor", "RaggedTensor", "IndexedSlices")
"""what is no tensor, though it holds some"""

_WITHIN_A_LINE = ("<listcomp>", "<dictcomp>", "<setcomp>", "<genexpr>", "<lambda>")
"""names of code that has a frame of its own and is a part of a line; comprehensions before Python 3.12"""


def read_site(
    introspection: Introspection,
    plan: Plan,
    site: Site,
    caller: Caller,
    stack: Sequence[FrameType] = (),
    traceback: TracebackType | None = None,
) -> Reading:
    """Find a tensor in a line that is running.

    Args:
        introspection: knows the tensor; if it is gone, only the operation can be named.
        plan: what cures it.
        site: the line, as its reader knows it.
        caller: the line, live.
        stack: the frames from the user's outwards, if it is to be found out where the result goes.
        traceback: of the error, if there is one.
    """
    is_rewritten = find_translator(caller.frame.f_code) is not None
    running = read_written(site, caller.frame, site.lasti)
    if running is None:
        return NOTHING_READ
    source = running.get_line(site.lineno)
    rounds = Evaluator.list_possible(running, caller.frame, site.lasti)
    evaluator = choose_round(rounds, running, introspection, caller)
    found = find_occurrence(running, introspection, evaluator, caller)
    text = running.find_text(_skip_walrus(found.node)) if found is not None else ""
    if found is not None and not text:
        found = None
    is_symbolic = any(p.kind is Kind.SYMBOLIC for p in plan.problems)
    is_given = found is None and not caller.asks and not is_symbolic
    returned = read_callback(running, plan, evaluator) if is_given else None
    if returned is not None:
        # through the library no gradient passes; whoever computes one of its result may believe so
        is_learnt = _find_reason_to_stay(plan, stack, traceback) == "learnt"
        if is_learnt and not is_made_constant(stack, traceback):
            returned = replace(returned, shown=None, fix=None, stays="learnt", look=returned.shown)
        return replace(returned, source=source, keeps="")
    setter = read_setter(plan, traceback) if found is None or found.path else None
    if setter is not None:
        return replace(setter, inside=running.find_text(running.node or running.statement), source=source, keeps="")
    fixed = NOTHING_READ
    if plan.array is not None and not is_rewritten and (found is not None or not plan.is_for_elements):
        code = caller.frame.f_code
        owners = (f for f in stack if code.co_name in _WITHIN_A_LINE and code in f.f_code.co_consts)
        outer = Evaluator.from_frame(next(owners, caller.frame))
        given = list_given(running, found.node, stack, traceback) if found is not None and not found.path else []
        x = introspection.find_tensor()
        fixed = _convert_line(Replacements(running, evaluator, caller, x, plan, found, outer, given))
        stays = "" if _is_thrown_away(running, found) else _find_reason_to_stay(plan, stack, traceback)
        if stays:
            kept = _write_kept(running, evaluator, introspection, plan, found, stack)
            fixed = replace(correct(running, kept, evaluator), stays=stays, look=fixed.shown)
    if is_symbolic and (found is None or not found.path):
        fixed = _correct_traced(running, evaluator, introspection, plan, found, stack)
    keeps = _find_use(running, found, evaluator)
    if found is None:
        inside = running.find_text(running.node) if running.node is not None else ""
        return replace(fixed, keeps=keeps, inside=shorten(_put_on_one_line(inside), _MOST_INSIDE), source=source)
    name = _put_on_one_line(text)
    name = put_in_parentheses(name) + found.path if found.path else name
    asked = running.find_text(found.asked) if found.asked is not None else ""
    return replace(fixed, name=name, path=found.path, asked=asked, source=source, keeps=keeps)


def _is_thrown_away(running: RunningCode, found: Occurrence | None) -> bool:
    """Tell whether the operation is all that the line does: nobody takes its result."""
    node = found.asked if found is not None and found.asked is not None else running.node
    return isinstance(running.statement, ast.Expr) and running.statement.value is node


def _convert_line(replacements: Replacements) -> Reading:
    """Return the line with what fails converted, and how much that allocates where it is more than one tensor."""
    fixed = correct(replacements.running, replacements.find(), replacements.evaluator)
    place, sizes = replacements.place, replacements.sizes
    if len(sizes) <= 1 and place is not None and not place.path:
        return fixed
    known = [size for size in sizes if size is not None]
    return replace(fixed, nbytes=sum(known) if len(known) == len(sizes) else 0)


def _find_reason_to_stay(
    plan: Plan, stack: Sequence[FrameType], traceback: TracebackType | None
) -> Literal["learnt", "taken", ""]:
    """Return why what the line computes has to stay a tensor; nothing where no reason is seen in the source."""
    sites = list_sites(stack, _MOST_CALLERS, traceback)
    trees: dict[str, ast.Module] = {}
    if plan.cuts and is_learnt_from(sites, trees):
        return "learnt"
    return "taken" if is_taken_by_torch(sites, trees) else ""


def _write_kept(
    running: RunningCode,
    evaluator: Evaluator,
    introspection: Introspection,
    plan: Plan,
    found: Occurrence | None,
    stack: Sequence[FrameType],
) -> dict[ast.expr, str]:
    """Return what to write for tensors to stay what they are; empty where there is no such code."""
    node, twins = running.node, introspection.find_twins(stack)
    if node is None or twins is None:
        return {}
    failed, asked = _find_failed(running, evaluator, found)
    is_on_host = all(p.kind is not Kind.DEVICE for p in plan.problems)
    keeper = TensorKeeper(running, evaluator, twins, failed, plan.subject.dtype, is_on_host, asked)
    return keeper.find(node if asked is None else asked)


def _correct_traced(
    running: RunningCode,
    evaluator: Evaluator,
    introspection: Introspection,
    plan: Plan,
    found: Occurrence | None,
    stack: Sequence[FrameType],
) -> Reading:
    """Return the line as it is to be written where it is traced, before there are values."""
    twins = introspection.find_twins(stack)
    if twins is None or plan.subject.type_name in _UNIQUE:
        return NOTHING_READ
    failed, asked = _find_failed(running, evaluator, found)
    is_learnt = introspection.is_learnt_from(stack)
    is_converted = find_translator(stack[0].f_code) is not None
    line = TracedLine(running, evaluator, twins, failed, plan.subject.dtype, True, asked, is_learnt, is_converted)
    corrected = line.correct()
    name = running.find_text(found.node) if found is not None else "x"
    return corrected if corrected.shown is not None else Reading(remark=line.find_way(name))


def _find_failed(
    running: RunningCode, evaluator: Evaluator, found: Occurrence | None
) -> tuple[frozenset[ast.AST], ast.expr | None]:
    """Return the expressions that are the tensor which failed or hold it, and the one by which the line asks it."""
    if found is not None:
        return frozenset({found.node, *([found.asked] if found.asked is not None else [])}), found.asked
    operands = find_operands(running.node) if running.node is not None else ()
    return frozenset(n for n in operands if not (evaluator.knows(n) or evaluator.is_harmless(n))), None


def _find_use(running: RunningCode, found: Occurrence | None, evaluator: Evaluator) -> Literal["array", "copy", ""]:
    """Return what the program gets of the array: itself, a copy of it, or nothing, as where it is drawn."""
    node: Any = found.asked if found is not None and found.asked is not None else running.node
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
        return "copy"
    gives: Literal["array", "copy", ""] = "array"
    if found is None or found.asked is None:
        function = node.func if isinstance(node, ast.Call) else None
        name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        is_numpys = function is not None and get_home(evaluator.find(function)) == "numpy"
        gives = _CONSTRUCTORS.get(name, "") if is_numpys else ""
    parent: Any = node.parent if node is not None else None
    while type(parent) in (ast.keyword, ast.List, ast.Tuple, ast.Dict, ast.NamedExpr, ast.IfExp):
        parent = parent.parent
    if isinstance(parent, ast.Call):
        is_kept = isinstance(parent.func, ast.Attribute) and parent.func.attr in KEEPERS
        return gives if is_kept else ""
    if isinstance(parent, ast.Assign) and gives == "array" and _is_array(evaluator, parent.targets[0]):
        return "copy"
    return gives if isinstance(parent, (ast.stmt, ast.Yield, *COMPREHENSIONS)) else ""


def _is_array(evaluator: Evaluator, target: ast.expr) -> bool:
    """Tell whether what is assigned to is a part of an array."""
    return isinstance(target, ast.Subscript) and get_home(type(evaluator.find(target.value))) == "numpy"


def _skip_walrus(node: ast.expr) -> ast.expr:
    return node.value if isinstance(node, ast.NamedExpr) else node


def name_tensor(introspection: Introspection, plan: Plan, caller: Caller) -> str | None:
    """Return what a running line calls a tensor; None where that cannot be told."""
    return read_site(introspection, plan, caller.make_site(), caller).name


def name_argument(frame: FrameType, function: str) -> str | None:
    """Return the text of the one argument that `frame` is calling `function` with, if it is a short name or path."""
    running = read_running(frame, frame.f_lasti, frame.f_lineno)
    node = running.node if running is not None else None
    if running is None or not isinstance(node, ast.Call) or len(node.args) != 1 or node.keywords:
        return None
    called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", None)
    text = running.find_text(node.args[0])
    is_path = isinstance(node.args[0], (ast.Name, ast.Attribute, ast.Subscript)) and len(text) <= _MOST_INSIDE
    return text if called == function and is_path else None


def _put_on_one_line(text: str) -> str:
    """Return an expression without its line breaks and its comments; what is in its strings stays."""
    return ast.unparse(parse_code(f"({text}\n)", "eval")) if "\n" in text else text
