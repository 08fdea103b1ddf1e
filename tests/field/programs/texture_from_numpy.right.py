# https://github.com/nlsde-safety-team/DualAttentionAttack/issues/12

import numpy as np
import torch
from torch import nn


def load_obj(texture_size=2, n_faces=6):
    faces = np.arange(n_faces * 3, dtype=np.int32).reshape(n_faces, 3)
    # the newer loader gives tensors
    textures = torch.full((n_faces, texture_size, texture_size, texture_size, 3), 0.4)
    return torch.from_numpy(faces), textures


faces, textures = load_obj()
texture_mask = np.zeros(textures.shape, dtype=np.int8)
texture_mask[[1, 3, 4]] = 1
texture_mask = torch.from_numpy(texture_mask[None]).float()

torch.manual_seed(0)
texture_param = nn.Parameter(torch.rand(1, *textures.shape))
texture_origin = textures[None, :, :, :, :, :]


def cal_texture(texture_param, texture_origin, texture_mask):
    return texture_origin * (1 - texture_mask) + torch.sigmoid(texture_param) * texture_mask


view = torch.rand(1, 6, 1, 1, 1, 3)
optim = torch.optim.Adam([texture_param], lr=0.1)
for step in range(5):
    painted = cal_texture(texture_param, texture_origin, texture_mask)
    loss = (painted * view).mean() + 0.1 * (painted[:, :, 1:] - painted[:, :, :-1]).abs().mean()
    optim.zero_grad()
    loss.backward()
    optim.step()

print(painted.shape, round(loss.item(), 5))
print([round(v, 4) for v in painted.detach().mean(dim=(0, 2, 3, 4, 5)).tolist()])
