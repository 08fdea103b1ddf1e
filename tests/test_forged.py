"""``safe-numpy fix`` and ``report`` on ledgers from anybody: nothing foreign is written, and nothing breaks."""

from __future__ import annotations

import ast
import contextlib
import io
import json
import os
import random
from pathlib import Path
from typing import Any

import pytest
import tally
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from safe_numpy.callsite.source import digest_lines
from safe_numpy.diagnosis.registry import FRAMEWORKS
from safe_numpy.interfaces import cli, derivation
from safe_numpy.interfaces.derivation import Derivation, iterate_rules
from safe_numpy.ledger.files import find_fault

SOURCE = """\
import torch
import numpy as np
x = torch.ones(3, requires_grad=True); é = "ü"
print(é, x.numpy(), np.tanh(x * 2), [np.asarray(t) for t in (x, x)], f"{x.numpy()}")
del é
both = np.stack([
    x.numpy(),  # the first
    (x * 2).numpy()])
match both.ndim:
    case np.pi: x.y = 3
"""


@pytest.fixture(autouse=True)
def torch_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """What torch's tables do not have is not looked for in other frameworks, which take seconds to load."""
    monkeypatch.setattr(derivation, "FRAMEWORKS", {"torch": FRAMEWORKS["torch"]})


def make_row(file: Path | str, *edits: Any, **fields: Any) -> dict[str, Any]:
    return {
        "file": str(file), "line": 4, "function": "f", "causes": ["grad"], "names": ["x"], "libraries": [],
        "count": 1, "count_explicit": 1, "bytes": 12, "bytes_allocated": 0, "moved_from": {"cuda:0": 3}, "seconds": 0.5,
        "first": 1.0, "last": 2.0, "fix": "x.detach().numpy()", "edits": list(edits), "obstacle": "",
        "file_digest": digest_lines(SOURCE.splitlines(keepends=True)),
    } | fields  # fmt: skip


def make_ledger(path: Path, *rows: Any, **fields: Any) -> Path:
    process = {"pid": 1, "host": "h", "rank": None, "python": "3.11", "started": 1.0, "is_complete": True}
    plain = {"format": "safe_numpy ledger", "version": 1, "processes": [process], "rows": list(rows), **fields}
    path.write_text(json.dumps(plain))
    return path


def make_edit(old: str, new: str, lineno: int = 4) -> list[Any]:
    column = SOURCE.splitlines()[lineno - 1].index(old)
    return [[lineno, column], [lineno, column + len(old)], old, new]


def run(*arguments: str | Path) -> tuple[int, str, str]:
    """Run a command; what it says can be printed anywhere."""
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        status = cli.main(list(map(str, arguments)))
    out.getvalue().encode(), err.getvalue().encode()
    return status, out.getvalue(), err.getvalue()


@pytest.fixture
def script(tmp_path: Path) -> Path:
    script = tmp_path / "root" / "program.py"
    script.parent.mkdir()
    script.write_text(SOURCE)
    return script


def test_the_table_is_what_is_written(script: Path, tmp_path: Path) -> None:
    edits = [make_edit("x.numpy()", "x.detach( ).numpy( )"), make_edit("np.tanh(x * 2)", "torch.tanh(x * 2)")]
    ledger = make_ledger(tmp_path / "l.json", make_row(script, *edits))
    status, diff, said = run("fix", ledger, "--apply", "--root", script.parent)
    assert (status, said) == (0, "1 line in 1 file rewritten\n")
    assert "+print(é, x.detach().numpy(), torch.tanh(x * 2), [np" in diff, "not a character comes from the ledger"


FOREIGN = [
    "__import__('os').system('id') or x.tolist()", "x.detach(evil()).numpy()", "x.view(torch.load).numpy()",
    "y.detach().numpy()", "x.numpy()", "[e.numpy() for e in x]", "lambda *args: x(*args, evil()).numpy()",
    "torch.from_numpy(x).to(evil)", "*x", "yield", "", "x;evil()", "x)\nevil()\n(x", "x.detach().numpy() or evil()",
    "x.view(torch.int16evil).numpy().view(ml_dtypes.bfloat16)",
    "x.view(torch.int16).numpy().view(ml_dtypes.float8_evil)",
    "(" * 400 + "x" + ")" * 400, "x" + ".detach()" * 5000 + ".numpy()", "x" + ".clone().to_dense()" * 50 + ".numpy()",
]  # fmt: skip


