"""Run a program in a fresh interpreter: import order and start-up can only be tested there."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).parent.parent


def run(program: str, *options: str, **variables: str) -> str:
    """Run `program`; return what it prints. Its failure is the test's, with its traceback."""
    done = launch(program, *options, **variables)
    assert done.returncode == 0, done.stderr
    return done.stdout


def launch(program: str, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `program` in a clean environment, whatever comes of it."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("SAFE_NUMPY", "PYTEST"))}
    environment |= {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'examples'}", **variables}
    return subprocess.run(
        [sys.executable, *options, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        env=environment,
        timeout=120,
        check=False,
    )
