"""``safe-numpy run``: a program run by a fresh `python`, in which safe_numpy is loaded first.

Nothing of the program's own start is imitated: it is Python's own. A `sitecustomize` on the path loads safe_numpy,
takes itself off the path, and hands on to the `sitecustomize` that would have been found without it. Child processes
inherit it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from safe_numpy.config.modes import VARIABLE, Mode

START_UP = Path(__file__).parent / "startup"


def launch(program: Sequence[str], mode: Mode | None) -> int:  # noqa: RET503
    """Become ``python program…``; where a process cannot become another one, wait for it and return its status."""
    environment = dict(os.environ)
    if mode is not None:
        environment[VARIABLE] = mode.value
    package_home = str(Path(__file__).parents[2])
    inherited = environment.get("PYTHONPATH")
    environment["SAFE_NUMPY_HOME"] = package_home
    environment["PYTHONPATH"] = os.pathsep.join([str(START_UP), *([inherited] if inherited else [])])
    # the options that this Python was given: -X, -W, -O …
    command = [sys.executable, *subprocess._args_from_interpreter_flags(), *program]  # type: ignore[attr-defined]
    sys.stdout.flush()
    sys.stderr.flush()
    if os.name == "nt":  # where exec starts another process, and ends this one at once
        return subprocess.run(command, env=environment, check=False).returncode
    os.execve(sys.executable, command, environment)  # does not return
