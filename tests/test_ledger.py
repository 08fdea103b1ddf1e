"""The book: what is counted, exactly, from many threads, without end, and without holding anything."""

from __future__ import annotations

import gc
import json
import os
import re
import subprocess
import sys
import threading
import time
import warnings
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from processes import ROOT, run
from versions import newer_torch

import safe_numpy
from safe_numpy import ConversionWarning
from safe_numpy.callsite.frames import Site
from safe_numpy.ledger import ledger as _ledger
from safe_numpy.ledger import report as _report
from safe_numpy.ledger.ledger import Figures, Ledger
from safe_numpy.ledger.report import Process, Record, Report
from safe_numpy.messages import units as _units


@pytest.fixture(autouse=True)
def permissive() -> Iterator[None]:
    with warnings.catch_warnings(), safe_numpy.mode("permissive"):
        warnings.simplefilter("ignore", ConversionWarning)
        yield


def grads(n: int = 4) -> torch.Tensor:
    return torch.ones(n, requires_grad=True)


def test_what_is_booked() -> None:
    x, low = grads(), grads(3).bfloat16()
    before, firsts = time.time(), set()
    for _ in range(5):
        x.numpy()
        firsts.add(safe_numpy.report().rows[0]["first"])
    np.asarray(low)
    after = time.time()
    rows = {row["expression"]: row for row in safe_numpy.report().rows}
    own = {"file": __file__, "function": "test_what_is_booked", "asked_by": "", "moved_from": {}, "bytes_moved": 0}
    for name, expected in {
        "x": {
            "door": "explicit", "causes": ["grad"], "count": 5, "count_explicit": 5, "bytes": 80, "bytes_allocated": 0,
            "fix": "x.detach().numpy()",
        },
        "low": {
            "door": "implicit", "causes": ["grad", "dtype"], "count": 1, "count_explicit": 0, "bytes": 12,
            "bytes_allocated": 12, "fix": "np.asarray(low.detach().float().numpy())",
        },
    }.items():  # fmt: skip
        row = rows[name]
        assert {key: row[key] for key in (*expected, *own)} == {**expected, **own}
        assert before <= row["first"] <= row["last"] <= after
    assert firsts == {rows["x"]["first"]}
    assert rows["x"]["seconds"] == 0, "a matter of microseconds, whatever the size"
    assert 0 < rows["low"]["seconds"] < after - before
    assert rows["low"]["line"] == rows["x"]["line"] + 2
    totals = safe_numpy.report().totals
    assert (totals["sites"], totals["count"], totals["bytes"], totals["bytes_allocated"]) == (2, 6, 92, 12)


@newer_torch
def test_what_left_a_device() -> None:
    import toy_device  # noqa: F401 - registers it

    x = torch.ones(8, dtype=torch.bfloat16).to("toy")
    for _ in range(3):
        x.numpy()
    (row,) = safe_numpy.report().rows
    assert row["moved_from"] == {"toy:0": 3 * 16}
    assert (row["bytes_moved"], row["bytes_allocated"]) == (48, 3 * 32)
    assert row["causes"] == ["device", "dtype"]
    assert "48 B moved from toy:0, 96 B allocated." in str(safe_numpy.report())


def test_who_asked_and_which_tensors_of_a_line() -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    x, y = grads(), grads()
    figure, axes = plt.subplots()
    axes.plot(x, y * 2)
    plt.close(figure)
    sums = x.numpy().sum() + y.numpy().sum()
    assert sums == 8
    plotted, asked = sorted(safe_numpy.report().rows, key=lambda row: row["line"])
    assert plotted["asked_by"] == "matplotlib"
    assert plotted["fix"] == "axes.plot(x.detach().numpy(), (y * 2).detach().numpy())"
    assert (asked["expression"], asked["count"], asked["asked_by"]) == ("x, y", 2, "")


def test_a_line_that_meets_different_tensors() -> None:
    fixes = []
    for x in (grads(), grads().bfloat16(), torch.ones(4, dtype=torch.bfloat16)):
        for _ in range(2):
            x.numpy()
            fixes.append(safe_numpy.report().rows[0]["fix"])
    (row,) = safe_numpy.report().rows
    assert (row["count"], row["causes"]) == (6, ["grad", "dtype"])
    assert fixes == ["x.detach().numpy()"] * 2 + ["x.detach().float().numpy()"] * 4, "the one for most problems"


