# https://github.com/xiaxin1998/DHCN/issues/8
# causes: grad
# tensor: per_layer | items_h
# repair: line

import numpy as np
import torch
import torch.nn as nn


class Propagation(nn.Module):
    def __init__(self, depth, graph):
        super(Propagation, self).__init__()
        self.depth = depth
        self.graph = graph

    def forward(self, table):
        items_h = table
        per_layer = [items_h]
        for i in range(self.depth):
            items_h = torch.sparse.mm(self.graph, items_h)
            per_layer.append(items_h)
        items_h = np.sum(per_layer, 0)
        return items_h / (self.depth + 1)


class BasketModel(nn.Module):
    def __init__(self, n_items, dim, graph):
        super().__init__()
        self.table = nn.Embedding(n_items, dim)
        self.spread = Propagation(2, graph)

    def forward(self, baskets):
        items = self.spread(self.table.weight)
        return items[baskets].mean(1) @ items.T


torch.manual_seed(0)
adj = torch.rand(6, 6)
adj = (adj / adj.sum(1, keepdim=True)).to_sparse()
model = BasketModel(6, 4, adj)
opt = torch.optim.SGD(model.parameters(), lr=0.5)
baskets, target = torch.randint(0, 6, (10, 3)), torch.randint(0, 6, (10,))
for epoch in range(5):
    opt.zero_grad()
    loss = nn.functional.cross_entropy(model(baskets), target)
    loss.backward()
    opt.step()
print(round(loss.item(), 4), round(model.table.weight.abs().sum().item(), 4))
