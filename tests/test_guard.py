"""What a door does beyond the table: warnings, memory, nesting, and what happens when our own code fails."""

from __future__ import annotations

import asyncio
import gc
import traceback
import warnings
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import toy_device
from versions import import_sharding, newer_torch
from zoo import complexes, freed, grads

import safe_numpy
from safe_numpy import ConversionError, ConversionWarning
from safe_numpy.diagnosis import memory as _memory
from safe_numpy.diagnosis.diagnosis import Diagnosis
from safe_numpy.diagnosis.facts import Door
from safe_numpy.frameworks.torch import doors as door
from safe_numpy.frameworks.torch.framework import FRAMEWORK, Torch
from safe_numpy.guard import guard as _guard
from safe_numpy.guard import warn as _warn
from safe_numpy.guard.failure import Outcome
from safe_numpy.patching import PatchStack


def permit() -> Any:
    return safe_numpy.mode("permissive")


def test_one_warning_per_call_site() -> None:
    x = grads()
    with permit(), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(100):  # often enough for the interpreter to specialise the calls, and move them
            x.numpy()
            np.asarray(x)
            np.asarray(x, dtype=np.float64)
        for y in (x, x.bfloat16(), complexes().conj()):
            np.asarray(y)
    assert [w.category for w in caught] == [ConversionWarning] * 4
    assert {w.filename for w in caught} == {__file__}
    first = caught[0].lineno
    assert [w.lineno - first for w in caught] == [0, 1, 2, 4]
    assert sorted(row["count"] for row in safe_numpy.report().rows) == [3, 100, 100, 100]
    assert str(caught[0].message) == (
        "`x`, Tensor float32[2, 2] on cpu, became a NumPy array: detached from autograd; the array shares its memory, "
        "and autograd computes its gradient: writing to the array changes it, and autograd does not notice. "
        "Written out: x.detach().numpy()"
    )


def test_the_warning_names_every_deed() -> None:
    x = grads().bfloat16().to("toy")
    with permit(), pytest.warns(ConversionWarning) as caught:
        x.numpy()
    assert str(caught[0].message) == (
        "`x`, Tensor bfloat16[2, 2] on toy:0, became a NumPy array: detached from autograd, copied 8 B from toy:0 to "
        "the CPU, widened bfloat16 to float32; the array is a copy. Written out: x.detach().cpu().float().numpy()"
    )


@pytest.mark.parametrize("make", [grads, lambda: grads().bfloat16(), lambda: grads().to("toy")])
def test_a_filter_that_makes_errors_of_warnings_does_so_every_time(make: Any) -> None:
    x = make()
    with permit(), warnings.catch_warnings():
        warnings.simplefilter("error", ConversionWarning)
        for _ in range(3):
            with pytest.raises(ConversionWarning) as caught:
                x.numpy()
        assert isinstance(caught.value.__cause__, (RuntimeError, TypeError)) or make is grads


def test_what_force_does_is_not_warned_about() -> None:
    x = grads().to("toy")
    with permit(), warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.array_equal(x.numpy(force=True), [[0, 1.5], [-2, 3]])


def test_force_names_only_what_force_cannot_do() -> None:
    with pytest.raises(safe_numpy.DTypeError) as caught:
        grads().bfloat16().numpy(force=True)
    diagnosis = caught.value.diagnosis
    assert diagnosis is not None
    assert [p.kind for p in diagnosis.problems] == ["dtype"]
    assert diagnosis.fix == "grads().bfloat16().detach().float().numpy()"


def test_a_wrong_call_of_the_dlpack_door_is_rejected_by_stock() -> None:
    """NumPy asks with the keywords of newer torch first, and without them where that is a TypeError."""
    for mode in ("explain", "permissive"):
        with safe_numpy.mode(mode), pytest.raises(TypeError, match="unexpected keyword argument 'nonsense'") as caught:
            grads().__dlpack__(nonsense=1)
        assert type(caught.value) is TypeError
        assert not hasattr(caught.value, "__notes__")
    assert not safe_numpy.report().rows


@newer_torch
def test_the_dlpack_door() -> None:
    x = grads()
    with pytest.raises(BufferError) as caught:
        np.from_dlpack(x)
    assert isinstance(caught.value, safe_numpy.GradError)
    assert caught.value.diagnosis is not None
    assert caught.value.diagnosis.fix == "np.from_dlpack(x.detach().numpy())"
    with permit(), pytest.warns(ConversionWarning):
        array = np.from_dlpack(x)
    assert array.__array_interface__["data"][0] == x.data_ptr()
    z = complexes().requires_grad_().conj()
    with permit(), pytest.warns(ConversionWarning):
        assert np.array_equal(np.from_dlpack(z), np.conj([1 + 2j, -3.5 - 4j]))
    y = (complexes().conj().imag * 1).requires_grad_()
    with permit(), pytest.warns(ConversionWarning):
        assert np.array_equal(np.from_dlpack(torch._neg_view(y)), [2, -4]), "the sign arrives too"


