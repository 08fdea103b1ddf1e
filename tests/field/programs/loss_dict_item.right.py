# https://github.com/cshizhe/vil3dref/issues/5

import collections

import torch
import torch.nn as nn
import torch.nn.functional as F


class ReferIt(nn.Module):
    def __init__(self):
        super().__init__()
        self.obj, self.cls, self.txt = nn.Linear(6, 10), nn.Linear(10, 4), nn.Linear(6, 10)

    def forward(self, batch):
        objs = torch.tanh(self.obj(batch["objs"]))
        logits = torch.einsum("bnd,bd->bn", objs, self.txt(batch["txt"]))
        losses = {
            "og3d": F.cross_entropy(logits, batch["target"], reduction="none"),
            "obj3d": F.cross_entropy(self.cls(objs).transpose(1, 2), batch["classes"]),
        }
        losses["total"] = losses["og3d"].mean() + losses["obj3d"]
        return logits, losses


@torch.no_grad()
def validate(model, val_dataloader):
    model.eval()
    output = collections.defaultdict(list)
    for batch in val_dataloader:
        logits, losses = model(batch)
        loss_dict = {"loss/%s" % lk: lv.data.mean().item() for lk, lv in losses.items()}
        loss_dict["acc/og3d"] = (logits.argmax(1) == batch["target"]).float().mean().item()
        for k, v in loss_dict.items():
            output[k].append(v)
    return {k: round(sum(v) / len(v), 4) for k, v in output.items()}


def make_batch(n=5, num_objs=7):
    return {
        "objs": torch.randn(n, num_objs, 6),
        "txt": torch.randn(n, 6),
        "target": torch.randint(0, num_objs, (n,)),
        "classes": torch.randint(0, 4, (n, num_objs)),
    }


torch.manual_seed(0)
print(validate(ReferIt(), [make_batch() for _ in range(3)]))
