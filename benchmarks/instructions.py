"""Count the instructions of one plain ``x.numpy()``: stock, in a function that does nothing else, and guarded.

    .venv-bench/bin/python benchmarks/instructions.py --json docs/evidence/instructions.json

Runs each in a new interpreter under ``valgrind --tool=callgrind``, with few and with many calls: the difference is that
of the calls alone.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from pathlib import Path

_PROGRAM = """
import gc, sys
import torch
side, number = sys.argv[1], int(sys.argv[2])
stock = torch._C.TensorBase.numpy
if side == "guarded":
    import safe_numpy
if side == "bare function":
    def numpy(self):
        return stock(self)
    torch.Tensor.numpy = numpy
x = torch.ones(8)
gc.disable()
def run(number):
    for _ in range(number):
        x.numpy()
run(number)
"""
_FEW, _MANY = 1_000, 31_000


def count(side: str, number: int) -> int:
    """Return the instructions of a whole process that makes so many calls."""
    command = ["setarch", "-R", "valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
    done = subprocess.run(
        [*command, sys.executable, "-c", _PROGRAM, side, str(number)],
        env={**os.environ, "PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
        check=True,
    )
    found = re.search(r"Collected : (\d+)", done.stderr)
    if found is None:
        raise ValueError(f"valgrind said nothing of what it collected: {done.stderr[-500:]}")
    return int(found[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    found = {}
    for side in ("stock", "stock, again", "bare function", "guarded"):
        found[side] = round((count(side, _MANY) - count(side, _FEW)) / (_MANY - _FEW))
        print(f"{side}: {found[side]:,} instructions a call", flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
