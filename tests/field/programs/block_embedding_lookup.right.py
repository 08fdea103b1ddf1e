# https://github.com/tensorly/torch/issues/23

import torch
import toy_device
import numpy as np
from torch import nn

device = "toy"


class TTMatrix:
    def __init__(self, row_shape, factors):
        self.row_shape = row_shape
        self.factors = factors

    def __getitem__(self, index):
        # one index per tensorized dimension
        rows = np.unravel_index(index.cpu().numpy(), self.row_shape)
        out = None
        for r, factor in zip(rows, self.factors):
            block = factor[torch.as_tensor(r)]
            out = block if out is None else out * block
        return out


class FactorizedEmbedding(nn.Module):
    def __init__(self, row_shape, dim):
        super().__init__()
        self.factors = nn.ParameterList(nn.Parameter(torch.randn(n, dim)) for n in row_shape)
        self.weight = TTMatrix(row_shape, self.factors)

    def forward(self, ids):
        flat = ids.reshape(-1)
        return self.weight[flat].view(*ids.shape, -1)


torch.manual_seed(0)
emb = FactorizedEmbedding((3, 4), dim=5)
tokens = torch.tensor([[0, 5, 11], [7, 7, 2]]).to(device)
out = emb(tokens)
out.pow(2).sum().backward()
print(out.shape, round(out.sum().item(), 4))
print([round(p.grad.abs().sum().item(), 3) for p in emb.factors])
