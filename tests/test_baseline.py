"""Strict mode on a code base that has hazards already: a baseline accepts those, and only those."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from processes import ROOT

from safe_numpy.ledger import baseline as _baseline

TESTS = """
import numpy as np, torch, pytest

def spread():
    return torch.zeros(1).expand(3)

def test_old():
    assert spread().numpy().sum() == 0

def test_dlpack():
    assert np.from_dlpack(torch._neg_view(torch.ones(2))).shape == (2,)

def test_fine():
    assert torch.ones(2).numpy().sum() == 2
"""
NEW = """
def test_new():
    assert np.asarray(spread()).sum() == 0
"""


def run_tests(tmp_path: Path, *options: str, source: str = TESTS) -> subprocess.CompletedProcess[str]:
    (tmp_path / "test_it.py").write_text(source)
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "SAFE_NUMPY"))}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options],
        env={**environment, "PYTHONPATH": str(ROOT), "SAFE_NUMPY": "strict"},
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("workers", [(), ("-n", "2")])
def test_accepted_hazards_pass_and_new_ones_do_not(tmp_path: Path, workers: tuple[str, ...]) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    plain = run_tests(tmp_path, "--safe-numpy=strict", *workers)
    assert "2 failed, 1 passed" in plain.stdout
    assert plain.stdout.count("SilentError") >= 2

    written = run_tests(tmp_path, "--safe-numpy-baseline=known.json", "--safe-numpy-update-baseline", *workers)
    assert "3 passed" in written.stdout
    assert f"2 accepted hazards written to {tmp_path / 'known.json'}" in written.stdout
    accepted = json.loads((tmp_path / "known.json").read_text())["accepted"]
    assert accepted == [
        {
            "file": "test_it.py", "function": "test_dlpack", "causes": "neg",
            "line": "assert np.from_dlpack(torch._neg_view(torch.ones(2))).shape == (2,)",
        },
        {
            "file": "test_it.py", "function": "test_old", "causes": "expanded",
            "line": "assert spread().numpy().sum() == 0",
        },
    ]  # fmt: skip

    kept = run_tests(tmp_path, "--safe-numpy-baseline=known.json", *workers)
    assert (kept.returncode, "3 passed" in kept.stdout, "safe_numpy" in kept.stdout) == (0, True, False)
    moved = run_tests(tmp_path, "--safe-numpy-baseline=known.json", *workers, source="\n\n" + TESTS)
    assert "3 passed" in moved.stdout, "lines may move"
    new = run_tests(tmp_path, "--safe-numpy-baseline=known.json", *workers, source=TESTS + NEW)
    assert "1 failed, 3 passed" in new.stdout
    assert "FAILED test_it.py::test_new - safe_numpy.SilentError" in new.stdout


def test_what_does_not_occur_is_said(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\nsafe_numpy_baseline = known.json\n")
    run_tests(tmp_path, "--safe-numpy-update-baseline")
    done = run_tests(tmp_path, source=TESTS.replace("spread().numpy()", "spread().contiguous().numpy()"))
    assert "3 passed" in done.stdout
    assert "did not occur in this run: test_it.py, test_old: assert spread().numpy().sum() == 0" in done.stdout
    before = (tmp_path / "known.json").read_bytes()
    run_tests(tmp_path, "--safe-numpy-update-baseline")
    assert (tmp_path / "known.json").read_bytes() == before, "the same hazards give the same file"


@pytest.mark.parametrize(
    ("options", "content", "text"),
    [
        (["--safe-numpy-update-baseline"], None, "which file? expected --safe-numpy-baseline=FILE"),
        (
            ["--safe-numpy-baseline=known.json"],
            None,
            "--safe-numpy-update-baseline writes one of the hazards that occur",
        ),
        (["--safe-numpy-baseline=known.json"], "{", "known.json is no baseline of safe_numpy: JSONDecodeError"),
        (["--safe-numpy-baseline=known.json"], "[]", "known.json is no baseline of safe_numpy: TypeError"),
    ],
)
def test_what_is_no_baseline(options: list[str], content: str | None, text: str, tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    if content is not None:
        (tmp_path / "known.json").write_text(content)
    done = run_tests(tmp_path, *options)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert text in done.stderr
    assert "Traceback" not in done.stderr


def test_a_round_trip(tmp_path: Path) -> None:
    undecodable = os.fsdecode(b"\xff.py")
    hazards = [
        _baseline.Accepted("b.py", "f", "x.numpy()  # é", "neg"),
        _baseline.Accepted("a.py", "g", "y", "alias"),
        _baseline.Accepted(undecodable, "g", "y", "alias"),
    ]
    file = tmp_path / "known.json"
    file.write_bytes(_baseline.render_baseline(hazards))
    assert _baseline.read_baseline(file) == sorted(hazards)
    assert "# é" in file.read_text(encoding="utf-8")


@pytest.mark.parametrize("content", ["[" * 100_000, '{"format":' * 100_000, "9" * 5000, "null", "\ud800"])
def test_what_no_baseline_can_be(content: str, tmp_path: Path) -> None:
    file = tmp_path / "known.json"
    file.write_bytes(content.encode(errors="surrogatepass"))
    with pytest.raises(ValueError, match="is no baseline of safe_numpy"):
        _baseline.read_baseline(file)
