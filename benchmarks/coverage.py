"""How much each way to an array covers: every case of the tests' zoo, by every peer.

    make bench

A case is *right* if the values and the shape are the expected ones, a mask still there, or if it is refused where there
are no values; *refused* if an error comes though there are values; *wrong* if something else comes, without an error.
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path += [str(ROOT / "tests"), str(ROOT / "examples")]

import numpy as np
import peers
import zoo

import safe_numpy


def judge(got: Any, expected: Any) -> str:
    if expected is None:
        return "wrong"  # there are no values: whatever this is, it is made up
    return "right" if is_same(got, expected) else "wrong"


def is_same(got: Any, expected: Any) -> bool:
    got = np.asanyarray(got) if not isinstance(got, np.ndarray) else got
    if isinstance(expected, np.ma.MaskedArray):
        return (
            isinstance(got, np.ma.MaskedArray) and got.shape == expected.shape and bool(np.ma.allequal(got, expected))
        )
    if got.shape != expected.shape:
        return False
    if expected.dtype == object:
        return got.dtype == object and all(is_same(a, b) for a, b in zip(got, expected, strict=True))
    if got.dtype == object:
        return False
    try:
        return bool(np.array_equal(got.astype(expected.dtype), expected))
    except (TypeError, ValueError):
        return False


def try_all(convert: Callable[[Any], Any], cases: Sequence[Any], expects: Callable[[Any], Any]) -> dict[str, Any]:
    """Return the counts for one way to an array, and what was wrong."""
    counts: dict[str, Any] = {"right": 0, "refused": 0, "wrong": 0, "which": []}
    for case in cases:
        expected = expects(case)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                verdict = judge(case.visit(convert), expected)
            except Exception:
                verdict = "right" if expected is None else "refused"
        counts[verdict] += 1
        if verdict == "wrong":
            counts["which"].append(case.name)
    return counts


def measure_torch() -> dict[str, Any]:
    cases = [*zoo.CONVERTIBLE, *zoo.REFUSED, *zoo.FINE]
    rows = {}
    safe_numpy.uninstall()
    for name, convert in {**peers.STOCK, **peers.HELPERS}.items():
        rows[name] = try_all(convert, cases, lambda c: c.expected)
    safe_numpy.install()
    with safe_numpy.mode("permissive"):
        for name, convert in {**peers.STOCK, **peers.HELPERS}.items():
            rows[f"{name}, permissive"] = try_all(convert, cases, lambda c: c.expected)
    rows["safe_numpy.to_numpy(x)"] = try_all(safe_numpy.to_numpy, cases, lambda c: c.expected)
    with safe_numpy.mode("strict"):
        rows["x.numpy(), strict"] = try_all(peers.STOCK["x.numpy()"], cases, lambda c: c.expected)
    return {"cases": len(cases), "without_values": sum(c.expected is None for c in cases), "rows": rows}


def measure_tensorflow() -> dict[str, Any]:
    """TensorFlow's values; Keras and einops know them too."""
    import os

    os.environ["AUTOGRAPH_VERBOSITY"] = "0"
    import einops
    import zoo_tensorflow as tensorflow_zoo

    cases = [*tensorflow_zoo.SYMBOLIC, *tensorflow_zoo.HANDLES, *tensorflow_zoo.COMPOSITES, *tensorflow_zoo.FINE]

    def expect(case: Any) -> Any:
        return zoo.rows(np.array([1], np.int32), np.array([2, 3], np.int32)) if case.name == "ragged" else case.expected

    ways: dict[str, Callable[[Any], Any]] = {
        "x.numpy()": lambda x: x.numpy(),
        "np.asarray(x)": np.asarray,
        "einops asnumpy": einops.asnumpy,
        "keras convert_to_numpy": tensorflow_zoo.keras.ops.convert_to_numpy,
    }
    rows = {}
    safe_numpy.uninstall()
    for name, convert in ways.items():
        rows[name] = try_all(convert, cases, expect)
    safe_numpy.install()
    with safe_numpy.mode("permissive"):
        for name, convert in ways.items():
            rows[f"{name}, permissive"] = try_all(convert, cases, expect)
    rows["safe_numpy.to_numpy(x)"] = try_all(safe_numpy.to_numpy, cases, expect)
    return {"cases": len(cases), "without_values": sum(expect(c) is None for c in cases), "rows": rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--framework", choices=("torch", "tensorflow"))
    arguments = parser.parse_args()
    if arguments.framework is None:  # Keras has one backend a process
        import os
        import subprocess

        found = {}
        for name in ("torch", "tensorflow"):
            done = subprocess.run(
                [sys.executable, __file__, "--framework", name],
                env={**os.environ, "KERAS_BACKEND": name},
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
            found[name] = json.loads(done.stdout.splitlines()[-1])
        found["versions"] = peers.list_versions()
        if arguments.json:
            arguments.json.write_text(json.dumps(found, indent=1) + "\n")
        show(found)
    else:
        print(json.dumps(measure_torch() if arguments.framework == "torch" else measure_tensorflow()))


def show(found: dict[str, Any]) -> None:
    for framework in ("torch", "tensorflow"):
        print(f"{framework}: {found[framework]['cases']} cases")
        for name, r in found[framework]["rows"].items():
            print(f"  {name:50}{r['right']:6}{r['refused']:6}{r['wrong']:6}  {', '.join(r['which'])[:80]}")


if __name__ == "__main__":
    main()
