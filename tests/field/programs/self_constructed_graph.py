# https://github.com/danielegrattarola/spektral/issues/246
# causes: symbolic
# tensor: a
# repair: line

import numpy as np
import tensorflow as tf
from tensorflow.keras import layers

tf.keras.utils.set_random_seed(9)


def gcn_filter(a):
    """the normalized adjacency with loops, D^-1/2 (A + I) D^-1/2, written for arrays"""
    a = a + np.eye(a.shape[-1], dtype="float32")
    degrees = np.sum(a, axis=-1)
    scale = np.power(degrees, -0.5)
    return scale[:, :, None] * a * scale[:, None, :]


class Decoder(tf.keras.Model):
    def __init__(self, channels):
        super().__init__()
        self.relu = layers.ReLU()
        self.mix = layers.Dense(channels, use_bias=False)
        self.out = layers.Dense(1)

    def call(self, inputs):
        x, z = inputs
        a = self.relu(tf.matmul(z, z, transpose_b=True))
        a = gcn_filter(a)
        h = tf.nn.relu(tf.matmul(a, self.mix(x)))
        return self.out(tf.reduce_mean(h, axis=1))


rng = np.random.default_rng(3)
x = rng.normal(size=(10, 5, 4)).astype("float32")
z = rng.normal(size=(10, 5, 2)).astype("float32")
decoder = Decoder(6)
decoder.compile(optimizer=tf.keras.optimizers.Adam(0.02), loss="mse")
log = decoder.fit((x, z), x.sum(axis=(1, 2)), batch_size=5, epochs=3, shuffle=False, verbose=0).history
print(np.round(log["loss"], 3))
print(np.round(decoder.predict((x[:3], z[:3]), verbose=0).ravel(), 3))
