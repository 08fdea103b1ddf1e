# https://github.com/ayooshkathuria/pytorch-yolo-v3/issues/151

import cv2
import numpy as np
import torch

classes = ["person", "dog", "bus"]
colors = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]


def write(x, img):
    c1 = tuple(x[1:3].int().tolist())
    c2 = tuple(x[3:5].int().tolist())
    cls = int(x[-1])
    label = "{0}".format(classes[cls])
    color = colors[cls]
    cv2.rectangle(img, c1, c2, color, 1)
    drawn.append((label, c2[0] - c1[0], c2[1] - c1[1]))
    return img


def scale_back(output, inp_dim, shape):
    scale = inp_dim / max(shape)
    output[:, 1:5] /= scale
    output[:, [1, 3]] = output[:, [1, 3]].clamp(0, shape[1] - 1)
    output[:, [2, 4]] = output[:, [2, 4]].clamp(0, shape[0] - 1)
    return output


drawn = []
orig_im = np.zeros((48, 64, 3), dtype=np.uint8)
# image number, box, objectness, class score, class
output = torch.tensor(
    [
        [0, 10.0, 12.0, 60.5, 50.0, 0.9, 0.8, 0],
        [0, 70.0, 20.0, 120.0, 90.0, 0.8, 0.7, 2],
    ]
)
output = scale_back(output, 128, orig_im.shape[:2])

list(map(lambda x: write(x, orig_im), output))

print([(name, int(w), int(h)) for name, w, h in drawn])
print((orig_im > 0).sum(axis=(0, 1)).tolist())
