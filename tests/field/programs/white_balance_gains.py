# https://github.com/msxiaojin/MDLCC/pull/2
# causes: symbolic
# tensor: image
# repair: line

import numpy as np
from tensorflow import keras
from tensorflow.keras import layers

keras.utils.set_random_seed(1)


def estimate_light(image, width=4):
    x = layers.Conv2D(width, 3, activation="relu", name="features")(image)
    x = layers.GlobalAveragePooling2D()(x)
    return layers.Dense(3, activation="softplus", name="light")(x)


def correct(image, light):
    """divide the light out, channel by channel"""
    gains = layers.Reshape((1, 1, 3))(1.0 / (light + 1e-3))
    balanced = np.multiply(image, gains)
    return np.clip(balanced, 0.0, 1.0)


def build_awb(size):
    image = keras.Input((size, size, 3), name="raw")
    light = estimate_light(image)
    return keras.Model(image, [light, correct(image, light)])


awb = build_awb(8)
photos = np.random.rand(3, 8, 8, 3).astype("float32") * [0.9, 0.5, 0.3]
light, balanced = awb.predict(photos, verbose=0)
print(np.round(light.mean(axis=0), 3))
print(balanced.shape, np.round(balanced.mean(axis=(1, 2)), 3).ravel())
