# https://github.com/kidzik/event-detector/issues/3

import numpy as np
import tensorflow as tf
from tensorflow.keras import layers

tf.keras.utils.set_random_seed(8)


def weighted_crossentropy(event_weight):
    """Frames with an event are rare and count event_weight times; the first frame is not judged."""

    def loss(y_true, y_pred):
        y_true, y_pred = y_true[:, 1:, 0], y_pred[:, 1:, 0]
        entropy = tf.keras.losses.binary_crossentropy(y_true[..., None], y_pred[..., None])
        weighted = tf.multiply(entropy, 1.0 + (event_weight - 1.0) * y_true)
        return tf.reduce_sum(weighted, axis=-1)

    return loss


def construct_model(frames, features):
    model = tf.keras.Sequential()
    model.add(layers.Input((frames, features)))
    model.add(layers.Conv1D(4, 3, padding="same", activation="tanh"))
    model.add(layers.TimeDistributed(layers.Dense(1, activation="sigmoid")))
    model.compile(loss=weighted_crossentropy(5.0), optimizer=tf.keras.optimizers.SGD(0.05))
    return model


x = np.random.normal(size=(12, 9, 3)).astype("float32")
y = (np.abs(x).sum(axis=-1, keepdims=True) > 3.5).astype("float32")
detector = construct_model(9, 3)
history = detector.fit(x, y, batch_size=4, epochs=3, shuffle=False, verbose=0).history
print([round(v, 3) for v in history["loss"]])
print(np.round(detector.predict(x[:2], verbose=0)[:, 4, 0], 3))
