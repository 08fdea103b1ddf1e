"""PyTorch's causes: each with the code that cures it, and what is said of it. How each is seen stands in `detect`.

Measured on torch 2.13; texts and threads in the project's catalogue. Order is the order of the fix:

- detach first, so that nothing after it is recorded;
- leave the device early: sparse and low-precision data travel small, and nothing is allocated on the device;
- widen before densifying: ``to_dense()`` of a float8 CSR tensor is not implemented;
- resolve the lazy bits last, as ``numpy(force=True)`` does
  (https://github.com/pytorch/pytorch/blob/v2.6.0/torch/csrc/utils/tensor_numpy.cpp#L123-L163).
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from safe_numpy.config.modes import DTYPE, MAX_BYTES
from safe_numpy.diagnosis.causes import EVERY_DOOR, Cause, Plan, Walk
from safe_numpy.diagnosis.facts import Door, Kind
from safe_numpy.diagnosis.memory import ALWAYS_FITS
from safe_numpy.frameworks.torch import detect

_find_transform = torch._C._functorch.peek_interpreter_stack
_compare_keys, _get_keys, _DENSE_ON_HOST = detect.compare_keys, detect.get_keys, detect.DENSE_ON_HOST
_is_grad_enabled = torch.is_grad_enabled

_ARRAY_DOORS = EVERY_DOOR - {Door.DLPACK}
_FORCED = frozenset({Door.FORCE})
"""the door that cures detached, device and lazy-bit problems by itself (torch docs, Tensor.numpy)"""

_UNFORCED = EVERY_DOOR - _FORCED

# debug_unwrap came with torch 2.7 (https://github.com/pytorch/pytorch/pull/146528); what it calls undoes one level
_UNWRAP = "torch.func.debug_unwrap" if hasattr(torch.func, "debug_unwrap") else "torch._C._functorch.get_unwrapped"
_IS_OPEN = tuple(map(int, torch.__version__.split(".")[:2])) >= (2, 9)
"""What is unwrapped inside of grad can be read; before, the running transform wraps it anew whatever one does."""


def _fills_zeros() -> bool:
    """Tell whether torch fills in zeros: before torch 2.10 it gives what lies in memory, by force too.

    https://github.com/pytorch/pytorch/issues/89034, https://github.com/pytorch/pytorch/pull/164487
    """
    try:
        with detect.outside_modes():
            torch._efficientzerotensor(1, dtype=torch.float32, device="cpu").numpy()
    except RuntimeError:
        return True
    return False


_FILLS = _fills_zeros()

_LAYOUT = ("its layout is {layout}; NumPy has dense arrays only", "made dense, from {layout}")
_ZERO = ("it stands for zeros without holding them (ZeroTensor)", "filled with its zeros")

CAUSES: tuple[Cause, ...] = (
    Cause(
        Kind.NUMPY, "numpy", detect.find_numpy_missing, None,
        "{state}",
        instead="install a NumPy that this torch was built for: `pip install numpy`, "
        "or `pip install 'numpy<2'` for torch 2.2 and older",
        blocks=_ARRAY_DOORS, is_common=True, is_foreseen=True,
    ),
    Cause(  # first, and last: whatever else is asked of it runs its own code
        Kind.SUBCLASS, "unknown", detect.find_unknown_subclass, None,
        "{type} is a tensor subclass with a __torch_dispatch__ of its own: what its values are, only it knows",
        instead="ask {type} for a plain tensor; its documentation says how",
        ends=True,
    ),
    Cause(
        Kind.NO_DATA, "meta", lambda x, door: x.is_meta and not detect.is_a(x, "FakeTensor"), None,
        "it is on the meta device: it has a shape and a dtype, and no data",
        instead="the advice to call cpu() fails too; make the tensor on a real device, or load its values "
        "(`module.to_empty(device='cpu')`, then `load_state_dict`)",
    ),
    Cause(
        Kind.NO_DATA, "fake", lambda x, door: detect.is_a(x, "FakeTensor"), None,
        "it is a FakeTensor, made while a program is traced: it has no data",
        instead="convert outside of the traced code (torch.export, torch.compile, FakeTensorMode)",
    ),
    Cause(
        Kind.NO_DATA, "uninitialized", lambda x, door: detect.is_uninitialized(x), None,
        "it is a parameter of a lazy module that has seen no input yet: it has no data",
        instead="run the module once on an example, then convert",
    ),
    Cause(
        Kind.NO_DATA, "freed", detect.find_freed, None,
        "its storage was freed ({held} of {needed} bytes are left), as FSDP does between uses",
        instead="convert where the parameters are gathered: "
        "`with FullyShardedDataParallel.summon_full_params(module):`",
        is_common=True, is_foreseen=True, is_unguarded=True,
    ),
    Cause(
        Kind.TRANSFORM, "vmap", detect.is_batched, None,
        "torch.vmap is running: it stands for one row of a batch, and holds no value of its own",
        instead="return it from the function given to torch.vmap, and convert the result",
    ),
    Cause(
        Kind.DEVICE, "capture",
        lambda x, door: x.is_cuda and torch.cuda.is_current_stream_capturing() and {"device": str(x.device)}, None,
        "a CUDA graph is being captured on its stream ({device}): copying to the host would break the capture",
        instead="convert before the capture or after `graph.replay()`",
        blocks=_ARRAY_DOORS, needed=_ARRAY_DOORS,
    ),
    Cause(  # full_tensor() is a collective (torch/distributed/tensor/_api.py, DTensor.full_tensor)
        Kind.SHARDED, "sharded", detect.find_sharded, None,
        "it is a DTensor spread over {ranks} ranks ({placements}): this rank holds a part of it",
        instead="call `{x}.full_tensor()` on every rank of the mesh, then convert; on one rank alone it hangs",
    ),
    Cause(
        Kind.GRAD, "grad", detect.find_grad, "{x}.detach()",
        "autograd records it ({origin}); the graph would be lost", done="detached from autograd",
        blocks=_UNFORCED, copies=False, neutral=True, is_common=True, is_foreseen=True,
    ),
    Cause(
        Kind.SHARDED, "local", lambda x, door: detect.is_a(x, "DTensor") and detect.has_whole_value(x),
        "{x}.to_local()",
        "it is a DTensor; this rank holds all of it", done="taken from its DTensor",
        copies=False, reveal=lambda x: x._local_tensor,
    ),
    Cause(
        Kind.SUBCLASS, "pending",
        lambda x, door: (door is Door.DLPACK or not detect.converts_itself(x)) and detect.is_a(x, detect.PENDING),
        "{x}.wait()",
        "it is the pending result of a collective", done="waited for its collective",
        copies=False, waits=True, reveal=lambda x: x.elem,
    ),
    Cause(  # NumPy's mask is the inverse of torch's (torch docs, MaskedTensor semantics)
        Kind.MASKED, "masked", lambda x, door: detect.is_a(x, "MaskedTensor"),
        "np.ma.MaskedArray({data}, mask=~{mask})",
        "it is a MaskedTensor, and a plain array has no mask", done="made a masked array",
        instead="np.asarray drops masks; the fix keeps it",
        refused=frozenset({Door.ARRAY}), ends=True, copies=False,
        parts=lambda x: {"data": ("{x}.get_data()", x._masked_data), "mask": ("{x}.get_mask()", x._masked_mask)},
    ),
    Cause(
        Kind.DEVICE, "device", detect.find_device, "{x}.cpu()",
        "it lives on {device}; NumPy reads host memory only", done="copied {nbytes} from {device} to the CPU",
        blocks=_UNFORCED, neutral=True,
    ),
    Cause(
        Kind.QUANTIZED, "quantized", lambda x, door: x.is_quantized and {"dtype": detect.dtype_name(x.dtype)},
        "{x}.dequantize()",
        "NumPy has no {dtype}, whose integers mean nothing without scale and zero point",
        done="dequantized {dtype} to float32", instead="the integers alone: `{x}.int_repr()`",
        itemsize=4,
    ),
    Cause(  # an mkldnn tensor has no casts: dense first
        Kind.LAYOUT, "layout", lambda x, door: x.is_mkldnn and detect.find_layout(x), "{x}.to_dense()",
        *_LAYOUT,
    ),
    Cause(
        Kind.DTYPE, "float", detect.find_low_precision, "{x}.float()",
        "NumPy has no {dtype}", done="widened {dtype} to float32",
        blocks=_ARRAY_DOORS, itemsize=4, is_common=True, is_foreseen=True,
    ),
    Cause(
        Kind.DTYPE, "complex", lambda x, door: x.dtype is torch.complex32 and not detect.find_exact(x, door),
        "{x}.to(torch.complex64)",
        "NumPy has no complex32", done="widened complex32 to complex64",
        blocks=_ARRAY_DOORS, needed=_ARRAY_DOORS, itemsize=8, is_common=True, is_foreseen=True,
    ),
    Cause(
        Kind.DTYPE, "packed", detect.find_packed, "{x}.view(torch.{as_dtype})",
        "NumPy has no {dtype}; its bytes can be read as {as_dtype}", done="read the bytes of {dtype} as {as_dtype}",
        copies=False, is_common=True, is_foreseen=True,
    ),
    Cause(  # no float8 kernel for it: sparse_compressed_to_dense in aten/src/ATen/native/TensorConversions.cpp
        Kind.LAYOUT, "float8_layout", detect.find_float8_layout, "{x}.to_dense()",
        *_LAYOUT, instead="to_dense() comes after float(): it is not implemented for {dtype}",
    ),
    Cause(Kind.LAYOUT, "layout", detect.find_frozen_layout, "{x}.clone().to_dense()", *_LAYOUT),
    Cause(Kind.LAYOUT, "layout", detect.find_open_layout, "{x}.to_dense()", *_LAYOUT),
    Cause(
        Kind.CONJ, "conj", lambda x, door: not x.is_nested and x.is_conj(), "{x}.resolve_conj()",
        "its conjugation is still to be done (conjugate bit)", done="conjugated", blocks=_UNFORCED, neutral=True,
    ),
    Cause(
        Kind.NEG, "neg", lambda x, door: not x.is_nested and x.is_neg(), "{x}.resolve_neg()",
        "its negation is still to be done (negative bit)", done="negated", blocks=_UNFORCED, neutral=True,
    ),
    Cause(
        Kind.NESTED, "nested", lambda x, door: x.is_nested,
        "np.fromiter((row.numpy() for row in {x}.unbind()), dtype=object)",
        "it is a nested tensor: its rows differ in length", done="made an object array of its rows",
        ends=True, copies=False,
    ),
    Cause(
        # torch.func's wrappers have no storage (https://github.com/pytorch/pytorch/issues/91810)
        Kind.TRANSFORM, "func", detect.is_wrapped_by_grad, f"np.from_dlpack({_UNWRAP}({{x}}).data)",
        "torch.func.grad or torch.func.jvp is running: the transform wraps it",
        done="unwrapped from a torch.func transform, whose gradient does not see the array",
        instead="detach() does not help here: the transform wraps its result again",
        ends=True, copies=False,
    ) if _IS_OPEN else Cause(
        Kind.TRANSFORM, "func_closed", detect.is_wrapped_by_grad, None,
        "torch.func.grad or torch.func.jvp is running: it wraps the tensor, and torch before 2.9 shows no value "
        "then", instead="return it beside the result (`has_aux=True`), and convert it outside of the transform",
        ends=True,
    ),
    Cause(  # clone() brings the wrapper up to date with writes to its views
        Kind.TRANSFORM, "functionalize", detect.is_functionalized, f"{_UNWRAP}({{x}}.clone())",
        "torch.func.functionalize is running: it wraps the value, and numpy() would read uninitialised memory",
        done="unwrapped from torch.func.functionalize",
        instead="numpy() gives no error here, except in strict mode; `safe_numpy.to_numpy({x})` gives the values",
        is_unguarded=True,
    ),
    Cause(
        Kind.ZERO, "zero", lambda x, door: not x.is_nested and x._is_zerotensor(), "{x}.numpy(force=True)",
        *_ZERO, blocks=_UNFORCED, needed=_ARRAY_DOORS if _FILLS else frozenset(), ends=True,
    ),
    Cause(
        Kind.ZERO, "zero", lambda x, door: not x.is_nested and x._is_zerotensor(), "{x}.clone()",
        *_ZERO, blocks=_UNFORCED, needed=frozenset({Door.DLPACK}) if _FILLS else EVERY_DOOR,
    ),
    Cause(  # NumPy takes the bytes, and ml_dtypes gives them their meaning back
        Kind.DTYPE, "exact", detect.find_exact, "{x}.view(torch.{as_dtype}).numpy().view(ml_dtypes.{dtype})",
        "NumPy has no {dtype}", done="read as ml_dtypes.{dtype}",
        instead="`import ml_dtypes`, which has this dtype (dtype='ml_dtypes')",
        blocks=_ARRAY_DOORS, needed=_ARRAY_DOORS, ends=True, copies=False, is_common=True, is_foreseen=True,
    ),
)  # fmt: skip

_COMMON = tuple(cause for cause in CAUSES if cause.is_common)
_UNFORESEEN = tuple(cause for cause in _COMMON if not cause.is_foreseen)


def find_causes(x: Tensor) -> Sequence[Cause]:
    """Return the causes that can concern `x`: a failure is often swallowed, so asking is to be quick.

    Most tensors are plain dense ones in host memory, outside of every transform.
    """
    is_ordinary = detect.is_plain(x) and detect.is_dense_on_host(x) and _find_transform() is None
    return _COMMON if is_ordinary else CAUSES


STOCK_ORDER: Mapping[Door, tuple[str, ...]] = {
    # tensor_to_numpy in torch/csrc/utils/tensor_numpy.cpp
    Door.NUMPY: (
        "numpy", "subclass", "masked", "sharded", "no_data", "layout", "device", "quantized", "zero",
        "transform", "grad", "conj", "neg", "nested", "dtype",
    ),
    # https://github.com/pytorch/pytorch/blob/v2.13.0/torch/_tensor.py#L1587-L1605, Tensor.__dlpack__
    Door.DLPACK: ("no_data", "nested", "grad", "conj", "layout", "device", "transform", "dtype"),
}  # fmt: skip


class _LateModule:
    """A module that few fixes mention, imported when one does."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        return getattr(importlib.import_module(self._name), name)


