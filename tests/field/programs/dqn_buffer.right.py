# https://github.com/AI4Finance-Foundation/ElegantRL/issues/36

import numpy as np
import torch
import torch.nn as nn


class ReplayBuffer:
    def __init__(self, max_len, state_dim):
        self.buf_state = np.zeros((max_len + 1, state_dim), dtype=np.float32)
        self.buf_other = np.zeros((max_len, 3), dtype=np.float32)  # reward, mask, action
        self.now_len = 0

    def append(self, state, other):
        self.buf_state[self.now_len], self.buf_other[self.now_len] = state, other
        self.now_len += 1

    def sample(self, rng, batch_size):
        i = rng.integers(0, self.now_len - 1, batch_size)
        r_m_a = torch.from_numpy(self.buf_other[i])
        state, next_s = torch.from_numpy(self.buf_state[i]), torch.from_numpy(self.buf_state[i + 1])
        return r_m_a[:, 0:1], r_m_a[:, 1:2], r_m_a[:, 2:], state, next_s


class QNet(nn.Module):
    def __init__(self, state_dim, action_dim, mid=8):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(state_dim, mid), nn.ReLU(), nn.Linear(mid, action_dim))

    def forward(self, state):
        return self.net(state)


torch.manual_seed(0)
rng = np.random.default_rng(0)
buffer, q = ReplayBuffer(32, 4), QNet(4, 2)
for k in range(32):
    buffer.append(rng.normal(size=4), (rng.normal(), 0.99 * (k % 8 != 7), k % 2))
optimizer = torch.optim.SGD(q.parameters(), lr=0.05)
for _ in range(4):
    reward, mask, action, state, next_s = buffer.sample(rng, 8)
    with torch.no_grad():
        label = reward + mask * q(next_s).max(dim=1, keepdim=True)[0]
    obj_critic = nn.functional.smooth_l1_loss(q(state).gather(1, action.long()), label)
    optimizer.zero_grad()
    obj_critic.backward()
    optimizer.step()
print(round(obj_critic.item(), 4), [round(v, 4) for v in q.net[2].bias.tolist()])
