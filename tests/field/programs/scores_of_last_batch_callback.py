# https://github.com/cms-tau-pog/TauMLTools/pull/109
# causes: symbolic
# tensor: self.model.last_pred
# repair: elsewhere
# advice: tf.Variable | .assign

import numpy as np
import tensorflow as tf
from tensorflow import keras

keras.utils.set_random_seed(2)


class TauNet(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(4, activation="softmax")
        self.last_pred = None

    def call(self, x):
        return self.dense(x)

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = self.compute_loss(x=x, y=y, y_pred=y_pred)
        grads = tape.gradient(loss, self.trainable_weights)
        self.optimizer.apply_gradients(zip(grads, self.trainable_weights))
        self.last_pred = y_pred
        return {"loss": loss}


class ScoreHistory(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        self.scores = []

    def on_train_batch_end(self, batch, logs=None):
        self.scores.append(self.model.last_pred.numpy()[:, 2])  # column of the taus


x = np.random.rand(48, 6).astype("float32")
y = np.eye(4, dtype="float32")[np.random.randint(0, 4, 48)]
net, scores = TauNet(), ScoreHistory()
net.compile(keras.optimizers.SGD(0.2), "categorical_crossentropy")
net.fit(x, y, batch_size=16, epochs=1, shuffle=False, callbacks=[scores], verbose=0)
print(np.round(np.concatenate(scores.scores)[::8], 4), np.concatenate(scores.scores).shape)
