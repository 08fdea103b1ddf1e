"""`Report`: what permissive mode converted, put together for people and for programs. Frozen."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import reduce
from typing import Any

from safe_numpy.callsite.fingerprint import digest_code
from safe_numpy.callsite.frames import Site
from safe_numpy.diagnosis.facts import Edit
from safe_numpy.ledger.ledger import LEDGER, NO_FIGURES, Entry, Figures, unite
from safe_numpy.messages import phrases as _wording
from safe_numpy.messages.place import get_rank

_STARTED = time.time()
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


@dataclass(frozen=True, slots=True)
class Process:
    """Which process converted."""

    pid: int
    host: str
    rank: int | None = None
    """among the cooperating processes; None: it works alone"""
    python: str = ""
    """version of Python, as ``3.11``"""
    started: float = 0.0
    """seconds since the epoch"""
    is_complete: bool = True
    """it wrote its book when it ended; False: it wrote what it knew while it ran"""


@dataclass(frozen=True, slots=True)
class Record:
    """What was converted at one line of code."""

    site: Site
    figures: Figures
    kinds: tuple[str, ...] = ()
    """kinds of problems that were met"""
    names: tuple[str, ...] = ()
    """the user's expressions for the tensors"""
    libraries: tuple[str, ...] = ()
    """who asked on the line's behalf"""
    fix: str = ""
    """the code to write instead"""
    edits: tuple[Edit, ...] = ()
    """what to change in the file for that"""
    obstacle: str = ""
    """why the edits are not all there is to do: a key of `_wording.OBSTACLES`"""
    file_digest: str = ""
    """of the file's text; see `_fingerprint`"""
    code_digests: tuple[str, ...] = ()
    """of the code objects that ran"""

    @property
    def key(self) -> tuple[str, int, str]:
        """What the same line has in every process."""
        return self.site.filename, self.site.lineno, self.site.function

    def merge(self, other: Record) -> Record:
        """Return what was converted here and in `other`, of the same line."""
        larger = max((self, other), key=lambda record: len(record.kinds))
        is_same = self.file_digest == other.file_digest
        return Record(
            self.site,
            self.figures.merge(other.figures),
            unite(self.kinds, other.kinds),
            unite(self.names, other.names),
            unite(self.libraries, other.libraries),
            larger.fix,
            unite(self.edits, other.edits),
            self.obstacle or other.obstacle or ("" if is_same else "versions"),
            self.file_digest,
            unite(self.code_digests, other.code_digests),
        )

    def to_row(self) -> dict[str, Any]:
        """Return it in plain values."""
        figures = self.figures
        doors = {figures.times: "explicit", 0: "implicit"}
        return {
            "file": self.site.filename,
            "line": self.site.lineno,
            "function": self.site.function,
            "expression": ", ".join(self.names),
            "asked_by": ", ".join(self.libraries),
            "door": doors.get(figures.explicit, "both"),
            "causes": list(self.kinds),
            "count": figures.times,
            "count_explicit": figures.explicit,
            "bytes": figures.nbytes,
            "bytes_allocated": figures.allocated,
            "bytes_moved": sum(nbytes for _, nbytes in figures.moved),
            "moved_from": dict(figures.moved),
            "seconds": figures.seconds,
            "first": figures.first,
            "last": figures.last,
            "fix": self.fix,
        }


@dataclass(frozen=True, slots=True)
class Report:
    """What permissive mode converted, the costliest lines first.

    ``print`` it, or let a notebook show it; `rows` and `totals` are for programs.
    """

    records: tuple[Record, ...]
    processes: tuple[Process, ...]

    @property
    def rows(self) -> list[dict[str, Any]]:
        """One plain dict a line of code.

        ``file``, ``line``, ``function``; ``expression``, the tensors as the line calls them; ``asked_by``, the library
        that asked on the line's behalf; ``door``: explicit (``numpy()``), implicit or both; ``causes``; ``count``, of
        which ``count_explicit``; ``bytes`` of the arrays, of which ``bytes_allocated`` for copies; ``bytes_moved`` to
        the host, by device in ``moved_from``; ``seconds`` waited; ``first`` and ``last`` time, in seconds since the
        epoch; ``fix``, the code to write instead.
        """
        return [record.to_row() for record in self.records]

    @property
    def totals(self) -> dict[str, Any]:
        """The same figures, all lines together."""
        figures = reduce(Figures.merge, (record.figures for record in self.records), NO_FIGURES)
        row = Record(Site("", 0, ""), figures).to_row()
        keys = ("count", "count_explicit", "bytes", "bytes_allocated", "bytes_moved", "moved_from", "seconds")
        return {"sites": len(self.records), **{key: row[key] for key in keys}}

    def to_json(self, path: str | os.PathLike[str]) -> None:
        """Write a ledger file, which ``safe-numpy report`` and ``safe-numpy fix`` read.

        It appears whole or not at all; missing folders are made.

        Raises:
            OSError: it cannot be written.
        """
        from safe_numpy.ledger import files as _ledger_file  # which knows reports itself

        _ledger_file.write(self, path)

    def to_pandas(self) -> Any:
        """Return the rows as a `pandas.DataFrame`, times as UTC timestamps.

        Raises:
            ImportError: there is no pandas.
        """
        import pandas

        frame = pandas.DataFrame(self.rows, columns=list(Record(Site("", 0, ""), NO_FIGURES).to_row()))
        for column in ("first", "last"):
            frame[column] = pandas.to_datetime(frame[column], unit="s", utc=True)
        return frame

    def __str__(self) -> str:
        return _wording.report(self)

    def _repr_html_(self) -> str:
        return _wording.report_in_html(self)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(str(self))  # what an IPython prompt shows


