"""Greenlets, which swap stacks below Python's, do what threads and generators do in `test_attacks.py`: `make attack`.

The suite has no greenlet, and nothing in it may be skipped.
"""

from __future__ import annotations

import warnings
from typing import Any

import greenlet
import pytest
import tally
import torch

import safe_numpy
from safe_numpy.ledger.ledger import LEDGER

VALUES = [1.0, -2.0, 0.5]


def make() -> torch.Tensor:
    return torch.tensor(VALUES, requires_grad=True) * 1


def switch() -> None:
    """Go back to who started this greenlet."""
    greenlet.getcurrent().parent.switch()


def run_in_turns(*works: Any) -> list[Any]:
    """Run functions in greenlets, a step of each in turn; return what they give."""
    started = [greenlet.greenlet(work) for work in works]
    given = [each.switch() for each in started]
    while not all(each.dead for each in started):
        given = [value if each.dead else each.switch() for each, value in zip(started, given, strict=True)]
    return given


def test_modes_in_greenlets() -> None:
    def work(mode: str) -> int:
        for _ in range(50):
            with safe_numpy.mode(mode), warnings.catch_warnings():
                warnings.simplefilter("ignore", safe_numpy.ConversionWarning)
                switch()
                if mode == "permissive":
                    assert make().numpy().tolist() == VALUES
                else:
                    with pytest.raises(safe_numpy.GradError if mode != "off" else RuntimeError):
                        make().numpy()
                tally.count()
            switch()
            assert safe_numpy.get_mode() is safe_numpy.Mode.EXPLAIN
        return 1

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", safe_numpy.ConversionWarning)
        works = [lambda mode=mode: work(mode) for mode in ("explain", "permissive", "strict", "off") * 3]
        assert run_in_turns(*works) == [1] * 12


def test_counts_of_greenlets() -> None:
    LEDGER.clear()

    def work() -> None:
        for _ in range(20):
            assert make().numpy().tolist() == VALUES
            tally.count()
            switch()

    with safe_numpy.mode("permissive"), warnings.catch_warnings():
        warnings.simplefilter("ignore", safe_numpy.ConversionWarning)
        safe_numpy.set_mode("permissive")
        run_in_turns(*[work] * 100)
    assert safe_numpy.report(reset=True).totals["count"] == 2000


def test_errors_read_in_other_greenlets() -> None:
    def fail() -> Any:
        x = make()
        try:
            x.numpy()
        except safe_numpy.GradError as error:
            return error

    for _ in range(20):
        error = greenlet.greenlet(fail).switch()
        assert "`x` cannot become" in greenlet.greenlet(lambda error=error: str(error)).switch()
        tally.count()


def test_switches_inside_our_own_code() -> None:
    """A class that switches when it is looked at, and a hook for warnings that does.

    Whoever comes meanwhile in the same thread is served as by stock.
    """

    class Switching(torch.Tensor):
        @property
        def requires_grad(self) -> bool:  # type: ignore[override]
            switch()
            return True

    def convert(x: torch.Tensor) -> Any:
        try:
            return x.numpy().tolist()
        except RuntimeError as error:
            return type(error).__name__

    def show(*_: Any, **__: Any) -> None:
        if greenlet.getcurrent().parent is not None:
            switch()

    safe_numpy.set_mode("permissive")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = show
        works = [lambda: convert(make().as_subclass(Switching)), lambda: convert(make()), lambda: convert(make())]
        assert [each for each in run_in_turns(*works) if each not in (VALUES, "RuntimeError")] == []
        assert convert(make()) == VALUES
    safe_numpy.set_mode("explain")
    works = [lambda: convert(make().as_subclass(Switching)), lambda: convert(make())]
    assert {*run_in_turns(*works)} <= {"GradError", "RuntimeError"}
    assert convert(make()) == "GradError"
    tally.count(7)


def test_greenlets_that_are_thrown_away() -> None:
    def work() -> None:
        with safe_numpy.mode("permissive"):
            switch()

    for _ in range(20):
        left = greenlet.greenlet(work)
        left.switch()
        del left
        assert safe_numpy.get_mode() is safe_numpy.Mode.EXPLAIN
        tally.count()
