"""Tensors of XLA, a device that is not written for these tests; its tensors are functional by build, and lazy.

Only where SAFE_NUMPY_TEST_FRAMEWORKS names torch_xla, see `xla` in noxfile.py; PJRT_DEVICE=CPU has a CPU be the device.
"""

from __future__ import annotations

import itertools
import linecache
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch
import torch_xla
from catching import catch
from torch_xla.debug import metrics
from zoo import C64, COMPLEX, F32, FLOATS, ROWS, Named, assert_same

import safe_numpy
from safe_numpy import ConversionError, ConversionWarning

DEVICE = torch_xla.device()


def floats(dtype: torch.dtype = torch.float32, requires_grad: bool = False) -> torch.Tensor:
    return torch.tensor(FLOATS, dtype=dtype).to(DEVICE).requires_grad_(requires_grad)


def numbers(dtype: str) -> torch.Tensor:
    return torch.tensor([0, 1, 2]).to(getattr(torch, dtype)).to(DEVICE)


def complexes() -> torch.Tensor:
    return torch.tensor(COMPLEX, dtype=torch.complex64).to(DEVICE)


def write_to_view() -> torch.Tensor:
    x = floats()
    x[0].add_(5)
    return x


@dataclass(frozen=True)
class Case:
    """A tensor of XLA."""

    make: Callable[[], torch.Tensor]
    kinds: tuple[str, ...]
    """the problems at ``x.numpy()``, in the order of the fix"""
    fix: str
    expected: np.ndarray


def plain(make: Callable[[], torch.Tensor], expected: np.ndarray) -> Case:
    return Case(make, ("device",), "x.cpu().numpy()", expected)


def recorded(make: Callable[[], torch.Tensor], expected: np.ndarray) -> Case:
    return Case(make, ("grad", "device"), "x.detach().cpu().numpy()", expected)


WHOLE = [sign + size for sign in ("int", "uint") for size in ("8", "16", "32", "64")]
FLOAT8 = ("float8_e4m3fn", "float8_e5m2")
CASES = {
    "float32": plain(floats, F32),
    **{
        name: plain(lambda name=name: numbers(name), np.array([0, 1, 2]).astype(name))
        for name in ("bool", *WHOLE, "float16", "float64")
    },
    "complex64": plain(complexes, C64),
    "scalar": plain(lambda: floats().sum(), np.array(2.5, np.float32)),
    "empty": plain(lambda: torch.empty(0, 3, device=DEVICE), np.empty((0, 3), np.float32)),
    "transposed": plain(lambda: floats().t(), F32.T),
    "sliced": plain(lambda: floats()[:, ::2], F32[:, ::2]),
    "expanded": plain(lambda: torch.ones(1, device=DEVICE).expand(3), np.ones(3, np.float32)),
    "zero": plain(lambda: torch._efficientzerotensor((2,), device=DEVICE), np.zeros(2, np.float32)),
    "pending": plain(lambda: floats() @ floats() + 1, F32 @ F32 + 1),
    "written to through a view": plain(write_to_view, np.array([[5, 6.5], [-2, 3]], np.float32)),
    "inference": plain(torch.inference_mode()(lambda: floats() * 2), F32 * 2),
    "subclass": plain(lambda: floats().as_subclass(Named), F32),
    # what is lazy on other devices is done at once on this one
    "conj": plain(lambda: complexes().conj(), C64.conj()),
    "conj on the host": plain(lambda: torch.tensor(COMPLEX).conj().to(DEVICE), C64.conj()),
    "neg": plain(lambda: torch._neg_view(floats()), -F32),
    "neg of conj": plain(lambda: complexes().conj().imag, -C64.imag),
    "grad": recorded(lambda: floats(requires_grad=True), F32),
    "grad of an operation": recorded(lambda: floats(requires_grad=True) * 2, F32 * 2),
    "grad and conj": recorded(lambda: complexes().requires_grad_().conj(), C64.conj()),
    "parameter": recorded(lambda: torch.nn.Parameter(floats()), F32),
    **{
        name: Case(lambda name=name: floats(getattr(torch, name)), ("device", "dtype"), "x.cpu().float().numpy()", F32)
        for name in ("bfloat16", *FLOAT8)
    },
    "grad, bfloat16": Case(
        lambda: floats(torch.bfloat16, requires_grad=True), ("grad", "device", "dtype"),
        "x.detach().cpu().float().numpy()", F32,
    ),
}  # fmt: skip
DOORS = ("x.numpy()", "x.__array__()", "np.asarray(x)", "np.stack([x, x])", "np.from_dlpack(x)")
_numbers = itertools.count()


