# https://github.com/mila-iqia/gene-graph-conv/issues/29

import scipy.sparse
import torch
from torch import nn


class GCN(nn.Module):
    def __init__(self, neighborhood, channels=4):
        super().__init__()
        self.adj = neighborhood
        self.channels = channels
        self.setup_layers()

    def setup_layers(self):
        # row-normalise once, on the scipy side
        self.adj = scipy.sparse.csr_matrix(self.adj.to_dense())
        deg = self.adj.sum(axis=1).A1
        norm = scipy.sparse.diags(1.0 / deg) @ self.adj
        self.register_buffer("a_hat", torch.tensor(norm.toarray(), dtype=torch.float32))
        self.w = nn.Linear(1, self.channels)
        self.out = nn.Linear(self.channels * self.a_hat.shape[0], 2)

    def forward(self, x):
        h = torch.relu(self.w(self.a_hat @ x))
        return self.out(h.flatten(1))


torch.manual_seed(0)
genes = torch.tensor([[0, 1, 2, 3, 0], [1, 2, 3, 0, 2]])
neighborhood = torch.eye(5) + torch.sparse_coo_tensor(genes, torch.ones(5), (5, 5)).to_dense()
neighborhood = neighborhood.to_sparse()

model = GCN(neighborhood)
loss = model(torch.randn(3, 5, 1)).pow(2).sum()
loss.backward()
print([f"{v:.3f}" for v in model.a_hat.diagonal().tolist()], model.adj.nnz)
print(f"{loss.item():.4f} {model.w.weight.grad.abs().sum().item():.4f}")
