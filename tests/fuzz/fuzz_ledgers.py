"""Fuzz what reads ledgers and baselines, which may come from anybody: `safe-numpy report`, `fix` and strict mode.

    make fuzz

Each input becomes a ledger that is right but for a few fields, edits or bytes. The coverage of the modules that read
it guides the search (atheris, libFuzzer). Whatever it says,

- it is read, or refused by the one error that the commands catch; nothing else is raised, and nothing takes long;
- what is printed or shown of it is text that no terminal and no browser obeys;
- code of it is written only if it follows from the tables; a word that they do not have stands nowhere;
- the commands, which get one in 150 on disk, write below the root alone, to files that end in .py, and end with 0, 1
  or 2.
"""

from __future__ import annotations

import ast
import contextlib
import copy
import io
import json
import os
import random
import sys
import tempfile
import time
import unicodedata
from collections import Counter
from pathlib import Path
from typing import Any

import atheris

with atheris.instrument_imports(include=["safe_numpy.ledger", "safe_numpy.interfaces", "safe_numpy.messages"]):
    import torch  # noqa: F401  whose tables are asked

    import safe_numpy  # noqa: F401
    from safe_numpy.callsite.source import digest_lines
    from safe_numpy.diagnosis.facts import Edit
    from safe_numpy.diagnosis.registry import FRAMEWORKS
    from safe_numpy.interfaces import cli, codemod, derivation
    from safe_numpy.ledger import baseline, files, report
    from safe_numpy.messages.units import show_controls

derivation.FRAMEWORKS = {"torch": FRAMEWORKS["torch"]}  # type: ignore[misc]  TensorFlow takes seconds to load

COUNTS: Counter[str] = Counter()
START = time.time()
SHOWN, COMMANDED = 5, 150
"""one input of so many is shown, and given to the commands"""

_derived: set[object] = set()
"""edits that were tried"""

FOLDER = Path(tempfile.mkdtemp(prefix="ledgers", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None))
ROOT = FOLDER / "root"
PROGRAM, OUTSIDE = ROOT / "program.py", FOLDER / "outside.py"
SOURCE = """\
import torch
import numpy as np
x = torch.ones(3, requires_grad=True); é = "ü"
print(é, x.numpy(), np.tanh(x * 2), [np.asarray(t) for t in (x, x)], f"{x.numpy()}")
del é
both = np.stack([
    x.numpy(),  # the first
    (x * 2).numpy()])
match both.ndim:
    case np.pi: x.y = 3
"""
LINES = SOURCE.splitlines()
EDITS = [  # a line, what stands there, and code for it that follows from the tables
    (4, "x.numpy()", "x.detach().numpy()"), (4, "np.tanh(x * 2)", "torch.tanh(x * 2)"), (4, "x", "x.detach().cpu().numpy()"),
    (4, "np.asarray(t)", "t.detach().numpy()"), (7, "x.numpy()", "x"), (8, "(x * 2)", "(x * 2).detach()"),
    (8, "(x * 2).numpy()", "(x * 2).detach().numpy()"), (4, "(x, x)", "safe_numpy.to_numpy((x, x))"),
    (4, "x.numpy()", "x.view(torch.int16).numpy().view(ml_dtypes.bfloat16)"), (4, "np.tanh(x * 2)", "np.tanh((x * 2).detach().numpy())"),
    (4, "x", "[t.detach().numpy() for t in x]"), (4, "x * 2", "(x * 2).item()"), (3, "torch", "torch.detach()"),
]  # fmt: skip
WORDS = [
    "x", "evil", "evil()", ".evil", ".numpy()", ".detach()", ".cpu()", ".item()", "np.tanh(", "torch.tanh(", "(", ")", "[", "]", " or ",
    " for t in ", "t", "lambda *args: ", "lambda: ", "*", "**", "=", ":=", ",", ";", "\n", "#", "'", '"', "\\", "é", "{", "}", "{x}",
    "{x.__class__}", "safe_numpy.to_numpy(", "torch.from_numpy(", ".view(torch.", "int16", "yield ", "await ", "f'", "1e999", "0" * 5000, "\0",
]  # fmt: skip
HUGE = 10**30
VALUES: list[Any] = [
    None, True, False, 0, 1, -1, 4, 2**63 - 1, 2**63, HUGE, 0.5, -0.0, 1e300, float("inf"), float("nan"), "", "x", "evil", [], {}, [[]], [0],
    [1, 2], {"": 0}, {"cuda:0": 3}, {"a": "b"}, "\x1b]0;owned\x07", "\u202e", "\ud800", "\udcff", "<img src=x onerror=evil()>", "{x}", "%s",
    "\n", "\0", "A" * 500, "learnt", "conflict", "grad", [["x"] * 20], [1.5, 2], ["grad", "dtype"], [None], "é", [[1, 0], [1, 1], "x", "y"],
]  # fmt: skip
PATHS = [
    str(PROGRAM), "program.py", str(OUTSIDE), "../outside.py", str(ROOT / "link.py"), str(ROOT / "notes.txt"), str(ROOT / "folder.py"),
    str(ROOT / "pipe.py"), "/etc/passwd", "/dev/full", "/proc/self/mem", "/dev/zero", "", ".", "~", "<cell>", "x" * 300 + ".py", "a/" * 300,
    "\udcff.py", "\ud800.py", "a\0.py", f"{ROOT}/../outside.py", str(ROOT / "loop.py"), os.__file__, json.__file__, "\x1b[2J.py", "//", "/",
]  # fmt: skip


