# https://github.com/tensorflow/tensorflow/issues/37177
# causes: symbolic
# tensor: y_true
# repair: elsewhere
# advice: tf.cond

import numpy as np
import tensorflow as tf
from tensorflow.keras import layers

tf.keras.utils.set_random_seed(13)


def iou(y_true, y_pred, eps=1e-6):
    """negative intersection over union; of pictures without an object, that of the background"""
    if np.max(y_true) == 0.0:
        return iou(1 - y_true, 1 - y_pred)
    intersection = tf.reduce_sum(y_true * y_pred, axis=[1, 2, 3])
    union = tf.reduce_sum(y_true, axis=[1, 2, 3]) + tf.reduce_sum(y_pred, axis=[1, 2, 3]) - intersection
    return -tf.reduce_mean((intersection + eps) / (union + eps), axis=0)


def fit(model, pictures, masks):
    model.compile(optimizer=tf.keras.optimizers.Adam(0.05), loss=iou)
    return model.fit(pictures, masks, batch_size=2, epochs=3, shuffle=False, verbose=0).history["loss"]


pictures = np.random.rand(6, 5, 5, 1).astype("float32")
masks = (pictures > 0.6).astype("float32")
masks[2:4] = 0.0
net = tf.keras.Sequential([layers.Input((5, 5, 1)), layers.Conv2D(2, 3, padding="same", activation="relu")])
net.add(layers.Conv2D(1, 1, activation="sigmoid"))
print(np.round(fit(net, pictures, masks), 4))
