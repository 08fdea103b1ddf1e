# https://github.com/lululxvi/deepxde/issues/97

import numpy as np
import tensorflow as tf
from tensorflow import keras

keras.utils.set_random_seed(1)

# piecewise constant decay rate, one value per unit interval
C = np.array([0.5, 1.0, 0.25, 2.0], dtype=np.float32)

net = keras.Sequential(
    [
        keras.Input((1,)),
        keras.layers.Dense(8, activation="tanh"),
        keras.layers.Dense(1),
    ]
)
opt = keras.optimizers.SGD(0.01)


def ode_residual(x, y, dy_dx):
    cell = tf.cast(tf.math.floor(x), tf.int32)
    return dy_dx + tf.gather(C, cell) * y


@tf.function
def train(x):
    with tf.GradientTape() as outer:
        with tf.GradientTape() as inner:
            inner.watch(x)
            y = net(x)
        dy_dx = inner.gradient(y, x)
        loss = tf.reduce_mean(ode_residual(x, y, dy_dx) ** 2)
        loss += tf.reduce_mean((net(tf.zeros((1, 1))) - 1.0) ** 2)
    opt.apply_gradients(zip(outer.gradient(loss, net.trainable_variables), net.trainable_variables))
    return loss


x = tf.reshape(tf.linspace(0.0, 3.9, 24), (-1, 1))
history = [float(train(x)) for _ in range(30)]
print(round(history[0], 4), round(history[-1], 4))
print([round(float(tf.reduce_sum(tf.abs(v))), 4) for v in net.trainable_variables])