def make_row(*edits: list[Any], **fields: Any) -> dict[str, Any]:
    return {
        "file": str(PROGRAM), "line": 4, "function": "f", "causes": ["grad"], "names": ["x"], "libraries": [], "count": 1,
        "count_explicit": 1, "bytes": 12, "bytes_allocated": 0, "moved_from": {"cuda:0": 3}, "seconds": 0.5, "first": 1.0,
        "last": 2.0, "fix": "x.detach().numpy()", "edits": list(edits), "obstacle": "",
        "file_digest": digest_lines(SOURCE.splitlines(keepends=True)),
    } | fields  # fmt: skip


def make_edit(lineno: int, old: str, new: str) -> list[Any]:
    column = LINES[lineno - 1].index(old)
    return [[lineno, column], [lineno, column + len(old)], old, new]


GOOD = [make_edit(*edit) for edit in EDITS]
ENTRIES = [{"file": "a.py", "function": "f", "line": "x.numpy()", "causes": "grad"}] * 2


class Memory:
    """A file that is never written."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def read_bytes(self) -> bytes:
        return self.content

    def __str__(self) -> str:
        return "ledger\x1b.json"


Data = atheris.FuzzedDataProvider


def build(data: Data) -> dict[str, Any]:
    """Return a ledger that is right but for what the input says."""
    rows = []
    for _ in range(data.PickValueInList([1, 1, 2])):
        edits = [copy.deepcopy(data.PickValueInList(GOOD)) for _ in range(data.ConsumeIntInRange(0, 2))]
        rows.append(make_row(*(spoil_edit(data, edit) for edit in edits), line=data.ConsumeIntInRange(0, 9)))
        if data.ConsumeProbability() < 0.2:
            rows[-1]["file"] = data.PickValueInList(PATHS)
    process = {"pid": 1, "host": "h", "rank": None, "python": "3.11", "started": 1.0, "is_complete": True}
    plain = {"format": "safe_numpy ledger", "version": 1, "processes": [process], "rows": rows}
    for _ in range(data.PickValueInList([0, 0, 1, 1, 2])):
        spoil(data, plain)
    return plain


def spoil_edit(data: Data, edit: list[Any]) -> list[Any]:
    """Change the code or the place of an edit, or leave it."""
    kind = data.ConsumeIntInRange(0, 7)
    if kind == 0:
        at = data.ConsumeIntInRange(0, len(edit[3]))
        end = at + data.PickValueInList([0, 0, 1, 3, 8])
        edit[3] = edit[3][:at] + data.PickValueInList(WORDS) + edit[3][end:]
    elif kind == 1:
        edit[3] = "".join(data.PickValueInList(WORDS) for _ in range(data.ConsumeIntInRange(0, 6)))
    elif kind == 2:
        edit[3] = data.PickValueInList(GOOD)[3]
    elif kind == 3:
        edit[data.ConsumeIntInRange(0, 1)] = [data.ConsumeIntInRange(0, 12), data.ConsumeIntInRange(0, 60)]
    elif kind == 4:
        lineno, start = data.ConsumeIntInRange(1, len(LINES)), data.ConsumeIntInRange(0, 20)
        end = start + data.ConsumeIntInRange(1, 30)
        old = LINES[lineno - 1][start:end]
        shown = data.PickValueInList(
            ["{x}.detach().numpy()", "({x}).cpu().numpy()", "safe_numpy.to_numpy({x})", "{x}.item()", "evil({x})"]
        )
        edit = [[lineno, start], [lineno, start + len(old)], old, shown.replace("{x}", old)]
    elif kind == 5:
        edit[3] = data.PickValueInList(["(", "-", "[", "x.", "not "]) * data.PickValueInList([1, 50, 3000]) + edit[3]
    return edit


def spoil(data: Data, plain: dict[str, Any]) -> None:
    """Change, remove or double something somewhere."""
    at: Any = plain
    for _ in range(data.ConsumeIntInRange(1, 4)):
        keys = list(at) if isinstance(at, dict) else list(range(len(at)))
        if not keys:
            return
        key = data.PickValueInList(keys)
        inner = at[key]
        if isinstance(inner, (dict, list)) and inner and data.ConsumeProbability() < 0.8:
            at = inner
            continue
        kind = data.ConsumeIntInRange(0, 9)
        if kind == 0:
            del at[key]
        elif kind == 1 and isinstance(at, list):
            at.append(copy.deepcopy(inner))
        elif kind == 2 and isinstance(at, dict):
            at[data.PickValueInList(["", "rows", "evil", "file", "__class__"])] = inner
        elif kind == 3:
            at[key] = data.ConsumeUnicode(20)
        elif kind == 4:
            at[key] = data.ConsumeInt(9)
        elif kind == 5:
            at[key] = [inner] * data.PickValueInList([0, 1, 2, 30])
        else:
            at[key] = copy.deepcopy(data.PickValueInList(VALUES + PATHS))
        return


def encode(data: Data, plain: Any) -> bytes:
    """Return a file's content; one in eight with a few bytes changed."""
    content = json.dumps(plain).encode()
    if data.ConsumeProbability() < 0.875:
        return content
    if data.ConsumeProbability() < 0.05:
        return data.PickValueInList(
            [
                b"",
                b"[" * 100_000,
                b'{"a":' * 50_000,
                b"9" * 5000,
                b"\xff\xfe",
                b"\xef\xbb\xbf" + content,
                b"null",
                b"NaN",
            ]
        )
    damaged = bytearray(content)
    for _ in range(data.ConsumeIntInRange(1, 4)):
        damaged[data.ConsumeIntInRange(0, len(damaged) - 1)] = data.PickValueInList(list(b'\x00"[]{},:-19eE.x\\u\xff'))
    return bytes(damaged)


