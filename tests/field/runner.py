"""Runs a program's text in a process of its own, forked from one that has imported the frameworks already."""

from __future__ import annotations

import contextlib
import gc
import io
import json
import multiprocessing
import os
import re
import signal
import sys
import tempfile
import traceback
import types
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

SECONDS = 60
NAME = "program.py"


@dataclass
class Run:
    """What came of a program."""

    is_done: bool = False
    output: str = ""
    error: str = ""
    """type and text of the exception"""
    lineno: int = 0
    """the innermost line of the program in its traceback"""
    lines: list[int] = field(default_factory=list)
    """the same of the errors that caused it, of a group's and of a worker's, which only tells it"""
    is_guarded: bool = False
    """a guard explained it; else `why` did, if `headline` is not empty"""
    headline: str = ""
    kinds: list[str] = field(default_factory=list)
    name: str = ""
    fix: str = ""
    """what the explanation shows to be pasted; empty: nothing"""
    fix_lineno: int = 0
    is_part: bool = False
    is_warned: bool = False
    """it was said that parameters do not learn any more"""
    text: str = ""
    """the whole explanation"""


def run_all(jobs: Iterable[tuple[str, str]], processes: int = 2) -> list[Run]:
    """Run programs side by side, each in a forked process.

    A job is a program's text, and one of safe_numpy's modes, or ``stock``.
    """
    results: dict[int, Run] = {}
    running: dict[int, tuple[int, Path]] = {}
    pending = list(enumerate(jobs))[::-1]
    with tempfile.TemporaryDirectory() as folder:
        while pending or running:
            while pending and len(running) < processes:
                number, (text, mode) = pending.pop()
                file = Path(folder, f"{number}.json")  # and not a pipe, which holds 64 KiB until somebody reads
                running[_start(text, mode, file)] = number, file
            process, _ = os.wait()
            if process in running:
                number, file = running.pop(process)
                content = file.read_text() if file.exists() else ""
                results[number] = Run(**json.loads(content)) if content else Run(error="it ended without a word")
    return [results[n] for n in sorted(results)]


def _start(text: str, mode: str, file: Path) -> int:
    process = os.fork()
    if process:
        return process
    status = 1
    try:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(SECONDS)
        file.write_text(json.dumps(asdict(_execute(text, mode))))
        status = 0
    finally:
        os._exit(status)


def _execute(text: str, mode: str) -> Run:
    stderr = os.open(os.devnull, os.O_WRONLY)
    os.dup2(stderr, 2)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        Path(NAME).write_text(text)
        os.environ["SAFE_NUMPY"] = mode
        if mode != "stock":
            import safe_numpy
        result, output = Run(), io.StringIO()
        module = types.ModuleType("__main__")
        module.__file__ = str(Path(NAME).resolve())
        sys.modules["__main__"] = module
        # as their writers had it: since Python 3.14 workers begin with the file of `__main__`, which is none here
        multiprocessing.set_start_method("fork", force=True)
        sys.argv = [NAME]
        warnings.simplefilter("ignore")
        if mode == "permissive":
            warnings.simplefilter("always", safe_numpy.SeveredGradientWarning)
            warnings.simplefilter("always", safe_numpy.ConversionWarning)

            def note(message: Warning | str, category: type[Warning], *about: Any, **more: Any) -> None:
                is_named = issubclass(category, safe_numpy.SeveredGradientWarning)
                result.is_warned |= is_named or "No gradient passes through" in str(message)

            warnings.showwarning = note
        try:
            with contextlib.redirect_stdout(output):
                exec(compile(text, module.__file__, "exec", dont_inherit=True), module.__dict__)
            result.is_done = True
        except BaseException as error:
            _note(result, error, module.__file__, mode)
        result.output = output.getvalue()[-20_000:]
        os.chdir("/")
    return result


def _note(result: Run, error: BaseException, filename: str, mode: str) -> None:
    result.error = f"{type(error).__name__}: {str(error)[:300]}"
    lines = _list_lines(error, filename)
    result.lineno = lines[-1] if lines else 0
    chain = _list_chain(error)
    result.lines = [line for inner in chain for line in _list_lines(inner, filename)[-1:]]
    told = [re.findall(r'program\.py", line (\d+)', str(inner)) for inner in chain]  # by a worker process
    result.lines += [int(numbers[-1]) for numbers in told if numbers]
    if mode == "stock":
        return
    from safe_numpy.postmortem.why import find_explained, why

    explained = find_explained(error)
    if explained is not None and explained.diagnosis is not None:
        diagnosis = explained.diagnosis
        result.is_guarded = True
        result.name = diagnosis.name if diagnosis.named else diagnosis.returned_by or diagnosis.inside
        result.lineno = diagnosis.site.lineno if diagnosis.site is not None else 0
        result.fix_lineno = int(diagnosis.shown_at.rpartition(":")[2]) if diagnosis.shown_at else result.lineno
        result.is_part = diagnosis.is_part
        _read(result, diagnosis.compose())
    else:
        explanation = why(error)
        if explanation:
            result.fix_lineno = result.lineno
            _read(result, explanation.compose())


def _list_lines(error: BaseException, filename: str) -> list[int]:
    return [entry.lineno or 0 for entry in traceback.extract_tb(error.__traceback__) if entry.filename == filename]


def _list_chain(error: BaseException | None) -> list[BaseException]:
    """Return an error, those of a group, and what caused it."""
    chain: list[BaseException] = []
    while error is not None and error not in chain:
        chain += [error, *getattr(error, "exceptions", ())]
        error = error.__cause__ or error.__context__
    return chain


def _read(result: Run, message: Any) -> None:
    result.headline = message.headline
    result.text = message.to_text()[:8000]
    rows = [row for block in message.blocks for row in block]
    fixes = [row for row in rows if row.is_fix and row.word == "fix"]
    result.kinds = [str(row.word) for row in message.blocks[0] if row.word] if message.blocks else []
    result.fix = fixes[0].text if fixes else ""
    if not result.is_guarded:
        said = [row.text for row in rows if row.word == "line"]
        result.lineno = next((int(n) for text in said for n in re.findall(r"^program\.py:(\d+)", text)), result.lineno)
        result.fix_lineno = result.lineno
    elsewhere = re.search(r"program\.py:(\d+)", fixes[0].aside) if fixes else None
    if elsewhere is not None:
        result.fix_lineno = int(elsewhere[1])


def import_frameworks(names: Iterable[str]) -> Iterator[str]:
    """Import what programs import, once for all; yield what is there."""
    for name in names:
        with contextlib.suppress(ImportError):
            __import__(name)
            yield name
    gc.freeze()  # what all share is not to be copied for the collector's marks
