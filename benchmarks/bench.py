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
import time
import tracemalloc
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


def compare(ours: Call, theirs: Call, number: int, rounds: int) -> dict[str, float]:
    """Time two calls in turns; return the medians and the median of the rounds' ratios."""
    pairs = []
    for i in range(rounds):
        first, second = (ours, theirs) if i % 2 else (theirs, ours)
        a, b = time_calls(first, number), time_calls(second, number)
        pairs.append((a, b) if i % 2 else (b, a))
    return {
        "ours_ns": statistics.median(a for a, _ in pairs),
        "stock_ns": statistics.median(b for _, b in pairs),
        "ratio": statistics.median(a / b for a, b in pairs),
    }


def swallow(call: Call) -> Call:
    def run() -> None:
        try:
            call()
        except Exception:
            return

    return run


def measure_import(statement: str, rounds: int) -> float:
    """Return the median milliseconds that an import takes in a fresh interpreter."""
    times = []
    for _ in range(rounds):
        log = subprocess.run(
            [sys.executable, "-X", "importtime", "-c", statement], capture_output=True, text=True, check=True
        ).stderr
        times.append(int(log.splitlines()[-1].split("|")[1]) / 1000)
    return statistics.median(times)


def measure_peak(convert: Callable[[torch.Tensor], Any], source: torch.Tensor) -> int:
    """Return the most bytes of host memory that a conversion held at once, by torch's own profiler."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as run:
        result = convert(source)
    held = peak = 0
    for event in run.profiler.kineto_results.events():
        if event.name() == "[memory]":
            held += event.nbytes()
            peak = max(peak, held)
    assert result is not None
    return peak


def table(rounds: int) -> list[dict[str, Any]]:
    numpy = torch._C.TensorBase.numpy
    plain, grad = torch.ones(8), torch.ones(8, requires_grad=True)
    large = torch.ones(4 << 20, requires_grad=True)  # 16 MiB
    large_bf16 = torch.ones(4 << 20, dtype=torch.bfloat16, requires_grad=True)

    def stock(call: Call) -> Call:
        """Have a call meet stock torch: the guard is taken out around the round, not around each call."""
        return call

    rows = [
        ("A/A: stock against stock", lambda: numpy(plain), lambda: numpy(plain), 20000, None),
    ]
    out = [dict(row=name, limit=limit, **compare(a, b, n, rounds)) for name, a, b, n, limit in rows]

    def guarded_against_stock(name: str, call: Call, number: int, limit: float | None, mode: str = "explain") -> None:
        pairs = []
        for i in range(rounds):
            sides = {}
            for guarded in (bool(i % 2), not i % 2):
                (safe_numpy.install if guarded else safe_numpy.uninstall)()
                safe_numpy.set_mode(mode)
                sides[guarded] = time_calls(call, number)
            pairs.append((sides[True], sides[False]))
        safe_numpy.install()
        safe_numpy.set_mode("explain")
        out.append(
            {
                "row": name,
                "limit": limit,
                "ours_ns": statistics.median(a for a, _ in pairs),
                "stock_ns": statistics.median(b for _, b in pairs),
                "ratio": statistics.median(a / b for a, b in pairs),
            }
        )

    guarded_against_stock("A/A: the harness itself, stock np.ones", lambda: np.ones(8), 20000, None)
    guarded_against_stock("x.numpy(), 8 elements", lambda: plain.numpy(), 20000, 1.15)
    guarded_against_stock("x.numpy(), 8 elements, permissive", lambda: plain.numpy(), 20000, None, "permissive")
    guarded_against_stock("np.asarray(x), 8 elements", lambda: np.asarray(plain), 20000, None)
    guarded_against_stock("failure swallowed, grad", swallow(lambda: grad.numpy()), 2000, 4.0)
    guarded_against_stock("failure swallowed, bfloat16", swallow(lambda: plain.bfloat16().numpy()), 2000, None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", safe_numpy.ConversionWarning)
        safe_numpy.install()

        def permissive(name: str, x: torch.Tensor, chain: Call, number: int, limit: float | None) -> None:
            with safe_numpy.mode("permissive"):
                x.numpy()
                out.append(dict(row=name, limit=limit, **compare(lambda: x.numpy(), chain, number, rounds)))

        permissive("permissive, grad, 8 elements", grad, lambda: grad.detach().cpu().numpy(), 5000, 3.0)
        permissive("permissive, grad, 16 MiB", large, lambda: large.detach().cpu().numpy(), 5000, None)
        permissive(
            "permissive, grad, bfloat16, 8 MiB to 16 MiB", large_bf16,
            lambda: large_bf16.detach().cpu().float().numpy(), 5, 1.05,
        )  # fmt: skip
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=31, help="more rounds, steadier medians")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    arguments = parser.parse_args()
    rows = table(arguments.rounds)
    ours, theirs = (measure_import(f"import {m}", 9) for m in ("safe_numpy", "wrapt"))
    rows.append(
        {
            "row": "import safe_numpy against import wrapt",
            "limit": 1.3,
            "ours_ns": ours * 1e6,
            "stock_ns": theirs * 1e6,
            "ratio": ours / theirs,
        }
    )
    machine = f"{platform.processor() or platform.machine()}, Python {platform.python_version()}"
    print(f"torch {torch.__version__}, NumPy {np.__version__}, {machine}")
    print(f"{'':48}{'ours':>14}{'stock':>14}{'ratio':>8}{'limit':>8}")
    for r in rows:
        limit = "" if r["limit"] is None else f"{r['limit']:.2f}"
        print(f"{r['row']:48}{r['ours_ns']:11.0f} ns{r['stock_ns']:11.0f} ns{r['ratio']:8.2f}{limit:>8}")
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
