# https://github.com/tensorflow/tensorflow/issues/39817
# causes: symbolic
# tensor: shared
# repair: line

import numpy as np
import tensorflow as tf

tf.keras.utils.set_random_seed(0)
K_BEST = 3


def top_overlap(y_true, y_pred):
    """share of the K_BEST largest entries that both rankings have in common"""
    best_pred = tf.argsort(y_pred, axis=-1, direction="DESCENDING")[:, :K_BEST]
    best_true = tf.argsort(y_true, axis=-1, direction="DESCENDING")[:, :K_BEST]
    common = tf.sets.intersection(best_pred, best_true)
    shared = tf.reshape(tf.cast(tf.sets.size(common), tf.float32), (-1,))
    return shared.numpy() / K_BEST


x = np.random.rand(40, 5).astype("float32")
y = x @ np.random.rand(5, 8).astype("float32")

inputs = tf.keras.Input((5,))
outputs = tf.keras.layers.Dense(8, activation="softmax")(inputs)
ranker = tf.keras.Model(inputs, outputs)
ranker.compile(tf.keras.optimizers.Adam(0.05), loss="mse", metrics=[top_overlap])
log = ranker.fit(x, y, epochs=4, batch_size=20, shuffle=False, verbose=0).history
print(sorted(log), [round(v, 4) for v in log["top_overlap"]])
