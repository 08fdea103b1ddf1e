"""``safe-numpy fix``: lines of a ledger rewritten to convert explicitly, where it is certain that they are what ran.

The rewriting is done by libcst: expressions replaced at their places, all else as it is. A ledger may come from
anybody: what is written is derived from our own tables (see `derivation`), and only into files below the folders that
were named.
"""

from __future__ import annotations

import ast
import difflib
import functools
import io
import os
import tokenize
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import libcst
from libcst.codemod import CodemodContext
from libcst.codemod.visitors import AddImportsVisitor
from libcst.metadata import ExpressionContext, ExpressionContextProvider, MetadataWrapper, PositionProvider

from safe_numpy.callsite.fix import IMPORTS
from safe_numpy.callsite.frames import is_foreign
from safe_numpy.callsite.source import digest_lines
from safe_numpy.diagnosis.causes import parse_code
from safe_numpy.diagnosis.facts import Edit
from safe_numpy.interfaces.derivation import Deriver, list_paths
from safe_numpy.ledger.files import replace_file
from safe_numpy.ledger.ledger import BOOKED_OBSTACLES, Record
from safe_numpy.ledger.report import Report
from safe_numpy.messages.units import name_place

OBSTACLES: dict[str, str] = {
    **BOOKED_OBSTACLES,
    "other": "there were too many lines: which these are, was not booked",
    "cell": "it is no file",
    "foreign": "it belongs to an installed package",
    "missing": "the file is not there any more",
    "outside": "the file lies outside of the folders that may be rewritten; --root names others",
    "suffix": "its name does not end in .py",
    "changed": "the file has changed since it ran",
    "text": "the file says something else at that place",
    "unparsed": "the file cannot be parsed",
    "underived": "the code that the ledger has for it does not follow from the tables of safe_numpy",
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

    def write(self) -> None:
        """Give the file its new content, at one stroke.

        Raises:
            OSError: it cannot be written, or it is not what it was.
        """
        if self.path.resolve() != self.path or self.path.read_bytes() != self.old:
            raise OSError(f"{self.path} has changed meanwhile")
        replace_file(self.path, self.new)

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


def plan_rewritings(report: Report, roots: Sequence[Path]) -> tuple[list[Rewriting], list[Skipped]]:
    """Return what to rewrite below some folders, and what is left and why. Writes nothing."""
    skipped: list[Skipped] = []
    by_file: dict[Path, list[Record]] = defaultdict(list)
    within = [Path(os.path.realpath(root)) for root in roots]
    for record in report.records:
        obstacle = _find_obstacle(record, within)
        if obstacle:
            skipped.append(_skip(record, obstacle))
        else:
            by_file[Path(os.path.realpath(record.site.filename))].append(record)
    rewritings, deriver = [], Deriver()
    for path, records in by_file.items():
        rewriting, left = _plan_file(path, records, deriver)
        rewritings += [rewriting] if rewriting is not None else []
        skipped += left
    return rewritings, skipped


def _skip(record: Record, obstacle: str, **facts: str) -> Skipped:
    place = name_place(record.site.filename, record.site.lineno) if record.site.lineno else "other lines"
    return Skipped(place, OBSTACLES[obstacle].format(**facts))


def _find_obstacle(record: Record, roots: Sequence[Path]) -> str:
    filename = record.site.filename
    if not record.site.lineno:
        return "other"
    if filename.startswith("<") or "ipykernel_" in filename:
        return "cell"
    if is_foreign(filename):
        return "foreign"
    if not os.path.isfile(filename):
        return "missing"
    path = Path(os.path.realpath(filename))  # a link may lead anywhere
    if not any(path.is_relative_to(root) for root in roots) or is_foreign(str(path)):
        return "outside"
    if path.suffix != ".py":
        return "suffix"
    return record.obstacle or ("" if record.edits else "unread")


def _plan_file(path: Path, records: Sequence[Record], deriver: Deriver) -> tuple[Rewriting | None, list[Skipped]]:
    content = path.read_bytes()
    skipped: list[Skipped] = []
    try:
        text = _decode(content)
        digest = digest_lines(text.splitlines(keepends=True))
        skipped = [_skip(record, "changed") for record in records if record.file_digest != digest]
        records = [record for record in records if record.file_digest == digest]
        source = _Source(text, parse_code(content), deriver)
        rewriting, left = _rewrite_file(path, content, source, records) if records else (None, [])
    # the source may be of another Python, the text of none, or nested too deeply for who reads it
    except (SyntaxError, ValueError, LookupError, RecursionError, MemoryError, libcst.ParserSyntaxError):
        return None, skipped + [_skip(record, "unparsed") for record in records]
    return rewriting, skipped + left


def _rewrite_file(
    path: Path, content: bytes, source: _Source, records: Sequence[Record]
) -> tuple[Rewriting | None, list[Skipped]]:
    skipped: list[Skipped] = []
    wanted: list[tuple[Record, list[Edit]]] = []
    for record in records:
        derived, obstacle = source.derive(record.edits)
        if obstacle:
            skipped.append(_skip(record, obstacle))
        else:
            wanted.append((record, _choose_edits(derived)))
    edits = list(dict.fromkeys(edit for _, chosen in wanted for edit in chosen))
    misnamed = find_misnamed(content, edits)
    if misnamed is not None:
        return None, skipped + [_skip(record, "names", name=misnamed) for record, _ in wanted]
    new, left = rewrite(content, edits)
    if not _is_python(new):  # an edit stands where no expression may
        new, left = content, edits
    undone = [record for record, chosen in wanted if any(edit in left for edit in chosen)]
    skipped += [_skip(record, "text") for record in undone]
    rewriting = Rewriting(path, content, new, len(wanted) - len(undone))
    return (rewriting if new != content else None), skipped


def _is_python(content: bytes) -> bool:
    try:
        parse_code(content)
    except (SyntaxError, ValueError):
        return False
    return True


class _Source:
    """The text of a file, with the code to write in it."""

    def __init__(self, text: str, tree: ast.Module, deriver: Deriver) -> None:
        self._lines = text.split("\n")
        self._tree = tree
        self._deriver = deriver

    def derive(self, edits: Sequence[Edit]) -> tuple[list[Edit], str]:
        """Return edits with the text that the file has at their places, and code of our own; or why there are none."""
        derived = []
        for edit in edits:
            old = self._read(edit)
            if not old or "".join(old.split()) != "".join(edit.old.split()):
                return [], "text"
            new = self._deriver.derive(old, edit.new, functools.partial(list_paths, self._tree, edit.start[0]))
            if new is None:
                return [], "underived"
            derived.append(Edit(edit.start, edit.end, old, new))
        return derived, ""

    def _read(self, edit: Edit) -> str:
        (first, start), (last, end) = edit.start, edit.end
        if last > len(self._lines):
            return ""
        if first == last:
            return self._lines[first - 1][start:end]
        middle = self._lines[first : last - 1]
        return "\n".join([self._lines[first - 1][start:], *middle, self._lines[last - 1][:end]])


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
    bound = {name for node in parse_code(content).body for name, _ in _list_bound(node)}
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
    for node in ast.walk(parse_code(content)):
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
    return {node.id for node in ast.walk(parse_code(f"({text}\n)", "eval")) if isinstance(node, ast.Name)}


class _Transformer(libcst.CSTTransformer):
    METADATA_DEPENDENCIES = (PositionProvider, ExpressionContextProvider)

    def __init__(self, edits: Sequence[Edit], module: libcst.Module) -> None:
        super().__init__()
        self.pending = list(edits)
        self._module = module

    def on_leave(self, original_node: Any, updated_node: Any) -> Any:
        """Replace an expression that stands where an edit says, and says what it says."""
        updated_node = super().on_leave(original_node, updated_node)
        if not self.pending or not isinstance(original_node, libcst.BaseExpression) or self._is_name(original_node):
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

    def _is_name(self, node: libcst.BaseExpression) -> bool:
        """Tell whether a node is what a value is bound to, or a name behind a dot, and no value itself."""
        if not isinstance(node, (libcst.Name, libcst.Attribute, libcst.Subscript, libcst.List, libcst.Tuple)):
            return False
        return self.get_metadata(ExpressionContextProvider, node, None) is not ExpressionContext.LOAD
