"""TensorFlow's causes. Every eager dtype converts as it is: what fails is symbolic, composite or a handle.

Measured on TensorFlow 2.21; texts and threads in the project's catalogue. Only attributes are
read, but for two questions that have none: an Optional's ``has_value`` and a DTensor's layout.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf
from tensorflow.experimental import dtensor
from tensorflow.python import pywrap_tfe as _tapes

from safe_numpy.diagnosis.causes import Cause
from safe_numpy.diagnosis.facts import Door, Facts, Kind

_DATASET = "Dataset_"
"""how the graphs of tf.data's functions begin their names (data/ops/structured_function.py):
https://github.com/tensorflow/tensorflow/blob/v2.21.0/tensorflow/python/data/ops/structured_function.py#L142-L147"""

_KERAS_STEPS = ("one_step_on_", "multi_step_on_", "train_function", "test_function", "predict_function")
"""how the graphs of Keras' training loops begin theirs (keras/src/backend/tensorflow/trainer.py):
https://github.com/keras-team/keras/blob/v3.15.1/keras/src/backend/tensorflow/trainer.py#L132"""


_WITH_OWN_ROW = (_DATASET, *_KERAS_STEPS)

INDEXED = (tf.SparseTensor, tf.IndexedSlices)
COMPOSITES = (*INDEXED, tf.experimental.Optional)


def find_graph(x: Any) -> Any:
    """Return the graph that `x` belongs to, or None for a value; a composite belongs where its parts do."""
    if isinstance(x, INDEXED):
        x = x.values
    elif isinstance(x, tf.RaggedTensor):
        x = x.flat_values
    elif isinstance(x, tf.experimental.Optional):
        x = getattr(x, "_variant_tensor", None)
    if not isinstance(x, tf.Tensor) or hasattr(x, "_numpy"):
        return None
    return x.graph


def read_graph_name(graph: Any) -> str | None:
    """Return the name of the Python function whose tracing made `graph`: loops and branches lie inside one another."""
    name = None
    while graph is not None:
        name = getattr(graph, "name", name)
        graph = getattr(graph, "outer_graph", None)
    return name


def _is_current(graph: Any) -> bool:
    if tf.executing_eagerly():
        return False
    current = tf.compat.v1.get_default_graph()
    while current is not None:
        if current is graph:
            return True
        current = getattr(current, "outer_graph", None)
    return False


def _name_tracing(x: Any, is_open: bool = True) -> str:
    """Return the function whose tracing made the graph of `x`, if that is going on (or not any more); else nothing."""
    graph = find_graph(x)
    name = read_graph_name(graph)
    return name if name is not None and _is_current(graph) is is_open else ""


def _note_function(name: str, door: Door) -> Facts:
    """Return what is known of a traced function by the name of its graph; its reader is told more, see `tracing`."""
    is_asked = door.is_explicit  # it asks ``numpy()``, which arrays have not
    call = (
        {"call": "tf.py_function", "values": "tensors that have values"}
        if is_asked
        else {"call": "tf.numpy_function", "values": "arrays (strings as bytes)"}
    )
    return {"function": name, "operation": "", "place": "", **call}


def _find_traced_by_dataset(x: Any, door: Door) -> Facts | None:
    name = _name_tracing(x)
    if not name.startswith(_DATASET):
        return None
    _, operation, function = name.split("_", 2)
    return {**_note_function(function, door), "operation": operation}


def _never(x: Any, door: Door) -> None:
    """Of no tensor by itself: the frames that its reader sees tell."""


def _holds(x: Any, kind: str) -> bool:
    """Tell what the handle in a variant is of, as the object that it holds describes itself."""
    if not isinstance(x, tf.Tensor) or x.dtype != tf.variant or not hasattr(x, "_numpy"):
        return False
    return kind in str(x._summarize_value())


def _is_eager_optional(x: Any) -> bool:
    return isinstance(x, tf.experimental.Optional) and find_graph(x) is None


def _is_optional_of_one(x: Any) -> bool:
    return _is_eager_optional(x) and isinstance(x.element_spec, tf.TensorSpec)


def _find_layout(x: Any) -> Any:
    """Return the layout of a DTensor that is not whole on each device; None for every other tensor."""
    # A DTensor lives on a custom device; asking any other tensor for its layout is an error.
    if isinstance(x, tf.Variable):
        x = x.handle
    if not isinstance(x, tf.Tensor) or find_graph(x) is not None or ":CUSTOM:" not in x.device:
        return None
    layout = dtensor.fetch_layout(x)
    return None if layout.is_fully_replicated() else layout


_REPLICATED = (
    "tf.experimental.dtensor.relayout({x}, tf.experimental.dtensor.Layout.replicated("
    "tf.experimental.dtensor.fetch_layout({x}).mesh, {x}.ndim))"
)