@pytest.mark.parametrize("code", FOREIGN, ids=lambda code: code[:30])
def test_foreign_code_is_not_written(code: str, script: Path, tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path / "l.json", make_row(script, make_edit("x.numpy()", code)))
    status, diff, said = run("fix", ledger, "--apply", "--root", script.parent)
    assert (status, diff, script.read_text()) == (1, "", SOURCE)
    assert "program.py:4: left as it is: the code that the ledger has for it does not follow from the tables" in said


DERIVED = {
    "x.numpy()": [
        "x.detach().numpy()", "x.cpu().numpy()", "x.view(torch.int16).numpy().view(ml_dtypes.bfloat16)",
        "np.ma.MaskedArray(x.detach().get_data().numpy(), mask=~x.detach().get_mask().numpy())",
        "np.fromiter((row.numpy() for row in x.unbind()), dtype=object)", "safe_numpy.to_numpy(x)",
    ],
    "xs": [
        "[t.detach().numpy() for t in xs]", "{k: t.numpy() for k, t in xs.items()}",
        "tuple(t.float().numpy() for t in xs)",
        "[[t.detach().numpy() for t in row] for row in xs]", "xs.item()", "lambda *args: xs(*args).detach().numpy()",
        "torch.from_numpy(xs)", "torch.as_tensor(xs).to(self.w)",
    ],
    "np.sum(xs, axis=0)": ["torch.sum(xs, dim=0)", "torch.stack(xs).sum(dim=0)"],
    "np.maximum(x, 0)": ["torch.clamp(x, min=0)"],
    "torch.Tensor.numpy(y)": ["y.detach().numpy()"],
    "torch.tensor(np.exp(x.numpy()) * a)": ["torch.exp(x) * a", "torch.exp(x) * torch.from_numpy(a)"],
    "np.concatenate([a.numpy(), np.exp(é)])": ["torch.cat([a, torch.exp(é)])"],
}  # fmt: skip


@pytest.mark.parametrize(("old", "new"), [(old, new) for old, news in DERIVED.items() for new in news])
def test_what_our_tables_give_is_derived(old: str, new: str) -> None:
    rules = next(iterate_rules())
    assert Derivation(old, rules, lambda: frozenset({"self.w"})).derive(new) == new


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("check(a) and x.numpy()", "x.detach().numpy()"),
        ("f(x.numpy(), check())", "f(x.detach().numpy())"),
        ("np.tanh(check(), x)", "torch.tanh(x)"),
        ("np.tanh(x)", "evil.tanh(x)"),
        ("f'{x.numpy()}'", "f'{x.detach().numpy()!r}'"),
        ("a + x.numpy()", "a - x.detach().numpy()"),
    ],
)
def test_nothing_of_the_line_is_lost(old: str, new: str) -> None:
    assert Derivation(old, next(iterate_rules()), frozenset).derive(new) is None


