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
    # limit, usage, and the statistic of file pages that the kernel gives back on demand (cgroup v2, then v1)
    (Path("/sys/fs/cgroup"), "memory.max", "memory.current", "inactive_file"),
    (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
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
    found = [n for n in (_read_meminfo(), *(_read_cgroup(*files) for files in _CGROUPS)) if n is not None]
    return min(found, default=None)


def _read_meminfo() -> int | None:
    # Linux, Documentation/filesystems/proc.rst: an estimate of what can be allocated without swapping, in KiB.
    try:
        text = Path("/proc/meminfo").read_text()
    except OSError:
        return None
    match = re.search(r"^MemAvailable:\s+(\d+) kB", text, re.MULTILINE)
    return None if match is None else int(match[1]) * 1024


def _read_cgroup(folder: Path, limit: str, usage: str, reclaimable: str) -> int | None:
    try:
        free = int((folder / limit).read_text()) - int((folder / usage).read_text())
        statistics = (folder / "memory.stat").read_text()
    except (OSError, ValueError):  # no such cgroup version; "max" for no limit
        return None
    # Usage counts the page cache: a data set that was read once would look like memory in use.
    match = re.search(rf"^{reclaimable} (\d+)$", statistics, re.MULTILINE)
    return max(free + (int(match[1]) if match else 0), 0)
