"""``docs/upstream``: each script shows its defect, on the versions that are installed, and needs nothing of ours."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from processes import ROOT
from versions import newer_torch

FOLDER = Path(ROOT) / "docs" / "upstream"
SCRIPTS = sorted(FOLDER.glob("*.py"))


@newer_torch
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_the_defect_is_there(script: Path) -> None:
    if script.stem.startswith("tensorflow") and "tensorflow" not in sys.modules:
        return  # SAFE_NUMPY_TEST_FRAMEWORKS leaves it out
    assert "import safe_numpy" not in script.read_text()
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("SAFE_NUMPY", "PYTHONPATH"))}
    done = subprocess.run(
        [sys.executable, str(script)], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 1, f"gone? then the table in docs/upstream and strict mode are to change\n{done.stderr}"
    assert "Traceback" not in done.stderr
    assert done.stdout.strip()


def test_each_is_listed() -> None:
    listed = (FOLDER / "README.md").read_text()
    assert SCRIPTS
    for script in SCRIPTS:
        assert f"[`{script.name}`]({script.name})" in listed
