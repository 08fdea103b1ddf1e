# https://github.com/tensorly/tensorly/issues/346
# causes: why
# tensor: tensor
# repair: elsewhere

import numpy as np
import torch


def unfold(tensor, mode):
    return np.reshape(np.moveaxis(tensor, mode, 0), (tensor.shape[mode], -1))


def khatri_rao(a, b):
    return np.einsum("ir,jr->ijr", a, b).reshape(-1, a.shape[1])


def parafac(tensor, rank, n_iter=30):
    factors = [np.linalg.svd(unfold(tensor, mode), full_matrices=False)[0][:, :rank] for mode in range(3)]
    for _ in range(n_iter):
        for mode in range(3):
            a, b = (factors[m] for m in range(3) if m != mode)
            gram = (a.T @ a) * (b.T @ b)
            factors[mode] = unfold(tensor, mode) @ khatri_rao(a, b) @ np.linalg.pinv(gram)
    return factors


# three movement matrices stacked: days x from x to
torch.manual_seed(0)
parts = [torch.rand(n, 2, dtype=torch.float64) for n in (5, 6, 4)]
AMT_3d = torch.einsum("ir,jr,kr->ijk", *parts)
assert AMT_3d.type() == "torch.DoubleTensor"

factors = parafac(AMT_3d, rank=2)

again = np.einsum("ir,jr,kr->ijk", *factors)
print([f.shape for f in factors])
print("mean", round(float(again.mean()), 5), "of", round(float(AMT_3d.mean()), 5))
