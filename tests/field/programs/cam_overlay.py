# https://github.com/1Konny/gradcam_plus_plus-pytorch/issues/5
# causes: device
# tensor: 255 * cam_mask.view(h, w) | cam_mask
# repair: line

import cv2
import numpy as np
import torch
import toy_device
import torch.nn.functional as F

device = "toy"


def overlay(cam_mask, img, strength=1.0):
    """blend the class activation cam_mask over the image"""
    h, w = img.shape[-2:]
    colored = cv2.applyColorMap(np.uint8(255 * cam_mask.view(h, w)), cv2.COLORMAP_JET)
    colored = torch.from_numpy(colored).permute(2, 0, 1).float().div(255)
    b, g, r = colored.split(1)
    colored = torch.cat([r, g, b]) * strength
    blended = colored + img
    return colored, blended.div(blended.max()).squeeze()


def activation_map(feature, grads, size):
    weights = grads.flatten(1).mean(1).view(-1, 1, 1)
    cam = F.relu((weights * feature).sum(0, keepdim=True))[None]
    cam = F.interpolate(cam, size=size, mode="bilinear", align_corners=False)
    cam = (cam - cam.min()) / (cam.max() - cam.min())
    return cam.to(device)


torch.manual_seed(0)
picture = torch.rand(3, 16, 16)
cam_mask = activation_map(torch.rand(5, 4, 4), torch.randn(5, 4, 4), (16, 16))
colored, blended = overlay(cam_mask, picture)
print(colored.shape, [round(v, 4) for v in colored.mean((1, 2)).tolist()])
print(blended.shape, round(blended.mean().item(), 4))
