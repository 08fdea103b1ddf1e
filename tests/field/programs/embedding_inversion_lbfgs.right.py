# https://github.com/pytorch/pytorch/issues/105730

import numpy as np
import scipy.optimize
import torch


def pmi_loss(elts, vol, target, shift):
    """loss and its gradient for L-BFGS"""
    x = torch.tensor(elts, requires_grad=True)
    adj = torch.sigmoid(x).reshape(target.shape)
    adj = (adj + adj.T) / 2
    approx = torch.log(vol * adj / (adj.sum(0) * adj.sum(1, keepdim=True)) + shift)
    loss = ((approx - target) ** 2).mean()
    loss.backward()
    return loss.item(), x.grad


class Optimizer:
    def __init__(self, target):
        self.target = target
        self.n = target.shape[0]
        self.vol = 10.0
        self.elts = np.zeros(self.n * self.n)
        self.iter_num = 0

    def _callback(self, xk):
        self.iter_num += 1

    def learn_network(self, max_iter=15):
        res = scipy.optimize.minimize(
            pmi_loss,
            x0=self.elts,
            args=(self.vol, self.target, 0.1),
            jac=True,
            method="L-BFGS-B",
            callback=self._callback,
            options={"maxiter": max_iter},
        )
        self.elts = res.x
        return res.fun


rng = np.random.default_rng(0)
low = rng.normal(size=(4, 2))
P = Optimizer(torch.tensor(low @ low.T))
final = P.learn_network()
print(f"{final:.4f}", P.iter_num)
print([f"{v:.3f}" for v in P.elts[:5]])
