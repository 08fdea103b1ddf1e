# https://github.com/tensorflow/tensorflow/issues/108076
# causes: why
# tensor: seq_len | tf.shape(inputs)[1]
# repair: elsewhere
# advice: inputs.shape[1]

import numpy as np
import tensorflow as tf

tf.keras.utils.set_random_seed(0)


class LSTMCell(tf.keras.layers.Layer):
    def __init__(self, units):
        super().__init__()
        self.units = units
        self.gates = tf.keras.layers.Dense(3 * units, activation="sigmoid")
        self.candidate = tf.keras.layers.Dense(units, activation="tanh")

    def call(self, inputs, h, c):
        combined = tf.concat([inputs, h], axis=-1)
        i, f, o = tf.split(self.gates(combined), 3, axis=-1)
        c = f * c + i * self.candidate(combined)
        return o * tf.tanh(c), c


class Encoder(tf.keras.Model):
    def __init__(self, units=3):
        super().__init__()
        self.cell = LSTMCell(units)

    def call(self, inputs):
        batch_size, seq_len = tf.shape(inputs)[0], tf.shape(inputs)[1]
        h = c = tf.zeros((batch_size, self.cell.units))
        outputs = []
        for t in range(seq_len):
            h, c = self.cell(inputs[:, t], h, c)
            outputs.append(h)
        return tf.stack(outputs, axis=1)


encoder = Encoder()
compiled = tf.function(encoder, jit_compile=True)
outputs = compiled(tf.reshape(tf.range(24, dtype=tf.float32) / 24, (2, 6, 2)))
print(outputs.shape, np.round(outputs[:, -1], 4))
