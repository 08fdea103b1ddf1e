# https://github.com/xiaxin1998/DHCN/issues/8

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn


class HyperConv(nn.Module):
    def __init__(self, layers):
        super(HyperConv, self).__init__()
        self.layers = layers

    def forward(self, adjacency, embedding):
        item_embeddings = embedding
        final = [item_embeddings]
        for _ in range(self.layers):
            item_embeddings = torch.sparse.mm(adjacency, item_embeddings)
            final.append(item_embeddings)
        item_embeddings = torch.sum(torch.stack(final), 0) / (self.layers + 1)
        return item_embeddings


class SessionModel(nn.Module):
    def __init__(self, n_node=6, emb_size=4, layers=2):
        super(SessionModel, self).__init__()
        self.embedding = nn.Embedding(n_node, emb_size)
        self.hyper_graph = HyperConv(layers)

    def forward(self, adjacency, session):
        items = self.hyper_graph(adjacency, self.embedding.weight)
        sess = items[session].mean(dim=1)
        return sess @ items.t()


torch.manual_seed(0)
ring = torch.eye(6).roll(1, 0) * 0.5 + torch.eye(6) * 0.5
model = SessionModel()
optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
sessions, clicked = torch.tensor([[0, 1], [2, 3], [4, 5]]), torch.tensor([2, 4, 0])
for step in range(5):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(ring.to_sparse(), sessions), clicked)
    loss.backward()
    optimizer.step()
print(round(loss.item(), 4), [round(v, 4) for v in model.embedding.weight.sum(1).tolist()])
