# https://github.com/tensorflow/tensorflow/issues/72497

import numpy as np
from tensorflow import keras
from tensorflow.keras import layers


def create_model(n_samples=32, num_classes=3):
    signal = keras.Input(shape=(n_samples,), name="ecg")
    # Conv1D wants (batch, steps, channels)
    x = keras.ops.expand_dims(signal, axis=-1)
    x = layers.Conv1D(4, 5, activation="relu", name="conv")(x)
    x = layers.GlobalMaxPooling1D()(x)
    output = layers.Dense(num_classes, activation="softmax")(x)
    return keras.Model(signal, output)


if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    model = create_model()
    model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    beats = np.random.randn(30, 32).astype("float32")
    kinds = np.arange(30) % 3
    history = model.fit(beats, kinds, epochs=2, shuffle=False, verbose=0)
    print(model.output_shape, model.count_params())
    print(np.round(history.history["loss"], 4), np.round(model.get_layer("conv").get_weights()[1], 4))
