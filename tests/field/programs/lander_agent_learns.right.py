# https://github.com/tensorflow/tensorflow/issues/98779

import numpy as np
import tensorflow as tf
from tensorflow.keras import layers

tf.keras.utils.set_random_seed(2)
STATE_SIZE, N_ACTIONS, GAMMA, TAU = 4, 3, 0.9, 0.1


def create_q_network():
    return tf.keras.Sequential([layers.Input((STATE_SIZE,)), layers.Dense(8, "relu"), layers.Dense(N_ACTIONS)])


q_network, target_q_network = create_q_network(), create_q_network()
target_q_network.set_weights(q_network.get_weights())
optimizer = tf.keras.optimizers.Adam(0.01)


def compute_loss(experiences, gamma):
    states, actions, rewards, next_states, done = experiences
    max_qsa = tf.reduce_max(target_q_network(next_states), axis=-1)
    y_targets = rewards + gamma * max_qsa * (1 - done)
    q_values = tf.gather(q_network(states), actions, axis=1, batch_dims=1)
    return tf.reduce_mean(tf.square(y_targets - q_values))


@tf.function
def agent_learn(experiences, gamma):
    with tf.GradientTape() as tape:
        loss = compute_loss(experiences, gamma)
    gradients = tape.gradient(loss, q_network.trainable_variables)
    optimizer.apply_gradients(zip(gradients, q_network.trainable_variables))
    for target, current in zip(target_q_network.weights, q_network.weights):
        target.assign(TAU * current + (1 - TAU) * target)
    return loss


rng = np.random.default_rng(5)
for episode in range(3):
    states, next_states = rng.normal(size=(2, 16, STATE_SIZE)).astype("float32")
    actions = rng.integers(0, N_ACTIONS, 16)
    rewards, done = rng.normal(size=16).astype("float32"), (rng.random(16) < 0.2).astype("float32")
    experiences = tuple(tf.constant(v) for v in (states, actions, rewards, next_states, done))
    print(episode, round(float(agent_learn(experiences, GAMMA)), 4))
