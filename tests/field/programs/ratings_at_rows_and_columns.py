# https://github.com/tensorflow/tensorflow/issues/418
# causes: why
# tensor: matrix
# repair: line
# advice: tf.gather_nd

import numpy as np
import tensorflow as tf

tf.keras.utils.set_random_seed(5)
N_USERS, N_FILMS, RANK = 6, 5, 2
row_indices = np.array([0, 0, 1, 2, 3, 3, 4, 5, 5])
col_indices = np.array([1, 3, 0, 2, 4, 1, 0, 3, 2])
ratings = np.array([4, 1, 5, 2, 3, 4, 5, 1, 2], dtype=np.float32)


class Factors(tf.Module):
    def __init__(self):
        super().__init__()
        self.users = tf.Variable(tf.random.normal((N_USERS, RANK), stddev=0.5))
        self.films = tf.Variable(tf.random.normal((N_FILMS, RANK), stddev=0.5))

    def __call__(self):
        return 3.0 + self.users @ tf.transpose(self.films)


def observed(matrix):
    """the entries that somebody has rated"""
    return matrix[row_indices, col_indices]


model, optimizer = Factors(), tf.keras.optimizers.SGD(0.05)
for step in range(40):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean((observed(model()) - ratings) ** 2)
    grads = tape.gradient(loss, model.trainable_variables)
    optimizer.apply_gradients(zip(grads, model.trainable_variables))
print(round(float(loss), 4), np.round(observed(model()), 2))
