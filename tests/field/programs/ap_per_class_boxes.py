# https://github.com/twosixlabs/armory/issues/1002
# causes: device
# tensor: box_1
# repair: line

from collections import defaultdict

import torch
import toy_device
import numpy as np

device = "toy"


def intersection_over_union(box_1, box_2):
    box_1, box_2 = np.asarray(box_1), np.asarray(box_2)
    lo, hi = np.maximum(box_1[:2], box_2[:2]), np.minimum(box_1[2:], box_2[2:])
    inter = np.prod(np.clip(hi - lo, 0, None))
    area = lambda b: np.prod(b[2:] - b[:2])
    return inter / (area(box_1) + area(box_2) - inter)


def detector(image_id):
    torch.manual_seed(image_id)
    xy = torch.rand(3, 2)
    boxes = torch.cat([xy, xy + 0.5], dim=1)
    return {"boxes": boxes.to(device), "labels": [1, 2, 1], "scores": torch.rand(3).tolist()}


# per class: list of dicts, one per predicted box
pred_boxes = defaultdict(list)
for img in range(3):
    out = detector(img)
    for box, label, score in zip(out["boxes"], out["labels"], out["scores"]):
        pred_boxes[label].append({"img": img, "box": box, "score": score})

gt = np.array([0.2, 0.2, 0.8, 0.8])
for label, preds in sorted(pred_boxes.items()):
    preds.sort(key=lambda p: -p["score"])
    ious = [intersection_over_union(p["box"], gt) for p in preds]
    print(label, np.round(ious, 4).tolist())
