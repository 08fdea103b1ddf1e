# https://github.com/bentoml/BentoML/issues/3806
# causes: why
# tensor: res
# repair: line

import numpy as np
import tensorflow as tf
from tensorflow.keras import layers

tf.keras.utils.set_random_seed(1)


def pyramid(size=16):
    inputs = layers.Input((size, size, 1))
    p3 = layers.Conv2D(2, 2, strides=2, name="p3")(inputs)
    p4 = layers.Conv2D(2, 2, strides=2, name="p4")(p3)
    p5 = layers.Conv2D(2, 2, strides=2, name="p5")(p4)
    return tf.keras.Model(inputs, [p5, p4, p3])


class Runnable:
    def __init__(self, model):
        self.model = model

    def run(self, *args):
        params = [tf.convert_to_tensor(a, tf.float32) for a in args]
        with tf.device("/CPU:0"):
            res = self.model(*params)
        return res.numpy()


images_arr = np.linspace(0, 1, 256).reshape(1, 16, 16, 1)
boxes, scores, labels = Runnable(pyramid()).run(images_arr)
for part in (boxes, scores, labels):
    print(type(part).__name__, part.shape, np.round(part.mean(), 4))
