# https://github.com/XuexiongLuoMQ/ComGA/issues/5
# causes: why
# tensor: x | inputs
# repair: elsewhere
# advice: keras.layers.Layer | call(

import numpy as np
import tensorflow as tf

tf.keras.utils.set_random_seed(0)


class GraphConvolution(object):
    def __init__(self, input_dim, output_dim, adj, act=tf.nn.relu):
        self.vars = {}
        init = np.sqrt(6.0 / (input_dim + output_dim))
        self.vars["weights"] = tf.Variable(tf.random.uniform((input_dim, output_dim), -init, init, seed=1))
        self.adj, self.act = adj, act

    def __call__(self, inputs):
        x = inputs
        x = tf.matmul(x, self.vars["weights"])
        x = tf.matmul(self.adj, x)
        return self.act(x)


adj = tf.constant([[0.5, 0.5, 0.0], [0.3, 0.4, 0.3], [0.0, 0.5, 0.5]])
inputs = tf.keras.Input((4,), batch_size=3)
hidden1 = GraphConvolution(4, 6, adj)(inputs)
z_mean = GraphConvolution(6, 2, adj, act=tf.identity)(hidden1)
model = tf.keras.Model(inputs, z_mean)
model.compile(tf.keras.optimizers.SGD(0.1), "mse")
X = np.eye(3, 4, dtype=np.float32)
losses = [float(model.train_on_batch(X, np.ones((3, 2)))) for _ in range(5)]
print(model.output_shape, np.round(losses, 4), [round(float(np.sum(v)), 4) for v in model.trainable_variables])
