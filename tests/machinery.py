"""What torch's own machinery does with programs that convert tensors: printed, to be compared with and without a guard.

    python tests/machinery.py [MODE]

Without a mode the guard is not even imported.
"""

from __future__ import annotations

import copy
import faulthandler
import io
import os
import pickle
import sys
import warnings
from typing import Any

import numpy as np
import torch

MODE = sys.argv[1] if len(sys.argv) > 1 else None


def show(name: str, value: Any) -> None:
    print(f"{name}: {value}")


def attempt(name: str, do: Any) -> None:
    """Print what comes of it, an error by its class and its first line."""
    try:
        result = do()
    except Exception as error:
        kinds = [k.__name__ for k in type(error).__mro__ if not k.__module__.startswith("safe_numpy")]
        result = kinds[0], str(error).splitlines()[:1]
    show(name, result)


FUNCTIONS = {
    "method": lambda x: torch.from_numpy(x.numpy() * 2),
    "forced": lambda x: torch.from_numpy(x.numpy(force=True) * 2),
    "asarray": lambda x: torch.from_numpy(np.asarray(x) * 2),
    "unbound": lambda x: torch.from_numpy(torch.Tensor.numpy(x) * 2),
    "unbound, forced": lambda x: torch.from_numpy(torch.Tensor.numpy(x, force=True) * 2),
    "detached": lambda x: torch.from_numpy(x.detach().cpu().numpy() * 2),
}


class Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.linear(x)
        return y + float(y.detach().numpy().sum())


class Quiet(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x).relu()


def compile_all() -> None:
    import torch._dynamo

    for name, function in FUNCTIONS.items():
        torch._dynamo.reset()
        if not (MODE is None and name.startswith("unbound")):  # which stock breaks the graph at
            found = torch._dynamo.explain(function)(torch.ones(3))
            show(f"graphs and breaks, {name}", (found.graph_count, found.graph_break_count))
            torch._dynamo.reset()
            compiled = torch.compile(function, fullgraph=True, backend="eager")
            attempt(f"fullgraph, {name}", lambda c=compiled: c(torch.ones(3)).tolist())
        compiled = torch.compile(function, backend="aot_eager")
        attempt(f"compiled, {name}", lambda c=compiled: c(torch.ones(3)).tolist())
        attempt(f"compiled, grad, {name}", lambda c=compiled: c(torch.ones(3, requires_grad=True)).tolist())
    torch._dynamo.reset()
    counter = torch._dynamo.testing.CompileCounter()
    compiled = torch.compile(FUNCTIONS["method"], backend=counter)
    for size in (3, 3, 4, 5):
        compiled(torch.ones(size))
    show("frames compiled", counter.frame_count)


def export_all() -> None:
    for strict in (False, True):
        for name, module in (("quiet", Quiet()), ("converts", Net())):
            torch.manual_seed(0)
            attempt(
                f"export, strict={strict}, {name}",
                lambda m=module, s=strict: [
                    n.target for n in torch.export.export(m, (torch.ones(1, 3),), strict=s).graph.nodes
                ],
            )


def trace_all() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(lambda x: x * float(x.numpy().sum()), torch.ones(3))
        show("jit.trace", (traced(torch.ones(3) * 2).tolist(), str(traced.graph).count("aten::")))
        attempt("jit.script", lambda: torch.jit.script(Quiet())(torch.ones(1, 3)).shape)
    attempt("fx, converts", lambda: torch.fx.symbolic_trace(lambda x: x.numpy()).code)
    attempt("fx, quiet", lambda: torch.fx.symbolic_trace(Quiet()).code)
    attempt("make_fx", lambda: torch.fx.experimental.proxy_tensor.make_fx(lambda x: x.sin())(torch.ones(2)).code)


def transform_all() -> None:
    x = torch.arange(3.0)

    def leak(v: torch.Tensor) -> torch.Tensor:
        v.numpy()
        return v.sum()

    attempt("grad", lambda: torch.func.grad(lambda v: v.sin().sum())(x).tolist())
    attempt("vmap", lambda: torch.func.vmap(lambda v: v * 2)(x).tolist())
    attempt("jvp", lambda: [t.tolist() for t in torch.func.jvp(torch.sin, (x,), (x,))])
    attempt("jacrev", lambda: torch.func.jacrev(torch.sin)(x).numpy().tolist())
    attempt("hessian", lambda: torch.func.hessian(lambda v: (v**3).sum())(x).numpy().tolist())
    attempt("functional_call", lambda: torch.func.functional_call(Quiet(), {}, (torch.ones(1, 3),)).shape)
    if MODE in (None, "off", "explain"):  # permissive mode may convert these
        for name in ("grad", "vmap", "functionalize"):
            transform = getattr(torch.func, name)
            attempt(f"leak, {name}", lambda t=transform: type(t(leak)(x)).__name__)


