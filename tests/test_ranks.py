"""Several ranks, under torchrun on gloo: each counts, the first speaks, and nobody hangs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from processes import ROOT

import safe_numpy
from safe_numpy.interfaces import cli
from safe_numpy.ledger import report as _report
from safe_numpy.messages import units

HEAD = """
import json, os, sys, warnings
import safe_numpy, torch
import numpy as np
import torch.distributed as dist
dist.init_process_group("gloo")
rank = dist.get_rank()
x = torch.ones(4, requires_grad=True)

def say(**facts):
    with open(f"rank{rank}.json", "w") as file:
        json.dump(facts, file)
"""


# Taking gloo down ends 2 of 28 processes of stock torch 2.13 with "terminate called without an active exception" on a
# busy machine, without us as well: what is to happen at exit is done, and the process ends there.
TAIL = """
dist.barrier()
import atexit
atexit._run_exitfuncs()
sys.stdout.flush()
sys.stderr.flush()
os._exit(0)
"""


def launch(tmp_path: Path, program: str, **variables: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "train.py").write_text(HEAD + textwrap.dedent(program) + TAIL)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("SAFE_NUMPY")}
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "train.py"],
        capture_output=True,
        text=True,
        env={**environment, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "SAFE_NUMPY": "permissive", **variables},
        cwd=tmp_path,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done


SPAWNED = """
import sys, warnings
import safe_numpy, torch
import torch.distributed as dist
import torch.multiprocessing

def train(rank, folder):
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    x = torch.ones(4, requires_grad=True)
    x.numpy()
    dist.barrier()
    sys.stderr.flush()
    import os
    os._exit(0)

if __name__ == "__main__":
    torch.multiprocessing.spawn(train, (sys.argv[1],), nprocs=2)
