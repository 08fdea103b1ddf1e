"""torch's own machinery with the guard in place: tracing, copying, overriding, transforming."""

from __future__ import annotations

import copy
import functools
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from processes import ROOT, run
from versions import newer_torch
from zoo import grads

import safe_numpy
from safe_numpy.frameworks.torch import causes


@newer_torch
def test_compile_traces_without_a_graph_break() -> None:
    out = run("""
        import safe_numpy, torch, numpy as np
        functions = [
            lambda x: torch.from_numpy(x.numpy() * 2),
            lambda x: torch.from_numpy(np.asarray(x) * 2),
            lambda x: torch.from_numpy(torch.Tensor.numpy(x) * 2),
            lambda x: torch.from_numpy(torch.Tensor.numpy(x, force=True) * 2),
            lambda x: torch.from_numpy(x.numpy(force=True) * 2),
        ]
        for f in functions:
            print(torch.compile(f, fullgraph=True, backend="eager")(torch.ones(2)).tolist())
        safe_numpy.uninstall(); safe_numpy.install(); torch._dynamo.reset()
        print(torch.compile(functions[2], fullgraph=True, backend="eager")(torch.ones(2)).tolist())
    """)
    assert out == "[2.0, 2.0]\n" * 6


@functools.cache
def use_machinery(*mode: str) -> list[str]:
    """Return what ``machinery.py`` prints."""
    command = [sys.executable, str(ROOT / "tests" / "machinery.py"), *mode]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@newer_torch
@pytest.mark.parametrize("mode", ["off", "explain", "permissive", "strict"])
def test_the_machinery_does_what_it_did(mode: str) -> None:
    """compile, export, jit, fx, func, overrides, modes, package, copies, pickles, DDP, autocast: as without a guard."""
    stock, ours = use_machinery(), use_machinery(mode)
    unbound = [line for line in ours if "unbound" in line and line.startswith(("graphs", "fullgraph"))]
    assert unbound == [
        "graphs and breaks, unbound: (1, 0)",  # stock breaks the graph there
        "fullgraph, unbound: [2.0, 2.0, 2.0]",
        "graphs and breaks, unbound, forced: (1, 0)",
        "fullgraph, unbound, forced: [2.0, 2.0, 2.0]",
    ]
    leaks = () if mode in ("off", "explain") else tuple(line for line in stock if line.startswith("leak"))
    assert [line for line in ours if line not in unbound] == [line for line in stock if line not in leaks]
    assert len(stock) > 70


@newer_torch
def test_the_guard_after_dynamo_is_as_good() -> None:
    out = run("""
        import torch, torch._dynamo
        import safe_numpy
        f = lambda x: torch.from_numpy(torch.Tensor.numpy(x) * 2)
        print(torch.compile(f, fullgraph=True, backend="eager")(torch.ones(2)).tolist())
    """)
    assert out == "[2.0, 2.0]\n"


def test_copies_and_overrides() -> None:
    assert copy.deepcopy(torch.Tensor.numpy) is torch.Tensor.numpy
    x = grads()
    assert torch.equal(copy.deepcopy(x), x)
    assert torch.overrides.resolve_name(torch.Tensor.__dlpack__) == "torch.Tensor.__dlpack__"


