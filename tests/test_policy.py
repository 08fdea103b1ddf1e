"""How permissive mode converts where there is a choice: dtype, size, door, writing; and who says so."""

from __future__ import annotations

import contextvars
import itertools
import os
import sys
import threading
import time
import warnings
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch
from versions import newer_torch

import safe_numpy
from safe_numpy import ConversionWarning, Mode, get_mode, mode, set_mode
from safe_numpy.config import modes as _modes
from safe_numpy.config.setting import Setting
from safe_numpy.diagnosis.facts import Door
from safe_numpy.frameworks.torch.framework import FRAMEWORK
from safe_numpy.guard.doors import guard_method
from safe_numpy.guard.guard import Guard
from safe_numpy.guard.warn import HazardMemory

LOW = ["bfloat16", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu"]
LOW = [name for name in LOW if hasattr(torch, name)]
COMPLEX32 = "complex32" if hasattr(ml_dtypes, "complex32") else "complex64"  # it came with ml_dtypes 0.6
DOORS: dict[str, Callable[[Any], Any]] = {"numpy": lambda x: x.numpy(), "asarray": np.asarray}


@pytest.fixture(autouse=True)
def quiet() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConversionWarning)
        yield


def make(dtype: str, grad: bool = False) -> torch.Tensor:
    return torch.tensor([1.0, 2.0, 0.5]).to(getattr(torch, dtype)).requires_grad_(grad)


# each setting: a valid word and what it gives, by keyword, by setter, by variable
SPOKEN: dict[str, tuple[Any, str, Any]] = {
    "dtype": ("raise", "Raise", "raise"),
    "max_bytes": ("2KiB", '"2_048"', 2048),
    "only": ("explicit", " EXPLICIT ", "explicit"),
    "readonly": (True, "on", True),
}
BAD = {"dtype": ["float16", 3, ""], "max_bytes": ["much", -1, 1.5, True], "only": ["both", 1], "readonly": ["maybe", 2]}


def get(name: str) -> Any:
    return next(s for s in _modes.POLICIES if s.name == name).get()


@pytest.mark.parametrize("name", SPOKEN)
def test_block_setter_and_variable(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    word, text, value = SPOKEN[name]
    default = get(name)
    assert default != value
    with mode("permissive", **{name: word}):
        assert get(name) == value
        with mode("permissive"):
            assert get(name) == value, "what a block does not say, the one around it says"
    assert get(name) == default
    monkeypatch.setenv(f"SAFE_NUMPY_{name.upper()}", text)
    assert get(name) == value
    monkeypatch.delenv(f"SAFE_NUMPY_{name.upper()}")
    assert get(name) == default
    set_mode("permissive", **{name: word})
    assert (get(name), get_mode()) == (value, Mode.PERMISSIVE)
    set_mode("explain")
    assert get(name) == value, "what is not said stays"


@pytest.mark.parametrize(("name", "bad"), [(name, bad) for name, values in BAD.items() for bad in values])
def test_a_bad_value_changes_nothing(name: str, bad: Any) -> None:
    set_mode("strict")
    before = [s.get() for s in _modes.POLICIES]
    for call in (set_mode, mode):
        with pytest.raises(ValueError, match=r"expected .*") as caught:
            call("permissive", **{name: bad})
        assert repr(bad) in str(caught.value)
    assert get_mode() is Mode.STRICT
    assert [s.get() for s in _modes.POLICIES] == before


@pytest.mark.parametrize("name", ["only", "readonly"])
def test_what_other_modes_have_no_use_for(name: str) -> None:
    for call, word in itertools.product((set_mode, mode), ("explain", "off", "strict")):
        with pytest.raises(ValueError, match=f"{name}= says how permissive mode converts; '{word}' mode converts noth"):
            call(word, **{name: SPOKEN[name][0]})


def test_a_bad_variable_warns_once_and_the_default_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAFE_NUMPY_DTYPE", "half")
    with pytest.warns(UserWarning, match=r"SAFE_NUMPY_DTYPE: 'half' is no dtype policy; expected .*; float32 is used"):
        assert get("dtype") == "float32"
    assert get("dtype") == "float32"


def test_a_missing_package_is_named_before_anything_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"'ml_dtypes' needs the package ml_dtypes.*pip install ml_dtypes"):
        set_mode("permissive", dtype="ml_dtypes")
    assert get_mode() is Mode.EXPLAIN


