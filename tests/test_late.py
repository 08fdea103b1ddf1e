"""At the interpreter's end: modules have lost their globals, and a ``__del__`` still converts."""

from __future__ import annotations

import pytest
from processes import run

PROGRAM = """
import sys, warnings
import numpy, torch, safe_numpy
safe_numpy.set_mode(MODE)
plain, leaf = torch.ones(2), torch.ones(2, requires_grad=True)
kept = torch.Tensor, plain, leaf, RuntimeError, numpy.from_dlpack, print, type, isinstance

def convert(kept):
    Tensor, plain, leaf, RuntimeError, from_dlpack, print, type, isinstance = kept
    print(plain.numpy().tolist(), plain.numpy(force=True).tolist(), plain.numpy(force=False).tolist())
    print(from_dlpack(plain).tolist(), leaf.detach().numpy().tolist(), leaf.numpy(force=True).tolist())
    try:
        print(leaf.numpy().tolist())
    except RuntimeError as error:
        print(str(error)[:28])

for name, module in list(sys.modules.items()):  # as the interpreter does it, from 3.13 on before the last objects go
    if name.startswith("safe_numpy"):
        for key in [k for k in vars(module) if k != "__builtins__"]:
            vars(module)[key] = None
convert(kept)
"""


@pytest.mark.parametrize("mode", ["off", "explain", "permissive", "strict"])
def test_a_late_conversion_is_as_without_the_guard(mode: str) -> None:
    out = run(PROGRAM.replace("MODE", repr(mode)))
    assert out.splitlines() == ["[1.0, 1.0] [1.0, 1.0] [1.0, 1.0]"] * 2 + ["Can't call numpy() on Tensor"]


OUTLIVING = """
import os, sys
import torch, safe_numpy
safe_numpy.set_mode(MODE)

class Late:
    tensors = torch.ones(2), torch.ones(2, requires_grad=True)
    def __del__(self, tensors=tensors, write=os.write, str=str, type=type, BaseException=BaseException):
        plain, leaf = tensors
        try:
            write(1, f"{plain.numpy().tolist()}\\n".encode())
            leaf.numpy()
        except BaseException as error:
            write(1, f"{str(error)[:28]}\\n".encode())

kept, torch.kept, sys.kept = Late(), Late(), Late()  # the last outlives what is built in
"""


@pytest.mark.parametrize("mode", ["off", "explain", "permissive", "strict"])
def test_whatever_outlives_its_modules_is_served(mode: str) -> None:
    lines = run(OUTLIVING.replace("MODE", repr(mode))).splitlines()
    assert lines == ["[1.0, 1.0]", "Can't call numpy() on Tensor"] * 3
