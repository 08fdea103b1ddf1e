# https://github.com/ClementPinard/SfmLearner-Pytorch/issues/89
# causes: why
# tensor: tensor
# repair: elsewhere

import numpy as np
import torch


def tensor2array(tensor, max_value=None):
    tensor = tensor.detach().cpu()
    if max_value is None:
        max_value = tensor.max().item()
    if tensor.dim() == 2:
        return (tensor / max_value).numpy()
    return 0.5 + tensor.numpy() * 0.5


def photometric_loss(target, refs, disp):
    """One list per scale: the frames warped on the target, and the differences."""
    warped, diff, loss = [], [], 0
    for scale in disp:
        h, w = scale.shape
        warped.append([ref[:, :h, :w] / (scale + 1) for ref in refs])
        diff.append([frame - target[:, :h, :w] for frame in warped[-1]])
        loss = loss + sum(d.abs().mean() for d in diff[-1])
    return loss, warped, diff


def log_output(log, prefix, disp, warped, diff):
    log[f"{prefix} disp"] = tensor2array(disp)
    for j, (warped_j, diff_j) in enumerate(zip(warped, diff)):
        log[f"{prefix} warped {j}"] = tensor2array(warped_j)
        log[f"{prefix} diff {j}"] = tensor2array(diff_j.abs() - 1)


torch.manual_seed(0)
target, refs = torch.rand(3, 8, 8), [torch.rand(3, 8, 8) for _ in range(2)]
disp = [torch.rand(8, 8, requires_grad=True), torch.rand(4, 4, requires_grad=True)]
loss, warped, diff = photometric_loss(target, refs, disp)
loss.backward()

log = {}
log_output(log, "val", disp[0], warped, diff)
for name, picture in log.items():
    print(name, picture.shape, round(float(np.mean(picture)), 4))
print([round(d.grad.sum().item(), 4) for d in disp])
