"""Real libraries that ask for the array themselves: the reason is found, and permissive gives what arrays give."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import pytest
import torch
from scipy import signal, stats
from sklearn.linear_model import LinearRegression
from sklearn.metrics import accuracy_score, roc_auc_score

import safe_numpy

matplotlib.use("Agg")
import matplotlib.pyplot as plt

# stock torch's own: its __array__ has no `copy` yet
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

VALUES = [1.0, 3.0, 2.0, 5.0]


def _line(x: Any) -> Any:
    figure, axes = plt.subplots()
    try:
        return axes.plot(x)[0].get_ydata()
    finally:
        plt.close(figure)


CALLS: dict[str, Callable[[Any], Any]] = {
    "np.sin": lambda x: np.asarray(np.sin(np.asarray(x))),
    "np.asarray to float64": lambda x: np.asarray(x, dtype=np.float64),
    "np.array, a copy": lambda x: np.array(x, copy=True),
    "np.stack": lambda x: np.stack([x, x]),
    "np.array of a list": lambda x: np.array([x, x]),
    "np.testing": lambda x: np.testing.assert_allclose(x, VALUES),
    "item assignment": lambda x: np.zeros(4).__setitem__(slice(None), x),
    "array.dot": lambda x: np.ones(4).dot(x),
    "matplotlib plot": _line,
    "pandas Series": lambda x: pd.Series(x).to_numpy(),
    "pandas DataFrame": lambda x: pd.DataFrame({"loss": x}).to_numpy(),
    "scikit-learn fit": lambda x: LinearRegression().fit(np.arange(4)[:, None], x).coef_,
    "scikit-learn roc_auc_score": lambda x: roc_auc_score([0, 1, 0, 1], x),
    "scikit-learn accuracy_score": lambda x: accuracy_score([1, 3, 2, 4], x.to(torch.int64) if hasattr(x, "to") else x),
    "scipy zscore": lambda x: stats.zscore(x),
    "scipy detrend": lambda x: signal.detrend(x),
}
TENSORS: dict[str, Callable[[], torch.Tensor]] = {
    "grad": lambda: torch.tensor(VALUES, requires_grad=True),
    "bfloat16": lambda: torch.tensor(VALUES, dtype=torch.bfloat16),
    "toy device": lambda: torch.tensor(VALUES).to("toy"),
}


def can_fail(call: str, tensor: str) -> bool:
    """accuracy_score takes integers, which neither require grad nor are bfloat16."""
    return call != "scikit-learn accuracy_score" or tensor == "toy device"


@pytest.mark.parametrize("tensor", TENSORS)
@pytest.mark.parametrize("call", CALLS)
def test_explain_names_the_users_line(call: str, tensor: str) -> None:
    if not can_fail(call, tensor):
        assert CALLS[call](TENSORS[tensor]()) == CALLS[call](VALUES)
        return
    x = TENSORS[tensor]()
    if call == "scikit-learn accuracy_score":
        x = torch.tensor([1, 3, 2, 5]).to("toy")
    with pytest.raises(Exception) as caught:  # noqa: PT011 - libraries wrap it
        CALLS[call](x) if call != "scikit-learn accuracy_score" else accuracy_score([1, 3, 2, 4], x)
    error: BaseException | None = caught.value
    while error is not None and not isinstance(error, safe_numpy.ConversionError):
        error = error.__cause__ or error.__context__
    assert error is not None, f"the explanation is lost: {caught.value!r}"
    assert error.site is not None
    assert error.site.filename == __file__


@pytest.mark.parametrize("tensor", TENSORS)
@pytest.mark.parametrize("call", CALLS)
def test_permissive_gives_what_arrays_give(call: str, tensor: str) -> None:
    if call == "scikit-learn accuracy_score" and tensor == "toy device":
        return  # the toy device has no cast; the demo shows this metric
    x = TENSORS[tensor]()
    with warnings.catch_warnings(), safe_numpy.mode("permissive"):
        warnings.simplefilter("ignore", safe_numpy.ConversionWarning)
        result = CALLS[call](x)
    expected = CALLS[call](np.array(VALUES, np.float32))
    np.testing.assert_array_equal(result, expected)
    if isinstance(result, np.ndarray):
        assert result.dtype == expected.dtype
