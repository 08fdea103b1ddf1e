"""Ledger files: reports as JSON, written whole or not at all. What they hold is plain values."""

from __future__ import annotations

import json
import math
import os
import re
import reprlib
import stat
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from safe_numpy.ledger.ledger import BOOKED_OBSTACLES

_FORMAT = "safe_numpy ledger"
_VERSION = 1
_DESCRIPTOR = re.compile(r"/(?:dev|proc/self)/fd/(\d+)")
_PRINTED = {"/dev/stdout": 1, "/dev/stderr": 2}


class NoLedgerError(ValueError):
    """A file is no ledger, or not one of ours; the text says which and why."""


def write_ledger(plain: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """Write a report, in plain values; missing folders are made.

    Raises:
        OSError: it cannot be written; a file that was there is as it was.
    """
    whole = {"format": _FORMAT, "version": _VERSION, **plain}
    replace_file(Path(path), (json.dumps(whole, indent=1) + "\n").encode())


def replace_file(path: Path, content: bytes) -> None:
    """Give a file new content at one stroke: who looks, or is killed, finds the old or the new.

    What is no regular file (a device, a pipe), or what this process prints to, is written into, and stays what it is.

    Raises:
        OSError: it cannot be written.
    """
    if not can_replace(path):
        _write_into(path, content)
        return
    path = path.resolve()  # a link stays one
    path.parent.mkdir(parents=True, exist_ok=True)
    # not after the file, whose name may be as long as names can be; and unknown: a link of that name would be followed
    temporary = path.with_name(f".safe_numpy.{os.getpid()}.{os.urandom(4).hex()}.tmp")
    opened = temporary.open("xb")
    try:
        with opened as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileNotFoundError):
            temporary.chmod(path.stat().st_mode)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def can_replace(path: Path) -> bool:
    """Tell whether a path is a regular file's that nothing is printed to, or nobody's yet."""
    return _find_descriptor(path) is None and (os.path.isfile(path) or not os.path.exists(path))


def _find_descriptor(path: Path) -> int | None:
    """Return the open descriptor of this process that a path stands for; None: it is a file like others."""
    absolute = os.path.abspath(path)
    match = _DESCRIPTOR.fullmatch(absolute)
    if match or absolute in _PRINTED:
        return int(match[1]) if match else _PRINTED[absolute]
    for descriptor in _PRINTED.values():
        with suppress(OSError):  # one of them is not there
            if os.path.samestat(os.stat(path), os.fstat(descriptor)):
                return descriptor
    return None


def _write_into(path: Path, content: bytes) -> None:
    descriptor = _find_descriptor(path)
    if descriptor is not None:
        with suppress(Exception):  # what the program has printed stands before it
            (sys.stderr if descriptor == _PRINTED["/dev/stderr"] else sys.stdout).flush()
        # not opened anew: of a file that would begin at its start again, over what was printed
        opened = os.dup(descriptor)
    elif stat.S_ISBLK(os.stat(path).st_mode):
        raise OSError(f"{path} is a block device")
    else:  # to wait for the reader of a pipe would keep a program from its end where none comes
        opened = os.open(path, os.O_WRONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0))
        if hasattr(os, "O_NONBLOCK"):
            os.set_blocking(opened, True)
    with open(opened, "wb") as file:
        file.write(content)


# what a file must hold; it may come from anybody: nothing is made of it before this has looked at it

_MOST = 2**63 - 1
_LATEST = 9_000_000_000
"""seconds since the epoch: beyond the year 2255 a timestamp of pandas would overflow"""


class _Field(NamedTuple):
    """What a field must be."""

    expected: str
    is_right: Callable[[Any], bool]


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= _MOST