def expect(is_right: bool, what: object) -> None:
    if not is_right:
        raise AssertionError(what)


def expect_tame(text: str) -> None:
    """Nothing in a text is obeyed by a terminal, and all of it can be written."""
    text.encode()
    expect(not any(is_obeyed(c) for c in set(text) - {"\n", "\t"}), f"not tame: {text!r}")


def is_obeyed(character: str) -> bool:
    """Tell whether a character does something in the place of being seen."""
    is_control = unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")
    return is_control or unicodedata.bidirectional(character) in (
        "LRE",
        "LRO",
        "RLE",
        "RLO",
        "PDF",
        "LRI",
        "RLI",
        "FSI",
        "PDI",
    )


def check_ledger(content: bytes) -> None:
    """Read a ledger in memory, show it, and derive its code."""
    try:
        found = report.read_report(Memory(content))  # type: ignore[arg-type]
    except files.NoLedgerError as error:
        COUNTS["refused"] += 1
        expect_tame(show_controls(str(error)))
        return
    COUNTS["read"] += 1
    if COUNTS["inputs"] % SHOWN == 0:
        check_shown(report.merge_reports([found, found]))
    for record in found.records:
        if record.edits not in _derived:
            _derived.add(record.edits)
            check_derived(record.edits)


def check_shown(whole: report.Report) -> None:
    """Show a report, and write it."""
    COUNTS["shown"] += 1
    text, html = str(whole), whole._repr_html_()
    expect_tame(text)
    expect_tame(html)
    expect("<img" not in html, html)
    plain = report.to_plain(whole)
    if all(
        value < 2**62
        for row in plain["rows"]
        for value in (row["count"], row["bytes"], row["bytes_allocated"], row["seconds"])
    ):
        expect(
            report.to_plain(report.from_plain(json.loads(json.dumps(plain)))) == plain,
            "it is not read as it is written",
        )


def check_derived(edits: tuple[Edit, ...]) -> None:
    """Derive the code for edits."""
    derived, obstacle = PIECES.derive(edits)
    expect(not (derived and obstacle) and obstacle in ("", "text", "underived"), obstacle)
    COUNTS["edits derived"] += len(derived)
    COUNTS["edits not derived"] += len(edits) - len(derived)
    for edit in derived:
        ast.parse(f"({edit.new}\n)", mode="eval")
        expect("evil" not in edit.new, edit)


def check_baseline(content: bytes) -> None:
    """Read a baseline in memory; what was read can be written."""
    try:
        accepted = baseline.read_baseline(Memory(content))  # type: ignore[arg-type]
    except ValueError as error:
        COUNTS["baselines refused"] += 1
        expect_tame(show_controls(str(error)))
        return
    COUNTS["baselines read"] += 1
    written = Memory(baseline.render_baseline(accepted))
    expect(baseline.read_baseline(written) == sorted(accepted), "it is not read as it is written")  # type: ignore[arg-type]


