# https://github.com/datamol-io/graphium/pull/275

import numpy as np
import torch


def mol_to_adjacency(edges, num_nodes):
    index = torch.tensor(edges).t()
    index = torch.cat([index, index.flip(0)], dim=1)
    return torch.sparse_coo_tensor(index, torch.ones(index.shape[1]), (num_nodes, num_nodes)).coalesce()


def laplacian(adj):
    deg = torch.sparse.sum(adj, dim=1).to_dense()
    n = torch.arange(adj.shape[0])
    return torch.sparse_coo_tensor(torch.stack([n, n]), deg, adj.shape) - adj


class LapPE:
    """eigenvectors of the graph laplacian as positional encoding"""

    def __init__(self, num_pos):
        self.num_pos = num_pos

    def __call__(self, adj):
        L = laplacian(adj)
        eigvals, eigvecs = np.linalg.eigh(L.to_dense().numpy())
        return eigvals[1 : self.num_pos + 1], np.abs(eigvecs[:, 1 : self.num_pos + 1])


molecules = [
    ([(0, 1), (1, 2), (2, 3)], 4),
    ([(0, 1), (1, 2), (2, 3), (3, 0), (0, 4)], 5),
]
pe = LapPE(num_pos=1)
for edges, n in molecules:
    vals, vecs = pe(mol_to_adjacency(edges, n))
    print(n, [f"{v:.4f}" for v in vals], f"{vecs.sum():.4f}")