CAUSES: tuple[Cause, ...] = (
    Cause(
        Kind.SYMBOLIC, "leaked",
        lambda x, door: (name := _name_tracing(x, is_open=False)) and _note_function(name, door), None,
        "it was made while `{function}`{place} was traced, and is used outside: it never had a value here",
        instead="return it from `{function}`, and convert what the call returns",
    ),
    Cause(
        Kind.SYMBOLIC, "leaked_from_keras", _never, None,
        "it was made while Keras traced `{function}`{place}, and is used outside: it never had a value here",
        instead="compute it where there are values, `self.model(x)` in a callback; or give the model one output more, "
        "`keras.Model(model.inputs, [*model.outputs, layer.output])`; or keep it in a tf.Variable by `.assign`",
    ),
    Cause(
        Kind.SYMBOLIC, "traced_by_dataset", _find_traced_by_dataset, None,
        "`Dataset.{operation}` is tracing `{function}`: the tensor stands for every element to come",
        instead="compute with TensorFlow's functions, or have `{function}` called with {values}: `{operation}(lambda "
        "*row: {call}({function}, row, Tout=tf.float32))`, and `set_shape` of what that gives, as its shape is lost. "
        "To look at elements, tf.data.experimental.enable_debug_mode()",
    ),
    Cause(
        Kind.SYMBOLIC, "traced_by_keras",
        lambda x, door: (name := _name_tracing(x)).startswith(_KERAS_STEPS) and _note_function(name, door), None,
        "Keras is tracing `{function}`: the tensor stands for a value of later steps",
        instead="compute with keras.ops; what wants arrays, say `f`, is called at every step, without a gradient, by "
        "`tf.ensure_shape(tf.py_function(f, [{x}], Tout=tf.float32), shape)`. `compile(run_eagerly=True)` runs all "
        "of it with values, slowly",
    ),
    Cause(
        Kind.SYMBOLIC, "traced",
        lambda x, door: (
            (name := _name_tracing(x)) and not name.startswith(_WITH_OWN_ROW) and _note_function(name, door)
        ),
        None,
        "`tf.function` is tracing `{function}`: the tensor stands for a value of later runs",
        instead="compute with TensorFlow's functions; what wants arrays, say `f`, is called at every run, without a "
        "gradient, by `tf.ensure_shape(tf.py_function(f, [{x}], Tout=tf.float32), shape)`; or convert what "
        "`{function}` returns",
    ),
    Cause(
        Kind.SYMBOLIC, "in_graph", lambda x, door: (g := find_graph(x)) is not None and read_graph_name(g) is None,
        None,
        "it belongs to a graph that is being built: it has a value only when that runs",
        instead="`session.run({x}, feed_dict=...)` in TF1 code; in TF2 convert outside of the graph",
    ),
    Cause(
        Kind.SYMBOLIC, "variable_in_graph",
        lambda x, door: isinstance(x, tf.Variable) and not tf.executing_eagerly() and _note_function(
            read_graph_name(tf.compat.v1.get_default_graph()) or "a graph", door
        ),
        None,
        "it is a variable, read while `{function}` is being traced",
        instead="use `{x}` itself with TensorFlow's functions; what wants arrays, say `f`, is called at every run, "
        "without a gradient, by `tf.py_function(f, [{x}], Tout=tf.float32)`, and `set_shape` of what that gives; or "
        "convert it outside of `{function}`",
    ),
    Cause(
        Kind.SHARDED, "distributed",
        lambda x, door: (found := _find_layout(x)) and dtensor.num_clients() == 1 and {"devices": str(found.mesh.size)},
        _REPLICATED,
        "it is a DTensor sharded over {devices} devices of one client", done="gathered from {devices} devices",
    ),
    Cause(
        Kind.SHARDED, "distributed_clients",
        lambda x, door: _find_layout(x) and (n := dtensor.num_clients()) > 1 and {"clients": str(n)}, None,
        "it is a DTensor sharded over {clients} clients: this one holds a part of it",
        instead="relayout it to a replicated layout on every client, then convert: on one client alone that hangs",
    ),
    Cause(
        Kind.HANDLE, "tensor_list", lambda x, door: _holds(x, "<TensorList"), None,
        "its dtype is variant: it holds a handle to a list of tensors",
        instead="stack it where it was made: `.stack()` of the TensorArray, before that leaves its function",
    ),
    Cause(
        Kind.HANDLE, "dataset", lambda x, door: _holds(x, "Dataset>"), None,
        "its dtype is variant: it holds a handle to a dataset",
        instead="iterate the dataset; of the handle, `tf.data.experimental.from_variant({x}, element_spec)` makes it",
    ),
    Cause(
        Kind.HANDLE, "ragged_variant", lambda x, door: _holds(x, "<RaggedTensorVariant"), None,
        "its dtype is variant: it holds a handle to a ragged tensor",
        instead="use the RaggedTensor itself; of the handle, `tf.raw_ops.RaggedTensorFromVariant` gives its row splits "
        "and its values",
    ),
    Cause(
        Kind.HANDLE, "variant",
        lambda x, door: isinstance(x, tf.Tensor) and x.dtype == tf.variant and not any(
            _holds(x, kind) for kind in ("<TensorList", "Dataset>", "<RaggedTensorVariant")
        ),
        None,
        "its dtype is variant: it holds a handle to another object",
        instead="take the object that it was made of",
    ),
    Cause(
        Kind.HANDLE, "resource", lambda x, door: isinstance(x, tf.Tensor) and x.dtype == tf.resource, None,
        "its dtype is resource: it holds a handle to a variable, a table or an iterator",
        instead="convert the variable itself (`variable.numpy()`), or `variable.read_value()`",
    ),
    Cause(
        Kind.COMPOSITE, "sparse_in_graph", lambda x, door: isinstance(x, tf.SparseTensor) and find_graph(x) is not None,
        None,
        "it is a SparseTensor: indices and values, and no array",
        instead="functions that want one tensor are given `tf.sparse.to_dense({x})`",
    ),
    Cause(  # to_dense refuses indices that are out of order
        Kind.COMPOSITE, "sparse_tensor", lambda x, door: isinstance(x, tf.SparseTensor) and find_graph(x) is None,
        "tf.sparse.to_dense(tf.sparse.reorder({x}))",
        "it is a SparseTensor: indices and values, and no array", done="made dense, from a SparseTensor",
    ),
    Cause(
        Kind.COMPOSITE, "slices", lambda x, door: isinstance(x, tf.IndexedSlices) and x.dense_shape is not None,
        "tf.convert_to_tensor({x})",
        "it is an IndexedSlices: some rows of a larger tensor", done="made dense, from IndexedSlices",
    ),
    Cause(
        Kind.COMPOSITE, "slices_without_shape",
        lambda x, door: isinstance(x, tf.IndexedSlices) and x.dense_shape is None, None,
        "it is an IndexedSlices that does not know the shape of the whole (dense_shape is None)",
        instead="convert `{x}.values` and `{x}.indices`, or make it with a dense_shape",
    ),
    Cause(
        Kind.COMPOSITE, "optional_without_value", lambda x, door: _is_eager_optional(x) and not bool(x.has_value()),
        None,
        "it is an Optional without a value", instead="ask `{x}.has_value()` first",
    ),
    Cause(
        Kind.COMPOSITE, "optional", lambda x, door: _is_optional_of_one(x) and bool(x.has_value()), "{x}.get_value()",
        "it is an Optional: a value, or none", done="taken from its Optional",
    ),
    Cause(
        Kind.COMPOSITE, "optional_of_several", lambda x, door: _is_eager_optional(x) and not _is_optional_of_one(x),
        None,
        "it is an Optional of several tensors", instead="`safe_numpy.to_numpy({x}.get_value())`",
    ),
)  # fmt: skip


