"""What the pytest plugin does once it is asked to: modes, explanations in failure reports, a summary at the end."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from safe_numpy.config.modes import MODE, Mode, mode, set_mode
from safe_numpy.installing import install
from safe_numpy.ledger.baseline import Accepted, Baseline, read_baseline, render_baseline
from safe_numpy.ledger.files import replace_file
from safe_numpy.ledger.report import Report, from_plain, merge_reports, report, to_plain
from safe_numpy.messages.units import show_controls
from safe_numpy.postmortem.why import find_unsaid

_HAZARDS = "safe_numpy_hazards"
_REPORT = "safe_numpy_report"
"""under this name an xdist worker hands over what it converted"""


class Plugin:
    """The hooks that `pytest_safe_numpy` registers when a mode is asked for."""

    def __init__(self, word: str | None) -> None:
        """Set the mode for the whole run, if one is given.

        Raises:
            pytest.UsageError: it is no mode.
        """
        self._gathered: list[Report] = []
        self._baseline: Baseline | None = None
        self._baseline_file: Path | None = None
        """what to write; None: nothing"""
        if word is None:
            return
        try:
            set_mode(word)
        except ValueError as error:
            raise pytest.UsageError(f"--safe-numpy, safe_numpy_mode: {error}") from None
        if MODE.get() is not Mode.OFF:
            install()

    def use_baseline(self, root: Path, name: str | None, is_update: bool) -> None:
        """Let strict mode pass the hazards of a baseline file, or find out what belongs there.

        Raises:
            pytest.UsageError: there is no file to read, or to write; or it is no baseline.
        """
        if not name:
            raise pytest.UsageError("--safe-numpy-update-baseline: which file? expected --safe-numpy-baseline=FILE")
        file = root / name
        accepted: list[Accepted] = []
        if not is_update:
            try:
                accepted = read_baseline(file)
            except FileNotFoundError:
                raise pytest.UsageError(
                    f"no baseline {file}; --safe-numpy-update-baseline writes one of the hazards that occur"
                ) from None
            except (OSError, ValueError) as error:
                raise pytest.UsageError(f"--safe-numpy-baseline: {error}") from None
        self._baseline_file = file if is_update else None
        self._baseline = Baseline.active = Baseline(root, accepted, is_update)
        install()

    def enter(self, marker: pytest.Mark) -> AbstractContextManager[Any]:
        """Return the block in which a marked test runs.

        Raises:
            pytest.UsageError: the marker names no mode.
        """
        if len(marker.args) != 1 or marker.kwargs:
            raise pytest.UsageError('expected one mode: @pytest.mark.safe_numpy("permissive")')
        try:
            return mode(marker.args[0])
        except ValueError as error:
            raise pytest.UsageError(f"@pytest.mark.safe_numpy: {error}") from None

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[Any]) -> Any:
        """Add a section to the report of a failure that does not explain itself."""
        report: pytest.TestReport = yield
        if call.excinfo is not None and report.failed and MODE.get() is not Mode.OFF:
            explanation = find_unsaid(call.excinfo.value)
            if explanation is not None:
                report.sections.append(("safe_numpy", str(explanation)))
        return report

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Hand over to xdist's controller what this worker converted."""
        output = getattr(session.config, "workeroutput", None)
        if output is not None:
            output[_REPORT] = to_plain(report())
            output[_HAZARDS] = [list(hazard) for hazard in self._baseline.met] if self._baseline else []

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        """Gather what a worker converted."""
        plain = getattr(node, "workeroutput", {}).get(_REPORT)
        if plain is not None:
            self._gathered.append(from_plain(plain))
        if self._baseline is not None:
            self._baseline.met |= {Accepted(*h) for h in getattr(node, "workeroutput", {}).get(_HAZARDS, ())}

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Say what was converted, and where."""
        if self._baseline is not None:
            self._conclude(terminalreporter, self._baseline)
        whole = merge_reports([report(), *self._gathered])
        if whole.records:
            terminalreporter.section("safe_numpy")
            terminalreporter.line(str(whole))

    def _conclude(self, terminalreporter: Any, baseline: Baseline) -> None:
        """Write the baseline, or say what of it is out of date."""
        if self._baseline_file is not None:
            try:
                replace_file(self._baseline_file, render_baseline(baseline.met))
                text = f"{len(baseline.met)} accepted hazards written to {self._baseline_file}"
            except OSError as error:
                text = f"the baseline could not be written: {error}"
            terminalreporter.section("safe_numpy: baseline")
            terminalreporter.line(show_controls(text))
        elif gone := sorted(baseline.accepted - baseline.met):
            terminalreporter.section("safe_numpy: baseline")
            for hazard in gone:
                text = f"did not occur in this run: {hazard.file}, {hazard.function}: {hazard.line}"
                terminalreporter.line(show_controls(text))
