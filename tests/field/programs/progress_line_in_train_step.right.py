# https://github.com/calmiLovesAI/TensorFlow2.0_ResNet/issues/6

import tensorflow as tf

tf.random.set_seed(0)
w = tf.Variable(tf.ones((3, 2)))
sgd = tf.keras.optimizers.SGD(0.1)
train_loss = tf.keras.metrics.Mean()


@tf.function
def train_step(step, images, labels):
    with tf.GradientTape() as tape:
        logits = images @ w
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits))
    sgd.apply_gradients([(tape.gradient(loss, w), w)])
    train_loss.update_state(loss)
    tf.print(tf.strings.format("step: {}, loss: {}", (step, loss)))


images = tf.random.stateless_normal((12, 3), seed=(0, 1))
labels = tf.cast(images[:, 0] > 0, tf.int32)
for step in tf.range(5):
    train_step(step, images, labels)
print(round(float(train_loss.result()), 4), w.numpy().round(4).tolist())