def test_no_grad_is_no_problem() -> None:
    x = grads()
    with torch.no_grad():
        assert safe_numpy.diagnose(x).problems == ()
        with permit(), warnings.catch_warnings():
            warnings.simplefilter("error")
            x.numpy()


def test_looking_first_changes_nothing_but_time() -> None:
    x, plain = grads(), torch.ones(2)
    assert door._numpy_in_place.__code__ is door._numpy.__code__
    with permit(), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConversionWarning)
        assert door._numpy_in_place.__code__ is door._numpy_permissive.__code__
        assert x.numpy().__array_interface__["data"][0] == x.data_ptr()
        assert plain.numpy().tolist() == [1, 1]
        assert complexes().requires_grad_().conj().numpy().tolist() == [1 - 2j, -3.5 + 4j]
        assert x.bfloat16().numpy().tolist() == [[0, 1.5], [-2, 3]]
        empty = torch.empty(0, requires_grad=True)
        assert empty.numpy().shape == (0,)
        with pytest.raises(safe_numpy.NoDataError):
            freed().requires_grad_().numpy()
    with pytest.raises(safe_numpy.GradError):
        x.numpy()
    assert door._numpy_in_place.__code__ is door._numpy.__code__


BODIES = (door._numpy, *door.BODIES.values())


def test_the_bodies_are_interchangeable() -> None:
    """They stand in one function in turn: what is called, by keyword or not, must not depend on the mode."""
    assert {body.__code__.co_varnames[: body.__code__.co_argcount] for body in BODIES} == {
        ("self", "_positional", "force")
    }
    assert {body.__defaults__ for body in BODIES} == {door._numpy_in_place.__defaults__}
    assert {body.__code__.co_freevars for body in BODIES} == {()}, "a code of one stands in the function of another"
    assert {body.__code__.co_kwonlyargcount for body in BODIES} == {0}


CALLS: dict[str, Any] = {
    "plain": lambda x: x.numpy(),
    "by force": lambda x: x.numpy(force=True),
    "not by force": lambda x: x.numpy(force=False),
    "force is no bool": lambda x: x.numpy(force=1),
    "positional": lambda x: x.numpy(True),
    "twice": lambda x: x.numpy(True, force=True),
    "unknown keyword": lambda x: x.numpy(forse=True),
    "of the class": lambda x: torch.Tensor.numpy(x),
    "by asarray": np.asarray,
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("make", [lambda: torch.ones(2), grads, lambda: torch.ones(2, dtype=torch.bfloat16), freed])
def test_the_bodies_keep_in_step(call: str, make: Any) -> None:
    """In explain mode, whichever of them happens to stand there, since somebody else is in another mode."""
    answers = []
    for mode in (safe_numpy.Mode.EXPLAIN, *door.BODIES):
        door.choose_body(mode)
        try:
            array = CALLS[call](make())
            answers.append((type(array), array.dtype, array.shape))
        except Exception as error:
            answers.append((type(error), str(error)))
    door.choose_body(safe_numpy.Mode.EXPLAIN)
    assert answers[1:] == answers[:1] * len(door.BODIES)


def test_the_door_is_known_while_looking_ahead() -> None:
    masked = torch.masked.masked_tensor(torch.ones(2), torch.tensor([True, False]))
    with permit(), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConversionWarning)
        grads().numpy()
        assert door._numpy_in_place.__code__ is door._numpy_permissive.__code__
        with pytest.raises(safe_numpy.MaskedError):
            np.asarray(masked)


@pytest.mark.parametrize("mode", ["off", "explain", "strict", "permissive"])
@pytest.mark.parametrize(
    "convert",
    [
        lambda x: x.numpy(),
        lambda x: x.bfloat16().numpy(),
        lambda x: x.bfloat16().numpy(force=True),
        lambda x: x.to("toy").numpy(),
        lambda x: np.asarray(x),
        lambda x: np.from_dlpack(x),
        lambda x: x.numpy(force=1),
    ],
)
def test_it_keeps_no_tensor_alive(convert: Any, mode: str) -> None:
    gc.collect()
    gc.disable()  # neither for ever, nor until the next collection: a tensor may be gigabytes on a device
    try:
        with warnings.catch_warnings(), safe_numpy.mode(mode):
            warnings.simplefilter("ignore", ConversionWarning)
            for _ in range(3):
                x = grads() * 1
                alive = weakref.ref(x)
                errors = []
                try:
                    convert(x)
                except Exception as error:
                    errors.append(error)
                del x
                for error in errors:
                    assert str(error)
                    ours = [f for f, _ in traceback.walk_tb(error.__traceback__) if "_numpy" in f.f_code.co_name]
                    assert not any(isinstance(v, torch.Tensor) for f in ours for v in f.f_locals.values())
                    ours.clear()
                    del error
                errors.clear()
                assert alive() is None
    finally:
        gc.enable()


