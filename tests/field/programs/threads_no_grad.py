# https://github.com/pytorch/pytorch/issues/20528
# causes: grad
# tensor: features[0]
# repair: line

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

torch.manual_seed(0)

net = torch.nn.Sequential(
    torch.nn.Linear(10, 6),
    torch.nn.ReLU(),
    torch.nn.Linear(6, 2),
)
chunks = list(torch.arange(60, dtype=torch.float32).div(60).view(3, 2, 10))


def extract(chunk):
    return net(chunk)


with ThreadPoolExecutor(2) as ex:
    with torch.no_grad():  # only inference
        features = list(ex.map(extract, chunks))
        embedding = np.concatenate(list(ex.map(np.asarray, features)))

centered = embedding - embedding.mean(axis=0)
print(embedding.shape, [f"{v:.4f}" for v in embedding[-1]])
print(f"{np.linalg.norm(centered):.4f}", sum(p.grad is not None for p in net.parameters()))
