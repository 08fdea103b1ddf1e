"""Where an error arose in the user's code: the running line, and what its expressions are.

Imports what reads source; so it is imported late.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any, NamedTuple

from safe_numpy.callsite.expression import Evaluator, find_inside, find_operands
from safe_numpy.callsite.fix import correct
from safe_numpy.callsite.frames import find_package, is_users
from safe_numpy.callsite.source import RunningCode, read_running
from safe_numpy.diagnosis.causes import put_in_parentheses
from safe_numpy.diagnosis.facts import Door, Site
from safe_numpy.diagnosis.framework import find_framework, make_plan


class Finding(NamedTuple):
    """Why an error arose."""

    headline: str
    fix: str | None = None
    """the user's line, corrected"""
    note: str = ""
    more: str = ""
    """a second note"""


class ErrorSite(NamedTuple):
    """The innermost line of the user's that an error passed."""

    site: Site
    running: RunningCode
    evaluator: Evaluator
    is_direct: bool
    """the error arose in this very line, and not in Python code that it called"""

    def get_node(self) -> ast.AST:
        """Return the operation that failed: an expression, or the whole statement."""
        return self.running.node or self.running.statement

    def get_operands(self) -> list[ast.expr]:
        """Return what the operation is given."""
        return list(find_operands(self.running.node)) if self.running.node is not None else []

    def find_text(self, node: ast.expr) -> str:
        """Return the text of an expression."""
        return self.running.find_text(node)

    def find_value(self, node: ast.expr, otherwise: Any = None) -> Any:
        """Return the value of an expression that can be evaluated without running anybody's code."""
        return self.evaluator.find(node, otherwise)

    def find_tensors(self) -> Iterator[tuple[ast.expr, Any]]:
        """Yield the operands that are tensors."""
        for node in self.get_operands():
            value = self.find_value(node)
            if find_framework(value) is not None:
                yield node, value

    def find_object(self, value: Any) -> str:
        """Return what the line calls `value`, an operand or in one; nothing if that cannot be told."""
        operands = self.get_operands()
        for node in operands:
            if self.find_value(node) is value:
                return self.find_text(node)
        for node in operands:
            path = find_inside(self.find_value(node), value)
            if path is not None:
                return put_in_parentheses(self.find_text(node)) + path
        return ""

    def fix(self, replacements: Mapping[ast.expr, str | None]) -> str | None:
        """Return the line with expressions replaced; None if there is nothing to replace them with."""
        return correct(self.running, {node: text for node, text in replacements.items() if text is not None}).shown

    def fix_tensors(self) -> str | None:
        """Return the line with every tensor that the operation is given converted."""
        return self.fix({node: write_conversion(self.find_text(node), x) for node, x in self.find_tensors()})


def find_error_site(traceback: TracebackType | None) -> ErrorSite | None:
    """Return the innermost line of the user's in a traceback, if there is source for it."""
    entry, found = traceback, None
    while entry is not None:
        if is_users(entry.tb_frame):
            found = entry
        entry = entry.tb_next
    if found is None:
        return None
    frame, following = found.tb_frame, found.tb_next
    running = read_running(frame, found.tb_lasti, found.tb_lineno)
    if running is None:
        return None
    library = find_package(following.tb_frame) if following is not None else ""
    source = running.get_line(found.tb_lineno)
    site = Site(frame.f_code.co_filename, found.tb_lineno, frame.f_code.co_name, library, source)
    return ErrorSite(site, running, Evaluator(frame), following is None)


def write_conversion(text: str, tensor: Any) -> str | None:
    """Return the code that makes an array of a tensor called `text`; None where nothing does."""
    plan = make_plan(tensor, Door.ARRAY)
    return None if plan is None else plan.render(text)


def describe_tensor(tensor: Any) -> str:
    """Return what a tensor is, in words."""
    plan = make_plan(tensor, Door.ARRAY)
    return "" if plan is None else str(plan.subject)


def is_tensor(x: Any) -> bool:
    """Tell whether `x` is a tensor of any framework."""
    return find_framework(x) is not None


def is_torch(x: Any) -> bool:
    """Tell whether `x` is a tensor of PyTorch."""
    framework = find_framework(x)
    return framework is not None and framework.name == "torch"


def get_shape(x: Any) -> str:
    """Return the shape of a tensor as text."""
    return str(getattr(x, "shape", None)).removeprefix("torch.Size(").removesuffix(")")


Rule = Callable[[BaseException, ErrorSite], Finding | None]
"""looks at one way to fail on the way to NumPy; says nothing unless an object confirms it"""


def say_array_wanted(name: str, tensor: Any, line: ErrorSite, note: str) -> Finding:
    """Say that code which takes arrays alone was given a tensor."""
    headline = f"`{name}` is a tensor, and an array is wanted here."
    return Finding(headline, line.fix_tensors(), f"it is {describe_tensor(tensor)}", note)


def say_class(name: str) -> Finding:
    """Say that a class was asked what its instances are to be asked."""
    note = "call it, or take the tensor that was made with it"
    return Finding(f"`{name}` is a class, not an instance of it.", note=note)
