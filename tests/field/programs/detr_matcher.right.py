# https://github.com/facebookresearch/detr/issues/533

import torch
import torch.nn as nn
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment


class SetCriterion(nn.Module):
    def __init__(self, cost_class=1.0, cost_bbox=5.0):
        super().__init__()
        self.cost_class, self.cost_bbox = cost_class, cost_bbox

    def match(self, outputs, targets):
        prob = outputs["logits"].flatten(0, 1).softmax(-1)
        boxes = outputs["boxes"].flatten(0, 1)
        tgt_ids = torch.cat([t["labels"] for t in targets])
        tgt_boxes = torch.cat([t["boxes"] for t in targets])
        C = self.cost_bbox * torch.cdist(boxes, tgt_boxes, p=1) - self.cost_class * prob[:, tgt_ids]
        C = C.view(len(targets), -1, len(tgt_ids))
        sizes = [len(t["boxes"]) for t in targets]
        return [linear_sum_assignment(c[i].detach()) for i, c in enumerate(C.split(sizes, -1))]

    def forward(self, outputs, targets):
        total = 0.0
        for b, (row, col) in enumerate(self.match(outputs, targets)):
            t = targets[b]
            total = total + F.l1_loss(outputs["boxes"][b, row], t["boxes"][col])
            total = total + F.cross_entropy(outputs["logits"][b, row], t["labels"][col])
        return total / len(targets)


torch.manual_seed(0)
feats, queries = torch.randn(2, 16), 4
head_box, head_cls = nn.Linear(16, queries * 4), nn.Linear(16, queries * 3)
targets = [{"labels": torch.tensor(ids), "boxes": torch.rand(len(ids), 4)} for ids in ([0, 2], [1, 1, 0])]
criterion = SetCriterion()
opt = torch.optim.SGD([*head_box.parameters(), *head_cls.parameters()], lr=0.1)
for _ in range(5):
    out = {"boxes": head_box(feats).view(2, queries, 4).sigmoid(), "logits": head_cls(feats).view(2, queries, 3)}
    loss = criterion(out, targets)
    opt.zero_grad()
    loss.backward()
    opt.step()
print(round(loss.item(), 4), round(head_box.weight.sum().item(), 4), round(head_cls.weight.abs().sum().item(), 4))