def report(*, reset: bool = False, group: Any = None) -> Report:
    """Return what permissive mode converted so far.

    Args:
        reset: count from here on anew.
        group: a `torch.distributed` process group, ``"world"`` for the default one: gather what all its ranks have
            converted. Every rank of the group has to make the call, and each gets the whole.

    Raises:
        ValueError: `group` is no process group that this process belongs to.
    """
    gather = _find_gather(group) if group is not None else None
    own = make_report(LEDGER.take_figures() if reset else [(e, e.figures) for e in LEDGER.list_entries()])
    return own if gather is None else merge(gather(own))


def _find_gather(group: Any) -> Any:
    if sys.modules.get("torch") is None:
        raise ValueError("expected a process group of torch.distributed; torch is not imported")
    from safe_numpy.frameworks.torch import distributed as _torch_ranks

    return _torch_ranks.find_gather(group)


def make_report(figures: Sequence[tuple[Entry, Figures]], is_complete: bool = True) -> Report:
    """Return the report of this process."""
    process = Process(os.getpid(), socket.gethostname(), get_rank(), PYTHON, _STARTED, is_complete)
    return Report(_sort(_merge_records(_make_record(*pair) for pair in figures)), (process,))


def merge(reports: Iterable[Report]) -> Report:
    """Return one report of several processes."""
    reports = list(reports)
    records = _merge_records(record for report in reports for record in report.records)
    return Report(_sort(records), unite((), (p for report in reports for p in report.processes)))


def _make_record(entry: Entry, figures: Figures) -> Record:
    site = replace(entry.site, library="")
    codes = () if entry.code is None else (digest_code(entry.code),)
    parts = entry.kinds, entry.names, entry.libraries, entry.fix, entry.edits, entry.obstacle
    return Record(site, figures, *parts, entry.file_digest, codes)


def _merge_records(records: Iterable[Record]) -> list[Record]:
    merged: dict[tuple[str, int, str], Record] = {}
    for record in records:
        known = merged.get(record.key)
        merged[record.key] = record if known is None else known.merge(record)
    return list(merged.values())


def _sort(records: Iterable[Record]) -> tuple[Record, ...]:
    return tuple(sorted(records, key=lambda record: (-record.figures.seconds, record.key)))


def to_plain(report: Report) -> dict[str, Any]:
    """Return everything in it as plain values, for a file; `from_plain` undoes it."""
    return {
        "processes": [asdict(process) for process in report.processes],
        "totals": report.totals,
        "rows": [
            {
                **record.to_row(),
                "names": list(record.names),
                "libraries": list(record.libraries),
                "edits": [[list(e.start), list(e.end), e.old, e.new] for e in record.edits],
                "obstacle": record.obstacle,
                "file_digest": record.file_digest,
                "code_digests": list(record.code_digests),
            }
            for record in report.records
        ],
    }


def from_plain(plain: Mapping[str, Any]) -> Report:
    """Return the report that `to_plain` made this of.

    Raises:
        KeyError, TypeError, ValueError: it is not what `to_plain` makes.
    """
    records = [
        Record(
            Site(str(row["file"]), int(row["line"]), str(row["function"])),
            Figures(
                int(row["count"]),
                int(row["count_explicit"]),
                int(row["bytes"]),
                int(row["bytes_allocated"]),
                tuple((str(device), int(nbytes)) for device, nbytes in row["moved_from"].items()),
                float(row["seconds"]),
                float(row["first"]),
                float(row["last"]),
            ),
            tuple(map(str, row["causes"])),
            tuple(map(str, row["names"])),
            tuple(map(str, row["libraries"])),
            str(row["fix"]),
            tuple(Edit(_to_position(a), _to_position(b), str(old), str(new)) for a, b, old, new in row["edits"]),
            str(row["obstacle"]),
            str(row["file_digest"]),
            tuple(map(str, row["code_digests"])),
        )
        for row in plain["rows"]
    ]
    return Report(_sort(records), tuple(Process(**process) for process in plain["processes"]))


def _to_position(pair: Sequence[int]) -> tuple[int, int]:
    line, column = pair
    return int(line), int(column)
