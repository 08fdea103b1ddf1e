# https://github.com/SforAiDl/genrl/pull/319
# causes: why
# tensor: self.buffer.returns | log_probs
# repair: line

import numpy as np
import torch
from torch import nn, optim
from torch.distributions import Normal


class RolloutBuffer:
    def __init__(self, size, obs_dim):
        self.obs = np.zeros((size, obs_dim), dtype=np.float32)
        self.actions, self.rewards, self.returns = np.zeros((3, size), dtype=np.float32)

    def compute_returns(self, gamma=0.95):
        acc = 0.0
        for i in reversed(range(len(self.rewards))):
            acc = self.rewards[i] + gamma * acc
            self.returns[i] = acc
        self.returns -= self.returns.mean()


class VPG:
    def __init__(self, size=8):
        self.mean = nn.Linear(2, 1)
        self.log_std = nn.Parameter(torch.zeros(1))
        self.buffer = RolloutBuffer(size, 2)
        self.opt = optim.SGD([*self.mean.parameters(), self.log_std], lr=0.05)

    def update_params(self):
        pi = Normal(self.mean(torch.as_tensor(self.buffer.obs)).squeeze(-1), self.log_std.exp())
        log_probs = pi.log_prob(torch.as_tensor(self.buffer.actions))
        policy_loss = -(self.buffer.returns * log_probs).mean()
        self.opt.zero_grad()
        policy_loss.backward()
        self.opt.step()


torch.manual_seed(0)
rng, agent = np.random.default_rng(0), VPG()
for epoch in range(3):
    agent.buffer.obs[:] = rng.normal(size=(8, 2))
    agent.buffer.actions[:] = rng.normal(size=8)
    agent.buffer.rewards[:] = -np.abs(agent.buffer.actions - agent.buffer.obs[:, 0])
    agent.buffer.compute_returns()
    agent.update_params()
print("mean weights", [round(w, 4) for w in agent.mean.weight[0].tolist()])
print("log std", round(agent.log_std.item(), 4))
