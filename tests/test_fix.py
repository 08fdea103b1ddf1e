"""``safe-numpy fix``: the booked lines rewritten, comments and formatting kept; what is not certain is left."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from processes import ROOT
from versions import newer_torch

from safe_numpy.interfaces import cli
from safe_numpy.ledger import report as _report

PATH = f"{ROOT}{os.pathsep}{ROOT / 'examples'}"


def execute(script: Path, mode: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("SAFE_NUMPY")}
    return subprocess.run(
        [sys.executable, "-W", "ignore", str(script), *arguments],
        env={**environment, "PYTHONPATH": PATH, "SAFE_NUMPY": mode, **variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=script.parent,
    )


def book(tmp_path: Path, source: str, name: str = "program.py") -> tuple[Path, Path]:
    """Run a program in permissive mode; return it and its ledger."""
    script, ledger = tmp_path / name, tmp_path / "ledger.json"
    if source:
        script.write_text(textwrap.dedent(source))
    done = execute(script, "permissive", SAFE_NUMPY_REPORT=str(ledger))
    assert done.returncode == 0, done.stderr
    return script, ledger


def fix(ledger: Path, capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, str, str]:
    status = cli.main(["fix", str(ledger), "--root", str(ledger.parent), *options])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


PROGRAM = '''\
"""A program: docstring first."""
from __future__ import annotations

import safe_numpy
import numpy as np   # the usual name
import torch

x = torch.ones(3, requires_grad=True); low = torch.ones(2, dtype=torch.bfloat16)


def total( t ):   # odd spacing stays
\tscaled = np.asarray( t ) * 2   # a comment
\treturn scaled.sum()


print(total(x), x.numpy().sum() + low.numpy().sum())
both = np.stack([
    x.numpy(),  # the first
    (x * 2).numpy(),
    ])
pairs = [np.asarray(t) for t in (x, x)]
é = "ünïcode"; print(é, x[1:].numpy())
if (n := x.numpy()).size: print(n)
print(f"{x.numpy().sum():.1f}")
[ask() for ask in (x.numpy,)]
'''


def test_a_program_rewritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script, ledger = book(tmp_path, PROGRAM)
    before = execute(script, "permissive").stdout
    status, diff, said = fix(ledger, capsys)
    assert script.read_text() == PROGRAM, "without --apply nothing is written"
    status_applied, diff_applied, _ = fix(ledger, capsys, "--apply")
    assert (status_applied, diff_applied) == (status, diff)
    rewritten = script.read_text()
    expected = PROGRAM
    for old, new in {
        "np.asarray( t )": "np.asarray( t.detach().numpy() )",
        "x.numpy().sum() + low.numpy().sum()": "x.detach().numpy().sum() + low.float().numpy().sum()",
        "    x.numpy(),  # the first": "    x.detach().numpy(),  # the first",
        "(x * 2).numpy()": "(x * 2).detach().numpy()",
        "np.asarray(t) for": "np.asarray(t.detach().numpy()) for",
        "x[1:].numpy()": "x[1:].detach().numpy()",
        "(n := x.numpy())": "(n := x.detach().numpy())",
        "{x.numpy().sum():.1f}": "{x.detach().numpy().sum():.1f}",
    }.items():
        assert expected.count(old) == 1
        expected = expected.replace(old, new)
    assert rewritten == expected
    assert status == 1
    assert said.startswith(f"{script}:25: left as it is: the line does not say which expression is the tensor\n")
    left = execute(script, "explain")
    assert (left.stdout, left.stderr.count("safe_numpy.GradError")) == (before, 1), "only the line that was left fails"
    ledger.unlink()
    assert execute(script, "permissive", SAFE_NUMPY_REPORT=str(ledger)).returncode == 0
    assert [row["line"] for row in _report.read_report(ledger).rows] == [25]


def test_the_diff_is_one_that_patch_takes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script, ledger = book(tmp_path, "import safe_numpy, torch\nx = torch.ones(3, requires_grad=True)\nx.numpy()")
    _, diff, said = fix(ledger, capsys)
    assert diff.endswith(
        " x = torch.ones(3, requires_grad=True)\n-x.numpy()\n\\ No newline at end of file\n"
        "+x.detach().numpy()\n\\ No newline at end of file\n"
    )
    assert said == "1 line in 1 file to rewrite; --apply does it\n"
    subprocess.run(["patch", "-p1", "-d", "/"], input=diff, text=True, check=True, capture_output=True)
    assert script.read_text().endswith("x.detach().numpy()")


@newer_torch
def test_the_demo(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = tmp_path / "digits.py"
    script.write_text((ROOT / "examples" / "digits.py").read_text())
    options = ("--epochs", "60", "--output", str(tmp_path))
    ledger = tmp_path / "ledger.json"
    permissive = execute(script, "permissive", *options, SAFE_NUMPY_REPORT=str(ledger))
    status, _, said = fix(ledger, capsys, "--apply")
    assert (status, said) == (0, "3 lines in 1 file rewritten\n")
    again = tmp_path / "again.json"
    explained = execute(script, "explain", *options, SAFE_NUMPY_REPORT=str(again))
    accuracy = re.compile(r"accuracy \S+   top two \S+")
    assert explained.returncode == permissive.returncode == 0
    assert accuracy.search(explained.stdout)[0] == accuracy.search(permissive.stdout)[0]  # type: ignore[index]
    assert "cannot become" not in explained.stdout
    assert execute(script, "permissive", *options, SAFE_NUMPY_REPORT=str(again)).returncode == 0
    assert _report.read_report(again).totals["count"] == 0, "nothing is converted implicitly any more"


@newer_torch
def test_a_line_for_tensors_that_need_more_and_less(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script, ledger = book(
        tmp_path,
        """
        import safe_numpy, torch, toy_device
        def show(t):
            return t.numpy().tolist()
        x = torch.ones(2, requires_grad=True)
        print(show(x), show(x.detach().to("toy")), show(torch.ones(2)), show(torch.ones(2).cfloat().conj().imag))
        """,
    )
    before = execute(script, "permissive").stdout
    status, diff, _ = fix(ledger, capsys, "--apply")
    assert status == 0
    assert "+    return t.detach().cpu().resolve_neg().numpy().tolist()\n" in diff
    done = execute(script, "explain")
    assert (done.stdout, done.returncode) == (before, 0)


def test_a_line_for_tensors_that_no_one_expression_serves(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, ledger = book(
        tmp_path,
        """
        import safe_numpy, torch
        def show(t):
            return t.numpy().tolist()
        print(show(torch.ones(2, requires_grad=True)), show(torch.ones(2, dtype=torch.bfloat16)))
        """,
    )
    status, diff, said = fix(ledger, capsys, "--apply")
    assert (status, diff) == (1, "")
    assert "program.py:4: left as it is: tensors of different dtypes or layouts came by" in said


def test_modules_that_the_new_code_needs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script, ledger = book(
        tmp_path,
        '''
        """Doc."""
        from __future__ import annotations
        from torch import ones, bits8 as b, complex32
        def f():
            import safe_numpy
            print(ones(2).to(complex32).numpy())
        f()
        ''',
    )
    status, diff, _ = fix(ledger, capsys, "--apply")
    assert status == 0
    assert script.read_text().splitlines()[3:5] == ["from torch import ones, bits8 as b, complex32", "import torch"]
    assert "print(ones(2).to(complex32).to(torch.complex64).numpy())" in diff
    assert execute(script, "explain").stdout == "[1.+0.j 1.+0.j]\n"


def test_a_name_that_means_something_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, ledger = book(
        tmp_path,
        """
        import safe_numpy
        from torch import ones, complex32
        torch = 3
        print(ones(2).to(complex32).numpy())
        """,
    )
    status, diff, said = fix(ledger, capsys)
    assert (status, diff) == (1, "")
    assert "left as it is: `torch` means something else in that file" in said


LINE = "import safe_numpy, torch\nx = torch.ones(3, requires_grad=True)\nx.numpy()\n"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda script: script.write_text(LINE + "# a comment\n"), "the file has changed since it ran"),
        (lambda script: script.write_text(LINE.replace("x", "y")), "the file has changed since it ran"),
        (lambda script: script.unlink(), "the file is not there any more"),
    ],
)
def test_a_file_that_is_not_what_ran(
    change: Any, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script, ledger = book(tmp_path, LINE)
    change(script)
    status, diff, said = fix(ledger, capsys, "--apply")
    assert (status, diff) == (1, "")
    assert f"program.py:3: left as it is: {reason}\n0 lines rewritten\n" in said


def test_another_python(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The text of the file is what counts, whatever version ran it."""
    _, ledger = book(tmp_path, LINE)
    plain = json.loads(ledger.read_text())
    plain["processes"][0]["python"] = "3.99"
    ledger.write_text(json.dumps(plain))
    status, diff, said = fix(ledger, capsys)
    assert (status, said) == (0, "1 line in 1 file to rewrite; --apply does it\n")
    assert "+" in diff


