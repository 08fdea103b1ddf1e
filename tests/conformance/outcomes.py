"""A pytest plugin that writes how every test ended: ``-p outcomes``, and the file in the variable OUTCOMES."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

_ENDED: dict[str, str] = {}


def pytest_runtest_setup() -> None:
    """Make random numbers the same for each test where SEED says so: the suite's own conftest is not in its archive."""
    if "SEED" in os.environ:
        import torch

        torch.manual_seed(int(os.environ["SEED"]))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):
    outcome = yield
    report = outcome.get_result()
    if report.when != "call" and report.passed:
        return
    ended = report.outcome if not hasattr(report, "wasxfail") else f"x{report.outcome}"
    if call.excinfo is not None and report.failed:
        ended += f" {report.when} {call.excinfo.type.__name__}"
    before = _ENDED.get(item.nodeid)
    _ENDED[item.nodeid] = ended if before is None else f"{before}, {ended}"


def pytest_collectreport(report: pytest.CollectReport) -> None:
    if report.failed:
        _ENDED[f"collecting {report.nodeid}"] = "failed"


def pytest_sessionfinish() -> None:
    guard = sys.modules.get("safe_numpy")
    found = {"mode": "off" if guard is None else guard.get_mode().value, "ended": _ENDED}
    Path(os.environ["OUTCOMES"]).write_text(json.dumps(found, indent=1, sort_keys=True))
