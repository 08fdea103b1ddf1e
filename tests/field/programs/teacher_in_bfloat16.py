# https://github.com/keras-team/keras/issues/18819
# causes: why
# tensor: soft_labels
# repair: line

import numpy as np
import tensorflow as tf
from sklearn.metrics import mean_squared_error
from tensorflow import keras

keras.utils.set_random_seed(0)
keras.mixed_precision.set_dtype_policy("mixed_bfloat16")

x = np.random.rand(64, 4).astype("float32")
y = (x @ np.array([1.0, -2.0, 0.5, 0.0], dtype="float32"))[:, None]

model = keras.Sequential(
    [
        keras.Input((4,)),
        keras.layers.Dense(8, activation="tanh"),
        keras.layers.Dense(1),
    ]
)
model.compile(keras.optimizers.SGD(0.1), loss="mse")
model.fit(x, y, epochs=3, batch_size=16, shuffle=False, verbose=0)

soft_labels = model(x)
error = mean_squared_error(
    y,
    soft_labels,
)
print(soft_labels.dtype.name, round(float(error), 2))
