# https://github.com/ivan-chai/torch-linear-assignment/issues/23

import torch
import toy_device
import torch.nn as nn
from scipy.optimize import linear_sum_assignment

device = torch.device("toy")


class SetMatcher(nn.Module):
    def __init__(self, w_cls=1.0, w_box=5.0):
        super().__init__()
        self.w_cls, self.w_box = w_cls, w_box

    @torch.no_grad()
    def forward(self, preds, truth):
        bs, slots = preds["logits"].shape[:2]
        prob = preds["logits"].flatten(0, 1).softmax(-1)
        gold_cls = torch.cat([v["labels"] for v in truth])
        gold_box = torch.cat([v["boxes"] for v in truth])
        cost = self.w_box * torch.cdist(preds["boxes"].flatten(0, 1), gold_box, p=1) - self.w_cls * prob[:, gold_cls]
        cost = cost.view(bs, slots, -1).to(device)

        counts = [len(v["boxes"]) for v in truth]
        pairs = [linear_sum_assignment(block[i].cpu()) for i, block in enumerate(cost.split(counts, -1))]
        return [(torch.as_tensor(i), torch.as_tensor(j)) for i, j in pairs]


torch.manual_seed(0)
head = nn.Linear(6, 3 + 4)
h = torch.randn(2, 5, 6)
truth = [
    {"labels": torch.tensor([0, 2]), "boxes": torch.rand(2, 4)},
    {"labels": torch.tensor([1, 1, 0]), "boxes": torch.rand(3, 4)},
]
out = head(h)
preds = {"logits": out[..., :3], "boxes": out[..., 3:].sigmoid()}
match = SetMatcher()(preds, truth)
loss = sum((preds["boxes"][b][i] - t["boxes"][j]).abs().sum() for b, ((i, j), t) in enumerate(zip(match, truth)))
loss.backward()
print([(i.tolist(), j.tolist()) for i, j in match], round(loss.item(), 4))
print(round(head.weight.grad.abs().sum().item(), 4))
