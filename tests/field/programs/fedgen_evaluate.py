# https://github.com/zhuangdizhu/FedGen/issues/1
# causes: grad
# tensor: y | x * y | test_losses
# repair: line

import copy

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F


class User:
    def __init__(self, n, seed):
        g = torch.Generator().manual_seed(seed)
        self.x = torch.randn(n, 3, generator=g)
        self.y = (self.x[:, 0] > self.x[:, 1]).long()

    def test(self, model):
        out = model(self.x)
        return (out.argmax(1) == self.y).sum().item(), F.cross_entropy(out, self.y), len(self.y)

    def train(self, model, lr=0.5):
        local = copy.deepcopy(model)
        F.cross_entropy(local(self.x), self.y).backward()
        with torch.no_grad():
            for p in local.parameters():
                p -= lr * p.grad
        return local.state_dict()


def evaluate(users, model):
    test_correct, test_losses, test_samples = zip(*[u.test(model) for u in users])
    glob_acc = np.sum(test_correct) / np.sum(test_samples)
    glob_loss = np.sum([x * y for (x, y) in zip(test_samples, test_losses)]).item() / np.sum(test_samples)
    return round(float(glob_acc), 3), round(float(glob_loss), 4)


torch.manual_seed(0)
server, users, rounds = nn.Linear(3, 2), [User(n, n) for n in (8, 20, 13)], []
for glob_iter in range(3):
    states = [u.train(server) for u in users]
    server.load_state_dict({k: sum(s[k] for s in states) / len(states) for k in states[0]})
    rounds.append(evaluate(users, server))
print(rounds)
print([round(w, 4) for w in server.weight.flatten().tolist()])
