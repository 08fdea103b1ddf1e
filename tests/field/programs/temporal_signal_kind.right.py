# https://github.com/benedekrozemberczki/pytorch_geometric_temporal/issues/286

import numpy as np
import torch


class GraphSeries:
    def __init__(self, edges, features, labels):
        assert len(edges) == len(features) == len(labels)
        self.edges, self.features, self.labels = edges, features, labels

    def _target(self, t_idx):
        if self.labels[t_idx] is None:
            return None
        if self.labels[t_idx].dtype.kind == "i":
            return torch.LongTensor(self.labels[t_idx])
        elif self.labels[t_idx].dtype.kind == "f":
            return torch.FloatTensor(self.labels[t_idx])

    def __iter__(self):
        for t in range(len(self.features)):
            yield torch.FloatTensor(self.features[t]), torch.LongTensor(self.edges[t]), self._target(t)


torch.manual_seed(0)
node_features, edges, labels = [], [], []
for n in (3, 2, 4):
    node_features.append(torch.rand(n, 2).numpy())
    edges.append(np.array([range(n - 1), range(1, n)]))
    labels.append(torch.rand(n).numpy())

w = torch.zeros(2, requires_grad=True)
cost = 0
for x, edge_index, y in GraphSeries(edges, node_features, labels):
    h = x.index_add(0, edge_index[1], x[edge_index[0]])
    cost = cost + ((h @ w - y) ** 2).mean()
cost.backward()
print(round(cost.item(), 4), [round(v, 4) for v in w.grad.tolist()])
