"""What could break a program that has the guard: each scenario in a process of its own, its counts printed as JSON.

    python tests/stress.py SCENARIO [SCALE]

A scenario ends with an error, and prints no counts, if anything was lost: a wrong array, another error than stock's or
ours, a guard that stops answering, memory that grows.
"""

from __future__ import annotations

import faulthandler
import gc
import itertools
import json
import linecache
import os
import resource
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import torch

import safe_numpy

OURS = str(Path(safe_numpy.__file__).parent)
VALUES = [1.0, 2.0, 3.0]
Counts = dict[str, Any]

plain = torch.tensor(VALUES)
grad = torch.tensor(VALUES, requires_grad=True)
low = torch.tensor(VALUES, dtype=torch.bfloat16)


def expect(condition: object, message: object) -> None:
    if not condition:
        raise AssertionError(message)


def is_alive() -> None:
    """Check that the guard answers as at the start."""
    with safe_numpy.mode("explain"):
        try:
            grad.numpy()
        except safe_numpy.GradError as error:
            expect("`grad` cannot become a NumPy array" in str(error), error)
        else:
            raise AssertionError("the guard is gone")
    with safe_numpy.mode("permissive"):
        expect(grad.numpy().tolist() == VALUES, "not converted")
    expect(plain.numpy().tolist() == VALUES, "wrong values")