def run_line(line: str, x: Any) -> Any:
    """Run a line that has a source, and return its value."""
    filename = f"/cells/xla{next(_numbers)}.py"
    linecache.cache[filename] = (len(line), None, [line + "\n"], filename)
    return eval(compile(line, filename, "eval"), {"x": x, "np": np, "torch": torch, "ml_dtypes": ml_dtypes})


def run_on_array(door: str, array: np.ndarray) -> Any:
    """Return what a door gives of the array that the tensor should become."""
    return run_line(door, array) if door.startswith("np.stack") else array


def catch_line(line: str, x: torch.Tensor, mode: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConversionWarning)
        return catch(lambda x: run_line(line, x), mode)(x)


def count_work() -> dict[str, int]:
    """Return how often XLA has compiled, run and moved something to the host so far."""
    known = {name: metrics.metric_data(name) for name in ("CompileTime", "ExecuteTime", "TransferFromDeviceTime")}
    return {name: data[0] if data else 0 for name, data in known.items()}


def list_work(do: Callable[[], Any]) -> dict[str, int]:
    before = count_work()
    do()
    return {name: after - before[name] for name, after in count_work().items() if after != before[name]}


def test_these_are_tensors_of_xla() -> None:
    for case in CASES.values():
        x = case.make()
        assert (x.device.type, torch._is_functional_tensor(x)) == ("xla", True)


@pytest.mark.parametrize("mode", ["explain", "strict"])
@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("name", CASES)
def test_the_error_is_explained(name: str, door: str, mode: str) -> None:
    case = CASES[name]
    x = case.make()
    stock, error = catch_line(door, x, "off"), catch_line(door, x, mode)
    assert not isinstance(stock, ConversionError)
    is_dlpack = "dlpack" in door
    assert isinstance(error, safe_numpy.GradError if is_dlpack and "grad" in case.kinds else safe_numpy.DeviceError)
    assert isinstance(error, type(stock))
    assert str(error).startswith(str(stock))
    assert "functionalize" not in str(error)
    assert "it lives on xla:0; NumPy reads host memory only" in str(error)
    assert error.diagnosis is not None
    kinds = [kind for kind in case.kinds if not (is_dlpack and kind == "dtype")]  # of which a capsule knows most
    assert [p.kind for p in error.diagnosis.problems] == kinds
    assert error.diagnosis.fix is not None
    assert error.diagnosis.fix in str(error)
    with safe_numpy.mode("off"):
        assert_same(run_line(error.diagnosis.fix, x), run_on_array(door, case.expected))
    assert not safe_numpy.report().rows


@pytest.mark.parametrize("name", CASES)
def test_the_fix_and_to_numpy(name: str) -> None:
    case = CASES[name]
    x = case.make()
    diagnosis = safe_numpy.diagnose(x)
    assert (tuple(p.kind for p in diagnosis.problems), diagnosis.fix) == (case.kinds, case.fix)
    assert not diagnosis.shares_memory
    assert_same(run_line(case.fix, x), case.expected)
    assert_same(safe_numpy.to_numpy({"x": [x]})["x"][0], case.expected)
    assert not safe_numpy.report().rows


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("name", CASES)
def test_permissive_converts_exactly(name: str, door: str) -> None:
    case = CASES[name]
    x = case.make()
    if "dtype" in case.kinds and "dlpack" in door:
        return  # below
    with safe_numpy.mode("permissive"), pytest.warns(ConversionWarning, match=r"from xla:0 to the CPU"):
        result = run_line(door, x)
    assert_same(result, run_on_array(door, case.expected))
    totals = safe_numpy.report().totals
    times = 2 if "stack" in door else 1
    assert (totals["count"], totals["moved_from"]) == (times, {"xla:0": times * x.nbytes})


