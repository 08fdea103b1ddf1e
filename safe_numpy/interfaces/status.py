"""What is in place: the mode and who set it, and which doors are guarded."""

from __future__ import annotations

import sys

from safe_numpy import installing as _install
from safe_numpy.config import modes as _modes
from safe_numpy.config import policy as _policy
from safe_numpy.diagnosis.registry import FRAMEWORKS


def describe_status() -> str:
    """Return a few lines for a person."""
    guarded = [name for name in FRAMEWORKS if name in sys.modules]
    waiting = [name for name in FRAMEWORKS if name not in sys.modules]
    if not _install.is_installed():
        return f"mode {_modes.get_mode().value}, set by {_modes.MODE.get_speaker()}; no guard is installed"
    lines = [f"mode {_modes.get_mode().value}, set by {_modes.MODE.get_speaker()}"]
    lines += [f"{s.name} {s.get()!r}, set by {s.get_speaker()}" for s in _policy.SETTINGS if s.get() != s.default]
    lines += [f"guarded: {', '.join(guarded)}"] if guarded else []
    lines += [f"guarded once imported: {', '.join(waiting)}"] if waiting else []
    return "\n".join(lines)
