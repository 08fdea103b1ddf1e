"""How what the guard does grows with what it looks at: the graph, the file, the nesting, the booked sites.

    make bench

Each is measured over several powers of ten and drawn on logarithmic axes, where a straight line of slope one is
proportional growth, and a level one none.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

import safe_numpy

ROOT = Path(__file__).parent.parent
Point = tuple[int, float]


def time_median(call: Callable[[], Any], rounds: int) -> float:
    """Return the median of seconds."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def read_error(act: Callable[[], Any]) -> None:
    try:
        act()
    except safe_numpy.ConversionError as error:
        str(error)
        return
    raise AssertionError("there is nothing to explain")


def swallow(act: Callable[[], Any]) -> None:
    try:
        act()
    except safe_numpy.ConversionError:
        return
    raise AssertionError("there is nothing to explain")


def grow_graph() -> dict[str, list[Point]]:
    """Explain a tensor at the end of ever longer graphs: where its gradient comes from is looked for in them."""
    thrown, read = [], []
    for size in (1, 10, 100, 1_000, 10_000, 100_000):
        x = torch.ones(2, requires_grad=True)
        y = x
        for _ in range(size):
            y = y * 1
        thrown.append((size, time_median(lambda y=y: swallow(y.numpy), 31)))  # type: ignore[misc]
        read.append((size, time_median(lambda y=y: read_error(lambda: y.numpy()), 11)))  # type: ignore[misc]
        while y.grad_fn is not None and size >= 10_000:  # let go one by one: torch's destructor is deep
            y = y.detach()
    return {"error thrown away": thrown, "explanation read": read}


def grow_file() -> dict[str, list[Point]]:
    """Explain a failure in ever longer files, each read for the first time, and the same line again."""
    cold, warm = [], []
    x = torch.ones(2, requires_grad=True)
    with tempfile.TemporaryDirectory() as folder:
        for lines in (10, 100, 1_000, 10_000, 100_000):
            times = []
            for i in range(5):
                file = Path(folder) / f"file{lines}_{i}.py"
                method = "    def f(self, a, b):\n        return a + b * self.k\n\n"
                head = "".join(f"class C{k}:\n" + method * 33 for k in range(lines // 100)) + "\n" * (lines % 100)
                file.write_text(head + "def last(x):\n    return x.numpy()\n")
                scope: dict[str, Any] = {}
                exec(compile(file.read_text(), str(file), "exec"), scope)
                times.append(time_median(lambda s=scope: read_error(lambda: s["last"](x)), 1))  # type: ignore[misc]
            cold.append((lines, statistics.median(times)))
            warm.append((lines, time_median(lambda s=scope: read_error(lambda: s["last"](x)), 21)))  # type: ignore[misc]
    return {"first reading": cold, "again": warm}


def grow_nesting() -> dict[str, list[Point]]:
    """Convert ever larger nestings, and explain a failure in one."""
    converted, by_hand = [], []
    for size in (1, 10, 100, 1_000, 10_000, 100_000):
        leaves = [torch.ones(8, requires_grad=True) for _ in range(size)]
        rounds = 31 if size <= 1_000 else 5
        converted.append((size, time_median(lambda t=leaves: safe_numpy.to_numpy(t), rounds)))  # type: ignore[misc]
        by_hand.append((size, time_median(lambda t=leaves: [x.detach().cpu().numpy() for x in t], rounds)))  # type: ignore[misc]
    return {"to_numpy": converted, "by hand": by_hand}


def grow_sites() -> dict[str, list[Point]]:
    """Convert at a line, with ever more other lines in the ledger; and report them all."""
    booked, reported = [], []
    x = torch.ones(2, requires_grad=True)
    with warnings.catch_warnings(), safe_numpy.mode("permissive"):
        warnings.simplefilter("ignore", safe_numpy.ConversionWarning)
        for size in (1, 10, 100, 1_000, 10_000):
            safe_numpy.report(reset=True)
            for part in range((size + 9) // 10):  # ten to a function
                lines = "".join("    x.numpy()\n" for _ in range(min(size, 10)))
                scope: dict[str, Any] = {}
                exec(compile(f"def run(x):\n{lines}", f"/sites{size}/{part}.py", "exec"), scope)
                scope["run"](x)
            booked.append((size, time_median(lambda: [x.numpy() for _ in range(1000)], 9) / 1000))
            reported.append((size, time_median(lambda: str(safe_numpy.report()), 5)))
    return {"a conversion": booked, "the report": reported}


GROWTHS = {
    "length of the graph": grow_graph,
    "lines of the file": grow_file,
    "leaves of the nesting": grow_nesting,
    "sites in the ledger": grow_sites,
}


def find_slope(points: list[Point]) -> float:
    """Return the exponent between the last two powers of ten: 1 is proportional growth, 0 is none."""
    (size, seconds), (most, longest) = points[-2:]
    return math.log(longest / seconds) / math.log(most / size)


def draw(found: dict[str, dict[str, list[Point]]], targets: list[Path]) -> None:
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 2, figsize=(9, 6.4), layout="constrained")
    for axis, (title, curves) in zip(axes.flat, found.items(), strict=True):
        for (name, points), style in zip(curves.items(), ("o-", "s--"), strict=True):
            sizes, seconds = np.array(points).T
            axis.loglog(
                sizes, seconds * 1e6, style, label=f"{name}, exponent {abs(find_slope(points)):.1f}", markersize=4
            )
        axis.set_xlabel(title)
        axis.set_ylabel("µs")
        axis.grid(True, which="major", alpha=0.3)
        axis.margins(y=0.25)
        axis.legend(frameon=False, fontsize=9)
        for side in ("top", "right"):
            axis.spines[side].set_visible(False)
    for target in targets:
        figure.savefig(target, dpi=110, metadata={"Date": None} if target.suffix == ".svg" else None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, required=True)
    arguments = parser.parse_args()
    found = {title: measure() for title, measure in GROWTHS.items()}
    arguments.json.write_text(json.dumps(found, indent=1) + "\n")
    draw(found, [arguments.json.with_suffix(".png"), arguments.json.with_suffix(".svg")])
    for title, curves in found.items():
        for name, points in curves.items():
            print(f"{title}, {name}: {[(n, round(s * 1e6, 1)) for n, s in points]} exponent {find_slope(points):.2f}")


if __name__ == "__main__":
    main()
