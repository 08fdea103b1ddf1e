"""What the pytest plugin does once it is asked to: modes, explanations in failure reports, a summary at the end."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import pytest

from safe_numpy import _install, _modes
from safe_numpy._report import Report, from_plain, merge, report, to_plain
from safe_numpy._why import find_unsaid

_REPORT = "safe_numpy_report"
"""under this name an xdist worker hands over what it converted"""


class Plugin:
    """The hooks that `pytest_safe_numpy` registers when a mode is asked for."""

    def __init__(self, mode: str | None) -> None:
        """Set the mode for the whole run, if one is given.

        Raises:
            pytest.UsageError: it is no mode.
        """
        self._gathered: list[Report] = []
        if mode is None:
            return
        try:
            _modes.set_mode(mode)
        except ValueError as error:
            raise pytest.UsageError(f"--safe-numpy, safe_numpy_mode: {error}") from None
        if _modes.get_mode() is not _modes.Mode.OFF:
            _install.install()

    def enter(self, marker: pytest.Mark) -> AbstractContextManager[Any]:
        """Return the block in which a marked test runs.

        Raises:
            pytest.UsageError: the marker names no mode.
        """
        if len(marker.args) != 1 or marker.kwargs:
            raise pytest.UsageError('expected one mode: @pytest.mark.safe_numpy("permissive")')
        try:
            return _modes.mode(marker.args[0])
        except ValueError as error:
            raise pytest.UsageError(f"@pytest.mark.safe_numpy: {error}") from None

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[Any]) -> Any:
        """Add a section to the report of a failure that does not explain itself."""
        report: pytest.TestReport = yield
        if call.excinfo is not None and report.failed and _modes.get_mode() is not _modes.Mode.OFF:
            explanation = find_unsaid(call.excinfo.value)
            if explanation is not None:
                report.sections.append(("safe_numpy", str(explanation)))
        return report

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Hand over to xdist's controller what this worker converted."""
        output = getattr(session.config, "workeroutput", None)
        if output is not None:
            output[_REPORT] = to_plain(report())

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        """Gather what a worker converted."""
        plain = getattr(node, "workeroutput", {}).get(_REPORT)
        if plain is not None:
            self._gathered.append(from_plain(plain))

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Say what was converted, and where."""
        whole = merge([report(), *self._gathered])
        if whole.records:
            terminalreporter.section("safe_numpy")
            terminalreporter.line(str(whole))
