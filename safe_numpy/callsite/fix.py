"""The user's own line, corrected: parts of its text replaced, and only what compiles is shown."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Mapping
from dataclasses import dataclass

from safe_numpy.callsite.source import Excerpt, RunningCode
from safe_numpy.diagnosis.facts import Edit

_MOST_COLUMNS = 86
_MOST_LINES = 5
_SIMPLE = (ast.Expr, ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Assert, ast.Delete, ast.Raise)
"""statements that compile by themselves, without a body"""


@dataclass(frozen=True, slots=True)
class Correction:
    """Source code with the tensors in it converted."""

    expression: str
    """the largest expression around them that the line evaluates at once"""
    shown: str
    """what to paste: the statement, or as much of it as stands by itself and is not too long"""
    edits: tuple[Edit, ...]
    """what to change in the file"""


def correct(running: RunningCode, replacements: Mapping[ast.expr, str]) -> Correction | None:
    """Return the line with some expressions in it replaced; None where its text is not to be had.

    Args:
        running: the line, and the operation in it.
        replacements: expressions of that line, and the code to write for each.
    """
    edits = []
    for node, text in replacements.items():
        start, end = running.excerpt.find_range(node)
        if start == end:
            return None
        edits.append((start, end, text))
    edits.sort()
    around, within_scope = _find_around(running, [(start, end) for start, end, _ in edits])
    texts = [(node, _edit(running.excerpt, node, edits)) for node in around]
    valid = [(node, text) for node, text in texts if text and _compiles(text, "eval")]
    expressions = [text for node, text in valid if node in within_scope]
    if not expressions:
        return None
    shown = [text for _, text in valid]
    if isinstance(running.statement, _SIMPLE):
        statement = _edit(running.excerpt, running.statement, edits)
        if statement and _compiles(statement, "exec"):
            shown.append(statement)
    fitting = [text for text in shown if _fits(text)]
    located = tuple(_locate(running.excerpt.text, *edit) for edit in edits)
    return Correction(expressions[-1], fitting[-1] if fitting else shown[0], located)


def _locate(text: str, start: int, end: int, new: str) -> Edit:
    return Edit(_find_position(text, start), _find_position(text, end), text[start:end], new)


def _find_position(text: str, offset: int) -> tuple[int, int]:
    return text.count("\n", 0, offset) + 1, offset - (text.rfind("\n", 0, offset) + 1)


def _find_around(running: RunningCode, ranges: list[tuple[int, int]]) -> tuple[list[ast.expr], set[ast.expr]]:
    """Return the expressions around all of `ranges`, innermost first; and those of them inside the same lambda."""
    first, last = ranges[0][0], max(end for _, end in ranges)
    around = []
    for node in ast.walk(running.statement):
        if isinstance(node, ast.expr) and not isinstance(node, (ast.Starred, ast.FormattedValue, ast.Slice)):
            start, end = running.excerpt.source.asttext().get_text_range(node, padded=False)
            if start <= first and last <= end and start < end:
                around.append((end - start, node))
    around.sort(key=lambda pair: pair[0])
    nodes = [node for _, node in around]
    within: set[ast.expr] = set()
    for node in nodes:
        if isinstance(node, ast.Lambda):
            break
        within.add(node)
    return nodes, within


def _edit(excerpt: Excerpt, node: ast.AST, edits: list[tuple[int, int, str]]) -> str:
    """Return the text of a node with the edits made, its later lines moved to the left with the first."""
    start, end = excerpt.find_range(node)
    text, position = [], start
    for first, last, replacement in edits:
        if not (start <= first and last <= end) or first < position:
            return ""
        text += [excerpt.text[position:first], replacement]
        position = last
    text.append(excerpt.text[position:end])
    line = excerpt.text[excerpt.text.rfind("\n", 0, start) + 1 : start]
    return "" if start == end else _dedent("".join(text), node, len(line) - len(line.lstrip()))


def _dedent(text: str, node: ast.AST, line_indent: int) -> str:
    """Move the later lines as far to the left as the first line of `node` is indented, but keep them apart."""
    if any(_is_long_string(child) for child in ast.walk(node)):
        return text  # its indentation is part of its value
    first, *others = text.split("\n")
    indent = min([line_indent, *(len(line) - len(line.lstrip()) for line in others if line.strip())])
    return "\n".join([first, *(line[indent:] for line in others)])


def _is_long_string(node: ast.AST) -> bool:
    return isinstance(node, (ast.Constant, ast.JoinedStr)) and node.end_lineno != node.lineno


def _fits(text: str) -> bool:
    lines = text.split("\n")
    return len(lines) <= _MOST_LINES and all(len(line) <= _MOST_COLUMNS for line in lines)


def _compiles(text: str, mode: str) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the user's own code, which was warned about when it was compiled
            compile(text, "<fix>", mode, flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    except (SyntaxError, ValueError):
        return False
    return True
