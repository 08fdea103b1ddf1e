"""A report as a table for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from safe_numpy.messages.layout import Table, TableRow
from safe_numpy.messages.units import count_noun, format_bytes, format_seconds, name_place

_MOST_LINES = 30
_HEAD = ("time", "times", "moved", "allocated", "causes", "where")
_FIGURES = 4

_Process = tuple[int, int | None, bool]
"""pid, rank, and whether its figures are complete"""


def tabulate(rows: Sequence[Mapping[str, Any]], totals: Mapping[str, Any], processes: Sequence[_Process]) -> Table:
    """Return the table of what was converted: one plain row a line of code, the costliest first."""
    notes = _describe_processes(processes)
    if not rows:
        return Table("Permissive mode has converted nothing.", _HEAD, _FIGURES, (), notes)
    longest = max(row["seconds"] for row in rows) or 1.0
    shown = [TableRow(_make_cells(row), row["fix"], row["seconds"] / longest) for row in rows[:_MOST_LINES]]
    costs = [f"{format_seconds(totals['seconds'])} waited"] if totals["seconds"] else []
    costs += [f"{format_bytes(n)} moved from {device}" for device, n in totals["moved_from"].items()]
    costs += [f"{format_bytes(totals['bytes_allocated'])} allocated" if totals["bytes_allocated"] else "nothing copied"]
    times, sites = count_noun(totals["count"], "conversion"), count_noun(totals["sites"], "line")
    headline = f"Permissive mode made {times} at {sites} of code: {', '.join(costs)}."
    left_out = len(rows) - len(shown)
    if left_out:
        notes.insert(0, f"{count_noun(left_out, 'other line')} took less time; `.rows` has them all.")
    return Table(headline, _HEAD, _FIGURES, shown, notes)


def _make_cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    asides = [row["expression"] and f"`{row['expression']}`", row["asked_by"] and f"for {row['asked_by']}"]
    place = name_place(row["file"], row["line"]) if row["line"] else "all other lines"
    return (
        format_seconds(row["seconds"]),
        f"{row['count']:,}",
        format_bytes(row["bytes_moved"]) if row["bytes_moved"] else "",
        format_bytes(row["bytes_allocated"]) if row["bytes_allocated"] else "",
        " ".join(row["causes"]),
        "  ".join([place, *filter(None, asides)]),
    )


def _describe_processes(processes: Sequence[_Process]) -> list[str]:
    notes = []
    if len(processes) > 1:
        names = [f"pid {pid}" if rank is None else f"rank {rank}" for pid, rank, _ in processes]
        shown = ", ".join(names[:_MOST_LINES]) + (" …" if len(names) > _MOST_LINES else "")
        notes.append(f"Of {len(processes)} processes: {shown}.")
    unfinished = [f"pid {pid}" for pid, _, is_complete in processes if not is_complete]
    if unfinished:
        verb = "was" if len(unfinished) == 1 else "were"
        notes.append(f"{', '.join(unfinished)} {verb} still running, or ended at once: the last figures are missing.")
    return notes
