"""``safe-numpy fix``: lines of a ledger rewritten to convert explicitly, where it is certain that they are what ran.

The rewriting is done by libcst: expressions replaced at their places, all else as it is.
"""

from __future__ import annotations

import ast
import difflib
import io
import tokenize
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import libcst
from libcst.codemod import CodemodContext
from libcst.codemod.visitors import AddImportsVisitor
from libcst.metadata import MetadataWrapper, PositionProvider

from safe_numpy.callsite.fix import IMPORTS
from safe_numpy.callsite.frames import is_foreign
from safe_numpy.callsite.source import digest_lines
from safe_numpy.diagnosis.facts import Edit
from safe_numpy.ledger.ledger import Record
from safe_numpy.ledger.report import Report
from safe_numpy.messages.units import name_place

OBSTACLES: dict[str, str] = {
    "other": "there were too many lines: which these are, was not booked",
    "unread": "the line does not say which expression is the tensor",
    "learnt": "a gradient is computed of the result, and no array has one: stay with tensors there",
    "conflict": "tensors of different dtypes or layouts came by, and no one expression is right for all",
    "versions": "several versions of the file ran",
    "cell": "it is no file",
    "foreign": "it belongs to an installed package",
    "missing": "the file is not there any more",
    "changed": "the file has changed since it ran",
    "text": "the file says something else at that place",
    "names": "`{name}` means something else in that file",
}
"""why a line cannot be rewritten"""


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
    """A line of the ledger that is left as it is."""

    place: str
    reason: str


def plan_rewritings(report: Report) -> tuple[list[Rewriting], list[Skipped]]:
    """Return what to rewrite, and what is left and why. Writes nothing."""
    skipped: list[Skipped] = []
    by_file: dict[str, list[Record]] = defaultdict(list)
    for record in report.records:
        obstacle = _find_obstacle(record)
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


def _find_obstacle(record: Record) -> str:
    filename = record.site.filename
    if not record.site.lineno:
        return "other"
    if filename.startswith("<") or "ipykernel_" in filename:
        return "cell"
    if is_foreign(filename):
        return "foreign"
    if not Path(filename).is_file():
        return "missing"
    return record.obstacle or ("" if record.edits else "unread")


def _plan_file(path: Path, records: Sequence[Record]) -> tuple[Rewriting | None, list[Skipped]]:
    content = path.read_bytes()
    digest = digest_lines(_decode(content).splitlines(keepends=True))
    skipped = [_skip(record, "changed") for record in records if record.file_digest != digest]
    wanted = [(record, _choose_edits(record.edits)) for record in records if record.file_digest == digest]
    edits = list(dict.fromkeys(edit for _, chosen in wanted for edit in chosen))
    misnamed = find_misnamed(content, edits)
    if misnamed is not None:
        return None, skipped + [_skip(record, "names", name=misnamed) for record, _ in wanted]
    new, left = rewrite(content, edits)
    undone = [record for record, chosen in wanted if any(edit in left for edit in chosen)]
    skipped += [_skip(record, "text") for record in undone]
    try:
        ast.parse(new)
    except (SyntaxError, ValueError) as error:
        raise AssertionError(f"the rewritten {path} would not compile ({error}); please report this") from error
    rewriting = Rewriting(path, content, new, len(wanted) - len(undone))
    return (rewriting if new != content else None), skipped


def _choose_edits(edits: Sequence[Edit]) -> list[Edit]:
    """Return one edit a place: where tensors needed more and less, the longer one serves both (see `unite_plans`)."""
    chosen: dict[object, Edit] = {}
    for edit in edits:
        key = edit.start, edit.end
        if key not in chosen or len(edit.new) > len(chosen[key].new):
            chosen[key] = edit
    return list(chosen.values())


def _decode(content: bytes) -> str:
    encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
    return io.TextIOWrapper(io.BytesIO(content), encoding).read()  # with universal newlines, as Python reads it


def rewrite(content: bytes, edits: Sequence[Edit]) -> tuple[bytes, list[Edit]]:
    """Return a file's content with the edits made, and those that could not be: the text there is another one.

    Modules that the new code mentions are imported, at the top.
    """
    wrapper = MetadataWrapper(libcst.parse_module(content))
    transformer = _Transformer(edits, wrapper.module)
    module = wrapper.visit(transformer)
    done = [edit for edit in edits if edit not in transformer.pending]
    context = CodemodContext()
    bound = {name for node in ast.parse(content).body for name, _ in _list_bound(node)}
    for name in sorted(find_new_names(done) - bound):
        imported, alias = IMPORTS[name]
        AddImportsVisitor.add_needed_import(context, imported, asname=alias)
    return AddImportsVisitor(context).transform_module(module).bytes, transformer.pending


def find_new_names(edits: Iterable[Edit]) -> set[str]:
    """Return the modules that the new texts mention, and the old ones do not."""
    return {name for edit in edits for name in _find_names_in(edit.new) - _find_names_in(edit.old) if name in IMPORTS}


def find_misnamed(content: bytes, edits: Iterable[Edit]) -> str | None:
    """Return a name that the new code needs, and that the file uses for something else; None: there is none."""
    wanted = find_new_names(edits)
    for node in ast.walk(ast.parse(content)):
        for name, meaning in _list_bound(node):
            if name in wanted and meaning != IMPORTS[name][0]:
                return name
    return None


def _list_bound(node: ast.AST) -> list[tuple[str, str]]:
    """Return the names that a node binds, each with the module that it stands for, if it stands for one."""
    if isinstance(node, ast.Import):
        return [
            (a.asname or a.name.partition(".")[0], a.name if a.asname else a.name.partition(".")[0]) for a in node.names
        ]
    if isinstance(node, ast.ImportFrom):
        return [(a.asname or a.name, f"{node.module}.{a.name}") for a in node.names]
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        return [(node.id, "")]
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return [(node.name, "")]
    return [(node.arg, "")] if isinstance(node, ast.arg) else []


def _find_names_in(text: str) -> set[str]:
    return {node.id for node in ast.walk(ast.parse(f"({text}\n)", mode="eval")) if isinstance(node, ast.Name)}


class _Transformer(libcst.CSTTransformer):
    METADATA_DEPENDENCIES = (PositionProvider,)

    def __init__(self, edits: Sequence[Edit], module: libcst.Module) -> None:
        super().__init__()
        self.pending = list(edits)
        self._module = module

    def on_leave(self, original_node: Any, updated_node: Any) -> Any:
        """Replace an expression that stands where an edit says, and says what it says."""
        updated_node = super().on_leave(original_node, updated_node)
        if not self.pending or not isinstance(original_node, libcst.BaseExpression):
            return updated_node
        place = self.get_metadata(PositionProvider, original_node)
        start, end = (place.start.line, place.start.column), (place.end.line, place.end.column)
        edit = next((e for e in self.pending if (e.start, e.end) == (start, end)), None)
        if edit is None:
            return updated_node
        bare = original_node.with_changes(lpar=(), rpar=())
        if "".join(self._module.code_for_node(bare).split()) != "".join(edit.old.split()):
            return updated_node
        self.pending.remove(edit)
        new = libcst.parse_expression(f"({edit.new}\n)", config=self._module.config_for_parsing)
        return new.with_changes(lpar=updated_node.lpar, rpar=updated_node.rpar)
