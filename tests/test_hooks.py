"""Shown unasked, in scripts and threads: after the traceback, and together with other people's hooks."""

from __future__ import annotations

import importlib.util

import pytest
from processes import launch, run

FAIL = "import safe_numpy, torch, numpy as np\na, t = np.ones(2), torch.ones(2)\n"
SAID = "`a` is an array and `t` a tensor"
OTHER = """
import sys, threading
def other(*arguments, before=sys.excepthook, name="sys"):
    print("other hook", file=sys.stderr)
    before(*arguments)
def other_thread(arguments, before=threading.excepthook):
    print("other thread hook", file=sys.stderr)
    before(arguments)
sys.excepthook, threading.excepthook = other, other_thread
"""


def test_in_a_script() -> None:
    done = launch(FAIL + "a + t")
    assert done.returncode == 1
    traceback, _, below = done.stderr.partition("\n\n")
    assert traceback.startswith("Traceback (most recent call last):")
    assert "safe_numpy" not in traceback
    assert below.startswith(SAID)
    assert "  line  <string>:3  a + t\n" in below
    assert below.endswith("convert the array instead: `torch.from_numpy(a)`\n")
    assert done.stdout == ""


def test_in_a_thread() -> None:
    done = launch(
        FAIL + "import threading\nw = threading.Thread(target=lambda: a + t); w.start(); w.join()\nprint('on')"
    )
    assert (done.returncode, done.stdout) == (0, "on\n")
    assert done.stderr.startswith("Exception in thread Thread-1")
    assert done.stderr.count(SAID) == 1


def test_nothing_is_said_twice_or_beside_the_point() -> None:
    plain = launch("import torch\ntorch.ones(2, requires_grad=True).numpy()").stderr
    explained = launch("import safe_numpy, torch\ntorch.ones(2, requires_grad=True).numpy()").stderr
    assert explained.count("cannot become a NumPy array") == 1
    assert "cannot become" not in plain
    for last in ("1 / 0", "raise SystemExit(3)", "raise KeyboardInterrupt", "[].no_such", "1 + 'x'"):
        ours, stock = launch("import safe_numpy\n" + last), launch("import sys\n" + last)
        assert (ours.returncode, ours.stderr, ours.stdout) == (stock.returncode, stock.stderr, stock.stdout)


def test_colour_in_the_traceback_still_comes() -> None:
    text = launch("import safe_numpy, torch\ntorch.ones(2, requires_grad=True).numpy()", FORCE_COLOR="1").stderr
    assert "\x1b[32mtorch.ones(2, requires_grad=True).detach().numpy()\x1b[0m" in text
    assert f"\x1b[1m{SAID}" in launch(FAIL + "a + t", FORCE_COLOR="1").stderr


def test_another_hook_before_ours_and_after() -> None:
    for program in (OTHER + FAIL, FAIL + OTHER):
        done = launch(program + "a + t")
        assert done.stderr.count("other hook") == 1
        assert done.stderr.count("Traceback") == 1
        assert done.stderr.count(SAID) == 1
        done = launch(program + "import threading; w = threading.Thread(target=lambda: a + t); w.start(); w.join()")
        assert done.stderr.count("other thread hook") == 1
        assert done.stderr.count(SAID) == 1


def test_an_error_that_ended_nothing_is_not_shown_at_the_end() -> None:
    """As pytest and pdb note one in ``sys.last_value``."""
    noted = "import sys\ntry:\n    a + t\nexcept TypeError as error:\n    sys.last_value = error\n"
    done = launch(FAIL + noted)
    assert (done.returncode, done.stderr) == (0, "")


SILENCING = """
import sys, traceback
def show(kind, error, trace):
    print("shown by another:", "".join(traceback.format_exception(kind, error, trace)), file=sys.stderr)
sys.excepthook = show
"""


def test_a_hook_that_calls_nobody_before_ours_and_after() -> None:
    """As rich.traceback.install() puts one."""
    for program in (
        SILENCING + FAIL,
        FAIL + SILENCING,
        FAIL + "safe_numpy.uninstall(); safe_numpy.install()" + SILENCING,
    ):
        done = launch(program + "a + t")
        assert done.stderr.count("shown by another") == 1
        assert done.stderr.count(SAID) == 1
        assert SAID not in launch(program + "safe_numpy.uninstall()\na + t").stderr
        assert SAID not in launch(program + "try:\n    a + t\nexcept TypeError:\n    pass\nprint('fine')").stderr


@pytest.mark.skipif(importlib.util.find_spec("rich") is None, reason="it is not there")
def test_richs_own_hook() -> None:
    rich = "from rich.traceback import install; install()\n"
    for program in (rich + FAIL, FAIL + rich):
        assert launch(program + "a + t").stderr.count(SAID) == 1


def test_uninstall_takes_ours_out() -> None:
    ours = "import sys, threading; before = sys.excepthook, threading.excepthook\n" + FAIL
    check = "\nprint((sys.excepthook, threading.excepthook) == before)\na + t"
    done = launch(ours + "safe_numpy.install(); safe_numpy.uninstall(); safe_numpy.uninstall()" + check)
    assert done.stdout == "True\n"
    assert SAID not in done.stderr
    done = launch(FAIL + OTHER + "safe_numpy.uninstall()\na + t")
    assert done.stderr.count("other hook") == 1
    assert SAID not in done.stderr, "it is in the chain still, and silent"
    done = launch(FAIL + OTHER + "safe_numpy.uninstall(); safe_numpy.install()\na + t")
    assert (done.stderr.count("other hook"), done.stderr.count(SAID)) == (1, 1)


def test_reload_does_not_chain_twice() -> None:
    done = launch(
        FAIL
        + "import importlib; from safe_numpy.postmortem import excepthook as hooks\n"
        + "importlib.reload(hooks); hooks.add_hooks(); importlib.reload(safe_numpy); safe_numpy.install()\na + t"
    )
    assert done.stderr.count(SAID) == 1
    assert done.stderr.count("Traceback") == 1


def test_a_broken_explanation_is_not_shown() -> None:
    done = launch(FAIL + "from safe_numpy import _why\n_why.find_unsaid = None\na + t")
    assert done.stderr.count("Traceback") == 1
    assert "NoneType" not in done.stderr


def test_off_is_off() -> None:
    assert SAID not in launch(FAIL + "safe_numpy.set_mode('off')\na + t").stderr
    assert SAID in launch(FAIL + "safe_numpy.set_mode('permissive')\na + t").stderr


def test_off_at_import_hooks_nothing() -> None:
    assert run("import sys, safe_numpy; print(sys.excepthook is sys.__excepthook__)", SAFE_NUMPY="off") == "True\n"
