"""Strict mode: what works and should not. Each hazard is reproduced on stock first; then it is right, or an error."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import pickle
import re
import subprocess
import sys
import threading
import warnings
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import zoo
from processes import ROOT, run
from torch.autograd import forward_ad
from torch.distributed._functional_collectives import AsyncCollectiveTensor
from versions import newer_torch

import safe_numpy
from safe_numpy import HazardWarning, SilentError, mode
from safe_numpy.frameworks.torch import doors as door
from safe_numpy.frameworks.torch.framework import FRAMEWORK


def NUMPY(x: Any) -> Any:  # noqa: N802 - a door, as the others
    return x.numpy()


DLPACK: Callable[[Any], Any] = np.from_dlpack
ARRAY: Callable[[Any], Any] = np.asarray


@dataclass(frozen=True)
class Hazard:
    """A tensor, a door by which stock gives something, and what is wrong with that."""

    visit: Callable[[Callable[[Any], Any]], Any]
    door: Callable[[Any], Any]
    right: Any
    """the values that the fix gives; None: there is no fix"""
    causes: tuple[str, ...]
    is_wrong: Callable[[Any, Any], bool] = lambda x, array: not np.array_equal(array, right_of(x))
    """tells, of stock's array, that it is not what a reader would expect"""


def right_of(x: Any) -> Any:
    return x.detach().resolve_neg().numpy(force=True)


def plainly(make: Callable[[], Any]) -> Callable[[Callable[[Any], Any]], Any]:
    return lambda look: look(make())


CASES = {case.name: case for case in zoo.CONVERTIBLE + zoo.REFUSED}


def visit_case(name: str) -> Callable[[Callable[[Any], Any]], Any]:
    return CASES[name].visit


def make_freed() -> torch.Tensor:
    x = torch.ones(2)
    x.untyped_storage().resize_(0)
    return x


def visit_dual(look: Callable[[Any], Any]) -> Any:
    with forward_ad.dual_level():
        return look(forward_ad.make_dual(torch.ones(2), torch.ones(2)))


def changes_more(x: Any, array: Any) -> bool:
    before = x.clone()
    array[(0,) * array.ndim] += 1
    return int((x != before).sum()) > 1


LAYER = torch.nn.Linear(2, 2)


def changes_the_layer(x: Any, array: Any) -> bool:
    if not array.flags.writeable:  # NumPy before 2.1 has such arrays for capsules: the layer changes them, all the same
        return np.shares_memory(array, torch._C.TensorBase.numpy(LAYER.weight.detach()))
    before, version = LAYER.weight.detach().clone(), LAYER.weight._version
    array += 1
    is_changed = not torch.equal(before, LAYER.weight) and LAYER.weight._version == version
    array -= 1
    return is_changed


def visit_saved(look: Callable[[Any], Any]) -> Any:
    leaf = torch.full((2,), 0.5, requires_grad=True)
    saved = (leaf * 1).exp()
    found = look(saved.detach())
    assert saved.grad_fn is not None
    return found


def spoils_the_gradient(x: Any, array: Any) -> bool:
    leaf = torch.full((2,), 0.5, requires_grad=True)
    saved = (leaf * 1).exp()
    saved.detach().numpy()[:] = 7
    (gradient,) = torch.autograd.grad(saved.sum(), leaf)
    return not torch.allclose(gradient, torch.full((2,), 0.5).exp())


def is_garbage(x: Any, array: Any) -> bool:
    """What stock gives is memory that nobody has written."""
    return True


