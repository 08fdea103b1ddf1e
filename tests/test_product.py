"""Every combination that hypothesis can think of: dtype, shape, layout, device, flags, class, door and mode.

The oracle is independent of the guard: stock torch, asked while the guard is away, and the NumPy array that the tensor
was made of. SAFE_NUMPY_TEST_EXAMPLES says how many combinations are tried.
"""

from __future__ import annotations

import json
import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import toy_device  # noqa: F401 - registers the device
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import safe_numpy

EXAMPLES = int(os.environ.get("SAFE_NUMPY_TEST_EXAMPLES", "400"))
COUNTS: Counter[str] = Counter()

REAL = ("float16", "float32", "float64", "bfloat16")
LOW = ("float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz")
WHOLE = ("bool", "uint8", "int8", "int16", "int32", "int64", "uint16", "uint32", "uint64")
COMPLEX = ("complex32", "complex64", "complex128")
DTYPES = REAL + LOW + WHOLE + COMPLEX
LAYOUTS = ("dense", "transposed", "sliced", "expanded", "sparse_coo", "sparse_csr", "mkldnn")
FLAGS = ("plain", "grad", "result", "inference", "conj", "neg", "no_grad")
CLASSES = ("Tensor", "Parameter", "subclass")
DEVICES = ("cpu", "meta", "toy")
SHAPES = ((), (0,), (3,), (2, 3), (2, 0, 3), (1, 1, 4))


class Tagged(torch.Tensor):
    """A subclass that adds nothing."""


@dataclass(frozen=True)
class Made:
    """A tensor, and the array that it stands for."""

    x: torch.Tensor
    values: np.ndarray
    has_values: bool


def use_dlpack(x: Any) -> Any:
    return np.from_dlpack(x)


DOORS: dict[str, Callable[[Any], Any]] = {
    "x.numpy()": lambda x: x.numpy(),
    "x.numpy(force=True)": lambda x: x.numpy(force=True),
    "torch.Tensor.numpy(x)": lambda x: torch.Tensor.numpy(x),
    "np.asarray(x)": np.asarray,
    "np.array(x)": np.array,
    "x.__array__()": lambda x: x.__array__(),
    "np.from_dlpack(x)": use_dlpack,
}


def make(dtype: str, shape: tuple[int, ...], layout: str, device: str, flag: str, cls: str) -> Made | None:
    """Return the tensor; None: torch has no such tensor."""
    count = int(np.prod(shape))
    values = (np.arange(count).reshape(shape) % 3).astype(np.float64)
    if dtype in COMPLEX:
        values = values * (1 + 2j)
    if dtype in WHOLE:
        values = values.astype(dtype)  # its negation wraps around
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _make(dtype, values, layout, device, flag, cls)
    except (RuntimeError, TypeError, NotImplementedError, IndexError, ValueError):
        COUNTS["no such tensor"] += 1
        return None


def _make(dtype: str, values: np.ndarray, layout: str, device: str, flag: str, cls: str) -> Made | None:
    x = torch.tensor(values.tolist()).reshape(values.shape).to(getattr(torch, dtype))
    if layout == "transposed":
        x, values = x.transpose(0, -1), values.swapaxes(0, -1)
    elif layout == "sliced":
        x, values = x[..., ::2], values[..., ::2]
    elif layout == "expanded":
        x, values = x.expand(2, *x.shape), np.broadcast_to(values, (2, *values.shape))
    elif layout == "sparse_coo":
        x = x.to_sparse()
    elif layout == "sparse_csr":
        x = x.to_sparse_csr()
    elif layout == "mkldnn":
        x = x.to_mkldnn()
    x = x.to(device) if device != "cpu" else x
    if cls == "subclass":
        x = x.as_subclass(Tagged)
    elif cls == "Parameter":
        x = torch.nn.Parameter(x, requires_grad=False)
    if flag in ("grad", "no_grad"):
        x.requires_grad_()
    elif flag == "result":
        x = x.requires_grad_() * 1
    elif flag == "inference":
        with torch.inference_mode():
            x = x.clone()
    elif flag == "conj":
        x, values = x.conj(), values.conj()
    elif flag == "neg":
        x, values = torch._neg_view(x), -values
        x.resolve_neg()  # fails where torch has no negation, and nobody could read the tensor
    if cls == "Parameter" and type(x) is not torch.nn.Parameter:
        return None
    is_readable = device == "cpu" or (device == "toy" and layout != "sparse_csr")  # the toy has no kernels for it
    return Made(x, values, is_readable)


