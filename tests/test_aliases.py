"""What the one warning says of an array that shares its memory, and that a write there does what it says."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.checkpoint import checkpoint
from versions import newer_torch

import safe_numpy
from safe_numpy.ledger import ledger as _ledger


def warn(convert: Callable[[], Any]) -> str:
    """Return what permissive mode says of a conversion, as if at a new place."""
    _ledger.LEDGER.clear()
    with warnings.catch_warnings(record=True) as caught, safe_numpy.mode("permissive"):
        warnings.simplefilter("always")
        convert()
    (warning,) = (w for w in caught if w.category is safe_numpy.ConversionWarning)
    return str(warning.message)


SENTENCES = {
    "": "the array shares its memory",
    "parameter": "the array shares its memory, and it is a parameter: writing to the array changes the model, and "
    "autograd does not notice",
    "leaf": "the array shares its memory, and autograd computes its gradient: writing to the array changes it, and "
    "autograd does not notice",
    "saved": "the array shares its memory, which autograd has saved for backward(): writing to the array gives wrong "
    "gradients",
    "readonly": "the array shares its memory, and is read-only",
    "exported": "the array is a copy, since what DLPack exports could be written to",
}


def find_said(text: str) -> str:
    """Return the key of what a warning says; the longest, since one begins as another does."""
    said = [key for key, sentence in SENTENCES.items() if f"; {sentence}. Written out:" in text]
    assert len(said) <= 1, said
    return said[0] if said else "copy"


def test_a_parameter_and_its_views() -> None:
    layer = torch.nn.Linear(2, 2)
    assert find_said(warn(lambda: layer.weight.numpy())) == "parameter"
    assert find_said(warn(lambda: layer.weight.T.numpy())) == "parameter"
    assert find_said(warn(lambda: np.asarray(layer.bias))) == "parameter"
    with safe_numpy.mode("permissive"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        version = layer.weight._version
        layer.weight.numpy()[0, 0] = 7
    assert layer.weight[0, 0] == 7, "the model has changed"
    assert layer.weight._version == version, "and autograd has not noticed"


def test_a_leaf() -> None:
    x = torch.ones(2, requires_grad=True)
    assert find_said(warn(lambda: x.numpy())) == "leaf"


SAVES_ITS_RESULT = ["exp", "tanh", "sigmoid", "relu", "sqrt", "softmax"]
SAVES_NOTHING = ["neg", "clone", "t", "cumsum"]


@newer_torch
@pytest.mark.parametrize("name", SAVES_ITS_RESULT + SAVES_NOTHING)
def test_a_result_that_autograd_has_saved(name: str) -> None:
    x = torch.full((2, 2), 0.3, requires_grad=True)
    more = {"softmax": (0,), "cumsum": (0,)}.get(name, ())

    def differentiate(spoil: bool) -> Any:
        y = getattr(x * 1.0, name)(*more)
        if spoil:
            with safe_numpy.mode("permissive"), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                y.numpy()[:] = -5
        return torch.autograd.grad(y[0, 0], x)[0]

    y = getattr(x * 1.0, name)(*more)
    assert find_said(warn(lambda: y.numpy())) == ("saved" if name in SAVES_ITS_RESULT else "")
    is_wrong = not torch.allclose(differentiate(spoil=True), differentiate(spoil=False))
    assert is_wrong == (name in SAVES_ITS_RESULT), "a write gives wrong gradients, as the warning says"


@newer_torch
def test_a_view_of_a_saved_result() -> None:
    h = torch.ones(2, 2, requires_grad=True).exp()
    assert find_said(warn(lambda: h.view(-1).numpy())) == "saved"


@newer_torch
def test_what_was_computed_from_it_may_have_saved_it() -> None:
    x = torch.ones(2, 2, requires_grad=True)
    h = x + 1
    assert find_said(warn(lambda: h.numpy())) == ""
    product = h * h
    assert product.requires_grad
    assert find_said(warn(look(h, product))) == "saved"
    total = x + 2
    summed = total + 1
    assert find_said(warn(look(total, summed))) == "", "a sum saves nothing"


def look(h: torch.Tensor, made: torch.Tensor) -> Callable[[], Any]:
    def convert() -> Any:
        return h.numpy(), made.shape

    return convert


def test_a_checkpoint_is_not_run_again() -> None:
    runs = []

    def forward(x: torch.Tensor) -> torch.Tensor:
        runs.append(1)
        return (x * 2).exp() * x

    x = torch.ones(2, requires_grad=True)
    y = checkpoint(forward, x * 1, use_reentrant=False)
    warn(lambda: y.numpy())
    assert len(runs) == 1


def test_copies_and_what_is_read_only() -> None:
    low = torch.ones(2, dtype=torch.bfloat16, requires_grad=True)
    assert find_said(warn(lambda: low.numpy())) == "copy"
    x = torch.ones(2, requires_grad=True)

    def convert(door: Callable[[Any], Any]) -> Callable[[], Any]:
        def go() -> Any:
            with safe_numpy.mode("permissive", readonly=True):
                return door(x)

        return go

    assert find_said(warn(convert(np.asarray))) == "readonly"
    assert find_said(warn(convert(np.from_dlpack))) == "exported"


def test_nothing_of_ours_spoils_a_conversion(monkeypatch: pytest.MonkeyPatch) -> None:
    from safe_numpy.frameworks.torch import hazards

    def fail(*args: Any) -> Any:
        raise KeyError("ours")

    monkeypatch.setattr(hazards, "find_sharer", fail)
    x = torch.ones(2, requires_grad=True)
    assert find_said(warn(lambda: x.numpy())) == ""