HAZARDS: dict[str, Hazard] = {
    "dlpack: negated": Hazard(plainly(lambda: torch._neg_view(torch.tensor([1.0, 2]))), DLPACK, [-1, -2], ("neg",)),
    "dlpack: zeros": Hazard(plainly(lambda: torch._efficientzerotensor((2,))), DLPACK, [0, 0], ("zero",), is_garbage),
    "dlpack: masked": Hazard(visit_case("masked"), DLPACK, None, ("masked",), is_garbage),
    "dlpack: wrapper": Hazard(visit_case("wrapper subclass"), DLPACK, None, ("unknown",), is_garbage),
    "dlpack: DTensor": Hazard(visit_case("DTensor, one rank"), DLPACK, None, ("local",), is_garbage),
    "dlpack: fake": Hazard(visit_case("fake"), DLPACK, None, ("fake",), is_garbage),
    "dlpack: pending": Hazard(
        plainly(lambda: AsyncCollectiveTensor(torch.tensor([1.0, 2]))), DLPACK, [1, 2], ("pending",), is_garbage
    ),
    "dlpack: freed": Hazard(plainly(make_freed), DLPACK, None, ("freed",), is_garbage),
    "functionalize": Hazard(visit_case("functionalize"), NUMPY, None, ("functionalize",), is_garbage),
    "freed": Hazard(plainly(make_freed), NUMPY, None, ("freed",), lambda x, array: array.size > 0),
    "dual": Hazard(visit_dual, NUMPY, [1, 1], ("dual",), lambda x, a: forward_ad.unpack_dual(x).tangent is not None),
    "expanded": Hazard(
        plainly(lambda: torch.zeros(1, 2).expand(3, 2)), NUMPY, [[0, 0]] * 3, ("expanded",), changes_more
    ),
    "expanded, asarray": Hazard(plainly(lambda: torch.zeros(1).expand(3)), ARRAY, [0] * 3, ("expanded",), changes_more),
    "parameter": Hazard(plainly(lambda: LAYER.weight.detach()), NUMPY, "layer", ("alias",), changes_the_layer),
    "parameter, asarray": Hazard(plainly(lambda: LAYER.weight.data), ARRAY, "layer", ("alias",), changes_the_layer),
    "parameter, dlpack": Hazard(plainly(lambda: LAYER.weight.detach()), DLPACK, "layer", ("alias",), changes_the_layer),
    "saved": Hazard(visit_saved, NUMPY, [np.exp(0.5, dtype=np.float32)] * 2, ("alias",), spoils_the_gradient),
}
KNOWN_HERE = [
    pytest.param(name, marks=newer_torch) if name.startswith("dlpack") or name == "saved" else name for name in HAZARDS
]
"""an older torch has another way to a capsule, and does not show what autograd has saved"""


@pytest.mark.parametrize("name", KNOWN_HERE)
def test_stock_gives_it_without_a_word(name: str) -> None:
    hazard = HAZARDS[name]

    def look(x: Any) -> bool:
        return hazard.is_wrong(x, hazard.door(x))

    with warnings.catch_warnings(), mode("off"):
        warnings.simplefilter("ignore")  # torch announces some of these classes
        assert hazard.visit(look)


@pytest.mark.filterwarnings("ignore:Accessing the data pointer of FakeTensor")
@pytest.mark.parametrize("name", KNOWN_HERE)
def test_strict_raises_with_the_fix_that_is_right(name: str) -> None:
    hazard = HAZARDS[name]

    def look(x: Any) -> SilentError:
        with mode("strict"), pytest.raises(SilentError) as caught:
            hazard.door(x)
        error = caught.value
        assert isinstance(error, ValueError)
        assert isinstance(error, safe_numpy.ConversionError)
        diagnosis = error.diagnosis
        assert tuple(p.cause for p in diagnosis.problems) == hazard.causes
        assert diagnosis.is_hazard
        assert "should not become a NumPy array this way" in str(error)
        assert "SAFE_NUMPY=permissive" not in str(error)
        if hazard.right is not None:
            right = LAYER.weight.tolist() if hazard.right == "layer" else hazard.right
            scope = {"x": x, "torch": torch, "np": np, "hazard": hazard}
            with mode("strict"):
                fixed = eval(diagnosis.fix, scope)
                np.testing.assert_array_equal(fixed, right)
            if hazard.causes in (("alias",), ("expanded",)) and fixed.flags.writeable:  # not so before NumPy 2.1
                fixed[(0,) * fixed.ndim] += 1
                np.testing.assert_array_equal(right_of(x), right, err_msg="a write harms somebody")
        return error

    error = hazard.visit(look)
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again)) == (SilentError, str(error))


