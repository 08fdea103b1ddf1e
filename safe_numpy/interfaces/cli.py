"""The command line: ``python -m safe_numpy``, or ``safe-numpy``."""

from __future__ import annotations

import argparse
import difflib
import re
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from safe_numpy import _modes
from safe_numpy._version import __version__

_RUN_OPTIONS = ("--mode", "-h", "--help")


class _Parser(argparse.ArgumentParser):
    """Suggests a word that is known for one that is not."""

    def error(self, message: str) -> NoReturn:
        unknown = re.search(r"invalid choice: '([^']*)' \(choose from (.*)\)", message)
        if unknown:
            known = re.findall(r"[\w-]+", unknown[2])
            close = difflib.get_close_matches(unknown[1], known, 1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            message = f"{unknown[1]!r} is none of {', '.join(known)}{hint}"
        super().error(message)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return the exit status."""
    given, program = _split(list(sys.argv[1:] if arguments is None else arguments))
    parsed = _make_parser().parse_args(given)
    parsed.program = program
    command: Any = parsed.command
    return int(command(parsed))


def _split(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Return our own arguments, and what `run` is to run: all from the first word that is none of ours."""
    if arguments[:1] != ["run"]:
        return arguments, []
    end = 1
    while end < len(arguments) and arguments[end].startswith(_RUN_OPTIONS):
        end += 2 if arguments[end] == "--mode" else 1
    return arguments[:end], arguments[end:]


def _make_parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="safe-numpy",
        description="Says why a tensor cannot become a NumPy array, all reasons at once, with a fix that runs.",
    )
    parser.add_argument("--version", action="version", version=f"safe_numpy {__version__}")
    commands = parser.add_subparsers(metavar="command", required=True, title="commands")

    run = commands.add_parser(
        "run",
        help="run a Python program with the guard on; nothing in it need be changed",
        description="Run a program exactly as `python` would, with the guard on, in it and in its child processes.",
        usage="safe-numpy run [--mode MODE] [script.py | -m module | -c code] [arguments ...]",
    )
    run.add_argument("--mode", type=_read_mode, help="off, explain, permissive or strict; else SAFE_NUMPY, or explain")
    run.set_defaults(command=_run, parser=run)

    demo = commands.add_parser("demo", help="a failing conversion explained, and the same one converted")
    demo.set_defaults(command=_demo)

    doctor = commands.add_parser(
        "doctor",
        help="versions, devices, what is guarded; what is broken, if anything",
        description="Look at this environment. Exit status 1 if tensors cannot become arrays in it at all.",
    )
    doctor.add_argument("--json", action="store_true", help="for programs to read")
    doctor.set_defaults(command=_doctor)

    autoload = commands.add_parser(
        "autoload",
        help="load safe_numpy in every Python of this environment when SAFE_NUMPY is set",
        description="With autoload on, `SAFE_NUMPY=explain jupyter lab` needs no import anywhere. It is one .pth file "
        "in this environment's site-packages; `off` removes it.",
    )
    autoload.add_argument("switch", choices=("on", "off", "status"))
    autoload.set_defaults(command=_autoload)
    return parser


def _read_mode(word: str) -> _modes.Mode:
    try:
        return _modes.parse(word)
    except ValueError as error:
        words = [m.value for m in _modes.Mode]
        close = difflib.get_close_matches(word, words, 1)
        raise argparse.ArgumentTypeError(f"{error}" + (f"; did you mean {close[0]!r}?" if close else "")) from None


def _run(parsed: argparse.Namespace) -> int:
    from safe_numpy.interfaces import launcher

    if not parsed.program:
        parsed.parser.error("expected a script, -m module or -c code")
    return launcher.launch(parsed.program, parsed.mode)


def _demo(parsed: argparse.Namespace) -> int:
    from safe_numpy.interfaces import demo

    return demo.show()


def _doctor(parsed: argparse.Namespace) -> int:
    from safe_numpy.interfaces import doctor

    findings = doctor.examine()
    print(doctor.to_json(findings) if parsed.json else doctor.to_text(findings))
    return 1 if findings["broken"] else 0


def _autoload(parsed: argparse.Namespace) -> int:
    from safe_numpy.interfaces import autoload

    try:
        print(getattr(autoload, f"switch_{parsed.switch}" if parsed.switch != "status" else "describe")())
    except OSError as error:
        print(f"safe-numpy: {error}", file=sys.stderr)
        return 1
    return 0
