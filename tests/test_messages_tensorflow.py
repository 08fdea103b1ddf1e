"""Every message about TensorFlow and Keras values, whole; see test_messages."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from test_messages import assert_snapshot, move, steady
from zoo_tensorflow import COMPOSITES, HANDLES, SYMBOLIC, Case

import safe_numpy

CASES = {c.name: c for c in SYMBOLIC + HANDLES + COMPOSITES}
SHOWN = {
    "traced": "tf.function",
    "traced_by_dataset": "Dataset.map",
    "traced_by_keras": "Keras loss under fit",
    "in_graph": "TF1 graph",
    "variable_in_graph": "variable in tf.function",
    "leaked": "leaked",
    "keras_tensor": "Keras placeholder",
    "leaked_from_keras": "leaked from Keras",
    "tensor_list": "list",
    "dataset": "dataset",
    "ragged_variant": "ragged variant",
    "sparse_in_graph": "sparse in tf.function",
    "variant": "Optional's handle",
    "resource": "resource",
    "sparse_tensor": "sparse",
    "slices": "slices",
    "slices_without_shape": "slices without shape",
    "optional": "Optional",
    "optional_without_value": "empty Optional",
    "optional_of_several": "Optional of two",
}
"""snapshot -> case"""


def explain(case: Case) -> str:
    def look(x: Any) -> str:
        try:
            x.numpy()
        except safe_numpy.ConversionError as error:
            return move(error, "train.py")
        raise AssertionError(f"{case} converts")

    text: str = case.visit(look)
    return steady(text)


@pytest.mark.parametrize("name", SHOWN)
def test_snapshot(name: str) -> None:
    assert_snapshot(name, explain(CASES[SHOWN[name]]))


def ask(x: Any) -> Any:
    return x.numpy()


def make_array(x: Any) -> Any:
    return np.asarray(x)


SILENT = {
    "tape": (lambda: tf.Variable([1.0, 2.0]), ask),
    "ragged": (lambda: tf.ragged.constant([[1], [2, 3]]), make_array),
}
"""snapshot -> the tensor and the line, in strict mode"""


@pytest.mark.parametrize("name", SILENT)
def test_snapshot_in_strict_mode(name: str) -> None:
    make, line = SILENT[name]
    x = make()
    with tf.GradientTape(), safe_numpy.mode("strict"), pytest.raises(safe_numpy.SilentError) as caught:
        line(x)
    assert_snapshot(name, steady(move(caught.value, "train.py")))
