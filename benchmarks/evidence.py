"""Write docs/evidence.md, and the tables of the README, from the figures in docs/evidence.

make evidence
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
FIGURES = ROOT / "docs" / "evidence"

Row = Sequence[object]


def load(name: str) -> Any:
    """Return the figures of one target; None where it was not run."""
    file = FIGURES / f"{name}.json"
    return json.loads(file.read_text()) if file.exists() else None


def make_table(head: Row, rows: Iterable[Row]) -> str:
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def put_time(nanoseconds: float) -> str:
    for unit, size in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if nanoseconds >= size:
            value = nanoseconds / size
            return f"{value:.0f} {unit}" if value >= 100 else f"{value:.3g} {unit}"
    return f"{nanoseconds:.0f} ns"


def put_limit(row: dict[str, Any]) -> str:
    if row.get("limit"):
        return f"{row['limit']:.2f}"
    return put_time(row["limit_ns"]) if row.get("limit_ns") else ""


def put_bytes(count: int) -> str:
    return f"{count / 2**20:.0f} MiB"


def code(name: str) -> str:
    """Put what is code in a row's name between backticks."""
    return re.sub(r"(x\.[\w.()=]+|np\.\w+\([\w.()]*\)|EagerTensor\.numpy\(\)|safe_numpy\.to_numpy\(x\))", r"`\1`", name)


def write_guard(found: dict[str, Any]) -> str:
    rows = [
        (code(r["row"]), put_time(r["ours_ns"]), put_time(r["stock_ns"]), f"{r['ratio']:.2f}", put_limit(r))
        for r in found["guard"]
    ]
    looked = [(r["row"], put_time(r["ours_ns"]), put_limit(r)) for r in found["lookup"]]
    return (
        make_table(("", "with the guard", "without", "ratio", "limit"), rows)
        + "\n\n"
        + make_table(("", "time", "limit"), looked)
    )


def write_peers(found: dict[str, Any]) -> str:
    rows = sorted(found["peers"], key=lambda r: r["ours_ns"])
    return make_table(
        ("8 elements that require grad", "time", "against the chain by hand"),
        [(code(r["row"]), put_time(r["ours_ns"]), f"{r['ratio']:.2f}") for r in rows],
    )


def write_sizes(found: dict[str, Any]) -> str:
    rows = []
    for r in [*found["sizes"], *found["trees"]]:
        peaks = (put_bytes(r["ours_peak"]), put_bytes(r["stock_peak"])) if "ours_peak" in r else ("", "")
        rows.append((r["row"], put_time(r["ours_ns"]), put_time(r["stock_ns"]), f"{r['ratio']:.2f}", *peaks))
    return make_table(("", "permissive", "by hand", "ratio", "peak memory", "by hand"), rows)


def write_causes(found: dict[str, Any]) -> str:
    return make_table(
        ("kinds of problem", "thrown away", "stock", "ratio", "read"),
        [
            (r["row"], put_time(r["ours_ns"]), put_time(r["stock_ns"]), f"{r['ratio']:.1f}", put_time(r["read_ns"]))
            for r in found["causes"]
        ],
    )


def write_reading(found: dict[str, Any]) -> str:
    return make_table(("", "time"), [(r["row"], put_time(r["ours_ns"])) for r in found["reading"]])


def write_coverage(found: dict[str, Any]) -> str:
    parts = []
    for framework, title in (("torch", "PyTorch"), ("tensorflow", "TensorFlow and Keras")):
        table = found[framework]
        rows = sorted(table["rows"].items(), key=lambda item: (item[1]["wrong"] > 0, -item[1]["right"]))
        parts.append(
            make_table(
                (
                    f"{title}: {table['cases']} cases, {table['without_values']} of them without values",
                    "right",
                    "refused",
                    "silently wrong",
                    "which",
                ),
                [(code(n), r["right"], r["refused"], r["wrong"], "; ".join(r["which"])) for n, r in rows],
            )
        )
    return "\n\n".join(parts)


PERMISSIVE = {"permissive": "permissive", "run permissive": "permissive, `run`"}
SIDES = {"explain": "explain", "run explain": "explain, `run`", **PERMISSIVE}
"""the ways to switch the guard on in `make conformance`, and what they are called"""