def get_rss() -> float:
    """Return the resident memory in MiB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20


def run_threads(workers: list[Callable[[], None]]) -> None:
    """Run functions at once, and raise what any of them raises."""
    errors: list[BaseException] = []

    def run(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def convert_or_explain(counts: Counter[str], x: torch.Tensor) -> None:
    """Convert one tensor in whatever mode is on: the values, stock's error, or ours that is also stock's."""
    try:
        array = x.numpy()
    except (RuntimeError, TypeError) as error:
        expect("requires grad" in str(error) or "BFloat16" in str(error), error)
        counts["errors of ours" if isinstance(error, safe_numpy.ConversionError) else "errors of stock's"] += 1
    else:
        expect(array.tolist() == VALUES, array)
        counts["arrays"] += 1


def toggle_modes(scale: int) -> Counts:
    """Threads set the mode of the process, and enter modes of their own, while others convert."""
    counts: Counter[str] = Counter()
    done = threading.Event()
    modes = ("off", "explain", "permissive", "strict")

    def toggle() -> None:
        for mode in itertools.cycle(modes):
            if done.is_set():
                return
            safe_numpy.set_mode(mode)
            counts["modes set"] += 1
            time.sleep(0.001)  # in each of them the others shall run

    def convert() -> None:
        mine: Counter[str] = Counter()
        for i in range(scale):
            convert_or_explain(mine, (plain, grad, low)[i % 3])
            mine["conversions"] += 1
        totals.append(mine)

    def nest() -> None:
        mine: Counter[str] = Counter()
        for i in range(scale // 4):
            with safe_numpy.mode(modes[i % 4]):
                expect(safe_numpy.get_mode().value == modes[i % 4], "a block's mode is its own")
                try:
                    grad.numpy()
                    expect(modes[i % 4] == "permissive", modes[i % 4])
                except safe_numpy.GradError:
                    expect(modes[i % 4] in ("explain", "strict"), modes[i % 4])
                except RuntimeError:
                    expect(modes[i % 4] == "off", modes[i % 4])
            mine["conversions in blocks"] += 1
        totals.append(mine)

    totals: list[Counter[str]] = []
    toggler = threading.Thread(target=toggle)
    toggler.start()
    try:
        run_threads([convert, convert, convert, nest, nest])
    finally:
        done.set()
        toggler.join()
    is_alive()
    return {**sum(totals, counts)}


def race_installs(scale: int) -> Counts:
    """A thread installs and uninstalls the guard while others convert."""
    counts: Counter[str] = Counter()
    done = threading.Event()
    totals: list[Counter[str]] = []

    def toggle() -> None:
        while not done.is_set():
            safe_numpy.uninstall()
            time.sleep(0.001)
            safe_numpy.install()
            time.sleep(0.001)
            counts["installed"] += 1

    def convert() -> None:
        mine: Counter[str] = Counter()
        for i in range(scale):
            convert_or_explain(mine, (plain, grad, low)[i % 3])
            np.asarray(plain)
            mine["conversions"] += 1
        totals.append(mine)

    toggler = threading.Thread(target=toggle)
    toggler.start()
    try:
        run_threads([convert, convert, convert])
    finally:
        done.set()
        toggler.join()
    is_alive()
    return {**sum(totals, counts)}


def convert_in_signals(scale: int) -> Counts:
    """A signal handler converts, and fails, again and again in the middle of conversions."""
    counts: Counter[str] = Counter()

    def handle(number: int, frame: FrameType | None) -> None:
        convert_or_explain(handled, grad)
        convert_or_explain(handled, low)
        handled["signals"] += 1
        signal.setitimer(signal.ITIMER_REAL, 0.0005)  # the next, when this one is done

    handled: Counter[str] = Counter()
    faulthandler.dump_traceback_later(600, exit=True)
    signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, 0.0005)
    try:
        for i in range(scale):
            with safe_numpy.mode(("permissive", "explain")[i % 2]):
                convert_or_explain(counts, (grad, low)[i % 3 % 2])
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        faulthandler.cancel_dump_traceback_later()
    is_alive()
    return {**counts, **{f"{name} in handlers": n for name, n in handled.items()}}


def fork_anytime(scale: int) -> Counts:
    """Fork while other threads convert; every child converts, explains, and ends by itself."""
    done = threading.Event()
    counts: Counter[str] = Counter()

    def convert() -> None:
        mine: Counter[str] = Counter()
        while not done.is_set():
            convert_or_explain(mine, grad)
            with safe_numpy.mode("permissive"):
                convert_or_explain(mine, low)
        totals.append(mine)

    totals: list[Counter[str]] = []
    threads = [threading.Thread(target=convert) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(scale):
            pid = os.fork()
            if pid == 0:
                faulthandler.dump_traceback_later(
                    10, exit=True
                )  # a lock that nobody holds any more would last for ever
                try:
                    is_alive()
                    os._exit(0)
                except BaseException as error:
                    print(repr(error), file=sys.stderr)
                    os._exit(1)
            expect(os.waitpid(pid, 0)[1] == 0, "a child failed")
            counts["children"] += 1
    finally:
        done.set()
        for thread in threads:
            thread.join()
    return {**sum(totals, counts)}


def interrupt_everywhere(scale: int) -> Counts:
    """Raise KeyboardInterrupt, MemoryError and RecursionError at each `scale`-th line that the guard runs."""
    counts: Counter[str] = Counter()

    def read() -> str:
        try:
            grad.numpy()
        except safe_numpy.GradError as error:
            return str(error)
        raise AssertionError("no error")

    def fail() -> str:
        try:
            grad.numpy()
        except RuntimeError as error:
            return type(error).__name__
        raise AssertionError("no error")

    came_out: set[str] = set()
    tasks: dict[str, tuple[str, Callable[[], Any]]] = {
        "a failure explained": ("explain", fail),
        "a failure read": ("explain", read),
        "a conversion": ("permissive", lambda: low.numpy().tolist()),
        "a conversion ahead": ("permissive", lambda: [grad.numpy().tolist() for _ in range(10)][9]),
        "a strict check": ("strict", lambda: plain[:2].numpy().tolist()),
    }
    for name, (mode, task) in tasks.items():
        for kind in (KeyboardInterrupt, MemoryError, RecursionError):
            for at in itertools.count(step=scale or 1):
                with safe_numpy.mode(mode):
                    hit, result = interrupt(task, kind, at)
                if hit is None:
                    break
                counts[f"{name}: lines interrupted"] += 1
                if kind is KeyboardInterrupt:
                    expect(isinstance(result, KeyboardInterrupt), f"{name}: interrupted at {hit}, and got {result!r}")
                else:
                    is_right = not isinstance(result, BaseException) or isinstance(
                        result, (RuntimeError, TypeError, kind)
                    )
                    expect(is_right, f"{name}: {kind.__name__} at {hit} became {result!r}")
                    if isinstance(result, kind) and not isinstance(result, safe_numpy.ConversionError):
                        counts[f"{name}: {kind.__name__} came out"] += 1
                        came_out.add(hit.partition(":")[0] + " " + hit.rpartition(" ")[2])
                try:
                    is_alive()
                except BaseException as error:
                    raise AssertionError(
                        f"{name}: after {kind.__name__} at {hit} the guard is not as before"
                    ) from error
    expect(came_out <= _OUTERMOST, f"came out of {came_out - _OUTERMOST}")
    return dict(counts)


_STOCK_ERRORS = (RuntimeError, TypeError)
"""of a gradient, and of a dtype that NumPy lacks"""

_OUTERMOST = {
    *(f"/frameworks/torch/doors.py {name}" for name in ("_numpy", "_numpy_permissive", "_numpy_strict")),
    *("/guard/failure.py is_error", "/guard/failure.py take_error", "/errors/base.py __str__"),
}
"""functions that stand between the user and stock, with nothing of ours around them"""


def is_atomic(frame: FrameType) -> bool:
    """Tell whether a line is one where CPython 3.11 looks for no signal, so that only a tracer can interrupt it.

    A store to an attribute; entering or leaving a block; the return of a constant, which the compiler puts behind the
    protection of ``try … finally``.
    """
    line = linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip()
    return line.startswith(("INSIDE.busy = ", "with ")) or line in ("try:", "return", "return None", "return False")


def interrupt(task: Callable[[], Any], kind: type[BaseException], at: int) -> tuple[str | None, Any]:
    """Run `task`, and raise at the line of ours that comes after `at` others; return where, and what came out."""
    lines = itertools.count()
    hit: list[str] = []

    def trace(frame: FrameType, event: str, arg: object) -> Any:
        if not frame.f_code.co_filename.startswith(OURS) and frame.f_globals.get("__name__") != "torch.Tensor":
            return None if event == "call" else trace
        if event == "line" and not hit and not is_atomic(frame) and next(lines) == at:
            hit.append(f"{frame.f_code.co_filename.removeprefix(OURS)}:{frame.f_lineno} {frame.f_code.co_name}")
            raise kind
        return trace

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sys.settrace(trace)
        try:
            result = task()
        except BaseException as error:
            result = error
        finally:
            sys.settrace(None)
    return (hit[0] if hit else None), result


def fill_stack(scale: int) -> Counts:
    """Fail, and convert, at every depth near the recursion limit: never another error than stock's there."""
    counts: Counter[str] = Counter()
    limit = sys.getrecursionlimit()

    def ask() -> type[BaseException] | str:
        try:
            return str(x.numpy().tolist())
        except Exception as error:
            return type(error)

    def descend(depth: int) -> Any:
        return ask() if depth == 0 else descend(depth - 1)

    for mode in ("explain", "permissive", "strict"):
        for x in (plain, grad):
            reached = [0]
            for depth in range(limit - 120, limit - 2):
                with safe_numpy.mode(mode), warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    try:
                        answer = descend(depth)
                    except RecursionError:
                        break
                counts["depths tried"] += 1
                if answer is RecursionError:
                    reached.append(depth)
                    continue
                is_right = (
                    answer == str(VALUES) if x is plain else answer == str(VALUES) or issubclass(answer, RuntimeError)
                )
                expect(is_right, f"{mode}, {depth} deep: {answer}")
                expect(len(reached) <= 4, f"{mode}, {depth} deep: no room after {reached}")
    is_alive()
    return dict(counts)