def _is_duration(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value <= _MOST and math.isfinite(value)


def _is_plain_text(value: Any) -> bool:
    return type(value) is str and not any("\ud800" <= c <= "\udfff" for c in value)


def _is_path(value: Any) -> bool:
    """Tell whether a value can name a file, whose bytes Python may have read as surrogates (PEP 383)."""
    return type(value) is str and "\0" not in value and not any("\ud800" <= c <= "\udfff" for c in _strip_bytes(value))


def _strip_bytes(path: str) -> str:
    return "".join(c for c in path if not "\udc80" <= c <= "\udcff")


def _are_texts(value: Any) -> bool:
    return type(value) is list and all(map(_is_plain_text, value))


def _are_counts(value: Any) -> bool:
    return type(value) is dict and all(_is_plain_text(key) and _is_count(count) for key, count in value.items())


def _is_edit(value: Any) -> bool:
    if type(value) is not list or len(value) != 4:
        return False
    start, end, old, new = value
    if not all(type(p) is list and len(p) == 2 and all(map(_is_count, p)) for p in (start, end)):
        return False
    return start[0] >= 1 and start < end and _is_plain_text(old) and _is_plain_text(new)


_COUNT = _Field(f"a whole number from 0 to {_MOST}", _is_count)
_SECONDS = _Field("a finite number of seconds, none below 0", _is_duration)
_TIME = _Field("seconds since the epoch", lambda value: _is_duration(value) and value <= _LATEST)
_TEXT = _Field("a text", _is_plain_text)
_TEXTS = _Field("a list of texts", _are_texts)

_ROW: dict[str, _Field] = {
    "file": _Field("a path", _is_path),
    "line": _COUNT,
    "function": _TEXT,
    "causes": _TEXTS,
    "names": _TEXTS,
    "libraries": _TEXTS,
    "count": _COUNT,
    "count_explicit": _COUNT,
    "bytes": _COUNT,
    "bytes_allocated": _COUNT,
    "moved_from": _Field("bytes by device", _are_counts),
    "seconds": _SECONDS,
    "first": _TIME,
    "last": _TIME,
    "fix": _TEXT,
    "edits": _Field(
        "edits: [[line, column], [line, column], old text, new text], the end behind the start",
        lambda value: type(value) is list and all(map(_is_edit, value)),
    ),
    "obstacle": _Field(f"one of {', '.join(BOOKED_OBSTACLES)}, or nothing", lambda v: v == "" or _is_obstacle(v)),
    "file_digest": _TEXT,
}
_PROCESS: dict[str, _Field] = {"pid": _COUNT, "host": _TEXT}
_MORE_OF_PROCESS: dict[str, _Field] = {
    "rank": _Field("a whole number, or null", lambda value: value is None or _is_count(value)),
    "python": _TEXT,
    "started": _TIME,
    "is_complete": _Field("true or false", lambda value: type(value) is bool),
}
"""what need not be there"""


def _is_obstacle(value: Any) -> bool:
    return type(value) is str and value in BOOKED_OBSTACLES


def find_fault(plain: Mapping[str, Any]) -> str:
    """Return what is wrong with the content of a ledger file, by row and field; nothing if it is as it must be."""
    known = _PROCESS | _MORE_OF_PROCESS
    for name, what, fields, needed in (("processes", "process", known, _PROCESS), ("rows", "row", _ROW, _ROW)):
        entries = plain.get(name)
        if type(entries) is not list:
            return f"field {name!r}: expected a list, got {_show(plain, name)}"
        for i, entry in enumerate(entries):
            fault = _find_fault_of_entry(entry, fields, needed)
            if fault:
                return f"{what} {i + 1}{fault}"
    return ""


def _find_fault_of_entry(entry: Any, fields: Mapping[str, _Field], needed: Mapping[str, _Field]) -> str:
    if type(entry) is not dict:
        return f": expected an object, got {reprlib.repr(entry)}"
    for name, field in fields.items():
        if (name in entry or name in needed) and (name not in entry or not field.is_right(entry[name])):
            return f", field {name!r}: expected {field.expected}, got {_show(entry, name)}"
    return ""


def _show(entry: Mapping[str, Any], name: str) -> str:
    return reprlib.repr(entry[name]) if name in entry else "nothing"


def read_ledger(path: Path) -> Any:
    """Read a ledger file, and check it.

    Raises:
        OSError: it cannot be read.
        NoLedgerError: it is none.
    """
    try:
        plain: Any = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise NoLedgerError(f"{path} is no JSON: {error}") from None
    if not isinstance(plain, dict) or plain.get("format") != _FORMAT:
        raise NoLedgerError(f"{path} is no ledger of safe_numpy")
    version = plain.get("version")
    if type(version) is not int:
        raise NoLedgerError(f"{path} is damaged: field 'version': expected a whole number, got {reprlib.repr(version)}")
    if version != _VERSION:
        is_newer = "of a newer safe_numpy" if version > _VERSION else "of none that there was"
        raise NoLedgerError(f"{path} has format version {version}, {is_newer}; this one reads {_VERSION}")
    fault = find_fault(plain)
    if fault:
        raise NoLedgerError(f"{path} is damaged: {fault}")
    return plain


def find_ledgers(paths: Iterable[Path]) -> list[Path]:
    """Return the files to read: of a folder all that end in ``.json``, which a pipe, that has no end, may as well.

    Raises:
        FileNotFoundError: a path does not exist, or a folder has none.
    """
    found: list[Path] = []
    for path in paths:
        files = sorted(file for file in path.glob("*.json") if file.is_file()) if path.is_dir() else [path]
        if not files or not files[0].exists():
            raise FileNotFoundError(f"{path} has no ledger files (*.json)" if path.is_dir() else f"no file {path}")
        found += files
    return found
