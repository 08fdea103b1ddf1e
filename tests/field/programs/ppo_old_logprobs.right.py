# https://github.com/nikhilbarhate99/PPO-PyTorch/issues/18

from collections import defaultdict

import numpy as np
import torch
import torch.nn as nn
from torch.distributions import Categorical

torch.manual_seed(0)
EPS_CLIP, K_EPOCHS = 0.2, 4

actor = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 2), nn.Softmax(dim=-1))
optimizer = torch.optim.Adam(actor.parameters(), lr=0.02)

# --- rollout, kept as numpy
memory = defaultdict(list)
for t in range(12):
    state = torch.tensor([np.sin(t), np.cos(t), 1.0], dtype=torch.float32)
    with torch.no_grad():
        dist = Categorical(actor(state))
        action = dist.sample()
        memory["logprob"].append(dist.log_prob(action).item())
    memory["state"].append(state.numpy())
    memory["action"].append(action.item())
    memory["reward"].append(float(action.item() == (np.sin(t) > 0)))

old_states = torch.from_numpy(np.stack(memory["state"]))
old_actions = torch.tensor(memory["action"])
old_logprobs = np.array(memory["logprob"], dtype=np.float32)
rewards = torch.tensor(memory["reward"])
advantages = (rewards - rewards.mean()) / (rewards.std() + 1e-7)

# --- update
for _ in range(K_EPOCHS):
    logprobs = Categorical(actor(old_states)).log_prob(old_actions)
    ratios = torch.exp(logprobs - torch.from_numpy(old_logprobs))
    surr1 = ratios * advantages
    surr2 = torch.clamp(ratios, 1 - EPS_CLIP, 1 + EPS_CLIP) * advantages
    loss = -torch.min(surr1, surr2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print("ratio", [round(r, 3) for r in ratios.tolist()[:4]], "loss", round(loss.item(), 4))
print("bias", [round(b, 4) for b in actor[2].bias.tolist()])
