# https://github.com/tensorflow/tensorflow/issues/34787

import numpy as np
import tensorflow as tf
from tensorflow.keras import layers

tf.keras.utils.set_random_seed(0)

model = tf.keras.Sequential(
    [
        layers.Input((6, 6, 1)),
        layers.Conv2D(2, 3, activation="relu", name="conv"),
        layers.Flatten(name="flat"),
        layers.Dense(3, activation="softmax", name="probs"),
    ]
)
image = tf.reshape(tf.range(36, dtype=tf.float32) / 36.0, (1, 6, 6, 1))
model(image)

probe = tf.keras.Model(model.inputs, [layer.output for layer in model.layers])
activations = {}
for layer, value in zip(model.layers, probe(image)):
    activations[layer.name] = value.numpy()

for name, act in activations.items():
    print(name, act.shape, np.round(act.mean(), 4))
