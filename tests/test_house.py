"""What keeps the package a house that one can live in; the order of its imports is held by `make lint`."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import pytest

import safe_numpy
from safe_numpy.diagnosis.framework import Framework, iterate_loaded

ROOT = Path(safe_numpy.__file__).parent
FILES = {str(f.relative_to(ROOT)): f.read_text() for f in ROOT.rglob("*.py")}


def test_no_two_functions_or_classes_have_one_name() -> None:
    names = Counter(
        node.name
        for text in FILES.values()
        for node in ast.parse(text).body
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and not node.name.startswith("__")
    )
    assert [name for name, count in names.items() if count > 1] == []


def test_few_entries_and_small_files() -> None:
    assert len([f for f in ROOT.iterdir() if f.name != "__pycache__"]) <= 18
    with_code = [name for name, text in FILES.items() if not (name.endswith("__init__.py") and text.count("\n") < 4)]
    assert len(with_code) <= 90
    assert {name: text.count("\n") for name, text in FILES.items() if text.count("\n") > 450} == {}


def test_a_framework_has_few_things_to_tell() -> None:
    members = {name for name in (*vars(Framework), *Framework.__annotations__) if not name.startswith("_")}
    assert len(members) <= 15
    for framework in iterate_loaded():
        own = {name for name in vars(type(framework)) if not name.startswith("_")}
        assert own <= members, "what is no member is nobody's to ask for"


@pytest.mark.parametrize("name", FILES)
def test_frameworks_are_named_in_their_own_folders(name: str) -> None:
    """Everywhere else they may stand in prose, and in the registry; not in what is compared or looked up."""
    if name.startswith(("frameworks/", "interfaces/", "postmortem/", "diagnosis/registry.py")):
        return
    found = {
        node.value
        for node in ast.walk(ast.parse(FILES[name]))
        if isinstance(node, ast.Constant) and node.value in ("torch", "tensorflow", "tf", "keras", "jax", "pandas")
    }
    assert found <= ALLOWED.get(name, set())


def test_sources_are_parsed_without_warnings() -> None:
    """A program's own source may warn again whenever it is parsed, on the program's screen."""
    assert [name for name, text in FILES.items() if "ast.parse(" in text] == ["diagnosis/causes.py"]


ALLOWED = {
    "installing.py": {"pandas"},  # whose constructors are watched in strict mode
    "callsite/syntax.py": {"torch"},  # whose functions are known by their names in the source
    "callsite/fix.py": {"torch", "tensorflow", "tf", "keras"},  # what is to be imported for a fix
}
