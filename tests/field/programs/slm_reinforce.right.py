# https://github.com/kengz/SLM-Lab/pull/133

import torch
import torch.nn as nn
from torch.distributions import Categorical


class Reinforce:
    def __init__(self, state_dim, n_actions, gamma=0.9):
        self.net = nn.Sequential(nn.Linear(state_dim, 8), nn.Tanh(), nn.Linear(8, n_actions))
        self.optim = torch.optim.SGD(self.net.parameters(), lr=0.1)
        self.gamma = gamma
        self.log_probs, self.rewards = [], []

    def act(self, state):
        dist = Categorical(logits=self.net(state))
        action = dist.sample()
        self.log_probs.append(dist.log_prob(action))
        return action.item()

    def calc_returns(self):
        rets, running = [], 0.0
        for r in reversed(self.rewards):
            running = r + self.gamma * running
            rets.insert(0, running)
        return torch.tensor(rets)

    def train(self):
        returns = self.calc_returns()
        log_probs = torch.stack(self.log_probs)
        loss = -torch.mean(log_probs * (returns - returns.mean()))
        self.optim.zero_grad()
        loss.backward()
        self.optim.step()
        self.log_probs, self.rewards = [], []
        return loss.item()


torch.manual_seed(0)
agent = Reinforce(3, 2)
losses = []
for episode in range(4):
    for t in range(6):
        state = torch.tensor([1.0, t / 6, episode / 4])
        agent.rewards.append(1.0 if agent.act(state) == t % 2 else 0.0)
    losses.append(round(agent.train(), 4))
print(losses, [round(b, 4) for b in agent.net[2].bias.tolist()])
