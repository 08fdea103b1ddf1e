"""The judge: a program as it stands, what is said of its error, the printed fix put in, and permissive mode."""

from __future__ import annotations

import ast
import difflib
import math
import re
from dataclasses import dataclass, field
from pathlib import Path

from runner import Run, run_all

PROGRAMS = Path(__file__).parent / "programs"
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+|nan|inf)")
_ROUNDS = 5


@dataclass(frozen=True)
class Program:
    """A program that fails, and its repair by hand."""

    slug: str
    text: str
    right: str
    causes: frozenset[str]
    """kinds of problems; ``why``: no conversion of a tensor failed"""
    names: tuple[str, ...]
    """what the failing line calls the tensor"""
    repair: str
    """``line``, ``elsewhere`` or ``none``"""
    advice: tuple[str, ...] = ()
    """what words that lead to the repair mention, and the repaired program has; empty: only a fix leads there"""

    @property
    def is_guarded(self) -> bool:
        return "why" not in self.causes


@dataclass
class Verdict:
    """What was found of a program, or of a mutant of it."""

    slug: str
    stock: Run
    explained: Run
    truth: str = ""
    """what the repaired program prints"""
    is_line_right: bool = False
    is_cause_right: bool = False
    is_name_right: bool = False
    is_printed: bool = False
    is_right: bool = False
    """the printed fix, put in, gives the truth"""
    is_same_line_again: bool = False
    is_advised: bool = False
    """that, or no fix is printed, and the words mention what the repaired program has"""
    permissive: str = ""
    """``truth``, ``refused``, ``warned`` (parameters do not learn, and that is said) or ``wrong``"""
    fixed: str = ""
    """the program with the printed fixes put in"""
    last: Run = field(default_factory=Run)


def load_programs(folder: Path = PROGRAMS) -> list[Program]:
    """Return the corpus, by name."""
    programs = []
    for path in sorted(folder.glob("*.py")):
        if path.name.endswith(".right.py") or not path.with_suffix(".right.py").exists():
            continue
        text = path.read_text()
        head = dict(re.findall(r"^# (causes|tensor|repair|advice): (.*)$", text, re.MULTILINE))
        programs.append(
            Program(
                path.stem,
                text,
                path.with_suffix(".right.py").read_text(),
                frozenset(head["causes"].split()),
                tuple(name.strip() for name in head["tensor"].split(" | ")),
                head["repair"].strip(),
                tuple(piece.strip() for piece in head.get("advice", "").split("|") if piece.strip()),
            )
        )
    return programs


def is_tensorflows(program: Program) -> bool:
    """Tell whether a program needs TensorFlow."""
    return bool(re.search(r"^\s*(?:import|from) (?:tensorflow|keras)", program.text, re.MULTILINE))


def judge(programs: list[Program]) -> list[Verdict]:
    """Judge programs."""
    texts = [p.text for p in programs]
    truths = [r.output if r.is_done else "?" for r in run_all((p.right, "stock") for p in programs)]
    stock = run_all((text, "stock") for text in texts)
    explained = run_all((text, "explain") for text in texts)
    verdicts = [Verdict(p.slug, s, e, t) for p, s, e, t in zip(programs, stock, explained, truths, strict=True)]
    for program, verdict in zip(programs, verdicts, strict=True):
        about = verdict.explained
        lines = (verdict.stock.lineno, *verdict.stock.lines)
        verdict.is_line_right = bool(about.headline) and about.lineno in lines
        kinds = frozenset(about.kinds)
        # of a version of a library that fails before it asks for the array, `why` has to know
        verdict.is_cause_right = kinds == program.causes if program.is_guarded and kinds else bool(about.headline)
        verdict.is_name_right = any(is_named(about.name, name) for name in program.names)
        verdict.is_printed = bool(about.fix)
        verdict.fixed, verdict.last = "", about
    _put_fixes_in(verdicts, texts, truths)
    for program, verdict in zip(programs, verdicts, strict=True):
        said = " ".join(verdict.explained.text.split())
        follows = bool(program.advice) and all(p in said and p in program.right for p in program.advice)
        verdict.is_advised = verdict.is_right or (not verdict.is_printed and follows)
    for verdict, truth, run in zip(verdicts, truths, run_all((t, "permissive") for t in texts), strict=True):
        is_true = run.is_done and same_output(run.output, truth)
        verdict.permissive = (
            "truth" if is_true else "refused" if not run.is_done else "warned" if run.is_warned else "wrong"
        )
    return verdicts


def try_mutants(programs: list[Program], texts: list[str], truths: list[str]) -> list[Verdict]:
    """Judge the printed fixes of mutants, which are to print what their programs do when they are repaired.

    One fix is to do: the mutant is to run to its end then, or to fail at another line.
    """
    explained = run_all((text, "explain") for text in texts)
    verdicts = [Verdict(p.slug, Run(), e, t) for p, e, t in zip(programs, explained, truths, strict=True)]
    for verdict in verdicts:
        verdict.is_printed, verdict.last = bool(verdict.explained.fix), verdict.explained
    _put_fixes_in(verdicts, texts, truths)
    return verdicts


