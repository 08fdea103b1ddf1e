# https://github.com/pytorch/pytorch/issues/105730

import numpy as np
import scipy.optimize
import torch


class WeightSearch:
    """recover edge weights of a graph from its low-rank embedding"""

    def __init__(self, target, n):
        self.target, self.n = target, n
        self.flat = np.zeros(n * (n - 1) // 2)

    def objective(self, flat):
        w = torch.tensor(flat, requires_grad=True)
        rows, cols = torch.triu_indices(self.n, self.n, 1)
        adj = torch.zeros(self.n, self.n, dtype=torch.float64)
        adj[rows, cols] = torch.sigmoid(w)
        adj = adj + adj.T
        log_pmi = torch.log(adj @ adj + 1e-2)
        loss = ((log_pmi - self.target) ** 2).mean()
        loss.backward()
        return loss.item(), w.grad.numpy()

    def search(self, max_iter=3):
        res = scipy.optimize.minimize(
            self.objective, x0=self.flat, jac=True, method="L-BFGS-B", options={"maxiter": max_iter}
        )
        self.flat = res.x
        return res


torch.manual_seed(0)
true = torch.rand(5, 5, dtype=torch.float64).triu(1)
target = torch.log((true + true.T) @ (true + true.T) + 1e-2)
res = WeightSearch(target, 5).search()
print(res.nit, round(float(res.fun), 4), np.round(res.x, 3).tolist())
