"""Ledger files: reports as JSON, written whole or not at all. What they hold is plain values."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

_FORMAT = "safe_numpy ledger"
_VERSION = 1


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


def read_ledger(path: Path) -> Any:
    """Read a ledger file; what its rows hold is not looked at.

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
    return plain


def find_ledgers(paths: Iterable[Path]) -> list[Path]:
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
