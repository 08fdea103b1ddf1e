# https://github.com/tensorflow/tensorflow/issues/29972

import io

import numpy as np
import tensorflow as tf

STORE = {}
for k in range(3):
    buffer = io.BytesIO()
    np.save(buffer, np.full(6, k + 0.5, dtype=np.float32))
    STORE[f"sensor_{k}.npy"] = buffer.getvalue()


def load(series_file, label):
    """numpy files cannot be read with tf.io, so this runs as a py_function"""
    raw = STORE[series_file.numpy().decode("utf-8")]
    series = np.load(io.BytesIO(raw))
    return tf.convert_to_tensor(series, tf.float32), tf.cast(label, tf.int32)


def set_shapes(series, label):
    series.set_shape([6])
    label.set_shape([])
    return series, label


train_dataset = (
    tf.data.Dataset.from_tensor_slices((list(STORE), [1, 0, 1]))
    .map(lambda f, l: tf.py_function(load, [f, l], [tf.float32, tf.int32]))
    .map(set_shapes)
    .batch(3)
)
for series, label in train_dataset:
    print(series.shape, series.numpy().mean(axis=1), label.numpy())
