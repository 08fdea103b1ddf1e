"""How a table of figures is laid out: as plain text, or as HTML with bars. Imports nothing of ours."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Line:
    """A row of figures, and what stands below it."""

    cells: tuple[str, ...]
    code: str = ""
    share: float = 0.0
    """how long its bar is, from 0 to 1"""


@dataclass(frozen=True, slots=True)
class Table:
    """A sentence, columns of figures and texts, and notes."""

    headline: str
    head: tuple[str, ...]
    figures: int
    """so many columns hold figures, which stand to the right"""
    lines: Sequence[Line]
    notes: Sequence[str] = ()


def to_text(table: Table) -> str:
    """Return plain text."""
    return "\n".join(line.rstrip() for line in _lay_out(table))


def _lay_out(table: Table) -> Iterator[str]:
    yield table.headline
    if table.lines:
        yield ""
        rows = [table.head, *(line.cells for line in table.lines)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        yield _align(table.head, widths, table.figures)
        for line in table.lines:
            yield _align(line.cells, widths, table.figures)
            indent = sum(widths[:-1]) + 2 * len(widths)
            yield from (" " * indent + code for code in line.code.splitlines())
    for note in table.notes:
        yield ""
        yield note


def _align(cells: Sequence[str], widths: Sequence[int], figures: int) -> str:
    return "  ".join(
        cell.rjust(width) if i < figures else cell.ljust(width)
        for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )


def to_html(table: Table) -> str:
    """Return HTML that takes its colours from the page, a bar in the first column; everything in it is escaped."""
    head = "".join(f"<th{_style(i < table.figures)}>{html.escape(cell)}</th>" for i, cell in enumerate(table.head))
    body = "".join(f"<tr>{_make_cells(line, table.figures)}</tr>" for line in table.lines)
    rows = f"<table><tr>{head}</tr>{body}</table>" if table.lines else ""
    notes = "".join(f"<p>{html.escape(note)}</p>" for note in table.notes)
    return f'<div class="safe-numpy"><p>{html.escape(table.headline)}</p>{rows}{notes}</div>'


def _make_cells(line: Line, figures: int) -> str:
    cells = [html.escape(cell) for cell in line.cells]
    bar = f"width: {100 * line.share:.0f}%; height: 0.4em; background: currentColor; opacity: 0.4; margin-left: auto"
    cells[0] += f'<div style="min-width: 7em"><div style="{bar}"></div></div>'
    code = html.escape(line.code)
    cells[-1] += f'<pre style="font-family: monospace; margin: 0.3em 0 0 0">{code}</pre>' if code else ""
    return "".join(f"<td{_style(i < figures)}>{cell}</td>" for i, cell in enumerate(cells))


def _style(is_figure: bool) -> str:
    side = "right" if is_figure else "left"
    return f' style="text-align: {side}; vertical-align: top; white-space: nowrap; padding: 0.2em 0.7em"'
