# https://github.com/burnpiro/tiny-face-detection-tensorflow2/pull/1

import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf

tf.keras.utils.set_random_seed(0)


def load_model():
    inputs = tf.keras.Input((10, 10, 1))
    x = tf.keras.layers.Conv2D(5, 5, strides=5, activation="sigmoid")(inputs)
    return tf.keras.Model(inputs, tf.keras.layers.Reshape((4, 5))(x))


model = load_model()
frame = np.linspace(-3, 3, 100, dtype=np.float32).reshape(1, 10, 10, 1)
pred = model(frame)[0]

order = np.argsort(-np.asarray(pred)[:, 4])
keep = np.array([i for i in order if pred[i, 4] > 0.4])
faces = pred.numpy()[keep]

fig, ax = plt.subplots()
for x, y, w, h, score in faces:
    ax.add_patch(plt.Rectangle((x, y), w, h, fill=False, label=f"{score:.2f}"))
print(len(ax.patches), [p.get_label() for p in ax.patches])
print(np.round([p.get_width() for p in ax.patches], 3))
