"""How an explanation is laid out: rows of a word and a text, as plain text, for a terminal, or as HTML.

Imports nothing of ours.
"""

from __future__ import annotations

import html
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

_COLUMNS = 100


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


_Span = tuple[str, str]  # style, text
_Line = list[_Span]


def to_text(message: Message) -> str:
    """Return plain text, at most 100 columns wide but for code that is longer."""
    return _join(message, lambda style, text: text)


def to_ansi(message: Message) -> str:
    """Return text with the colours of a terminal, the reader's own: nothing is assumed of the background."""
    codes = {"word": "1", "headline": "1", "fix": "32"}
    return _join(message, lambda style, text: f"\x1b[{codes[style]}m{text}\x1b[0m" if style in codes else text)


def to_html(message: Message) -> str:
    """Return HTML that takes its colours from the page; everything in it is escaped.

    The font is set here: Jupyter gives ``pre`` in an output a proportional one.
    """

    def tag(style: str, text: str) -> str:
        escaped = html.escape(text)
        return f"<b>{escaped}</b>" if style in ("word", "headline") else escaped

    return f'<pre class="safe-numpy" style="font-family: monospace">{_join(message, tag)}</pre>'


def _join(message: Message, paint: Callable[[str, str], str]) -> str:
    return "\n".join("".join(paint(style, text) for style, text in line) for line in _lay_out(message))


def _lay_out(message: Message) -> Iterator[_Line]:
    width = max((len(row.word) for block in message.blocks for row in block), default=0) + 2
    yield from ([("headline", line)] for line in _fill(message.headline, _COLUMNS))
    for i, block in enumerate(message.blocks):
        if i and block:
            yield []
        for row in block:
            yield from _lay_out_row(row, width)


def _lay_out_row(row: Row, width: int) -> Iterator[_Line]:
    room = _COLUMNS - width - 2
    lines = row.text.split("\n") if row.is_code else _fill(row.text, room)
    for i, text in enumerate(shorten(line, room) if row.is_cut else line for line in lines):
        style = "fix" if row.is_fix else "code" if row.is_code else ""
        line: _Line = [("", "  "), ("word", row.word if i == 0 else ""), (style, text)]
        line.insert(2, ("", " " * (width - len(line[1][1]))))
        if row.aside and i == len(lines) - 1:
            if len(text) + 3 + len(row.aside) <= room:
                line.append(("", f"   {row.aside}"))
            else:
                yield line
                line = [("", " " * (width + 2) + row.aside)]
        yield line


def _fill(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]


def shorten(text: str, width: int) -> str:
    """Return a text of one line, its end left out where it is too long."""
    return text if len(text) <= width else f"{text[: width - 2].rstrip()} …"
