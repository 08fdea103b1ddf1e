# https://github.com/keras-team/keras-hub/pull/122
# causes: why
# tensor: text
# repair: elsewhere
# advice: tf.numpy_function | set_shape

import re
from collections import Counter

import keras
import numpy as np
import tensorflow as tf


class RougeScorer:
    """a package of others, that knows nothing of tensors"""

    def tokenize(self, text):
        return re.findall("[a-z0-9]+", text.decode("utf-8").lower())

    def score(self, target, prediction):
        target, prediction = self.tokenize(target), self.tokenize(prediction)
        common = sum((Counter(target) & Counter(prediction)).values())
        return np.float32(2 * common / max(len(target) + len(prediction), 1))


class RougeMetric(keras.metrics.Metric):
    def __init__(self, name="rouge", **kwargs):
        super().__init__(name=name, **kwargs)
        self.scorer = RougeScorer()
        self.total = self.add_variable(shape=(), initializer="zeros", name="total")
        self.count = self.add_variable(shape=(), initializer="zeros", name="count")

    def update_state(self, y_true, y_pred):
        score = self.scorer.score(y_true, y_pred)
        self.total.assign_add(score)
        self.count.assign_add(1.0)

    def result(self):
        return self.total / self.count


summaries = ["The council raises the water tax", "Apple opens a shop in Rome", "Rain ends the final early"]
generated = ["Council raises tax on water", "Rome: a new Apple shop opens", "The final ends in rain, early"]
metric = RougeMetric()
evaluate = tf.function(metric.update_state)
for pair in tf.data.Dataset.from_tensor_slices((summaries, generated)):
    evaluate(*pair)
    print(round(float(metric.result()), 4))
