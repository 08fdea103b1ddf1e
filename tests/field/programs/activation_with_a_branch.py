# https://github.com/tensorflow/tensorflow/issues/29823
# causes: why
# tensor: x > 0 | x > 0.0 | x
# repair: elsewhere
# advice: tf.where

import numpy as np
import tensorflow as tf

tf.keras.utils.set_random_seed(7)


def soft_exponential(x, alpha=0.4):
    """grows like the exponential above zero, and like the logarithm below it"""
    if x > 0:
        return (tf.exp(alpha * x) - 1.0) / alpha
    return -tf.math.log(1.0 - alpha * x) / alpha


def build_model(hidden=(4, 3)):
    model = tf.keras.Sequential([tf.keras.Input((2,))])
    for units in hidden:
        model.add(tf.keras.layers.Dense(units, activation=soft_exponential))
    model.add(tf.keras.layers.Dense(1))
    model.compile(optimizer=tf.keras.optimizers.SGD(0.05), loss="mae")
    return model


x = np.stack(np.meshgrid(np.linspace(-1, 1, 4), np.linspace(-1, 1, 4)), axis=-1).reshape(-1, 2).astype("float32")
y = np.exp(x[:, 0]) - x[:, 1]
model = build_model()
history = model.fit(x, y, batch_size=8, epochs=4, shuffle=False, verbose=0).history
print(np.round(history["loss"], 4))
print(np.round(model.predict(x[:3], verbose=0).ravel(), 4))
