# https://github.com/tensorflow/tensorflow/issues/46640

import numpy as np
import tensorflow as tf
from sklearn.metrics import f1_score
from tensorflow.keras.metrics import Metric

tf.keras.utils.set_random_seed(7)


class MacroF1(Metric):
    def __init__(self, average="macro", name="macro_f1", **kwargs):
        super().__init__(name=name, **kwargs)
        self.average = average
        self.total = self.add_weight(name="total", initializer="zeros")
        self.batches = self.add_weight(name="batches", initializer="zeros")

    def update_state(self, y_true, y_pred, sample_weight=None):
        preds = tf.argmax(y_pred, axis=1)
        labels = tf.reshape(y_true, (-1,))
        value = tf.reshape(
            tf.numpy_function(
                lambda t, p: np.float32(f1_score(y_true=t, y_pred=p, average=self.average)),
                [labels, preds],
                tf.float32,
            ),
            (),
        )
        self.total.assign_add(value)
        self.batches.assign_add(1.0)

    def result(self):
        return self.total / self.batches


X = np.random.randn(60, 3).astype("float32")
y = X.argmax(axis=1)
clf = tf.keras.Sequential([tf.keras.Input((3,)), tf.keras.layers.Dense(3, activation="softmax")])
clf.compile(tf.keras.optimizers.SGD(0.3), "sparse_categorical_crossentropy", metrics=[MacroF1()])
out = clf.fit(X, y, batch_size=20, epochs=4, shuffle=False, verbose=0)
print([round(float(v), 4) for v in out.history["macro_f1"]])
print(np.round(clf.get_weights()[0].diagonal(), 4))
