"""The modes, and who spoke last."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import os
import threading
import time
import warnings
from collections.abc import Generator, Iterator

import pytest
from processes import run

import safe_numpy
from safe_numpy import Mode, get_mode, mode, set_mode
from safe_numpy.config import modes


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("off", Mode.OFF),
        ("explain", Mode.EXPLAIN),
        ("permissive", Mode.PERMISSIVE),
        ("strict", Mode.STRICT),
        ("0", Mode.OFF),
        ("false", Mode.OFF),
        ("no", Mode.OFF),
        ("1", Mode.EXPLAIN),
        ("true", Mode.EXPLAIN),
        ("yes", Mode.EXPLAIN),
        ("on", Mode.EXPLAIN),
        ("PERMISSIVE", Mode.PERMISSIVE),
        ('"permissive"', Mode.PERMISSIVE),
        ("'Strict'", Mode.STRICT),
        ("  off  ", Mode.OFF),
        ('""', Mode.EXPLAIN),
        ("", Mode.EXPLAIN),
    ],
)
def test_words_of_the_variable(word: str, expected: Mode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAFE_NUMPY", word)
    assert get_mode() is expected
    if word.strip("\" '"):
        monkeypatch.delenv("SAFE_NUMPY")
        set_mode(word)
        assert get_mode() is expected


def test_nonsense_in_the_variable_warns_once_and_explains(monkeypatch: pytest.MonkeyPatch) -> None:
    set_mode("permissive")
    monkeypatch.setenv("SAFE_NUMPY", "permisive")
    with pytest.warns(UserWarning, match="'permisive' is no mode.*off, explain, permissive, strict") as caught:
        assert get_mode() is Mode.EXPLAIN
    assert caught[0].filename == __file__, "at the line that asked"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert get_mode() is Mode.EXPLAIN


@pytest.mark.parametrize("bad", ["nonsense", "", None, 1, True, object()])
def test_a_bad_mode_changes_nothing(bad: object) -> None:
    set_mode("strict")
    with pytest.raises(ValueError, match="off, explain, permissive, strict"):
        set_mode(bad)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="off, explain, permissive, strict"):
        mode(bad)  # type: ignore[arg-type]
    assert get_mode() is Mode.STRICT


def test_the_last_speaker_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    assert get_mode() is Mode.EXPLAIN
    monkeypatch.setenv("SAFE_NUMPY", "off")
    assert get_mode() is Mode.OFF
    set_mode("permissive")
    assert get_mode() is Mode.PERMISSIVE, "set_mode spoke after the variable"
    os.environ["SAFE_NUMPY"] = "strict"
    assert get_mode() is Mode.STRICT, "the variable changed after set_mode"
    os.environ["SAFE_NUMPY"] = "strict"
    set_mode("off")
    os.environ["SAFE_NUMPY"] = "strict"
    assert get_mode() is Mode.OFF, "a variable that did not change says nothing new"
    with mode("permissive"):
        os.environ["SAFE_NUMPY"] = "explain"
        assert get_mode() is Mode.PERMISSIVE, "an enclosing block stands above both"
    assert get_mode() is Mode.EXPLAIN
    monkeypatch.delenv("SAFE_NUMPY")
    assert get_mode() is Mode.OFF, "an unset variable says nothing: what set_mode said holds"


def test_a_variable_that_changed_before_set_mode_spoke_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAFE_NUMPY", "strict")
    set_mode("permissive")
    assert get_mode() is Mode.PERMISSIVE


def test_blocks_nest_and_restore_after_an_error() -> None:
    outer = mode("permissive")
    with outer:
        with mode(Mode.STRICT), outer:
            assert get_mode() is Mode.PERMISSIVE
        assert get_mode() is Mode.PERMISSIVE
        with pytest.raises(KeyError), mode("off"):
            raise KeyError
        assert get_mode() is Mode.PERMISSIVE
    assert get_mode() is Mode.EXPLAIN


def test_decorates_functions_and_coroutines() -> None:
    @mode("permissive")
    def plain(x: int) -> tuple[Mode, int]:
        """Doc."""
        return get_mode(), x

    @mode("strict")
    async def coroutine() -> Mode:
        await asyncio.sleep(0)
        return get_mode()

    assert plain(3) == (Mode.PERMISSIVE, 3)
    assert plain.__doc__ == "Doc."
    assert asyncio.run(coroutine()) is Mode.STRICT
    assert get_mode() is Mode.EXPLAIN


def test_a_generator_cannot_be_decorated() -> None:
    def pieces():  # type: ignore[no-untyped-def]
        yield 1

    with pytest.raises(TypeError, match=r"write `with mode\('off'\):` inside it around statements that do not yield"):
        mode("off")(pieces)


def yield_in(word: str) -> Generator[int, None, None]:
    with mode(word):
        yield 1
        yield 2


def test_a_generator_closed_inside_another_block_takes_its_own_off() -> None:
    pieces = yield_in("permissive")
    next(pieces)
    assert get_mode() is Mode.PERMISSIVE, "it holds in the caller: Python has no context of a generator's own"
    with mode("strict", dtype="raise"):
        with mode("explain"):
            pieces.close()
            assert get_mode() is Mode.EXPLAIN
            assert modes.find_demand() is Mode.STRICT
        assert get_mode() is Mode.STRICT
        assert modes.find_demand() is Mode.STRICT
        assert modes.DTYPE.get() == "raise"
    assert get_mode() is Mode.EXPLAIN
    assert modes.find_demand() is Mode.EXPLAIN


def test_two_generators_that_end_in_the_order_in_which_they_began() -> None:
    for _ in zip(yield_in("permissive"), yield_in("strict"), strict=True):
        assert get_mode() is Mode.STRICT
    assert get_mode() is Mode.EXPLAIN


def test_a_generator_closed_in_another_thread_takes_nobodys_off() -> None:
    pieces = yield_in("permissive")
    threading.Thread(target=next, args=(pieces,)).start()
    while get_mode() is not Mode.EXPLAIN or inspect.getgeneratorstate(pieces) != "GEN_SUSPENDED":
        time.sleep(0.001)
    with mode("strict"):
        pieces.close()
        assert get_mode() is Mode.STRICT
    assert get_mode() is Mode.EXPLAIN


def test_context_managers_made_of_generators_hold_the_mode() -> None:
    with manage():
        assert get_mode() is Mode.PERMISSIVE
    assert get_mode() is Mode.EXPLAIN


@contextlib.contextmanager
def manage() -> Iterator[None]:
    with mode("permissive"):
        yield


def test_threads_and_tasks_do_not_see_each_other() -> None:
    seen: dict[str, Mode] = {}
    inside, go_on = threading.Event(), threading.Event()

    def worker() -> None:
        with mode("permissive"):
            inside.set()
            go_on.wait(10)
            seen["worker"] = get_mode()

    thread = threading.Thread(target=worker)
    thread.start()
    inside.wait(10)
    with mode("strict"):
        seen["main"] = get_mode()
        go_on.set()
        thread.join()
    assert seen == {"main": Mode.STRICT, "worker": Mode.PERMISSIVE}

    async def task(word: str) -> list[Mode]:
        found = []
        with mode(word):
            for _ in range(3):
                await asyncio.sleep(0)
                found.append(get_mode())
        return found

    async def both() -> list[list[Mode]]:
        return await asyncio.gather(task("permissive"), task("off"))

    assert asyncio.run(both()) == [[Mode.PERMISSIVE] * 3, [Mode.OFF] * 3]


STARTED = """
import sys, threading
import safe_numpy

seen = []
with safe_numpy.mode("permissive"):
    thread = threading.Thread(target=lambda: seen.append(safe_numpy.get_mode().value))
    thread.start()
    thread.join()
print(*seen, bool(getattr(sys.flags, "thread_inherit_context", False)))
"""


@pytest.mark.parametrize("option", ["0", "1"])
def test_a_thread_is_in_the_block_it_was_started_in_where_python_hands_contexts_on(option: str) -> None:
    assert run(STARTED, "-X", f"thread_inherit_context={option}") in ("explain False\n", "permissive True\n")


def test_set_mode_is_for_all_threads() -> None:
    seen = []
    set_mode("strict")
    thread = threading.Thread(target=lambda: seen.append(get_mode()))
    thread.start()
    thread.join()
    assert seen == [Mode.STRICT]


def test_the_mode_is_named_by_its_word() -> None:
    assert [m.value for m in safe_numpy.Mode] == ["off", "explain", "permissive", "strict"]