"""


def test_one_rank_speaks_where_no_variable_tells(tmp_path: Path) -> None:
    (tmp_path / "spawned.py").write_text(SPAWNED)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("SAFE_NUMPY")}
    done = subprocess.run(
        [sys.executable, "spawned.py", str(tmp_path)],
        capture_output=True,
        text=True,
        env={**environment, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "SAFE_NUMPY": "permissive"},
        cwd=tmp_path,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = [line for line in done.stderr.splitlines() if "ConversionWarning" in line]
    assert len(told) == 1
    assert "ConversionWarning: rank 0 of 2: " in told[0]


@pytest.mark.parametrize(
    "launcher", [("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"), ("SLURM_PROCID", "SLURM_NTASKS")]
)
def test_other_launchers_have_variables_of_their_own(
    launcher: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rank, size = launcher
    monkeypatch.setenv(rank, "3")
    assert units.get_rank() is None
    monkeypatch.setenv(size, "4")
    assert (units.get_rank(), units.find_rank()) == (3, "rank 3 of 4")
    monkeypatch.setenv(size, "1")
    assert units.get_rank() is None


def test_the_ledgers_of_two_ranks_add_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "ledgers"
    done = launch(
        tmp_path,
        """
        for _ in range(10 * (rank + 1)):
            np.asarray(x.bfloat16())
        """,
        SAFE_NUMPY_REPORT=f"{folder}/ledger.json",
    )
    files = sorted(folder.iterdir())
    assert [file.name.rpartition(".pid")[0] for file in files] == ["ledger.rank0", "ledger.rank1"]
    reports = [_report.read_report(file) for file in files]
    assert [r.totals["count"] for r in reports] == [10, 20]
    assert [r.processes[0].rank for r in reports] == [0, 1]
    whole = tmp_path / "whole.json"
    assert cli.main(["report", str(folder), "--json", str(whole)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("Permissive mode made 30 conversions at 1 line of code: ")
    assert "Of 2 processes: rank 0, rank 1.\n" in out
    merged = _report.read_report(whole).totals
    for key in ("count", "count_explicit", "bytes", "bytes_allocated", "seconds"):
        assert merged[key] == pytest.approx(sum(r.totals[key] for r in reports)), key
    assert merged["bytes_allocated"] == 30 * 16
    assert done.stderr.count("ConversionWarning") == 1
    assert "ConversionWarning: rank 0 of 2: " in done.stderr


def test_gathering_over_the_process_group(tmp_path: Path) -> None:
    launch(
        tmp_path,
        """
        from safe_numpy import report
        for _ in range(3 + rank):
            x.numpy()
        own = report().totals["count"]
        alone = [dist.new_group([0]), dist.new_group([1])][rank]
        counts = [report(group=g).totals["count"] for g in ("world", dist.group.WORLD, alone)]
        whole = report(group="world", reset=True)
        say(own=own, counts=counts, ranks=[p.rank for p in whole.processes], left=report().totals["count"],
            rows=[(row["line"], row["count"]) for row in whole.rows])
        """,
    )
    for rank in (0, 1):
        said = json.loads((tmp_path / f"rank{rank}.json").read_text())
        assert said["own"] == 3 + rank
        assert said["counts"] == [7, 7, 3 + rank]
        assert said["ranks"] == [0, 1]
        assert said["left"] == 0
        assert [count for _, count in said["rows"]] == [7]


@pytest.mark.parametrize("group", ["all", 3, object()])
def test_what_is_no_group(group: object) -> None:
    with pytest.raises(ValueError, match="expected a process group of torch"):
        safe_numpy.report(group=group, reset=True)


def test_a_sharded_tensor_is_refused_and_no_rank_hangs(tmp_path: Path) -> None:
    launch(
        tmp_path,
        """
        from torch.distributed.device_mesh import init_device_mesh
        try:
            from torch.distributed.tensor import Replicate, Shard, distribute_tensor
        except ImportError:  # torch 2.4
            from torch.distributed._tensor import Replicate, Shard, distribute_tensor
        mesh = init_device_mesh("cpu", (2,))
        whole = distribute_tensor(torch.arange(6.0), mesh, [Replicate()])
        sharded = distribute_tensor(torch.arange(6.0), mesh, [Shard(0)])
        errors = []
        if rank == 1:  # one rank alone: a collective would hang
            for door in (lambda: sharded.numpy(), lambda: np.asarray(sharded), lambda: safe_numpy.to_numpy(sharded)):
                try:
                    door()
                except safe_numpy.ShardedError as error:
                    errors.append(str(error))
        warnings.simplefilter("ignore", safe_numpy.ConversionWarning)
        say(errors=errors, whole=whole.numpy().tolist(), full=sharded.full_tensor().numpy().tolist())
        """,
    )
    said = [json.loads((tmp_path / f"rank{rank}.json").read_text()) for rank in (0, 1)]
    assert [len(each["errors"]) for each in said] == [0, 3]
    for text in said[1]["errors"]:
        assert "it is a DTensor spread over 2 ranks" in text
        assert "full_tensor()` on every rank of the mesh" in text
    assert all(each["whole"] == each["full"] == [0, 1, 2, 3, 4, 5] for each in said)


def test_parameters_that_starve_under_ddp_are_told_by_the_first_rank(tmp_path: Path) -> None:
    done = launch(
        tmp_path,
        """
        from torch.nn.parallel import DistributedDataParallel

        class Net(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.body, self.head = torch.nn.Linear(4, 4), torch.nn.Linear(4, 2)

            def forward(self, x):
                return self.head(torch.from_numpy(np.tanh(self.body(x).numpy())))

        model = DistributedDataParallel(Net(), find_unused_parameters=True)
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        for _ in range(3):
            optimizer.zero_grad()
            model(torch.ones(3, 4)).sum().backward()
            optimizer.step()
        say(counts=safe_numpy.report().totals["count"])
        """,
    )
    told = [line for line in done.stderr.splitlines() if "SeveredGradientWarning" in line]
    assert len(told) == 1
    assert "body.weight and body.bias got no gradient; their paths were cut at train.py:" in told[0]
    assert "`self.body(x).numpy()`" in told[0]
    for rank in (0, 1):
        assert json.loads((tmp_path / f"rank{rank}.json").read_text()) == {"counts": 3}