@pytest.mark.parametrize("word", ["explain", "permissive"])
@pytest.mark.parametrize("name", KNOWN_HERE)
def test_other_modes_warn_where_the_door_is_slow_already(name: str, word: str) -> None:
    hazard = HAZARDS[name]
    is_told = hazard.door is DLPACK and hazard.causes not in (("alias",), ("freed",))

    def look(x: Any) -> list[warnings.WarningMessage]:
        with warnings.catch_warnings(record=True) as caught, mode(word):
            warnings.simplefilter("always")
            for _ in range(2):
                hazard.door(x)
        return [w for w in caught if w.category.__module__ == "safe_numpy"]  # torch warns of FakeTensor, once

    caught = hazard.visit(look)
    assert [w.category for w in caught] == [HazardWarning] * is_told, "once per call site"
    if is_told:
        assert "silently wrong: " in str(caught[0].message)
        assert caught[0].filename == __file__


def test_the_hazard_is_named_with_its_way_out() -> None:
    x = torch._neg_view(torch.tensor([1.0, 2]))
    with pytest.warns(HazardWarning) as caught:
        np.from_dlpack(x)
    assert str(caught[0].message) == (
        "the array that DLPack makes of `x` (Tensor float32[2] on cpu) is silently wrong: its negation is still to be "
        "done (negative bit). Written out: x.resolve_neg().numpy()"
    )


PLAIN: dict[str, Callable[[], torch.Tensor]] = {
    "0-d": lambda: torch.tensor(1.5),
    "1-d": lambda: torch.arange(5.0),
    "empty": lambda: torch.empty(0, 3),
    "ints": lambda: torch.arange(3),
    "bool": lambda: torch.tensor([True, False]),
    "complex": lambda: torch.tensor([1 + 2j]),
    "half": lambda: torch.ones(2, dtype=torch.float16),
    "uint16": lambda: torch.ones(2, dtype=torch.uint16),
    "view": lambda: torch.arange(12.0).view(3, 4),
    "slice": lambda: torch.arange(12.0)[3:9],
    "strided": lambda: torch.arange(12.0).view(3, 4)[:, ::2],
    "transposed": lambda: torch.arange(12.0).view(3, 4).T,
    "of size one": lambda: torch.zeros(1, 3).expand(1, 3),
    "unsqueezed": lambda: torch.arange(3.0)[None, :, None],
    "repeated": lambda: torch.zeros(1, 3).repeat(4, 1),
    "from numpy": lambda: torch.from_numpy(np.ones(3)),
    "shared memory": lambda: torch.ones(3).share_memory_(),
    "detached": lambda: (torch.ones(2, requires_grad=True) * 2).detach(),
    "cloned parameter": lambda: LAYER.weight.detach().clone(),
    "computed of a parameter": lambda: LAYER.weight.detach() * 2,
    "gradient": lambda: torch.autograd.grad((LAYER.weight * 2).sum(), LAYER.weight)[0],
    "statistics": lambda: torch.nn.BatchNorm1d(3).running_mean,
    "batch": lambda: torch.utils.data.default_collate([np.ones(2), np.ones(2)]),
    "item of a list": lambda: list(torch.ones(3, 2))[1],
    "contiguous": lambda: torch.zeros(1, 3).expand(2, 3).contiguous(),
    "inference": lambda: make_in_inference_mode(),
    "buffer": lambda: torch.frombuffer(bytearray(8), dtype=torch.float32),
    "pickled": lambda: pickle.loads(pickle.dumps(torch.ones(3))),
    "storage of more": lambda: torch.empty(100)[:3],
    "freed after backward": lambda: make_after_backward(),
}


def make_in_inference_mode() -> torch.Tensor:
    with torch.inference_mode():
        return LAYER(torch.ones(1, 2)).relu()


def make_after_backward() -> torch.Tensor:
    leaf = torch.ones(2, requires_grad=True)
    kept = (leaf * 1).exp()
    kept.sum().backward()
    return kept.detach()


@pytest.mark.filterwarnings("ignore:You are using `torch.load`:FutureWarning")  # of torch 2.4, when it unpickles
@pytest.mark.parametrize("entrance", [NUMPY, ARRAY], ids=["numpy", "asarray"])
@pytest.mark.parametrize("name", PLAIN)
def test_no_false_alarm(name: str, entrance: Callable[[Any], Any]) -> None:
    x = PLAIN[name]()
    with mode("off"):
        expected = entrance(x)
    for _ in range(2):
        with mode("strict"):
            array = entrance(x)
        assert (array.dtype, array.shape, array.strides) == (expected.dtype, expected.shape, expected.strides)
        np.testing.assert_array_equal(array, expected)
        assert np.shares_memory(array, expected) or not array.size


