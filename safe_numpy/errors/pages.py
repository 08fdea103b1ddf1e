"""The warnings, and the errors: each class's docstring is its manual page; its examples run as doctests."""

from __future__ import annotations

from safe_numpy.diagnosis.facts import Kind, Site
from safe_numpy.errors.base import ConversionError, MakeDiagnosis, mix


class ConversionWarning(UserWarning):
    """Permissive mode converted a tensor: once per call site, with the code to write instead.

    >>> import warnings, safe_numpy, torch
    >>> with warnings.catch_warnings(), safe_numpy.mode("permissive"):
    ...     warnings.simplefilter("ignore", safe_numpy.ConversionWarning)
    ...     torch.ones(2, requires_grad=True).numpy()
    array([1., 1.], dtype=float32)
    """


class HazardWarning(UserWarning):
    """A conversion worked, and something was lost without a word. Once per call site.

    It occurs when ``numpy()`` is called on a TensorFlow tensor that an active `tf.GradientTape` records: what is
    computed from the array has no gradient, and ``tape.gradient`` gives None.
    """


class SeveredGradientWarning(UserWarning):
    """A parameter reached the step of its optimizer without a gradient, since permissive mode detached what it made.

    It occurs where an array that was made of a recorded tensor becomes a tensor again, and so part of the loss: in
    permissive mode that works, and what lies upstream never learns. Once per parameter.
    """


class DeviceError(ConversionError):
    """The tensor lives on an accelerator; NumPy reads host memory only.

    It occurs with CUDA, MPS, XPU, XLA and any other backend. Fails::

        torch.ones(2, device="cuda").numpy()

    Works::

        torch.ones(2, device="cuda").cpu().numpy()

    The copy waits until the device has finished what it was told before. Inside a CUDA graph capture there is no
    such moment: convert before or after.
    """

    kind = Kind.DEVICE


class GradError(ConversionError):
    """Autograd records the tensor; an array would leave the graph without a trace.

    Fails:

    >>> import torch
    >>> loss = torch.ones(2, requires_grad=True) * 3
    >>> loss.numpy()
    Traceback (most recent call last):
    safe_numpy.GradError: Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.
    ...

    Works; the array shares the tensor's memory:

    >>> loss.detach().numpy()
    array([3., 3.], dtype=float32)
    """

    kind = Kind.GRAD


class ConjError(ConversionError):
    """The tensor is conjugated lazily: its memory holds the values before conjugation.

    Fails:

    >>> import torch
    >>> z = torch.tensor([1 + 2j]).conj()
    >>> z.numpy()
    Traceback (most recent call last):
    safe_numpy.ConjError: Can't call numpy() on Tensor that has conjugate bit set. ...

    Works:

    >>> z.resolve_conj().numpy()
    array([1.-2.j], dtype=complex64)
    """

    kind = Kind.CONJ


class NegError(ConversionError):
    """The tensor is negated lazily, as the imaginary part of a conjugated tensor is.

    Fails:

    >>> import torch
    >>> y = torch.tensor([1 + 2j]).conj().imag
    >>> y.numpy()
    Traceback (most recent call last):
    safe_numpy.NegError: Can't call numpy() on Tensor that has negative bit set. ...

    Works:

    >>> y.resolve_neg().numpy()
    array([-2.], dtype=float32)
    """

    kind = Kind.NEG


class ZeroError(ConversionError):
    """The tensor stands for zeros without holding them; forward-mode differentiation makes such tensors.

    Fails:

    >>> import torch
    >>> z = torch._efficientzerotensor((2,))
    >>> z.numpy()
    Traceback (most recent call last):
    safe_numpy.ZeroError:  Cannot convert a ZeroTensor to numpy. Set force=True if you need the zero array.
    ...

    Works:

    >>> z.numpy(force=True)
    array([0., 0.], dtype=float32)
    """

    kind = Kind.ZERO


class LayoutError(ConversionError):
    """The tensor is sparse or in an opaque layout; NumPy has dense arrays only.

    Fails:

    >>> import torch
    >>> s = torch.eye(2).to_sparse()
    >>> s.numpy()
    Traceback (most recent call last):
    safe_numpy.LayoutError: can't convert Sparse layout tensor to numpy. Use Tensor.to_dense() first.
    ...

    Works; the array holds every zero, so look at the shape first:

    >>> s.to_dense().numpy()
    array([[1., 0.],
           [0., 1.]], dtype=float32)
    """

    kind = Kind.LAYOUT


