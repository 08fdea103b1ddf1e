"""TensorFlow's table of steps. Every eager dtype converts as it is: what fails is symbolic, composite or a handle.

Measured on TensorFlow 2.21; texts and threads in the project's catalogue. Only attributes are
read, but for two questions that have none: an Optional's ``has_value`` and a DTensor's layout.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
from tensorflow.experimental import dtensor
from tensorflow.python import pywrap_tfe as _tapes

from safe_numpy.diagnosis.causes import EVERY_DOOR, Step
from safe_numpy.diagnosis.facts import NO_FACTS, Door, Facts, Kind

_DATASET = "Dataset_"
"""how the graphs of tf.data's functions begin their names (data/ops/structured_function.py)"""

_KERAS_STEPS = ("one_step_on_", "multi_step_on_", "train_function", "test_function", "predict_function")
"""how the graphs of Keras' training loops begin theirs (keras/src/backend/tensorflow/trainer.py)"""


def find_graph(x: Any) -> Any:
    """Return the graph that `x` belongs to, or None for a value; a composite belongs where its parts do."""
    if isinstance(x, (tf.SparseTensor, tf.IndexedSlices)):
        x = x.values
    elif isinstance(x, tf.RaggedTensor):
        x = x.flat_values
    elif isinstance(x, tf.experimental.Optional):
        x = getattr(x, "_variant_tensor", None)
    if not isinstance(x, tf.Tensor) or hasattr(x, "_numpy"):
        return None
    return x.graph


def find_function(graph: Any) -> str | None:
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


def _see_leaked(x: Any, door: Door) -> Facts | None:
    graph = find_graph(x)
    name = find_function(graph)
    return None if name is None or _is_current(graph) else {"function": name}


def _see_traced_by_dataset(x: Any, door: Door) -> Facts | None:
    graph = find_graph(x)
    name = find_function(graph)
    if name is None or not name.startswith(_DATASET) or not _is_current(graph):
        return None
    _, operation, function = name.split("_", 2)
    return {"operation": operation, "function": function}


def _see_traced_by_keras(x: Any, door: Door) -> Facts | None:
    graph = find_graph(x)
    name = find_function(graph)
    return {"function": name} if name and name.startswith(_KERAS_STEPS) and _is_current(graph) else None


def _see_traced(x: Any, door: Door) -> Facts | None:
    graph = find_graph(x)
    name = find_function(graph)
    if name is None or name.startswith((_DATASET, *_KERAS_STEPS)) or not _is_current(graph):
        return None
    return {"function": name}


def _see_in_graph(x: Any, door: Door) -> Facts | None:
    graph = find_graph(x)
    return NO_FACTS if graph is not None and find_function(graph) is None else None


def _see_variable_in_graph(x: Any, door: Door) -> Facts | None:
    if not isinstance(x, tf.Variable) or tf.executing_eagerly():
        return None
    return {"function": find_function(tf.compat.v1.get_default_graph()) or "a graph"}


def _see_variant(x: Any, door: Door) -> Facts | None:
    return NO_FACTS if isinstance(x, tf.Tensor) and x.dtype == tf.variant else None


def _see_resource(x: Any, door: Door) -> Facts | None:
    return NO_FACTS if isinstance(x, tf.Tensor) and x.dtype == tf.resource else None


def _see_sparse(x: Any, door: Door) -> Facts | None:
    return NO_FACTS if isinstance(x, tf.SparseTensor) else None


def _see_slices(x: Any, door: Door) -> Facts | None:
    return NO_FACTS if isinstance(x, tf.IndexedSlices) and x.dense_shape is not None else None


def _see_shapeless_slices(x: Any, door: Door) -> Facts | None:
    return NO_FACTS if isinstance(x, tf.IndexedSlices) and x.dense_shape is None else None


def _is_eager_optional(x: Any) -> bool:
    return isinstance(x, tf.experimental.Optional) and find_graph(x) is None


def _see_empty_optional(x: Any, door: Door) -> Facts | None:
    return NO_FACTS if _is_eager_optional(x) and not bool(x.has_value()) else None


def _see_optional(x: Any, door: Door) -> Facts | None:
    if not _is_eager_optional(x) or not isinstance(x.element_spec, tf.TensorSpec):
        return None
    return NO_FACTS if bool(x.has_value()) else None


def _see_optional_of_several(x: Any, door: Door) -> Facts | None:
    return NO_FACTS if _is_eager_optional(x) and not isinstance(x.element_spec, tf.TensorSpec) else None


