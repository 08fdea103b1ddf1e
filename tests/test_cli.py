"""The command line: programs run as `python` runs them, an honest doctor, and an autoload that is easy to remove."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import venv
from pathlib import Path

import pytest
from processes import ROOT

from safe_numpy.interfaces import autoload

GRAD = "import torch\ntorch.ones(2, requires_grad=True).numpy()\n"


def call(*arguments: str, cwd: Path | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("SAFE_NUMPY", "PYTEST", "PYTHON"))}
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        env={**environment, **variables},
        timeout=180,
        check=False,
        cwd=cwd,
    )


def command(*arguments: str, cwd: Path | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
    return call("-m", "safe_numpy", *arguments, cwd=cwd, **variables)


PROGRAMS = {
    "arguments": "import sys; print(sys.argv[1:], __name__, '__file__' in globals())",
    "exit code": "import sys; print('x'); sys.exit(7)",
    "exit text": "raise SystemExit('the end')",
    "error": "def f():\n    raise ValueError('no')\nf()",
    "syntax error": "print(",
    "input": "print(input())",
    "path": "import sys; print(sys.path[0], sys.modules['__main__'].__spec__ is None)",
    "interrupt": "raise KeyboardInterrupt",
    "flags": "import sys; print(sys.flags.dev_mode, sys.flags.optimize, __debug__)",
}


@pytest.mark.parametrize("form", ["script", "-c", "-m"])
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_runs_as_python_runs_it(program: str, form: str, tmp_path: Path) -> None:
    (tmp_path / "prog.py").write_text(PROGRAMS[program])
    start = {"script": ["prog.py"], "-c": ["-c", PROGRAMS[program]], "-m": ["-m", "prog"]}
    tail = [*start[form], "--mode", "off", "-x", "a b"]
    stock = call(*tail, cwd=tmp_path)
    ours = command("run", *tail, cwd=tmp_path, PYTHONPATH=str(ROOT))
    assert (ours.returncode, ours.stdout, ours.stderr) == (stock.returncode, stock.stdout, stock.stderr)


def test_the_guard_is_on_in_it_and_in_its_children(tmp_path: Path) -> None:
    (tmp_path / "prog.py").write_text(GRAD)
    done = command("run", "prog.py", cwd=tmp_path)
    assert "fix  " in done.stderr.replace("fix     ", "fix  ")
    assert "torch.ones(2, requires_grad=True).detach().numpy()" in done.stderr
    done = command("run", "--mode", "permissive", "prog.py", cwd=tmp_path)
    assert (done.returncode, "became a NumPy array" in done.stderr) == (0, True)
    done = command("run", "--mode=off", "prog.py", cwd=tmp_path)
    assert "cannot become" not in done.stderr
    child = f"import subprocess, sys; sys.exit(subprocess.run([sys.executable, '-c', {GRAD!r}]).returncode)"
    assert "cannot become a NumPy array" in command("run", "-c", child).stderr


def test_another_sitecustomize_still_runs(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("print('theirs')")
    done = command("run", "-c", "import sys; print('safe_numpy' in sys.modules)", PYTHONPATH=str(tmp_path))
    assert done.stdout.endswith("theirs\nTrue\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("docter",), "'docter' is none of run, demo, doctor, autoload, report, fix; did you mean 'doctor'?"),
        (("run",), "expected a script, -m module or -c code"),
        (("run", "--mode", "permisive", "x.py"), "did you mean 'permissive'?"),
        (("autoload", "onn"), "did you mean 'on'?"),
        ((), "required"),
    ],
)
def test_wrong_words(arguments: tuple[str, ...], said: str) -> None:
    done = command(*arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_help_and_version() -> None:
    assert "doctor" in command("--help").stdout
    for word in ("run", "demo", "doctor", "autoload", "report", "fix"):
        done = command(word, "--help")
        assert (done.returncode, done.stderr) == (0, "")
        assert len(done.stdout.splitlines()) >= 4
    assert command("--version").stdout.startswith("safe_numpy 0.")
    script = Path(sys.executable).parent / "safe-numpy"
    assert subprocess.run([script, "--version"], capture_output=True, text=True, check=True).stdout.startswith(
        "safe_numpy"
    )


def test_doctor() -> None:
    done = command("doctor", SAFE_NUMPY="permissive")
    assert done.returncode == 0, done.stdout
    assert "mode        permissive, set by SAFE_NUMPY=permissive\n" in done.stdout
    assert "door        torch.Tensor.numpy: safe_numpy\n" in done.stdout
    assert "broken      nothing\n" in done.stdout
    findings = json.loads(command("doctor", "--json").stdout)
    assert {"python", "safe_numpy", "numpy", "torch", "wrapt"} <= findings["versions"].keys()
    assert (findings["broken"], findings["autoload"]) == ([], False)


def test_doctor_finds_what_is_broken() -> None:
    broken = "import sys; sys.modules['numpy'] = None; sys.modules['tensorflow'] = None; sys.modules['keras'] = None\n"
    program = broken + "from safe_numpy.interfaces.cli import main; sys.exit(main(['doctor']))"
    done = call("-W", "ignore", "-c", program)
    assert done.returncode == 1
    assert "NumPy is not installed here: no tensor can become an array" in done.stdout
    patched = "import torch, safe_numpy\nours = torch.Tensor.numpy\n"
    patched += "def numpy(self): return ours(self)\ntorch.Tensor.numpy = numpy\n"
    done = call("-c", patched + "from safe_numpy.interfaces.cli import main; main(['doctor'])")
    assert "torch.Tensor.numpy: __main__, over safe_numpy" in done.stdout


def test_demo() -> None:
    done = command("demo")
    assert done.returncode == 0, done.stderr
    assert "`logits` cannot become a NumPy array, for 2 reasons" in done.stderr
    assert "fix     print(np.argmax(np.asarray(logits.detach().float().numpy()), axis=1))" in done.stderr
    assert "ConversionWarning" in done.stderr
    assert done.stdout.rstrip().endswith("]")


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """Another environment, whose site-packages the tests may write to; it sees the packages of this one."""
    venv.create(tmp_path / "env", with_pip=False)
    home = next((tmp_path / "env").glob("lib/python*/site-packages"))
    packages = [p for p in sys.path if p.endswith("site-packages")]
    (home / "_these.pth").write_text("\n".join([*packages, str(ROOT)]))
    return tmp_path / "env" / "bin" / "python"


def run_in(python: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("SAFE_NUMPY", "PYTEST", "PYTHON"))}
    return subprocess.run(
        [python, *arguments], capture_output=True, text=True, env={**plain, **variables}, timeout=180, check=False
    )


LOADED = "import sys; print('safe_numpy' in sys.modules)"


def test_autoload(environment: Path) -> None:
    assert run_in(environment, "-m", "safe_numpy", "autoload", "status").stdout == "autoload is off\n"
    assert run_in(environment, "-c", LOADED, SAFE_NUMPY="explain").stdout == "False\n"
    done = run_in(environment, "-m", "safe_numpy", "autoload", "on")
    assert done.stdout.startswith("autoload is on: ")
    assert "autoload is on" in run_in(environment, "-m", "safe_numpy", "autoload", "status").stdout
    for value, loaded in {"explain": True, "off": True, "": False, '""': False}.items():
        assert run_in(environment, "-c", LOADED, SAFE_NUMPY=value).stdout == f"{loaded}\n", value
    assert run_in(environment, "-c", LOADED).stdout == "False\n"
    explained = run_in(environment, "-c", GRAD, SAFE_NUMPY="explain")
    assert "cannot become a NumPy array" in explained.stderr
    assert run_in(environment, "-m", "safe_numpy", "autoload", "off").stdout == "autoload is off\n"
    assert run_in(environment, "-m", "safe_numpy", "autoload", "off").returncode == 0
    assert run_in(environment, "-c", LOADED, SAFE_NUMPY="explain").stdout == "False\n"


def test_autoload_survives_a_package_that_is_gone_or_broken(environment: Path, tmp_path: Path) -> None:
    run_in(environment, "-m", "safe_numpy", "autoload", "on")
    home = next((tmp_path / "env").glob("lib/python*/site-packages"))
    (home / "_these.pth").unlink()
    done = run_in(environment, "-c", "print('on')", SAFE_NUMPY="explain")
    assert done.stdout == "on\n"
    assert done.stderr.startswith("safe_numpy was not loaded (ModuleNotFoundError: No module named 'safe_numpy')")
    assert done.stderr.count("\n") == 1
    (home / "safe_numpy").mkdir()
    (home / "safe_numpy" / "__init__.py").write_text("1 / 0")
    done = run_in(environment, "-c", "print('on')", SAFE_NUMPY="explain")
    assert (done.stdout, done.stderr.count("\n")) == ("on\n", 1)
    assert "ZeroDivisionError" in done.stderr
    assert run_in(environment, "-c", "print('on')").stderr == ""


def test_autoload_costs_next_to_nothing_when_the_variable_is_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.delenv("SAFE_NUMPY", raising=False)
    line = compile(autoload._LINE, "x.pth", "exec")
    times = []
    for _ in range(101):
        start = time.perf_counter()
        exec(line)
        times.append(time.perf_counter() - start)
    assert sorted(times)[50] < 0.0002, "0.2 ms is the limit"


def test_autoload_where_nothing_can_be_written(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from safe_numpy.interfaces import cli

    monkeypatch.setattr(autoload, "find_file", lambda: Path("/proc/no/such.pth"))
    assert cli.main(["autoload", "on"]) == 1
    assert "safe-numpy: " in capsys.readouterr().err


def test_the_readme_commands_exist() -> None:
    readme = (ROOT / "README.md").read_text()
    for line in textwrap.dedent(readme).splitlines():
        if line.strip().startswith("safe-numpy "):
            assert line.split()[1] in ("run", "demo", "doctor", "autoload", "report", "fix", "--help"), line