def count_differences(result: dict[str, Any], sides: Iterable[str]) -> list[str]:
    cells = []
    for side in (result["sides"].get(name) for name in sides):
        unsteady = f" ({len(side['unsteady'])} unsteady)" if side and side["unsteady"] else ""
        cells.append(f"{len(side['differ'])}{unsteady}" if side else "")
    return cells


def write_conformance(found: list[dict[str, Any]]) -> str:
    whole, bare = [], []
    for r in found:
        outcomes = ", ".join(f"{n} {what}" for what, n in sorted(r["outcomes"].items(), key=lambda kv: -kv[1]))
        converted = f"{r['sides']['permissive']['conversions']:,}"
        if "fail_bare" in r:
            cells = [r["tests"], outcomes, r["fail_bare"], converted, *count_differences(r, PERMISSIVE)]
            bare.append((r["suite"], *cells, r["date"]))
        else:
            whole.append((r["suite"], r["tests"], outcomes, *count_differences(r, SIDES), converted, r["date"]))
    named = [
        f"- {r['suite']}, {SIDES[side]}: `{name}`: {before} without, {after} with the guard"
        for r in found
        for side, ended in r["sides"].items()
        for name, (before, after) in ended["differ"].items()
    ]
    heads = ("suite", "tests", "without the guard")
    differences = "\n".join(named) or "No test ends otherwise with the guard than without it."
    return f"""\
{make_table((*heads, *SIDES.values(), "converted", "run on"), whole)}

Suites that pass have few tensors to convert. In those of the next table a package's own `.detach()` was taken out of it
where it makes arrays: its tests with the guard in permissive mode are held against those of the whole package without.

{make_table((*heads, "fail if taken out", "converted", *PERMISSIVE.values(), "run on"), bare)}

{differences}"""


def write_stress(found: dict[str, Any]) -> str:
    rows = [
        (name.replace("_", " "), ", ".join(f"{what}: {n:,}" for what, n in counts.items()))
        for name, counts in found.items()
    ]
    return make_table(("scenario", "tried"), rows).replace("---:", "---")


def write_counts(found: dict[str, Any]) -> str:
    return ", ".join(f"{what}: {n:,}" for what, n in found.items())


ATTACKS = {
    "patch_orders": "orders of wrapping and unwrapping a method, by us and three others: steps",
    "forged": "forged ledgers, given to the commands",
    "hostile": "hostile objects, files and names",
    "huge": "sources of megabytes",
    "late": "conversions when modules have lost their globals",
}
"""files whose attacks are told together"""


def write_attacks(found: dict[str, dict[str, dict[str, int]]], fuzz: dict[str, Any]) -> str:
    """Return a row for each attack of the files that are about nothing else, and one for each other file."""
    rows: list[Row] = []
    for file, attacks in found.items():
        figures = [(name.replace("_", " "), n["tried"], n["wrong"]) for name, n in attacks.items()]
        if file in ATTACKS:
            figures = [(ATTACKS[file], sum(tried for _, tried, _ in figures), sum(wrong for *_, wrong in figures))]
        rows += [(name, f"{tried:,}", wrong) for name, tried, wrong in figures]
    rows.append(("ledgers and baselines, by the fuzzer", f"{fuzz['inputs']:,}", 0))
    return make_table(("attack", "tried", "wrong"), rows)


FIELD = (
    ("programs", "programs"),
    ("explained", "explained"),
    ("line_and_cause", "at the right line, with every cause"),
    ("repairable", "that one correction repairs"),
    ("repairable_printed", "of these, with a printed fix"),
    ("printed", "printed fixes"),
    ("right", "of these, right"),
    ("same_line_again", "of these, that fail at the same line again"),
    ("advised", "programs whose advice leads to the truth"),
)
"""the figures of `make field`, and what they are called"""