class NestedError(ConversionError):
    """The tensor is nested: its rows differ in length, and there is no one shape.

    Fails:

    >>> import torch, warnings
    >>> warnings.simplefilter("ignore")
    >>> n = torch.nested.nested_tensor([torch.ones(1), torch.ones(2)], layout=torch.jagged)
    >>> n.numpy()
    Traceback (most recent call last):
    safe_numpy.NestedError: .numpy() is not supported for tensor subclasses.
    ...

    Works: one array per row. (`torch.nested.to_padded_tensor` gives a rectangle instead.)

    >>> [row.numpy() for row in n.unbind()]
    [array([1.], dtype=float32), array([1., 1.], dtype=float32)]
    """

    kind = Kind.NESTED


class DTypeError(ConversionError):
    """NumPy has no such dtype: bfloat16, float8, float4, complex32, bits, integers of less than a byte.

    Fails:

    >>> import torch
    >>> b = torch.ones(2, dtype=torch.bfloat16)
    >>> b.numpy()
    Traceback (most recent call last):
    safe_numpy.DTypeError: Got unsupported ScalarType BFloat16
    ...

    Works. float32 holds every bfloat16; float16, of the same size, overflows at 65504:

    >>> b.float().numpy()
    array([1., 1.], dtype=float32)

    Bits, integers of less than a byte and float4 are read as bytes: ``x.view(torch.uint8).numpy()``.
    """

    kind = Kind.DTYPE


class QuantizedError(ConversionError):
    """The tensor is quantized: integers with a scale and a zero point, which NumPy cannot hold.

    Fails:

    >>> import torch, warnings
    >>> warnings.simplefilter("ignore")
    >>> q = torch.quantize_per_tensor(torch.ones(2), 0.5, 0, torch.qint8)
    >>> q.numpy()
    Traceback (most recent call last):
    safe_numpy.QuantizedError: Got unsupported ScalarType QInt8
    ...

    Works: the values, or the integers alone.

    >>> q.dequantize().numpy()
    array([1., 1.], dtype=float32)
    >>> q.int_repr().numpy()
    array([2, 2], dtype=int8)
    """

    kind = Kind.QUANTIZED


class MaskedError(ConversionError):
    """The tensor is a MaskedTensor; a plain array would show what the mask hides.

    Fails:

    >>> import torch, warnings
    >>> warnings.simplefilter("ignore")
    >>> m = torch.masked.masked_tensor(torch.ones(2), torch.tensor([True, False]))
    >>> m.numpy()
    Traceback (most recent call last):
    safe_numpy.MaskedError: .numpy() is not supported for tensor subclasses.
    ...

    Works. In torch the mask marks what is valid, in NumPy what is not:

    >>> import numpy as np
    >>> print(np.ma.MaskedArray(m.get_data().numpy(), mask=~m.get_mask().numpy()))
    [1.0 --]
    """

    kind = Kind.MASKED


class NoDataError(ConversionError):
    """The tensor has no values: it is on the meta device, is fake, was never initialised, or its storage is freed.

    No code at this place can help; the values must come from somewhere.

    >>> import torch
    >>> torch.empty(2, device="meta").numpy()
    Traceback (most recent call last):
    safe_numpy.NoDataError: can't convert meta device type tensor to numpy. ...
    """

    kind = Kind.NO_DATA


class TransformError(ConversionError):
    """A torch.func transform is running, and wraps the tensor.

    Under vmap the tensor is one row of a batch and has no value of its own: return it, and convert the result.
    Under grad and jvp it has one, but detach() does not reach it. Fails:

    >>> import torch
    >>> def f(x):
    ...     print(x.detach().numpy())
    ...     return x.sum()
    >>> torch.func.grad(f)(torch.ones(2))
    Traceback (most recent call last):
    safe_numpy.TransformError: Cannot access data pointer of Tensor that doesn't have storage
    ...

    Works:

    >>> import numpy as np
    >>> def f(x):
    ...     print(np.from_dlpack(torch.func.debug_unwrap(x).data))
    ...     return x.sum()
    >>> torch.func.grad(f)(torch.ones(2))
    [1. 1.]
    tensor([1., 1.])
    """

    kind = Kind.TRANSFORM


class SubclassError(ConversionError):
    """The tensor is of a subclass that interprets operations itself (``__torch_dispatch__``).

    What its values are, only the class knows: ask it for a plain tensor.
    """

    kind = Kind.SUBCLASS


