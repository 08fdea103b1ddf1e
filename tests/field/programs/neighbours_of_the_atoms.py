# https://github.com/tensorflow/tensorflow/issues/27491
# causes: symbolic
# tensor: positions
# repair: elsewhere
# advice: tf.py_function | set_shape

import numpy as np
import tensorflow as tf
from scipy.spatial import cKDTree

CUTOFF = 1.2


def neighborlist(positions):
    """the pairs of atoms that lie close to each other: SciPy's tree is faster than all distances"""
    tree = cKDTree(positions.numpy())
    pairs = tree.query_pairs(CUTOFF, output_type="ndarray")
    return np.sort(pairs, axis=0).astype(np.int32)


class Cluster(tf.Module):
    def __init__(self, positions):
        super().__init__()
        self.positions = tf.Variable(positions)

    @tf.function
    def energy(self):
        pairs = neighborlist(self.positions)
        i, j = pairs[:, 0], pairs[:, 1]
        r2 = tf.reduce_sum((tf.gather(self.positions, i) - tf.gather(self.positions, j)) ** 2, axis=1)
        return tf.reduce_sum(1.0 / r2**2 - 2.0 / r2)

    @tf.function
    def relax(self, rate=0.02):
        with tf.GradientTape() as tape:
            energy = self.energy()
        self.positions.assign_sub(rate * tf.convert_to_tensor(tape.gradient(energy, self.positions)))
        return energy


grid = np.stack(np.meshgrid([0.0, 0.9], [0.0, 1.0], [0.0, 1.1]), axis=-1).reshape(-1, 3)
cluster = Cluster(grid.astype(np.float32))
energies = [float(cluster.relax()) for step in range(8)]
print(np.round(energies[::3], 3), np.round(cluster.positions.numpy().std(axis=0), 3))