def test_a_setting_can_be_read_without_the_dict_below_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another Python's os.environ need not have one."""

    class Environment(dict[str, str]):
        pass

    environment = Environment(SAFE_NUMPY_X="7")
    monkeypatch.setattr(os, "environ", environment)
    setting: Setting[int] = Setting("x", "SAFE_NUMPY_X", lambda v: int(str(v)), 0, "0 is used")
    assert setting.get() == 7
    environment["SAFE_NUMPY_X"] = "8"
    assert setting.get() == 8


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("dtype", LOW)
def test_low_precision_by_policy(dtype: str, door: str) -> None:
    x = make(dtype, grad=dtype == "bfloat16")
    with mode("permissive"):
        wide = DOORS[door](x)
    with mode("permissive", dtype="ml_dtypes"):
        exact = DOORS[door](x)
    assert wide.dtype == np.float32
    assert exact.dtype == np.dtype(getattr(ml_dtypes, dtype))
    np.testing.assert_array_equal(wide, exact.astype(np.float32))
    assert exact.__array_interface__["data"][0] == x.data_ptr(), "nothing is copied"
    assert not np.shares_memory(wide, exact)
    with mode("permissive", dtype="raise"), pytest.raises(safe_numpy.ConversionError) as caught:
        DOORS[door](x)
    assert any(p.kind == "dtype" for p in caught.value.diagnosis.problems)
    assert not caught.value.diagnosis.convertible


HARD: dict[str, tuple[Callable[[], torch.Tensor], str]] = {
    "complex32": (lambda: torch.tensor([1 + 2j, 3 - 1j]).to(torch.complex32), COMPLEX32),
    "complex32, conjugated": (lambda: torch.tensor([1 + 2j, 3 - 1j]).to(torch.complex32).conj(), COMPLEX32),
    "0-d": (lambda: torch.tensor(1.5, dtype=torch.bfloat16), "bfloat16"),
    "strided": (lambda: torch.arange(12.0).bfloat16().view(3, 4).T[::2], "bfloat16"),
    "empty": (lambda: torch.empty(0, 3, dtype=torch.bfloat16), "bfloat16"),
    "sparse": (lambda: torch.eye(3).bfloat16().to_sparse(), "bfloat16"),
    "sparse float8": (lambda: torch.eye(3).to_sparse_csr().to(torch.float8_e5m2), "float32"),
    "zeros": (lambda: torch._efficientzerotensor((2, 2), dtype=torch.bfloat16), "float32"),
}
"""what is harder -> the dtype under ``ml_dtypes``; where torch cannot show the bytes, the values are widened"""


@pytest.mark.parametrize("case", HARD)
def test_exact_dtypes_in_harder_cases(case: str) -> None:
    make_tensor, dtype = HARD[case]
    x = make_tensor()
    with mode("permissive"):
        wide = np.asarray(x)
    with mode("permissive", dtype="ml_dtypes"):
        exact, diagnosis = np.asarray(x), safe_numpy.diagnose(x)
        fixed = eval(diagnosis.fix, {"x": x, "torch": torch, "np": np, "ml_dtypes": ml_dtypes})
    assert exact.dtype.name == dtype
    for array in (exact, fixed):
        assert (array.dtype, array.shape) == (exact.dtype, wide.shape)
        np.testing.assert_array_equal(array.astype(wide.dtype), wide)
    own = x.data_ptr() if x.layout is torch.strided and x.numel() and not x._is_zerotensor() else 0
    assert diagnosis.shares_memory == (exact.__array_interface__["data"][0] == own or case == "empty")


