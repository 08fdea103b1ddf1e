# https://github.com/higgsfield/RL-Adventure/issues/10

import random

import torch
import toy_device
import numpy as np
import torch.nn as nn

device = "toy"


class GridEnv:  # 5x5, goal in the corner
    MOVES = np.array([[0, 1], [0, -1], [1, 0], [-1, 0]])

    def reset(self):
        self.pos = np.array([1, 1])
        return self.pos.astype(np.float32)

    def step(self, action):
        self.pos = np.clip(self.pos + self.MOVES[action], 0, 4)
        done = bool((self.pos == 4).all())
        return self.pos.astype(np.float32), float(done) - 0.01, done


class DQN(nn.Module):
    def __init__(self, n_in, n_actions):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(n_in, 16), nn.ReLU(), nn.Linear(16, n_actions))

    def act(self, state, epsilon):
        if random.random() > epsilon:
            q_value = self.layers(torch.from_numpy(state).unsqueeze(0))
            return q_value.max(1)[1].data[0].item()
        return random.randrange(4)


random.seed(5)
torch.manual_seed(5)
env, current_model = GridEnv(), DQN(2, 4)
state, episode_reward, trace = env.reset(), 0.0, []
for frame_idx in range(10):
    action = current_model.act(state, epsilon=0.5)
    state, reward, done = env.step(action)
    episode_reward += reward
    trace.append(state.tolist())
print(trace, round(episode_reward, 3))
