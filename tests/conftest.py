"""What every test starts from: the guard on, in `explain`, nothing booked; and stock torch to compare with."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator

import pytest

import safe_numpy
from safe_numpy.config import modes as _modes
from safe_numpy.config import policy as _policy
from safe_numpy.config import setting as _settings
from safe_numpy.ledger import ledger as _ledger

WANTED = os.environ.get("SAFE_NUMPY_TEST_FRAMEWORKS", "torch,tensorflow").split(",")

for _name in WANTED:
    __import__(_name)  # a framework that should be here and is not fails the tests; it does not skip them


if "torch" in WANTED:
    import versions

    if not versions.HAS_PYTHON_BACKENDS:
        versions.stand_in_for_toy_device()

collect_ignore = [] if "tensorflow" in WANTED else ["test_tensorflow.py", "test_messages_tensorflow.py"]


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Leave no trace from one test in the next."""
    for setting in (_modes.MODE, *_policy.SETTINGS):
        monkeypatch.delenv(setting.variable, raising=False)
        setting.reset()
    _ledger.LEDGER.clear()
    safe_numpy.uninstall()
    safe_numpy.install()
    if "torch" in WANTED:
        look_ahead_from_the_second_conversion_on(monkeypatch)
    yield
    safe_numpy.install()
    assert not _settings.is_in_block()


def look_ahead_from_the_second_conversion_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have both ways to a permissive conversion tried: by the stock error, and ahead of it."""
    from safe_numpy.frameworks.torch import doors as _torch_doors

    monkeypatch.setattr(_torch_doors, "_ENOUGH_IN_A_ROW", 1)
    monkeypatch.setattr(_torch_doors, "_CLOSE", math.inf)


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