def write_field(found: dict[str, Any]) -> str:
    groups = {
        "PyTorch, guarded": found["torch"]["guarded"],
        "PyTorch, `why`": found["torch"]["unguarded"],
        "TensorFlow, guarded": found["tensorflow"]["guarded"],
        "TensorFlow, `why`": found["tensorflow"]["unguarded"],
    }
    rows = [(label, *(group[key] for group in groups.values())) for key, label in FIELD]
    ways = ("truth", "refused", "warned", "wrong")
    rows += [(f"permissive: {way}", *(g["permissive"].get(way, 0) for g in groups.values())) for way in ways]
    wrong = ", ".join(f"`{slug}`" for group in groups.values() for slug in group["wrong"]) or "none"
    mutants = [part["mutants"] for part in found.values()]
    made, fail, printed, right, again = (
        sum(m[key] for m in mutants) for key in ("made", "fail", "printed", "right", "same_line_again")
    )
    return f"""{make_table(("", *groups), rows)}

Printed and not right: {wrong}.

Mutants of the guarded ones: {made:,} made, {fail:,} of which fail as their program does. {printed:,} of these have a
printed fix ({100 * printed / fail:.1f} %), and {right:,} of these are right ({100 * right / printed:.1f} %); {again}
fail at the same line again."""


def write_runs(found: list[dict[str, Any]]) -> str:
    packages = list(dict.fromkeys(name for run in found for name in run["versions"]))
    outcomes = ("files", "passed", "failed", "skipped")
    return make_table(
        (*packages, *outcomes),
        [(*(r["versions"].get(p, "") for p in packages), *(f"{r[o]:,}" for o in outcomes)) for r in found],
    )


def write_page() -> str:
    bench, coverage, conformance = load("bench"), load("coverage"), load("conformance")
    field = load("field")
    attacks, ledgers, runs = load("attacks"), load("fuzz_ledgers"), load("runs")
    stress, product, fuzz, instructions = load("stress"), load("product"), load("fuzz"), load("instructions")
    versions = ", ".join(f"{name} {version}" for name, version in bench["versions"].items())
    return f"""\
# Evidence

Generated by `make evidence` from the figures in [docs/evidence](evidence); do not edit. Each part names the command
that made its figures, on {bench["machine"]}, Linux, no GPU.

{versions}.

## What the guard costs

`make bench` (benchmarks/bench.py). Both sides take turns in one process; figures are medians of
{bench["rounds"]} rounds, ratios the medians of the rounds' ratios. The first row is the harness against itself: what a
ratio of 1 looks like here.

{write_guard(bench)}

More than half of what the guard costs is that it is a function in Python: see the row of a function that does nothing
else. The rest is one look at two arguments; what is there for errors costs nothing until one comes. While anybody is in
permissive mode `numpy()` looks at the gradient before it asks stock, whose error costs ten times the look; a dtype that
NumPy lacks is met by that error, since a look at the dtype too would cost calls that work another tenth. By hand is
meant in the same program, guard and all.

Instructions a call, by `valgrind` (benchmarks/instructions.py): {write_counts(instructions)}.

## All that convert a tensor with a gradient

`make bench`. For 8 elements permissive mode is slower than most helpers: it counts every conversion at its line, which
takes some 2 µs whatever the size. Where 64 MiB or more are copied there is no difference.

{write_peers(bench)}

{write_sizes(bench)}

## Every kind of problem

`make bench`, the cases of tests/zoo.py: `x.numpy()` in a `try`, the error thrown away; and read.

{write_causes(bench)}

What it takes to explain or to show a tensor in words:

{write_reading(bench)}

## Coverage

`make bench` (benchmarks/coverage.py): each way to an array on every case of the tests' zoo. Right is what gives the
expected values, or refuses where there are none. Rows that say permissive or strict have the guard, in that mode; so
has `to_numpy`. The others are without it.

{write_coverage(coverage)}

## Growth

`make bench` (benchmarks/growth.py). Logarithmic axes; the exponent is that of the last power of ten.

![Cost against the length of the graph, the file, a nesting and the ledger](evidence/growth.svg)

## Programs that no one here wrote

`make field` (tests/field): programs written in our own words after public reports, whose addresses stand in their first
lines, each with a repaired one beside it whose output is the truth. A judge runs the stock program, reads what is said
of its error, puts the printed fix in and compares. A fix is right if the program then ends, and prints the truth; where
another line fails next, its fix is put in as well. Where words are all that is said, a program names in its head what
they are to mention, and the repair beside it follows them: advice leads to the truth if a right fix is printed, or the
words mention all of that. In a mutant the same tensor stands in another form (a variable, an
attribute, a subscript, a call, arithmetic, a walrus, a conditional, a comprehension, a star), in another setting (a
loop, `with`, `try`), over several lines, or with its operands the other way round.

{write_field(field)}

## Other people's test suites

`make conformance`, from the source distributions at pinned versions, or as they are shipped in the installed packages:
the tests that end otherwise with the guard, switched on by pytest's `--safe-numpy=MODE` or by `safe-numpy run`, and how
many conversions permissive mode made. A test that ended otherwise was run again three times on either side; what then
ended alike is counted as unsteady. Tests that fail do so without the guard too: for want of a network, or of files that
are not in the archive. An empty cell was not run. The packages of captum, botorch, tensordict and torch_geometric
ship no test suites, and Pyro's lacks modules that its tests import.

{write_conformance(conformance)}

## Stress

`make stress` (tests/stress.py): each scenario ends with an error if anything is lost. Losses: 0.

{write_stress(stress)}

`make stress` (tests/test_product.py): combinations of dtype, shape, layout, device, flags, class, door and mode that
hypothesis drew, against stock torch and the NumPy array that each tensor was made of: {write_counts(product)}.

`make fuzz` (tests/fuzz/fuzz_callsites.py): programs made by a coverage-guided fuzzer, in files that change under them:
{write_counts(fuzz)}.

## Attacks

`make attack` and `make fuzz`: what [SECURITY.md](../SECURITY.md) says of ledgers, sources, classes and surroundings, in
the modes explain, permissive and strict. Wrong is what was not as it says there: another error than stock's, another
array, code of somebody's that ran, a file that was written.

{write_attacks(attacks, ledgers)}

The fuzzer (tests/fuzz/fuzz_ledgers.py) ends at the first wrong one. Its inputs: {write_counts(ledgers)}.

## Versions

`SAFE_NUMPY_TEST_RUNS=FILE nox -s pythons` (noxfile.py) writes such a row. Skipped are the tests marked `cuda`, and
those of a framework that is not there. On 3.12 and 3.13 the suite ran in parts, and what ran into its time limit on a
busy machine, or was mended, ran again; on 3.14, for which no TensorFlow is out, the files that mostly start other
processes have run in part only, and do not count here. A free-threaded interpreter was not at hand.

{write_runs(runs)}

## Not measured

No GPU was at hand: the tests marked `cuda` (tests/test_cuda.py) have not run, nor has a transfer from a device been
timed. XLA was at hand as a device of the CPU (tests/test_xla.py: torch 2.9.1, torch_xla 2.9.0), not on a TPU. Other
versions of Python, torch, TensorFlow and NumPy than the above stand in noxfile.py; see there which have been run.
"""


