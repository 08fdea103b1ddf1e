"""The pytest plugin of safe_numpy: its options. Inert, and importing nothing of ours, unless one of them is used.

It stands outside the package, since importing that installs the guard.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from safe_numpy.interfaces.pytest_plugin import Plugin

_KEY = pytest.StashKey["Plugin"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--safe-numpy`` and ``safe_numpy_mode``."""
    group = parser.getgroup("safe_numpy", "safe_numpy: why tensors do not become NumPy arrays")
    group.addoption(
        "--safe-numpy",
        metavar="MODE",
        dest="safe_numpy_mode",
        help="run the tests with safe_numpy in this mode: off, explain, permissive or strict",
    )
    group.addoption(
        "--safe-numpy-baseline",
        metavar="FILE",
        help="hazards that strict mode is to accept; only others are errors",
    )
    group.addoption(
        "--safe-numpy-update-baseline",
        action="store_true",
        help="accept every hazard, and write what occurred to the baseline file",
    )
    parser.addini("safe_numpy_baseline", "the baseline file, where --safe-numpy-baseline is not given")
    parser.addini("safe_numpy_mode", "the mode of safe_numpy, where --safe-numpy is not given")


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker; load the rest if a mode is asked for."""
    config.addinivalue_line("markers", "safe_numpy(mode): run this test with safe_numpy in that mode")
    mode = config.getoption("safe_numpy_mode") or config.getini("safe_numpy_mode")
    baseline = config.getoption("safe_numpy_baseline") or config.getini("safe_numpy_baseline")
    is_update = config.getoption("safe_numpy_update_baseline")
    if mode or baseline or is_update:
        plugin = _load(config, mode or None)
        if baseline or is_update:
            plugin.use_baseline(config.rootpath, baseline, is_update)


def _load(config: pytest.Config, mode: str | None) -> Plugin:
    from safe_numpy.interfaces.pytest_plugin import Plugin

    plugin = config.stash.get(_KEY, None)
    if plugin is None:
        plugin = config.stash[_KEY] = Plugin(mode)
        config.pluginmanager.register(plugin, "safe_numpy_reports")
    return plugin


@pytest.hookimpl(hookwrapper=True)  # pluggy before 1.2 knows no other
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Run a marked test in the mode that it names."""
    marker = item.get_closest_marker("safe_numpy")
    if marker is None:
        yield
        return
    with _load(item.config, None).enter(marker):
        yield
