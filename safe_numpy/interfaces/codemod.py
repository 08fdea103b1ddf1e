"""``safe-numpy fix``: booked lines rewritten to convert explicitly, where it is certain that they are what ran."""

from __future__ import annotations

import ast
import difflib
import io
import tokenize
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType

from safe_numpy.callsite.fingerprint import digest_code, digest_lines
from safe_numpy.callsite.frames import is_foreign
from safe_numpy.diagnosis.facts import Edit
from safe_numpy.interfaces import rewrite
from safe_numpy.ledger.report import PYTHON, Record, Report
from safe_numpy.messages.phrases import OBSTACLES
from safe_numpy.messages.place import name_place


@dataclass(frozen=True, slots=True)
class Rewriting:
    """A file as it is, and as it would be."""

    path: Path
    old: bytes
    new: bytes
    count: int
    """lines of the ledger that are rewritten"""

    def diff(self) -> str:
        """Return a unified diff, for ``patch -p1``."""
        name = name_place(str(self.path), 0).rpartition(":")[0]
        old, new = (_decode(content).splitlines(keepends=True) for content in (self.old, self.new))
        lines = difflib.unified_diff(old, new, f"a/{name.lstrip('/')}", f"b/{name.lstrip('/')}")
        return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


@dataclass(frozen=True, slots=True)
class Skipped:
    """A booked line that is left as it is."""

    place: str
    reason: str


def plan(report: Report) -> tuple[list[Rewriting], list[Skipped]]:
    """Return what to rewrite, and what is left and why. Writes nothing."""
    pythons = {process.python for process in report.processes}
    skipped: list[Skipped] = []
    by_file: dict[str, list[Record]] = defaultdict(list)
    for record in report.records:
        obstacle = _find_obstacle(record, pythons)
        if obstacle:
            skipped.append(_skip(record, obstacle))
        else:
            by_file[record.site.filename].append(record)
    rewritings = []
    for filename, records in by_file.items():
        rewriting, left = _plan_file(Path(filename), records)
        rewritings += [rewriting] if rewriting is not None else []
        skipped += left
    return rewritings, skipped


def _skip(record: Record, obstacle: str, **facts: str) -> Skipped:
    place = name_place(record.site.filename, record.site.lineno) if record.site.lineno else "other lines"
    return Skipped(place, OBSTACLES[obstacle].format(**facts))


def _find_obstacle(record: Record, pythons: set[str]) -> str:
    filename = record.site.filename
    if not record.site.lineno:
        return "other"
    if filename.startswith("<") or "ipykernel_" in filename:
        return "cell"
    if is_foreign(filename):
        return "foreign"
    if not Path(filename).is_file():
        return "missing"
    if record.obstacle or not record.edits:
        return record.obstacle or "unread"
    return "" if pythons == {PYTHON} else "python"


def _plan_file(path: Path, records: Sequence[Record]) -> tuple[Rewriting | None, list[Skipped]]:
    content = path.read_bytes()
    known = _find_codes(path, content)
    digest = digest_lines(_decode(content).splitlines(keepends=True))
    skipped, wanted = [], []
    for record in records:
        obstacle = "" if record.file_digest == digest else "changed"
        obstacle = obstacle or ("" if known.issuperset(record.code_digests) else "code")
        if not obstacle:
            wanted.append((record, _choose(record.edits)))
        else:
            skipped.append(_skip(record, obstacle))
    edits = list(dict.fromkeys(edit for _, chosen in wanted for edit in chosen))
    misnamed = rewrite.find_misnamed(content, edits)
    if misnamed is not None:
        return None, skipped + [_skip(record, "names", name=misnamed) for record, _ in wanted]
    new, left = rewrite.rewrite(content, edits)
    undone = [record for record, chosen in wanted if any(edit in left for edit in chosen)]
    skipped += [_skip(record, "text") for record in undone]
    _check(new, path)
    rewriting = Rewriting(path, content, new, len(wanted) - len(undone))
    return (rewriting if new != content else None), skipped


def _choose(edits: Sequence[Edit]) -> list[Edit]:
    """Return one edit a place: where tensors needed more and less, the longer one serves both (see `_steps.unite`)."""
    chosen: dict[object, Edit] = {}
    for edit in edits:
        key = edit.start, edit.end
        if key not in chosen or len(edit.new) > len(chosen[key].new):
            chosen[key] = edit
    return list(chosen.values())


def _find_codes(path: Path, content: bytes) -> set[str]:
    """Return the digests of all code that the file compiles to."""
    try:
        return {digest_code(code) for code in _walk(compile(content, str(path), "exec", dont_inherit=True))}
    except (SyntaxError, ValueError):
        return set()


def _walk(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _walk(constant)


def _decode(content: bytes) -> str:
    encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
    return io.TextIOWrapper(io.BytesIO(content), encoding).read()  # with universal newlines, as Python reads it


def _check(content: bytes, path: Path) -> None:
    try:
        ast.parse(content)
    except (SyntaxError, ValueError) as error:
        raise AssertionError(f"the rewritten {path} would not compile ({error}); please report this") from error
