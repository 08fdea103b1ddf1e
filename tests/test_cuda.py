"""Real CUDA tensors. These tests may skip: no machine of the project's own has such a device."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from zoo import CONVERTIBLE, F32, Case, assert_same, complexes, floats, grads

import safe_numpy

pytestmark = pytest.mark.cuda

ON_HOST = ("toy device", "DTensor", "mkldnn", "functionalize", "jvp", "func.grad", "uint", "int", "bits", "quint4x2")
MOVABLE = [c for c in CONVERTIBLE if not c.name.startswith(ON_HOST) and c.inside is None and "zero" not in c.name]


def test_the_error_is_the_real_one() -> None:
    x = grads().cuda()
    with safe_numpy.mode("off"), pytest.raises(TypeError) as stock:
        x.numpy()
    with pytest.raises(safe_numpy.DeviceError) as caught:
        x.numpy()
    assert str(caught.value).startswith(str(stock.value))
    assert caught.value.diagnosis is not None
    assert caught.value.diagnosis.fix == "x.detach().cpu().numpy()"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", MOVABLE, ids=str)
def test_permissive_converts_exactly(case: Case) -> None:
    try:
        x = case.make().cuda()
    except (RuntimeError, NotImplementedError) as error:
        pytest.skip(f"torch cannot move it: {error}")
    with safe_numpy.mode("permissive"):
        assert_same(x.numpy(), case.expected)
    assert_same(safe_numpy.to_numpy(x), case.expected)
    fix = safe_numpy.diagnose(x).fix
    assert fix is not None
    assert_same(eval(fix, {"np": np, "torch": torch, "x": x}), case.expected)


@pytest.mark.filterwarnings("ignore")
def test_permissive_equals_force_and_allocates_nothing_on_the_device() -> None:
    for x in (floats().cuda(), grads().cuda(), complexes().cuda().conj(), complexes().cuda().conj().imag):
        stock = x.numpy(force=True)
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        with safe_numpy.mode("permissive"):
            assert_same(x.numpy(), stock)
        if not (x.is_conj() or x.is_neg()):  # the copy itself resolves those, on the device, as stock's does
            assert torch.cuda.max_memory_allocated() == before


def test_a_graph_under_capture_is_left_alone() -> None:
    x = torch.ones(4, device="cuda")
    graph = torch.cuda.CUDAGraph()
    caught: list[Any] = []
    with torch.cuda.graph(graph):
        y = x * 2
        try:
            with safe_numpy.mode("permissive"):
                y.numpy()
        except safe_numpy.DeviceError as error:
            caught.append(error)
    assert "a CUDA graph is being captured on its stream (cuda:0)" in str(caught[0])
    graph.replay()
    torch.cuda.synchronize()
    assert safe_numpy.to_numpy(y).tolist() == [2, 2, 2, 2]


def test_freed_storage_on_the_device() -> None:
    x = torch.ones(1000, device="cuda")
    x.untyped_storage().resize_(0)
    with safe_numpy.mode("permissive"), pytest.raises(safe_numpy.NoDataError):
        x.numpy()


def test_values_arrive_after_the_work_that_makes_them() -> None:
    x = torch.ones(1 << 24, device="cuda")
    for _ in range(100):
        x = x * 1.0 + 0.0
    with safe_numpy.mode("permissive"), pytest.warns(safe_numpy.ConversionWarning):
        assert float(x.numpy().sum()) == float(1 << 24)
    assert F32.dtype == np.float32