def test_the_policy_of_dtypes_holds_for_what_is_asked_for() -> None:
    x = {"a": make("bfloat16")}
    with mode("explain", dtype="ml_dtypes"):
        assert safe_numpy.to_numpy(x)["a"].dtype == ml_dtypes.bfloat16
        with pytest.raises(TypeError) as caught:
            x["a"].numpy()
        assert caught.value.diagnosis.fix == 'x["a"].view(torch.uint16).numpy().view(ml_dtypes.bfloat16)'
    with mode("permissive", dtype="raise"), pytest.raises(safe_numpy.DTypeError, match=r"`x\['a'\]` cannot become"):
        safe_numpy.to_numpy(x)
    float32 = make("float32", grad=True)
    with mode("permissive", dtype="raise"):
        assert float32.numpy().dtype == np.float32, "other conversions go on"


def test_only_explicit() -> None:
    x = make("float32", grad=True)
    with mode("permissive", only="explicit"):
        for _ in range(2):
            np.testing.assert_array_equal(x.numpy(), [1, 2, 0.5])
            for implicit in (np.asarray, np.from_dlpack):
                with pytest.raises((RuntimeError, BufferError)) as caught:
                    implicit(x)
                assert isinstance(caught.value, safe_numpy.GradError)
                assert "only='explicit'" in str(caught.value)
        with mode("permissive", only="all"):
            np.testing.assert_array_equal(np.asarray(x), [1, 2, 0.5])


def test_only_explicit_in_tensorflow() -> None:
    tf = pytest.importorskip("tensorflow", reason="SAFE_NUMPY_TEST_FRAMEWORKS leaves it out")
    x = tf.sparse.from_dense([[0, 2], [3, 0]])
    with mode("permissive", only="explicit"):
        assert x.numpy().tolist() == [[0, 2], [3, 0]]
        with pytest.warns(safe_numpy.HazardWarning, match="an array of one object"):
            assert np.asarray(x).dtype == object


def test_max_bytes_by_keyword() -> None:
    x = make("bfloat16")
    with mode("permissive", max_bytes=12):
        assert x.numpy().nbytes == 12
    with mode("permissive", max_bytes=11), pytest.raises(safe_numpy.DTypeError, match="would take 12 B, and 11 B may"):
        x.numpy()
    with mode("explain", max_bytes="11"):
        assert not safe_numpy.diagnose(x).convertible
        with mode("explain", max_bytes="available"):
            assert safe_numpy.diagnose(x).convertible


@pytest.mark.parametrize("door", DOORS)
def test_readonly(door: str) -> None:
    weights = torch.nn.Parameter(torch.ones(3))
    low = make("bfloat16", grad=True)
    plain = torch.ones(3)
    with mode("permissive", readonly=True):
        for _ in range(2):  # by the stock error, and ahead of it
            array = DOORS[door](weights)
            with pytest.raises(ValueError, match="read-only"):
                array[0] = 5
            assert np.shares_memory(array, weights.detach().numpy())
        copy = DOORS[door](low)
        copy[0] = 5
        assert low[0] == 1
        DOORS[door](plain)[0] = 5
        assert plain[0] == 5, "what works is untouched"
        rows = DOORS[door](torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]).requires_grad_())
        with pytest.raises(ValueError, match="read-only"):
            rows[1][0] = 5
        exported = np.from_dlpack(weights)
        assert not np.shares_memory(exported, weights.detach().numpy()), "a capsule's consumer may write to it"
    assert DOORS[door](plain).flags.writeable
    with mode("permissive"):
        assert DOORS[door](weights).flags.writeable
    assert weights.tolist() == [1, 1, 1]


def test_readonly_keeps_the_books_right() -> None:
    x = make("float32", grad=True)
    with mode("permissive", readonly=True):
        x.numpy()
        np.from_dlpack(x)
    assert [row["bytes_allocated"] for row in sorted(safe_numpy.report().rows, key=lambda r: r["line"])] == [0, 12]


def test_a_masked_tensor_read_only() -> None:
    x = torch.masked.masked_tensor(torch.ones(2), torch.tensor([True, False]))
    with mode("permissive", readonly=True):
        array = x.numpy()
    assert isinstance(array, np.ma.MaskedArray)
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 5