def test_files_elsewhere_are_not_touched(script: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = script.parent
    (tmp_path / "other.py").write_text(SOURCE)
    (root / "link.py").symlink_to(tmp_path / "other.py")
    (root / "folder").symlink_to(tmp_path)
    (root / "program.txt").write_text(SOURCE)
    os.mkfifo(root / "pipe.py")
    files: dict[Path | str, str] = {
        tmp_path / "other.py": "lies outside of the folders", root / "link.py": "lies outside of the folders",
        root / "folder" / "other.py": "lies outside of the folders", root / ".." / "other.py": "lies outside of",
        root / "program.txt": "does not end in .py", root / "pipe.py": "is not there", f"{root}/{'n' * 5000}": "is not",
    }  # fmt: skip
    edit = make_edit("x.numpy()", "x.detach().numpy()")
    monkeypatch.chdir(root)
    for file, reason in files.items():
        status, diff, said = run("fix", make_ledger(tmp_path / "l.json", make_row(file, edit)), "--apply")
        assert (status, diff) == (1, ""), said
        assert reason in said
    assert {f.read_text() for f in (tmp_path / "other.py", script, root / "program.txt")} == {SOURCE}
    ledger = make_ledger(tmp_path / "l.json", make_row("program.py", edit))
    assert run("fix", ledger, "--apply")[0] == 0, "below the working directory"
    assert run("fix", make_ledger(ledger, make_row(tmp_path / "other.py", edit)), "--apply", "--root", tmp_path)[0] == 0


def test_an_edit_where_no_expression_may_stand(script: Path, tmp_path: Path) -> None:
    for lineno, old in (
        (3, "x"),
        (3, "torch"),
        (5, "é"),
        (9, "ndim"),
        (10, "np.pi"),
        (10, "x.y"),
        (6, "both"),
        (6, "stack"),
    ):
        row = make_row(script, make_edit(old, f"{old}.detach().numpy()", lineno))
        status, _, said = run("fix", make_ledger(tmp_path / "l.json", row), "--apply", "--root", script.parent)
        is_value = (lineno, old) == (3, "torch")
        assert status == (not is_value), said
        ast.parse(script.read_text())
        script.write_text(SOURCE)


@pytest.mark.parametrize("content", [b"# coding: no-such\n", b"\xff\n", b"def f(:\n", b"x = " + b"(" * 5000, b"a\0b"])
def test_a_file_that_cannot_be_read(content: bytes, script: Path, tmp_path: Path) -> None:
    script.write_bytes(content)
    digest = digest_lines(content.decode("latin-1").splitlines(keepends=True))
    row = make_row(script, make_edit("x.numpy()", "x.detach().numpy()"), file_digest=digest)
    status, diff, said = run("fix", make_ledger(tmp_path / "l.json", row), "--apply", "--root", script.parent)
    assert (status, diff, script.read_bytes()) == (1, "", content)
    assert "the file cannot be parsed" in said


HUGE = 10**30
WRONG: list[tuple[str, Any]] = [
    ("line", "4"), ("line", -1), ("line", True), ("line", HUGE), ("count", float("inf")), ("seconds", float("nan")),
    ("seconds", "1"), ("last", 1e300), ("first", None), ("file", None), ("file", "a\0b"), ("function", "\ud800"),
    ("causes", "grad"), ("names", [1]), ("moved_from", []), ("moved_from", {"cuda": -1}), ("fix", 3),
    ("obstacle", "no"), ("obstacle", []),
    ("edits", [[1]]), ("edits", [[[4, 2], [4, 2], "", "x"]]), ("edits", [[[4, 3], [4, 2], "", "x"]]),
    ("edits", [[[0, 2], [4, 2], "", "x"]]), ("edits", [[[4, 2], [4, 3], "x", "\udfff"]]), ("edits", {}),
]  # fmt: skip


@pytest.mark.parametrize(("field", "value"), WRONG, ids=str)
def test_the_row_and_the_field_are_named(field: str, value: Any, script: Path, tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path / "l.json", make_row(script), make_row(script) | {field: value})
    for command in ("report", "fix"):
        status, out, said = run(command, ledger)
        assert (status, out) == (2, "")
        assert said.startswith(f"safe-numpy: {ledger} is damaged: row 2, field {field!r}: expected ")


def test_other_parts_of_the_file(tmp_path: Path) -> None:
    for fields, text in (
        ({"rows": 3}, "field 'rows': expected a list, got 3"),
        ({"rows": [3]}, "row 1: expected an object, got 3"),
        ({"processes": [{"pid": 1, "host": "h", "rank": "0"}]}, "process 1, field 'rank': expected a whole number, or"),
        ({"version": "1"}, "field 'version': expected a whole number, got '1'"),
        ({"version": 2}, "has format version 2, of a newer safe_numpy; this one reads 1"),
    ):
        status, _, said = run("report", make_ledger(tmp_path / "l.json", **fields))
        assert (status, text in said) == (2, True), said
    for content in ("[" * 100_000, '{"a":' * 100_000, "9" * 5000, "\ud800"):
        (tmp_path / "l.json").write_bytes(content.encode(errors="surrogatepass"))
        assert run("report", tmp_path / "l.json")[0] == 2


def test_a_folder_with_what_is_no_file(tmp_path: Path) -> None:
    make_ledger(tmp_path / "l.json", make_row("program.py"))
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "zero.json").symlink_to("/dev/zero")
    (tmp_path / "loop.json").symlink_to(tmp_path / "loop.json")
    status, out, said = run("report", tmp_path)
    assert (status, "program.py:4" in out, said) == (0, True, "")


def test_the_temporary_file_follows_no_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "victim").write_text("kept")
    make_ledger(tmp_path / "l.json", make_row("program.py"))
    monkeypatch.setattr(os, "urandom", lambda n: b"foretold"[:n])  # which it cannot be
    (tmp_path / f".safe_numpy.{os.getpid()}.{b'fore'.hex()}.tmp").symlink_to(tmp_path / "victim")
    status, _, said = run("report", tmp_path / "l.json", "--json", tmp_path / "whole.json")
    assert (status, (tmp_path / "victim").read_text(), "File exists" in said) == (2, "kept", True)


