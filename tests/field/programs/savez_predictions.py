# https://github.com/facebookresearch/vggt/pull/242
# causes: device
# tensor: result['pose_enc'] | result
# repair: elsewhere

import os

import numpy as np
import torch
import toy_device

device = "toy"


class DepthNet(torch.nn.Module):
    def __init__(self, stages=3):
        super().__init__()
        self.blocks = torch.nn.ModuleList(torch.nn.Linear(9, 9) for _ in range(stages))

    def forward(self, tokens):
        poses_all = []
        for blk in self.blocks:
            tokens = torch.tanh(blk(tokens))
            poses_all.append(tokens)
        depth = tokens.exp().sum(-1)
        return {"pose_enc": poses_all[-1], "pose_enc_list": poses_all, "depth": depth}


def infer(images):
    with torch.no_grad():
        result = model(images)
    for key, value in result.items():
        if isinstance(value, list):
            result[key] = [v.to(device) for v in value]
        else:
            result[key] = value.to(device)
    np.savez("predictions.npz", **result)
    return sorted(result)


torch.manual_seed(0)
model = DepthNet()
print(infer(torch.rand(2, 5, 9)))
with np.load("predictions.npz") as saved:
    print({k: (saved[k].shape, round(float(saved[k].mean()), 4)) for k in sorted(saved.files)})
os.remove("predictions.npz")
