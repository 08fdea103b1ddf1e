"""The digits in Keras, with the mistakes that people make in TensorFlow: each is explained, and mended.

python examples/digits_tensorflow.py
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import safe_numpy

try:
    import keras
    import tensorflow as tf
except ImportError:
    print("TensorFlow is not installed: its part of the demo is left out.")
    sys.exit(0)

import numpy as np
from digits import attempt
from sklearn.datasets import load_digits


def count_hits(y: Any, p: Any) -> Any:
    """The mistake: under fit these tensors are symbolic."""
    return np.mean(y.numpy().ravel() == p.numpy().argmax(1))


def count_hits_in_tf(y: Any, p: Any) -> Any:
    """The way out that the explanation names: TF operations."""
    hits = tf.equal(tf.cast(tf.reshape(y, [-1]), tf.int64), tf.argmax(p, 1))
    return tf.reduce_mean(tf.cast(hits, tf.float32))


def train(metric: Callable[[Any, Any], Any], images: Any, labels: Any) -> float:
    keras.utils.set_random_seed(0)
    layers = [keras.Input((64,)), keras.layers.Dense(64, activation="relu"), keras.layers.Dense(10, "softmax")]
    model = keras.Sequential(layers)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=[metric])
    return float(model.fit(images, labels, epochs=8, verbose=0).history[metric.__name__][-1])


def scale(image: Any) -> Any:
    return image.numpy() / 16


def main() -> int:
    digits = load_digits()
    images, labels = digits.data.astype(np.float32), digits.target
    dataset = tf.data.Dataset.from_tensor_slices(images)

    attempt("4. Dataset.map is given a function that calls numpy()", lambda: list(dataset.map(scale)))
    scaled = dataset.map(lambda x: tf.py_function(scale, [x], tf.float32))
    images = np.stack([x.numpy() for x in scaled])

    attempt("5. Keras is given a metric that calls numpy()", lambda: train(count_hits, images, labels))
    accuracy = train(count_hits_in_tf, images, labels)

    sparse = tf.sparse.from_dense(images[0].reshape(8, 8))
    dense = attempt("6. a SparseTensor is asked for its array", lambda: sparse.numpy())
    print(f"\nKeras accuracy {accuracy:.3f}" + ("" if dense is None else f"   sparse image of {dense.sum():.2f}"))
    return 0 if accuracy > 0.8 or safe_numpy.get_mode() is safe_numpy.Mode.OFF else 1


if __name__ == "__main__":
    sys.exit(main())