def _find_layout(x: Any) -> Any:
    """Return the layout of a DTensor that is not whole on each device; None for every other tensor."""
    # A DTensor lives on a custom device; asking any other tensor for its layout is an error.
    if isinstance(x, tf.Variable):
        x = x.handle
    if not isinstance(x, tf.Tensor) or find_graph(x) is not None or ":CUSTOM:" not in x.device:
        return None
    layout = dtensor.fetch_layout(x)
    return None if layout.is_fully_replicated() else layout


def _see_distributed(x: Any, door: Door) -> Facts | None:
    layout = _find_layout(x)
    if layout is None or dtensor.num_clients() > 1:
        return None
    return {"devices": str(layout.mesh.size)}


def _see_distributed_clients(x: Any, door: Door) -> Facts | None:
    return None if _find_layout(x) is None or dtensor.num_clients() == 1 else {"clients": str(dtensor.num_clients())}


_REPLICATED = (
    "tf.experimental.dtensor.relayout({x}, tf.experimental.dtensor.Layout.replicated("
    "tf.experimental.dtensor.fetch_layout({x}).mesh, {x}.ndim))"
)

STEPS: tuple[Step, ...] = (
    Step(Kind.SYMBOLIC, "leaked", _see_leaked, None, EVERY_DOOR),
    Step(Kind.SYMBOLIC, "traced_by_dataset", _see_traced_by_dataset, None, EVERY_DOOR),
    Step(Kind.SYMBOLIC, "traced_by_keras", _see_traced_by_keras, None, EVERY_DOOR),
    Step(Kind.SYMBOLIC, "traced", _see_traced, None, EVERY_DOOR),
    Step(Kind.SYMBOLIC, "in_graph", _see_in_graph, None, EVERY_DOOR),
    Step(Kind.SYMBOLIC, "variable_in_graph", _see_variable_in_graph, None, EVERY_DOOR),
    Step(Kind.SHARDED, "distributed", _see_distributed, _REPLICATED, EVERY_DOOR),
    Step(Kind.SHARDED, "distributed_clients", _see_distributed_clients, None, EVERY_DOOR),
    Step(Kind.HANDLE, "variant", _see_variant, None, EVERY_DOOR),
    Step(Kind.HANDLE, "resource", _see_resource, None, EVERY_DOOR),
    # to_dense refuses indices that are out of order
    Step(Kind.COMPOSITE, "sparse_tensor", _see_sparse, "tf.sparse.to_dense(tf.sparse.reorder({x}))", EVERY_DOOR),
    Step(Kind.COMPOSITE, "slices", _see_slices, "tf.convert_to_tensor({x})", EVERY_DOOR),
    Step(Kind.COMPOSITE, "slices_without_shape", _see_shapeless_slices, None, EVERY_DOOR),
    Step(Kind.COMPOSITE, "optional_without_value", _see_empty_optional, None, EVERY_DOOR),
    Step(Kind.COMPOSITE, "optional", _see_optional, "{x}.get_value()", EVERY_DOOR),
    Step(Kind.COMPOSITE, "optional_of_several", _see_optional_of_several, None, EVERY_DOOR),
)


def find_steps(x: Any) -> Sequence[Step]:
    """Return the steps that can concern `x`."""
    return STEPS


def _see_tape(x: Any, door: Door) -> Facts | None:
    return NO_FACTS if is_recorded(x) else None


def is_recorded(x: Any) -> bool:
    """Tell whether an active tape records a tensor, a variable, or the values of a composite."""
    if _tapes.TFE_Py_TapeSetIsEmpty() or find_graph(x) is not None:
        return False
    if isinstance(x, (tf.SparseTensor, tf.IndexedSlices)):
        x = x.values
    elif isinstance(x, tf.Variable):
        x = x.handle
    return isinstance(x, tf.Tensor) and bool(_tapes.TFE_Py_TapeSetShouldRecordBackprop([x]))


def _see_ragged(x: Any, door: Door) -> Facts | None:
    return NO_FACTS if isinstance(x, tf.RaggedTensor) and find_graph(x) is None else None


STRICT_STEPS: tuple[Step, ...] = (
    Step(Kind.TAPE, "tape", _see_tape, "tf.stop_gradient({x})", EVERY_DOOR),
    Step(Kind.OBJECT, "ragged", _see_ragged, "{x}.numpy()", frozenset({Door.ARRAY}), ends=True),
    *STEPS,
)
"""the table with what works in stock TensorFlow, and loses something"""


def find_strict_steps(x: Any) -> Sequence[Step]:
    """Return the steps that can concern `x`, the silent ones too."""
    return STRICT_STEPS
