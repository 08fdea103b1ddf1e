# https://github.com/tensorflow/tensorflow/issues/37177
# causes: symbolic
# tensor: tf.sqrt(var_hat + 1e-6) - tf.sqrt(var + 1e-6)
# repair: line

import numpy as np
import tensorflow as tf
from tensorflow.keras import layers

tf.keras.utils.set_random_seed(3)


class TimeGan:
    """only the two networks that the generator's loss needs"""

    def __init__(self, seq_len, dim, z_dim):
        self.generator = tf.keras.Sequential(
            [layers.Input((seq_len, z_dim)), layers.Conv1D(6, 3, padding="same"), layers.Dense(dim, "sigmoid")]
        )
        self.discriminator = tf.keras.Sequential([layers.Input((seq_len, dim)), layers.Flatten(), layers.Dense(1)])
        self.optimizer = tf.keras.optimizers.Adam(0.02)

    def generator_losses(self, x, x_hat):
        y_fake = self.discriminator(x_hat)
        fooled = tf.nn.sigmoid_cross_entropy_with_logits(labels=tf.ones_like(y_fake), logits=y_fake)
        mean_hat, var_hat = tf.nn.moments(x_hat, [0])
        mean, var = tf.nn.moments(x, [0])
        loss_v1 = tf.reduce_mean(np.abs(tf.sqrt(var_hat + 1e-6) - tf.sqrt(var + 1e-6)))
        loss_v2 = tf.reduce_mean(np.abs(mean_hat - mean))
        return tf.reduce_mean(fooled), loss_v1 + loss_v2

    @tf.function
    def train_generator(self, x, z):
        with tf.GradientTape() as tape:
            fooled, moments = self.generator_losses(x, self.generator(z))
            total = fooled + 100 * moments
        weights = self.generator.trainable_variables
        self.optimizer.apply_gradients(zip(tape.gradient(total, weights), weights))
        return total


rng = np.random.default_rng(0)
data = tf.constant(rng.random((16, 6, 2)), tf.float32)
gan = TimeGan(seq_len=6, dim=2, z_dim=3)
for epoch in range(3):
    noise = tf.constant(rng.normal(size=(16, 6, 3)), tf.float32)
    print(epoch, round(float(gan.train_generator(data, noise)), 3))
