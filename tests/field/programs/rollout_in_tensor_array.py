# https://github.com/tensorflow/tensorflow/issues/34683
# causes: why
# tensor: states
# repair: elsewhere
# advice: .stack()

import matplotlib.pyplot as plt
import tensorflow as tf

A = tf.constant([[0.9, 0.2], [-0.2, 0.9]])


@tf.function
def rollout(x0, steps):
    states = tf.TensorArray(tf.float32, size=steps, element_shape=(2,))
    x = x0
    for t in tf.range(steps):
        states = states.write(t, x)
        x = tf.linalg.matvec(A, x)
    return states


states = rollout(tf.constant([1.0, 0.0]), tf.constant(12))
trajectory = states.stack().numpy()

fig, ax = plt.subplots()
(line,) = ax.plot(trajectory[:, 0], trajectory[:, 1], marker="o")
print(line.get_xdata().round(3)[:4], line.get_ydata().round(3)[-2:], trajectory.shape)
