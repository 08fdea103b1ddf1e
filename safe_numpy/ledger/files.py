"""Ledger files: reports as JSON, written whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from safe_numpy.ledger.report import Report, from_plain, to_plain

_FORMAT = "safe_numpy ledger"
_VERSION = 1


class NoLedgerError(ValueError):
    """A file is no ledger, or not one of ours; the text says which and why."""


def write(report: Report, path: str | os.PathLike[str]) -> None:
    """Write a report; missing folders are made.

    Raises:
        OSError: it cannot be written; a file that was there is as it was.
    """
    plain = {"format": _FORMAT, "version": _VERSION, **to_plain(report)}
    replace_file(Path(path), (json.dumps(plain, indent=1) + "\n").encode())


def replace_file(path: Path, content: bytes) -> None:
    """Give a file new content at one stroke: who looks, or is killed, finds the old or the new.

    Raises:
        OSError: it cannot be written.
    """
    path = path.resolve()  # a link stays one
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileNotFoundError):
            temporary.chmod(path.stat().st_mode)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def read(path: Path) -> Report:
    """Read a ledger file.

    Raises:
        OSError: it cannot be read.
        NoLedgerError: it is none.
    """
    try:
        plain: Any = json.loads(path.read_bytes())
    except ValueError as error:
        raise NoLedgerError(f"{path} is no JSON: {error}") from None
    if not isinstance(plain, dict) or plain.get("format") != _FORMAT:
        raise NoLedgerError(f"{path} is no ledger of safe_numpy")
    if plain.get("version") != _VERSION:
        raise NoLedgerError(f"{path} has format version {plain.get('version')}; this safe_numpy reads {_VERSION}")
    try:
        return from_plain(plain)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise NoLedgerError(f"{path} is damaged: {type(error).__name__}: {error}") from None


def find(paths: Iterable[Path]) -> list[Path]:
    """Return the files to read: of a folder all that end in ``.json``.

    Raises:
        FileNotFoundError: a path does not exist, or a folder has none.
    """
    found: list[Path] = []
    for path in paths:
        files = sorted(path.glob("*.json")) if path.is_dir() else [path]
        if not files or not files[0].exists():
            raise FileNotFoundError(f"{path} has no ledger files (*.json)" if path.is_dir() else f"no file {path}")
        found += files
    return found
