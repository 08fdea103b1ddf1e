"""How often each attack was tried, and how often it was wrong: what the table of docs/evidence.md is made of.

A test counts once; one that tries many things says so with `count`. SAFE_NUMPY_TEST_TALLY names the file to write.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import pytest

_tried: Counter[tuple[str, str]] = Counter()
_wrong: Counter[tuple[str, str]] = Counter()
_inside = 0


def count(times: int = 1) -> None:
    """Count what the running test has tried."""
    global _inside
    _inside += times


def pytest_runtest_makereport(item: pytest.Function, call: pytest.CallInfo[None]) -> None:
    """Book a test under its file and its function."""
    global _inside
    function = item.nodeid.partition("::")[2].partition("[")[0].removesuffix("::runTest")
    name = item.path.stem.removeprefix("test_"), function.removeprefix("test_").removeprefix("Test").lower()
    if call.when == "call":
        _tried[name] += _inside or 1
        _inside = 0
    _wrong[name] += call.excinfo is not None


def pytest_sessionfinish() -> None:
    """Add what was counted to the file that is named."""
    target = Path(os.environ.get("SAFE_NUMPY_TEST_TALLY", os.devnull))
    if str(target) == os.devnull:
        return
    known = json.loads(target.read_text()) if target.exists() else {}
    for (file, name), times in _tried.items():
        known.setdefault(file, {})[name] = {"tried": times, "wrong": _wrong[file, name]}
    target.write_text(json.dumps(known, indent=1) + "\n")
