"""Numbers of bytes, as people write and read them. Imports nothing of ours."""

from __future__ import annotations

import re

_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?", re.IGNORECASE)


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
