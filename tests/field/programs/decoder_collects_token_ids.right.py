# https://github.com/tensorflow/tensorflow/issues/31439

import tensorflow as tf

tf.keras.utils.set_random_seed(0)
VOCAB = ["<start>", "<end>", "der", "hund", "bellt", "laut"]


class Decoder(tf.keras.Model):
    def __init__(self, vocab_size, units=8):
        super().__init__()
        self.embedding = tf.keras.layers.Embedding(vocab_size, units)
        self.cell = tf.keras.layers.GRUCell(units)
        self.fc = tf.keras.layers.Dense(vocab_size)

    def step(self, token, state):
        out, (state,) = self.cell(self.embedding(token), [state])
        return self.fc(out), state


decoder = Decoder(len(VOCAB))
optimizer = tf.keras.optimizers.SGD(0.5)
loss_object = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)


@tf.function
def train_step(target):
    predicted, loss = [], 0.0
    with tf.GradientTape() as tape:
        state = tf.zeros((1, 8))
        for t in range(1, target.shape[1]):
            logits, state = decoder.step(target[:, t - 1], state)
            # look at what the network says at the moment
            predicted.append(tf.math.argmax(logits, axis=-1)[0])
            loss += loss_object(target[:, t], logits)
    weights = decoder.trainable_variables
    optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights))
    return loss, predicted


for epoch in range(12):
    loss, predicted = train_step(tf.constant([[0, 2, 3, 4, 5, 1]]))
print(round(float(loss), 3), " ".join(VOCAB[i] for i in predicted))