def test_one_traceback_with_one_frame_of_ours() -> None:
    try:
        grads().numpy()
    except ConversionError as error:
        text = "".join(traceback.format_exception(error))
        frames = traceback.extract_tb(error.__traceback__)
        hidden = [f.f_locals.get("__tracebackhide__") for f, _ in traceback.walk_tb(error.__traceback__)]
    assert text.count("Traceback (most recent call last)") == 1
    assert text.count("Can't call numpy()") == 1
    assert "\nsafe_numpy.GradError: Can't call numpy()" in text
    assert next(f.filename for f in frames) == __file__
    assert len(frames) == 2
    assert hidden == [None, True]


@pytest.mark.parametrize("broken", ["plan", "introspect"])
@pytest.mark.parametrize("mode", ["explain", "permissive"])
def test_if_our_code_fails_the_users_error_comes_out(broken: str, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any, **kwargs: Any) -> Any:
        raise ZeroDivisionError("ours")

    monkeypatch.setattr(Torch, broken, fail)
    x = torch.ones(2, device="meta", requires_grad=True)
    with safe_numpy.mode(mode), pytest.raises(TypeError) as caught:
        x.numpy()
    assert type(caught.value) is TypeError
    assert str(caught.value).startswith("can't convert meta device type tensor to numpy.")
    assert caught.value.__notes__ == ["safe_numpy could not explain this (ZeroDivisionError: ours)"]


def test_if_the_wording_fails_the_stock_text_comes_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Diagnosis, "fill", lambda *_: {}["grad"])
    with pytest.raises(safe_numpy.GradError) as caught:
        grads().numpy()
    lines = str(caught.value).splitlines()
    assert lines[0] == "Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead."
    assert lines[1] == "safe_numpy could not explain this (KeyError: 'grad')"


def test_if_the_conversion_fails_the_error_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: torch.Tensor) -> Any:
        raise MemoryError("no room")

    monkeypatch.setattr(torch.Tensor, "detach", fail)
    with permit(), pytest.raises(safe_numpy.GradError) as caught:
        grads().numpy()
    assert caught.value.__notes__ == ["safe_numpy tried to convert it: MemoryError: no room"]
    assert "permissive converts" not in str(caught.value)


def test_a_bad_word_in_the_variable_never_hides_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAFE_NUMPY", "permisive")
    with pytest.raises(RuntimeError) as caught:  # warnings are errors in these tests
        grads().numpy()
    assert str(caught.value).startswith("Can't call numpy()")
    assert caught.value.__notes__[0].startswith("safe_numpy could not explain this (UserWarning: SAFE_NUMPY: 'permi")


def test_an_error_with_no_known_cause_is_left_alone() -> None:
    class Refusing(torch.Tensor):
        @classmethod
        def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if func is torch.Tensor.numpy:
                raise LookupError("not today")
            return super().__torch_function__(func, types, args, kwargs or {})

    with pytest.raises(LookupError) as caught:
        torch.ones(2).as_subclass(Refusing).numpy()
    assert type(caught.value) is LookupError
    assert not hasattr(caught.value, "__notes__")


