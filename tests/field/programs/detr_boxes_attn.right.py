# https://github.com/NielsRogge/Transformers-Tutorials/pull/178

import torch
import torch.nn as nn
import matplotlib.pyplot as plt


class QueryHead(nn.Module):
    def __init__(self, dim=8, queries=5):
        super().__init__()
        self.query = nn.Parameter(torch.rand(queries, dim))
        self.to_box = nn.Linear(dim, 4)
        self.to_prob = nn.Linear(dim, 3)

    def forward(self):
        return {"boxes": self.to_box(self.query).sigmoid(), "logits": self.to_prob(self.query)}


def to_pixels(boxes, size):
    w, h = size
    cx, cy, bw, bh = boxes.unbind(-1)
    found = torch.stack([cx - bw / 2, cy - bh / 2, cx + bw / 2, cy + bh / 2], dim=-1)
    return found * torch.tensor([w, h, w, h], dtype=torch.float32)


torch.manual_seed(0)
found = QueryHead()()
confidence = found["logits"].softmax(-1)[:, :-1]
sure = confidence.max(-1).values > 0.3
pixel_boxes = to_pixels(found["boxes"][sure], (640, 480))

fig, panels = plt.subplots(ncols=int(sure.sum()), nrows=1, figsize=(12, 3))
for q, ax, (left, top, right, bottom) in zip(sure.nonzero(), panels, pixel_boxes):
    ax.set_xlim(0, 640)
    ax.add_patch(
        plt.Rectangle(
            (left.item(), top.item()),
            (right - left).item(),
            (bottom - top).item(),
            fill=False,
            color="tab:red",
            linewidth=2,
        )
    )
    ax.set_title(f"slot {q.item()}")

for ax in panels:
    box = ax.patches[0]
    print(
        ax.get_title(),
        round(float(box.get_x()), 2),
        round(float(box.get_y()), 2),
        round(float(box.get_width()), 2),
        round(float(box.get_height()), 2),
    )
