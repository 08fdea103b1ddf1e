# https://github.com/zhuangdizhu/FedGen/issues/1

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F


class Client:
    def __init__(self, seed, n):
        g = torch.Generator().manual_seed(seed)
        self.x = torch.randn(n, 5, generator=g)
        self.y = (self.x.sum(1) > 0).long()

    def measure(self):
        out = self.model(self.x)
        return (out.argmax(1) == self.y).sum().item(), F.cross_entropy(out, self.y), len(self.y)


class Coordinator:
    def __init__(self, clients):
        torch.manual_seed(0)
        self.model = nn.Linear(5, 2)
        self.clients = clients
        for u in clients:
            u.model = self.model

    def report(self):
        hits, costs, counts = zip(*(u.measure() for u in self.clients))
        accuracy = np.sum(hits) / np.sum(counts)
        cost = np.sum([n * c.item() for n, c in zip(counts, costs)]) / np.sum(counts)
        print("acc {:.4f} loss {:.4f}".format(accuracy, cost))

    def local_steps(self, lr=0.3):
        for u in self.clients:
            self.model.zero_grad()
            u.measure()[1].backward()
            with torch.no_grad():
                for p in self.model.parameters():
                    p -= lr * p.grad


server = Coordinator([Client(s, n) for s, n in ((1, 12), (2, 30), (3, 7))])
for round_no in range(3):
    server.report()
    server.local_steps()
print([round(v, 4) for v in server.model.weight.flatten().tolist()])
