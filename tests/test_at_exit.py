"""``SAFE_NUMPY_REPORT``: the report of a process, when it ends, and of several, added up."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from processes import ROOT, launch

from safe_numpy.interfaces import cli
from safe_numpy.ledger import report as _report
from safe_numpy.ledger.files import replace_file

CONVERT = """
import safe_numpy, torch, warnings
warnings.simplefilter("ignore", safe_numpy.ConversionWarning)
x = torch.ones(4, requires_grad=True)
for _ in range(5):
    x.numpy()
"""


def read(file: Path) -> Any:
    return _report.read_report(file)


def convert(program: str = CONVERT, **variables: str) -> subprocess.CompletedProcess[str]:
    return launch(program, **{"SAFE_NUMPY": "permissive", **variables})


@pytest.mark.parametrize("word", ["1", "yes", '"ON"'])
def test_printed(word: str) -> None:
    done = convert(SAFE_NUMPY_REPORT=word)
    assert (done.returncode, done.stdout) == (0, "")
    assert "\nsafe_numpy: Permissive mode made 5 conversions at 1 line of code: nothing copied.\n" in done.stderr


@pytest.mark.parametrize("word", ["", "0", "no", "off"])
def test_not_asked_for(word: str, tmp_path: Path) -> None:
    done = convert(f"import os\nos.chdir({str(tmp_path)!r})\n{CONVERT}", SAFE_NUMPY_REPORT=word)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(tmp_path.iterdir()) == []


def test_nothing_was_converted() -> None:
    done = launch("import safe_numpy", SAFE_NUMPY_REPORT="1")
    assert done.stderr == "\nsafe_numpy: Permissive mode has converted nothing.\n"


def test_a_file_in_new_folders(tmp_path: Path) -> None:
    file = tmp_path / "a" / "b" / "ledger.json"
    done = convert(SAFE_NUMPY_REPORT=str(file))
    assert (done.returncode, done.stderr) == (0, "")
    report = read(file)
    assert report.totals["count"] == 5
    assert report.processes[0].is_complete
    assert [path.name for path in file.parent.iterdir()] == ["ledger.json"]


def test_a_variable_that_is_set_later(tmp_path: Path) -> None:
    file = tmp_path / "ledger.json"
    done = convert("import os, safe_numpy\nos.environ['SAFE_NUMPY_REPORT'] = " + repr(str(file)) + CONVERT)
    assert (done.returncode, done.stderr) == (0, "")
    assert read(file).totals["count"] == 5


@pytest.mark.parametrize("options", [(), ("-W", "error::RuntimeWarning")])
def test_a_file_that_cannot_be_written(tmp_path: Path, options: tuple[str, ...]) -> None:
    (tmp_path / "file").write_text("not a folder")
    done = launch(CONVERT, *options, SAFE_NUMPY="permissive", SAFE_NUMPY_REPORT=str(tmp_path / "file" / "ledger.json"))
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("the report could not be written to") == 1 + done.stderr.count("Error: SAFE_NUMPY_REPORT")
    assert str(tmp_path / "file" / "ledger.json") in done.stderr
    assert "Traceback" not in done.stderr


def test_what_is_printed_to_a_file_stays(tmp_path: Path) -> None:
    """``/dev/stdout``, and the very file that it goes to, are not replaced: the report stands behind the output."""
    for word in ("/dev/stdout", "out.txt"):
        with (tmp_path / "out.txt").open("w") as file:
            subprocess.run(
                [sys.executable, "-c", f"print('before')\n{CONVERT}\nprint('after')"],
                env={**os.environ, "PYTHONPATH": str(ROOT), "SAFE_NUMPY": "permissive", "SAFE_NUMPY_REPORT": word},
                stdout=file, check=True, cwd=tmp_path, timeout=120,
            )  # fmt: skip
        printed, ledger = (tmp_path / "out.txt").read_text().split("after\n")
        assert printed == "before\n"
        assert json.loads(ledger)["totals"]["count"] == 5


def test_a_pipe_gets_the_report_once_and_stays_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.json"
    os.mkfifo(pipe)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()), daemon=True)
    reader.start()
    done = convert(SAFE_NUMPY_REPORT=str(pipe))
    reader.join(20)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(got[0])["totals"]["count"] == 5
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_pipe_that_nobody_reads_keeps_no_program_from_its_end(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.json"
    os.mkfifo(pipe)
    done = convert(SAFE_NUMPY_REPORT=str(pipe))
    assert (done.returncode, done.stdout) == (0, "")
    assert "SAFE_NUMPY_REPORT: the report could not be written" in done.stderr
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_device_is_written_into() -> None:
    ours, theirs = os.openpty()
    terminal = Path(os.ttyname(theirs))
    number = terminal.stat().st_rdev
    replace_file(terminal, b"report\n")
    assert os.read(ours, 100) == b"report\r\n"
    assert terminal.stat().st_rdev == number
    os.close(theirs)
    os.close(ours)


def test_a_program_that_fails_reports_too(tmp_path: Path) -> None:
    file = tmp_path / "ledger.json"
    done = convert(CONVERT + "raise KeyError(3)", SAFE_NUMPY_REPORT=str(file))
    assert done.returncode == 1
    assert done.stderr.endswith("KeyError: 3\n")
    assert read(file).totals["count"] == 5


SPAWNED = """
import concurrent.futures, multiprocessing, os, subprocess, sys, threading
import safe_numpy, torch, warnings
warnings.simplefilter("ignore", safe_numpy.ConversionWarning)

def work(n):
    x = torch.ones(4, requires_grad=True)
    for _ in range(n):
        x.numpy()
    return os.getpid()

def fork(n):
    child = os.fork()
    if child == 0:
        work(n)
        sys.exit(0)
    os.waitpid(child, 0)

