"""TensorFlow values, each with the array that it should become, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import ml_dtypes
import numpy as np
import tensorflow as tf

Visit = Callable[[Any], Any]


@dataclass(frozen=True)
class Case:
    """One value, visited where it lives."""

    name: str
    causes: tuple[str, ...]
    visit: Callable[[Visit], Any]
    expected: Any = None

    def __str__(self) -> str:
        return self.name


def value(make: Callable[[], Any]) -> Callable[[Visit], Any]:
    return lambda do: do(make())


def inside(run: Callable[[Visit], Any]) -> Callable[[Visit], Any]:
    """Visit inside code that is traced, and hand out what was found there."""

    def visit(do: Visit) -> Any:
        found = []
        run(lambda x: found.append(do(x)))
        return found[0]

    return visit


def in_function(autograph: bool) -> Callable[[Visit], Any]:
    def run(note: Visit) -> None:
        @tf.function(autograph=autograph)
        def step(x: Any) -> Any:
            note(x)
            return x

        step(tf.constant([1.0]))

    return run


def in_loop(note: Visit) -> None:
    @tf.function
    def step(x: Any) -> Any:
        for i in tf.range(2):
            note(i)
            x = x + 1.0
        return x

    step(tf.constant(1.0))


def in_dataset(note: Visit) -> None:
    def parse(x: Any) -> Any:
        note(x)
        return x

    list(tf.data.Dataset.range(2).map(parse))


def in_graph(note: Visit) -> None:
    with tf.Graph().as_default():
        note(tf.constant(1.0))


def in_vectorized_map(note: Visit) -> None:
    tf.vectorized_map(lambda x: (note(x), x)[1], tf.constant([1.0, 2.0]))


def variable_in_function(note: Visit) -> None:
    v = tf.Variable([1.0])

    @tf.function
    def step() -> Any:
        note(v)
        return v + 1.0

    step()


def leaked() -> Any:
    kept: list[Any] = []

    @tf.function
    def step(x: Any) -> Any:
        kept.append(x)
        return x

    step(tf.constant(1.0))
    return kept[0]


def sparse_in_function(note: Visit) -> None:
    @tf.function
    def step(x: Any) -> Any:
        s = tf.sparse.from_dense(x)
        note(s)
        return tf.sparse.to_dense(s)

    step(tf.constant([[0.0, 1.0]]))


def in_keras_loss(note: Visit) -> None:
    def loss(y: Any, p: Any) -> Any:
        note(p)
        return tf.reduce_mean((y - p) ** 2)

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", loss)
    model.fit(np.ones((4, 2)), np.ones((4, 1)), verbose=0)


class Reading(keras.layers.Layer):
    """A layer that looks at its input."""

    note: Any = staticmethod(lambda x: None)

    def call(self, x: Any) -> Any:
        type(self).note(x)
        return x


def in_keras_layer(note: Visit) -> None:
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1), Reading()])
    model.compile("sgd", "mse")
    Reading.note = staticmethod(note)
    model.fit(np.ones((4, 2)), np.ones((4, 1)), verbose=0)


def leaked_from_keras() -> Any:
    kept: list[Any] = []
    in_keras_layer(lambda x: kept.append(x * 2) if isinstance(x, tf.Tensor) else None)
    return kept[-1]


def slices(dense_shape: list[int] | None) -> Any:
    return tf.IndexedSlices(
        tf.constant([[1.0], [2.0]]), tf.constant([2, 0]), dense_shape and tf.constant(dense_shape)
    )  # fmt: skip


SYMBOLIC: list[Case] = [
    Case("tf.function", ("traced",), inside(in_function(True))),
    Case("tf.function without AutoGraph", ("traced",), inside(in_function(False))),
    Case("loop in tf.function", ("traced",), inside(in_loop)),
    Case("Dataset.map", ("traced_by_dataset",), inside(in_dataset)),
    Case("TF1 graph", ("in_graph",), inside(in_graph)),
    Case("vectorized_map", ("traced",), inside(in_vectorized_map)),
    Case("Keras loss under fit", ("traced_by_keras",), inside(in_keras_loss)),
    Case("Keras layer under fit", ("traced_by_keras",), inside(in_keras_layer)),
    Case("variable in tf.function", ("variable_in_graph",), inside(variable_in_function)),
    Case("leaked", ("leaked",), value(leaked)),
    Case("leaked from Keras", ("leaked_from_keras",), value(leaked_from_keras)),
    Case("Keras placeholder", ("keras_tensor",), value(lambda: keras.Input((2,)))),
    Case("sparse in tf.function", ("traced", "sparse_in_graph"), inside(sparse_in_function)),
]

HANDLES: list[Case] = [
    Case("list", ("tensor_list",), value(lambda: tf.raw_ops.EmptyTensorList(
        element_shape=tf.constant([], tf.int32), max_num_elements=2, element_dtype=tf.float32))),
    Case("dataset", ("dataset",), value(lambda: tf.data.experimental.to_variant(tf.data.Dataset.range(2)))),
    Case("Optional's handle", ("variant",),
         value(lambda: tf.experimental.Optional.from_value(1)._variant_tensor)),
    Case("ragged variant", ("ragged_variant",), value(lambda: tf.ragged.constant([[1], [2, 3]])._to_variant())),
    Case("resource", ("resource",), value(lambda: tf.Variable(1.0).handle)),
    Case("slices without shape", ("slices_without_shape",), value(lambda: slices(None))),
    Case("empty Optional", ("optional_without_value",),
         value(lambda: tf.experimental.Optional.empty(tf.TensorSpec([], tf.float32)))),
    Case("Optional of two", ("optional_of_several",), value(lambda: tf.experimental.Optional.from_value((1, 2)))),
]  # fmt: skip

COMPOSITES: list[Case] = [
    Case("sparse", ("sparse_tensor",), value(lambda: tf.sparse.from_dense([[0.0, 1.5], [2.0, 0.0]])),
         np.array([[0, 1.5], [2, 0]], np.float32)),
    Case("sparse out of order", ("sparse_tensor",),
         value(lambda: tf.SparseTensor([[1, 0], [0, 1]], [2, 1], (2, 2))), np.array([[0, 1], [2, 0]], np.int32)),
    Case("slices", ("slices",), value(lambda: slices([3, 1])), np.array([[2], [0], [1]], np.float32)),
    Case("Optional", ("optional",), value(lambda: tf.experimental.Optional.from_value(tf.constant([1, 2]))),
         np.array([1, 2], np.int32)),
]  # fmt: skip

NUMPY_DTYPES = {
    "bool": np.bool_, "int8": np.int8, "int16": np.int16, "int32": np.int32, "int64": np.int64, "uint8": np.uint8,
    "uint16": np.uint16, "uint32": np.uint32, "uint64": np.uint64, "float16": np.float16, "float32": np.float32,
    "float64": np.float64, "complex64": np.complex64, "complex128": np.complex128,
    "qint8": np.int8, "quint8": np.uint8, "qint16": np.int16, "quint16": np.uint16, "qint32": np.int32,
}  # fmt: skip
LOW = (
    "bfloat16", "float8_e5m2", "float8_e4m3fn", "int4", "uint4", "int2", "uint2", "float8_e4m3fnuz", "float8_e5m2fnuz",
    "float8_e4m3b11fnuz", "float4_e2m1fn",
)  # fmt: skip


def find_dtypes() -> set[str]:
    """Every dtype that this TensorFlow knows by name; references are of TF1 alone."""
    from tensorflow.python.framework import dtypes

    found = (d for d in vars(dtypes).values() if isinstance(d, tf.DType))
    return {d.name for d in found if not d.name.endswith("_ref")}


DTYPES = NUMPY_DTYPES | {name: getattr(ml_dtypes, name) for name in LOW if name in find_dtypes()}


def make_eager(dtype: str) -> Any:
    if dtype.startswith("q"):
        return tf.cast(tf.constant([0, 1]), tf.as_dtype(dtype))
    return tf.constant(np.array([0, 1]).astype(DTYPES[dtype]))


FINE: list[Case] = [
    *(
        Case(name, (), value(lambda name=name: make_eager(name)), np.array([0, 1]).astype(dtype))
        for name, dtype in DTYPES.items()
    ),
    Case("string", (), value(lambda: tf.constant(["a", "b"])), np.array([b"a", b"b"], object)),
    Case("variable", (), value(lambda: tf.Variable([0.0, 1.0])), np.array([0, 1], np.float32)),
    Case("ragged", (), value(lambda: tf.ragged.constant([[1], [2, 3]])), None),
]
