# https://github.com/tensorflow/tensorflow/issues/53586
# causes: why
# tensor: pos
# repair: line
# advice: tf.constant

import numpy as np
import tensorflow as tf

hours = np.arange(0.0, 8.0).tolist()
rain = np.array([0.0, 2.5, 4.0, 1.0, 0.0, 0.5, 3.0, 0.2], dtype=np.float32)


class Reservoir(tf.Module):
    """dS/dt = P(t) - k S, where P is piecewise constant, as the gauge has measured it"""

    def __init__(self, k):
        super().__init__()
        self.k = tf.Variable(k)

    def rainfall(self, t):
        pos = tf.raw_ops.Bucketize(input=t, boundaries=hours)
        precip_t = rain[pos - 1 : pos]
        return precip_t[0]

    @tf.function
    def discharge(self, t, dt, n_steps):
        storage, total = tf.constant(1.0), tf.constant(0.0)
        for _ in tf.range(n_steps):
            storage += dt * (self.rainfall(t) - self.k * storage)
            total += dt * self.k * storage
            t += dt
        return total


reservoir = Reservoir(0.3)
with tf.GradientTape() as tape:
    total = reservoir.discharge(tf.constant(0.25), tf.constant(0.5), tf.constant(12))
print(round(float(total), 4), round(float(tape.gradient(total, reservoir.k)), 4))
