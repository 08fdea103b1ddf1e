"""Worker processes of every kind: guard, mode and messages hold in each; the README says which needs what."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from processes import ROOT

WORK = """
import torch
def work(i):
    x = torch.ones(2, requires_grad=True)
    try:
        return x.numpy().sum()
    except RuntimeError as error:
        return [type(error).__name__, "cannot become a NumPy array" in str(error), "x.detach().numpy()" in str(error)]
"""
MAIN = """
import sys, warnings
sys.path.insert(0, {folder!r})
import work
{imports}
if __name__ == "__main__":
    warnings.simplefilter("ignore")
    {body}
"""

STARTS = {
    "fork": "import multiprocessing as m; print(m.get_context('fork').Pool(1).map(work.work, [1])[0])",
    "spawn": "import multiprocessing as m; print(m.get_context('spawn').Pool(1).map(work.work, [1])[0])",
    "forkserver": "import multiprocessing as m; print(m.get_context('forkserver').Pool(1).map(work.work, [1])[0])",
    "concurrent.futures": "import concurrent.futures as c; print(*c.ProcessPoolExecutor(1).map(work.work, [1]))",
    "concurrent.futures, fork": "import concurrent.futures as c, multiprocessing as m; "
    "print(*c.ProcessPoolExecutor(1, mp_context=m.get_context('fork')).map(work.work, [1]))",
    "concurrent.futures, spawn": "import concurrent.futures as c, multiprocessing as m; "
    "print(*c.ProcessPoolExecutor(1, mp_context=m.get_context('spawn')).map(work.work, [1]))",
    "threads": "import concurrent.futures as c; print(*c.ThreadPoolExecutor(1).map(work.work, [1]))",
    "joblib, loky": "import joblib; print(*joblib.Parallel(2)(joblib.delayed(work.work)(i) for i in [1]))",
}
EXPLAINED = "['GradError', True, True]\n"


def run_main(folder: Path, imports: str, body: str, *launcher: str, **variables: str) -> str:
    (folder / "work.py").write_text(WORK)
    (folder / "main.py").write_text(MAIN.format(folder=str(folder), imports=imports, body=body))
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("SAFE_NUMPY", "PYTEST"))}
    done = subprocess.run(
        [sys.executable, *launcher, "main.py"],
        capture_output=True,
        text=True,
        env={**plain, "PYTHONPATH": str(ROOT), **variables},
        cwd=folder,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("start", STARTS)
def test_the_guard_holds_in_a_worker(start: str, tmp_path: Path) -> None:
    # joblib's workers import the function's module only: the import stands there, or comes with the launcher
    imports = "" if start.startswith("joblib") else "import safe_numpy"
    launcher = ["-m", "safe_numpy", "run"] if start.startswith("joblib") else []
    assert run_main(tmp_path, imports, STARTS[start], *launcher) == EXPLAINED
    assert run_main(tmp_path, imports, STARTS[start], *launcher, SAFE_NUMPY="permissive") in (
        "2.0\n",
        "np.float32(2.0)\n",
    )


@pytest.mark.parametrize("start", ["fork", "concurrent.futures, fork", "threads"])
def test_a_mode_that_was_set_is_inherited_where_memory_is(start: str, tmp_path: Path) -> None:
    body = f"safe_numpy.set_mode('permissive'); {STARTS[start]}"
    assert run_main(tmp_path, "import safe_numpy", body) == "2.0\n"


@pytest.mark.parametrize("start", ["spawn", "forkserver"])
def test_a_mode_that_was_set_is_not_where_it_is_not(start: str, tmp_path: Path) -> None:
    body = f"safe_numpy.set_mode('permissive'); {STARTS[start]}"
    assert run_main(tmp_path, "import safe_numpy", body) == EXPLAINED, "the README says so: use the variable"


def test_data_loader_workers(tmp_path: Path) -> None:
    body = textwrap.dedent("""
        import torch
        loader = torch.utils.data.DataLoader(work.Data(), num_workers=1, multiprocessing_context={start!r})
        try:
            next(iter(loader))
        except safe_numpy.GradError as error:
            print(isinstance(error, RuntimeError), "fix  " in str(error), "detach().numpy()" in str(error))
    """)
    for start in ("fork", "spawn", "forkserver"):
        indented = textwrap.indent(body.format(start=start), "    ").strip()
        work = WORK + "class Data:\n    def __len__(self): return 1\n    def __getitem__(self, i): "
        work += "return torch.ones(2, requires_grad=True).numpy()\n"
        (tmp_path / "work.py").write_text(work)
        (tmp_path / "main.py").write_text(MAIN.format(folder=str(tmp_path), imports="import safe_numpy", body=indented))
        done = subprocess.run(
            [sys.executable, "main.py"],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            cwd=tmp_path,
            timeout=180,
            check=False,
        )
        assert done.stdout == "True True True\n", done.stderr


def test_torchrun_says_the_rank(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(
        "import safe_numpy, torch, os\nx = torch.ones(2, requires_grad=True)\n"
        "try:\n    x.numpy()\nexcept RuntimeError as error:\n"
        "    open(f'rank{os.environ[\"RANK\"]}.txt', 'w').write(str(error))\n"
        "with safe_numpy.mode('permissive'):\n    x.numpy()\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", "train.py"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        cwd=tmp_path,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for rank in (0, 1):
        assert f"  line  train.py:4  x.numpy()   (rank {rank} of 2)\n" in (tmp_path / f"rank{rank}.txt").read_text()
    assert "ConversionWarning: rank 0 of 2: `x`, Tensor float32[2]" in done.stderr
    assert done.stderr.count("ConversionWarning") == 1, "rank 0 speaks for all"


HELD = """
import faulthandler, os, threading
import safe_numpy
from safe_numpy.config import modes

held, done = threading.Event(), threading.Event()

def change():
    with modes.LOCK:
        held.set()
        done.wait(1)

threading.Thread(target=change).start()
held.wait()
pid = os.fork()
if pid == 0:
    faulthandler.dump_traceback_later(20, exit=True)
    with safe_numpy.mode("permissive"):
        os._exit(0)
done.set()
print(os.waitpid(pid, 0)[1])
"""


def test_a_fork_while_another_thread_changes_the_mode() -> None:
    done = subprocess.run([sys.executable, "-c", HELD], capture_output=True, text=True, timeout=100, check=False)
    assert done.stdout == "0\n", done.stderr