def write_readme() -> None:
    """Put the first table of the guard's cost, and the coverage in short, between their marks in the README."""
    bench, coverage = load("bench"), load("coverage")
    short = make_table(
        ("", "with the guard", "without", "ratio", "limit"),
        [
            (code(r["row"]), put_time(r["ours_ns"]), put_time(r["stock_ns"]), f"{r['ratio']:.2f}", put_limit(r))
            for r in bench["guard"]
        ],
    )
    rows = sorted(coverage["torch"]["rows"].items(), key=lambda item: -item[1]["right"])
    shown = [(n, r) for n, r in rows if not n.endswith(", permissive") or n == "x.numpy(), permissive"]
    covered = make_table(
        (f"of {coverage['torch']['cases']} tensors", "right", "refused", "silently wrong"),
        [(code(n), r["right"], r["refused"], r["wrong"]) for n, r in shown],
    )
    readme = ROOT / "README.md"
    text = readme.read_text()
    for mark, table in (("guard", short), ("coverage", covered)):
        pattern = rf"(<!-- {mark}, by make evidence -->\n).*?(\n<!-- end -->)"
        text, count = re.subn(pattern, lambda m, t=table: m[1] + t + m[2], text, flags=re.DOTALL)
        if count != 1:
            raise ValueError(f"README.md has {count} places for the table {mark!r}, where 1 was expected")
    readme.write_text(text)


def main() -> None:
    (ROOT / "docs" / "evidence.md").write_text(write_page())
    write_readme()


if __name__ == "__main__":
    main()
