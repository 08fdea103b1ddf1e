"""Sources that a program made: their lines are explained at once, and nothing is searched for in megabytes."""

from __future__ import annotations

import dis
import sys
from pathlib import Path
from types import FrameType

import numpy as np
import pytest
import torch

import safe_numpy

SMALL = "def g(v):\n    return v.numpy()\n"
BRANCHES = "".join(f"    if k == {i}:\n        z = {i}\n" for i in range(5000))
LITERALS = "1.5, " * 50_000

MOST_CALLS = 200_000
"""but for those within `dis`, which takes twice as many for an instruction in Python 3.13; there were millions"""


def read(source: str, file: Path) -> tuple[str, int]:
    """Run a program that fails; return what is said of it, and how many calls that took."""
    file.write_text(source)
    scope = {"np": np, "x": torch.ones(2, requires_grad=True) * 2, "f": lambda *given: given}
    with pytest.raises(safe_numpy.GradError) as caught:
        exec(compile(source, str(file), "exec"), scope)
    calls = 0

    def count(frame: FrameType, event: str, arg: object) -> None:
        nonlocal calls
        calls += event == "call" and frame.f_code.co_filename != dis.__file__

    sys.setprofile(count)
    try:
        text = str(caught.value)
    finally:
        sys.setprofile(None)
    return text, calls


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (f"y = f([{LITERALS}], x.numpy())\n", "huge.py:1"),
        (f"def g(v):\n    return f([{LITERALS}], v.numpy())\ng(x)\n", "huge.py:2"),
        (f"def g(v, k):\n{BRANCHES}    return np.add(\n        v, 1)\ng(x, 0)\n", "v.detach().numpy(), 1)"),
        (f"{SMALL}def h(v, k):\n    z = g(v)\n{BRANCHES}    return z\nh(x, 0)\n", "v.detach()"),
        (f"data = '{LITERALS}'\n{SMALL}g(x)\n", "fix   return v.detach().numpy()"),
        (f"data = '''{LITERALS}\n'''\nz = x.numpy()\n", "fix   z = x.detach().numpy()"),
    ],
    ids=["a statement", "a statement in a function", "a function", "a caller", "beside a literal", "below a literal"],
)  # fmt: skip
def test_nobody_waits_for_megabytes(source: str, expected: str, tmp_path: Path) -> None:
    read("x.numpy()", tmp_path / "first.py")  # imports what reads
    text, calls = read(source, tmp_path / "huge.py")
    assert expected in text
    assert calls < MOST_CALLS, calls
