"""Bytes, seconds, types, places in the source and ranks, in the words that people know them by."""

from __future__ import annotations

import difflib
import linecache
import os
import re
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress

_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?", re.IGNORECASE)


_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""what a terminal obeys instead of showing it, what turns the direction of a text, and what cannot be encoded"""


def show_controls(text: str, kept: str = "\n\t") -> str:
    """Return a text with its control characters as ``\\x1b``: names, paths and files may come from anybody."""
    if text.isprintable():
        return text
    return _CONTROLS.sub(lambda match: match[0] if match[0] in kept else _escape(match[0]), text)


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def parse_size(text: str) -> int | None:
    """Return the bytes that `text` states (``1_000_000``, ``8GiB``, ``512 MB``; units are powers of 1024)."""
    match = _SIZE.fullmatch(text.strip().strip("\"'").replace("_", ""))
    return None if match is None else int(float(match[1]) * _UNITS[match[2].lower()])


def format_bytes(n: int) -> str:
    """Return ``1.2 KiB`` for 1280."""
    size = float(n)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{n} B" if unit == "B" else f"{_one_decimal(size)} {unit}"
        size /= 1024
    return f"{_one_decimal(size)} TiB"


def _one_decimal(size: float) -> str:
    return f"{int(size * 10) / 10:g}"


def format_seconds(seconds: float) -> str:
    """Return ``12 ms`` for 0.012."""
    for factor, unit in ((1, "s"), (1e3, "ms"), (1e6, "µs")):
        if seconds * factor >= 1:
            return f"{seconds * factor:,.{0 if seconds * factor >= 9.95 else 1}f} {unit}"
    return "0 s" if not seconds else "< 1 µs"


def name_type(x: object) -> str:
    """Return ``list``, or ``package.Class``."""
    cls = type(x)
    return cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"


def join_names(names: Sequence[str]) -> str:
    """Return ``a, b and c``."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def suggest(word: str, known: Sequence[str]) -> str:
    """Return ``; did you mean 'strict'?``, or nothing where no known word is close."""
    close = difflib.get_close_matches(word, known, 1)
    return f"; did you mean {close[0]!r}?" if close else ""


def count_noun(n: int, noun: str) -> str:
    """Return ``1 line``, ``2 lines``."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def name_place(filename: str, lineno: int) -> str:
    """Return the file, relative to the working directory where it lies below that, and the line; or the cell."""
    cell = None
    with suppress(Exception):  # no IPython, or one before 8.0
        cell = sys.modules["IPython"].get_ipython().compile.format_code_name(filename)
    if cell:
        return f"{show_controls(' '.join(cell), '')}, line {lineno}"  # ``Cell In[5]``, as IPython's own tracebacks say
    with suppress(OSError, ValueError):  # the working directory is gone, or on another drive
        relative = os.path.relpath(filename)
        if not filename.startswith("<") and not relative.startswith(os.pardir):
            filename = relative
    return f"{show_controls(filename, '')}:{lineno}"


def read_line_text(filename: str, lineno: int) -> str:
    """Return what a line of a file says; nothing where there is no such file."""
    with suppress(ValueError):  # what no file can be called
        return linecache.getline(filename, lineno).strip()
    return ""


RankSource = Callable[[], tuple[int, int] | None]
"""gives the rank of this process, and how many there are; None: not known to it"""

RANK_SOURCES: dict[str, RankSource] = {}
"""those who know more than the environment says, by the names of frameworks, each of which enters its own"""

_RANK_VARIABLES = {
    "RANK": "WORLD_SIZE",  # torchrun, and what follows it
    "OMPI_COMM_WORLD_RANK": "OMPI_COMM_WORLD_SIZE",  # mpirun of Open MPI
    "PMI_RANK": "PMI_SIZE",  # mpiexec of MPICH and Intel MPI
    "SLURM_PROCID": "SLURM_NTASKS",  # srun
}


def _find_ranks() -> tuple[int, int] | None:
    for find in RANK_SOURCES.copy().values():  # another thread may be importing a framework
        with suppress(Exception):
            found = find()
            if found is not None and found[1] > 1:
                return found
    for name, size_name in _RANK_VARIABLES.items():
        rank, size = os.environ.get(name, ""), os.environ.get(size_name, "")
        if rank.isdigit() and size.isdigit() and int(size) > 1:
            return int(rank), int(size)
    return None


def get_rank() -> int | None:
    """Return the rank of this process among those that were started together; None if it works alone.

    A process group that is up knows it (``torch.multiprocessing.spawn`` sets no variable), else the environment.
    """
    found = _find_ranks()
    return None if found is None else found[0]


def find_rank() -> str:
    """Return ``rank 1 of 4``; nothing in a process that works alone."""
    found = _find_ranks()
    return "" if found is None else f"rank {found[0]} of {found[1]}"
