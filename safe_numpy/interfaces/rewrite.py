"""Rewriting one source file: expressions replaced at their places, all else as it is. By libcst."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import libcst
from libcst.codemod import CodemodContext
from libcst.codemod.visitors import AddImportsVisitor
from libcst.metadata import MetadataWrapper, PositionProvider

from safe_numpy.diagnosis.facts import Edit

IMPORTS: Mapping[str, tuple[str, str | None]] = {
    "torch": ("torch", None),
    "np": ("numpy", "np"),
    "tf": ("tensorflow", "tf"),
    "ml_dtypes": ("ml_dtypes", None),
    "safe_numpy": ("safe_numpy", None),
}
"""what the names in a fix stand for"""


def rewrite(content: bytes, edits: Sequence[Edit]) -> tuple[bytes, list[Edit]]:
    """Return a file's content with the edits made, and those that could not be: the text there is another one.

    Modules that the new code mentions are imported, at the top.
    """
    wrapper = MetadataWrapper(libcst.parse_module(content))
    transformer = _Transformer(edits, wrapper.module)
    module = wrapper.visit(transformer)
    done = [edit for edit in edits if edit not in transformer.pending]
    context = CodemodContext()
    for name in sorted(find_new_names(done) - _find_bound(content)):
        imported, alias = IMPORTS[name]
        AddImportsVisitor.add_needed_import(context, imported, asname=alias)
    return AddImportsVisitor(context).transform_module(module).bytes, transformer.pending


def find_new_names(edits: Iterable[Edit]) -> set[str]:
    """Return the modules that the new texts mention, and the old ones do not."""
    return {name for edit in edits for name in _find_names(edit.new) - _find_names(edit.old) if name in IMPORTS}


def find_misnamed(content: bytes, edits: Iterable[Edit]) -> str | None:
    """Return a name that the new code needs, and that the file uses for something else; None: there is none."""
    wanted = find_new_names(edits)
    for node in ast.walk(ast.parse(content)):
        for name, meaning in _list_bound(node):
            if name in wanted and meaning != IMPORTS[name][0]:
                return name
    return None


def _find_bound(content: bytes) -> set[str]:
    """Return the names that the module's own statements bind."""
    return {name for node in ast.parse(content).body for name, _ in _list_bound(node)}


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


def _find_names(text: str) -> set[str]:
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
        if _squeeze(self._module.code_for_node(bare)) != _squeeze(edit.old):
            return updated_node
        self.pending.remove(edit)
        new = libcst.parse_expression(f"({edit.new}\n)", config=self._module.config_for_parsing)
        return new.with_changes(lpar=updated_node.lpar, rpar=updated_node.rpar)


def _squeeze(text: str) -> str:
    return "".join(text.split())
