"""What the guard costs, as ratios: guarded and stock calls interleaved in one process, medians of many rounds.

    make bench

These machines are noisy: the A/A row, stock against stock measured the same way, says how much of a ratio is noise.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import gc
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import wrapt

import safe_numpy

Call = Callable[[], Any]
ROOT = Path(__file__).parent.parent


def time_calls(call: Call, number: int) -> float:
    """Return nanoseconds per call."""
    loop = range(number)
    start = time.perf_counter_ns()
    for _ in loop:
        call()
    return (time.perf_counter_ns() - start) / number


def summarize(pairs: list[tuple[float, float]]) -> dict[str, float]:
    """Return the medians, and the median of the rounds' ratios."""
    return {
        "ours_ns": statistics.median(a for a, _ in pairs),
        "stock_ns": statistics.median(b for _, b in pairs),
        "ratio": statistics.median(a / b for a, b in pairs),
    }


def compare(ours: Call, theirs: Call, number: int, rounds: int) -> dict[str, float]:
    """Time two calls in turns, each as often first as second."""
    pairs = []
    for i in range(rounds):
        times = {call: time_calls(call, number) for call in ((ours, theirs) if i % 2 else (theirs, ours))}
        pairs.append((times[ours], times[theirs]))
    return summarize(pairs)


def swallow(call: Call) -> Call:
    def run() -> None:
        try:
            call()
        except Exception:
            return

    return run


def measure_import(statement: str, rounds: int) -> float:
    """Return the median nanoseconds that an import takes in a fresh interpreter."""
    times = []
    for _ in range(rounds):
        log = subprocess.run(
            [sys.executable, "-X", "importtime", "-c", statement], capture_output=True, text=True, check=True
        ).stderr
        times.append(int(log.splitlines()[-1].split("|")[1]) * 1000)
    return statistics.median(times)


def compare_with_stock(call: Call, number: int, rounds: int, mode: str = "explain") -> dict[str, float]:
    """Time one call with the guard in place and with it taken out, in turns."""
    pairs = []
    for i in range(rounds):
        sides = {}
        for guarded in (bool(i % 2), not i % 2):
            (safe_numpy.install if guarded else safe_numpy.uninstall)()
            with safe_numpy.mode(mode):
                call()
                sides[guarded] = time_calls(call, number)
        pairs.append((sides[True], sides[False]))
    safe_numpy.install()
    return summarize(pairs)


def measure_table(rounds: int) -> list[dict[str, Any]]:
    stock = torch._C.TensorBase.numpy
    plain, grad = torch.ones(8), torch.ones(8, requires_grad=True)
    low = torch.ones(8, dtype=torch.bfloat16)
    huge = torch.ones(8 << 20, dtype=torch.bfloat16, requires_grad=True)  # 16 MiB
    rows: list[dict[str, Any]] = []

    def add(row: str, limit: float | None, figures: dict[str, float]) -> None:
        rows.append({"row": row, "limit": limit, **figures})

    add("A/A: np.ones, the harness against itself", None, compare_with_stock(lambda: np.ones(8), 20000, rounds))
    add("x.numpy(), 8 elements", 1.10, compare_with_stock(lambda: plain.numpy(), 20000, rounds))
    add(
        "x.numpy(), 8 elements, permissive",
        1.25,
        compare_with_stock(lambda: plain.numpy(), 20000, rounds, "permissive"),
    )
    add("x.numpy(), 8 elements, strict", 2.0, compare_with_stock(lambda: plain.numpy(), 20000, rounds, "strict"))
    add("the same in a function that does nothing else", None, compare_bare(plain, rounds))
    wrapped = wrapt.FunctionWrapper(torch._C.TensorBase.numpy, lambda stock, x, args, kwargs: stock(*args, **kwargs))
    add(
        "the same in a wrapt FunctionWrapper",
        None,
        compare(lambda: wrapped(plain), lambda: stock(plain), 20000, rounds),
    )
    add("np.asarray(x), 8 elements", None, compare_with_stock(lambda: np.asarray(plain), 20000, rounds))
    add("failure swallowed: grad", 4.0, compare_with_stock(swallow(lambda: grad.numpy()), 2000, rounds))
    add("failure swallowed: bfloat16", 4.0, compare_with_stock(swallow(lambda: low.numpy()), 2000, rounds))
    with warnings.catch_warnings(), safe_numpy.mode("permissive"):
        warnings.simplefilter("ignore", safe_numpy.ConversionWarning)
        chains: list[tuple[str, float | None, torch.Tensor, Call, int, int]] = [
            ("permissive: grad, 8 elements", 3.0, grad, lambda: grad.detach().cpu().numpy(), 5000, rounds),
            ("permissive: bfloat16, 8 elements", None, low, lambda: low.detach().cpu().float().numpy(), 2000, rounds),
            ("permissive: grad, bfloat16, 16 MiB", 1.05, huge, lambda: huge.detach().cpu().float().numpy(), 1, 101),
        ]
        for row, limit, x, chain, number, times in chains:
            add(row, limit, compare(x.numpy, chain, number, times))
    add_tensorflow(add, rounds)
    ours, theirs = (measure_import(f"import {m}", 9) for m in ("safe_numpy", "wrapt"))
    add("import safe_numpy against import wrapt", 1.3, summarize([(ours, theirs)]))
    return rows


