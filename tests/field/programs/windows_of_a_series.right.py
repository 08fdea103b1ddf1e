# https://github.com/tensorflow/tensorflow/issues/53280

import numpy as np
import tensorflow as tf

series = np.sin(np.arange(12) / 2).round(3)
labels = np.arange(12) % 3

train_dataset = tf.data.Dataset.from_tensor_slices((series, labels))
win_train_dataset = train_dataset.window(4, shift=3, drop_remainder=True)

rows = []
for window in win_train_dataset:
    rows.append([np.array(list(item.as_numpy_iterator())) for item in window])

values = np.stack([values for values, _ in rows])
print(values.shape, values.mean(axis=1).round(4))
print([tags.tolist() for _, tags in rows])