@pytest.mark.parametrize("dtype", ["bfloat16", *FLOAT8])
def test_a_capsule_of_what_numpy_lacks(dtype: str) -> None:
    """Others take what torch can export; NumPy does not, and says so. What torch cannot export is not booked."""
    x = floats(getattr(torch, dtype))
    error = catch_line("np.from_dlpack(x)", x, "permissive")
    if dtype == "bfloat16":
        assert (type(error), str(error)) == (RuntimeError, "Unsupported dtype in DLTensor.")
        with safe_numpy.mode("permissive"), pytest.warns(ConversionWarning):
            assert torch.equal(torch.from_dlpack(x.__dlpack__()), x.cpu())
    else:
        assert isinstance(error, safe_numpy.DeviceError)
        assert str(error).startswith("Can't export to dlpack an XLA tensor that is not on CUDA.")
        assert not safe_numpy.report().rows


def test_what_must_not_be_copied_is_refused() -> None:
    error = catch_line("np.from_dlpack(x, copy=False)", floats(), "permissive")
    assert isinstance(error, safe_numpy.DeviceError)
    assert not safe_numpy.report().rows


@pytest.mark.parametrize("mode", ["explain", "permissive", "strict"])
@pytest.mark.parametrize("door", ["x.numpy(force=True)", "x.tolist()", "x.cpu().detach().numpy()"])
def test_what_works_is_untouched(door: str, mode: str) -> None:
    for name in ("float32", "grad", "conj", "neg", "transposed"):
        x = CASES[name].make()
        with safe_numpy.mode("off"):
            stock = run_line(door, x)
        with warnings.catch_warnings(), safe_numpy.mode(mode):
            warnings.simplefilter("error", ConversionWarning)
            result = run_line(door, x)
        assert type(result) is type(stock)
        np.testing.assert_array_equal(result, stock)


def test_force_does_not_help_a_dtype() -> None:
    x = floats(torch.bfloat16)
    error = catch_line("x.numpy(force=True)", x, "explain")
    assert isinstance(error, safe_numpy.DTypeError)
    assert error.diagnosis is not None
    assert error.diagnosis.fix == "x.cpu().float().numpy()"
    with safe_numpy.mode("permissive"), pytest.warns(ConversionWarning):
        assert_same(run_line("x.numpy(force=True)", x), F32)


@pytest.mark.parametrize("dtype", ["bfloat16", *FLOAT8])
def test_the_dtype_that_was_asked_for(dtype: str) -> None:
    x = floats(getattr(torch, dtype), requires_grad=True)
    exact = F32.astype(getattr(ml_dtypes, dtype))
    for door in ("x.numpy()", "np.asarray(x)"):
        with safe_numpy.mode("permissive", dtype="ml_dtypes"), pytest.warns(ConversionWarning):
            assert_same(run_line(door, x), exact)
        with safe_numpy.mode("permissive", dtype="float32"), pytest.warns(ConversionWarning):
            assert_same(run_line(door, x), F32)
    with safe_numpy.mode("explain", dtype="ml_dtypes"):
        fix = safe_numpy.diagnose(x).fix
        assert_same(safe_numpy.to_numpy(x), exact)
    assert fix is not None
    assert_same(run_line(fix, x), exact)
    safe_numpy.report(reset=True)
    with safe_numpy.mode("permissive", dtype="raise"), pytest.raises(safe_numpy.DeviceError):
        run_line("x.numpy()", x)
    assert not safe_numpy.report().rows


