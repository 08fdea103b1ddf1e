"""What a line of code called the tensor that failed, and the same line with the tensor converted.

All of it happens when somebody reads the explanation: what is needed for that is found from the error's traceback.
"""

from __future__ import annotations

import ast
from dataclasses import replace
from types import FrameType

from safe_numpy.callsite.expression import Evaluator, find_occurrence
from safe_numpy.callsite.fix import Replacements, correct
from safe_numpy.callsite.frames import Caller, is_translated
from safe_numpy.callsite.source import digest_file, read_line, read_running
from safe_numpy.diagnosis.causes import Plan, put_in_parentheses
from safe_numpy.diagnosis.facts import NOTHING_READ, Reading, Site
from safe_numpy.diagnosis.framework import Introspection
from safe_numpy.messages.layout import shorten

__all__ = ["digest_file", "name_argument", "read_site"]

_MOST_INSIDE = 60


def read_site(introspection: Introspection, plan: Plan, site: Site, caller: Caller) -> Reading:
    """Find a tensor in a line that is running.

    Args:
        introspection: knows the tensor; if it is gone, only the operation can be named.
        plan: what cures it.
        site: the line, as its reader knows it.
        caller: the line, live.
    """
    # code made from other code than the user wrote: only the line is common to both
    is_rewritten = site.code is not None and is_translated(site.code)
    if is_rewritten:
        running = read_line(site.filename, site.lineno)
    else:
        running = read_running(caller.frame, site.lasti, site.lineno)
    if running is None:
        return NOTHING_READ
    source = running.get_line(site.lineno)
    evaluator = Evaluator(caller.frame)
    found = find_occurrence(running, introspection, evaluator, caller)
    text = running.find_text(found.node) if found is not None else ""
    replacements = Replacements(running, evaluator, caller.called)
    if found is None or not text:
        inside = running.find_text(running.node) if running.node is not None else ""
        is_curable = plan.array is not None and not plan.is_for_elements
        fixed = correct(running, replacements.find_unknown() if is_curable else {})
        return replace(fixed, inside=shorten(_put_on_one_line(inside), _MOST_INSIDE), source=source)
    name = _put_on_one_line(text)
    name = put_in_parentheses(name) + found.path if found.path else name
    is_curable = plan.array is not None and not is_rewritten
    fixed = correct(running, replacements.find(introspection.find_tensor(), plan, found) if is_curable else {})
    return replace(fixed, name=name, path=found.path, source=source)


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
    return ast.unparse(ast.parse(f"({text}\n)", mode="eval")) if "\n" in text else text