def test_a_torch_function_mode_sees_one_call() -> None:
    seen: list[Any] = []

    class Watch(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            seen.append(func)
            return func(*args, **(kwargs or {}))

    with Watch():
        torch.ones(2).numpy()
    assert seen.count(torch.Tensor.numpy) == 1
    seen.clear()
    with Watch(), pytest.raises(safe_numpy.GradError) as caught:
        grads().numpy()
    assert str(caught.value).count("cannot become a NumPy array") == 1
    names = {getattr(f, "__name__", "") for f in seen}
    assert names <= {"numpy", "tensor"}, "looking at the tensor is nobody's business"


def test_a_dispatch_mode_sees_nothing_of_the_diagnosis() -> None:
    from torch.utils._python_dispatch import TorchDispatchMode

    seen: list[Any] = []

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            seen.append(func)
            return func(*args, **(kwargs or {}))

    tensors = [grads(), grads().bfloat16(), torch.ones(2, 2).to_sparse_csr(), torch.ones(2).to("toy")]
    with Watch():
        for x in tensors:
            with pytest.raises(safe_numpy.ConversionError) as caught:
                x.numpy()
            assert caught.value.diagnosis is not None
    asked_for_its_parts = {"aten.values", "aten.crow_indices", "aten.col_indices", "aten.detach"}
    assert {str(f).removesuffix(".default") for f in seen} <= asked_for_its_parts


def test_under_inference_mode() -> None:
    with torch.inference_mode():
        x = torch.ones(2, dtype=torch.bfloat16)
        assert safe_numpy.diagnose(x).fix == "x.float().numpy()"
        assert safe_numpy.to_numpy(x).tolist() == [1, 1]


@newer_torch
def test_a_wrapper_that_leaked_out_of_its_transform() -> None:
    leaked: list[torch.Tensor] = []
    torch.func.grad(lambda x: (leaked.append(x * 1), x.sum())[1])(torch.ones(2))
    x = leaked[0]
    with safe_numpy.mode("off"), pytest.raises(RuntimeError) as stock:
        x.numpy()
    with pytest.raises(safe_numpy.TransformError) as caught:
        x.numpy()
    assert str(caught.value).startswith(str(stock.value))
    assert safe_numpy.to_numpy(x).tolist() == [1, 1]


def test_functionalize_sees_writes_to_views() -> None:
    found = []

    def f(x: torch.Tensor) -> torch.Tensor:
        y = x * 1
        y[0].add_(5)
        found.append((safe_numpy.to_numpy(y), safe_numpy.to_numpy(y[0])))
        return y

    torch.func.functionalize(f)(torch.zeros(2, 2))
    whole, row = found[0]
    assert whole.tolist() == [[5, 5], [0, 0]]
    assert row.tolist() == [5, 5]


def test_functionalize_wraps_the_copies_of_constants() -> None:
    """What `k.float()` gives is wrapped there, and its ``numpy()`` would read uninitialised memory."""
    wide, low = torch.tensor([3.0, 4.0]), torch.tensor([3.0, 4.0], dtype=torch.bfloat16)
    found = []

    def f(x: torch.Tensor) -> torch.Tensor:
        for k in (wide, low):
            fix = safe_numpy.diagnose(k, "k").fix
            assert fix is not None
            found.append((fix, safe_numpy.to_numpy(k).tolist(), eval(fix, {"k": k, "torch": torch}).tolist()))
        return x

    torch.func.functionalize(f)(torch.zeros(2))
    assert [fix for fix, *_ in found] == ["k.numpy()", f"{causes._UNWRAP}(k.float().clone()).numpy()"]
    assert all(values == [3, 4] for _, *arrays in found for values in arrays)


def test_a_device_whose_tensors_are_functional_by_build() -> None:
    """The one of those that comes with torch; XLA is another, see tests/test_xla.py."""
    from torch._lazy import ts_backend

    ts_backend.init()
    plain = torch.tensor([1.0, 2.0]).to("lazy")
    leaf = plain.bfloat16().requires_grad_()
    assert torch._is_functional_tensor(plain)
    for x, kinds, fix in (
        (plain, ["device"], "x.cpu().numpy()"),
        (leaf, ["grad", "device", "dtype"], "x.detach().cpu().float().numpy()"),
    ):
        diagnosis = safe_numpy.diagnose(x)
        assert ([p.kind for p in diagnosis.problems], diagnosis.fix) == (kinds, fix)
        assert safe_numpy.to_numpy(x).tolist() == [1, 2]
    with pytest.raises(safe_numpy.DeviceError):
        np.from_dlpack(plain)
    with safe_numpy.mode("permissive"), pytest.warns(safe_numpy.ConversionWarning):
        assert np.from_dlpack(plain).tolist() == plain.numpy().tolist() == [1, 2]


def test_training_is_not_changed_by_the_guard() -> None:
    """The same program, twice: same losses to the last bit."""
    program = """
        {first}
        import numpy as np, torch
        torch.manual_seed(0)
        net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
        optimizer = torch.optim.SGD(net.parameters(), 0.1)
        for _ in range(5):
            loss = net(torch.ones(3, 4)).square().mean()
            optimizer.zero_grad(); loss.backward(); optimizer.step()
            print(loss.item(), np.asarray(loss.detach()).sum(), net[0].weight.detach().numpy().sum())
    """
    assert run(program.format(first="import safe_numpy")) == run(program.format(first=""))


def test_writes_through_the_array_reach_the_tensor() -> None:
    x = torch.zeros(2)
    x.numpy()[0] = 3
    assert x.tolist() == [3, 0]
    with torch.no_grad():
        np.asarray(x)[1] = 4
    assert x.tolist() == [3, 4]