@pytest.mark.parametrize("door", DOORS)
def test_an_explanation_runs_nothing(door: str) -> None:
    weights = floats(requires_grad=True)

    def explain() -> None:
        x = (weights @ floats()).relu()
        str(safe_numpy.diagnose(x))
        repr(catch_line(door, x, "explain"))
        str(catch_line(door, x, "strict"))

    assert list_work(explain) == {}


@pytest.mark.parametrize("door", [door for door in DOORS if "stack" not in door])
def test_a_conversion_runs_and_moves_once(door: str) -> None:
    weights = floats(requires_grad=True)
    x = weights * 3 - next(_numbers)  # a graph of its own: one that is known need not be compiled
    with safe_numpy.mode("permissive"), pytest.warns(ConversionWarning):
        work = list_work(lambda: run_line(door, x))
    assert (work["ExecuteTime"], work["TransferFromDeviceTime"]) == (1, 1)


def test_a_nested_tensor() -> None:
    x = torch.nested.nested_tensor([torch.tensor([1.0, 2]), torch.tensor([3.0, 4, 5])], layout=torch.jagged).to(DEVICE)
    diagnosis = safe_numpy.diagnose(x)
    assert [p.kind for p in diagnosis.problems] == ["device", "nested"]
    assert diagnosis.fix is not None
    assert_same(run_line(diagnosis.fix, x), ROWS)
    assert_same(safe_numpy.to_numpy(x), ROWS)


def test_a_masked_tensor() -> None:
    x = torch.masked.masked_tensor(floats(), torch.tensor([[True, False], [True, True]]).to(DEVICE))
    diagnosis = safe_numpy.diagnose(x)
    assert [p.kind for p in diagnosis.problems] == ["masked", "device"]
    assert diagnosis.fix is not None
    expected = np.ma.MaskedArray(F32, mask=[[False, True], [False, False]])
    assert_same(run_line(diagnosis.fix, x), expected)
    assert_same(safe_numpy.to_numpy(x), expected)


def visit_functionalize(do: Callable[[torch.Tensor], None]) -> None:
    """Hand over a constant: XLA's own tensors cannot be functionalized again."""
    x = floats()
    torch.func.functionalize(lambda y: (do(x), y)[1])(torch.ones(2))


def visit_grad(do: Callable[[torch.Tensor], None]) -> None:
    torch.func.grad(lambda y: (do(y * 1), (y * y).sum())[1])(floats())


def visit_grad_on_constant(do: Callable[[torch.Tensor], None]) -> None:
    x = floats()
    torch.func.grad(lambda y: (do(x), (y * y).sum())[1])(floats())


def visit_jvp(do: Callable[[torch.Tensor], None]) -> None:
    torch.func.jvp(lambda y: (do(y * 1), y)[1], (floats(),), (floats(),))


@pytest.mark.parametrize("visit", [visit_functionalize, visit_grad, visit_grad_on_constant, visit_jvp])
def test_inside_of_a_transform(visit: Callable[[Callable[[torch.Tensor], None]], None]) -> None:
    found = []

    def do(x: torch.Tensor) -> None:
        diagnosis = safe_numpy.diagnose(x)
        assert [p.kind for p in diagnosis.problems] == ["device", "transform"]
        assert diagnosis.fix is not None
        found.extend((run_line(diagnosis.fix, x), safe_numpy.to_numpy(x)))
        with safe_numpy.mode("permissive"), pytest.warns(ConversionWarning):
            found.append(run_line("np.asarray(x)", x))
        assert isinstance(catch_line("x.numpy()", x, "explain"), safe_numpy.DeviceError)

    visit(do)
    assert len(found) == 3
    for array in found:
        assert_same(array, F32)


def test_a_row_of_a_batch_has_no_value() -> None:
    def f(x: torch.Tensor) -> torch.Tensor:
        error = catch_line("x.numpy()", x, "permissive")
        assert isinstance(error, safe_numpy.DeviceError)
        assert error.diagnosis is not None
        assert [p.kind for p in error.diagnosis.problems] == ["transform", "device"]
        assert error.diagnosis.fix is None
        return x

    torch.vmap(f)(floats())
