# https://github.com/ayooshkathuria/pytorch-yolo-v3/issues/151

import cv2
import numpy as np
import torch

names = ["cat", "dog", "bird"]
palette = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]


def annotate(x, img):
    corner_a = tuple(x[1:3].int().tolist())
    corner_b = tuple(x[3:5].int().tolist())
    kind = int(x[-1])
    label = names[kind]
    color = palette[kind]
    cv2.rectangle(img, corner_a, corner_b, color, 1)
    text_size = cv2.getTextSize(label, cv2.FONT_HERSHEY_PLAIN, 1, 1)[0]
    corner_b = corner_a[0] + text_size[0] + 3, corner_a[1] + text_size[1] + 4
    cv2.rectangle(img, corner_a, corner_b, color, -1)
    return img


canvas = np.zeros((120, 160, 3), dtype=np.uint8)
# batch, x1, y1, x2, y2, objectness, score, class
detections = torch.tensor([[0, 10.4, 12.7, 60.2, 80.1, 0.9, 0.8, 0], [0, 70.0, 20.0, 150.6, 110.3, 0.8, 0.7, 2]])
detections[:, 1:5] = torch.clamp(detections[:, 1:5], 0.0, 119.0)
list(map(lambda det: annotate(det, canvas), detections))
print(canvas.shape, [int((canvas[..., k] > 0).sum()) for k in range(3)])
