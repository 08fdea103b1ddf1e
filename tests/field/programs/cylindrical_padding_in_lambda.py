# https://github.com/keras-team/keras/issues/10767
# causes: why
# tensor: element
# repair: none
# advice: ops.concatenate

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(0)


def transform(element, n):
    """the image goes on at its other side, so that the next kernel sees over the edge"""
    batch_result = []
    for batch_element in element:
        result = []
        for filter_image in batch_element:
            first = filter_image[:, :n]
            last = filter_image[:, filter_image.shape[1] - n :]
            result.append(np.concatenate((last, filter_image, first), axis=1))
        batch_result.append(np.array(result))
    return np.array(batch_result)


def build_model(rows, columns, n=1):
    """panoramas, and their filters first"""
    image = layers.Input((2, rows, columns))
    x = layers.Lambda(transform, output_shape=(2, rows, columns + 2 * n), arguments={"n": n}, name="cylinder")(image)
    x = layers.Conv3D(3, (2, 3, 2 * n + 1), activation="relu")(layers.Reshape((2, rows, columns + 2 * n, 1))(x))
    x = layers.GlobalAveragePooling3D()(x)
    return keras.Model(image, layers.Dense(1)(x))


model = build_model(4, 6)
x = np.sin(np.arange(6 * 2 * 4 * 6)).astype("float32").reshape(6, 2, 4, 6)
y = x[:, 0, :, 0].mean(axis=1) + x[:, 0, :, -1].mean(axis=1)
model.compile(keras.optimizers.SGD(0.1), "mse")
loss = model.fit(x, y, batch_size=3, epochs=3, shuffle=False, verbose=0).history["loss"]
print(np.round(loss, 4), np.round(model.predict(x[:2], verbose=0).ravel(), 4))
