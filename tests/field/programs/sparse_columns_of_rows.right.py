# https://github.com/tensorflow/tensorflow/issues/50978

import numpy as np
import tensorflow as tf

indices = np.array([[0, 0], [2, 3], [2, 4], [3, 0]])
values = np.array([1.0, 5.0, -1.0, -2.0], np.float32)
system = tf.sparse.SparseTensor(indices, values, dense_shape=[4, 5])


def dense_to_sparse_column(tensor):
    col = tensor.shape.as_list()[0]
    xi, yi = np.meshgrid(np.arange(col), np.zeros(1))
    places = np.vstack([xi.ravel(), yi.ravel()]).T.astype(np.int64)
    column = tf.sparse.SparseTensor(
        indices=places,
        values=tensor,
        dense_shape=[col, 1],
    )
    return tf.sparse.reorder(column)


def apply_system(row, target):
    column = dense_to_sparse_column(row)
    product = tf.sparse.sparse_dense_matmul(system, tf.sparse.to_dense(column))
    return product[:, 0], target


rows = np.arange(15, dtype=np.float32).reshape(3, 5) / 4
train = tf.data.Dataset.from_tensor_slices((rows, np.array([1.0, 0.0, 2.0], np.float32)))
for product, target in train.map(apply_system).batch(3):
    print(product.numpy().round(3).tolist(), target.numpy().tolist())