def is_recorded(x: Any) -> bool:
    """Tell whether an active tape records a tensor, a variable, or the values of a composite."""
    if _tapes.TFE_Py_TapeSetIsEmpty() or find_graph(x) is not None:
        return False
    if isinstance(x, INDEXED):
        x = x.values
    elif isinstance(x, tf.Variable):
        x = x.handle
    return isinstance(x, tf.Tensor) and bool(_tapes.TFE_Py_TapeSetShouldRecordBackprop([x]))


HAZARDS: tuple[Cause, ...] = (
    Cause(
        Kind.TAPE, "tape", lambda x, door: is_recorded(x), "tf.stop_gradient({x})",
        "a GradientTape records it: the gradient stops here, and tape.gradient gives None for what it came from",
        done="taken from its tape",
        instead="TensorFlow's functions keep the gradient, `tf.reduce_mean` for `np.mean`; the fix is for a look",
        is_unguarded=True,
    ),
    Cause(
        Kind.OBJECT, "ragged", lambda x, door: isinstance(x, tf.RaggedTensor) and find_graph(x) is None, "{x}.numpy()",
        "it is a RaggedTensor, of which NumPy makes an array of one object", done="made an object array of its rows",
        blocks=frozenset({Door.ARRAY}), ends=True, is_unguarded=True,
    ),
)  # fmt: skip
"""what works in stock TensorFlow, and loses something"""

TAPE = (
    "numpy() of {subject} inside a GradientTape that records it{detail}: the gradient stops here, and "
    "tape.gradient gives None for what it came from. TensorFlow's functions keep it, `tf.reduce_mean` for `np.mean`; "
    "for a value to look at only, say so: `tf.stop_gradient({x}).numpy()`"
)
OBJECT_ARRAY = (
    "NumPy makes an array of one object of {subject}, not an array of its values: "
    "`safe_numpy.to_numpy({x})` converts it, and so does SAFE_NUMPY=permissive"
)
