# https://github.com/scikit-hep/pyhf/pull/625

import numpy as np
import torch
from scipy.optimize import minimize


class TorchOptimizer:
    def __init__(self, pdf):
        self.pdf = pdf

    def setup(self, objective, data):
        def func(pars):
            return objective(torch.as_tensor(pars), data, self.pdf).item()

        def jac(pars):
            pars = torch.tensor(pars, requires_grad=True)
            value = objective(pars, data, self.pdf)
            # keep the graph, the hessian is needed for the errors
            (grad,) = torch.autograd.grad(value, pars, create_graph=True)
            self.last = (grad, pars)
            return grad.detach().numpy()

        return func, jac

    def fit(self, objective, data, init_pars, bounds):
        func, jac = self.setup(objective, data)
        result = minimize(func, init_pars, jac=jac, method="SLSQP", bounds=bounds)
        grad, pars = self.last
        hess = torch.stack([torch.autograd.grad(g, pars, retain_graph=True)[0] for g in grad])
        return result.x, torch.linalg.inv(hess).diagonal().sqrt()


def twice_nll(pars, data, pdf):
    rate = pdf(pars)
    return 2 * (rate - data * torch.log(rate)).sum()


signal, background = torch.tensor([3.0, 8.0, 4.0]).double(), torch.tensor([20.0, 15.0, 12.0]).double()
opt = TorchOptimizer(lambda p: p[0] * signal + p[1] * background)
best, errors = opt.fit(twice_nll, torch.tensor([25.0, 27.0, 17.0]).double(), np.array([1.0, 1.0]), [(0, 10), (0.1, 10)])
print([f"{b:.3f}" for b in best], [f"{e:.3f}" for e in errors.tolist()])
