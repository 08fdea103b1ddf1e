"""Cause × door × mode, on real tensors, against an oracle that is not ours."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from catching import METHODS, catch
from versions import IS_OLD, unwrap
from zoo import CONVERTIBLE, FINE, REFUSED, Case, Counted, assert_same

import safe_numpy
from safe_numpy import ConversionError, ConversionWarning, Mode
from safe_numpy.diagnosis.causes import Cause
from safe_numpy.diagnosis.facts import Door, Kind
from safe_numpy.frameworks.torch import causes
from safe_numpy.frameworks.torch.framework import FRAMEWORK

DOORS = {**METHODS, "to_numpy": safe_numpy.to_numpy}


def quietly(door: Callable[[Any], Any], mode: str) -> Callable[[Any], Any]:
    """Pass the door in a mode, without the warnings that other tests look at."""

    def go(x: Any) -> Any:
        with warnings.catch_warnings(), safe_numpy.mode(mode):
            warnings.simplefilter("ignore", ConversionWarning)
            return door(x)

    return go


def address(x: Any) -> int | None:
    """Where the values of the tensor begin; None where they are not one piece of host memory."""
    if type(x).__name__ == "DTensor":
        return address(x._local_tensor)
    if type(x).__name__ == "MaskedTensor":
        return address(x._masked_data)
    if type(x).__name__ == "AsyncCollectiveTensor":
        return address(x.elem)
    if x.is_nested:
        return address(x.unbind()[0])
    return x.data_ptr() if x.layout is torch.strided else None


def where(array: Any) -> int:
    first = array[0] if array.dtype == object else array
    return np.asarray(first).__array_interface__["data"][0]


def test_the_table_is_as_large_as_promised() -> None:
    assert len({c.name for c in CONVERTIBLE}) == len(CONVERTIBLE) >= 57
    assert len({c.name for c in REFUSED}) == len(REFUSED)


@pytest.mark.parametrize("case", [*CONVERTIBLE, *REFUSED, *FINE], ids=str)
def test_what_is_foreseen_is_what_a_closer_look_finds(case: Case) -> None:
    x = case.make()
    foreseen = FRAMEWORK.foresee(x)
    if foreseen is not None:
        plan = FRAMEWORK.plan(x, Door.NUMPY)
        assert [p.cause for p in foreseen.problems] == [p.cause for p in plan.problems]
        assert (foreseen.array, foreseen.copies, foreseen.is_refused) == (plan.array, plan.copies, plan.is_refused)


def test_a_new_row_is_heeded_where_plans_are_foreseen(monkeypatch: pytest.MonkeyPatch) -> None:
    row = Cause(
        Kind.LAYOUT, "unlucky", lambda x, door: len(x) == 13, "{x}[:12]", "it has 13 elements", "cut", is_common=True
    )
    monkeypatch.setattr(causes, "_COMMON", (*causes._COMMON, row))
    monkeypatch.setattr(causes, "_UNFORESEEN", (*causes._UNFORESEEN, row))
    unlucky, lucky = (torch.ones(n, requires_grad=True) for n in (13, 14))
    for _ in range(2):
        assert safe_numpy.to_numpy([unlucky, lucky])[0].shape == (12,)
        assert quietly(lambda x: x.numpy(), "permissive")(unlucky).shape == (12,)
        assert quietly(lambda x: x.numpy(), "permissive")(lucky).shape == (14,)


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("case", CONVERTIBLE, ids=str)
def test_permissive_converts_exactly(case: Case, door: str) -> None:
    if door == "asarray" and not case.implicit:
        error = case.visit(catch(DOORS[door], "permissive"))
        assert isinstance(error, ConversionError)
        assert error.diagnosis is not None
        assert error.diagnosis.fix is not None
        return
    if door != "to_numpy" and not case.stock_fails:
        return  # what works on stock is not ours to touch, right or wrong
    assert_same(case.visit(quietly(DOORS[door], "permissive")), case.expected)


@pytest.mark.parametrize("case", CONVERTIBLE, ids=str)
def test_every_fix_evaluates_to_the_same_array(case: Case) -> None:
    def fix(x: torch.Tensor) -> Any:
        diagnosis = safe_numpy.diagnose(x, "batch")
        assert tuple(p.kind for p in diagnosis.problems) == case.kinds
        assert diagnosis.convertible
        assert diagnosis.fix is not None
        with safe_numpy.mode("off"):
            return eval(diagnosis.fix, {"np": np, "torch": torch, "batch": x})

    assert_same(case.visit(fix), case.expected)


@pytest.mark.parametrize("case", CONVERTIBLE + FINE, ids=str)
def test_sharing_is_as_diagnosed(case: Case) -> None:
    def look(x: torch.Tensor) -> tuple[bool, bool]:
        said = safe_numpy.diagnose(x).shares_memory
        return said, where(safe_numpy.to_numpy(x)) == address(unwrap(x))

    said, true = case.visit(look)
    assert said == true == case.shares or case.expected.size == 0


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("mode", ["explain", "permissive", "strict"])
@pytest.mark.parametrize("case", REFUSED, ids=str)
def test_what_has_no_value_is_refused_with_its_reason(case: Case, mode: str, door: str) -> None:
    if door != "to_numpy" and not case.stock_fails:
        return  # stock hands out an array there; strict mode is to look at that
    error = case.visit(catch(DOORS[door], mode))
    if door == "asarray" and not case.implicit:
        assert type(error) is ValueError
        return
    assert isinstance(error, ConversionError)
    assert error.diagnosis is not None
    assert not error.diagnosis.convertible
    assert tuple(p.kind for p in error.diagnosis.problems) == case.kinds
    assert "instead" in str(error) or "note" in str(error)
    assert "permissive converts" not in str(error)


@pytest.mark.parametrize("door", ["numpy", "asarray", "force", "dlpack"])
@pytest.mark.parametrize("mode", ["explain", "strict", "permissive"])
@pytest.mark.parametrize("case", CONVERTIBLE + REFUSED, ids=str)
def test_an_explained_error_is_the_stock_error_and_more(case: Case, mode: str, door: str) -> None:
    doors = {**DOORS, "force": lambda x: x.numpy(force=True), "dlpack": np.from_dlpack}
    if (case.name, door) == ("fake", "dlpack"):
        return  # stock hands out whatever stands in memory there, or not
    stock = case.visit(catch(doors[door], "off"))
    assert not isinstance(stock, ConversionError)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConversionWarning)
        warnings.simplefilter("ignore", safe_numpy.HazardWarning)
        new = case.visit(catch(doors[door], mode))
    if stock is None:  # nobody's working program behaves otherwise, but for what is silently wrong, in strict mode
        assert new is None or (mode == "strict" and isinstance(new, safe_numpy.SilentError))
        return
    if mode == "permissive" and new is None:
        return
    assert new is not None
    if mode == "permissive" and door == "dlpack" and not isinstance(new, ConversionError):
        # exported as wished; NumPy wants neither the device nor the dtype, nor can an older torch export every dtype
        assert str(new).startswith(("Unsupported", "float8 types are not supported"))
        return
    if mode == "strict" and door == "dlpack" and isinstance(new, safe_numpy.SilentError):
        return  # another consumer would have taken the capsule that NumPy refuses
    assert isinstance(new, type(stock))
    assert str(new).startswith(str(stock))
    if type(new) is type(stock):
        # NumPy itself refuses the capsule, or the class the array: no door of ours is on the way
        assert door == "dlpack" or not case.implicit
        return
    assert isinstance(new, ConversionError)
    assert str(new) != str(stock)
    again = pickle.loads(pickle.dumps(new))
    assert type(again) is type(new)
    assert str(again) == str(new)
    assert again.diagnosis == new.diagnosis
    rebuilt = type(new)(str(new))
    assert str(rebuilt) == str(new)
    assert new.__cause__ is None
    assert new.__suppress_context__


@pytest.mark.parametrize("case", FINE, ids=str)
@pytest.mark.parametrize("mode", list(Mode), ids=lambda m: m.value)
@pytest.mark.parametrize("door", DOORS)
def test_what_works_is_untouched(case: Case, mode: Mode, door: str) -> None:
    x = case.make()
    if (case.name, mode) == ("expanded", Mode.STRICT):
        return  # a trap for who writes: tests/test_strict.py
    with safe_numpy.mode("off"):
        stock = DOORS[door](x)
    with warnings.catch_warnings(), safe_numpy.mode(mode):
        warnings.simplefilter("error", ConversionWarning)
        guarded = DOORS[door](x)
    assert_same(guarded, stock)
    assert_same(guarded, case.expected)
    assert where(guarded) == where(stock)
    assert str(guarded.flags) == str(stock.flags)
    assert guarded.strides == stock.strides
    diagnosis = safe_numpy.diagnose(x)
    assert (diagnosis.problems, diagnosis.fix, diagnosis.convertible) == ((), "x.numpy()", True)


def forced(case: Case) -> Any:
    """What stock `force=True` makes of the case, or the error."""
    return case.visit(lambda x: catch_value(lambda: x.numpy(force=True)))


def catch_value(do: Callable[[], Any]) -> Any:
    with safe_numpy.mode("off"):
        try:
            return do()
        except Exception as error:
            return error


@pytest.mark.parametrize("case", CONVERTIBLE, ids=str)
def test_permissive_equals_force_where_force_works(case: Case) -> None:
    def both(x: torch.Tensor) -> tuple[Any, Any]:
        stock = catch_value(lambda: x.numpy(force=True))
        return stock, quietly(lambda y: y.numpy(), "permissive")(x)

    stock, ours = case.visit(both)
    if isinstance(stock, Exception) or case.name == "functionalize" or (case.name == "zero" and IS_OLD):
        # force reads uninitialised memory there
        return
    assert_same(ours, stock)
    assert str(ours.flags) == str(stock.flags)
    assert ours.strides == stock.strides
    assert (where(ours) == where(stock)) == case.shares or ours.size == 0


def test_a_torch_function_is_explained_once() -> None:
    x = torch.ones(2, requires_grad=True).as_subclass(Counted)
    Counted.calls = 0
    with pytest.raises(safe_numpy.GradError) as caught:
        x.numpy()
    assert str(caught.value).count("cannot become a NumPy array") == 1
    assert Counted.calls == 1
