"""The exception classes: manual pages that run, classes that cross processes, types that callers catch."""

from __future__ import annotations

import copy
import doctest
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from versions import newer_torch
from zoo import grads

import safe_numpy
from safe_numpy.config import modes as _modes
from safe_numpy.diagnosis.facts import Kind
from safe_numpy.errors import pages as _errors

OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE | doctest.IGNORE_EXCEPTION_DETAIL


@newer_torch
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("module", [_errors, _modes], ids=lambda m: m.__name__)
def test_manual_pages_run(module: Any) -> None:
    finder, runner = doctest.DocTestFinder(), doctest.DocTestRunner(optionflags=OPTIONS)
    for test in finder.find(module):
        runner.run(test)
    if module is _errors:
        # classes that display as safe_numpy's own are not found by their module
        for name in safe_numpy.__all__:
            for test in finder.find(getattr(safe_numpy, name), f"safe_numpy.{name}", module=False, globs={}):
                runner.run(test)
        assert runner.tries > 40
    assert runner.failures == 0


def caught(do: Any) -> Exception:
    with pytest.raises(Exception) as info:  # noqa: PT011 - which one is the question
        do()
    error: Exception = info.value
    return error


@newer_torch
def test_one_class_per_builtin_type() -> None:
    numpy, dlpack = caught(lambda: grads().numpy()), caught(lambda: np.from_dlpack(grads()))
    assert isinstance(numpy, safe_numpy.GradError)
    assert isinstance(dlpack, safe_numpy.GradError)
    assert isinstance(numpy, RuntimeError)
    assert not isinstance(numpy, BufferError)
    assert isinstance(dlpack, BufferError)
    assert not isinstance(dlpack, RuntimeError), "an earlier `except RuntimeError` must not catch it"
    assert type(caught(lambda: grads().numpy())) is type(numpy)


def test_it_displays_as_ours() -> None:
    cls = type(caught(lambda: grads().numpy()))
    assert f"{cls.__module__}.{cls.__qualname__}" == "safe_numpy.GradError"
    assert cls.__doc__ == safe_numpy.GradError.__doc__


def test_a_device_error_may_be_two_things() -> None:
    meta = torch.ones(2, device="meta")
    assert isinstance(caught(lambda: meta.numpy(force=True)), NotImplementedError)
    assert isinstance(caught(lambda: meta.numpy()), TypeError)


def test_the_class_itself_pickles() -> None:
    for cls in (type(caught(lambda: grads().numpy())), safe_numpy.GradError, safe_numpy.ConversionError):
        assert pickle.loads(pickle.dumps(cls)) is cls
        assert copy.deepcopy(cls) is cls


def test_one_string_builds_one() -> None:
    error = caught(lambda: grads().numpy())
    rebuilt = type(error)(str(error))
    assert (str(rebuilt), rebuilt.diagnosis) == (str(error), None)  # type: ignore[attr-defined]
    assert str(safe_numpy.DeviceError("gone")) == "gone"
    assert str(safe_numpy.ConversionError()) == ""


def test_a_data_loader_worker_hands_it_over_whole() -> None:
    from torch._utils import ExceptionWrapper

    try:
        grads().numpy()
    except RuntimeError:
        wrapped = ExceptionWrapper(where="in DataLoader worker process 0")
    wrapped = pickle.loads(pickle.dumps(wrapped))
    with pytest.raises(safe_numpy.GradError, match="in DataLoader worker process 0") as info:
        wrapped.reraise()
    assert isinstance(info.value, RuntimeError)
    assert "grads().detach().numpy()" in str(info.value)


class Stubborn(torch.utils.data.Dataset):  # type: ignore[type-arg]
    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> Any:
        return grads().numpy()


@newer_torch
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_a_real_worker_does_too(start: str) -> None:
    loader = torch.utils.data.DataLoader(Stubborn(), num_workers=1, multiprocessing_context=start)
    with pytest.raises(safe_numpy.GradError, match=r"grads\(\)\.detach\(\)\.numpy\(\)") as info:
        list(loader)
    assert "Caught GradError in DataLoader worker process 0" in str(info.value)
    assert isinstance(info.value, RuntimeError)


def test_the_attributes_of_the_original_come_along() -> None:
    class ForeignError(Exception):
        def __init__(self, code: int, text: str) -> None:
            super().__init__(text)
            self.code = code

    original = ForeignError(7, "their text")
    error = _errors.make_error(original, Kind.GRAD, lambda traceback: safe_numpy.diagnose(grads()), None)
    assert isinstance(error, ForeignError)
    assert isinstance(error, safe_numpy.GradError)
    assert error.code == 7
    assert str(error).startswith("their text\n\n")
    missing = caught(lambda: grads().nothing)
    error = _errors.make_error(missing, Kind.GRAD, lambda traceback: safe_numpy.diagnose(grads()), None)
    assert isinstance(error, AttributeError)
    assert error.name == "nothing"


def test_autograph_lets_it_pass() -> None:
    assert safe_numpy.ConversionError.ag_pass_through is True


def test_every_class_is_documented_and_public() -> None:
    for cls in _errors._CLASSES.values():
        assert cls.__module__ == "safe_numpy"
        assert getattr(safe_numpy, cls.__name__) is cls
    assert issubclass(safe_numpy.ConversionWarning, UserWarning)
    assert not issubclass(safe_numpy.ConversionWarning, safe_numpy.ConversionError)
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        safe_numpy.nonsense  # noqa: B018
    assert set(safe_numpy.__all__) <= set(dir(safe_numpy))