def compare_bare(plain: torch.Tensor, rounds: int) -> dict[str, float]:
    """Time the least that a guard in Python can be: a method that calls the stock method."""
    stock = torch._C.TensorBase.numpy

    def bare_numpy(self: torch.Tensor) -> Any:
        return stock(self)

    # on the class itself: a subclass has another way to its attributes
    torch.Tensor.bare_numpy, torch.Tensor.stock_numpy = bare_numpy, stock  # type: ignore[attr-defined]
    try:
        return compare(lambda: plain.bare_numpy(), lambda: plain.stock_numpy(), 20000, rounds)  # type: ignore[attr-defined]
    finally:
        del torch.Tensor.bare_numpy, torch.Tensor.stock_numpy  # type: ignore[attr-defined]


def add_tensorflow(add: Callable[[str, float | None, dict[str, float]], None], rounds: int) -> None:
    """Measure TensorFlow where it is installed."""
    try:
        import tensorflow as tf
    except ImportError:
        return
    eager = tf.constant(np.ones(8, np.float32))
    add("EagerTensor.numpy(), 8 elements", 1.25, compare_with_stock(lambda: eager.numpy(), 20000, rounds))


_FUNCTION = "def f{i}(a, b):\n    total = a + b * {i}\n    return [total, a][{i} % 2]\n\n"
_LAST = "def last(act, v):\n    return act(v)\n"


def measure_lookup(rounds: int) -> list[dict[str, Any]]:
    """Time finding the user's line and its syntax, in files of 5,000 lines: each file is new once."""
    from safe_numpy.callsite.frames import find_caller
    from safe_numpy.callsite.source import read_running

    cold, warm, read = [], [], []

    def look(x: torch.Tensor) -> None:
        start = time.perf_counter_ns()
        for _ in range(101):
            frame = find_caller(sys._getframe(1)).frame
            running = read_running(frame, frame.f_lasti, frame.f_lineno)
            if len(cold) == len(warm):
                cold.append(time.perf_counter_ns() - start)
                start = time.perf_counter_ns()
        warm.append((time.perf_counter_ns() - start) / 100)
        if running is None or running.node is None:
            raise AssertionError("there is nothing to measure: the line was not found")
        try:
            np.asarray(x)
        except RuntimeError as error:
            start = time.perf_counter_ns()
            str(error)
            read.append(time.perf_counter_ns() - start)

    with tempfile.TemporaryDirectory() as folder:
        for i in range(rounds + 1):
            file = Path(folder) / f"large{i}.py"
            file.write_text("".join(_FUNCTION.format(i=i) for i in range(1250)) + _LAST)
            scope: dict[str, Any] = {}
            exec(compile(file.read_text(), str(file), "exec"), scope)
            scope["last"](look, torch.ones(8, requires_grad=True))
    rows = (("cold, 5,000 lines", cold, 20e6), ("warm", warm, 20e3), ("explanation read, warm", read, None))
    return [
        {"row": f"call-site lookup: {name}", "ours_ns": statistics.median(times[1:]), "limit_ns": limit}
        for name, times, limit in rows
    ]  # not the first: it imports