def repeat(scale: int) -> Counts:
    """Fail and convert often: memory stays as it was."""
    counts: Counts = {}
    for name, mode in (("failing", "explain"), ("permissive", "permissive"), ("failing, read", "explain")):
        number = scale // 10 if "read" in name else scale
        with safe_numpy.mode(mode), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            repeat_once(name, 2000)
            gc.collect()
            before, begun = get_rss(), time.perf_counter()
            repeat_once(name, number)
            gc.collect()
        counts[f"{name}: calls"] = number
        counts[f"{name}: MiB grown"] = round(get_rss() - before, 2)
        counts[f"{name}: µs a call"] = round((time.perf_counter() - begun) / number * 1e6, 1)
        expect(get_rss() - before < 4, f"{name}: {counts}")
    return counts


def repeat_once(name: str, number: int) -> None:
    for _ in range(number):
        try:
            grad.numpy()
        except safe_numpy.GradError as error:
            if "read" in name:
                str(error)


SCENARIOS = (toggle_modes, race_installs, convert_in_signals, fork_anytime, interrupt_everywhere, fill_stack, repeat)


_SCALES = {
    "toggle_modes": 200_000,
    "race_installs": 200_000,
    "convert_in_signals": 200_000,
    "fork_anytime": 500,
    "interrupt_everywhere": 1,
    "fill_stack": 0,
    "repeat": 1_000_000,
}
"""what ``make stress`` runs"""


def run_all(target: Path) -> None:
    """Run every scenario on the large scale, each in a new process, and write what they count."""
    counts = {}
    for name, scale in _SCALES.items():
        done = subprocess.run(
            [sys.executable, __file__, name, str(scale)], stdout=subprocess.PIPE, text=True, check=True
        )
        counts[name] = json.loads(done.stdout)
        print(name, counts[name], flush=True)
    target.write_text(json.dumps(counts, indent=1) + "\n")


def main() -> None:
    scenarios = {scenario.__name__: scenario for scenario in SCENARIOS}
    warnings.simplefilter("ignore", safe_numpy.ConversionWarning)
    if sys.argv[1] == "all":
        run_all(Path(sys.argv[2]))
    else:
        print(json.dumps(scenarios[sys.argv[1]](int(sys.argv[2]) if len(sys.argv) > 2 else 0)))


if __name__ == "__main__":
    main()
