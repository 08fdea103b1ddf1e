"""``make field``: judge the whole corpus and its mutants; the figures go to a JSON file."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["MPLBACKEND"] = "Agg"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ.pop("SAFE_NUMPY", None)
HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "examples"), str(HERE.parents[1])]

from judge import Program, Verdict, is_tensorflows, judge, load_programs, try_mutants  # noqa: E402
from mutate import Mutant, mutate  # noqa: E402
from runner import import_frameworks  # noqa: E402

COMMON = ("numpy", "matplotlib.pyplot", "pandas", "scipy.optimize", "sklearn.metrics", "cv2", "executing", "optree")
IMPORTED = {
    "torch": ("torch", "torch._dynamo", "seaborn", "scipy.stats", *COMMON),  # an optimizer would import _dynamo
    "tensorflow": ("tensorflow", "scipy.ndimage", *COMMON),
}
"""what most programs import, which is done once"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python tests/field")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--framework", choices=("torch", "tensorflow"), help="both, one after the other, if not given")
    parser.add_argument("--only", default="", help="programs whose names contain this")
    parser.add_argument("--every", type=int, default=1, help="of the programs, each nth")
    parser.add_argument("--mutants", type=int, default=0, help="so many a program; 0: none, -1: all")
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    figures = {name: run_apart(name, options) for name in IMPORTED if options.framework in (name, None)}
    if options.framework is not None:
        figures = figures[options.framework]
    if options.json is not None:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


def run_apart(framework: str, options: argparse.Namespace) -> Any:
    """Judge the programs of one framework, in a process that has imported no other."""
    if options.framework is not None:
        return examine(framework, options)
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        arguments = ["--framework", framework, "--json", file.name, "--only", options.only]
        arguments += [
            "--every",
            str(options.every),
            "--mutants",
            str(options.mutants),
            *(["--verbose"] if options.verbose else []),
        ]
        subprocess.run([sys.executable, str(HERE), *arguments], check=True)
        return json.loads(Path(file.name).read_text())


def examine(framework: str, options: argparse.Namespace) -> Any:
    programs = [p for p in load_programs() if options.only in p.slug]
    programs = [p for p in programs if is_tensorflows(p) is (framework == "tensorflow")][:: options.every]
    list(import_frameworks(IMPORTED[framework]))
    verdicts = judge(programs)
    for program, verdict in zip(programs, verdicts, strict=True):
        show(program, verdict, options.verbose)
    pairs = list(zip(programs, verdicts, strict=True))
    figures = {
        "guarded": summarize([(p, v) for p, v in pairs if p.is_guarded]),
        "unguarded": summarize([(p, v) for p, v in pairs if not p.is_guarded]),
    }
    if options.mutants:
        figures["mutants"] = examine_mutants(pairs, options)
    sys.stdout.write(json.dumps(figures, indent=1) + "\n")
    return figures


def examine_mutants(pairs: Sequence[tuple[Program, Verdict]], options: argparse.Namespace) -> dict[str, Any]:
    mutants: list[tuple[Mutant, str]] = []
    for program, verdict in pairs:
        if program.is_guarded and program.repair == "line" and verdict.is_right:
            of_this = list(mutate(program, verdict.stock.lineno))
            step = 1 if options.mutants < 0 else max(1, len(of_this) // options.mutants)
            mutants += [(mutant, verdict.truth) for mutant in of_this[::step]]
    verdicts = try_mutants([m.program for m, _ in mutants], [m.text for m, _ in mutants], [t for _, t in mutants])
    valid = [(m, v) for (m, _), v in zip(mutants, verdicts, strict=True) if v.explained.is_guarded]
    printed = [(m, v) for m, v in valid if v.is_printed]
    wrong = Counter(m.kind for m, v in printed if not v.is_right)
    if options.verbose:
        for mutant, verdict in printed:
            if not verdict.is_right:
                print(f"--- {mutant.program.slug}: {mutant.kind}: {verdict.explained.text}")
                print(f"    then {verdict.last.error[:200]!r} line {verdict.last.lineno} {verdict.last.output[:100]!r}")
        for mutant, verdict in valid:
            if not verdict.is_printed:
                print(f"--- {mutant.program.slug}: {mutant.kind}: nothing printed: {verdict.explained.text}")
    return {
        "made": len(mutants),
        "fail": len(valid),
        "printed": len(printed),
        "right": sum(v.is_right for _, v in printed),
        "same_line_again": sum(v.is_same_line_again for _, v in printed),
        "wrong_kinds": dict(wrong.most_common()),
        "silent_kinds": dict(Counter(m.kind for m, v in valid if not v.is_printed).most_common()),
    }


def show(program: Program, verdict: Verdict, is_verbose: bool) -> None:
    stock, about = verdict.stock, verdict.explained
    marks = "".join(
        mark if is_right else "-"
        for mark, is_right in (
            ("E", bool(about.headline)),
            ("L", verdict.is_line_right),
            ("C", verdict.is_cause_right),
            ("N", verdict.is_name_right),
            ("P", verdict.is_printed),
            ("R", verdict.is_right),
            ("A", verdict.is_advised),
        )
    )
    print(f"{marks} {verdict.permissive:8} {program.repair:9} {program.slug}  [{' '.join(sorted(program.causes))}]")
    is_fine = verdict.is_right and verdict.is_line_right and verdict.is_cause_right and verdict.permissive != "wrong"
    if is_verbose and not is_fine:
        line = program.text.splitlines()[stock.lineno - 1].strip() if stock.lineno else ""
        print(f"      stock {stock.error[:150]!r} line {stock.lineno}: {line}")
        print(f"      names {program.names}; found {about.name!r}, kinds {about.kinds}")
        print("      | " + about.text.replace("\n", "\n      | "))
        if verdict.is_printed and not verdict.is_right:
            last = verdict.last
            print(f"      then: {last.error[:200]!r} line {last.lineno}; output {last.output[:200]!r}")


def summarize(pairs: Sequence[tuple[Program, Verdict]]) -> dict[str, Any]:
    printed = [v for _, v in pairs if v.is_printed]
    return {
        "programs": len(pairs),
        "explained": sum(bool(v.explained.headline) for _, v in pairs),
        "line_and_cause": sum(v.is_line_right and v.is_cause_right for _, v in pairs),
        "named": sum(v.is_name_right for _, v in pairs),
        "printed": len(printed),
        "right": sum(v.is_right for v in printed),
        "repairable": sum(p.repair != "none" for p, _ in pairs),
        "repairable_printed": sum(p.repair != "none" and v.is_printed for p, v in pairs),
        "advised": sum(v.is_advised for _, v in pairs),
        "same_line_again": sum(v.is_same_line_again for v in printed),
        "permissive": dict(Counter(v.permissive for _, v in pairs)),
        "wrong": [p.slug for p, v in pairs if v.is_printed and not v.is_right],
        "not_printed": [p.slug for p, v in pairs if not v.is_printed],
        "not_advised": [p.slug for p, v in pairs if not v.is_advised],
    }


if __name__ == "__main__":
    main()
