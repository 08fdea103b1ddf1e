"""How each cause shows on a PyTorch tensor. Only attributes are read: no operator runs, nothing is copied.

What the rows of the table ask by takes the tensor and the door, and gives the facts, or whether there is a problem.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import _disable_current_modes

from safe_numpy.callsite.frames import get_class_dict, get_mro
from safe_numpy.config.modes import DTYPE
from safe_numpy.diagnosis.facts import Door, Facts

_functorch: Any = torch._C._functorch

NUMPY_DTYPES = frozenset(
    {torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64}
    | {torch.uint16, torch.uint32, torch.uint64}
    | {torch.float16, torch.float32, torch.float64, torch.complex64, torch.complex128}
)
"""the dtypes that NumPy has too (aten/src/ATen: aten_to_numpy_dtype)"""

_Parameter = torch.nn.Parameter

get_keys: Callable[[Tensor], Any] = torch._C._dispatch_keys
compare_keys: Callable[[Any], object] = getattr(torch._C.DispatchKeySet, "raw_repr", str)  # torch 2.4 has no raw_repr


def is_plain(x: object) -> bool:
    """Tell whether a tensor is of a class that runs no code of its own when an attribute is read."""
    cls = type(x)
    return cls is Tensor or cls is _Parameter


@contextlib.contextmanager
def outside_modes() -> Iterator[None]:
    """Have tensors made inside be ordinary ones: this may run within `inference_mode`, `no_grad` or a `FakeTensorMode`.

    A default device or dtype is in force all the same.
    """
    with torch.inference_mode(False), torch.enable_grad(), _disable_current_modes():
        yield


with outside_modes():
    _probe = torch.empty(0, dtype=torch.float32, device="cpu")
DENSE_ON_HOST = compare_keys(get_keys(_probe))
"""dispatch keys of a dense tensor in host memory: device, layout, lazy bits, wrappers all show in these keys

https://github.com/pytorch/pytorch/blob/v2.6.0/torch/csrc/utils/python_dispatch.cpp#L761, #L808-L811
"""

_HOST_STORAGE = frozenset({"cpu", "cuda", "xpu"})
"""device types whose storages tell their size; others (xla, a backend in Python) report 0"""


PENDING = "AsyncCollectiveTensor"
_LATE_CLASSES = {
    "FakeTensor": ("torch._subclasses.fake_tensor",),
    "MaskedTensor": ("torch.masked.maskedtensor.core",),
    "DTensor": ("torch.distributed.tensor", "torch.distributed._tensor"),  # the latter before torch 2.5
    PENDING: ("torch.distributed._functional_collectives",),
}
"""classes whose modules need not be imported: where they are not, no tensor can be an instance"""


def is_a(x: Tensor, *names: str) -> bool:
    """Tell whether `x` is an instance of one of those classes."""
    if is_plain(x):
        return False
    return any(isinstance(x, getattr(sys.modules.get(m), name, ())) for name in names for m in _LATE_CLASSES[name])


def is_dense_on_host(x: Tensor) -> bool:
    """Tell whether `x` is an ordinary dense tensor in host memory, as far as torch's dispatcher knows it."""
    return compare_keys(get_keys(x)) == DENSE_ON_HOST


def is_uninitialized(x: Tensor) -> bool:
    """Tell whether `x` is a parameter of a lazy module that has not run yet."""
    return not is_plain(x) and isinstance(x, (torch.nn.UninitializedParameter, torch.nn.UninitializedBuffer))


def converts_itself(x: Tensor) -> bool:
    """Tell whether the class brings a ``numpy`` of its own, whose meaning is its own affair."""
    classes = (c for c in get_mro(type(x)) if c is not Tensor and c is not torch._C.TensorBase)
    return any("numpy" in get_class_dict(c) for c in classes)


def has_python_dispatch(x: Tensor) -> bool:
    """Tell whether operations on `x` run a ``__torch_dispatch__``: stock ``numpy()`` refuses those."""
    return torch._C._dispatch_keys(x).has(torch._C.DispatchKey.Python)


def _levels(x: Tensor) -> list[Tensor]:
    """The functorch wrappers of `x`, outermost first."""
    found = []
    while _functorch.is_functorch_wrapped_tensor(x):
        found.append(x)
        x = _functorch.get_unwrapped(x)
    return found