def ask_stock(x: Any, door: str, flag: str) -> tuple[Any, BaseException | None]:
    """Return what torch gives when nobody is in between."""
    safe_numpy.uninstall()
    try:
        return ask(x, door, flag), None
    except Exception as error:
        return None, error
    finally:
        safe_numpy.install()


def ask(x: Any, door: str, flag: str) -> Any:
    with warnings.catch_warnings(), torch.set_grad_enabled(flag != "no_grad"):
        warnings.simplefilter("ignore")
        return DOORS[door](x)


def assert_same(ours: Any, stock: Any, x: Any) -> None:
    assert type(ours) is type(stock)
    assert (ours.dtype, ours.shape, ours.strides) == (stock.dtype, stock.shape, stock.strides)
    assert ours.flags.writeable == stock.flags.writeable
    if ours.dtype != object:
        np.testing.assert_array_equal(ours, stock)
    if x.device.type == "cpu" and x.layout is torch.strided and ours.size and ours.dtype != object:
        assert (ours.ctypes.data == x.data_ptr()) == (stock.ctypes.data == x.data_ptr())


def run_fix(made: Made) -> None:
    """Run the fix that `diagnose` prints."""
    found = safe_numpy.diagnose(made.x)
    if not made.has_values:
        return
    assert found.fix is not None, str(found)
    COUNTS["fix run"] += 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        array = eval(found.fix, {"torch": torch, "np": np, found.name: made.x})
    np.testing.assert_array_equal(array, made.values)


@st.composite
def combinations(draw: Any) -> tuple[Any, ...]:
    """Draw mostly what torch can make: a gradient needs a floating dtype, `conj` a complex one."""
    flag = draw(st.sampled_from(FLAGS))
    dtype = draw(st.sampled_from(COMPLEX if flag == "conj" else REAL + COMPLEX if "gr" in flag else DTYPES))
    layout = draw(st.sampled_from(LAYOUTS))
    shape = draw(st.sampled_from(SHAPES))
    return (
        *(dtype, shape, layout, draw(st.sampled_from(DEVICES)), flag, draw(st.sampled_from(CLASSES))),
        *(draw(st.sampled_from(sorted(DOORS))), draw(st.sampled_from(("off", "explain", "permissive", "strict")))),
    )


@pytest.fixture(scope="module", autouse=True)
def counted() -> Iterator[None]:
    """Write how many of each were tried where SAFE_NUMPY_TEST_COUNTS says."""
    yield
    assert COUNTS["tried"] > EXAMPLES / 4, COUNTS
    target = os.environ.get("SAFE_NUMPY_TEST_COUNTS")
    if target:
        Path(target).write_text(json.dumps(COUNTS, indent=1) + "\n")


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="SAFE_NUMPY_TEST_EXAMPLES" not in os.environ,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(combinations())
def test_a_combination(combination: tuple[Any, ...]) -> None:
    *what, door, mode = combination
    flag = what[4]
    made = make(*what)
    if made is None:
        return
    COUNTS["tried"] += 1
    x = made.x
    stock, stock_error = ask_stock(x, door, flag)
    try:
        with safe_numpy.mode(mode):
            ours, error = ask(x, door, flag), None
    except Exception as caught:
        ours, error = None, caught
    COUNTS[f"{mode}: {'array' if error is None else type(error).__name__}"] += 1
    if stock_error is None:
        if error is None:
            assert_same(ours, stock, x)
        else:
            assert mode == "strict"
            assert isinstance(error, safe_numpy.SilentError)
        return
    if mode == "off" or not isinstance(stock_error, (RuntimeError, TypeError, BufferError, NotImplementedError)):
        assert type(error) is type(stock_error)
        assert str(error) == str(stock_error)
        return
    if error is None:
        assert mode == "permissive"
        assert made.has_values
        np.testing.assert_array_equal(ours, made.values)
        return
    if "DLTensor" in str(error) and "DLTensor" not in str(stock_error):
        assert (door, mode) == ("np.from_dlpack(x)", "permissive")  # a capsule that other consumers take, NumPy refuses
        return
    if mode == "strict" and isinstance(error, safe_numpy.SilentError):
        assert door == "np.from_dlpack(x)"  # torch exports it, wrongly; that NumPy will not take it, it cannot know
        return
    assert isinstance(error, type(stock_error)), (error, stock_error)
    if isinstance(error, safe_numpy.ConversionError):
        assert error.diagnosis.problems
        assert str(error)
        assert mode != "permissive" or not made.has_values, str(error)
        run_fix(made)
    else:
        assert str(error) == str(stock_error)
        COUNTS[f"left as it is: {str(error)[:60]}"] += 1
