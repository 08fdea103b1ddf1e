# https://github.com/fastai/course-v3/issues/509
# causes: device
# tensor: sort_idx
# repair: line

import torch
import toy_device
import numpy as np

torch.manual_seed(0)
device = "toy"

fnames = np.array([f"horse_{i:03d}.jpg" for i in range(12)])
library = {name: torch.rand(3, 8, 8) for name in fnames}


def get_batch(names, tfms):
    return torch.stack([tfms(library[n]) for n in names])


def show_best(fnames, losses, gen, n=4):
    sort_idx = losses.argsort(descending=True).to(device)
    xb = get_batch(fnames[sort_idx][:n], tfms=lambda img: img * 2 - 1)
    with torch.no_grad():
        fakes = gen(xb)
    return xb, fakes


gen = torch.nn.Conv2d(3, 3, kernel_size=3, padding=1)
# per-image identity loss of the generator
losses = torch.stack([(gen(im[None]) - im[None]).abs().mean() for im in library.values()]).detach()
xb, fakes = show_best(fnames, losses, gen)
print(xb.shape, fakes.shape)
print([round(v.mean().item(), 4) for v in xb], round(fakes.std().item(), 4))
