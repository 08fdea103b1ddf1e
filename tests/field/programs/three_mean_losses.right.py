# https://github.com/tensorflow/tensorflow/issues/40023

import tensorflow as tf

tf.keras.utils.set_random_seed(1)


class Trainer:
    """an autoencoder of points, whose code is to lie about zero"""

    def __init__(self, dataset):
        self.train_dataset = dataset
        self.encoder, self.decoder = tf.keras.layers.Dense(2), tf.keras.layers.Dense(4)
        self.encoder.build((None, 4))
        self.decoder.build((None, 2))
        self.optimizer = tf.keras.optimizers.SGD(0.05)
        self.optimizer.build(self.weights)

    @property
    def weights(self):
        return self.encoder.trainable_variables + self.decoder.trainable_variables

    @tf.function
    def train_step(self, batch):
        with tf.GradientTape() as tape:
            code = self.encoder(batch)
            loss_code = tf.reduce_mean(code**2)
            loss_decoder = tf.reduce_mean((self.decoder(code) - batch) ** 2)
            loss = loss_decoder + 0.1 * loss_code
        self.optimizer.apply_gradients(zip(tape.gradient(loss, self.weights), self.weights))
        return loss_code, loss_decoder, loss

    @tf.function
    def train(self):
        loss_history = tf.zeros([3, 0])
        for batch in self.train_dataset:
            tf.autograph.experimental.set_loop_options(shape_invariants=[(loss_history, tf.TensorShape([3, None]))])
            loss_each = tf.expand_dims(tf.stack(self.train_step(batch), axis=0), 1)
            loss_history = tf.concat([loss_history, loss_each], axis=1)
        mean_code, mean_decoder, mean_all = tf.unstack(tf.reduce_mean(loss_history, axis=1))
        return {"code": mean_code, "decoder": mean_decoder, "all": mean_all}


points = tf.random.stateless_normal((24, 4), seed=(1, 2))
trainer = Trainer(tf.data.Dataset.from_tensor_slices(points).batch(8))
for epoch in range(3):
    print({name: round(float(mean), 4) for name, mean in trainer.train().items()})
