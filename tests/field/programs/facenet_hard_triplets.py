# https://github.com/liorshk/facenet_pytorch/issues/9
# causes: why
# tensor: loss
# repair: elsewhere

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F


class FaceModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(12, 4)

    def forward(self, x):
        return F.normalize(self.fc(x), dim=1)


def triplet_loss(a, p, n, margin):
    d_p = (a - p).pow(2).sum(1)
    d_n = (a - n).pow(2).sum(1)
    return torch.clamp(margin + d_p - d_n, min=0.0).mean()


torch.manual_seed(0)
model = FaceModel()
optimizer = torch.optim.SGD(model.parameters(), lr=0.2)
anchors, positives, negatives = (torch.randn(10, 12) for _ in range(3))
margin = 0.5

for epoch in range(3):
    out_a, out_p, out_n = model(anchors), model(positives), model(negatives)

    # choose the hard negatives
    d_p, d_n = F.pairwise_distance(out_a, out_p), F.pairwise_distance(out_a, out_n)
    is_hard = (d_n - d_p < margin).cpu().numpy().flatten()
    hard_triplets = np.where(is_hard == 1)[0]
    sel_a = torch.from_numpy(out_a.cpu().data.numpy()[hard_triplets])
    sel_p = torch.from_numpy(out_p.cpu().data.numpy()[hard_triplets])
    sel_n = torch.from_numpy(out_n.cpu().data.numpy()[hard_triplets])

    loss = triplet_loss(sel_a, sel_p, sel_n, margin)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(len(hard_triplets), round(loss.item(), 4))
print([round(w, 4) for w in model.fc.weight.sum(1).tolist()])
