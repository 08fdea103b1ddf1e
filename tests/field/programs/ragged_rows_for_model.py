# https://github.com/aruno14/speechRecognition/issues/1
# causes: why
# tensor: voices.numpy() | voices
# repair: line

import numpy as np
import tensorflow as tf

tf.keras.utils.set_random_seed(0)

voices = tf.ragged.constant([[3, 1, 4], [1, 5], [9, 2, 6, 5], [3, 5, 8]])
texts = np.array([[1.0], [0.0], [1.0], [0.0]], dtype="float32")

model = tf.keras.Sequential(
    [
        tf.keras.layers.Embedding(10, 4, mask_zero=True),
        tf.keras.layers.GlobalAveragePooling1D(),
        tf.keras.layers.Dense(1, activation="sigmoid"),
    ]
)
model.compile(optimizer=tf.keras.optimizers.SGD(0.5), loss="binary_crossentropy")

history = model.fit(
    voices.numpy(),
    texts,
    batch_size=2,
    epochs=3,
    shuffle=False,
    verbose=0,
)
print(np.round(history.history["loss"], 4))
print(np.round(model.predict(voices.to_tensor(), verbose=0).ravel(), 4))