def measure_books(rounds: int) -> list[dict[str, Any]]:
    """Time what permissive mode does beside a conversion: the ledger's entry, and the look at an optimizer's step."""
    from safe_numpy.frameworks.torch.optimizers import WATCH
    from safe_numpy.ledger.ledger import LEDGER

    network = torch.nn.Sequential(*(torch.nn.Linear(4, 4) for _ in range(30)))  # 60 parameters
    optimizer = torch.optim.SGD(network.parameters(), lr=0.0)
    booked, looked, idle = [], [], []
    with warnings.catch_warnings(), safe_numpy.mode("permissive"):
        warnings.simplefilter("ignore", safe_numpy.ConversionWarning)
        out = network(torch.ones(2, 4))
        out.sum().backward()
        out.numpy()
        entry = next(iter(LEDGER.instructions.values())).entry
        for _ in range(rounds):
            booked.append(time_calls(lambda: LEDGER.add(entry, True, 8, 8, "", 0, 1e-6), 20000))
            WATCH._seen.clear()  # as after a conversion since the last step
            looked.append(time_calls(lambda: WATCH._before_step(optimizer, (optimizer,), {}), 1))
            idle.append(time_calls(lambda: WATCH._before_step(optimizer, (optimizer,), {}), 2000))
    rows = (
        ("booking one conversion", booked, 1e3),
        ("a step, 60 parameters, after a cut", looked, 50e3),
        ("a step, no cut since the last", idle, 50e3),
    )
    return [{"row": name, "ours_ns": statistics.median(times), "limit_ns": limit} for name, times, limit in rows]


