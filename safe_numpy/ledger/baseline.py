"""Accepted hazards of a code base: strict mode lets them pass, so that only new ones are errors.

A hazard is known by its file, its function, the text of its line and its causes: it may move within the file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from safe_numpy.diagnosis.facts import Site
from safe_numpy.messages.units import read_line_text

_BASELINE_FORMAT = "safe_numpy baseline"


class Accepted(NamedTuple):
    """One hazard."""

    file: str
    """relative to the folder of the project, with slashes"""
    function: str
    line: str
    """what it says"""
    causes: str


class Baseline:
    """The hazards that are accepted, and those that occur.

    Args:
        root: folder of the project.
        accepted: hazards that pass.
        accepts_all: every hazard passes; what occurs is to be the next baseline.
    """

    active: Baseline | None = None
    """what strict mode goes by in this process"""

    def __init__(self, root: Path, accepted: Iterable[Accepted] = (), accepts_all: bool = False) -> None:
        self._root = root
        self.accepted = frozenset(accepted)
        self._accepts_all = accepts_all
        self.met: set[Accepted] = set()

    def accepts(self, site: Site, causes: Sequence[str]) -> bool:
        """Tell whether a hazard passes; note that it has occurred."""
        try:
            file = Path(os.path.relpath(os.path.abspath(site.filename), self._root)).as_posix()
        except ValueError:  # on another drive
            file = site.filename
        line = " ".join(read_line_text(site.filename, site.lineno).split())
        hazard = Accepted(file, site.function, line, " ".join(causes))
        self.met.add(hazard)
        return self._accepts_all or hazard in self.accepted


def read_baseline(path: Path) -> list[Accepted]:
    """Read a baseline file.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no baseline.
    """
    try:
        plain: Any = json.loads(path.read_bytes())
        if plain["format"] != _BASELINE_FORMAT:
            raise ValueError("the format is another one")
        return [Accepted(*(str(entry[field]) for field in Accepted._fields)) for entry in plain["accepted"]]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{path} is no baseline of safe_numpy: {type(error).__name__}: {error}") from None


def render_baseline(hazards: Iterable[Accepted]) -> bytes:
    """Return the content of a baseline file; the same hazards give the same content."""
    entries = [hazard._asdict() for hazard in sorted(hazards)]
    text = json.dumps({"format": _BASELINE_FORMAT, "accepted": entries}, indent=1, ensure_ascii=False) + "\n"
    return text.encode(errors="backslashreplace")  # the bytes of a path that are no text, as JSON escapes them
