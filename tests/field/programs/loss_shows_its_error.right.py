# https://github.com/tensorflow/tensorflow/issues/40508

import numpy as np
import tensorflow as tf
from tensorflow.keras.models import Sequential
from tensorflow.keras.layers import Dense, Flatten, Input

tf.keras.utils.set_random_seed(3)


def my_loss(yT, yP):
    err = yT - yP
    tf.print("error of the batch:", err)
    squared = tf.square(err)
    return tf.reduce_mean(squared)


xTrain = np.random.rand(32, 4, 4).astype("float32")
yTrain = np.eye(2, dtype="float32")[(xTrain.mean(axis=(1, 2)) > 0.5).astype(int)]

model = Sequential()
model.add(Input((4, 4)))
model.add(Flatten())
model.add(Dense(6, activation="relu"))
model.add(Dense(2, activation="softmax"))
model.compile(optimizer=tf.keras.optimizers.SGD(0.1), loss=my_loss)
hist = model.fit(xTrain, yTrain, epochs=3, batch_size=16, shuffle=False, verbose=0)

print([round(v, 4) for v in hist.history["loss"]])
print(np.round(model.get_weights()[-1], 4))
