# https://github.com/tensorflow/tensorflow/issues/30190
# causes: why
# tensor: g | grads
# repair: elsewhere
# advice: tf.reduce_mean

import numpy as np
import tensorflow as tf

tf.keras.utils.set_random_seed(0)
model = tf.keras.Sequential(
    [
        tf.keras.Input((4,)),
        tf.keras.layers.Dense(5, activation=tf.nn.relu),
        tf.keras.layers.Dense(3),
    ]
)
loss_object = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def spread(losses):
    """how far the losses of the samples lie from each other"""
    return np.std(losses) + np.mean(losses)


def loss(model, x, y):
    y_ = model(x)  # (batch, 3)
    losses = []
    for i in range(y.shape[0]):
        losses.append(float(loss_object(y[i : i + 1], y_[i : i + 1])))
    return tf.convert_to_tensor(spread(losses), dtype=tf.float32)


def grad(model, inputs, targets):
    with tf.GradientTape() as tape:
        loss_value = loss(model, inputs, targets)
    return loss_value, tape.gradient(loss_value, model.trainable_variables)


features = tf.random.stateless_normal((8, 4), seed=(1, 2))
labels = tf.constant([0, 1, 2, 0, 1, 2, 0, 1])
loss_value, grads = grad(model, features, labels)
print("loss", round(float(loss_value), 4))
print("norms", [round(float(np.linalg.norm(g.numpy())), 4) for g in grads])
