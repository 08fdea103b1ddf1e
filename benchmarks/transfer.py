"""Time the way from a device to NumPy, from 1 KiB to 8 GiB: permissive mode, ``.cpu()``, and a pinned staging buffer.

    .venv-bench/bin/python benchmarks/transfer.py --json docs/evidence/transfer.json

Needs a CUDA device; ``--device toy`` runs it on the device of the tests, to see that it runs. All ways take turns;
figures are medians. The bus limit is what a copy into pinned memory of the tensor's own size reaches. Staging is worth
having from the size on at which it is 1.5 times as fast as ``.cpu()``: see `find_gain`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import safe_numpy

ROOT = Path(__file__).parent.parent
SIZES = [1 << n for n in range(10, 34)]  # bytes
STAGE = 32 << 20  # bytes of pinned memory, however large the tensor


def copy_staged(x: torch.Tensor) -> Any:
    """Copy through two halves of a pinned buffer: one is filled by the device while the other is emptied."""
    host = torch.empty(x.shape, dtype=x.dtype)
    source, target = x.view(-1), host.view(-1)
    step = max(1, STAGE // 2 // x.element_size())
    halves = [torch.empty(step, dtype=x.dtype, pin_memory=True) for _ in range(2)]
    filled = [torch.cuda.Event() for _ in range(2)]
    starts = range(0, x.numel(), step)
    for i, start in enumerate(starts):
        part = source[start : start + step]
        halves[i % 2][: part.numel()].copy_(part, non_blocking=True)
        filled[i % 2].record()
        if i:
            _empty(target, halves, filled, i - 1, step)
    _empty(target, halves, filled, len(starts) - 1, step)
    return host.numpy()


def _empty(target: torch.Tensor, halves: list[torch.Tensor], filled: list[torch.cuda.Event], i: int, step: int) -> None:
    filled[i % 2].synchronize()
    part = target[i * step : (i + 1) * step]
    part.copy_(halves[i % 2][: part.numel()])


def measure(device: str, sizes: list[int]) -> list[dict[str, Any]]:
    is_cuda = device.startswith("cuda")
    rows = []
    for nbytes in sizes:
        x = torch.ones(nbytes // 4, device="cpu").to(device)
        ways: dict[str, Callable[[], Any]] = {
            "permissive": lambda x=x: x.numpy(),  # type: ignore[misc]
            ".cpu()": lambda x=x: x.cpu().numpy(),  # type: ignore[misc]
        }
        if is_cuda:
            pinned = torch.empty(nbytes // 4, pin_memory=True) if nbytes <= 1 << 31 else None
            ways["staged"] = lambda x=x: copy_staged(x)  # type: ignore[misc]
            if pinned is not None:
                ways["bus"] = lambda x=x, pinned=pinned: pinned.copy_(x)  # type: ignore[misc]
        times: dict[str, list[float]] = {name: [] for name in ways}
        with warnings.catch_warnings(), safe_numpy.mode("permissive"):
            warnings.simplefilter("ignore", safe_numpy.ConversionWarning)
            for _ in range(3 if nbytes >= 1 << 30 else 21):
                for name, way in ways.items():
                    if is_cuda:
                        torch.cuda.synchronize()
                    start = time.perf_counter()
                    way()
                    times[name].append(time.perf_counter() - start)
        rows.append({"bytes": nbytes, **{name: statistics.median(found[1:]) for name, found in times.items()}})
        print(rows[-1], flush=True)
    return rows


def find_gain(rows: list[dict[str, Any]]) -> int | None:
    """Return the bytes from which on staging is at least 1.5 times as fast as ``.cpu()``; None: from none."""
    wins = [r["bytes"] for r in rows if "staged" in r and r[".cpu()"] >= 1.5 * r["staged"]]
    largest = max((r["bytes"] for r in rows), default=0)
    return min(wins) if wins and largest in wins else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--most", type=int, default=SIZES[-1], help="bytes of the largest tensor")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    if arguments.device == "toy":
        sys.path.append(str(ROOT / "examples"))
        import toy_device  # noqa: F401 - registers the device
    elif not torch.cuda.is_available():
        parser.error("there is no CUDA device here; --device toy runs on the tests' device")
    rows = measure(arguments.device, [n for n in SIZES if n <= arguments.most])
    found = {"device": arguments.device, "rows": rows, "staging wins from": find_gain(rows)}
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