def override_all() -> None:
    seen: list[str] = []

    class Functions(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            seen.append(getattr(func, "__name__", "?"))
            return func(*args, **(kwargs or {}))

    from torch.utils._python_dispatch import TorchDispatchMode

    class Dispatched(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            seen.append(str(func))
            return func(*args, **(kwargs or {}))

    class Logged(torch.Tensor):
        @classmethod
        def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            seen.append(getattr(func, "__name__", "?"))
            return super().__torch_function__(func, types, args, kwargs or {})

    for name, mode in (("functions", Functions), ("dispatched", Dispatched)):
        with mode():
            x = torch.ones(2)
            x.numpy()
            np.asarray(x)
            np.from_dlpack(x)
        show(f"seen by a mode, {name}", seen)
        seen.clear()
    torch.ones(2).as_subclass(Logged).numpy()
    show("seen by a subclass", seen)
    overridable = torch.overrides.get_overridable_functions()[torch.Tensor]
    names = sorted(torch.overrides.resolve_name(f) or "?" for f in overridable)
    show("overridable", (len(names), [n for n in names if "numpy" in n or "dlpack" in n]))
    show("a method", torch.overrides.is_tensor_method_or_property(torch.Tensor.numpy))
    show("testing overrides", len(torch.overrides.get_testing_overrides()) > 1000)


def copy_all() -> None:
    torch.manual_seed(0)
    net = Net()
    other = copy.deepcopy(net)
    show("deepcopy", torch.equal(net(torch.ones(1, 3)), other(torch.ones(1, 3))))
    show("deepcopy of a method", copy.deepcopy(torch.Tensor.numpy) is torch.Tensor.numpy)
    show("pickle of a method", pickle.loads(pickle.dumps(torch.Tensor.numpy)) is torch.Tensor.numpy)
    show("pickle of a tensor", pickle.loads(pickle.dumps(torch.ones(2))).numpy().tolist())
    show("pickled by", torch.ones(2).__reduce_ex__(2)[0].__name__)  # its bytes hold an address
    buffer = io.BytesIO()
    torch.save(net.state_dict(), buffer)
    buffer.seek(0)
    show("save and load", sorted(torch.load(buffer, weights_only=True)))
    from torch.package import PackageExporter, PackageImporter

    buffer = io.BytesIO()
    with PackageExporter(buffer) as exporter:
        exporter.extern(["torch.**", "numpy.**"])
        exporter.save_source_string("held", "import torch\ndef f(x):\n    return x.numpy().tolist()\n")
        exporter.save_pickle("data", "x.pkl", torch.ones(2))
    buffer.seek(0)
    importer = PackageImporter(buffer)
    show("package", importer.import_module("held").f(importer.load_pickle("data", "x.pkl")))


def train_all() -> None:
    import tempfile

    import torch.distributed as dist
    from torch.nn.parallel import DistributedDataParallel

    with tempfile.TemporaryDirectory() as folder:
        dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=0, world_size=1)
        torch.manual_seed(0)
        net = DistributedDataParallel(Quiet())
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            with torch.autocast("cpu", dtype=torch.bfloat16):
                out = net(torch.ones(4, 3))
            loss = out.float().pow(2).sum()
            loss.backward()
            optimizer.step()
            show("loss", float(loss.detach().numpy()))
        attempt("autocast", lambda: (out.dtype, out.detach().float().numpy().dtype))
    x = torch.ones(3, requires_grad=True)
    again = torch.utils.checkpoint.checkpoint(lambda v: v.sin(), x, use_reentrant=False)
    show("checkpoint", again.detach().numpy().tolist())
    show("gradcheck", torch.autograd.gradcheck(torch.sin, torch.ones(2, dtype=torch.float64, requires_grad=True)))
    x.register_hook(lambda g: show("hook", g.numpy().tolist()))
    (x * 2).sum().backward()
    show("gradient", x.grad.numpy().tolist())


def main() -> None:
    if MODE is not None:
        import safe_numpy

        safe_numpy.set_mode(MODE)
    warnings.simplefilter("ignore")
    faulthandler.dump_traceback_later(200, exit=True)  # what hangs is to say where
    for part in (compile_all, export_all, trace_all, transform_all, override_all, copy_all, train_all):
        part()
    sys.stdout.flush()
    os._exit(0)  # gloo's teardown, in stock torch 2.13, now and then aborts or waits on a busy machine


if __name__ == "__main__":
    main()
