# https://github.com/tensorflow/tensorflow/issues/35933

import numpy as np
import tensorflow as tf

tf.keras.utils.set_random_seed(0)
index_to_char = dict(enumerate("abcdefg|"))


def make_model(unique_chars):
    return tf.keras.Sequential(
        [
            tf.keras.layers.Input((1,)),
            tf.keras.layers.Embedding(unique_chars, 6),
            tf.keras.layers.Flatten(),
            tf.keras.layers.Dense(unique_chars, activation="softmax"),
        ]
    )


def generate_sequence(model, initial_index, seq_length):
    rng = np.random.RandomState(3)
    sequence_index = [initial_index]
    for _ in range(seq_length):
        batch = np.zeros((1, 1))
        batch[0, 0] = sequence_index[-1]
        predicted_probs = model(batch).numpy().ravel()
        predicted_probs = predicted_probs.astype("float64") / predicted_probs.sum(dtype="float64")
        sample = rng.choice(range(len(index_to_char)), size=1, p=predicted_probs)
        sequence_index.append(sample[0])
    return "".join(index_to_char[c] for c in sequence_index)


print(generate_sequence(make_model(len(index_to_char)), 2, 24))