class ShardedError(ConversionError):
    """The tensor is a DTensor. If it is spread over several ranks, this one holds only a part.

    ``x.full_tensor()`` gathers the whole; it is a collective, so every rank of the mesh must call it.
    Where one rank holds everything, ``x.to_local().numpy()`` is enough.
    """

    kind = Kind.SHARDED


class SymbolicError(ConversionError):
    """The tensor is symbolic: it stands for a value that some later run will have.

    It occurs wherever TensorFlow traces a function: `tf.function`, `Dataset.map`, a Keras loss, metric or layer under
    `fit`, a TF1 graph; and on a Keras placeholder. Fails::

        dataset.map(lambda x: x.numpy())

    Works::

        dataset.map(lambda x: tf.py_function(lambda x: x.numpy(), [x], x.dtype))

    Better where TensorFlow has a function for it: ``tf.clip_by_value`` for ``np.clip``, in Keras ``keras.ops.clip``;
    ``tf.print`` shows values. ``compile(run_eagerly=True)`` runs a Keras model with values, slowly. What passes through
    NumPy has no gradient.
    """

    kind = Kind.SYMBOLIC


class CompositeError(ConversionError):
    """The value is made of several tensors: a SparseTensor, IndexedSlices, an Optional.

    Fails::

        tf.sparse.from_dense([[0, 1]]).numpy()

    Works::

        tf.sparse.to_dense(tf.sparse.from_dense([[0, 1]])).numpy()

    IndexedSlices must know their shape (``dense_shape``), an Optional must have a value.
    """

    kind = Kind.COMPOSITE


class HandleError(ConversionError):
    """The tensor holds no numbers but a handle to something else: its dtype is variant or resource.

    Fails::

        variable.handle.numpy()

    Works::

        variable.numpy()

    A variant may hold a list of tensors (stack it where it is made), a ragged tensor (use that) or a dataset (iterate
    it).
    """

    kind = Kind.HANDLE


class NumpyError(ConversionError):
    """torch found no NumPy that it can use: none is installed, or one that it was not built for.

    NumPy 2 under torch 2.2 or older is the usual case: ``pip install 'numpy<2'``, or a newer torch.
    """

    kind = Kind.NUMPY


class SilentError(ConversionError, ValueError):
    """Strict mode: the conversion would work, and its result would be silently wrong, or a trap.

    `diagnosis.problems` says which of these: the values are not the tensor's (DLPack of a lazily negated tensor or of
    a wrapper subclass, freed storage, `torch.func.functionalize`), a derivative is lost (a forward-mode dual, an open
    `tf.GradientTape`), a write to the array would change more than it says (expanded memory, a parameter, what
    autograd has saved), or an array of objects would come out (composites, lists of 0-d tensors).

    >>> import numpy as np, torch, safe_numpy
    >>> negated = torch._neg_view(torch.tensor([1.0, 2.0]))
    >>> with safe_numpy.mode("strict"):
    ...     np.from_dlpack(negated)
    Traceback (most recent call last):
    safe_numpy.SilentError: __dlpack__() would give wrong values, and no error
    ...

    Works:

    >>> negated.resolve_neg().numpy()
    array([-1., -2.], dtype=float32)
    """


_CLASSES: dict[Kind, type[ConversionError]] = {c.kind: c for c in ConversionError.__subclasses__() if c.kind}
_CLASSES |= dict.fromkeys((Kind.TANGENT, Kind.EXPANDED, Kind.ALIAS, Kind.TAPE, Kind.OBJECT), SilentError)


def make_error(original: Exception, kind: Kind, diagnosis: MakeDiagnosis, site: Site | None) -> ConversionError:
    """Return `original`, explained: an instance of its class and of ours, its text first, with its attributes.

    `diagnosis` is called with the error's traceback when somebody reads it; it must not hold the tensor.
    """
    cls: type[ConversionError] = mix(_CLASSES[kind], type(original))
    error = cls.__new__(cls, str(original))
    ConversionError.__init__(error, str(original), diagnosis, site)
    for name, value in vars(original).items():
        error.__dict__.setdefault(name, value)
    if isinstance(original, AttributeError):
        error.name, error.obj = original.name, original.obj  # type: ignore[attr-defined]
    return error


_WARNINGS = (ConversionWarning, HazardWarning, SeveredGradientWarning)
for _class in (ConversionError, SilentError, *_WARNINGS, *_CLASSES.values()):
    _class.__module__ = "safe_numpy"  # where people find it, and so how a traceback shows it