def find_numpy_missing(x: Tensor, door: Door) -> Facts | None:
    """Find that there is no NumPy, or none that this torch was built for."""
    is_hidden = _functorch.peek_interpreter_stack() is not None or torch._C._len_torch_dispatch_stack()
    if is_hidden or _try_probe():  # the probe would meet the transform or the mode: ask another time
        return None
    try:
        import numpy
    except ImportError:
        return {"state": "NumPy is not installed here"}
    return {"state": f"NumPy {numpy.__version__} is installed, and torch {torch.__version__} was not built for it"}


@functools.cache
def _try_probe() -> bool:
    """Tell whether this torch found a NumPy that it was built for; torch itself decides that once."""
    try:
        torch._C.TensorBase.numpy(_probe)
    except RuntimeError:
        return False
    return True


def find_freed(x: Tensor, door: Door) -> Facts | None:
    """Find a storage that holds less than the elements take."""
    if x.layout is not torch.strided or x.device.type not in _HOST_STORAGE or x.is_nested or is_uninitialized(x):
        return None
    if _has_no_storage(x) or x.numel() == 0:
        return None
    last = x.numel() - 1 if x.is_contiguous() else sum((n - 1) * s for n, s in zip(x.shape, x.stride(), strict=True))
    needed = (x.storage_offset() + last + 1) * x.element_size()
    held = x.untyped_storage().nbytes()
    return None if held >= needed else {"held": str(held), "needed": str(needed)}


def _has_no_storage(x: Tensor) -> bool:
    """Tell whether `x` is of a kind that never has a storage of its own size."""
    return not is_dense_on_host(x) and (
        has_python_dispatch(x)
        or _functorch.is_functorch_wrapped_tensor(x)
        or torch._is_functional_tensor(x)
        or x._is_zerotensor()
        or x.dtype in (torch.quint4x2, torch.quint2x4)  # several elements share a byte
    )


def is_batched(x: Tensor, door: Door) -> bool:
    """Tell whether `x` is a row of a batch, under torch.vmap."""
    return _functorch.is_functorch_wrapped_tensor(x) and any(map(_functorch.is_batchedtensor, _levels(x)))


def _is_differentiated(x: Tensor) -> bool:
    """Tell whether torch.func.grad or jvp has hold of `x`: plain tensors too, since ``numpy()`` dispatches there."""
    # every operation goes through the stack of transforms (https://github.com/pytorch/functorch/issues/1026)
    if any(_functorch.is_gradtrackingtensor(level) for level in _levels(x)):
        return True
    top = _functorch.peek_interpreter_stack()
    return top is not None and top.key() in (_functorch.TransformType.Grad, _functorch.TransformType.Jvp)


def is_functionalized(x: Tensor, door: Door) -> bool:
    """Tell whether torch.func.functionalize wraps `x`, or a constant's copy, which others need to become an array."""
    if _functorch.is_functorch_wrapped_tensor(x):  # the tensors of some devices, as of XLA, are functional by build
        return torch._is_functional_tensor(x)
    top = _functorch.peek_interpreter_stack()
    is_running = top is not None and top.key() == _functorch.TransformType.Functionalize
    return is_running and not (x.is_cpu and x.dtype in NUMPY_DTYPES)


def is_wrapped_by_grad(x: Tensor, door: Door) -> bool:
    """Tell whether torch.func.grad or jvp stands in the way alone."""
    return _is_differentiated(x) and not is_batched(x, door) and not is_functionalized(x, door)


def find_device(x: Tensor, door: Door) -> Facts | None:
    """Find memory that is not the host's, or at the DLPack door such that no capsule stands for."""
    if x.is_cpu or x.is_meta or is_a(x, "FakeTensor") or (door is Door.DLPACK and _is_exported(x)):
        return None
    return {"device": str(x.device)}


def _is_exported(x: Tensor) -> bool:
    """Tell whether torch makes DLPack capsules of what lives on this device."""
    if x.device.type == torch._C._get_privateuse1_backend_name():
        return True  # torch exports it, and does not know it by the name that it was given
    try:
        x.__dlpack_device__()
    except ValueError:
        return False
    return True


def find_grad(x: Tensor, door: Door) -> Facts | None:
    """Find that autograd records `x`."""
    if not x.requires_grad or (door is not Door.DLPACK and not torch.is_grad_enabled()):
        return None
    if _is_differentiated(x):
        return None  # that transform tracks it, and detach() would not help
    try:
        node = x.grad_fn
    except RuntimeError:  # torch has none any more for a view of several whose base was changed
        return {"origin": "a view that was changed in place, with its base"}
    return {"origin": "a leaf that requires grad" if node is None else node.name()}


