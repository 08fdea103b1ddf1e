"""PyTorch's table of steps: every cause, and the code that cures it. How each is seen stands in `_torch_sights`.

Measured on torch 2.13; texts and threads in the project's catalogue. Order is the order of the fix:

- detach first, so that nothing after it is recorded;
- leave the device early: sparse and low-precision data travel small, and nothing is allocated on the device;
- widen before densifying: ``to_dense()`` of a float8 CSR tensor is not implemented;
- resolve the lazy bits last, as ``numpy(force=True)`` does.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from safe_numpy.diagnosis.causes import EVERY_DOOR, Scope, Step
from safe_numpy.diagnosis.facts import Door, Kind
from safe_numpy.frameworks.torch import detect as sights

_functorch: Any = torch._C._functorch

_ARRAY_DOORS = EVERY_DOOR - {Door.DLPACK}
_FORCED = frozenset({Door.FORCE})
"""the door that cures detached, device and lazy-bit problems by itself (torch docs, Tensor.numpy)"""

_UNFORCED = EVERY_DOOR - _FORCED

# debug_unwrap came with torch 2.7; what it calls undoes one level
_UNWRAP = "torch.func.debug_unwrap" if hasattr(torch.func, "debug_unwrap") else "torch._C._functorch.get_unwrapped"
_IS_OPEN = tuple(map(int, torch.__version__.split(".")[:2])) >= (2, 9)
"""What is unwrapped inside of grad can be read; before, the running transform wraps it anew whatever one does."""


def _fills_zeros() -> bool:
    """Tell whether torch fills in zeros: before torch 2.10 it gives what lies in memory, by force too."""
    try:
        with sights.outside_modes():
            torch._efficientzerotensor(1, device="cpu").numpy()
    except RuntimeError:
        return True
    return False


_FILLS = _fills_zeros()
_SUB, _FUNC, _SPECIAL = Scope.SUBCLASS, Scope.TRANSFORM, Scope.SPECIAL

STEPS: tuple[Step, ...] = (
    Step(Kind.NUMPY, "numpy", sights.see_numpy, None, _ARRAY_DOORS),
    # first, and last: whatever else is asked of it runs its own code
    Step(Kind.SUBCLASS, "unknown", sights.see_unknown, None, EVERY_DOOR, ends=True, scope=_SUB),
    Step(Kind.NO_DATA, "meta", sights.see_meta, None, EVERY_DOOR, scope=_SPECIAL),
    Step(Kind.NO_DATA, "fake", sights.see_fake, None, EVERY_DOOR, scope=_SUB),
    Step(Kind.NO_DATA, "uninitialized", sights.see_uninitialized, None, EVERY_DOOR, scope=_SUB),
    Step(Kind.NO_DATA, "freed", sights.see_freed, None, EVERY_DOOR),
    Step(Kind.TRANSFORM, "vmap", sights.see_vmap, None, EVERY_DOOR, scope=_FUNC),
    Step(Kind.DEVICE, "capture", sights.see_capture, None, _ARRAY_DOORS, _ARRAY_DOORS, scope=_SPECIAL),
    Step(Kind.SHARDED, "sharded", sights.see_sharded, None, EVERY_DOOR, scope=_SUB),
    Step(Kind.GRAD, "grad", sights.see_grad, "{x}.detach()", _UNFORCED, copies=False, neutral=True),
    Step(
        Kind.SHARDED, "local", sights.see_local, "{x}.to_local()", EVERY_DOOR,
        copies=False, reveal=lambda x: x._local_tensor, scope=_SUB,
    ),
    Step(
        Kind.SUBCLASS, "pending", sights.see_pending, "{x}.wait()", EVERY_DOOR,
        copies=False, waits=True, reveal=lambda x: x.elem, scope=_SUB,
    ),
    Step(
        # np.asarray drops a mask without a word
        Kind.MASKED, "masked", sights.see_masked, "np.ma.MaskedArray({data}, mask=~{mask})", EVERY_DOOR,
        refused=frozenset({Door.ARRAY}), ends=True, copies=False, parts=sights.masked_parts, scope=_SUB,
    ),
    Step(Kind.DEVICE, "device", sights.see_device, "{x}.cpu()", _ARRAY_DOORS - _FORCED, _ARRAY_DOORS, neutral=True,
         scope=_SPECIAL),
    Step(Kind.QUANTIZED, "quantized", sights.see_quantized, "{x}.dequantize()", EVERY_DOOR, itemsize=4, scope=_SPECIAL),
    # an mkldnn tensor has no casts: dense first
    Step(Kind.LAYOUT, "layout", sights.see_mkldnn, "{x}.to_dense()", EVERY_DOOR, scope=_SPECIAL),
    Step(Kind.DTYPE, "float", sights.see_low_precision, "{x}.float()", _ARRAY_DOORS, itemsize=4),
    Step(
        Kind.DTYPE, "complex", sights.see_complex_half, "{x}.to(torch.complex64)",
        _ARRAY_DOORS, _ARRAY_DOORS, itemsize=8,
    ),
    Step(Kind.DTYPE, "packed", sights.see_packed, "{x}.view(torch.{as_dtype})", EVERY_DOOR, copies=False),
    Step(Kind.LAYOUT, "float8_layout", sights.see_float8_layout, "{x}.to_dense()", EVERY_DOOR, scope=_SPECIAL),
    Step(Kind.LAYOUT, "layout", sights.see_frozen_layout, "{x}.clone().to_dense()", EVERY_DOOR, scope=_SPECIAL),
    Step(Kind.LAYOUT, "layout", sights.see_layout, "{x}.to_dense()", EVERY_DOOR, scope=_SPECIAL),
    Step(Kind.CONJ, "conj", sights.see_conj, "{x}.resolve_conj()", _UNFORCED, neutral=True, scope=_SPECIAL),
    Step(Kind.NEG, "neg", sights.see_neg, "{x}.resolve_neg()", _UNFORCED, neutral=True, scope=_SPECIAL),
    Step(
        Kind.NESTED, "nested", sights.see_nested, "np.fromiter((row.numpy() for row in {x}.unbind()), dtype=object)",
        EVERY_DOOR, ends=True, copies=False, scope=_SPECIAL,
    ),
    Step(
        Kind.TRANSFORM, "func" if _IS_OPEN else "func_closed", sights.see_differentiated,
        f"np.from_dlpack({_UNWRAP}({{x}}).data)" if _IS_OPEN else None, EVERY_DOOR,
        ends=True, copies=False, scope=_FUNC,
    ),
    # clone() brings the wrapper up to date with writes to its views
    Step(
        Kind.TRANSFORM, "functionalize", sights.see_functionalized, f"{_UNWRAP}({{x}}.clone())", EVERY_DOOR,
        scope=_SPECIAL,
    ),
    Step(
        Kind.ZERO, "zero", sights.see_zero, "{x}.numpy(force=True)", _UNFORCED, _ARRAY_DOORS if _FILLS else frozenset(),
        ends=True, scope=_SPECIAL,
    ),
    Step(
        Kind.ZERO, "zero", sights.see_zero, "{x}.clone()", _UNFORCED,
        frozenset({Door.DLPACK}) if _FILLS else EVERY_DOOR, scope=_SPECIAL,
    ),
    # NumPy takes the bytes, and ml_dtypes gives them their meaning back
    Step(
        Kind.DTYPE, "exact", sights.see_exact, "{x}.view(torch.{as_dtype}).numpy().view(ml_dtypes.{dtype})",
        _ARRAY_DOORS, _ARRAY_DOORS, ends=True, copies=False,
    ),
)  # fmt: skip

_BY_SCOPE = {
    scopes: tuple(step for step in STEPS if step.scope in (Scope.ANY, *scopes))
    for n in range(4)
    for scopes in itertools.combinations((_SUB, _FUNC, _SPECIAL), n)
}


def find_steps(x: Tensor) -> Sequence[Step]:
    """Return the steps that can concern `x`: a failure is often swallowed, so asking is to be quick."""
    special = not sights.is_dense_on_host(x)
    scopes: tuple[Scope, ...] = (_SPECIAL,) if special else ()
    if _functorch.peek_interpreter_stack() is not None or (special and _functorch.is_functorch_wrapped_tensor(x)):
        scopes = (_FUNC, *scopes)
    if type(x) not in sights.PLAIN:
        scopes = (_SUB, *scopes)
    return _BY_SCOPE[scopes]


STOCK_ORDER: Mapping[Door, tuple[str, ...]] = {
    # tensor_to_numpy in torch/csrc/utils/tensor_numpy.cpp
    Door.NUMPY: (
        "numpy", "subclass", "masked", "sharded", "no_data", "layout", "device", "quantized", "zero",
        "transform", "grad", "conj", "neg", "nested", "dtype",
    ),
    # Tensor.__dlpack__ in torch/_tensor.py
    Door.DLPACK: ("no_data", "nested", "grad", "conj", "layout", "transform", "dtype"),
}  # fmt: skip
