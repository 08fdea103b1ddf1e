"""Any order of wrapping and unwrapping, by us and by three others, leaves a method that works.

`SAFE_NUMPY_TEST_EXAMPLES=2500 pytest tests/test_patch_orders.py` takes 10⁵ steps.
"""

from __future__ import annotations

import functools
import inspect
import os
import warnings
from collections.abc import Callable
from typing import Any
from unittest import mock

import numpy as np
import pytest
import tally
import torch
import wrapt
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

import safe_numpy
from safe_numpy.frameworks.torch import doors

NAMES = ("numpy", "__dlpack__")
STOCK_DLPACK = inspect.unwrap(vars(torch.Tensor)["__dlpack__"])


def restore(name: str, before: Any) -> None:
    """Put back what stood in the class's own dictionary; None: nothing did."""
    if before is not None:
        setattr(torch.Tensor, name, before)
    elif name in vars(torch.Tensor):
        delattr(torch.Tensor, name)


def wrap_plainly(name: str) -> Callable[[], None]:
    """Wrap as most libraries do; return how it is taken off."""
    before, previous = vars(torch.Tensor).get(name), getattr(torch.Tensor, name)

    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        return previous(self, *args, **kwargs)

    setattr(torch.Tensor, name, wrapper)
    return functools.partial(restore, name, before)


def wrap_with_its_marks(name: str) -> Callable[[], None]:
    """Wrap with what `functools.wraps` copies, our mark too; put back what was called, as a member of the class."""
    previous = getattr(torch.Tensor, name)

    @functools.wraps(previous)
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        return previous(self, *args, **kwargs)

    setattr(torch.Tensor, name, wrapper)
    return functools.partial(restore, name, previous)


def wrap_by_wrapt(name: str) -> Callable[[], None]:
    """Wrap in an object that equals what it wraps, and shows its attributes."""
    before = vars(torch.Tensor).get(name)
    wrapt.wrap_function_wrapper(torch, f"Tensor.{name}", lambda wrapped, self, args, kwargs: wrapped(*args, **kwargs))
    return functools.partial(restore, name, before)


def wrap_by_mock(name: str) -> Callable[[], None]:
    previous = getattr(torch.Tensor, name)
    patch = mock.patch.object(torch.Tensor, name, lambda self, *args, **kwargs: previous(self, *args, **kwargs))
    patch.start()
    return patch.stop  # type: ignore[return-value]


def wrap_by_monkeypatch(name: str) -> Callable[[], None]:
    previous, patch = getattr(torch.Tensor, name), pytest.MonkeyPatch()
    patch.setattr(torch.Tensor, name, lambda self, *args, **kwargs: previous(self, *args, **kwargs))
    return patch.undo


WRAPPERS = (wrap_plainly, wrap_with_its_marks, wrap_by_wrapt, wrap_by_mock, wrap_by_monkeypatch)