def test_an_interrupt_passes_through(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*args: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(Torch, "plan", interrupt)
    with pytest.raises(KeyboardInterrupt):
        grads().numpy()
    monkeypatch.undo()
    with pytest.raises(safe_numpy.GradError):
        grads().numpy()


def test_a_tensor_with_its_own_numpy_is_let_be() -> None:
    class Own(torch.Tensor):
        def numpy(self, *, force: bool = False) -> Any:
            return super().detach().as_subclass(torch.Tensor).numpy() + 1

    x = torch.ones(2, requires_grad=True).as_subclass(Own)
    assert x.numpy().tolist() == [2, 2]
    assert np.asarray(x).tolist() == [2, 2]


def test_the_mode_of_this_task_decides() -> None:
    async def convert(word: str) -> type:
        with safe_numpy.mode(word):
            await asyncio.sleep(0)
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", ConversionWarning)
                    return type(grads().numpy())
            except RuntimeError as error:
                return type(error)

    async def all_three() -> list[type]:
        return await asyncio.gather(convert("off"), convert("permissive"), convert("explain"))

    off, permissive, explain = asyncio.run(all_three())
    assert off is RuntimeError
    assert permissive is np.ndarray
    assert issubclass(explain, safe_numpy.GradError)


def test_permissive_allocates_nothing_on_the_device() -> None:
    x = grads().bfloat16().to("toy")
    toy_device.transfers.clear()
    with permit(), pytest.warns(ConversionWarning):
        x.numpy()
    assert toy_device.transfers == [("toy:0", "cpu", 8)], "in bfloat16, and once"


@pytest.mark.parametrize("limit", ["1000", "1_000", "'1000'", "0.5KiB"])
def test_a_result_beyond_the_limit_is_refused(limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.ones(40, 40).to_sparse()
    monkeypatch.setenv("SAFE_NUMPY_MAX_BYTES", limit)
    with permit(), pytest.raises(safe_numpy.LayoutError) as caught:
        x.numpy()
    text = str(caught.value)
    assert "the array would take 6.2 KiB, and" in text
    assert ("1000 B may be used" in text) or ("512 B may be used" in text)
    assert "raise SAFE_NUMPY_MAX_BYTES" in text
    with pytest.raises(safe_numpy.LayoutError, match=r"would take 6\.2 KiB"):
        safe_numpy.to_numpy(x)
    assert not safe_numpy.diagnose(x).convertible
    monkeypatch.setenv("SAFE_NUMPY_MAX_BYTES", "1MiB")
    assert safe_numpy.to_numpy(x).sum() == 1600


def test_what_shares_memory_is_never_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAFE_NUMPY_MAX_BYTES", "1")
    assert safe_numpy.to_numpy(grads()).shape == (2, 2)


def test_a_bad_limit_warns_and_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAFE_NUMPY_MAX_BYTES", "a lot")
    with pytest.warns(UserWarning, match="SAFE_NUMPY_MAX_BYTES: 'a lot' is no size"):
        assert safe_numpy.to_numpy(grads().bfloat16()).shape == (2, 2)


def test_the_largest_sparse_matrix_does_not_meet_the_oom_killer() -> None:
    with permit(), pytest.raises(safe_numpy.LayoutError, match=r"would take 3\.6 TiB"):
        torch.sparse_coo_tensor(size=(10**6, 10**6)).numpy()


def test_the_whole_is_found_when_a_step_reveals_another_problem() -> None:
    sharding = import_sharding()
    from zoo import _mesh

    local = torch.ones(2, dtype=torch.bfloat16)
    x = sharding.DTensor.from_local(local, _mesh(1), [sharding.Replicate()], run_check=False)
    assert safe_numpy.diagnose(x).fix == "x.to_local().float().numpy()"
    assert safe_numpy.to_numpy(x).tolist() == [1, 1]


def test_doors_are_told_apart() -> None:
    seen = []
    guard = _guard.Guard(FRAMEWORK)
    guard._explain = lambda error, x, d, direct, plan: seen.append(d) or Outcome(error=error)  # type: ignore[method-assign,assignment,return-value]
    safe_numpy.uninstall()
    patches = PatchStack()
    patches.apply(FRAMEWORK.list_targets(guard))
    try:
        for call in (lambda x: x.numpy(), lambda x: x.numpy(force=True), np.asarray, np.sin):
            with pytest.raises(TypeError):
                call(torch.ones(2, dtype=torch.bfloat16))
    finally:
        patches.undo()
    assert seen == [Door.NUMPY, Door.FORCE, Door.ARRAY, Door.ARRAY]


def test_the_page_cache_is_not_memory_in_use(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "memory.current").write_text("900\n")
    (tmp_path / "memory.stat").write_text("anon 200\ninactive_file 700\nactive_file 0\n")
    assert _memory._read_cgroup(tmp_path, "memory.max", "memory.current", "inactive_file") == 800
    (tmp_path / "memory.max").write_text("max\n")
    assert _memory._read_cgroup(tmp_path, "memory.max", "memory.current", "inactive_file") is None
    available = _memory.find_available()
    assert available is not None
    assert available > 64 << 20


def test_a_full_memory_of_hazards_falls_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_warn, "_MOST_HAZARDS", 1)
    guard = _guard.Guard(FRAMEWORK)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(3):
            guard.warn_hazard(grads(), "object_array")
        guard.warn_hazard(grads(), "object_array")
    assert len(caught) == 1
