# https://github.com/SeldonIO/alibi/issues/828

import numpy as np
import tensorflow as tf

tf.keras.utils.set_random_seed(0)

model = tf.keras.models.Sequential(
    [
        tf.keras.layers.Input((5,), dtype="int32"),
        tf.keras.layers.Embedding(10, 4),
        tf.keras.layers.Flatten(),
        tf.keras.layers.Dense(1),
    ]
)
loss_fn = tf.keras.losses.MeanSquaredError()


class Backend:
    @staticmethod
    def get_grads(model, X, Y, loss_fn):
        with tf.GradientTape() as tape:
            output = model(X, training=False)
            loss = loss_fn(Y, output)
        grad_X_train = tape.gradient(loss, model.trainable_weights)
        grad_X_train = np.concatenate([tf.convert_to_tensor(w).numpy().reshape(-1) for w in grad_X_train])
        return grad_X_train


def cosine(a, b):
    return a @ b / (np.linalg.norm(a) * np.linalg.norm(b))


X_train = np.array([[1, 2, 3, 4, 5], [1, 1, 2, 2, 9], [6, 7, 8, 9, 0]])
grads = [Backend.get_grads(model, x[None], tf.constant([[1.0]]), loss_fn) for x in X_train]
print([g.shape for g in grads])
print([round(float(cosine(grads[0], g)), 4) for g in grads])
