# https://github.com/tensorflow/tensorflow/issues/28779
# causes: symbolic
# tensor: h
# repair: line

import numpy as np
import tensorflow as tf

tf.keras.utils.set_random_seed(4)


class Watched(tf.keras.layers.Layer):
    def __init__(self, units, **kw):
        super().__init__(**kw)
        self.units = units
        self.means = []

    def build(self, shape):
        self.w = self.add_weight(shape=(shape[-1], self.units), initializer="glorot_uniform")

    def call(self, x):
        h = tf.nn.relu(x @ self.w)
        self.means.append(float(h.numpy().mean()))
        return h


watched = Watched(3)
model_obj = tf.keras.Sequential([tf.keras.Input(shape=(5,))])
model_obj.add(watched)
model_obj.add(tf.keras.layers.Dense(1))
model_obj.compile(tf.keras.optimizers.SGD(0.1), "mse")
x = np.random.rand(8, 5).astype("float32")
model_obj.fit(x, x.sum(axis=1), batch_size=4, epochs=2, shuffle=False, verbose=0)
print(np.round(watched.means, 4))
print(np.round(watched.w.numpy().sum(), 4))
