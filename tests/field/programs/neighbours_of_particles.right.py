# https://github.com/tensorflow/tensorflow/issues/27491

import numpy as np
import tensorflow as tf
from scipy.spatial import cKDTree

tf.keras.utils.set_random_seed(5)
CUTOFF = 0.6


def neighborlist(r):
    """pairs of particles that are close to each other; no gradient is wanted of it"""
    tree = cKDTree(r.numpy())
    pairs = tree.query_pairs(CUTOFF, output_type="ndarray")
    pairs = pairs[np.lexsort(pairs.T)]
    return pairs[:, 0], pairs[:, 1]


class PairEnergy(tf.keras.Model):
    def __init__(self):
        super().__init__()
        self.strength = self.add_weight(name="strength", shape=(), initializer="ones")

    def call(self, r):
        i, j = tf.py_function(neighborlist, [r], [tf.int64, tf.int64])
        i.set_shape([None])
        j.set_shape([None])
        distance = tf.norm(tf.gather(r, i) - tf.gather(r, j), axis=-1)
        return self.strength * tf.reduce_sum((CUTOFF - distance) ** 2)


model = PairEnergy()


@tf.function
def forces(positions):
    with tf.GradientTape() as tape:
        energy = model(positions)
    return energy, -tf.convert_to_tensor(tape.gradient(energy, positions))


positions = tf.Variable(np.random.default_rng(2).random((7, 3)).astype("float32"))
for _ in range(3):
    energy, force = forces(positions)
    print(round(float(energy), 4), force.shape, round(float(tf.norm(force)), 3))
    positions.assign_add(0.1 * force)
