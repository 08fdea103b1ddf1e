"""What POT's tests expect of the conftest.py that its source distribution lacks: a backend, and marks that skip one.

The names are POT's (https://pythonot.github.io); only torch and TensorFlow are run here, NumPy has no tensors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from ot.backend import get_backend_list

_BACKENDS = [b for b in get_backend_list() if b.__name__ in ("torch", "tf")]


@pytest.fixture(params=_BACKENDS, ids=[b.__name__ for b in _BACKENDS])
def nx(request: pytest.FixtureRequest) -> Any:
    return request.param


def skip_backend(backend: str, reason: str = "") -> pytest.MarkDecorator:
    return skip_arg("nx", backend, reason, str)


def skip_arg(
    arg: Any, value: Any, reason: str = "", getter: Callable[[Any], Any] = lambda x: x
) -> pytest.MarkDecorator:
    return pytest.mark.skips(arg, value, reason, getter)


pytest.skip_backend, pytest.skip_arg = skip_backend, skip_arg


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "skips(arg, value, reason, getter): not with this value of the argument")


def pytest_runtest_setup(item: pytest.Item) -> None:
    arguments = item.callspec.params if hasattr(item, "callspec") else {}
    for mark in item.iter_markers("skips"):
        arg, value, reason, getter = mark.args
        names = arg if isinstance(arg, (list, tuple)) else [arg]
        values = value if isinstance(arg, (list, tuple)) else [value]
        given = [_read(getter, name, arguments.get(name)) for name in names]
        if given == list(values):
            pytest.skip(reason or f"not with {value}")


def _read(getter: Callable[[Any], Any], name: str, value: Any) -> Any:
    return getattr(value, "__name__", value) if name == "nx" else getter(value) if getter is not str else value