def has_whole_value(x: Any) -> bool:
    """Tell whether this rank holds all of a DTensor."""
    mesh = x.device_mesh
    if mesh.get_coordinate() is None:
        return False
    return all(mesh.size(i) == 1 or p.is_replicate() for i, p in enumerate(x.placements))


def find_sharded(x: Any, door: Door) -> Facts | None:
    """Find a DTensor of which this rank holds a part."""
    if not is_a(x, "DTensor") or has_whole_value(x):
        return None
    return {"placements": ", ".join(map(repr, x.placements)), "ranks": str(x.device_mesh.size())}


def find_unknown_subclass(x: Tensor, door: Door) -> Facts | None:
    """Find a wrapper subclass that nobody here knows."""
    is_known = not has_python_dispatch(x) or converts_itself(x) or x.is_nested or is_a(x, *_LATE_CLASSES)
    return None if is_known else {"type": type(x).__name__}


def dtype_name(dtype: torch.dtype | torch.layout | str) -> str:
    """Return ``float32`` for ``torch.float32``."""
    return str(dtype).removeprefix("torch.")


def _is_packed(dtype: torch.dtype) -> bool:
    """Bits, sub-byte integers and float4: torch itself cannot compute with them, only show their bytes."""
    return dtype_name(dtype).startswith(("bits", "uint", "int", "float4"))


def find_low_precision(x: Tensor, door: Door) -> Facts | None:
    """Find a floating dtype that is to be widened."""
    dtype = x.dtype
    if dtype in NUMPY_DTYPES or not dtype.is_floating_point or _is_packed(dtype):
        return None
    if door is Door.DLPACK and x.layout is torch.strided:
        return None  # a capsule carries it; only to_dense() lacks it
    return None if find_exact(x, door) else {"dtype": dtype_name(dtype)}


def find_exact(x: Tensor, door: Door) -> Facts | None:
    """Find a dtype that ml_dtypes has, where that is wanted and torch can show the bytes; else it is widened."""
    if DTYPE.get() != "ml_dtypes" or x.dtype in NUMPY_DTYPES or _is_packed(x.dtype) or x.is_quantized:
        return None
    name = dtype_name(x.dtype)
    if not hasattr(importlib.import_module("ml_dtypes"), name):
        return None  # complex32 came with ml_dtypes 0.6
    if x.is_nested or x._is_zerotensor() or (_is_float8(x.dtype) and x.layout is not torch.strided):
        return None
    if _functorch.peek_interpreter_stack() is not None or _functorch.is_functorch_wrapped_tensor(x):
        return None
    return {"dtype": name, "as_dtype": f"uint{8 * x.dtype.itemsize}"}


def find_packed(x: Tensor, door: Door) -> Facts | None:
    """Find a dtype of which torch can only show the bytes."""
    dtype = x.dtype
    if dtype in NUMPY_DTYPES or x.is_quantized or not _is_packed(dtype):
        return None
    name = dtype_name(dtype)
    as_dtype = "int8" if name.startswith("int") else "uint8" if dtype.itemsize == 1 else "uint16"
    return {"dtype": name, "as_dtype": as_dtype}


def find_layout(x: Tensor) -> Facts | None:
    """Find a layout that is not dense."""
    if x.is_nested or x.layout in (torch.strided, torch.jagged):
        return None
    return {"layout": dtype_name(x.layout).removeprefix("_")}


def _is_float8(dtype: torch.dtype) -> bool:
    return dtype_name(dtype).startswith("float8")


def find_float8_layout(x: Tensor, door: Door) -> Facts | None:
    """Find a layout that is not dense, of a dtype that has no ``to_dense()``."""
    facts = find_layout(x) if _is_float8(x.dtype) else None
    return facts and {**facts, "dtype": dtype_name(x.dtype)}


def find_open_layout(x: Tensor, door: Door) -> Facts | None:
    """Find a layout of which ``to_dense()`` makes a dense tensor at once."""
    return None if x.is_mkldnn or _is_float8(x.dtype) or find_frozen_layout(x, door) else find_layout(x)


_COMPRESSED = frozenset({torch.sparse_csr, torch.sparse_csc, torch.sparse_bsr, torch.sparse_bsc})


def find_frozen_layout(x: Tensor, door: Door) -> Facts | None:
    """Find a compressed inference tensor: its ``to_dense()`` works in place, which fails outside inference mode.

    https://github.com/pytorch/pytorch/blob/v2.6.0/aten/src/ATen/native/TensorConversions.cpp#L657-L660
    """
    if x.layout not in _COMPRESSED or not x.is_inference() or torch.is_inference_mode_enabled():
        return None
    return None if _is_float8(x.dtype) else find_layout(x)