def test_parameters_inside_no_grad() -> None:
    """Where one says that there is no gradient, writing to parameters is what people do."""
    with mode("strict"), torch.no_grad():
        assert LAYER.weight.numpy().shape == (2, 2)
        assert LAYER.weight.detach().numpy().flags.writeable


def test_whose_memory_it_is() -> None:
    with mode("strict"), pytest.raises(SilentError) as caught:
        LAYER.weight.detach().numpy()
    assert "it shares the memory of LAYER.weight, a parameter: a write to the array changes the model" in str(
        caught.value
    ).replace("\n" + " " * 10, " ")
    assert caught.value.diagnosis.fix == "LAYER.weight.detach().clone().numpy()"


def test_what_fails_in_stock_is_explained_as_ever() -> None:
    x = torch.ones(2, requires_grad=True)
    with mode("strict"), pytest.raises(RuntimeError) as caught:
        x.numpy()
    assert type(caught.value).__name__ == "GradError"
    assert not isinstance(caught.value, SilentError)
    with mode("strict"), pytest.raises(TypeError, match="got an unexpected keyword"):
        x.numpy(forse=True)  # type: ignore[call-arg]


def body() -> str:
    return door._numpy_in_place.__code__.co_name


def test_the_strict_function_is_in_place_while_somebody_needs_it() -> None:
    assert body() == "_numpy"
    with mode("strict"):
        assert body() == "_numpy_strict"
        with mode("explain"):
            assert body() == "_numpy_strict", "the outer block needs it again"
        inside, go_on = threading.Event(), threading.Event()

        def work() -> None:
            with mode("strict"):
                inside.set()
                go_on.wait(10)

        thread = threading.Thread(target=work)
        thread.start()
        inside.wait(10)
    assert body() == "_numpy_strict", "another thread needs it"
    go_on.set()
    thread.join()
    assert body() == "_numpy"
    safe_numpy.set_mode("strict")
    assert body() == "_numpy_strict"
    safe_numpy.uninstall()
    safe_numpy.install()
    assert body() == "_numpy_strict"
    safe_numpy.set_mode("explain")
    assert body() == "_numpy"


