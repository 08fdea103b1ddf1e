# https://github.com/tensorflow/tensorflow/issues/73835

import numpy as np
import tensorflow as tf
from tensorflow.keras.layers import Dense
from tensorflow.keras.models import Model

tf.keras.utils.set_random_seed(10)


def calc_accuracy(y_true, y_pred):
    hits = np.equal(y_true, np.round(y_pred[:, 0]))
    return hits.astype(np.float32)


class Accuracy(tf.keras.layers.Layer):
    def call(self, y_true, y_pred):
        hits = tf.numpy_function(func=calc_accuracy, inp=[y_true, y_pred], Tout=tf.float32)
        hits.set_shape(y_true.shape)
        return hits


def build_model(width):
    """labels are an input, so that the model can tell by row whether it was right"""
    x = tf.keras.Input(shape=(width,), name="x")
    y = tf.keras.Input(shape=(), name="y")
    hidden = Dense(8, activation="relu")(x)
    outputs = Dense(1, activation="sigmoid")(hidden)
    accuracy = Accuracy()(y, outputs)
    return Model(inputs=[x, y], outputs=[outputs, accuracy])


features = np.random.normal(size=(12, 5)).astype("float32")
labels = (features[:, 0] > 0).astype("float32")
model = build_model(5)
probabilities, hits = model.predict([features, labels], batch_size=6, verbose=0)
print(probabilities.shape, hits.shape, round(float(hits.mean()), 4))
print(np.round(probabilities[:3, 0], 3))