class Data(torch.utils.data.Dataset):
    def __len__(self):
        return 4
    def __getitem__(self, i):
        work(1)
        return i

if __name__ == "__main__":
    how = sys.argv[1]
    work(3)
    if how == "fork by hand":
        fork(4)
    elif how == "subprocess":
        subprocess.run([sys.executable, __file__, "only"], check=True)
    elif how == "loader":
        list(torch.utils.data.DataLoader(Data(), num_workers=2))
    elif how != "only":
        context = multiprocessing.get_context(how)
        with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
            list(pool.map(work, [2, 2]))
"""


@pytest.mark.parametrize(
    ("how", "count"),
    [("fork", 7), ("spawn", 7), ("forkserver", 7), ("fork by hand", 7), ("subprocess", 6), ("loader", 7), ("only", 3)],
)
def test_each_process_writes_its_own(how: str, count: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script, folder = tmp_path / "work.py", tmp_path / "ledgers"
    script.write_text(SPAWNED)
    variables = {"SAFE_NUMPY": "permissive", "SAFE_NUMPY_REPORT": str(folder / "ledger.json"), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, str(script), how],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    files = sorted(path.name for path in folder.iterdir())
    own = [name for name in files if name.startswith("ledger.pid")]
    assert files == ["ledger.json", *own]
    assert bool(own) == (how != "only")
    assert read(folder / "ledger.json").totals["count"] == 3, "that of the program itself stands under its own name"
    reports = [read(folder / name) for name in files]
    assert sum(report.totals["count"] for report in reports) == count
    assert all(process.is_complete for report in reports for process in report.processes)
    assert cli.main(["report", str(folder)]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"Permissive mode made {count} conversions at 1 line of code")
    assert ("processes: pid " in out) == (how != "only")


def test_a_folder_is_filled_with_files_by_pid(tmp_path: Path) -> None:
    for _ in range(2):
        assert convert(SAFE_NUMPY_REPORT=f"{tmp_path}/").returncode == 0
    names = sorted(path.name for path in tmp_path.iterdir())
    assert len(names) == 2
    assert all(name.startswith("ledger.pid") and name.endswith(".json") for name in names)


def test_a_process_that_is_killed_leaves_what_it_knew(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "ledger.json"
    done = convert(CONVERT + "import os, signal; os.kill(os.getpid(), signal.SIGKILL)", SAFE_NUMPY_REPORT=str(file))
    assert done.returncode == -signal.SIGKILL
    report = read(file)
    assert report.totals["count"] == 1, "written with the first, and then every five seconds"
    assert not report.processes[0].is_complete
    assert cli.main(["report", str(file)]) == 0
    assert f"pid {report.processes[0].pid} was still running, or ended at once" in capsys.readouterr().out


def test_killed_while_writing_it_is_the_old_file_or_the_new(tmp_path: Path) -> None:
    """Writes a large ledger again and again, and is killed at twenty moments."""
    file = tmp_path / "ledger.json"
    program = textwrap.dedent(
        f"""
        import sys
        from safe_numpy.ledger import report as _report
        from safe_numpy.diagnosis.facts import Site
        from safe_numpy.ledger.ledger import Figures, Record
        for n in range(1, 10**6):
            records = [Record(Site(f"{{i}}.py", 1, "f"), Figures(n, 0)) for i in range(2000)]
            _report.Report(tuple(records), ()).to_json({str(file)!r})
            if n == 1:
                print("ready", flush=True)
        """
    )
    seen = set()
    for i in range(20):
        with subprocess.Popen(
            [sys.executable, "-c", program], stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)}
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(0.013 * i)
            process.kill()
        report = read(file)
        counts = {row["count"] for row in report.rows}
        assert len(report.rows) == 2000
        assert len(counts) == 1
        seen |= counts
    assert len(seen) > 1, "it was killed at different moments"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("{", "is no JSON"),
        ("[1]", "is no ledger of safe_numpy"),
        (
            '{"format": "safe_numpy ledger", "version": 99}',
            "has format version 99, of a newer safe_numpy; this one reads 1",
        ),
        ('{"format": "safe_numpy ledger", "version": "1"}', "field 'version': expected a whole number, got '1'"),
        (
            '{"format": "safe_numpy ledger", "version": 1, "rows": [{}], "processes": []}',
            "is damaged: row 1, field 'file': expected a path, got nothing",
        ),
    ],
)
def test_what_is_no_ledger(content: str, text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "x.json"
    file.write_text(content)
    for command in ("report", "fix"):
        assert cli.main([command, str(file)]) == 2
        captured = capsys.readouterr()
        assert (captured.out, captured.err.startswith(f"safe-numpy: {file} ")) == ("", True)
        assert text in captured.err
    assert convert(SAFE_NUMPY_REPORT=str(tmp_path / "good.json")).returncode == 0
    assert cli.main(["report", str(tmp_path)]) == 0
    captured = capsys.readouterr()
    assert "made 5 conversions" in captured.out
    assert captured.err.endswith(": passed over\n")


def test_no_such_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path, text in ((tmp_path / "none.json", "no file "), (tmp_path, "has no ledger files")):
        assert cli.main(["report", str(path)]) == 2
        assert text in capsys.readouterr().err


def test_several_ledgers_in_one_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a.json", "b.json"):
        convert(SAFE_NUMPY_REPORT=str(tmp_path / name))
    whole = tmp_path / "whole" / "whole.json"
    assert cli.main(["report", str(tmp_path / "a.json"), str(tmp_path / "b.json"), "--json", str(whole)]) == 0
    capsys.readouterr()
    assert read(whole).totals["count"] == 10
    assert len(json.loads(whole.read_text())["processes"]) == 2