def test_a_path_of_bytes_that_are_no_text(tmp_path: Path) -> None:
    """Python reads them as surrogates (PEP 383), and such a program's ledger is as good as any."""
    status, out, _ = run("report", make_ledger(tmp_path / "l.json", make_row("/tmp/\udcff.py")))
    assert (status, r"/tmp/\udcff.py:4" in out) == (0, True)


LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(2**62, 2**70), st.floats(), st.text(max_size=8),
    st.text(st.characters(categories=("Cs", "Cc")), max_size=4),
    st.sampled_from(("", "learnt", "program.py", "../o.py")),
)  # fmt: skip
VALUES = st.recursive(
    LEAVES, lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text(max_size=3), v, max_size=3), max_leaves=6
)
PLACES = st.tuples(st.integers(0, 12), st.integers(0, 60))
PARTS = st.sampled_from(
    ("x", ".numpy()", ".detach()", ".cpu()", ".item()", "np.tanh(", "torch.tanh(", ")", "(", "evil()", " or ", "[", "]",
     "x * 2", " for t in ", "t", "lambda *args: ", "\n", ";", "*", "torch.from_numpy(", "é", "'", "#", "\\", "=", ",")
)  # fmt: skip
CODES = st.lists(PARTS, max_size=7).map("".join)
PIECES = [
    (lineno, start, end)
    for lineno, line in enumerate(SOURCE.splitlines(), 1)
    for start in range(len(line))
    for end in range(start + 1, len(line) + 1)
]


@st.composite
def make_edits(draw: Any) -> Any:
    if draw(st.booleans()):
        return [list(draw(PLACES)), list(draw(PLACES)), draw(CODES), draw(CODES)]
    lineno, start, end = draw(st.sampled_from(PIECES))
    old = SOURCE.splitlines()[lineno - 1][start:end]
    new = draw(
        CODES | st.sampled_from((f"{old}.detach().numpy()", f"({old}).cpu().numpy()", f"safe_numpy.to_numpy({old})"))
    )
    return [[lineno, start], [lineno, end], old, new]


ROWS = st.fixed_dictionaries(
    {}, optional={"edits": st.lists(make_edits(), max_size=4), **{f: VALUES for f in make_row("") if f != "edits"}}
)


def attack(folder: Path, rows: list[dict[str, Any]]) -> None:
    """Give `safe-numpy fix` a ledger; what it does is within bounds."""
    tally.count()
    root, outside = folder / "root", folder / "o.py"
    root.mkdir(exist_ok=True)
    for file in (root / "program.py", outside):
        file.write_text(SOURCE)
    ledger = make_ledger(folder / "l.json", *({**make_row(root / "program.py"), **row} for row in rows))
    is_right = find_fault(json.loads(ledger.read_text())) == ""
    status = run("fix", ledger, "--apply", "--root", root)[0]
    assert status in ((0, 1) if is_right else (2,))
    assert run("report", ledger)[0] == (0 if is_right else 2)
    assert outside.read_text() == SOURCE
    assert {f.name for f in folder.iterdir()} == {"root", "o.py", "l.json"}
    assert [f.name for f in root.iterdir()] == ["program.py"]
    tree = ast.parse((root / "program.py").read_text())
    assert "evil" not in {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


@pytest.fixture
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "root").mkdir()
    monkeypatch.chdir(tmp_path / "root")
    return tmp_path


@settings(
    max_examples=int(os.environ.get("SAFE_NUMPY_TEST_EXAMPLES", "300")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(rows=st.lists(ROWS, min_size=1, max_size=3))
def test_any_ledger(at_home: Path, rows: list[dict[str, Any]]) -> None:
    attack(at_home, rows)


def test_bytes_that_were_flipped(at_home: Path) -> None:
    good = make_ledger(at_home / "l.json", make_row("program.py", make_edit("x.numpy()", "x.detach().numpy()")))
    content, chance = good.read_bytes(), random.Random(1)
    for _ in range(int(os.environ.get("SAFE_NUMPY_TEST_EXAMPLES", "300"))):
        tally.count()
        damaged = bytearray(content)
        for _ in range(chance.randint(1, 4)):
            damaged[chance.randrange(len(damaged))] = chance.choice(b'\x00"[]{},:-19eE.x\\u\xff')
        good.write_bytes(damaged)
        (at_home / "root" / "program.py").write_text(SOURCE)
        assert run("fix", good, "--apply")[0] in (0, 1, 2)
        assert run("report", good)[0] in (0, 2)
