"""Run other people's test suites without the guard, in explain and in permissive mode, and compare test by test.

    make conformance

The guard is switched on in two ways: by pytest's option, and by `safe-numpy run`. The suites come from their source
distributions, at pinned versions and digests, or are shipped in the installed packages. A test that ends otherwise
with the guard is run again, alone, three times on either side: what differs on one side alone is named as unsteady.

A suite that passes has few tensors to convert. Where conversions by hand are taken out of a package (`by_hand`), its
tests run with the guard are compared with those of the whole package without.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import time
import urllib.parse
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

from suites import SUITES, Suite

_HERE = Path(__file__).parent
_INDEX = os.environ.get("PIP_INDEX_URL", "https://pypi.org/simple").rstrip("/")
_INSTALLED = Path(sysconfig.get_path("purelib"))
_BARE = "-bare"
_STOCK = "off"
_MODES = ("explain", "permissive")
_SIDES = {
    _STOCK: (("pytest",), ("-p", "no:safe_numpy")),
    **{mode: (("pytest",), (f"--safe-numpy={mode}",)) for mode in _MODES},
    **{f"run {mode}": (("safe_numpy", "run", "--mode", mode, "-m", "pytest"), ()) for mode in _MODES},
}
"""the module that Python runs, and what pytest is told besides"""
_SECONDS = 1800
_CONFIGURED = (
    ("pyproject.toml", "[tool.pytest"),
    ("setup.cfg", "[tool:pytest]"),
    ("pytest.ini", ""),
    ("tox.ini", "[pytest]"),
)


def fetch(suite: Suite, folder: Path) -> Path:
    """Return the unpacked source distribution, or the folder of the installed packages."""
    if not suite.archive:
        if version(suite.project) != suite.pin:
            raise ValueError(f"{suite.project} {version(suite.project)} is installed, and not {suite.pin}")
        return _INSTALLED
    archive = folder / suite.archive
    if not archive.exists():
        page_url = f"{_INDEX}/{suite.project}/"
        with urllib.request.urlopen(page_url, timeout=60) as page:
            links = re.findall(r'href="([^"#]+)', page.read().decode())
        (link, *_) = [link for link in links if link.rsplit("/", 1)[-1] == suite.archive]
        with urllib.request.urlopen(urllib.parse.urljoin(page_url, link), timeout=180) as answer:
            data = answer.read()
        if hashlib.sha256(data).hexdigest() != suite.pin:
            raise ValueError(f"{suite.archive} is not the file whose digest is in suites.py")
        archive.write_bytes(data)
    root = folder / suite.archive.removesuffix(".tar.gz")
    if not root.exists():
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
        if not any(section in file.read_text() for name, section in _CONFIGURED if (file := root / name).exists()):
            (root / "pytest.ini").write_text("[pytest]\n")  # else pytest would find ours above
    if suite.conftest:
        shutil.copy(_HERE / "conftests" / f"{suite.project}.py", root / suite.conftest)
    return root


def _get_stem(suite: Suite) -> str:
    return re.sub("[^a-z0-9]+", "-", suite.name.lower())


def take_out(suite: Suite, root: Path) -> Path:
    """Return a copy of the unpacked archive, and in it a package without its conversions by hand."""
    bare = root.with_name(f"{root.name}{_BARE}")
    shutil.rmtree(bare, ignore_errors=True)
    shutil.copytree(root, bare)
    if not suite.path:  # the installed package is tested
        for package in {name.split("/")[0] for name, _, _ in suite.by_hand}:
            shutil.copytree(_INSTALLED / package, bare / package, dirs_exist_ok=True)
    for name, text, rest in suite.by_hand:
        file = bare / suite.path / name
        source = file.read_text()
        if text not in source:
            raise ValueError(f"{suite.name}: {name} does not have the text {text!r}")
        file.write_text(source.replace(text, rest))
    return bare


def run(
    suite: Suite, root: Path, folder: Path, side: str, tests: list[str] | None = None
) -> tuple[dict[str, str], int]:
    """Return how each test ended, and how many conversions permissive mode made."""
    out = folder / f"{_get_stem(suite)}.{root.name}.{side.replace(' ', '-')}.json"
    ledger = Path(f"{out}.ledger")
    shutil.rmtree(ledger, ignore_errors=True)
    ledger.mkdir()
    out.unlink(missing_ok=True)
    has_package = suite.path or root.name.endswith(_BARE)
    path = os.pathsep.join([*([str(root / suite.path)] if has_package else []), str(_HERE)])
    variables = {"OMP_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3", "MPLBACKEND": "agg", "PYTHONHASHSEED": "0"}
    module, options = _SIDES[side]
    with Path(f"{out}.log").open("w") as log:
        subprocess.run(
            [
                *(sys.executable, "-P", "-m", *module, "-q", "--tb=short", "--no-header"),
                *("-p", "outcomes", "-p", "no:cacheprovider", *options),
                *(() if suite.archive else ("-c", str(_HERE / "pytest.ini"), "--rootdir=.")),
                *(suite.arguments if tests is None else [*(a for a in suite.arguments if a.startswith("-")), *tests]),
            ],
            cwd=root,
            env={
                **os.environ, **variables, **suite.variables,
                "PYTHONPATH": path, "OUTCOMES": str(out), "SAFE_NUMPY_REPORT": f"{ledger}/",
            },
            stdout=log,
            stderr=subprocess.STDOUT,
            timeout=_SECONDS,
        )  # fmt: skip
    if not out.exists():
        raise RuntimeError(f"{suite.name} did not end, see {out}.log")
    found = json.loads(out.read_text())
    if found["mode"] != side.rpartition(" ")[2]:
        raise RuntimeError(f"{suite.name} was to run in mode {side}, and ran in {found['mode']}")
    # one file for each process
    return found["ended"], sum(json.loads(file.read_text())["totals"]["count"] for file in ledger.iterdir())


def compare(suite: Suite, root: Path, folder: Path) -> dict[str, Any]:
    """Return the counts, and the tests that end otherwise with the guard."""
    begun = time.perf_counter()
    bare = take_out(suite, root) if suite.by_hand else root
    # what explain mode leaves to fail where a conversion is taken out, shows nothing
    sides = [side for side in _SIDES if side != _STOCK and not (suite.by_hand and side.endswith("explain"))]
    jobs = [(root, _STOCK), *((bare, side) for side in sides), *([(bare, _STOCK)] if suite.by_hand else [])]
    with ThreadPoolExecutor(2) as pool:
        (plain, _), *guarded = pool.map(lambda job: run(suite, job[0], folder, job[1]), jobs)
    counts = Counter(ended.split()[0].rstrip(",") for ended in plain.values())
    result: dict[str, Any] = {
        "suite": suite.name,
        "date": datetime.date.today().isoformat(),
        "tests": len(plain),
        "outcomes": dict(counts),
        "sides": {},
    }
    if suite.by_hand:
        ended, _ = guarded.pop()
        result["fail_bare"] = sum(plain[name] != ended.get(name) for name in plain)
    for side, (ended, conversions) in zip(sides, guarded, strict=True):
        names = sorted(n for n in plain.keys() | ended.keys() if plain.get(n) != ended.get(n))
        differ = {name: [plain.get(name), ended.get(name)] for name in names}
        unsteady = _find_unsteady(suite, names, (root, bare), folder, side) if 0 < len(names) <= 200 else []
        for name in unsteady:
            del differ[name]
        result["sides"][side] = {"unsteady": unsteady, "differ": differ, "conversions": conversions}
    result["seconds"] = round(time.perf_counter() - begun)
    return result


def _find_unsteady(suite: Suite, names: list[str], roots: tuple[Path, Path], folder: Path, side: str) -> list[str]:
    """Run the tests three times on either side, and return those that ended alike at least once."""
    again = [
        [run(suite, root, folder, s, names)[0] for root, s in zip(roots, (_STOCK, side), strict=True)] for _ in range(3)
    ]
    stock, ours = (
        [{name: ended.get(name) for name in names} for ended in column] for column in zip(*again, strict=True)
    )
    return [name for name in names if ({e[name] for e in stock} & {e[name] for e in ours}) - {None}]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("only", nargs="*", help="parts of suites' names; without any, all are run")
    parser.add_argument("--json", type=Path, required=True, help="add the results to this file")
    parser.add_argument("--folder", type=Path, default=Path("build/conformance"), help="for what is unpacked")
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    known = json.loads(arguments.json.read_text()) if arguments.json.exists() else []
    found = {r["suite"]: r for r in known}
    for suite in SUITES:
        if arguments.only and not any(word.lower() in suite.name.lower() for word in arguments.only):
            continue
        result = compare(suite, fetch(suite, folder), folder)
        found[suite.name] = result
        ordered = [found[s.name] for s in SUITES if s.name in found]
        arguments.json.write_text(json.dumps(ordered, indent=1) + "\n")
        sides = ", ".join(
            f"{k}: {len(v['differ'])} differ, {len(v['unsteady'])} unsteady, {v['conversions']} converted"
            for k, v in result["sides"].items()
        )
        print(f"{suite.name}: {result['tests']} tests {result['outcomes']}, {sides}, {result['seconds']} s", flush=True)


if __name__ == "__main__":
    main()
