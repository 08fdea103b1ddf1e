"""The demo, as a newcomer runs it: explained, then converted to the end."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from versions import newer_torch

ROOT = Path(__file__).parent.parent
LEFT_OUT = "TensorFlow is not installed: its part of the demo is left out.\n"


def run_demo(output: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("SAFE_NUMPY")}
    return subprocess.run(
        [sys.executable, str(ROOT / "examples" / "digits.py"), "--epochs", "100", "--output", str(output)],
        capture_output=True,
        text=True,
        env=environment | {"PYTHONPATH": str(ROOT)} | variables,
        timeout=120,
        check=False,
    )


@newer_torch
def test_explained(tmp_path: Path) -> None:
    done = run_demo(tmp_path)
    assert done.returncode == 0, done.stderr
    for text in ("GradError: Can't call numpy()", "for 2 reasons:", "NumPy has no bfloat16", "axes.plot(torch.stack("):
        assert text in done.stdout
    assert re.search(r"DeviceError: can't convert (toy|cuda):0 device", done.stdout)
    assert "accuracy 0" not in done.stdout
    assert list(tmp_path.iterdir()) == []


@newer_torch
def test_converted(tmp_path: Path) -> None:
    done = run_demo(tmp_path, SAFE_NUMPY="permissive")
    assert done.returncode == 0, done.stderr
    accuracy = re.search(r"accuracy (\d\.\d+)", done.stdout)
    assert accuracy is not None
    assert float(accuracy[1]) > 0.9
    assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")
    assert done.stderr.count("ConversionWarning") == 3


def test_tensorflow_part() -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("SAFE_NUMPY")}
    program = [sys.executable, str(ROOT / "examples" / "digits_tensorflow.py")]
    for mode, found in (("explain", ["CompositeError"]), ("permissive", ["sparse image of"])):
        done = subprocess.run(
            program,
            capture_output=True,
            text=True,
            env=environment | {"PYTHONPATH": str(ROOT), "SAFE_NUMPY": mode},
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        if "tensorflow" not in sys.modules:  # SAFE_NUMPY_TEST_FRAMEWORKS leaves it out
            assert done.stdout == LEFT_OUT
            continue
        for text in ("`Dataset.map` is tracing `scale`", "Keras is tracing `count_hits`", "Keras accuracy 0.9", *found):
            assert text in done.stdout


def test_without_tensorflow_it_says_so() -> None:
    program = "import sys, runpy; sys.modules['tensorflow'] = sys.modules['keras'] = None; runpy.run_path(sys.argv[1])"
    done = subprocess.run(
        [sys.executable, "-c", program, str(ROOT / "examples" / "digits_tensorflow.py")],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, LEFT_OUT)


@newer_torch
@pytest.mark.parametrize("variables", [{"SAFE_NUMPY": "off"}])
def test_off_is_stock(tmp_path: Path, variables: dict[str, str]) -> None:
    done = run_demo(tmp_path, **variables)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("RuntimeError: Can't call numpy() on Tensor that requires grad.")
    assert "safe_numpy." not in done.stderr
