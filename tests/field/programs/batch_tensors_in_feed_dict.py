# https://github.com/tensorflow/tensorflow/issues/15363
# causes: why
# tensor: images | labels
# repair: elsewhere
# advice: sess.run

import numpy as np
import tensorflow as tf

tf1 = tf.compat.v1
tf1.disable_eager_execution()


def load_batch(features, classes, batch_size):
    dataset = tf1.data.Dataset.from_tensor_slices((features, classes)).repeat().batch(batch_size)
    images, labels = tf1.data.make_one_shot_iterator(dataset).get_next()
    return tf.cast(images, tf.float32) / 4.0, tf.one_hot(labels, 3)


features = np.arange(48).reshape(12, 4) % 5
images, labels = load_batch(features, features.argmax(axis=1) % 3, batch_size=4)
x = tf1.placeholder(tf.float32, [None, 4])
y_true = tf1.placeholder(tf.float32, [None, 3])
weights = tf1.get_variable("weights", initializer=tf.zeros([4, 3]))
biases = tf1.get_variable("biases", initializer=tf.zeros([3]))
logits = tf.matmul(x, weights) + biases
loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(labels=y_true, logits=logits))
train_op = tf1.train.GradientDescentOptimizer(0.5).minimize(loss)

with tf1.Session() as sess:
    sess.run(tf1.global_variables_initializer())
    for step in range(9):
        _, value = sess.run([train_op, loss], feed_dict={x: images, y_true: labels})
        if step % 3 == 0:
            print("step", step, "loss", round(float(value), 4))
    print(np.round(sess.run(biases), 4))
