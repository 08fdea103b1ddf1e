"""Tensors that refuse to become arrays, each with the array that it should become: the oracle is NumPy, not us.

A case is visited, not just built: some tensors exist only inside a transform.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import torch
import toy_device  # noqa: F401 - registers the device
from versions import IS_OLD, import_sharding

Visit = Callable[[torch.Tensor], Any]


@dataclass(frozen=True)
class Case:
    """One tensor."""

    name: str
    kinds: tuple[str, ...]
    """the problems at the door ``x.numpy()``, in the order of the fix"""
    make: Callable[[], torch.Tensor]
    expected: Any = None
    """the array; None: there is none to be had"""
    shares: bool = False
    """the array aliases the tensor"""
    inside: Callable[[Visit, torch.Tensor], Any] | None = None
    """runs a visit inside a transform"""
    implicit: bool = True
    """np.asarray converts it in permissive mode"""
    stock_fails: bool = True
    """x.numpy() raises on plain torch"""

    def visit(self, do: Visit) -> Any:
        """Return what `do` returns for the tensor, where it lives."""
        x = self.make()
        return do(x) if self.inside is None else self.inside(do, x)

    def __str__(self) -> str:
        return self.name


FLOATS = [[0.0, 1.5], [-2.0, 3.0]]
COMPLEX = [1 + 2j, -3.5 - 4j]
BYTES = [0, 1, 2, 3, 250, 251, 252, 255]


def floats(dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.tensor(FLOATS, dtype=dtype)


def complexes() -> torch.Tensor:
    return torch.tensor(COMPLEX, dtype=torch.complex64)


def grads() -> torch.Tensor:
    return torch.tensor(FLOATS, requires_grad=True)


def in_bytes(dtype: torch.dtype) -> torch.Tensor:
    return torch.tensor(BYTES, dtype=torch.uint8).view(dtype)


F32 = np.array(FLOATS, np.float32)
C64 = np.array(COMPLEX, np.complex64)
U8 = np.array(BYTES, np.uint8)


def sparse(layout: str, dtype: torch.dtype = torch.float32) -> Callable[[], torch.Tensor]:
    """Make values in a layout; the low precision ones are cast there, since few operators exist for them."""

    def make() -> torch.Tensor:
        dense = floats()
        made = {
            "coo": lambda: dense.to_sparse(),
            "csr": lambda: dense.to_sparse_csr(),
            "csc": lambda: dense.to_sparse_csc(),
            "bsr": lambda: dense.to_sparse_bsr((1, 1)),
            "bsc": lambda: dense.to_sparse_bsc((1, 1)),
        }[layout]()
        return made.to(dtype)

    return make


def rows(*arrays: np.ndarray) -> np.ndarray:
    out = np.empty(len(arrays), object)
    out[:] = arrays
    return out


def nested(layout: torch.layout, dtype: torch.dtype = torch.float32, **kwargs: Any) -> torch.Tensor:
    parts = [torch.tensor([1.0, 2.0], dtype=dtype), torch.tensor([3.0, 4.0, 5.0], dtype=dtype)]
    return torch.nested.nested_tensor(parts, layout=layout, **kwargs)


ROWS = rows(np.array([1, 2], np.float32), np.array([3, 4, 5], np.float32))


def quantize(dtype: torch.dtype) -> torch.Tensor:
    return torch.quantize_per_tensor(torch.tensor([0.0, 0.5, 1.0]), 0.5, 0, dtype)


def quantize_channels(dtype: torch.dtype, points: torch.dtype) -> torch.Tensor:
    return torch.quantize_per_channel(
        torch.tensor([[0.0, 1.0], [1.0, 1.5]]),
        torch.tensor([1.0, 0.5]),
        torch.zeros(2, dtype=points),
        0,
        dtype,
    )


QUANTIZED = np.array([0.0, 0.5, 1.0], np.float32)
CHANNELS = np.array([[0.0, 1.0], [1.0, 1.5]], np.float32)


def masked(layout: str = "dense") -> torch.Tensor:
    if layout == "dense":
        return torch.masked.masked_tensor(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([True, False, True]))
    places, values, mask = (
        torch.tensor([[0, 1], [1, 0]]),
        torch.tensor([3.0, 4.0]),
        torch.tensor([True, False]),
    )
    return torch.masked.masked_tensor(
        torch.sparse_coo_tensor(places, values, (2, 2)), torch.sparse_coo_tensor(places, mask, (2, 2))
    )


MASKED = np.ma.MaskedArray(np.array([1, 2, 3], np.float32), mask=[False, True, False])
MASKED_COO = np.ma.MaskedArray(
    np.array([[0, 3], [4, 0]], np.float32), mask=[[True, False], [True, True]]
)  # fmt: skip


def _inside_grad(do: Visit, x: torch.Tensor) -> Any:
    found = []
    torch.func.grad(lambda y: (found.append(do(y * 1)), (y * y).sum())[1])(x)
    return found[0]


def _inside_grad_on_constant(do: Visit, x: torch.Tensor) -> Any:
    found = []
    torch.func.grad(lambda y: (found.append(do(x)), (y * y).sum())[1])(torch.ones(2))
    return found[0]


def _inside_nested_grad(do: Visit, x: torch.Tensor) -> Any:
    return _inside_grad(lambda y: _inside_grad(do, y), x)


def _inside_jvp(do: Visit, x: torch.Tensor) -> Any:
    found = []
    torch.func.jvp(lambda y: (found.append(do(y * 1)), y)[1], (x,), (torch.ones_like(x),))
    return found[0]


def _inside_functionalize(do: Visit, x: torch.Tensor) -> Any:
    found = []
    torch.func.functionalize(lambda y: (found.append(do(y * 1)), y)[1])(x)
    return found[0]


def _inside_vmap(do: Visit, x: torch.Tensor) -> Any:
    found = []
    torch.vmap(lambda y: (found.append(do(y)), y)[1])(x)
    return found[0]


def _inside_vmap_of_grad(do: Visit, x: torch.Tensor) -> Any:
    return _inside_vmap(lambda y: _inside_grad(do, y), x)


@cache
def _mesh(size: int) -> Any:
    """A device mesh of one rank, or of two of which this process is the first (torch's own fake process group)."""
    import torch.distributed as dist
    from torch.distributed.device_mesh import DeviceMesh
    from torch.testing._internal.distributed.fake_pg import FakeStore

    if not dist.is_initialized():
        dist.init_process_group("fake", store=FakeStore(), rank=0, world_size=2)
    return DeviceMesh("cpu", list(range(size)))


def dtensor(placement: str, ranks: int, **kwargs: Any) -> torch.Tensor:
    sharding = import_sharding()
    chosen = {"shard": sharding.Shard(0), "replicate": sharding.Replicate(), "partial": sharding.Partial()}[placement]
    made = sharding.DTensor.from_local(floats(), _mesh(ranks), [chosen], run_check=False)
    return made.requires_grad_(**kwargs) if kwargs else made


def buffer(x: torch.Tensor) -> torch.Tensor:
    return torch.nn.Buffer(x) if hasattr(torch.nn, "Buffer") else x  # from torch 2.5 on


def pending() -> torch.Tensor:
    from torch.distributed._functional_collectives import AsyncCollectiveTensor

    return AsyncCollectiveTensor(floats())


def fake() -> torch.Tensor:
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        return torch.ones(2)


def freed() -> torch.Tensor:
    x = torch.ones(1000)
    x.untyped_storage().resize_(0)
    return x


def half_freed() -> torch.Tensor:
    x = torch.ones(1000)
    x.untyped_storage().resize_(100)
    return x


def two_tensor() -> torch.Tensor:
    from torch.testing._internal.two_tensor import TwoTensor

    return TwoTensor(floats(), floats())


class Named(torch.Tensor):
    """A subclass as users write them: torch's default ``__torch_function__``."""


class Counted(torch.Tensor):
    """A subclass with a ``__torch_function__`` of its own."""

    calls = 0

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        cls.calls += 1
        return super().__torch_function__(func, types, args, kwargs or {})


FLOAT8 = ("float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz")
BITS = ("bits8", "bits1x8", "bits2x4", "bits4x2", "float4_e2m1fn_x2", *(f"uint{n}" for n in range(1, 8)))
SIGNED = tuple(f"int{n}" for n in range(1, 8))


def _find(names: tuple[str, ...]) -> list[torch.dtype]:
    return [getattr(torch, n) for n in names if hasattr(torch, n)]


CONVERTIBLE: list[Case] = [
    Case("grad", ("grad",), grads, F32, shares=True),
    Case("grad of an operation", ("grad",), lambda: grads() * 1, F32, shares=True),
    Case("parameter", ("grad",), lambda: torch.nn.Parameter(floats()), F32, shares=True),
    Case("grad, transposed", ("grad",), lambda: grads().t(), F32.T, shares=True),
    Case("grad, float16", ("grad",), lambda: floats(torch.float16).requires_grad_(), F32.astype("f2"), shares=True),
    Case("grad, scalar", ("grad",), lambda: grads().sum(), np.array(2.5, np.float32), shares=True),
    Case("grad, empty", ("grad",), lambda: torch.empty(0, 3, requires_grad=True), np.empty((0, 3), np.float32)),
    Case("conj", ("conj",), lambda: complexes().conj(), C64.conj()),
    Case("neg", ("neg",), lambda: complexes().conj().imag, -C64.imag),
    Case("conj and neg", ("conj", "neg"), lambda: torch._neg_view(complexes().conj()), -C64.conj()),
    Case("grad and conj", ("grad", "conj"), lambda: complexes().requires_grad_().conj(), C64.conj()),
    Case(
        "zero", ("zero",), lambda: torch._efficientzerotensor((300, 300)), np.zeros((300, 300), np.float32),
        stock_fails=not IS_OLD,
    ),
    Case(
        "zero and conj", ("conj", "zero"), lambda: torch._efficientzerotensor((2,), dtype=torch.complex64).conj(),
        np.zeros(2, np.complex64),
    ),
    *(Case(f"sparse {n}", ("layout",), sparse(n), F32) for n in ("coo", "csr", "csc", "bsr", "bsc")),
    *(
        Case(f"sparse {n}, inference", ("layout",), torch.inference_mode()(lambda n=n: sparse(n)().clone()), F32)
        for n in ("coo", "csr", "csc", "bsr", "bsc")
    ),
    Case("mkldnn", ("layout",), lambda: floats().to_mkldnn(), F32),
    Case("sparse coo, grad", ("grad", "layout"), lambda: sparse("coo")().requires_grad_(), F32),
    Case(
        "sparse coo, uncoalesced", ("layout",),
        lambda: torch.sparse_coo_tensor([[0, 0]], [1.0, 2.0], (2,)), np.array([3, 0], np.float32),
    ),
    Case("sparse coo, bfloat16", ("dtype", "layout"), sparse("coo", torch.bfloat16), F32),
    *(
        Case(f"sparse {n}, float8", ("dtype", "layout"), sparse(n, torch.float8_e5m2), F32)
        for n in ("coo", "csr", "csc", "bsr", "bsc")
    ),
    Case("mkldnn, bfloat16", ("layout", "dtype"), lambda: floats().to_mkldnn(torch.bfloat16), F32),
    Case("bfloat16", ("dtype",), lambda: floats(torch.bfloat16), F32),
    Case("bfloat16, grad", ("grad", "dtype"), lambda: grads().bfloat16(), F32),
    Case("bfloat16 beyond float16", ("dtype",), lambda: torch.tensor([2.0**126]).bfloat16(),
         np.array([2.0**126], np.float32)),
    *(Case(str(d)[6:], ("dtype",), lambda d=d: floats().to(d), F32) for d in _find(FLOAT8)),
    *(
        Case(str(d)[6:], ("dtype",), lambda d=d: torch.tensor([127, 128, 126], dtype=torch.uint8).view(d),
             np.array([1.0, 2.0, 0.5], np.float32))
        for d in _find(("float8_e8m0fnu",))
    ),
    Case("complex32", ("dtype",), lambda: complexes().to(torch.complex32), C64),
    Case("complex32, conj", ("dtype", "conj"), lambda: complexes().to(torch.complex32).conj(), C64.conj()),
    *(Case(str(d)[6:], ("dtype",), lambda d=d: in_bytes(d), U8, shares=True) for d in _find(BITS)),
    *(Case(str(d)[6:], ("dtype",), lambda d=d: in_bytes(d), U8.view(np.int8), shares=True) for d in _find(SIGNED)),
    Case("bits16", ("dtype",), lambda: in_bytes(torch.bits16), U8.view(np.uint16), shares=True),
    *(
        Case(str(d)[6:], ("quantized",), lambda d=d: quantize(d), QUANTIZED)
        for d in (torch.quint8, torch.qint8, torch.qint32, torch.quint4x2, torch.quint2x4)
    ),
    Case("qint8 per channel", ("quantized",), lambda: quantize_channels(torch.qint8, torch.int64), CHANNELS),
    Case("quint4x2 per channel", ("quantized",), lambda: quantize_channels(torch.quint4x2, torch.float32), CHANNELS),
    Case("nested", ("nested",), lambda: nested(torch.strided), ROWS, shares=True),
    Case("nested, even rows", ("nested",), lambda: torch.nested.nested_tensor([torch.ones(2), torch.ones(2)]),
         rows(np.ones(2, np.float32), np.ones(2, np.float32)), shares=True),
    Case("nested, bfloat16", ("dtype", "nested"), lambda: nested(torch.strided, torch.bfloat16), ROWS),
    Case("nested, grad", ("grad", "nested"), lambda: nested(torch.strided, requires_grad=True), ROWS, shares=True),
    Case("jagged", ("nested",), lambda: nested(torch.jagged), ROWS, shares=True),
    Case("jagged, bfloat16", ("dtype", "nested"), lambda: nested(torch.jagged, torch.bfloat16), ROWS),
    Case("jagged, grad", ("grad", "nested"), lambda: nested(torch.jagged, requires_grad=True), ROWS, shares=True),
    Case("masked", ("masked",), masked, MASKED, shares=True, implicit=False),
    Case("masked, sparse", ("masked", "layout"), lambda: masked("coo"), MASKED_COO, implicit=False),
    Case("func.grad", ("transform",), floats, F32, inside=_inside_grad, shares=True),
    Case("func.grad, a constant", ("transform",), floats, F32, inside=_inside_grad_on_constant, shares=True),
    Case(
        "func.grad, a parameter as constant", ("transform",), grads, F32,
        inside=_inside_grad_on_constant, shares=True,
    ),
    Case("func.grad, nested", ("transform",), floats, F32, inside=_inside_nested_grad, shares=True),
    Case("func.grad, bfloat16", ("dtype", "transform"), lambda: floats(torch.bfloat16), F32, inside=_inside_grad),
    Case("func.jvp", ("transform",), floats, F32, inside=_inside_jvp, shares=True),
    Case(
        "functionalize", ("transform",), floats, F32, inside=_inside_functionalize, stock_fails=False,
    ),
    Case("toy device", ("device",), lambda: floats().to("toy"), F32),
    Case("toy device, grad", ("grad", "device"), lambda: grads().to("toy"), F32),
    Case("toy device, grad, bfloat16", ("grad", "device", "dtype"), lambda: grads().bfloat16().to("toy"), F32),
    Case("toy device, float8", ("device", "dtype"), lambda: floats().to(torch.float8_e5m2).to("toy"), F32),
    Case("toy device, conj", ("device", "conj"), lambda: complexes().to("toy").conj(), C64.conj()),
    Case("toy device, neg", ("device", "neg"), lambda: torch._neg_view(floats().to("toy")), -F32),
    Case("DTensor, one rank", ("sharded",), lambda: dtensor("shard", 1), F32, shares=True),
    Case("DTensor, one rank, partial", ("sharded",), lambda: dtensor("partial", 1), F32, shares=True),
    Case("DTensor, replicated", ("sharded",), lambda: dtensor("replicate", 2), F32, shares=True),
    Case("DTensor, grad", ("grad", "sharded"), lambda: dtensor("shard", 1, requires_grad=True), F32, shares=True),
    Case("subclass, grad", ("grad",), lambda: grads().as_subclass(Named), F32, shares=True),
    Case("subclass with a torch function, grad", ("grad",), lambda: grads().as_subclass(Counted), F32, shares=True),
]  # fmt: skip

if torch.__version__ < (2, 9):  # there what torch.func wraps shows no value
    CLOSED = [replace(c, expected=None, shares=False) for c in CONVERTIBLE if c.name.startswith("func.")]
    CONVERTIBLE = [c for c in CONVERTIBLE if not c.name.startswith("func.")]
else:
    CLOSED = []

REFUSED: list[Case] = [
    *CLOSED,
    Case("meta", ("no_data",), lambda: torch.ones(2, device="meta")),
    Case("meta, grad, bfloat16", ("no_data", "grad", "dtype"),
         lambda: torch.ones(2, device="meta", dtype=torch.bfloat16, requires_grad=True)),
    Case("fake", ("no_data",), fake),
    Case("freed", ("no_data",), freed, stock_fails=False),
    Case("freed in part", ("no_data",), half_freed, stock_fails=False),
    Case("freed, grad", ("no_data", "grad"), lambda: freed().requires_grad_()),
    Case(
        "uninitialized parameter", ("no_data", "grad"), lambda: torch.nn.LazyLinear(2).weight,
        implicit=False,  # its __torch_function__ refuses __array__ itself, before any door of ours
    ),
    Case("vmap", ("transform",), floats, inside=_inside_vmap),
    Case("vmap of func.grad", ("transform",), floats, inside=_inside_vmap_of_grad),
    Case("wrapper subclass", ("subclass",), two_tensor),
    Case("DTensor, spread", ("sharded",), lambda: dtensor("shard", 2)),
    Case("DTensor, partial sums", ("sharded",), lambda: dtensor("partial", 2)),
    Case("DTensor, spread, grad", ("sharded", "grad"), lambda: dtensor("shard", 2, requires_grad=True)),
    Case("sparse beyond memory", ("layout", "layout"), lambda: torch.sparse_coo_tensor(size=(10**6, 10**6))),
]  # fmt: skip

FINE: list[Case] = [
    *(
        Case(str(d)[6:], (), lambda d=d: torch.tensor([0, 1, 2]).to(d), np.array([0, 1, 2]).astype(str(d)[6:]),
             shares=True, stock_fails=False)
        for d in (
            torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.uint16, torch.uint32,
            torch.uint64, torch.float16, torch.float32, torch.float64, torch.complex64, torch.complex128,
        )
    ),
    Case("transposed", (), lambda: floats().t(), F32.T, shares=True, stock_fails=False),
    Case("expanded", (), lambda: torch.ones(1).expand(3), np.ones(3, np.float32), shares=True, stock_fails=False),
    Case("pending collective", (), pending, F32, shares=True, stock_fails=False),
    Case("buffer", (), lambda: buffer(floats()), F32, shares=True, stock_fails=False),
]  # fmt: skip


def assert_same(got: Any, expected: Any) -> None:
    """Same type, dtype, shape and values; masks and rows included."""
    assert type(got) is type(expected)
    assert got.dtype == expected.dtype
    assert got.shape == expected.shape
    if expected.dtype == object:
        for a, b in zip(got, expected, strict=True):
            assert_same(a, b)
        return
    if isinstance(expected, np.ma.MaskedArray):
        np.testing.assert_array_equal(np.ma.getmaskarray(got), np.ma.getmaskarray(expected))
        np.testing.assert_array_equal(got.compressed(), expected.compressed())
        return
    np.testing.assert_array_equal(got, expected)
