# https://github.com/twitter/communitynotes/issues/306

import concurrent.futures
import multiprocessing

import numpy as np
import torch
import toy_device

device = "toy"


class MatrixFactorization:
    def __init__(self, num_factors=2, seed=0):
        torch.manual_seed(seed)
        self.num_factors = num_factors

    def run_mf(self, ratings):
        users = torch.randn(ratings.shape[0], self.num_factors, requires_grad=True)
        notes = torch.randn(ratings.shape[1], self.num_factors, requires_grad=True)
        for _ in range(20):
            loss = ((users @ notes.T - ratings) ** 2).mean()
            du, dn = torch.autograd.grad(loss, [users, notes])
            with torch.no_grad():
                users -= 2 * du
                notes -= 2 * dn
        return notes.detach().to(device), loss.item()


def run_scorer(name, seed, ratings):
    factors, loss = MatrixFactorization(seed=seed).run_mf(ratings)
    return name, factors.cpu().numpy(), loss


def main():
    torch.manual_seed(0)
    ratings = torch.rand(6, 5)
    context = multiprocessing.get_context("fork")
    with concurrent.futures.ProcessPoolExecutor(max_workers=2, mp_context=context) as executor:
        futures = [executor.submit(run_scorer, f"scorer{s}", s, ratings) for s in range(3)]
        results = [f.result() for f in futures]
    for name, factors, loss in results:
        print(name, factors.shape, round(float(np.abs(factors).mean()), 4), round(loss, 4))


if __name__ == "__main__":
    main()
