"""What every test starts from: the guard on, in `explain`, nothing booked; and stock torch to compare with."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from runs import pytest_terminal_summary  # noqa: F401  hooks of pytest's, here and below
from tally import pytest_runtest_makereport, pytest_sessionfinish  # noqa: F401

import safe_numpy
from safe_numpy.config import modes, setting
from safe_numpy.ledger import ledger as _ledger

WANTED = os.environ.get("SAFE_NUMPY_TEST_FRAMEWORKS", "torch,tensorflow").split(",")

for _name in WANTED:
    __import__(_name)  # a framework that should be here and is not fails the tests; it does not skip them


if "torch" in WANTED:
    import versions

    if not versions.HAS_PYTHON_BACKENDS:
        versions.stand_in_for_toy_device()

NEEDED = {
    "tensorflow": ("test_tensorflow.py", "test_messages_tensorflow.py", "test_traced.py", "test_twins.py"),
    "torch_xla": ("test_xla.py",),
}
collect_ignore = [file for framework, files in NEEDED.items() if framework not in WANTED for file in files]


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Leave no trace from one test in the next."""
    for each in (modes.MODE, *modes.POLICIES):
        monkeypatch.delenv(each.variable, raising=False)
        each.reset()
    _ledger.LEDGER.clear()
    safe_numpy.uninstall()
    safe_numpy.install()
    yield
    safe_numpy.install()
    assert setting._block.get() is None


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call() -> Iterator[None]:
    """Skip what needs the toy device where torch knows no devices written in Python."""
    try:
        return (yield)  # type: ignore[return-value]
    except RuntimeError as error:
        if "device string: toy" in str(error) and not versions.HAS_PYTHON_BACKENDS:
            pytest.skip("this torch has no devices written in Python")
        raise


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if "torch" not in WANTED:
        return
    import torch

    if torch.cuda.is_available():
        return
    for item in items:
        if item.get_closest_marker("cuda"):
            item.add_marker(pytest.mark.skip(reason="no CUDA device on this machine"))
