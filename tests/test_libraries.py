"""Real libraries that ask for the array themselves: line and variable are named, and what is advised works.

Each call is made on tensors that cannot be converted; on the same values as a plain array it says what must come out.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable
from typing import Any

import einops
import matplotlib
import numpy as np
import pandas as pd
import pytest
import seaborn as sns
import torch
import toy_device  # noqa: F401 - registers the device
from PIL import Image
from scipy import interpolate, optimize, signal, stats
from sklearn.linear_model import LinearRegression
from sklearn.metrics import accuracy_score, roc_auc_score
from test_correction import compile_library
from torch.utils.tensorboard import SummaryWriter

import safe_numpy

matplotlib.use("Agg")
import matplotlib.pyplot as plt

# stock torch's own: its __array__ has no `copy` yet, its __array_wrap__ takes one argument
pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:__array_wrap__ must accept:DeprecationWarning"),
]

VALUES = [1.0, 3.0, 2.0, 5.0]
STEPS = [0, 1, 2, 3]


def load(file: str) -> Any:
    return np.load(file + ".npy")


def add_histogram(writer: SummaryWriter, values: Any) -> None:
    writer.add_histogram("h", values)


def fresh_axes() -> Any:
    plt.close("all")
    return plt.figure().gca()


CALLS: dict[str, Callable[[Any], Any]] = {
    "plt.plot": lambda x: plt.plot(x)[0].get_ydata(),
    "plt.plot, two": lambda x: plt.plot(STEPS, x, "o-", label="loss")[0].get_ydata(),
    "axes.plot": lambda x: fresh_axes().plot(x)[0].get_ydata(),
    "plt.scatter": lambda x: plt.scatter(x, x).get_offsets().data,
    "plt.hist": lambda x: plt.hist(x, bins=4)[0],
    "plt.imshow": lambda x: plt.imshow([x]).get_array().data,
    "plt.fill_between": lambda x: plt.fill_between(STEPS, 0, x).get_paths()[0].vertices,
    "plt.bar": lambda x: [bar.get_height() for bar in plt.bar(STEPS, x)],
    "sns.lineplot": lambda x: sns.lineplot(x=STEPS, y=x, ax=fresh_axes()).lines[0].get_ydata(),
    "sns.histplot": lambda x: [bar.get_height() for bar in sns.histplot(x, ax=fresh_axes()).patches],
    "sns.heatmap": lambda x: sns.heatmap([x], ax=fresh_axes()).collections[0].get_array().data,
    "pd.Series": lambda x: pd.Series(x).to_numpy(),
    "pd.DataFrame of a dict": lambda x: pd.DataFrame({"loss": x}).to_numpy(),
    "pd.DataFrame of a list": lambda x: pd.DataFrame([x, x]).to_numpy(),
    "DataFrame.assign": lambda x: pd.DataFrame({"step": STEPS}).assign(loss=x).to_numpy(),
    "LinearRegression.fit": lambda x: LinearRegression().fit(np.arange(4)[:, None], x).coef_,
    "roc_auc_score": lambda x: roc_auc_score([0, 1, 0, 1], x),
    "accuracy_score": lambda x: accuracy_score([1, 3, 2, 4], x),
    "stats.zscore": lambda x: stats.zscore(x),
    "stats.ttest_ind": lambda x: stats.ttest_ind(x, [1.0, 2.0, 3.0]).pvalue,
    "signal.detrend": lambda x: signal.detrend(x),
    "interpolate.interp1d": lambda x: interpolate.interp1d(STEPS, x)(2.5),
    "interpolate.CubicSpline": lambda x: interpolate.CubicSpline(STEPS, x)(2.5),
    "Image.fromarray": lambda x: np.asarray(Image.fromarray(np.asarray([x], np.uint8))),
    "einops.asnumpy": lambda x: einops.asnumpy(x) if hasattr(x, "numpy") else x,
    "SummaryWriter.add_histogram": lambda x: add_histogram(SummaryWriter(tempfile.mkdtemp()), x),
    "np.array": lambda x: np.array(x, copy=True),
    "np.array of a list": lambda x: np.array([x, x]),
    "np.asarray to float64": lambda x: np.asarray(x, dtype=np.float64),
    "np.stack": lambda x: np.stack([x, x]),
    "np.concatenate": lambda x: np.concatenate([x, x], axis=0),
    "np.testing": lambda x: np.testing.assert_allclose(x, VALUES),
    "item assignment": lambda x: np.zeros(4).__setitem__(slice(None), x),
    "np.sin": lambda x: np.asarray(np.sin(np.asarray(x))),
    "np.add": lambda x: np.add(np.ones(4), x),
    "np.where": lambda x: np.where(np.array([True, False, True, False]), x, 0),
    "np.dot": lambda x: np.dot(np.ones(4), x),
    "array.dot": lambda x: np.ones(4).dot(x),
    "np.linalg.norm": lambda x: np.linalg.norm(x),
    "np.percentile": lambda x: np.percentile(x, 50),
    "np.allclose": lambda x: np.allclose(x, VALUES),
    "np.save": lambda x: (file := tempfile.mktemp(), np.save(file, x), load(file))[2],
}
TENSORS: dict[str, Callable[[], torch.Tensor]] = {
    "grad": lambda: torch.tensor(VALUES, requires_grad=True),
    "bfloat16": lambda: torch.tensor(VALUES, dtype=torch.bfloat16),
    "toy device": lambda: torch.tensor(VALUES).to("toy"),
}

WITHOUT_GUARD = {
    # pandas takes the dtype of a tensor for one of NumPy's, and iterates over what is on a device
    *(("pd.DataFrame of a list", tensor) for tensor in TENSORS),
    # einops detaches and copies by itself; TensorBoard widens bfloat16 too
    ("einops.asnumpy", "grad"),
    ("einops.asnumpy", "toy device"),
    *(("SummaryWriter.add_histogram", tensor) for tensor in TENSORS),
}
"""cells in which no door to NumPy fails: the library does the right thing, or fails before"""

COMPUTED_ON = {("plt.bar", "toy device")}
"""cells in which the library computes with the tensor itself, and the toy device cannot add"""

CELLS = [(call, tensor) for call in CALLS for tensor in TENSORS]


def find_explained(call: Callable[[Any], Any], x: Any) -> safe_numpy.ConversionError | None:
    """Return the explained error of a call, which a library may have wrapped into one of its own."""
    plt.close("all")
    try:
        call(x)
    except Exception as failure:
        error: BaseException | None = failure
        while error is not None and not isinstance(error, safe_numpy.ConversionError):
            error = error.__cause__ or error.__context__
        return error
    return None


def expect(call: Callable[[Any], Any]) -> Any:
    plt.close("all")
    return call(np.array(VALUES, np.float32))


@pytest.mark.parametrize(("call", "tensor"), CELLS)
def test_the_line_and_the_variable_are_named_and_the_fix_works(call: str, tensor: str) -> None:
    x = TENSORS[tensor]()
    error = find_explained(CALLS[call], x)
    if (call, tensor) in WITHOUT_GUARD:
        assert error is None
        return
    assert error is not None
    diagnosis = error.diagnosis
    assert diagnosis is not None
    assert diagnosis.site is not None
    assert diagnosis.site.filename == __file__
    assert f'"{call}":' in diagnosis.site.source
    assert (diagnosis.name, diagnosis.named) == ("x", True)
    assert diagnosis.fix is not None
    plt.close("all")
    fixed = eval(diagnosis.fix, globals(), {"x": x})
    np.testing.assert_array_equal(fixed, expect(CALLS[call]))
    if isinstance(fixed, np.ndarray):
        assert fixed.dtype == expect(CALLS[call]).dtype


def test_the_library_is_named() -> None:
    asked = {
        call: find_explained(CALLS[call], TENSORS["grad"]())
        for call in ("plt.plot", "sns.histplot", "pd.Series", "roc_auc_score", "np.stack", "np.array", "np.dot")
    }
    assert {call: error and error.site and error.site.library for call, error in asked.items()} == {
        "plt.plot": "matplotlib",
        "sns.histplot": "seaborn",
        "pd.Series": "pandas",
        "roc_auc_score": "sklearn",
        "np.stack": "numpy",
        "np.array": "",
        "np.dot": "",
    }


@pytest.mark.parametrize(("call", "tensor"), CELLS)
def test_permissive_gives_what_arrays_give(call: str, tensor: str) -> None:
    if (call, tensor) in WITHOUT_GUARD | COMPUTED_ON:
        return
    x = TENSORS[tensor]()
    plt.close("all")
    with warnings.catch_warnings(), safe_numpy.mode("permissive"):
        warnings.simplefilter("ignore", safe_numpy.ConversionWarning)
        result = CALLS[call](x)
    np.testing.assert_array_equal(result, expect(CALLS[call]))
    if isinstance(result, np.ndarray):
        assert result.dtype == expect(CALLS[call]).dtype


def objective(values: Any) -> torch.Tensor:
    return (torch.ones(2, requires_grad=True) * torch.from_numpy(values)).sum()


# SciPy asks the result for its dtype first, from 1.18 on
CASTING = compile_library("def cast(f, x):\n    result = f(x)\n    return result.dtype.type(result)\n")
MINIMIZERS = {"minimize": optimize.minimize, "cast": CASTING["cast"]}


@pytest.mark.parametrize("name", MINIMIZERS)
def test_an_objective_that_returns_a_tensor(name: str) -> None:
    with pytest.raises((safe_numpy.GradError, AttributeError)) as caught:
        MINIMIZERS[name](objective, np.ones(2))
    said = str(safe_numpy.why(caught.value))
    assert "`objective` return" in said.splitlines()[0]
    assert ".sum().item() (" in " ".join(said.split())


def objective_with_gradient(values: Any) -> Any:
    x = torch.from_numpy(values).requires_grad_()
    loss = (x * x).sum()
    loss.backward()
    return loss, x.grad


def test_an_objective_that_returns_its_gradient_too() -> None:
    cast = compile_library("def cast(f, x):\n    value, gradient = f(x)\n    return value.dtype.type(value)\n")["cast"]
    with pytest.raises(AttributeError) as caught:
        cast(objective_with_gradient, np.ones(2))
    assert "return safe_numpy.to_numpy((loss, x.grad))" in str(safe_numpy.why(caught.value))
