"""What the guard costs, as ratios: guarded and stock calls interleaved in one process, medians of many rounds.

    make bench

These machines are noisy: the A/A row, stock against stock measured the same way, says how much of a ratio is noise.
"""

from __future__ import annotations

import argparse
import json
import platform
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

import safe_numpy

Call = Callable[[], Any]


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
    plain, grad = torch.ones(8), torch.ones(8, requires_grad=True)
    low = torch.ones(8, dtype=torch.bfloat16)
    huge = torch.ones(8 << 20, dtype=torch.bfloat16, requires_grad=True)  # 16 MiB
    rows: list[dict[str, Any]] = []

    def add(row: str, limit: float | None, figures: dict[str, float]) -> None:
        rows.append({"row": row, "limit": limit, **figures})

    add("A/A: np.ones, the harness against itself", None, compare_with_stock(lambda: np.ones(8), 20000, rounds))
    add("x.numpy(), 8 elements", 1.15, compare_with_stock(lambda: plain.numpy(), 20000, rounds))
    add(
        "x.numpy(), 8 elements, permissive",
        1.15,
        compare_with_stock(lambda: plain.numpy(), 20000, rounds, "permissive"),
    )
    add("x.numpy(), 8 elements, strict", 2.0, compare_with_stock(lambda: plain.numpy(), 20000, rounds, "strict"))
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
    from safe_numpy import _callsite, _source

    cold, warm, read = [], [], []

    def look(x: torch.Tensor) -> None:
        start = time.perf_counter_ns()
        for _ in range(101):
            frame = _callsite.find_user_frame(sys._getframe(1))
            running = _source.read_running(frame, frame.f_lasti, frame.f_lineno)
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
    from safe_numpy._ledger import LEDGER
    from safe_numpy.frameworks._torch_cuts import WATCH

    network = torch.nn.Sequential(*(torch.nn.Linear(4, 4) for _ in range(30)))  # 60 parameters
    optimizer = torch.optim.SGD(network.parameters(), lr=0.0)
    booked, looked, idle = [], [], []
    with warnings.catch_warnings(), safe_numpy.mode("permissive"):
        warnings.simplefilter("ignore", safe_numpy.ConversionWarning)
        out = network(torch.ones(2, 4))
        out.sum().backward()
        out.numpy()
        (entry, *_) = LEDGER.list_entries()
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=21, help="more rounds, steadier medians")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    arguments = parser.parse_args()
    rows = measure_table(arguments.rounds)
    machine = f"{platform.processor() or platform.machine()}, Python {platform.python_version()}"
    print(f"torch {torch.__version__}, NumPy {np.__version__}, {machine}")
    print(f"{'':48}{'ours':>14}{'stock':>14}{'ratio':>8}{'limit':>8}")
    for r in rows:
        limit = "" if r["limit"] is None else f"{r['limit']:.2f}"
        print(f"{r['row']:48}{r['ours_ns']:11.0f} ns{r['stock_ns']:11.0f} ns{r['ratio']:8.2f}{limit:>8}")
    others = measure_lookup(arguments.rounds) + measure_books(arguments.rounds)
    for r in others:
        limit = "" if r["limit_ns"] is None else f"{r['limit_ns'] / 1000:.0f} µs"
        print(f"{r['row']:48}{r['ours_ns'] / 1000:11.2f} µs{'':22}{limit:>10}")
    rows += others
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
