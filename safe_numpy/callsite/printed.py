"""What a printed line is made of: the words, and the values between them."""

from __future__ import annotations

import ast
import re
import string
from collections.abc import Iterator, Sequence

_PERCENT = re.compile(r"%(?:%|[-+ #0]*\d*(?:\.\d+)?[sdifgeEGrx])")


def open_format(node: ast.expr) -> list[ast.expr] | None:
    """Return the pieces of text and the values of which an expression makes one string; None: they are not known.

    An expression that is no such string is the only piece.
    """
    if isinstance(node, ast.JoinedStr):
        return _tidy(n.value if isinstance(n, ast.FormattedValue) else n for n in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod) and _is_string(node.left):
        values = node.right.elts if isinstance(node.right, ast.Tuple) else [node.right]
        words = _PERCENT.split(_read_string(node.left))
        return _weave(words, values) if len(words) == len(values) + 1 else None
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "format":
        return _open_fields(node, _read_string(node.func.value)) if _is_string(node.func.value) else None
    return [node]


def _open_fields(call: ast.Call, text: str) -> list[ast.expr] | None:
    """``"{}: {:.2f}".format(a, b)``."""
    named = {k.arg: k.value for k in call.keywords}
    positional, words, values = iter(call.args), list[str](), list[ast.expr]()
    for literal, name, _, _ in string.Formatter().parse(text):
        words.append(literal)
        if name is None:
            continue
        value = next(positional, None) if name == "" else named.get(name)
        if value is None and name.isdigit() and int(name) < len(call.args):
            value = call.args[int(name)]
        if value is None:
            return None
        values.append(value)
    return _weave([*words, ""][: len(values) + 1], values)


def _weave(words: Sequence[str], values: Sequence[ast.expr]) -> list[ast.expr]:
    pieces: list[ast.expr] = [ast.Constant(words[0])]
    for value, word in zip(values, words[1:], strict=True):
        pieces += [value, ast.Constant(word)]
    return _tidy(pieces)


def _tidy(pieces: Sequence[ast.expr] | Iterator[ast.expr]) -> list[ast.expr]:
    """Return them without what would stand double where a blank stands between two: ``, loss: `` is ``loss:``."""
    tidy: list[ast.expr] = []
    for piece in pieces:
        if _is_string(piece):
            text = _read_string(piece).strip().removeprefix(",").strip()
            tidy += [ast.Constant(text)] if text else []
        else:
            tidy.append(piece)
    return tidy


def _is_string(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _read_string(node: ast.expr) -> str:
    assert isinstance(node, ast.Constant)
    return str(node.value)