def measure_peers(rounds: int) -> list[dict[str, Any]]:
    """Time all that convert a tensor with a gradient, in turns; each against the chain that people write by hand."""
    import peers

    x = torch.ones(8, requires_grad=True)
    ways: dict[str, Call] = {
        name: functools.partial(convert, x)
        for name, convert in {**peers.STOCK, **peers.HELPERS}.items()
        if name not in ("x.numpy()", "np.asarray(x)")  # which stock refuses
    }
    ours: dict[str, Call] = {
        "x.numpy(), permissive": x.numpy,
        "safe_numpy.to_numpy(x)": functools.partial(safe_numpy.to_numpy, x),
    }
    times: dict[str, list[float]] = {name: [] for name in (*ways, *ours)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", safe_numpy.ConversionWarning)
        for i in range(rounds):
            for guarded, group in ((True, ours), (False, ways))[:: 1 if i % 2 else -1]:
                (safe_numpy.install if guarded else safe_numpy.uninstall)()
                with safe_numpy.mode("permissive"):
                    for name, call in group.items():
                        bound = x.numpy if name == "x.numpy(), permissive" else call
                        time_calls(bound, 20)
                        times[name].append(time_calls(bound, 2000))
    safe_numpy.install()
    chain = times["x.detach().cpu().numpy()"]
    return [
        {
            "row": name,
            "ours_ns": statistics.median(found),
            "ratio": statistics.median(a / b for a, b in zip(found, chain, strict=True)),
        }
        for name, found in times.items()
    ]


_SIZES = {"32 B": 8, "1 MiB": 1 << 18, "64 MiB": 1 << 24, "1 GiB": 1 << 28}


def measure_sizes() -> list[dict[str, Any]]:
    """Time permissive mode, and what it allocates at most, against the chain by hand, for every size."""
    rows = []
    with warnings.catch_warnings(), safe_numpy.mode("permissive"):
        warnings.simplefilter("ignore", safe_numpy.ConversionWarning)
        for size, count in _SIZES.items():
            for kind, dtype, chain in (
                ("float32, grad", torch.float32, lambda x: x.detach().cpu().numpy()),
                ("bfloat16, grad", torch.bfloat16, lambda x: x.detach().cpu().float().numpy()),
            ):
                x = torch.ones(count, dtype=dtype, requires_grad=True)
                number, rounds = (2000, 15) if count < 1 << 18 else (20, 15) if count < 1 << 24 else (1, 7)
                figures = compare(x.numpy, functools.partial(chain, x), number, rounds)
                peaks = (
                    [measure_peak(call) for call in (x.numpy, functools.partial(chain, x))] if count >= 1 << 24 else []
                )
                row = {"row": f"{kind}, {size}", **figures}
                rows.append({**row, "ours_peak": peaks[0], "stock_peak": peaks[1]} if peaks else row)
    return rows


def measure_peak(call: Call) -> int:
    """Return the bytes by which the resident memory rises at most (Linux; proc(5), clear_refs)."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # sets the peak back to what is resident now
    before = _read_status("VmRSS")
    call()
    return _read_status("VmHWM") - before


def _read_status(key: str) -> int:
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(key)]
    return int(line.split()[1]) * 1024


def measure_causes(rounds: int) -> list[dict[str, Any]]:
    """Time every cause of the tests' zoo: the error thrown away, and read; stock's error beside it."""
    sys.path += [str(ROOT / "tests"), str(ROOT / "examples")]
    import zoo

    rows = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        known = {c.kinds: c for c in reversed([*zoo.CONVERTIBLE, *zoo.REFUSED]) if c.inside is None and c.stock_fails}
        for kinds, case in sorted(known.items()):
            x = case.make()
            thrown = compare_with_stock(swallow(lambda x=x: x.numpy()), 100, rounds)  # type: ignore[misc]
            read = statistics.median(time_calls(lambda x=x: read_error(x), 20) for _ in range(5))  # type: ignore[misc]
            rows.append({"row": " and ".join(kinds), **thrown, "read_ns": read})
    return rows


def read_error(x: torch.Tensor) -> str:
    try:
        x.numpy()
    except Exception as error:
        return str(error)
    raise AssertionError("there is nothing to read")


def measure_reading(rounds: int) -> list[dict[str, Any]]:
    """Time what explains an error, or shows a tensor, in words: ours, and what other packages print."""
    import io

    import lovely_tensors
    import rich.console
    import rich.traceback
    import treescope
    import tsensor

    x = torch.ones(8, requires_grad=True)

    def render_rich() -> str:
        console = rich.console.Console(file=io.StringIO())
        try:
            x.numpy()
        except Exception:
            console.print(rich.traceback.Traceback(show_locals=True))
        return console.file.getvalue()  # type: ignore[attr-defined]

    def clarify() -> str:
        try:
            with tsensor.clarify(show=False):
                x.numpy()
        except Exception as error:
            return str(error)
        raise AssertionError("there is nothing to read")

    ways: dict[str, tuple[bool, Call]] = {
        "safe_numpy: str(error)": (True, lambda: read_error(x)),
        "safe_numpy: diagnose(x)": (True, lambda: str(safe_numpy.diagnose(x))),
        "stock: str(error)": (False, lambda: read_error(x)),
        "rich traceback, with locals": (False, render_rich),
        "tensor-sensor clarify": (False, clarify),
        "lovely-tensors: str(lovely(x))": (False, lambda: str(lovely_tensors.lovely(x))),
        "treescope: render_to_text(x)": (False, lambda: treescope.render_to_text(x)),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, (guarded, call) in ways.items():
            (safe_numpy.install if guarded else safe_numpy.uninstall)()
            with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
                times[name].append(time_calls(call, 5))
    safe_numpy.install()
    return [{"row": name, "ours_ns": statistics.median(found)} for name, found in times.items()]


def measure_trees(rounds: int) -> list[dict[str, Any]]:
    """Time `to_numpy` of 10,000 leaves, against the comprehension that somebody would write for them."""
    tree = {"layers": [{"weight": torch.ones(8, requires_grad=True), "bias": torch.ones(8)} for _ in range(5000)]}

    def by_hand() -> Any:
        return {"layers": [{k: v.detach().cpu().numpy() for k, v in d.items()} for d in tree["layers"]]}

    return [{"row": "to_numpy, 10,000 leaves", **compare(lambda: safe_numpy.to_numpy(tree), by_hand, 1, rounds)}]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=21, help="more rounds, steadier medians")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    parser.add_argument("--own", action="store_true", help="leave out what needs other packages")
    arguments = parser.parse_args()
    rounds = arguments.rounds
    if not arguments.own:
        import peers  # first: it chooses the backend of Keras
    tables = {"guard": measure_table(rounds), "lookup": measure_lookup(rounds) + measure_books(rounds)}
    if not arguments.own:
        tables["peers"] = measure_peers(rounds)
        tables["sizes"] = measure_sizes()
        tables["trees"] = measure_trees(5)
        tables["causes"] = measure_causes(5)
        tables["reading"] = measure_reading(5)
        versions = peers.list_versions()
    else:
        versions = {"torch": torch.__version__, "numpy": np.__version__}
    versions["Python"] = platform.python_version()
    machine = f"{read_processor()}, {os.cpu_count()} cores"
    print(machine, versions)
    for name, rows in tables.items():
        print(f"\n{name:48}{'ours':>14}{'stock':>14}{'ratio':>8}{'limit':>8}")
        for r in rows:
            stock = f"{r['stock_ns']:11.0f} ns" if "stock_ns" in r else ""
            ratio = f"{r['ratio']:.2f}" if "ratio" in r else ""
            limit = f"{r['limit']:.2f}" if r.get("limit") else f"{r['limit_ns']:.0f}" if r.get("limit_ns") else ""
            print(f"{r['row']:48}{r['ours_ns']:11.0f} ns{stock:>14}{ratio:>8}{limit:>8}")
    if arguments.json:
        found = {"machine": machine, "versions": versions, "rounds": rounds, **tables}
        arguments.json.write_text(json.dumps(found, indent=1) + "\n")


def read_processor() -> str:
    found = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    return found[1] if found else platform.machine()


if __name__ == "__main__":
    main()
