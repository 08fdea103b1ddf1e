"""`Report`: what permissive mode converted, put together for people and for programs. Frozen."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import reduce
from pathlib import Path
from typing import Any

from safe_numpy.diagnosis.facts import Edit, Site
from safe_numpy.diagnosis.framework import iterate_loaded
from safe_numpy.ledger.files import read_ledger, write_ledger
from safe_numpy.ledger.ledger import LEDGER, NO_FIGURES, Figures, Record, join
from safe_numpy.ledger.table import tabulate
from safe_numpy.messages.layout import Displayed, Table
from safe_numpy.messages.units import get_rank

_STARTED = time.time()
_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


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
    """it wrote its report when it ended; False: it wrote what it knew while it ran"""


@dataclass(frozen=True, slots=True)
class Report(Displayed):
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
        return [make_row(record) for record in self.records]

    @property
    def totals(self) -> dict[str, Any]:
        """The same figures, all lines together."""
        figures = reduce(Figures.merge, (record.figures for record in self.records), NO_FIGURES)
        row = make_row(Record(Site("", 0, ""), figures))
        keys = ("count", "count_explicit", "bytes", "bytes_allocated", "bytes_moved", "moved_from", "seconds")
        return {"sites": len(self.records), **{key: row[key] for key in keys}}

    def to_json(self, path: str | os.PathLike[str]) -> None:
        """Write a ledger file, which ``safe-numpy report`` and ``safe-numpy fix`` read.

        It appears whole or not at all; missing folders are made.

        Raises:
            OSError: it cannot be written.
        """
        write_ledger(to_plain(self), path)

    def to_pandas(self) -> Any:
        """Return the rows as a `pandas.DataFrame`, times as UTC timestamps.

        Raises:
            ImportError: there is no pandas.
        """
        import pandas

        frame = pandas.DataFrame(self.rows, columns=list(make_row(Record(Site("", 0, "")))))
        for column in ("first", "last"):
            frame[column] = pandas.to_datetime(frame[column], unit="s", utc=True)
        return frame

    _repr_pretty_ = Displayed._repr_pretty_  # as in `Diagnosis`

    def compose(self) -> Table:
        """Return the table of what was converted."""
        return tabulate(self.rows, self.totals, [(p.pid, p.rank, p.is_complete) for p in self.processes])


def make_row(record: Record) -> dict[str, Any]:
    """Return a record in plain values."""
    figures = record.figures
    doors = {figures.times: "explicit", 0: "implicit"}
    return {
        "file": record.site.filename,
        "line": record.site.lineno,
        "function": record.site.function,
        "expression": ", ".join(record.names),
        "asked_by": ", ".join(record.libraries),
        "door": doors.get(figures.explicit, "both"),
        "causes": list(record.kinds),
        "count": figures.times,
        "count_explicit": figures.explicit,
        "bytes": figures.nbytes,
        "bytes_allocated": figures.allocated,
        "bytes_moved": sum(nbytes for _, nbytes in figures.moved),
        "moved_from": dict(figures.moved),
        "seconds": figures.seconds,
        "first": figures.first,
        "last": figures.last,
        "fix": record.fix,
    }


def report(*, reset: bool = False, group: Any = None) -> Report:
    """Return what permissive mode converted so far.

    Args:
        reset: count from here on anew.
        group: a `torch.distributed` process group, ``"world"`` for the default one: gather what all its ranks have
            converted. Every rank of the group has to make the call, and each gets the whole.

    Raises:
        ValueError: `group` is no process group that this process belongs to.
    """
    return make_report(LEDGER.list_records(reset)) if group is None else merge_reports(_gather(group, reset))


def _gather(group: Any, reset: bool) -> list[Report]:
    for framework in iterate_loaded():
        plain = framework.gather(lambda: to_plain(make_report(LEDGER.list_records(reset))), group)
        if plain is not None:
            return [from_plain(each) for each in plain]
    raise ValueError(f"expected a process group of a framework that is imported; got {group!r}")


def make_report(records: Iterable[Record], is_complete: bool = True) -> Report:
    """Return the report of this process."""
    process = Process(os.getpid(), socket.gethostname(), get_rank(), _PYTHON, _STARTED, is_complete)
    return Report(_sort(_merge_records(records)), (process,))


def merge_reports(reports: Iterable[Report]) -> Report:
    """Return one report of several processes."""
    reports = list(reports)
    records = _merge_records(record for report in reports for record in report.records)
    return Report(_sort(records), join((), (p for report in reports for p in report.processes)))


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
                **make_row(record),
                "names": list(record.names),
                "libraries": list(record.libraries),
                "edits": [[list(e.start), list(e.end), e.old, e.new] for e in record.edits],
                "obstacle": record.obstacle,
                "file_digest": record.file_digest,
            }
            for record in report.records
        ],
    }


def from_plain(plain: Mapping[str, Any]) -> Report:
    """Return the report that `to_plain` made this of."""
    records = tuple(_parse_record(row) for row in plain["rows"])
    return Report(_sort(records), tuple(_parse_process(process) for process in plain["processes"]))


def _parse_process(plain: Mapping[str, Any]) -> Process:
    return Process(**{field.name: plain[field.name] for field in fields(Process) if field.name in plain})


def _parse_record(row: Mapping[str, Any]) -> Record:
    moved = tuple((str(device), int(nbytes)) for device, nbytes in row["moved_from"].items())
    times, explicit, nbytes, allocated = (int(row[k]) for k in ("count", "count_explicit", "bytes", "bytes_allocated"))
    seconds, first, last = (float(row[key]) for key in ("seconds", "first", "last"))
    kinds, names, libraries = (tuple(map(str, row[key])) for key in ("causes", "names", "libraries"))
    return Record(
        Site(str(row["file"]), int(row["line"]), str(row["function"])),
        Figures(times, explicit, nbytes, allocated, moved, seconds, first, last),
        kinds,
        names,
        libraries,
        str(row["fix"]),
        tuple(Edit(_to_position(a), _to_position(b), str(old), str(new)) for a, b, old, new in row["edits"]),
        str(row["obstacle"]),
        str(row["file_digest"]),
        len(kinds),
    )


def read_report(path: Path) -> Report:
    """Read a ledger file.

    Raises:
        OSError: it cannot be read.
        NoLedgerError: it is none.
    """
    return from_plain(read_ledger(path))


def _to_position(pair: Sequence[int]) -> tuple[int, int]:
    line, column = pair
    return int(line), int(column)