class Orders(RuleBasedStateMachine):
    """Three others wrap a method and take their wrapper off again, in any order, while we come and go."""

    def __init__(self) -> None:
        super().__init__()
        self.others: dict[tuple[int, str], Callable[[], None]] = {}
        self.kept: dict[str, Any] = {}

    @rule(who=st.integers(0, 2), how=st.sampled_from(WRAPPERS), name=st.sampled_from(NAMES))
    def wrap(self, who: int, how: Callable[[str], Callable[[], None]], name: str) -> None:
        if (who, name) not in self.others:
            self.others[who, name] = how(name)

    @rule(who=st.integers(0, 2), name=st.sampled_from(NAMES))
    def unwrap(self, who: int, name: str) -> None:
        undo = self.others.pop((who, name), None)
        if undo is not None:
            try:
                undo()
            except AttributeError:  # it takes off what somebody has taken off
                assert name not in vars(torch.Tensor)

    @rule(name=st.sampled_from(NAMES))
    def keep(self, name: str) -> None:
        self.kept[name] = vars(torch.Tensor).get(name)

    @rule(name=st.sampled_from(NAMES))
    def put_back(self, name: str) -> None:
        """Put back what stood there once, ours or anybody's."""
        if self.kept.get(name) is not None:
            setattr(torch.Tensor, name, self.kept[name])

    @rule()
    def install(self) -> None:
        was_installed = safe_numpy.is_installed()
        safe_numpy.install()
        assert was_installed or vars(torch.Tensor)["numpy"] is doors._numpy_in_place

    @rule()
    def uninstall(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            safe_numpy.uninstall()

    @rule(word=st.sampled_from(["off", "explain", "permissive", "strict"]))
    def set_mode(self, word: str) -> None:
        safe_numpy.set_mode(word)

    @invariant()
    def it_works(self) -> None:
        tally.count()
        if "__dlpack__" not in vars(torch.Tensor):  # somebody has deleted torch's own
            torch.Tensor.__dlpack__ = STOCK_DLPACK  # type: ignore[method-assign]
        plain, leaf = torch.ones(2), torch.ones(2, requires_grad=True)
        assert plain.numpy().tolist() == np.from_dlpack(plain).tolist() == [1, 1]
        guards = safe_numpy.is_installed() and vars(torch.Tensor).get("numpy") is doors._numpy_in_place
        mode = safe_numpy.get_mode()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", safe_numpy.ConversionWarning)
                assert leaf.numpy().tolist() == [1, 1]
        except RuntimeError as error:
            is_explained = isinstance(error, safe_numpy.GradError)
            assert is_explained or not guards or mode is safe_numpy.Mode.OFF
            assert not guards or mode is not safe_numpy.Mode.PERMISSIVE
        else:
            assert mode is safe_numpy.Mode.PERMISSIVE

    def teardown(self) -> None:
        safe_numpy.set_mode("explain")
        self.uninstall()
        restore("numpy", None)
        restore("__dlpack__", STOCK_DLPACK)
        safe_numpy.install()


Orders.TestCase.settings = settings(
    max_examples=int(os.environ.get("SAFE_NUMPY_TEST_EXAMPLES", "20")),
    stateful_step_count=50,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    derandomize="SAFE_NUMPY_TEST_EXAMPLES" not in os.environ,
    suppress_health_check=list(HealthCheck),
)
TestOrders = Orders.TestCase


def test_a_wrapper_of_the_guard_is_no_stock_of_the_guard() -> None:
    ours = torch.Tensor.numpy

    def theirs(self: torch.Tensor, **kwargs: Any) -> Any:
        return ours(self, **kwargs)

    torch.Tensor.numpy = theirs  # type: ignore[method-assign]
    try:
        with pytest.warns(RuntimeWarning, match="another library has patched"):
            safe_numpy.uninstall()
        safe_numpy.install()
        assert torch.ones(2).numpy().tolist() == [1, 1]
        with pytest.raises(safe_numpy.GradError):
            torch.ones(2, requires_grad=True).numpy()
        assert torch.Tensor.numpy is not ours
    finally:
        safe_numpy.uninstall()
        del torch.Tensor.numpy
    safe_numpy.install()
    assert torch.Tensor.numpy is ours, "for the same stock the same object"


def test_a_wrapper_that_equals_what_it_wraps_is_not_passed_over() -> None:
    calls = []

    def count(wrapped: Any, self: Any, args: Any, kwargs: Any) -> Any:
        calls.append(1)
        return wrapped(*args, **kwargs)

    safe_numpy.uninstall()
    before = vars(torch.Tensor)["__dlpack__"]
    wrapt.wrap_function_wrapper(torch, "Tensor.__dlpack__", count)
    try:
        safe_numpy.install()
        np.from_dlpack(torch.ones(2))
        assert calls
    finally:
        safe_numpy.uninstall()
        torch.Tensor.__dlpack__ = before  # type: ignore[method-assign]
        safe_numpy.install()
