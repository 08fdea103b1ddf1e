# https://github.com/tensorflow/tensorflow/issues/50111
# causes: why
# tensor: grads
# repair: elsewhere
# advice: tf.reduce_mean

import numpy as np
import tensorflow as tf

w = tf.Variable([0.0, 0.0])
X = np.stack([np.ones(20), np.linspace(0, 1, 20)], axis=1).astype(np.float32)
y = (2 * X[:, 1] + np.sin(np.arange(20)) * 0.1).astype(np.float32)
optimizer = tf.keras.optimizers.SGD(learning_rate=0.5)


def quantile_loss(target, pred, q=0.8):
    diff = target - pred
    return np.mean(np.maximum(q * diff, (q - 1) * diff))


def train_step():
    with tf.GradientTape() as tape:
        pred = tf.linalg.matvec(X, w)
        loss = quantile_loss(y, pred.numpy())
        loss = tf.convert_to_tensor(loss)
    grads = tape.gradient(loss, [w])
    optimizer.apply_gradients(zip(grads, [w]))
    return float(loss)


losses = [train_step() for _ in range(40)]
print(round(losses[0], 4), round(losses[-1], 4), np.round(w.numpy(), 3))
