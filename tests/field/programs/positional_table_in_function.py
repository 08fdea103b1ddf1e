# https://github.com/tensorflow/tensorflow/issues/40537
# causes: symbolic
# tensor: n_steps
# repair: line

import numpy as np
import tensorflow as tf


class Sampler(tf.Module):
    """Radial k-space lines, `golden` is a plain numpy hyper-parameter."""

    def __init__(self, golden=np.deg2rad(111.25)):
        super().__init__()
        self.golden = golden
        self.scale = tf.Variable(1.0)

    @tf.function(input_signature=[tf.TensorSpec([], tf.int32)])
    def angles(self, n_steps):
        spokes = np.arange(n_steps)
        theta = self.golden * tf.cast(spokes, tf.float32)
        return self.scale * tf.stack([tf.cos(theta), tf.sin(theta)], axis=-1)


sampler = Sampler()
for n in (2, 5):
    pts = sampler.angles(tf.constant(n))
    print(pts.shape, np.round(pts.numpy().sum(axis=0), 4))