def test_threads_lose_nothing_and_readers_wait_for_nobody() -> None:
    book = _ledger.LEDGER
    threads, each = 8, 100_000
    x = grads()
    x.numpy()
    (entry,) = book._entries.values()
    book.list_records(reset=True)
    seen: list[Figures] = []
    done = threading.Event()

    def write() -> None:
        for _ in range(each):
            book.add(entry, True, 16, 4, "toy:0", 2, 0.5)

    def read() -> None:
        while not done.is_set():
            seen.append(Figures(*entry.counted))
            time.sleep(0)

    reader = threading.Thread(target=read)
    writers = [threading.Thread(target=write) for _ in range(threads)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(2e-4)
    try:
        for thread in (reader, *writers):
            thread.start()
        for thread in writers:
            thread.join()
        done.set()
        reader.join()
        count = len(seen)
        assert count > 10
        assert all(f.nbytes == 16 * f.times and f.allocated == 4 * f.times and f.seconds == 0.5 * f.times for f in seen)
    finally:
        sys.setswitchinterval(interval)
    figures = Figures(*entry.counted)
    n = threads * each
    assert figures[:6] == (n, n, 16 * n, 4 * n, (("toy:0", 2 * n),), 0.5 * n)


def read_resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_conversions_from_threads_and_flat_memory() -> None:
    each = 100_000
    x = grads()

    def convert(times: int) -> None:
        with safe_numpy.mode("permissive"):
            for _ in range(times):
                x.numpy()

    def run_threads(times: int) -> None:
        threads = [threading.Thread(target=convert, args=(times,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    run_threads(1000)
    safe_numpy.report(reset=True)
    gc.collect()
    before = read_resident()
    run_threads(each)
    gc.collect()
    assert read_resident() - before < 8 << 20, "10 bytes a conversion would show"
    (row,) = safe_numpy.report().rows
    assert (row["count"], row["bytes"]) == (8 * each, 8 * each * 16)


def test_a_reset_while_threads_count_counts_each_once() -> None:
    each = 20_000
    x = grads()

    def convert() -> None:
        with safe_numpy.mode("permissive"):
            for _ in range(each):
                x.numpy()

    threads = [threading.Thread(target=convert) for _ in range(4)]
    for thread in threads:
        thread.start()
    total = 0
    while any(thread.is_alive() for thread in threads):
        total += safe_numpy.report(reset=True).totals["count"]
    total += safe_numpy.report(reset=True).totals["count"]
    assert total == 4 * each
    assert safe_numpy.report().rows == []


def test_a_reset_does_not_warn_again() -> None:
    x = grads()
    for _ in range(2):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            x.numpy()
        assert safe_numpy.report(reset=True).totals["count"] == 1
    assert caught == []


def make_frames(n: int) -> list[Any]:
    frames = []
    for i in range(n):
        scope: dict[str, Any] = {"sys": sys}
        exec(f"def f():\n    return ({i}, sys._getframe())[1]", scope)
        frames.append(scope["f"]())
    return frames


def test_a_full_ledger_counts_the_rest_as_other() -> None:
    book = Ledger(most=2)
    for frame in make_frames(4):
        for _ in range(3):
            place = book.add_instruction(frame, Site(f"{id(frame)}.py", 2, "f"))
            book.add(place.entry, True, 10, 0, "", 0, 0.0)
    times = [(record.site.filename == "other", record.figures.times) for record in book.list_records()]
    assert sorted(times) == [(False, 3), (False, 3), (True, 6)]
    assert len(book.instructions) <= 4 * book.most


def test_so_many_lines_are_kept_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _ledger.MOST_SITES == _ledger.LEDGER.most == 10_000
    monkeypatch.setattr(_ledger.LEDGER, "most", 100)
    scope: dict[str, Any] = {"x": grads()}
    for _ in range(2):
        exec("\n".join(["x.numpy()"] * 120), scope)
    (row,) = (row for row in safe_numpy.report().rows if row["line"] == 0)
    assert row["count"] == 240 - 100
    assert safe_numpy.report().totals["count"] == 240
    assert len(_ledger.LEDGER.instructions) <= 400
    assert "other lines took less time; `.rows` has them all." in str(safe_numpy.report())


def test_the_book_holds_neither_tensor_nor_array_nor_frame() -> None:
    class Held:
        pass

    def convert() -> list[weakref.ref[Any]]:
        x, held = grads(1000), Held()
        array = x.numpy()
        return [weakref.ref(x), weakref.ref(array), weakref.ref(held)]

    references = convert()
    assert [reference() for reference in references] == [None, None, None]
    safe_numpy.report()
    assert [reference() for reference in references] == [None, None, None]


def test_rows_are_plain_and_survive_a_file(tmp_path: Path) -> None:
    x = grads()
    x.numpy()
    np.asarray(x.bfloat16())
    report = safe_numpy.report()
    assert json.loads(json.dumps(report.rows)) == report.rows
    file = tmp_path / "new" / "folder" / "ledger.json"
    report.to_json(file)
    assert _report.read_report(file) == report
    assert [path.name for path in file.parent.iterdir()] == ["ledger.json"], "nothing else is left there"
    plain = json.loads(file.read_text())
    assert plain["totals"] == report.totals
    assert plain["processes"][0]["pid"] == os.getpid()


def test_the_rows_in_pandas() -> None:
    empty = safe_numpy.report().to_pandas()
    x = grads()
    x.numpy()
    frame = safe_numpy.report().to_pandas()
    assert list(empty.columns) == list(frame.columns) == list(safe_numpy.report().rows[0])
    assert len(empty) == 0
    assert frame.loc[0, "count"] == 1
    assert str(frame["first"].dtype).endswith("UTC]")
    assert abs(frame.loc[0, "first"].timestamp() - time.time()) < 60


def steady_report() -> Report:
    """A report whose figures are the same in every run."""
    day = 1.7e9
    evaluation = Record(
        Site("eval.py", 57, "evaluate"),
        Figures(1000, 0, 2_560_000, 2_560_000, (("cuda:0", 1_280_000),), 1.24, day, day + 3),
        ("device", "grad", "dtype"),
        ("logits",),
        ("matplotlib",),
        "plt.plot(logits.detach().cpu().float().numpy())",
    )
    training = Record(
        Site("train.py", 33, "forward"),
        Figures(40, 40, 64_000, 0, (), 0.0, day, day + 2),
        ("grad",),
        ("h", "w<0>"),
        (),
        "h = torch.from_numpy(\n    np.tanh(h.detach().numpy()) * w<0>.detach().numpy()\n)",
    )
    two = (Process(7, "box", 0, "3.11", day), Process(8, "box", 1, "3.11", day, is_complete=False))
    return Report((evaluation, training), two)


def test_the_table() -> None:
    assert str(steady_report()) == (
        "Permissive mode made 1,040 conversions at 2 lines of code: 1.2 s waited, 1.2 MiB moved from cuda:0, "
        "2.4 MiB allocated.\n"
        "\n"
        " time  times    moved  allocated  causes             where\n"
        "1.2 s  1,000  1.2 MiB    2.4 MiB  device grad dtype  eval.py:57  `logits`  for matplotlib\n"
        "                                                       plt.plot(logits.detach().cpu().float().numpy())\n"
        "  0 s     40                      grad               train.py:33  `h, w<0>`\n"
        "                                                       h = torch.from_numpy(\n"
        "                                                           np.tanh(h.detach().numpy()) * w<0>.detach()"
        ".numpy()\n"
        "                                                       )\n"
        "\n"
        "Of 2 processes: rank 0, rank 1.\n"
        "\n"
        "pid 8 was still running, or ended at once: the last figures are missing."
    )


def test_the_table_in_a_notebook() -> None:
    html = steady_report()._repr_html_()
    assert "<code" not in html
    assert not re.search("<script|src=|href=|url\\(|[^-]color:", html), "the page's own colours, nothing from outside"
    assert "w<0>" not in html
    assert "h, w&lt;0&gt;" in html
    bars = re.findall(r"width: (\d+)%; height", html)
    assert bars == ["100", "0"]


def test_nothing_booked_is_said_so() -> None:
    assert str(safe_numpy.report()) == "Permissive mode has converted nothing."
    assert "has converted nothing." in safe_numpy.report()._repr_html_()


def test_the_costliest_thirty_are_shown() -> None:
    record = steady_report().records[0]
    records = tuple(_report._sort(_replace(record, i) for i in range(45)))
    text = str(Report(records, ()))
    assert text.count("for matplotlib") == 30
    assert "other.py:44 " in text, "the costliest first"
    assert text.endswith("\n15 other lines took less time; `.rows` has them all.")


def _replace(record: Record, i: int) -> Record:
    import dataclasses

    figures = record.figures._replace(seconds=float(i))
    return dataclasses.replace(record, site=Site("other.py", i, "f"), figures=figures)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (1e-7, "< 1 µs"), (3.4e-5, "34 µs"), (2.5e-6, "2.5 µs"), (0.0123, "12 ms"), (1.25, "1.2 s"),
     (4e3, "4,000 s")],
)  # fmt: skip
def test_seconds_as_people_read_them(seconds: float, text: str) -> None:
    assert _units.format_seconds(seconds) == text


def test_several_processes_add_up() -> None:
    one = steady_report()
    both = _report.merge_reports([one, one])
    assert both.totals["count"] == 2 * one.totals["count"]
    assert both.totals["moved_from"] == {"cuda:0": 2_560_000}
    assert [record.site.lineno for record in both.records] == [57, 33]
    assert both.processes == one.processes, "the same process is one"
    assert _report.merge_reports([]).totals["count"] == 0


def test_a_forked_child_keeps_a_book_of_its_own() -> None:
    out = run("""
        import os, threading, warnings, safe_numpy, torch
        from safe_numpy.ledger import ledger as _ledger
        safe_numpy.set_mode("permissive")
        x = torch.ones(4, requires_grad=True)
        def convert(times):
            for _ in range(times):
                x.numpy()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", safe_numpy.ConversionWarning)
            convert(3)
        held, let_go = threading.Event(), threading.Event()
        def hold():
            with _ledger.LEDGER._lock:
                held.set()
                let_go.wait()
        thread = threading.Thread(target=hold)
        thread.start()
        held.wait()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()  # while another thread holds the lock
        if child == 0:
            warnings.simplefilter("error")
            print("child", safe_numpy.report().totals["count"])
            convert(2)  # the parent has warned of this line
            print("child", safe_numpy.report().totals["count"], flush=True)
            os._exit(0)
        os.waitpid(child, 0)
        let_go.set()
        thread.join()
        print("parent", safe_numpy.report().totals["count"])
    """)
    assert out.splitlines() == ["child 0", "child 2", "parent 3"]


PATH = f"{ROOT}{os.pathsep}{ROOT / 'examples'}"
COUNTER = """
import atexit, json, runpy, sys
import torch

stock, widen, fetch = torch.Tensor.numpy, torch.Tensor.float, torch.Tensor.cpu
seen = {"count": 0, "bytes": 0, "allocated": 0, "moved": 0}
fresh = {}

def of_a_fix():
    frames = (sys._getframe(2), sys._getframe(2).f_back, sys._getframe(2).f_back.f_back)
    return any(frame.f_code.co_filename == "<safe_numpy fix>" for frame in frames)

def numpy(self, **kwargs):
    array = stock(self, **kwargs)
    if of_a_fix():
        seen["count"] += 1
        seen["bytes"] += array.nbytes
        seen["allocated"] += array.nbytes * (array.__array_interface__["data"][0] in fresh)
    return array

def remember(result, source):
    if of_a_fix() and (result.device != source.device or result.data_ptr() != source.data_ptr()):
        fresh[result.data_ptr()] = result
        if source.device.type != "cpu":
            seen["moved"] += source.nbytes
    return result

torch.Tensor.numpy = numpy
torch.Tensor.float = lambda self: remember(widen(self), self)
torch.Tensor.cpu = lambda self: remember(fetch(self), self)
out, sys.argv = sys.argv[1], sys.argv[2:]
atexit.register(lambda: open(out, "w").write(json.dumps(seen)))
runpy.run_path(sys.argv[0], run_name="__main__")
"""
"""stands below the guard, and counts what goes through"""


@newer_torch
def test_the_demo_is_booked_exactly(tmp_path: Path) -> None:
    """What the report says of the digits equals what a counter sees that stands below the guard."""
    counter = tmp_path / "counter.py"
    counter.write_text(COUNTER)
    seen, ledger = tmp_path / "seen.json", tmp_path / "ledger.json"
    script = str(ROOT / "examples" / "digits.py")
    variables = {
        "SAFE_NUMPY": "permissive",
        "SAFE_NUMPY_REPORT": str(ledger),
    }
    done = subprocess.run(
        [sys.executable, str(counter), str(seen), script, "--epochs", "20", "--output", str(tmp_path)],
        env={**os.environ, "PYTHONPATH": PATH, **variables}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    counted = json.loads(seen.read_text())
    totals = _report.read_report(ledger).totals
    assert counted["count"] == 3
    assert counted == {
        "count": totals["count"],
        "bytes": totals["bytes"],
        "allocated": totals["bytes_allocated"],
        "moved": totals["bytes_moved"],
    }
