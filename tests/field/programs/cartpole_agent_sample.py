# https://github.com/PaddlePaddle/PARL/issues/324
# causes: device
# tensor: prob.detach() | prob
# repair: line

import torch
import toy_device
import numpy as np
import torch.nn as nn
import torch.nn.functional as F


class CartpoleModel(nn.Module):
    def __init__(self, obs_dim, act_dim):
        super().__init__()
        self.fc1 = nn.Linear(obs_dim, 10)
        self.fc2 = nn.Linear(10, act_dim)

    def forward(self, x):
        return F.softmax(self.fc2(torch.tanh(self.fc1(x))), dim=-1)


class PolicyGradient:
    def __init__(self, model, device="toy"):
        self.model, self.device = model, device

    def predict(self, obs):
        return self.model(obs).to(self.device)


class CartpoleAgent:
    def __init__(self, alg, act_dim, seed=0):
        self.alg, self.act_dim = alg, act_dim
        self.rng = np.random.RandomState(seed)

    def sample(self, obs):
        obs = torch.tensor(obs, dtype=torch.float)
        prob = self.alg.predict(obs)
        prob = prob.detach().numpy()
        action = self.rng.choice(self.act_dim, 1, p=prob)[0]
        return action


torch.manual_seed(0)
agent = CartpoleAgent(PolicyGradient(CartpoleModel(4, 2)), act_dim=2)
obs_list = np.random.RandomState(1).randn(12, 4)
action_list = [int(agent.sample(o)) for o in obs_list]
print(action_list, sum(action_list))