def test_cells_and_installed_packages(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    package = tmp_path / "site-packages" / "pack.py"
    package.parent.mkdir()
    package.write_text("def convert(x):\n    return x.numpy()\n")
    _, ledger = book(
        tmp_path,
        f"""
        import sys, safe_numpy, torch
        sys.path.insert(0, {str(package.parent)!r})
        import os
        os.environ["SAFE_NUMPY_OWN"] = "pack"
        import pack
        x = torch.ones(3, requires_grad=True)
        pack.convert(x)
        exec(compile("x.numpy()", "<cell>", "exec"))
        """,
    )
    status, diff, said = fix(ledger, capsys)
    assert (status, diff) == (1, "")
    assert "pack.py:2: left as it is: it belongs to an installed package" in said
    assert "<cell>:1: left as it is: it is no file" in said


@pytest.mark.parametrize(
    ("encoding", "newline"), [("utf-8", "\r\n"), ("utf-8-sig", "\n"), ("latin-1", "\n"), ("utf-8", "\n")]
)
def test_encodings_and_line_ends_stay(
    encoding: str, newline: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = tmp_path / "program.py"
    cookie = "# -*- coding: latin-1 -*-\n" if encoding == "latin-1" else ""
    text = f"{cookie}import safe_numpy, torch\nx = torch.ones(3, requires_grad=True)\nname = 'é'; x.numpy()  # à la\n"
    content = text.replace("\n", newline).encode(encoding)
    script.write_bytes(content)
    _, ledger = book(tmp_path, "")
    status, _, said = fix(ledger, capsys, "--apply")
    assert status == 0, said
    expected = text.replace("x.numpy()", "x.detach().numpy()").replace("\n", newline).encode(encoding)
    assert script.read_bytes() == expected


def test_the_file_keeps_its_permissions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script, ledger = book(tmp_path, LINE)
    script.chmod(0o750)
    assert fix(ledger, capsys, "--apply")[0] == 0
    assert script.stat().st_mode & 0o777 == 0o750
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ledger.json", "program.py"]


def test_without_libcst(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    _, ledger = book(tmp_path, LINE)
    for name in [n for n in sys.modules if n == "libcst" or n.startswith(("libcst.", "safe_numpy.interfaces.fix"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "safe_numpy.interfaces.rewrite", raising=False)
    import safe_numpy.interfaces

    for name in ("fix", "rewrite"):
        monkeypatch.delattr(safe_numpy.interfaces, name, raising=False)
    monkeypatch.setitem(sys.modules, "libcst", None)
    status, _, said = fix(ledger, capsys)
    assert (status, said) == (2, "safe-numpy: fix needs libcst: pip install 'safe-numpy[fix]'\n")
