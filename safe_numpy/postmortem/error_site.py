"""Where an error arose in the user's code: the running line, and what its expressions are.

Imports what reads source; so it is imported late.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from types import FrameType, TracebackType
from typing import Any, NamedTuple

from safe_numpy.callsite.expression import Evaluator, find_inside, find_operands
from safe_numpy.callsite.fix import correct
from safe_numpy.callsite.frames import Site, find_package, is_users
from safe_numpy.callsite.source import RunningCode, read_running
from safe_numpy.diagnosis import framework as frameworks
from safe_numpy.diagnosis.causes import is_primary
from safe_numpy.diagnosis.facts import NO_FACTS, Door, Facts


class Finding(NamedTuple):
    """Why an error arose."""

    cause: str
    """names the sentence"""
    facts: Facts = NO_FACTS
    fix: str | None = None
    """the user's line, corrected"""
    note: str = ""
    """names a second sentence"""


class Scene(NamedTuple):
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
        return self.running.excerpt.find_text(node)

    def find_value(self, node: ast.expr, otherwise: Any = None) -> Any:
        """Return the value of an expression that can be evaluated without running anybody's code."""
        return self.evaluator.find(node, otherwise)

    def find_tensors(self) -> Iterator[tuple[ast.expr, Any]]:
        """Yield the operands that are tensors."""
        for node in self.get_operands():
            value = self.find_value(node)
            if frameworks.of(value) is not None:
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
                text = self.find_text(node)
                return (text if is_primary(text) else f"({text})") + path
        return ""

    def fix(self, replacements: Mapping[ast.expr, str | None]) -> str | None:
        """Return the line with expressions replaced; None if there is nothing to replace them with."""
        given = {node: text for node, text in replacements.items() if text is not None}
        correction = correct(self.running, given) if given else None
        return correction.shown if correction is not None else None

    def fix_tensors(self) -> str | None:
        """Return the line with every tensor that the operation is given converted."""
        return self.fix({node: convert(self.find_text(node), x) for node, x in self.find_tensors()})


def find_scene(traceback: TracebackType | None) -> Scene | None:
    """Return the innermost line of the user's in a traceback, if there is source for it."""
    entry, scene = traceback, None
    while entry is not None:
        if is_users(entry.tb_frame):
            scene = entry
        entry = entry.tb_next
    if scene is None:
        return None
    running = read_running(scene.tb_frame, scene.tb_lasti, scene.tb_lineno)
    if running is None:
        return None
    return Scene(_make_site(scene, running), running, Evaluator(scene.tb_frame, frameworks), scene.tb_next is None)


def _make_site(entry: TracebackType, running: RunningCode) -> Site:
    code, lines = entry.tb_frame.f_code, running.excerpt.source.lines
    source = lines[entry.tb_lineno - 1].strip() if 0 < entry.tb_lineno <= len(lines) else ""
    inner: FrameType | None = entry.tb_next.tb_frame if entry.tb_next is not None else None
    library = find_package(inner) if inner is not None else ""
    return Site(code.co_filename, entry.tb_lineno, code.co_name, library, source)


def convert(text: str, tensor: Any) -> str | None:
    """Return the code that makes an array of a tensor called `text`; None where nothing does."""
    framework = frameworks.of(tensor)
    if framework is None:
        return None
    with framework.undisturbed():
        return framework.plan(tensor, Door.ARRAY).render(text)


def describe(tensor: Any) -> str:
    """Return what a tensor is, in words."""
    framework = frameworks.of(tensor)
    if framework is None:
        return ""
    with framework.undisturbed():
        return str(framework.describe(tensor)())


def is_tensor(x: Any) -> bool:
    """Tell whether `x` is a tensor of any framework."""
    return frameworks.of(x) is not None


def is_torch(x: Any) -> bool:
    """Tell whether `x` is a tensor of PyTorch."""
    framework = frameworks.of(x)
    return framework is not None and framework.name == "torch"


def get_shape(x: Any) -> str:
    """Return the shape of a tensor as text."""
    return str(getattr(x, "shape", None)).removeprefix("torch.Size(").removesuffix(")")


Rule = Callable[[BaseException, Scene], Finding | None]
"""looks at one way to fail on the way to NumPy; says nothing unless an object confirms it"""
