"""How messages are laid out: an explanation, and a table of figures; as plain text, for a terminal, or as HTML.

Colour is for what the interpreter itself is about to print to a terminal.
"""

from __future__ import annotations

import html
import os
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from types import FrameType
from typing import Any

from safe_numpy.messages.units import show_controls

_COLUMNS = 100
_LONGEST_WORD = 500
"""characters, in prose: names of classes may be of any length"""
_Line = list[tuple[str, str]]
"""spans: a style, and a text"""


@dataclass(frozen=True, slots=True)
class Row:
    """A word, and what is said of it."""

    word: str
    text: str
    is_code: bool = False
    """its lines are kept as they are; prose is filled"""
    is_cut: bool = False
    """a line that is too long is cut, since it is there to be recognized"""
    is_fix: bool = False
    aside: str = ""
    """stands behind the code, where there is room, else below it"""


@dataclass(frozen=True, slots=True)
class Message:
    """A headline, and blocks of rows."""

    headline: str
    blocks: Sequence[Sequence[Row]]

    def to_text(self) -> str:
        """Return plain text, at most 100 columns wide but for code that is longer."""
        return self._join(lambda style, text: text)

    def to_ansi(self) -> str:
        """Return text with the colours of a terminal, the reader's own: nothing is assumed of the background."""
        codes = {"word": "1", "headline": "1", "fix": "32"}
        return self._join(lambda style, text: f"\x1b[{codes[style]}m{text}\x1b[0m" if style in codes else text)

    def to_html(self) -> str:
        """Return HTML that takes its colours from the page; everything in it is escaped.

        The font is set here: some front ends of notebooks give ``pre`` in an output a proportional one
        (https://github.com/microsoft/vscode-jupyter/issues/9243).
        """

        def tag(style: str, text: str) -> str:
            escaped = html.escape(text)
            return f"<b>{escaped}</b>" if style in ("word", "headline") else escaped

        return f'<pre class="safe-numpy" style="font-family: monospace">{self._join(tag)}</pre>'

    def _join(self, paint: Callable[[str, str], str]) -> str:
        return "\n".join("".join(paint(style, text) for style, text in line) for line in self._lay_out())

    def _lay_out(self) -> Iterator[_Line]:
        blocks = [[_clean_row(row) for row in block] for block in self.blocks]
        width = max((len(row.word) for block in blocks for row in block), default=0) + 2
        yield from ([("headline", line)] for line in _fill_lines(show_controls(self.headline), _COLUMNS))
        for i, block in enumerate(blocks):
            if i and block:
                yield []
            for row in block:
                yield from _lay_out_row(row, width)


def _clean_row(row: Row) -> Row:
    """Return a row without anything that a terminal would obey."""
    if row.word.isprintable() and row.text.isprintable() and row.aside.isprintable():
        return row
    word, aside = show_controls(row.word, ""), show_controls(row.aside, "")
    return replace(row, word=word, text=show_controls(row.text), aside=aside)


def _lay_out_row(row: Row, width: int) -> Iterator[_Line]:
    room = _COLUMNS - width - 2
    lines = row.text.split("\n") if row.is_code else _fill_lines(row.text, room)
    for i, text in enumerate(shorten(line, room) if row.is_cut else line for line in lines):
        style = "fix" if row.is_fix else "code" if row.is_code else ""
        word = row.word if i == 0 else ""
        line: _Line = [("", "  "), ("word", word), ("", " " * (width - len(word))), (style, text)]
        if row.aside and i == len(lines) - 1:
            if len(text) + 3 + len(row.aside) <= room:
                line.append(("", f"   {row.aside}"))
            else:
                yield line
                line = [("", " " * (width + 2) + row.aside)]
        yield line


def _fill_lines(text: str, width: int) -> list[str]:
    if len(text) <= width and text.isprintable():
        return [text.rstrip()]  # as textwrap does
    if len(text) > _LONGEST_WORD:
        text = " ".join(shorten(word, _LONGEST_WORD) for word in text.split(" "))
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]


def shorten(text: str, width: int) -> str:
    """Return a text of one line, its end left out where it is too long."""
    return text if len(text) <= width else f"{text[: width - 2].rstrip()} …"


