"""The modes, and who spoke last."""

from __future__ import annotations

import asyncio
import os
import threading
import warnings

import pytest

import safe_numpy
from safe_numpy import Mode, get_mode, mode, set_mode


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

    with pytest.raises(TypeError, match=r"write `with mode\('off'\):` inside it"):
        mode("off")(pieces)


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


def test_set_mode_is_for_all_threads() -> None:
    seen = []
    set_mode("strict")
    thread = threading.Thread(target=lambda: seen.append(get_mode()))
    thread.start()
    thread.join()
    assert seen == [Mode.STRICT]


def test_the_mode_is_named_by_its_word() -> None:
    assert [m.value for m in safe_numpy.Mode] == ["off", "explain", "permissive", "strict"]
