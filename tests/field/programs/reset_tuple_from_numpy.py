# https://github.com/yawen-d/DQN_Family_PyTorch/issues/1
# causes: why
# tensor: state
# repair: elsewhere

import numpy as np
import torch
import torch.nn as nn


class PoleEnv:
    """As in the newer gym: reset() gives the observation and a dict of remarks."""

    def reset(self, seed=None):
        self.rng = np.random.default_rng(seed)
        self.t, self.x = 0, self.rng.normal(size=3).astype(np.float32)
        return self.x, {"episode": seed}

    def step(self, action):
        self.t += 1
        self.x = (0.9 * self.x + 0.1 * self.rng.normal(size=3) + (0.2 if action else -0.2)).astype(np.float32)
        return self.x, float(-abs(self.x[0])), self.t >= 8, False, {}


class DQNAgent:
    def __init__(self, env, gamma=0.9):
        self.env, self.gamma = env, gamma
        self.q = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 2))
        self.opt = torch.optim.Adam(self.q.parameters(), lr=0.02)

    def train(self, episodes=3):
        for episode in range(episodes):
            state, done, score = self.env.reset(seed=episode), False, 0.0
            while not done:
                state = torch.from_numpy(state)
                action = self.q(state).argmax().item()
                next_state, reward, done, _, _ = self.env.step(action)
                with torch.no_grad():
                    target = reward + (not done) * self.gamma * self.q(torch.from_numpy(next_state)).max()
                loss = (self.q(state)[action] - target) ** 2
                self.opt.zero_grad()
                loss.backward()
                self.opt.step()
                state, score = next_state, score + reward
            print(episode, round(score, 4), round(loss.item(), 5))


torch.manual_seed(0)
DQNAgent(PoleEnv()).train()