@dataclass(frozen=True, slots=True)
class TableRow:
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
    rows: Sequence[TableRow]
    notes: Sequence[str] = ()

    def __post_init__(self) -> None:
        rows = [
            replace(row, cells=tuple(show_controls(c, "") for c in row.cells), code=show_controls(row.code))
            for row in self.rows
        ]
        object.__setattr__(self, "rows", rows)
        object.__setattr__(self, "headline", show_controls(self.headline))
        object.__setattr__(self, "notes", [show_controls(note) for note in self.notes])

    def to_text(self) -> str:
        """Return plain text."""
        return "\n".join(line.rstrip() for line in self._lay_out())

    def to_html(self) -> str:
        """Return HTML that takes its colours from the page, a bar in the first column; everything in it is escaped."""
        head = self._tag("th", map(html.escape, self.head))
        body = "".join(f"<tr>{self._tag('td', _make_html_cells(row))}</tr>" for row in self.rows)
        rows = f"<table><tr>{head}</tr>{body}</table>" if self.rows else ""
        notes = "".join(f"<p>{html.escape(note)}</p>" for note in self.notes)
        return f'<div class="safe-numpy"><p>{html.escape(self.headline)}</p>{rows}{notes}</div>'

    def _lay_out(self) -> Iterator[str]:
        yield self.headline
        if self.rows:
            yield ""
            every = [self.head, *(row.cells for row in self.rows)]
            widths = [max(map(len, column)) for column in zip(*every, strict=True)]
            yield self._align(self.head, widths)
            for row in self.rows:
                yield self._align(row.cells, widths)
                indent = sum(widths[:-1]) + 2 * len(widths)
                yield from (" " * indent + code for code in row.code.splitlines())
        for note in self.notes:
            yield ""
            yield note

    def _tag(self, tag: str, cells: Iterable[str]) -> str:
        style = "text-align: {}; vertical-align: top; white-space: nowrap; padding: 0.2em 0.7em"
        sides = ["right" if i < self.figures else "left" for i in range(len(self.head))]
        pairs = zip(sides, cells, strict=True)
        return "".join(f'<{tag} style="{style.format(side)}">{cell}</{tag}>' for side, cell in pairs)

    def _align(self, cells: Sequence[str], widths: Sequence[int]) -> str:
        return "  ".join(
            cell.rjust(width) if i < self.figures else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )


def _make_html_cells(row: TableRow) -> list[str]:
    cells = [html.escape(cell) for cell in row.cells]
    bar = f"width: {100 * row.share:.0f}%; height: 0.4em; background: currentColor; opacity: 0.4; margin-left: auto"
    cells[0] += f'<div style="min-width: 7em"><div style="{bar}"></div></div>'
    code = html.escape(row.code)
    cells[-1] += f'<pre style="font-family: monospace; margin: 0.3em 0 0 0">{code}</pre>' if code else ""
    return cells


class Displayed:
    """Shows what it composes: by ``str()``, at an IPython prompt, and in a notebook."""

    __slots__ = ()

    def compose(self) -> Message | Table:
        """Return what there is to show."""
        raise NotImplementedError

    def __str__(self) -> str:
        return self.compose().to_text()

    def _repr_html_(self) -> str:
        return self.compose().to_html()

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(str(self))


def is_displayed(frame: FrameType) -> bool:
    """Tell whether the interpreter is displaying an uncaught error, whose ``__str__`` runs in `frame`.

    It calls ``__str__`` with no Python code in between but our hook, or, since Python 3.13, from a function of
    `traceback` (https://github.com/python/cpython/pull/110702). Anybody else may want the text for a file.
    """
    caller = frame.f_back
    while caller is not None and dict.get(caller.f_globals, "__name__") == "safe_numpy.postmortem.excepthook":
        caller = caller.f_back
    if caller is None:
        return True
    while caller is not None:
        if caller.f_code.co_name == "_print_exception_bltin":
            return True
        caller = caller.f_back
    return False


def wants_colour() -> bool:
    """Tell whether what is printed to stderr is to be coloured.

    ``NO_COLOR`` (https://no-color.org) and ``FORCE_COLOR`` (https://force-color.org) overrule the look at the stream.
    """
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    stream = sys.stderr
    return stream is not None and stream.isatty() and os.environ.get("TERM") != "dumb"
