# https://github.com/hhk7734/tensorflow-yolov4/issues/71
# causes: why
# tensor: c
# repair: line

from typing import List

import numpy as np
import tensorflow as tf


class TinyYolo:
    def __init__(self):
        tf.keras.utils.set_random_seed(9)
        inputs = tf.keras.Input((8, 8, 3))
        coarse = tf.keras.layers.Conv2D(4, 4, strides=4)(inputs)
        fine = tf.keras.layers.Conv2D(4, 2, strides=2)(inputs)
        self._model = tf.keras.Model(
            inputs,
            (
                (coarse, tf.keras.layers.Activation("sigmoid")(coarse)),
                (fine, tf.keras.layers.Activation("sigmoid")(fine)),
            ),
        )

    def predict(self, frame: np.ndarray) -> List[np.ndarray]:
        image_data = frame[np.newaxis, ...].astype(np.float32) / 255.0
        candidates = self._model(image_data, training=False)
        # (logits, probabilities) for every scale; only probabilities are wanted
        candidates = [c.numpy().astype(np.float16, copy=False) for c in candidates]
        return candidates


frame = np.arange(8 * 8 * 3, dtype=np.uint8).reshape(8, 8, 3)
for c in TinyYolo().predict(frame):
    print(c.shape, c.dtype, np.round(c.mean(dtype=np.float64), 3))
