"""A tensor in a comprehension, which has a frame of its own before Python 3.12, and has none from then on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from test_correction import compile_lines

import safe_numpy

X, Y, PLAIN = torch.ones(2, requires_grad=True), torch.ones(3, requires_grad=True), torch.zeros(2)
CONVERTED = "np.asarray(t.detach().numpy())"
FORMS = [
    # before the line, the line, the name, the line corrected
    ("", "[np.asarray(t) for t in (x, y)]", "t", f"[{CONVERTED} for t in (x, y)]"),
    (
        "",
        "[np.asarray(t * 2) for t in (plain, y)]",
        "t * 2",
        "[np.asarray((t * 2).detach().numpy()) for t in (plain, y)]",
    ),
    # the line asks for another array of the same tensor; for that of another variable, of the same name
    ("", "[np.asarray(t) for t in (x, y)], x.numpy()", "t", f"[{CONVERTED} for t in (x, y)], x.detach().numpy()"),
    ("t = y", "[np.asarray(t) for t in (x, x)], t.numpy()", "t", f"[{CONVERTED} for t in (x, x)], t.detach().numpy()"),
    ("t = plain", "[np.asarray(t) for t in (x, x)], t.numpy()", "t", f"[{CONVERTED} for t in (x, x)], t.numpy()"),
    ("t = np.ones(2)", "[np.asarray(t) for t in [x]], np.sum(t)", "t", f"[{CONVERTED} for t in [x]], np.sum(t)"),
    # what failed is not met in the first round
    ("", "[np.asarray(t) for t in (plain, y)]", "t", "[np.asarray(safe_numpy.to_numpy(t)) for t in (plain, y)]"),
    ("t = plain", "{k: t.numpy() for k, t in named.items()}", "t", "{k: t.detach().numpy() for k, t in named.items()}"),
    ("", "[np.asarray(t) for r in [[x], [y]] for t in r]", "t", f"[{CONVERTED} for r in [[x], [y]] for t in r]"),
    ("", "[[np.asarray(t) for t in r] for r in ([x], [y])]", "t", f"[[{CONVERTED} for t in r] for r in ([x], [y])]"),
    ("", "[t for t in [x, y] if t.numpy().sum() > 2]", "t", "[t for t in [x, y] if t.detach().numpy().sum() > 2]"),
    ("t = [x]", "[np.asarray(t) for t in t]", "t", f"[{CONVERTED} for t in t]"),
    # code with a frame of its own, in a comprehension and around one
    ("", "[sum(v for v in np.asarray(t)) for t in (x, y)]", "t", f"[sum(v for v in {CONVERTED}) for t in (x, y)]"),
    (
        "",
        "sum(v.sum() for v in [np.asarray(t) for t in (x, y)])",
        "t",
        f"sum(v.sum() for v in [{CONVERTED} for t in (x, y)])",
    ),
    (
        "",
        "list([np.asarray(t) for t in r] for r in ([x], [y]))",
        "t",
        f"list([{CONVERTED} for t in r] for r in ([x], [y]))",
    ),
    ("", "(lambda t: [np.asarray(t) for t in t])([x])", "t", f"(lambda t: [{CONVERTED} for t in t])([x])"),
]


def explain(before: str, line: str) -> tuple[BaseException, Callable[[str], Any]]:
    """Return the error of a line in a function, and what runs the function with another in its place."""

    def run(line: str) -> Any:
        names = {
            "np": np,
            "x": X,
            "y": Y,
            "torch": torch,
            "plain": PLAIN,
            "named": {"x": X, "y": Y},
            "safe_numpy": safe_numpy,
        }
        exec(compile_lines(f"def f():\n    {before or 'pass'}\n    {line}\nr = f()"), names)
        return names["r"]

    with pytest.raises((safe_numpy.ConversionError, AttributeError, TypeError, IndexError)) as caught:
        run(f"return {line}")
    return caught.value, run


@pytest.mark.parametrize(("before", "line", "name", "shown"), FORMS)
def test_form(before: str, line: str, name: str, shown: str) -> None:
    error, run = explain(before, line)
    assert isinstance(error, safe_numpy.ConversionError)
    diagnosis = error.diagnosis
    assert diagnosis is not None
    assert (diagnosis.name, diagnosis.named, diagnosis.shown) == (name, True, f"return {shown}")
    run(diagnosis.shown)


@pytest.mark.parametrize("iterable", ["iter([x])", "map(torch.neg, [x])", "(u for u in [x])"])
@pytest.mark.parametrize("before", ["", "t = x", "t = plain"])
def test_variable_that_is_lost_is_not_taken_for_another(before: str, iterable: str) -> None:
    """What such an iterable gave, is not to be had any more; only a frame of its own still has it."""
    error, run = explain(before, f"[np.asarray(t) for t in {iterable}], x.numpy()")
    assert isinstance(error, safe_numpy.ConversionError)
    assert error.diagnosis is not None
    shown = error.diagnosis.shown
    assert shown in {
        f"return [{CONVERTED} for t in {iterable}], x.detach().numpy()",
        f"return [np.asarray(safe_numpy.to_numpy(t)) for t in {iterable}], x.detach().numpy()",
    }
    run(shown)


def test_other_calls_on_the_line_are_not_taken_for_the_one_that_failed() -> None:
    error, run = explain("same = iter([x, x]).__next__", "np.asarray(same()), x.numpy()")
    assert isinstance(error, safe_numpy.ConversionError)
    assert error.diagnosis is not None
    assert error.diagnosis.shown == "return np.asarray(safe_numpy.to_numpy(same())), x.detach().numpy()"
    run(error.diagnosis.shown)


SEEN_BY_NO_GUARD = [
    ("t = np.ones(2)", '[t.astype("f") for t in (x, y)]', '[t.detach().numpy().astype("f") for t in (x, y)]'),
    (
        "zeros = np.zeros(2)",
        "[torch.matmul(plain, t) for t in (plain, zeros)]",
        "[torch.matmul(plain, torch.from_numpy(t).to(plain)) for t in (plain, zeros)]",
    ),
    (
        "half = torch.tensor([0.5])",
        "[t[i] for t, i in [(plain, 0), (plain, half)]]",
        "[t[i.long()] for t, i in [(plain, 0), (plain, half)]]",
    ),
]


@pytest.mark.parametrize(("before", "line", "shown"), SEEN_BY_NO_GUARD)
def test_error_that_reaches_no_guard(before: str, line: str, shown: str) -> None:
    error, _ = explain(before, line)
    assert f"  fix   return {shown}" in str(safe_numpy.why(error))


@pytest.mark.parametrize("before", ["", "t = plain"])
def test_warning_in_permissive_mode(before: str) -> None:
    line = "[np.asarray(t) for t in iter([x, y])]"
    _, run = explain(before, line)
    with safe_numpy.mode("permissive"), pytest.warns(safe_numpy.ConversionWarning, match="`t`"):
        run(f"return {line}")
