"""The running line as its reader wrote it, where what runs was made from other code."""

from __future__ import annotations

import ast
import itertools
from dataclasses import replace
from types import CodeType, FrameType

from safe_numpy.callsite.frames import Translator, find_translator
from safe_numpy.callsite.source import RunningCode, read_line, read_running
from safe_numpy.diagnosis.facts import Site

_CODE_UNIT = 2  # bytes


def read_written(site: Site, frame: FrameType, lasti: int, lineno: int | None = None) -> RunningCode | None:
    """Return what an instruction is, in the source that its reader wrote; None where there is no source.

    Args:
        site: the line, as its reader knows it.
        frame: runs it.
        lasti: the instruction.
        lineno: the line of the code that runs; that of the instruction, if not given.
    """
    translator = find_translator(frame.f_code)
    if translator is None:
        return read_running(frame, lasti, site.lineno if lineno is None else lineno)
    written = read_line(site.filename, site.lineno)
    made = read_running(frame, lasti, _find_made_line(frame.f_code, lasti) or frame.f_lineno)
    if written is None or made is None or made.node is None:
        return written
    return replace(written, node=_find_alike(written.statement, translator, made.node))


def _find_made_line(code: CodeType, lasti: int) -> int | None:
    position = next(itertools.islice(code.co_positions(), lasti // _CODE_UNIT, None), None)
    return None if position is None else position[0]


def _find_alike(statement: ast.stmt, translator: Translator, made: ast.expr) -> ast.expr | None:
    """Return the first expression of a statement from which `made` was made."""
    text = _dump(translator.restore(made))
    nodes = [n for n in ast.walk(statement) if isinstance(n, ast.expr) and type(n) is not ast.Constant]
    found = [n for n in nodes if _dump(n) == text]
    return min(found, key=lambda n: (n.lineno, n.col_offset), default=None)


def _dump(node: ast.expr) -> str:
    return ast.dump(node).replace("Store()", "Load()")