NAMES: Mapping[str, Any] = {"torch": torch, "np": _LateModule("numpy"), "ml_dtypes": _LateModule("ml_dtypes")}
"""what the fixes mention"""

LOW_PRECISION = frozenset({torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2})
"""what mixed precision computes with, and NumPy lacks"""


def foresee(x: Tensor) -> Plan | None:
    """Return the plan at ``numpy()`` of a plain dense host tensor with all its data, outside of every transform.

    It is known by dtype and gradient. None: that takes a closer look. `x` is plain.
    """
    if _compare_keys(_get_keys(x)) != _DENSE_ON_HOST or not x.is_contiguous():
        return None
    if _find_transform() is not None:
        return None  # it would wrap the array-to-be, and what `_plan_all` makes
    nbytes, offset = x.nbytes, x.storage_offset()
    if not nbytes or x.untyped_storage().nbytes() < nbytes + (offset and offset * x.element_size()):
        return None  # freed, in part at least
    for cause in _UNFORESEEN:
        if cause.detect(x, Door.NUMPY):
            return None
    dtype = x.dtype
    if dtype in LOW_PRECISION:
        # a copy of at most four times the size: how large it may be is another question, unless it is small
        is_large = 4 * nbytes >= ALWAYS_FITS or MAX_BYTES.get() is not None
        if is_large or DTYPE.get() != "float32":  # before `_plan_all` is asked, which remembers what held then
            return None
    return _plan_all(dtype, x.requires_grad and _is_grad_enabled())


@functools.cache
def _plan_all(dtype: torch.dtype, requires_grad: bool) -> Plan | None:
    """Return the plan of all tensors of one of the common dtypes; None: the dtype is none of those."""
    if dtype not in detect.NUMPY_DTYPES | LOW_PRECISION:
        return None
    with detect.outside_modes():
        x = torch.empty(1, dtype=dtype, device="cpu", requires_grad=requires_grad)
        return Walk(Door.NUMPY).follow(find_causes, x).finish(STOCK_ORDER[Door.NUMPY], NAMES)
