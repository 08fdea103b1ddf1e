# https://github.com/pytorch/pytorch/issues/41657
# causes: why
# tensor: state
# repair: line

import random

import numpy as np
import torch
import torch.nn as nn


class Corridor:
    """Walk to the right end; the observation is an array."""

    def reset(self):
        self.x = np.zeros(3, dtype=np.float32)
        return self.x.copy()

    def step(self, action):
        self.x[1] = self.x[0]
        self.x[0] += 0.25 if action else -0.25
        self.x[2] += 0.1
        return self.x.copy(), float(self.x[0]), bool(self.x[2] > 0.95)


class Agent:
    EPSILON = 0.3

    def __init__(self, env):
        self.env = env
        self.dqn = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2))

    def select_action(self, state):
        if random.uniform(0, 1) < self.EPSILON:
            return random.randrange(2)
        else:
            return torch.argmax(self.dqn(state)).item()


random.seed(0)
torch.manual_seed(0)
agent = Agent(Corridor())
state, done, actions, total = agent.env.reset(), False, [], 0.0
while not done:
    action = agent.select_action(state)
    state, reward, done = agent.env.step(action)
    actions.append(action)
    total += reward
print(actions, round(total, 3))
