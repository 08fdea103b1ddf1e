"""The user's own line, corrected: parts of its text replaced, and only what compiles is shown."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from types import ModuleType

from safe_numpy.callsite.evaluator import Evaluator
from safe_numpy.callsite.source import RunningCode
from safe_numpy.diagnosis.causes import is_primary, parse_code
from safe_numpy.diagnosis.facts import NOTHING_READ, Edit, Reading

IMPORTS: Mapping[str, tuple[str, str | None]] = {
    "torch": ("torch", None),
    "np": ("numpy", "np"),
    "tf": ("tensorflow", "tf"),
    "keras": ("keras", None),
    "ml_dtypes": ("ml_dtypes", None),
    "safe_numpy": ("safe_numpy", None),
}
"""what the names in a fix stand for"""

_MOST_COLUMNS = 300
_MOST_LINES = 12
_SIMPLE_STATEMENTS = (ast.Expr, ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Assert, ast.Delete, ast.Raise, ast.Return)
_Edits = list[tuple[int, int, str]]
"""where pieces of a text start and end, and what to write there; in order"""


def correct(running: RunningCode, replacements: Mapping[ast.expr, str], evaluator: Evaluator) -> Reading:
    """Return the line with some expressions in it replaced; nothing where its text is not to be had.

    `Reading.fix` is the largest expression around them that the line evaluates at once; `Reading.shown` is what to
    paste: the statement, or the head of one that has a body; where neither stands by itself or it is too long, a part.

    Args:
        running: the line, and the operation in it.
        replacements: expressions of that line, and the code to write for each.
        evaluator: knows what the names in it stand for.
    """
    edits, whole = [], running.source.text
    for node, text in replacements.items():
        start, end = running.find_range(node)
        if start == end:
            return NOTHING_READ
        edits.append((start, end, text))
    if not edits:
        return NOTHING_READ
    edits.sort()
    located = tuple(Edit(_find_position(whole, a), _find_position(whole, b), whole[a:b], new) for a, b, new in edits)
    tight = [_widen(whole, *edit) for edit in edits]
    around, within_scope = _find_around(running, [(start, end) for start, end, _ in tight])
    texts = [(node, _edit(running, node, tight)) for node in around]
    valid = [(node, text) for node, text in texts if text and _compiles(text, "eval")]
    expressions = [text for node, text in valid if node in within_scope]
    missing = "".join(f"{line}\n" for line in _list_imports((text for _, _, text in edits), evaluator))
    statement = _edit_statement(running, tight)
    if statement and (_fits(statement) or not valid):
        fix = expressions[-1] if expressions else edits[0][2]
        return Reading(fix=fix, shown=missing + statement, edits=located)
    if not expressions:
        return NOTHING_READ
    fitting = [text for _, text in valid if _fits(text)]
    part = fitting[-1] if fitting else valid[0][1]
    return Reading(fix=expressions[-1], shown=missing + part, edits=located, is_part=True)


def find_importable(text: str) -> set[str]:
    """Return the names that an expression mentions, of those that may have to be imported for it."""
    tree = parse_code(f"({text}\n)", "eval")
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id in IMPORTS}


def _list_imports(texts: Iterable[str], evaluator: Evaluator) -> list[str]:
    """Return the imports that are missing for these expressions where the line runs."""
    lines = []
    for name in sorted({name for text in texts for name in find_importable(text)}):
        module, alias = IMPORTS[name]
        bound = evaluator.find(ast.Name(name, ast.Load()))
        # TensorFlow has Keras as its own `keras._tf_keras.keras`
        if not isinstance(bound, ModuleType) or bound.__name__.rpartition(".")[2] != module:
            lines.append(f"import {module} as {alias}" if alias else f"import {module}")
    return lines


def _widen(whole: str, start: int, end: int, text: str) -> tuple[int, int, str]:
    """Return an edit that takes in the parentheses around what it replaces, where the new text needs none."""
    if not is_primary(text):
        return start, end, text
    first, last = start, end
    while first and whole[first - 1] in " \t":
        first -= 1
    while last < len(whole) and whole[last] in " \t":
        last += 1
    if whole[first - 1 : first] != "(" or whole[last : last + 1] != ")":
        return start, end, text
    before = whole[: first - 1].rstrip(" \t")[-1:]
    if before.isidentifier() or before.isdigit() or before in (")", "]", "}", '"', "'"):
        return start, end, text  # of a call, or behind a keyword
    return first - 1, last + 1, text


def _edit_statement(running: RunningCode, edits: _Edits) -> str:
    """Return the statement with the edits made, or its head where it has a body; nothing if that is not to be had."""
    statement = running.statement
    if isinstance(statement, _SIMPLE_STATEMENTS):
        text = _edit(running, statement, edits)
        return text if text and _compiles(text, "exec") else ""
    if not isinstance(statement, (ast.If, ast.While, ast.For, ast.AsyncFor, ast.With, ast.AsyncWith)):
        return ""
    whole = running.source.text
    start, _ = running.find_range(statement)
    end, _ = running.find_range(statement.body[0])
    colon = whole.find(":", max(last for _, last, _ in edits))
    while start < colon < end:
        head = _replace(whole, start, colon + 1, edits)
        if head and _compiles(f"if 1: pass\n{head} pass" if head.startswith("elif") else f"{head} pass", "exec"):
            return _dedent(head, statement, _measure(whole, start))
        colon = whole.find(":", colon + 1)
    return ""


def _find_position(text: str, offset: int) -> tuple[int, int]:
    return text.count("\n", 0, offset) + 1, offset - (text.rfind("\n", 0, offset) + 1)


def _find_around(running: RunningCode, ranges: list[tuple[int, int]]) -> tuple[list[ast.expr], set[ast.expr]]:
    """Return the expressions around all of `ranges`, innermost first; and those of them inside the same lambda."""
    first, last = ranges[0][0], max(end for _, end in ranges)
    around = []
    for node in ast.walk(running.statement):
        if isinstance(node, ast.expr) and not isinstance(node, (ast.Starred, ast.FormattedValue, ast.Slice)):
            start, end = running.source.asttext().get_text_range(node, padded=False)
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


def _edit(running: RunningCode, node: ast.AST, edits: _Edits) -> str:
    """Return the text of a node with the edits made, its later lines moved to the left with the first."""
    start, end = running.find_range(node)
    text = "" if start == end else _replace(running.source.text, start, end, edits)
    return _dedent(text, node, _measure(running.source.text, start)) if text else ""


def _replace(whole: str, start: int, end: int, edits: _Edits) -> str:
    """Return a piece of a text with the edits made; nothing where they do not all lie in it."""
    text, position = [], start
    for first, last, replacement in edits:
        if not (start <= first and last <= end) or first < position:
            return ""
        text += [whole[position:first], replacement]
        position = last
    return "".join([*text, whole[position:end]])


def _measure(whole: str, start: int) -> int:
    """Return how far the line is indented that the text has at `start`."""
    line = whole[whole.rfind("\n", 0, start) + 1 : start]
    return len(line) - len(line.lstrip())


def _dedent(text: str, node: ast.AST, line_indent: int) -> str:
    """Move the later lines as far to the left as the first line of `node` is indented, but keep them apart."""
    if "\n" not in text:
        return text
    strings = (n for n in ast.walk(node) if isinstance(n, (ast.Constant, ast.JoinedStr)))
    if any(string.end_lineno != string.lineno for string in strings):
        return text  # its indentation is part of its value
    first, *others = text.split("\n")
    indent = min([line_indent, *(len(line) - len(line.lstrip()) for line in others if line.strip())])
    return "\n".join([first, *(line[indent:] for line in others)])


def _fits(text: str) -> bool:
    lines = text.split("\n")
    return len(lines) <= _MOST_LINES and all(len(line) <= _MOST_COLUMNS for line in lines)


def _compiles(text: str, mode: str) -> bool:
    try:
        parse_code(text, mode)  # what `return` and `await` stand in is not to be seen here
    except (SyntaxError, ValueError):
        return False
    return True
