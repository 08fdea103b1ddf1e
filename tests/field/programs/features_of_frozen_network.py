# https://github.com/tensorflow/tensorflow/issues/33997
# causes: symbolic
# tensor: target | self.extractor.predict(target, verbose=0)
# repair: line
# advice: self.extractor(target

import numpy as np
import tensorflow as tf
from tensorflow.keras import layers

tf.keras.utils.set_random_seed(12)


class PerceptualTrainer:
    """The features of a frozen network, here a small one, are what two pictures are compared by."""

    def __init__(self, net, extractor):
        self.net, self.extractor = net, extractor
        self.extractor.trainable = False
        self.optimizer = tf.keras.optimizers.SGD(0.5)

    @tf.function
    def train_step(self, blurred, target):
        wanted = self.extractor.predict(target, verbose=0)
        with tf.GradientTape() as tape:
            restored = self.net(blurred, training=True)
            found = self.extractor(restored, training=False)
            loss = tf.reduce_mean(tf.square(found - wanted))
        gradients = tape.gradient(loss, self.net.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.net.trainable_variables))
        return loss


extractor = tf.keras.Sequential(
    [layers.Input((6, 6, 1)), layers.Conv2D(4, 3, activation="relu"), layers.GlobalAveragePooling2D()]
)
net = tf.keras.Sequential([layers.Input((6, 6, 1)), layers.Conv2D(1, 3, padding="same")])
trainer = PerceptualTrainer(net, extractor)

pictures = np.random.rand(8, 6, 6, 1).astype("float32")
blurred = (pictures + np.roll(pictures, 1, axis=2)) / 2
print(extractor.predict(pictures, verbose=0).shape)
for _ in range(3):
    print(round(float(trainer.train_step(tf.constant(blurred), tf.constant(pictures))), 4))