@pytest.mark.parametrize("action", ["always", "error"])
def test_a_variable_that_turns_to_nonsense_ends_strict_mode(action: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAFE_NUMPY", "strict")
    assert safe_numpy.get_mode() is safe_numpy.Mode.STRICT
    assert body() == "_numpy_strict"
    monkeypatch.setenv("SAFE_NUMPY", "stritc")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter(action)
        with contextlib.suppress(UserWarning):
            safe_numpy.get_mode()
    assert len(caught) == (action == "always")
    assert safe_numpy.get_mode() is safe_numpy.Mode.EXPLAIN
    assert body() == "_numpy"


def test_the_mode_alone_picks_the_body() -> None:
    assert body() == "_numpy"
    with mode("permissive"):
        assert body() == "_numpy_permissive"
        with mode("strict"):
            assert body() == "_numpy_strict", "it converts as well: what stock rejects is answered by the mode"
        with mode("off"):
            assert body() == "_numpy_permissive", "the outer block needs it again"
    safe_numpy.set_mode("permissive")
    safe_numpy.uninstall()
    assert body() == "_numpy"
    safe_numpy.install()
    assert body() == "_numpy_permissive"
    safe_numpy.set_mode("off")
    assert body() == "_numpy"


def test_a_task_that_outlives_the_block_it_was_started_in() -> None:
    expanded = torch.zeros(1).expand(3)

    async def late() -> bool:
        await asyncio.sleep(0.01)
        try:
            expanded.numpy()
        except SilentError:
            return True
        return False

    async def main() -> bool:
        with mode("strict"):
            task = asyncio.create_task(late())
        assert expanded.numpy().shape == (3,), "this context is out of it"
        return await task

    assert asyncio.run(main())
    assert body() == "_numpy"


def test_strict_in_one_thread_concerns_no_other() -> None:
    expanded = torch.zeros(1).expand(3)
    found = []
    with mode("strict"):
        thread = threading.Thread(target=lambda: found.append(expanded.numpy().shape))
        thread.start()
        thread.join()
        with pytest.raises(SilentError):
            expanded.numpy()
    assert found == [(3,)]


def test_by_the_variable() -> None:
    out = run(
        """
        import safe_numpy, torch
        try:
            torch.zeros(1).expand(3).numpy()
        except safe_numpy.SilentError as error:
            print(error.diagnosis.fix)
        """,
        SAFE_NUMPY="strict",
    )
    assert out == "torch.zeros(1).expand(3).contiguous().numpy()\n"


def test_errors_of_ours_leave_the_array(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any) -> Any:
        raise KeyError("ours")

    monkeypatch.setattr(FRAMEWORK, "plan_hazards", fail)
    with mode("strict"):
        assert torch.zeros(1).expand(3).numpy().tolist() == [0, 0, 0]


@pytest.mark.parametrize("hazard", ["expanded", "negated", "grad"])
def test_it_keeps_no_tensor_alive(hazard: str) -> None:
    make, door = {
        "expanded": (lambda: torch.zeros(1).expand(300), NUMPY),
        "negated": (lambda: torch._neg_view(torch.ones(300)), lambda x: x.__dlpack__()),
        "grad": (lambda: torch.ones(300, requires_grad=True), NUMPY),  # it fails in stock
    }[hazard]

    def fail() -> tuple[Exception, weakref.ref[Any]]:
        held = [make()]
        reference = weakref.ref(held[0])
        try:
            with mode("strict"):
                held.pop().numpy() if door is NUMPY else held.pop().__dlpack__()
        except safe_numpy.ConversionError as error:
            return error, reference
        raise AssertionError("it passed")

    gc.disable()
    try:
        error, reference = fail()
        assert reference() is None, "though the traceback is there"
        assert error.__traceback__ is not None
    finally:
        gc.enable()
    assert str(error)


LISTS: dict[str, tuple[Callable[[Any], Any], str | None]] = {
    "series": (lambda losses: pd.Series(losses), "pd.Series([t.item() for t in losses])"),
    "frame": (lambda losses: pd.DataFrame({"a": losses}), 'pd.DataFrame({"a": [t.item() for t in losses]})'),
    "column": (lambda losses: pd.DataFrame(losses), "pd.DataFrame([t.item() for t in losses])"),
    "rows": (lambda losses: pd.DataFrame([{"a": t} for t in losses]), None),
}


@pytest.mark.parametrize("name", LISTS)
def test_lists_of_scalars_in_pandas(name: str) -> None:
    make, fix = LISTS[name]
    losses = [torch.tensor(1.5), torch.tensor(2.5)]
    untouched = vars(pd.Series)["__init__"], vars(pd.DataFrame)["__init__"]
    for word in ("off", "explain", "permissive"):
        with mode(word):
            stock = make(losses)
        assert {str(dtype) for dtype in np.atleast_1d(stock.dtypes)} == {"object"}, "the hazard is real"
    with mode("strict"), pytest.raises(SilentError) as caught:
        make(losses)
    assert "column of objects" in str(caught.value)
    assert caught.value.diagnosis.fix == fix
    if fix is not None:
        assert str(np.atleast_1d(eval(fix, {"pd": pd, "losses": losses}).dtypes)[0]) == "float64"
    with mode("strict"):
        assert pd.DataFrame({"a": [1, 2], "b": np.ones(2)}).shape == (2, 2)
        assert pd.Series([torch.ones(2), torch.ones(3)]).dtype == object, "rows that differ in length are objects"
    assert (vars(pd.Series)["__init__"], vars(pd.DataFrame)["__init__"]) == untouched


def test_beyond_the_range_of_float16() -> None:
    """bfloat16 is an error in strict mode; where permissive mode converts, NumPy says that the cast overflows."""
    x = torch.tensor([1e5], dtype=torch.bfloat16)
    with mode("strict"), pytest.raises(safe_numpy.DTypeError):
        np.asarray(x, dtype=np.float16)
    with mode("permissive"), warnings.catch_warnings():
        warnings.simplefilter("ignore", safe_numpy.ConversionWarning)
        with pytest.warns(RuntimeWarning, match="overflow encountered in cast"):
            assert np.isinf(np.asarray(x, dtype=np.float16)).all()


@newer_torch
@pytest.mark.parametrize("script", ["digits.py", "digits_tensorflow.py"])
def test_the_demo_raises_no_false_alarm(script: str, tmp_path: Path) -> None:
    """What fails in `explain` fails in `strict`, and nothing else; Keras fits in between."""
    arguments = ["--epochs", "20", "--output", str(tmp_path)] if script == "digits.py" else []
    texts = []
    for word in ("explain", "strict"):
        done = subprocess.run(
            [sys.executable, str(ROOT / "examples" / script), *arguments],
            env={"PYTHONPATH": str(ROOT), "SAFE_NUMPY": word, "HOME": str(tmp_path), "MPLCONFIGDIR": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        texts.append(re.sub(r"accuracy \S+", "", done.stdout))
    assert texts[0] == texts[1]
    assert texts[0].strip()


def test_a_keras_fit_in_strict_mode() -> None:
    keras = pytest.importorskip("keras", reason="SAFE_NUMPY_TEST_FRAMEWORKS leaves it out")
    images, labels = np.random.default_rng(0).random((64, 4), np.float32), np.arange(64) % 2
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8, "relu"), keras.layers.Dense(2)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    with mode("strict"):
        for is_eager in (False, True):
            model.compile("adam", loss, metrics=["accuracy"], run_eagerly=is_eager)
            history = model.fit(images, labels, epochs=2, verbose=0, validation_split=0.25)
            assert len(history.history["val_loss"]) == 2
        assert model.predict(images, verbose=0).shape == (64, 2)
        assert model.evaluate(images, labels, verbose=0)[0] > 0
        assert [w.shape for w in model.get_weights()] == [(4, 8), (8,), (8, 2), (2,)]


class Detour(torch.nn.Module):
    """Leaves autograd in its middle, and comes back."""

    def __init__(self, detour: Callable[[torch.Tensor], Any]) -> None:
        super().__init__()
        self.body, self.head, self.detour = torch.nn.Linear(4, 4), torch.nn.Linear(4, 2), detour

    def forward(self, x: torch.Tensor) -> Any:
        h = self.body(x)
        return self.head(self.detour(h))


def by_helper(h: torch.Tensor) -> torch.Tensor:
    a = h.detach()
    b = np.tanh(a.numpy())
    return torch.as_tensor(b)


DETOURS: dict[str, Callable[[torch.Tensor], Any]] = {
    "detach": lambda h: torch.from_numpy(np.tanh(h.detach().numpy())),
    "data": lambda h: torch.from_numpy(np.tanh(h.data.numpy())),
    "by way of the cpu": lambda h: torch.from_numpy(np.tanh(h.detach().cpu().numpy())),
    "a helper": by_helper,
}


@pytest.mark.parametrize("how", DETOURS)
def test_a_detour_in_forward_that_is_written_out(how: str) -> None:
    """Permissive mode lets it pass, and so does stock: no gradient, no error."""
    net = Detour(DETOURS[how])
    net(torch.ones(3, 4)).sum().backward()
    assert net.body.weight.grad is None, "the hazard"
    with mode("strict"), pytest.raises(SilentError) as caught:
        net(torch.ones(3, 4))
    text = " ".join(str(caught.value).split())
    assert "numpy() would drop the gradient without a word" in text
    assert "autograd records `h`, and not what `Detour.forward` makes of the array" in text
    assert caught.value.diagnosis is not None
    assert caught.value.diagnosis.fix is None


def choose_largest(h: torch.Tensor) -> torch.Tensor:
    largest = h.detach().numpy().argmax(1)
    return h[:, torch.from_numpy(largest)].repeat(1, 2)[:, :4]


def look_at(h: torch.Tensor) -> torch.Tensor:
    shown = f"{h.detach().numpy().mean()}"
    assert shown
    return h


@pytest.mark.parametrize("detour", [choose_largest, look_at])
def test_what_forward_only_looks_at(detour: Callable[[torch.Tensor], Any]) -> None:
    net = Detour(detour)
    with mode("strict"):
        net(torch.ones(3, 4)).sum().backward()
        with torch.no_grad():
            Detour(DETOURS["detach"])(torch.ones(3, 4))
        out = net(torch.ones(3, 4))
        score = torch.tensor(out.detach().numpy().mean())
    assert net.body.weight.grad is not None
    assert score.shape == ()
