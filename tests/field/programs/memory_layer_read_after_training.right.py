# https://github.com/keras-team/keras/issues/16107

import numpy as np
import tensorflow as tf

tf.keras.utils.set_random_seed(2)


def cosine_similarity(query, memory):
    return tf.matmul(tf.nn.l2_normalize(query, axis=1), tf.nn.l2_normalize(memory, axis=1), transpose_b=True)


class MemoryLayer(tf.keras.layers.Layer):
    """slots that lean a little towards each batch they see"""

    def __init__(self, n_clusters=4, key_dims=3, rate=0.2):
        super().__init__()
        self.n_clusters, self.rate = n_clusters, rate
        self.controller = tf.keras.layers.Dense(key_dims, activation="tanh")
        self.key_memory = self.add_weight(shape=(n_clusters, key_dims), trainable=False)
        self.key_memory.assign(tf.random.stateless_normal((n_clusters, key_dims), seed=(3, 4)))

    def call(self, inputs, training=False):
        query = self.controller(inputs)
        attention = tf.nn.softmax(cosine_similarity(query, self.key_memory))
        if training:
            written = tf.matmul(attention, query, transpose_a=True)
            self.key_memory.assign((1 - self.rate) * self.key_memory + self.rate * written)
        return attention

    def read(self, inputs):
        """the slot next to each of the inputs"""
        return tf.argmax(cosine_similarity(self.controller(inputs), self.key_memory), axis=1)


memory = MemoryLayer()
model = tf.keras.Sequential([tf.keras.Input((5,)), memory, tf.keras.layers.Dense(1)])
model.compile(tf.keras.optimizers.SGD(0.1), "mse")
x = np.random.normal(size=(24, 5)).astype("float32")
history = model.fit(x, x[:, :1], batch_size=8, epochs=2, shuffle=False, verbose=0).history
slots = memory.read(x)
print(np.round(history["loss"], 4), np.bincount(slots, minlength=4))
