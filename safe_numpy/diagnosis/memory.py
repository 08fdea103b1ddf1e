"""How large an array a conversion may make: what is free now, or what ``SAFE_NUMPY_MAX_BYTES`` says."""

from __future__ import annotations

import re
from pathlib import Path

from safe_numpy.config.modes import MAX_BYTES

ALWAYS_FITS = 64 << 20
"""bytes; below this nobody asks how much memory there is, which takes longer than the conversion"""

_CGROUPS = (
    # limit, usage, and the statistic of file pages that the kernel gives back on demand (cgroup v2, then v1)
    (Path("/sys/fs/cgroup"), "memory.max", "memory.current", "inactive_file"),
    (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)


def find_limit(nbytes: int) -> int | None:
    """Return the bytes that an array may take if that is less than `nbytes`; None: it fits."""
    limit = MAX_BYTES.get()
    if limit is None and nbytes >= ALWAYS_FITS:
        limit = find_available()
    return limit if limit is not None and nbytes > limit else None


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
