"""What ran on which Python, and how it ended: a row of the table in docs/evidence.md.

SAFE_NUMPY_TEST_RUNS names the file to which the run is added.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from importlib import metadata
from pathlib import Path

import pytest

_PACKAGES = ("torch", "tensorflow-cpu", "numpy", "wrapt")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Add this run, in place of the last one of the same versions."""
    target = os.environ.get("SAFE_NUMPY_TEST_RUNS")
    if not target:
        return
    versions = {"Python": platform.python_version() + ("t" if "free-threading" in sys.version else "")}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    counts = {outcome: len(terminalreporter.stats.get(outcome, ())) for outcome in ("passed", "failed", "skipped")}
    counts["failed"] += len(terminalreporter.stats.get("error", ()))
    reports = [report for outcome in counts for report in terminalreporter.stats.get(outcome, ())]
    counts["files"] = len({report.nodeid.partition("::")[0] for report in reports})
    file = Path(target)
    runs = json.loads(file.read_text()) if file.exists() else []
    runs = [run for run in runs if run["versions"] != versions] + [{"versions": versions, **counts}]
    file.write_text(json.dumps(sorted(runs, key=lambda run: run["versions"]["Python"]), indent=1) + "\n")
