"""How large an array a conversion may make: what is free now, or what ``SAFE_NUMPY_MAX_BYTES`` says."""

from __future__ import annotations

import os
import re
import warnings
from pathlib import Path

VARIABLE = "SAFE_NUMPY_MAX_BYTES"

ALWAYS_FITS = 64 << 20
"""bytes; below this nobody asks how much memory there is, which takes longer than the conversion"""

_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?", re.IGNORECASE)
_CGROUPS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)

_complained_of: set[str] = set()


def find_limit(nbytes: int) -> int | None:
    """Return the bytes that an array may take if that is less than `nbytes`; None: it fits."""
    raw = os.environ.get(VARIABLE)
    stated = None if raw is None else parse_size(raw)
    if stated is None and raw and raw not in _complained_of:
        _complained_of.add(raw)
        warnings.warn(
            f"{VARIABLE}={raw!r} is no size; the memory available is used. "
            "Valid: a number of bytes, or with a unit, such as 8GiB",
            UserWarning,
            stacklevel=2,
        )
    if stated is None and nbytes < ALWAYS_FITS:
        return None
    limit = find_available() if stated is None else stated
    return limit if limit is not None and nbytes > limit else None


def parse_size(text: str) -> int | None:
    """Return the bytes that `text` states (``1_000_000``, ``8GiB``, ``512 MB``; units are powers of 1024)."""
    match = _SIZE.fullmatch(text.strip().strip("\"'").replace("_", ""))
    return None if match is None else int(float(match[1]) * _UNITS[match[2].lower()])


def find_available() -> int | None:
    """Return the bytes that this process could still allocate, in this container; None where nobody can tell."""
    found = [n for n in (_read_meminfo(), *map(_read_cgroup, _CGROUPS)) if n is not None]
    return min(found, default=None)


def _read_meminfo() -> int | None:
    # Linux, Documentation/filesystems/proc.rst: an estimate of what can be allocated without swapping, in KiB.
    try:
        text = Path("/proc/meminfo").read_text()
    except OSError:
        return None
    match = re.search(r"^MemAvailable:\s+(\d+) kB", text, re.MULTILINE)
    return None if match is None else int(match[1]) * 1024


def _read_cgroup(files: tuple[str, str]) -> int | None:
    try:
        limit, used = (int(Path(f).read_text()) for f in files)
    except (OSError, ValueError):  # no such cgroup version; "max" for no limit
        return None
    return max(limit - used, 0)