@pytest.mark.parametrize("dtype", ["bfloat16", "float8_e4m3fn", "float8_e5m2"])
@pytest.mark.parametrize("requires_grad", [False, True])
def test_the_policies_hold_from_the_second_conversion_on(dtype: str, requires_grad: bool) -> None:
    """From the first conversion on the tensor is looked at before the stock method is asked."""
    values = [1.0, -2.0, 0.5]
    x = torch.tensor(values).to(getattr(torch, dtype)).requires_grad_(requires_grad)

    def convert() -> Any:
        return x.numpy()

    with mode("permissive"):
        for _ in range(3):
            array = convert()
            assert array.dtype == np.float32
            assert array.tolist() == values
        with mode("permissive", dtype="ml_dtypes"):
            assert str(convert().dtype) == dtype
        with mode("permissive", dtype="raise"), pytest.raises(safe_numpy.ConversionError):
            convert()
        assert convert().dtype == np.float32
        with mode("permissive", max_bytes=11), pytest.raises(safe_numpy.ConversionError, match="would take 12 B"):
            convert()
        with torch.no_grad():
            assert convert().tolist() == values
        with mode("explain"), pytest.raises(safe_numpy.ConversionError):
            convert()


@pytest.mark.parametrize("size", [0, 100], ids=["wholly", "in part"])
def test_freed_data_is_refused_from_the_second_conversion_on(size: int) -> None:
    """What is foreseen from the dtype and the gradient is for tensors that have their data."""
    whole, x = (torch.ones(1000, requires_grad=True) for _ in range(2))
    x.untyped_storage().resize_(size)
    with mode("permissive"):
        for tensor in (whole, whole, x):
            if tensor is x:
                with pytest.raises(safe_numpy.NoDataError):
                    tensor.numpy()
            else:
                assert tensor.numpy().tolist() == [1.0] * 1000
        with pytest.raises(safe_numpy.NoDataError):
            safe_numpy.to_numpy(x)
    y = torch.ones(1000)
    y.untyped_storage().resize_(size)
    with mode("strict"), pytest.raises(safe_numpy.SilentError):
        y.numpy()


@pytest.mark.parametrize("kind", ["conversion", "hazard"])
def test_threads_that_meet_at_a_new_line_warn_once(kind: str) -> None:
    """With a filter that shows each: `warnings` itself tells doublets apart by no lock."""
    meeting, shown = threading.Barrier(8), []
    x = torch.ones(2, requires_grad=True)
    memory = HazardMemory()

    def show(message: Any, *args: Any, **kwargs: Any) -> None:
        shown.append(message)
        time.sleep(0.05)  # the others are here by now

    def work() -> None:
        meeting.wait()
        if kind == "conversion":
            x.numpy()
        else:
            memory.warn(sys._getframe(), x, "{subject}{detail}", lambda frame: "")

    with warnings.catch_warnings(), safe_numpy.mode("permissive"):
        warnings.simplefilter("always")
        warnings.showwarning = show
        threads = [threading.Thread(target=contextvars.copy_context().run, args=(work,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(shown) == 1


@newer_torch
def test_what_must_not_be_copied_is_not() -> None:
    x, y = torch.ones(2, dtype=torch.cfloat).conj(), torch.ones(2, requires_grad=True)
    safe_numpy.report(reset=True)
    with mode("permissive"), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConversionWarning)
        with pytest.raises(safe_numpy.ConversionError):
            np.from_dlpack(x, copy=False)
        assert np.shares_memory(np.from_dlpack(y, copy=False), y.detach().numpy())
        assert np.from_dlpack(x).tolist() == [1, 1]
    assert safe_numpy.report(reset=True).totals["count"] == 2


def test_what_cannot_be_exported_is_not_booked() -> None:
    def export(x: torch.Tensor) -> Any:
        raise BufferError("stock") if x.requires_grad else AttributeError("no such device")

    guarded = guard_method(Guard(FRAMEWORK), Door.DLPACK, export, finish=export)
    with mode("permissive"), pytest.raises(safe_numpy.GradError, match="stock") as caught:
        guarded(torch.ones(2, requires_grad=True))
    assert caught.value.__notes__ == ["safe_numpy tried to convert it: AttributeError: no such device"]
    assert not safe_numpy.report().rows