def _put_fixes_in(verdicts: list[Verdict], texts: list[str], truths: list[str]) -> None:
    """Put the printed fixes in, one after the other, as somebody would who goes on."""
    current = list(texts)
    open_ = [i for i, v in enumerate(verdicts) if v.is_printed]
    for _ in range(_ROUNDS):
        tried = []
        for i in open_:
            text = put_in(current[i], verdicts[i].last)
            if text is not None:
                current[i] = verdicts[i].fixed = text
                tried.append(i)
        runs = run_all((current[i], "explain") for i in tried)
        open_ = []
        for i, run in zip(tried, runs, strict=True):
            verdict = verdicts[i]
            before, verdict.last = verdict.last, run
            if run.is_done:
                verdict.is_right = same_output(run.output, truths[i])
            elif run.fix and not _is_same_place(before, run, verdict.fixed):
                open_.append(i)
            else:
                verdict.is_same_line_again = _is_same_place(before, run, verdict.fixed)


def _is_same_place(before: Run, after: Run, text: str) -> bool:
    shift = before.fix.startswith("import ")
    return after.lineno in (before.fix_lineno, before.fix_lineno + shift)


def put_in(text: str, about: Run) -> str | None:
    """Return a program with a printed fix in the place of the statement that it is for; None if there is none."""
    lines = text.splitlines(keepends=True)
    found = [
        node
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.stmt) and node.lineno <= about.fix_lineno <= (node.end_lineno or 0)
    ]
    if not found or not about.fix:
        return None
    statement = max(found, key=lambda s: (s.lineno, s.col_offset))
    body = getattr(statement, "body", None)
    first, last = statement.lineno, statement.end_lineno or statement.lineno
    start, end = statement.col_offset, statement.end_col_offset or 0
    fix = about.fix
    if about.is_part:
        return _put_part_in(text, statement, fix)
    if isinstance(body, list) and body and isinstance(body[0], ast.stmt):
        if not fix.rstrip().endswith(":"):
            return _put_part_in(text, statement, fix)
        last = body[0].lineno - 1 if body[0].lineno > statement.lineno else statement.lineno
        end = len(lines[last - 1].rstrip("\n")) if last < body[0].lineno else body[0].col_offset
        fix += "" if last < body[0].lineno else " "
    # columns of the tree count bytes
    head = lines[first - 1].encode()[:start].decode()
    tail = lines[last - 1].encode()[end:].decode()
    indent = re.match(r"\s*", lines[first - 1])
    is_alone = not head.strip()
    new = (
        fix.replace("\n", "\n" + (indent[0] if indent else ""))
        if is_alone
        else fix.replace("\n", "; ", fix.startswith("import "))
    )
    result = "".join([*lines[: first - 1], head, new, tail, *lines[last:]])
    try:
        ast.parse(result)
    except SyntaxError:
        return None
    return result


def _put_part_in(text: str, statement: ast.stmt, fix: str) -> str | None:
    """Replace the part of the statement that looks most like the fix."""
    parts = [
        n for n in ast.walk(statement) if isinstance(n, ast.expr) and not isinstance(getattr(n, "ctx", None), ast.Store)
    ]
    code = [(ast.get_source_segment(text, n) or "", n) for n in parts]
    bare = fix.rpartition("\n")[2] if fix.startswith("import ") else fix
    if not code:
        return None
    segment, _ = max(code, key=lambda pair: difflib.SequenceMatcher(None, pair[0], bare).ratio())
    whole = ast.get_source_segment(text, statement) or ""
    return text.replace(whole, whole.replace(segment, bare, 1), 1)


def is_named(found: str, name: str) -> bool:
    """Tell whether a tensor is called by its name, or by the way to it in a container of that name."""
    return same_code(re.sub(r"(\[\w+\]|\['[^']*'\]|\.\w+)+$", "", found), name) or same_code(found, name)


def same_code(one: str, other: str) -> bool:
    """Tell whether two expressions are the same but for their layout."""
    try:
        return ast.dump(ast.parse(one, mode="eval")) == ast.dump(ast.parse(other, mode="eval"))
    except SyntaxError:
        return one == other


def same_output(one: str, other: str) -> bool:
    """Tell whether two outputs say the same, numbers within float32's accuracy."""
    if _NUMBER.sub("#", one) != _NUMBER.sub("#", other):
        return False
    pairs = zip(_NUMBER.findall(one), _NUMBER.findall(other), strict=True)
    return all(a == b or math.isclose(float(a), float(b), rel_tol=2e-3, abs_tol=2e-4) for a, b in pairs)
