"""What proves that a source file still says what ran. Imports nothing of ours."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from types import CodeType

_Constant = (str, bytes, int, float, complex, bool, type(None), type(...))


def digest_lines(lines: Iterable[str]) -> str:
    """Return a digest of a file's text, by its lines; a newline is added to the last where it has none."""
    text = "".join(lines)
    if text and not text.endswith("\n"):
        text += "\n"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def digest_code(code: CodeType) -> str:
    """Return a digest of one code object: its instructions, what they name, and where each stands in the file.

    The same source, compiled by the same version of Python, gives the same.
    """
    constants = [repr(c) for c in code.co_consts if isinstance(c, _Constant)]
    parts = (code.co_name, code.co_firstlineno, code.co_names, code.co_varnames, code.co_freevars, constants)
    return hashlib.sha256(repr(parts).encode("utf-8", "surrogatepass") + code.co_code + code.co_linetable).hexdigest()
