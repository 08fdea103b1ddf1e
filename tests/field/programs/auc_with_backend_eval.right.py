# https://github.com/keras-team/keras/issues/3230

import numpy as np
import tensorflow as tf
from sklearn import metrics
from tensorflow.keras import backend as K
from tensorflow.keras import layers, models

tf.keras.utils.set_random_seed(11)


def auc(y_true, y_pred):
    return tf.ensure_shape(tf.py_function(metrics.roc_auc_score, [y_true, y_pred], tf.float32), ())


def build_model(optimiser="sgd", loss_function="binary_crossentropy"):
    model = models.Sequential()
    model.add(layers.Input(shape=(4,)))
    model.add(layers.Dense(5, activation="elu"))
    model.add(layers.Dense(1, activation="sigmoid"))
    model.compile(loss=loss_function, optimizer=optimiser, metrics=[auc])
    return model


x = np.random.normal(size=(64, 4)).astype("float32")
y = (x[:, :1] - x[:, 1:2] > 0).astype("float32")
model = build_model(tf.keras.optimizers.SGD(0.5))
h = model.fit(x, y, batch_size=32, epochs=3, shuffle=False, verbose=0).history
print([round(v, 3) for v in h["auc"]], round(h["loss"][-1], 4))
