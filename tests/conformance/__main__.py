"""Run other people's test suites without the guard, in explain and in permissive mode, and compare test by test.

    make conformance

The suites come from their source distributions, at pinned versions and digests. A test that ends otherwise with the
guard is run again, alone, three times on either side: what differs on one side alone is named as unsteady.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
import urllib.parse
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

from suites import SUITES, Suite

_HERE = Path(__file__).parent
_INDEX = os.environ.get("PIP_INDEX_URL", "https://pypi.org/simple").rstrip("/")
_SIDES = {"off": (), "explain": ("--safe-numpy=explain",), "permissive": ("--safe-numpy=permissive",)}
_SECONDS = 1800
_CONFIGURED = (
    ("pyproject.toml", "[tool.pytest"),
    ("setup.cfg", "[tool:pytest]"),
    ("pytest.ini", ""),
    ("tox.ini", "[pytest]"),
)


def fetch(suite: Suite, folder: Path) -> Path:
    """Return the unpacked source distribution."""
    archive = folder / suite.archive
    if not archive.exists():
        page_url = f"{_INDEX}/{suite.project}/"
        with urllib.request.urlopen(page_url, timeout=60) as page:
            links = re.findall(r'href="([^"#]+)', page.read().decode())
        (link, *_) = [link for link in links if link.rsplit("/", 1)[-1] == suite.archive]
        with urllib.request.urlopen(urllib.parse.urljoin(page_url, link), timeout=180) as answer:
            data = answer.read()
        if hashlib.sha256(data).hexdigest() != suite.sha256:
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


def run(suite: Suite, root: Path, side: str, tests: list[str] | None = None) -> dict[str, str]:
    """Return how each test ended."""
    out = root.parent / f"{_get_stem(suite)}.{side}.json"
    ledger = Path(f"{out}.ledger.json")
    for file in (out, ledger):
        file.unlink(missing_ok=True)
    path = os.pathsep.join([*([str(root / suite.path)] if suite.path else []), str(_HERE)])
    variables = {"OMP_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3", "MPLBACKEND": "agg", "PYTHONHASHSEED": "0"}
    with Path(f"{out}.log").open("w") as log:
        subprocess.run(
            [
                *(sys.executable, "-P", "-m", "pytest", "-q", "--tb=short", "--no-header"),
                *("-p", "outcomes", "-p", "no:cacheprovider"),
                *(suite.arguments if tests is None else [*(a for a in suite.arguments if a.startswith("-")), *tests]),
                *_SIDES[side],
            ],
            cwd=root,
            env={
                **os.environ, **variables, **suite.variables,
                "PYTHONPATH": path, "OUTCOMES": str(out), "SAFE_NUMPY_REPORT": str(ledger),
            },
            stdout=log,
            stderr=subprocess.STDOUT,
            timeout=_SECONDS,
        )  # fmt: skip
    if not out.exists():
        raise RuntimeError(f"{suite.name} did not end, see {out}.log")
    found = json.loads(out.read_text())
    if found["mode"] != side:
        raise RuntimeError(f"{suite.name} was to run in mode {side}, and ran in {found['mode']}")
    return found["ended"]


def compare(suite: Suite, root: Path) -> dict[str, Any]:
    """Return the counts, and the tests that end otherwise with the guard."""
    begun = time.perf_counter()
    plain = run(suite, root, "off")
    counts = Counter(ended.split()[0].rstrip(",") for ended in plain.values())
    result: dict[str, Any] = {"suite": suite.name, "tests": len(plain), "outcomes": dict(counts), "sides": {}}
    for side in ("explain", "permissive"):
        guarded = run(suite, root, side)
        ledger = next(root.parent.glob(f"{_get_stem(suite)}.{side}.json.ledger.json"), None)
        conversions = 0 if ledger is None else json.loads(ledger.read_text())["totals"]["count"]
        names = sorted(n for n in plain.keys() | guarded.keys() if plain.get(n) != guarded.get(n))
        unsteady, differ = [], {}
        if 0 < len(names) <= 200:
            again = [(run(suite, root, "off", names), run(suite, root, side, names)) for _ in range(3)]
            for name in names:
                stock, ours = ({pair[k].get(name) for pair in again} for k in (0, 1))
                if (stock & ours) - {None}:
                    unsteady.append(name)
                else:
                    differ[name] = [plain.get(name), guarded.get(name)]
        else:
            differ = {name: [plain.get(name), guarded.get(name)] for name in names}
        result["sides"][side] = {"unsteady": unsteady, "differ": differ, "conversions": conversions}
    result["seconds"] = round(time.perf_counter() - begun)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("only", nargs="*", help="parts of suites' names; without any, all are run")
    parser.add_argument("--json", type=Path, required=True, help="add the results to this file")
    parser.add_argument("--folder", type=Path, default=Path("build/conformance"), help="for what is unpacked")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    known = json.loads(arguments.json.read_text()) if arguments.json.exists() else []
    found = {r["suite"]: r for r in known}
    for suite in SUITES:
        if arguments.only and not any(word.lower() in suite.name.lower() for word in arguments.only):
            continue
        result = compare(suite, fetch(suite, arguments.folder.resolve()))
        found[suite.name] = result
        ordered = [found[s.name] for s in SUITES if s.name in found]
        arguments.json.write_text(json.dumps(ordered, indent=1) + "\n")
        sides = ", ".join(
            f"{k}: {len(v['differ'])} differ, {len(v['unsteady'])} unsteady" for k, v in result["sides"].items()
        )
        print(f"{suite.name}: {result['tests']} tests {result['outcomes']}, {sides}, {result['seconds']} s", flush=True)


if __name__ == "__main__":
    main()
