"""What was set for the whole program, or for the block in which the guard is imported and first asked, is not its."""

from __future__ import annotations

import pytest
from processes import run

SURROUNDINGS = {
    "nothing": "contextlib.nullcontext()",
    "default device": "torch.device('meta')",
    "default dtype": "default_dtype(torch.bfloat16)",
    "inference mode": "torch.inference_mode()",
    "no_grad": "torch.no_grad()",
    "fake tensors": "FakeTensorMode()",
    "dispatch mode": "Recording()",
    "deterministic": "deterministic()",
}
IN_TRANSFORM = """
import warnings
import torch, safe_numpy
from safe_numpy.frameworks.torch import causes

weights = torch.tensor([1.0, 2.0], requires_grad=True)

def convert_often(x):
    for _ in range(12):
        assert weights.numpy().tolist() == [1.0, 2.0]
    return x.sum()

with safe_numpy.mode("permissive"), warnings.catch_warnings():
    warnings.simplefilter("ignore")
    torch.func.grad(convert_often)(torch.ones(2))
    torch.vmap(convert_often)(torch.ones(2, 2))
assert causes.foresee(weights).array == "{x}.detach().numpy()", causes.foresee(weights)
print("right")
"""

PROGRAM = """
import contextlib, warnings
import numpy as np, torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

class Recording(TorchDispatchMode):
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return func(*args, **(kwargs or {}))

@contextlib.contextmanager
def default_dtype(dtype):
    torch.set_default_dtype(dtype)
    yield
    torch.set_default_dtype(torch.float32)

@contextlib.contextmanager
def deterministic():
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)

low = torch.tensor([1.0, 2.0], dtype=torch.bfloat16)
weights = torch.tensor([1.0, 2.0], requires_grad=True)
with SURROUNDINGS:
    import safe_numpy
    from safe_numpy.frameworks.torch import causes
    for x in (low, weights, low, weights):
        try:  # FakeTensorMode refuses what it did not make
            safe_numpy.to_numpy(x)
        except (RuntimeError, TypeError, AssertionError):
            pass
with safe_numpy.mode("explain"):
    for x, kind in ((low, "dtype"), (weights, "grad")):
        try:
            x.numpy()
        except (RuntimeError, TypeError) as error:
            assert isinstance(error, safe_numpy.ConversionError), repr(error)
            assert [p.kind for p in error.diagnosis.problems] == [kind], str(error)
        else:
            raise AssertionError("no error")
assert causes.foresee(low).array == "{x}.float().numpy()", causes.foresee(low)
assert causes.foresee(weights).array == "{x}.detach().numpy()"
with safe_numpy.mode("permissive"), warnings.catch_warnings():
    warnings.simplefilter("ignore")
    for x in (low, weights):
        for _ in range(12):
            assert x.numpy().tolist() == [1.0, 2.0]
assert not any(row["moved_from"] for row in safe_numpy.report().rows), "it is in host memory"
assert np.shares_memory(safe_numpy.to_numpy(weights), weights.detach().numpy())
print("right")
"""


def test_what_is_foreseen_is_not_learnt_inside_a_transform() -> None:
    assert run(IN_TRANSFORM) == "right\n"


@pytest.mark.parametrize("name", SURROUNDINGS)
def test_first_used_inside(name: str) -> None:
    assert run(PROGRAM.replace("SURROUNDINGS", SURROUNDINGS[name])) == "right\n"