def check_commands(content: bytes) -> None:
    """Give a ledger to the commands; what they do is within bounds."""
    COUNTS["given to the commands"] += 1
    ledger = FOLDER / "ledger.json"
    ledger.write_bytes(content)
    with watching():
        shown, out = command("report", str(ledger))
        expect_tame(out)
        status, out = command("fix", str(ledger), "--root", str(ROOT), "--apply")
    expect(shown in (0, 2) and status in (0, 1, 2) and (shown == 2) == (status == 2), (shown, status))
    new = PROGRAM.read_text()
    if new != SOURCE:
        COUNTS["files rewritten"] += 1
        expect("evil" not in new, new)
        ast.parse(new)
        PROGRAM.write_text(SOURCE)
    expect(
        sorted(os.listdir(ROOT)) == NAMES and sorted(os.listdir(FOLDER)) == ["ledger.json", "outside.py", "root"],
        "files were made",
    )
    expect(OUTSIDE.read_text() == NOTES.read_text() == SOURCE, "a file was written that may not be")


def command(*arguments: str) -> tuple[int, str]:
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        status = cli.main(arguments)
    expect_tame(err.getvalue())
    out.getvalue().encode()
    return status, out.getvalue()


_WRITE = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_NEVER = (
    "subprocess.Popen",
    "os.system",
    "os.exec",
    "os.fork",
    "os.symlink",
    "os.link",
    "socket.connect",
    "shutil.rmtree",
)
_watched: list[str] = []
"""what was done, as the interpreter says, that may not be"""
_is_watching = False


@contextlib.contextmanager
def watching() -> Any:
    global _is_watching
    _is_watching = True
    try:
        yield
    finally:
        _is_watching = False
    expect(not _watched, _watched)


def audit(event: str, arguments: tuple[Any, ...]) -> None:
    if not _is_watching:
        return
    if event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITE:
        path = os.fsdecode(arguments[0]) if isinstance(arguments[0], (str, bytes)) else ""
        if os.path.dirname(path) != str(ROOT):
            _watched.append(f"open {path}")
    elif (
        (event in ("os.rename", "os.remove", "os.chmod") and os.path.dirname(os.fsdecode(arguments[0])) != str(ROOT))
        or event in _NEVER
        or (event == "os.mkdir" and not os.path.isdir(arguments[0]))
    ):
        _watched.append(f"{event} {arguments}")


def prepare() -> None:
    """Make the files: one that may be rewritten, and what stands around it."""
    ROOT.mkdir()
    for file in (PROGRAM, OUTSIDE, NOTES):
        file.write_text(SOURCE)
    (ROOT / "link.py").symlink_to(OUTSIDE)
    (ROOT / "loop.py").symlink_to(ROOT / "loop.py")
    (ROOT / "folder.py").mkdir()
    os.mkfifo(ROOT / "pipe.py")
    os.chdir(ROOT)


NOTES = ROOT / "notes.txt"
prepare()
NAMES = sorted(os.listdir(ROOT))
PIECES = codemod._Source(SOURCE, ast.parse(SOURCE), derivation.Deriver())


def test_one_input(raw: bytes) -> None:
    """Make a ledger, or a baseline, of the input, and check it."""
    COUNTS["inputs"] += 1
    if raw[:1] >= b"\x40":  # three in four: the order of the bytes decides nothing, only a seed does
        raw = random.Random(raw).randbytes(200)
    data = Data(raw[1:])
    begun = time.process_time()
    content = b""
    try:
        if data.ConsumeProbability() > 0.9:
            plain = {"format": "safe_numpy baseline", "accepted": copy.deepcopy(ENTRIES)}
            spoil(data, plain)
            content = encode(data, plain)
            check_baseline(content)
        else:
            content = encode(data, build(data))
            check_ledger(content)
            if COUNTS["inputs"] % COMMANDED == 0:
                check_commands(content)
    except BaseException:
        sys.stderr.write(f"\n--- file\n{content[:20000]!r}\n")
        raise
    expect(time.process_time() - begun < 5, f"it took long: {content[:20000]!r}")
    if COUNTS["inputs"] % 5000 == 0:
        write_counts()


def write_counts() -> None:
    COUNTS_FILE.write_text(json.dumps({"seconds": round(time.time() - START), **COUNTS}, indent=2) + "\n")


if __name__ == "__main__":
    COUNTS_FILE = Path(sys.argv.pop(1)).absolute()
    sys.argv[1:] = [os.path.abspath(a) if not a.startswith("-") else a for a in sys.argv[1:]]
    sys.addaudithook(audit)
    atheris.Setup(sys.argv, test_one_input)
    atheris.Fuzz()
