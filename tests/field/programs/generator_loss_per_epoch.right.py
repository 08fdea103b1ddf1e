# https://github.com/tensorflow/tensorflow/issues/44186

import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf

tf.keras.utils.set_random_seed(3)
EPOCHS = 6
generator = tf.keras.Sequential([tf.keras.Input((4,)), tf.keras.layers.Dense(3, activation="tanh")])
discriminator = tf.keras.Sequential([tf.keras.Input((3,)), tf.keras.layers.Dense(1)])
gen_optimizer, discr_optimizer = tf.keras.optimizers.SGD(0.1), tf.keras.optimizers.SGD(0.1)
bce = tf.keras.losses.BinaryCrossentropy(from_logits=True)
gen_loss_epoch = np.linspace(0, 0, EPOCHS)


@tf.function
def train_step(input_image, target):
    with tf.GradientTape() as gen_tape, tf.GradientTape() as discr_tape:
        output_image = generator(input_image, training=True)
        of_fake = discriminator(output_image, training=True)
        of_real = discriminator(target, training=True)
        discr_loss = bce(tf.ones_like(of_real), of_real) + bce(tf.zeros_like(of_fake), of_fake)
        gen_loss = bce(tf.ones_like(of_fake), of_fake) + tf.reduce_mean(tf.abs(target - output_image))
    weights = generator.trainable_variables
    gen_optimizer.apply_gradients(zip(gen_tape.gradient(gen_loss, weights), weights))
    weights = discriminator.trainable_variables
    discr_optimizer.apply_gradients(zip(discr_tape.gradient(discr_loss, weights), weights))
    return gen_loss


x = np.random.normal(size=(16, 4)).astype("float32")
y = np.tanh(x[:, :3] - x[:, 1:])
for epoch in range(EPOCHS):
    gen_loss_epoch[epoch] = train_step(x, y)
(curve,) = plt.plot(gen_loss_epoch)
print(np.round(curve.get_ydata(), 4))
