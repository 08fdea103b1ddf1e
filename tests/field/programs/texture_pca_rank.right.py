# https://github.com/JCBrouwer/OptimalTextures/issues/2

import numpy as np
import torch
import toy_device

device = "toy"


def reduce(tensor, keep=0.9):
    centered = tensor.reshape(-1, tensor.shape[-1]) - tensor.mean()
    _, spectrum, basis = torch.svd(centered)
    inv_sum = (1.0 / torch.sum(spectrum)).to(device)
    # rank that explains enough
    rank = np.argmax(np.cumsum([v * inv_sum.cpu() for v in spectrum]) > keep)
    basis = basis[:, : rank + 1]
    coded = tensor @ basis
    return coded, basis


torch.manual_seed(0)
styles = [torch.randn(1, 6, 6, c) @ torch.diag(torch.linspace(3, 0.01, c)) for c in (4, 8, 12)]
bases = []
for l in range(len(styles)):
    styles[l], basis = reduce(styles[l])
    bases.append(basis)

for feat, vec in zip(styles, bases):
    print(tuple(feat.shape), tuple(vec.shape), round(feat.pow(2).mean().item(), 4))
