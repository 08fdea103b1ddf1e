# https://github.com/yashbhalgat/HashNeRF-pytorch/issues/10

import numpy as np
import torch
import torch.nn as nn


def render(H, W, c2w, network):
    j, i = torch.meshgrid(torch.linspace(-1, 1, H), torch.linspace(-1, 1, W), indexing="ij")
    dirs = torch.stack([i, -j, -torch.ones_like(i)], -1)
    rays_d = dirs @ c2w[:3, :3].T
    out = network(torch.cat([rays_d, c2w[:3, 3].expand(rays_d.shape)], -1))
    return torch.sigmoid(out[..., :3]), torch.relu(out[..., 3])


def render_path(render_poses, hw, network, gt_imgs=None):
    H, W = hw
    rgbs, psnrs = [], []
    for i, c2w in enumerate(render_poses):
        rgb, acc = render(H, W, c2w[:3, :4], network)
        rgbs.append(rgb.cpu().numpy())
        if gt_imgs is not None:
            try_rgb = rgbs[-1]
            # the score of this view
            p = -10.0 * np.log10(np.mean(np.square(try_rgb - gt_imgs[i].cpu().numpy())))
            psnrs.append(p)
    return np.stack(rgbs, 0), psnrs


torch.manual_seed(0)
images = torch.rand(5, 6, 8, 3)
poses = torch.eye(4).repeat(5, 1, 1)
poses[:, 2, 3] = torch.linspace(2, 4, 5)
i_test = [1, 3]
mlp = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 4))
with torch.no_grad():
    rgbs, psnrs = render_path(poses[i_test], (6, 8), mlp, gt_imgs=images[i_test])
print(rgbs.shape, round(float(rgbs.mean()), 4))
print([round(float(p), 3) for p in psnrs])
