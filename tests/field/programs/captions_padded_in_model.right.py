# https://github.com/tensorflow/tensorflow/issues/25731

import numpy as np
import tensorflow as tf

tf.keras.utils.set_random_seed(0)


class TextNet(tf.keras.Model):
    """x: word ids, padded with -1; padded positions must not count in the mean"""

    def __init__(self, vocab=12, dim=4):
        super().__init__()
        self.emb = tf.keras.layers.Embedding(vocab, dim)
        self.out = tf.keras.layers.Dense(1)

    def call(self, x):
        lens = tf.reduce_sum(tf.cast(x >= 0, tf.int32), axis=1)
        padded = tf.sequence_mask(lens, tf.reduce_max(lens), dtype=tf.float32)[..., None]
        e = self.emb(tf.maximum(x, 0))[:, : tf.reduce_max(lens)] * padded
        return self.out(tf.reduce_sum(e, axis=1) / tf.cast(lens, tf.float32)[:, None])


x = np.full((6, 5), -1)
for row, n in enumerate([2, 3, 1, 4, 4, 2]):
    x[row, :n] = (np.arange(n) * 3 + row) % 12
net = TextNet()
net.compile(tf.keras.optimizers.SGD(0.1), "mse")
loss = net.fit(x, np.linspace(-1, 1, 6), batch_size=3, epochs=3, shuffle=False, verbose=0).history["loss"]
print(np.round(loss, 4))
print(np.round(net.emb.get_weights()[0].sum(axis=1)[:6], 4))
