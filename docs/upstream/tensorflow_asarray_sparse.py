"""TensorFlow 2.21.0, NumPy 2.4.6: np.asarray(x) is a 0-d array of one object, where x is a SparseTensor."""

import sys

import numpy as np
import tensorflow as tf

array = np.asarray(tf.sparse.from_dense([0.0, 1.0]))
print(f"TensorFlow {tf.__version__}, NumPy {np.__version__}: dtype {array.dtype}, shape {array.shape}")
sys.exit(array.dtype == object)
