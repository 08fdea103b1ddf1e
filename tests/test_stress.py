"""The scenarios of ``stress.py``, on a small scale (``make stress`` has the large one), and hostile interpreters."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from processes import ROOT, launch, run

PROGRAM = """
import torch
import safe_numpy
import warnings
warnings.simplefilter("ignore", safe_numpy.ConversionWarning)
x = torch.ones(2, requires_grad=True)
try:
    x.numpy()
except safe_numpy.GradError as error:
    print(str(error).splitlines()[2], error.diagnosis.fix)
with safe_numpy.mode("permissive"):
    print(x.numpy().tolist(), x.bfloat16().numpy().tolist(), safe_numpy.report().totals["count"])
with safe_numpy.mode("strict"):
    try:
        torch.ones(1).expand(3).numpy()
    except safe_numpy.SilentError as error:
        print(type(error).__name__)
print(safe_numpy.to_numpy({"a": [x]})["a"][0].tolist())
"""
SAID = """\
`x` cannot become a NumPy array, for 1 reason: x.detach().numpy()
[1.0, 1.0] [1.0, 1.0] 2
SilentError
[1.0, 1.0]
"""


@pytest.mark.parametrize(
    ("scenario", "scale", "floors"),
    [
        (
            "toggle_modes",
            2000,
            {"conversions": 6000, "conversions in blocks": 1000, "errors of ours": 1, "modes set": 1},
        ),
        ("race_installs", 2000, {"conversions": 6000, "installed": 1}),
        ("convert_in_signals", 4000, {"signals in handlers": 5}),
        ("fork_anytime", 15, {"children": 15}),
        ("interrupt_everywhere", 23, {f"{name}: lines interrupted": 5 for name in ("a failure read", "a conversion")}),
        ("fill_stack", 0, {"depths tried": 500}),
        ("repeat", 5000, {"failing: calls": 5000, "permissive: calls": 5000}),
    ],
)
def test_a_scenario(scenario: str, scale: int, floors: dict[str, int]) -> None:
    command = [sys.executable, str(ROOT / "tests" / "stress.py"), scenario, str(scale)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    counts: dict[str, Any] = json.loads(done.stdout)
    assert {k: v for k, v in floors.items() if counts.get(k, 0) < v} == {}, counts


@pytest.mark.parametrize("options", [(), ("-O",), ("-OO",), ("-X", "dev"), ("-I",), ("-B", "-s")], ids=" ".join)
def test_options_of_the_interpreter(options: tuple[str, ...], tmp_path: Path) -> None:
    script = tmp_path / "program.py"
    script.write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, *options, str(script)], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.stdout, done.returncode) == (SAID, 0), done.stderr
    assert "safe_numpy" not in done.stderr


def test_warnings_as_errors() -> None:
    """The user's ``-W error`` makes an error of the first permissive conversion, and of nothing else."""
    done = launch(
        """
        import torch
        import safe_numpy
        x = torch.ones(2, requires_grad=True)
        with safe_numpy.mode("permissive"):
            try:
                x.numpy()
            except safe_numpy.ConversionWarning as warning:
                print(type(warning).__name__, type(warning.__cause__).__name__)
        print(torch.ones(2).numpy().tolist())
        """,
        *("-W", "error::UserWarning:__main__", "-W", "error::safe_numpy.ConversionWarning"),
    )
    assert done.stdout == "ConversionWarning RuntimeError\n[1.0, 1.0]\n", done.stderr


@pytest.mark.parametrize("home", ["missing", "read-only", "unset"])
def test_homes(home: str, tmp_path: Path) -> None:
    folder = tmp_path / "home"
    script = tmp_path / "program.py"
    script.write_text(PROGRAM)
    if home == "read-only":
        folder.mkdir(mode=0o500)
    environment = {k: v for k, v in os.environ.items() if k not in ("HOME", "XDG_CACHE_HOME") and "SAFE_NUMPY" not in k}
    if home != "unset":
        environment["HOME"] = str(folder)
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, env=environment, timeout=120, check=False
    )
    assert (done.stdout, done.returncode) == (SAID, 0), done.stderr
    assert list(folder.glob("*")) == []


def test_the_end_of_the_interpreter() -> None:
    """Conversions go on in ``atexit`` and in ``__del__`` while everything is torn down.

    Not in a daemon thread: torch 2.13 itself aborts there, 8 times of 8, with ``x.detach().numpy()``.
    """
    out = run("""
        import atexit
        import torch
        import safe_numpy
        safe_numpy.set_mode("permissive")
        x = torch.ones(1, requires_grad=True)

        class Last:
            def __del__(self, x=x, print=print):
                try:
                    print("del", x.numpy().tolist())
                except RuntimeError as error:
                    print("del", type(error).__name__)

        atexit.register(lambda: print("atexit", x.numpy().tolist()))
        kept = Last()
    """)
    lines = out.splitlines()
    assert lines[0] == "atexit [1.0]"
    assert lines[1:] in (["del [1.0]"], ["del RuntimeError"], ["del GradError"])
