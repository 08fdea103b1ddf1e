"""The pytest plugin: inert unless asked, modes by option, ini key and marker, explanations in reports, a summary."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from processes import ROOT

TESTS = """
import numpy as np, torch, pytest
t = torch.ones(2, requires_grad=True)

def test_convert():
    assert t.numpy().sum() == 2

def test_again():
    assert t.numpy().sum() == 2

def test_operator():
    u = t.detach()
    np.ones(2) + u

def test_unrelated():
    1 / 0
"""


def run_tests(folder: Path, *arguments: str, tests: str = TESTS, ini: str = "") -> str:
    (folder / "test_it.py").write_text(tests)
    (folder / "pytest.ini").write_text(f"[pytest]\n{ini}")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("SAFE_NUMPY", "PYTEST"))}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", *arguments],
        capture_output=True,
        text=True,
        env={**environment, "PYTHONPATH": str(ROOT)},
        cwd=folder,
        timeout=180,
        check=False,
    )
    return done.stdout + done.stderr


def test_inert_by_default(tmp_path: Path) -> None:
    out = run_tests(
        tmp_path, tests="import sys\ndef test(): assert not {'safe_numpy', 'torch', 'numpy'} & set(sys.modules)"
    )
    assert "1 passed" in out
    out = run_tests(tmp_path)
    assert "4 failed" in out
    assert "cannot become a NumPy array" not in out
    assert "safe_numpy" not in out


def test_explain(tmp_path: Path) -> None:
    out = run_tests(tmp_path, "--safe-numpy=explain")
    assert "4 failed" in out
    assert "assert t.detach().numpy().sum() == 2" in out
    assert out.count("- safe_numpy -") == 1, "one failure does not say it by itself"
    section = out[out.index("- safe_numpy -") :]
    assert "`np.ones(2)` is an array and `u` a tensor" in section
    assert "safe_numpy: converted" not in out


@pytest.mark.parametrize("how", ["option", "ini"])
def test_permissive_and_its_summary(tmp_path: Path, how: str) -> None:
    option, ini = (["--safe-numpy", "permissive"], "") if how == "option" else ([], "safe_numpy_mode = permissive\n")
    out = run_tests(tmp_path, *option, ini=ini)
    assert "2 failed, 2 passed" in out
    assert "Permissive mode made 2 conversions at 2 lines of code: " in out
    assert re.search(r"[0s] +1 +grad +\S*test_it.py:6  `t`\n +assert t.detach\(\).numpy\(\).sum\(\) == 2\n", out)
    assert re.search(r"[0s] +1 +grad +\S*test_it.py:9  ", out)


def test_the_option_overrules_the_ini_key(tmp_path: Path) -> None:
    out = run_tests(tmp_path, "--safe-numpy=off", ini="safe_numpy_mode = permissive\n")
    assert "4 failed" in out
    assert "cannot become" not in out
    assert "- safe_numpy -" not in out


def test_xdist(tmp_path: Path) -> None:
    out = run_tests(tmp_path, "--safe-numpy=permissive", "-n", "2")
    assert "2 failed, 2 passed" in out
    assert re.search(r"[0s] +1 +grad +\S*test_it.py:6  `t`\n", out)
    assert re.search(r"[0s] +1 +grad +\S*test_it.py:9  ", out)


MARKED = """
import pytest, torch
t = torch.ones(2, requires_grad=True)

@pytest.mark.safe_numpy("permissive")
def test_marked():
    assert t.numpy().sum() == 2

def test_not_marked():
    with pytest.raises(RuntimeError):
        t.numpy()

@pytest.mark.safe_numpy({})
def test_wrong(): pass
"""


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("'permisive'", "'permisive' is no mode"),
        ("", "expected one mode: @pytest.mark.safe_numpy("),
        ("3", "3 is no mode"),
    ],
)
def test_marker(tmp_path: Path, argument: str, said: str) -> None:
    out = run_tests(tmp_path, "--strict-markers", tests=MARKED.format(argument))
    assert "1 failed, 2 passed" in out
    assert said in out


def test_a_wrong_mode_is_said_before_anything_runs(tmp_path: Path) -> None:
    out = run_tests(tmp_path, "--safe-numpy=permisive")
    assert "--safe-numpy, safe_numpy_mode: 'permisive' is no mode; expected a Mode or one of off, explain" in out
    assert "failed" not in out
    assert "--safe-numpy=MODE" in run_tests(tmp_path, "--help")
