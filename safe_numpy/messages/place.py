"""What a reader calls a place in the source: ``eval.py:57``, or a cell of a notebook. Imports nothing of ours."""

from __future__ import annotations

import os
import sys


def name_place(filename: str, lineno: int) -> str:
    """Return the file, relative to the working directory where it lies below that, and the line; or the cell."""
    cell = _name_cell(filename)
    if cell:
        return f"{cell}, line {lineno}"
    return f"{_relate(filename)}:{lineno}"


def _name_cell(filename: str) -> str:
    """Return ``Cell In[5]``, as IPython's own tracebacks say; nothing for what is no cell."""
    interactive = sys.modules.get("IPython")
    if interactive is None:
        return ""
    try:
        shell = interactive.get_ipython()
        name = shell and shell.compile.format_code_name(filename)  # IPython 8.0
        return " ".join(name) if name else ""
    except Exception:
        return ""


def _relate(filename: str) -> str:
    try:
        relative = os.path.relpath(filename)
    except (OSError, ValueError):  # the working directory is gone, or on another drive
        return filename
    return filename if filename.startswith("<") or relative.startswith(os.pardir) else relative


def get_rank() -> int | None:
    """Return the rank of this process among those that torchrun or its like started; None if it works alone."""
    rank, size = os.environ.get("RANK", ""), os.environ.get("WORLD_SIZE", "")
    return int(rank) if rank.isdigit() and size.isdigit() and int(size) > 1 else None


def find_rank() -> str:
    """Return ``rank 1 of 4``; nothing in a process that works alone."""
    rank = get_rank()
    return "" if rank is None else f"rank {rank} of {os.environ['WORLD_SIZE']}"
