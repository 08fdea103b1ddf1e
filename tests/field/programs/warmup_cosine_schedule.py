# https://github.com/tensorflow/tensorflow/issues/42662
# causes: symbolic
# tensor: step
# repair: line

import numpy as np
import tensorflow as tf
from tensorflow import keras

keras.utils.set_random_seed(0)


class WarmUpCosine(keras.optimizers.schedules.LearningRateSchedule):
    """all rates of the run are computed beforehand, as in the PyTorch original"""

    def __init__(self, base_lr, warmup_steps, total_steps):
        super().__init__()
        warmup = np.linspace(0.0, base_lr, warmup_steps)
        iters = np.arange(total_steps - warmup_steps)
        cosine = 0.5 * base_lr * (1 + np.cos(np.pi * iters / len(iters)))
        self.lr_schedule = np.concatenate((warmup, cosine)).astype("float32")

    def __call__(self, step):
        step = tf.cast(step, tf.int32)
        return self.lr_schedule[step]


STEPS, BATCH = 6, 8
x = np.random.rand(STEPS * BATCH, 3).astype("float32")
y = x.sum(axis=1, keepdims=True)
model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
schedule = WarmUpCosine(0.4, 2, STEPS)
model.compile(optimizer=keras.optimizers.SGD(schedule), loss="mse")
model.fit(x, y, batch_size=BATCH, epochs=1, shuffle=False, verbose=0)
print(np.round(model.get_weights()[0].ravel(), 4), np.round(model.get_weights()[1], 4))
