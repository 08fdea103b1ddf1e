"""The command line: ``python -m safe_numpy``, or ``safe-numpy``."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from safe_numpy.config.modes import MODE, Mode
from safe_numpy.messages.units import show_controls, suggest
from safe_numpy.version import __version__

_RUN_OPTIONS = ("--mode", "-h", "--help")


class _Parser(argparse.ArgumentParser):
    """Suggests a word that is known for one that is not."""

    def error(self, message: str) -> NoReturn:
        unknown = re.search(r"invalid choice: '([^']*)' \(choose from (.*)\)", message)
        if unknown:
            known = re.findall(r"[\w-]+", unknown[2])
            message = f"{unknown[1]!r} is none of {', '.join(known)}{suggest(unknown[1], known)}"
        super().error(message)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return the exit status."""
    given, program = _split(list(sys.argv[1:] if arguments is None else arguments))
    parsed = _make_arguments().parse_args(given)
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


def _make_arguments() -> argparse.ArgumentParser:
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

    show = commands.add_parser(
        "report",
        help="what permissive mode converted, from ledger files; of several processes together",
        description="Show ledger files, as SAFE_NUMPY_REPORT=PATH and report().to_json(PATH) write them: the processes "
        "of a run are added up.",
    )
    _add_paths(show)
    show.add_argument("--json", type=Path, metavar="FILE", help="write the whole as one ledger file")
    show.set_defaults(command=_report)

    fix = commands.add_parser(
        "fix",
        help="rewrite the booked lines, so that they convert explicitly",
        description="Print a unified diff that rewrites the lines of a ledger to their explicit form; what is not "
        "certain is left, with the reason. Exit status 1 if something was left.",
    )
    _add_paths(fix)
    fix.add_argument("--apply", action="store_true", help="write the files, each at one stroke")
    fix.add_argument(
        "--root",
        type=Path,
        action="append",
        metavar="FOLDER",
        help="touch only files below it, by default the working directory; may be given several times",
    )
    fix.set_defaults(command=_fix)
    return parser


def _add_paths(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("paths", type=Path, nargs="+", metavar="PATH", help="a ledger file, or a folder of them")


def _read_ledgers(paths: Sequence[Path]) -> Any:
    """Return the report of all ledgers; in a folder, what is none is passed over, with a word."""
    from safe_numpy.ledger.files import NoLedgerError, find_ledgers
    from safe_numpy.ledger.report import merge_reports, read_report

    reports = []
    for file in find_ledgers(paths):
        try:
            reports.append(read_report(file))
        except NoLedgerError as error:
            if file in paths:
                raise
            _say_failure(f"{error}: passed over")
    if not reports:
        raise FileNotFoundError(f"no ledger in {', '.join(map(str, paths))}")
    return merge_reports(reports)


def _say_failure(what: object) -> None:
    print(show_controls(f"safe-numpy: {what}"), file=sys.stderr)


def _report(parsed: argparse.Namespace) -> int:
    try:
        whole = _read_ledgers(parsed.paths)
        if parsed.json is not None:
            whole.to_json(parsed.json)
    except (OSError, ValueError) as error:
        _say_failure(error)
        return 2
    print(whole)
    return 0


def _fix(parsed: argparse.Namespace) -> int:
    try:
        whole = _read_ledgers(parsed.paths)
        from safe_numpy.interfaces.codemod import plan_rewritings

        rewritings, skipped = plan_rewritings(whole, parsed.root or [Path()])
        for rewriting in rewritings:
            diff = rewriting.diff()  # for `patch` as it is; a terminal would obey what stands in the file
            print(show_controls(diff) if sys.stdout.isatty() else diff, end="")
            if parsed.apply:
                rewriting.write()
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "libcst":
            raise
        print("safe-numpy: fix needs libcst: pip install 'safe-numpy[fix]'", file=sys.stderr)
        return 2
    except (OSError, ValueError) as error:
        _say_failure(error)
        return 2
    for left in skipped:
        print(show_controls(f"{left.place}: left as it is: {left.reason}"), file=sys.stderr)
    count = sum(rewriting.count for rewriting in rewritings)
    verb = "rewritten" if parsed.apply else "to rewrite; --apply does it"
    files = f" in {len(rewritings)} file{'' if len(rewritings) == 1 else 's'}" if rewritings else ""
    print(f"{count} line{'' if count == 1 else 's'}{files} {verb}", file=sys.stderr)
    return 1 if skipped else 0


def _read_mode(word: str) -> Mode:
    try:
        return MODE.parse(word)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{error}{suggest(word, [m.value for m in Mode])}") from None


def _run(parsed: argparse.Namespace) -> int:
    from safe_numpy.interfaces.run import launch

    if not parsed.program:
        parsed.parser.error("expected a script, -m module or -c code")
    return launch(parsed.program, parsed.mode)


def _demo(parsed: argparse.Namespace) -> int:
    from safe_numpy.interfaces import demo

    return demo.show()


def _doctor(parsed: argparse.Namespace) -> int:
    from safe_numpy.interfaces import doctor

    findings = doctor.examine_everything()
    print(json.dumps(findings, indent=2) if parsed.json else doctor.render_text(findings))
    return 1 if findings["broken"] else 0


def _autoload(parsed: argparse.Namespace) -> int:
    from safe_numpy.interfaces import autoload

    try:
        print(getattr(autoload, f"switch_{parsed.switch}" if parsed.switch != "status" else "describe")())
    except OSError as error:
        _say_failure(error)
        return 1
    return 0
