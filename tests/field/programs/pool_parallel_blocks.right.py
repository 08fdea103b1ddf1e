# https://github.com/tonegas/nnodely/issues/88

from multiprocessing.pool import ThreadPool as Pool

import torch
import torch.nn as nn

torch.manual_seed(0)
BLOCKS = nn.ModuleList(nn.Sequential(nn.Linear(4, 4), nn.Tanh()) for _ in range(3))
HEAD = nn.Linear(12, 1)


def run_block(args):
    i, x = args
    return BLOCKS[i](x)


def forward(x, pool):
    # independent blocks of the forward pass at the same time
    outputs = pool.map(run_block, [(i, x) for i in range(len(BLOCKS))])
    return HEAD(torch.cat(outputs, dim=1))


if __name__ == "__main__":
    params = list(BLOCKS.parameters()) + list(HEAD.parameters())
    opt = torch.optim.SGD(params, lr=0.2)
    x, y = torch.randn(8, 4), torch.randn(8, 1)
    with Pool(2) as pool:
        for _ in range(4):
            loss = nn.functional.mse_loss(forward(x, pool), y)
            opt.zero_grad()
            loss.backward()
            opt.step()
    print(f"loss {loss.item():.4f}")
    print([f"{b[0].weight.grad.abs().sum().item():.4f}" for b in BLOCKS])
