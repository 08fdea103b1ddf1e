# https://github.com/weecology/DeepForest/issues/1214

import pandas as pd
import torch
from torch import nn


class CrownDetector(nn.Module):
    def __init__(self):
        super().__init__()
        self.box_head = nn.Linear(6, 4)
        self.cls_head = nn.Linear(6, 1)

    def forward(self, feats):
        with torch.autocast("cpu", enabled=False):
            boxes = self.box_head(feats.float()).relu() * 100
        scores = self.cls_head(feats).sigmoid().squeeze(-1)
        keep = scores > 0.3
        return {"boxes": boxes[keep], "labels": torch.zeros(int(keep.sum())), "scores": scores[keep]}


def format_boxes(prediction, scores=True):
    """one row per predicted crown"""
    if len(prediction["boxes"]) == 0:
        return None
    df = pd.DataFrame(
        prediction["boxes"].cpu().detach().numpy(),
        columns=["xmin", "ymin", "xmax", "ymax"],
    )
    df["label"] = prediction["labels"].cpu().detach().numpy()
    if scores:
        df["score"] = prediction["scores"].cpu().detach().float().numpy()
    return df


torch.manual_seed(1)
model = CrownDetector()
with torch.autocast("cpu", dtype=torch.bfloat16):
    pred = model(torch.randn(9, 6))
boxes = format_boxes(pred)
print(boxes.shape, list(boxes.columns))
print([f"{s:.3f}" for s in boxes.score], f"{boxes.xmin.mean():.2f}")
