# https://github.com/tensorflow/tensorflow/issues/34787
# causes: symbolic
# tensor: layer.output
# repair: elsewhere
# advice: keras.Model(model.inputs,

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

activations = {}
for layer in model.layers:
    value = layer.output.numpy()
    activations[layer.name] = value

for name, act in activations.items():
    print(name, act.shape, np.round(act.mean(), 4))
