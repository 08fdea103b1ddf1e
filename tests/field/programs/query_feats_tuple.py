# https://github.com/nengdong96/CSDN/issues/3
# causes: why
# tensor: found
# repair: line

import numpy as np
import torch
import torch.nn as nn
from sklearn.preprocessing import normalize


class PersonNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.base = nn.Linear(12, 6)
        self.cls = nn.Linear(6, 4)
        self.proj = nn.Linear(6, 3)

    def forward(self, x1=None, x2=None):
        f = self.base(x1 if x1 is not None else x2)
        return f, self.cls(f), self.proj(f)


def extract(model, loader, total):
    model.eval()
    at = 0
    gallery = np.zeros((total, 6))
    gallery_id = np.zeros(total)
    with torch.no_grad():
        for step, (crops, label) in enumerate(loader):
            size = crops.size(0)
            found = model(x2=crops)
            gallery[at : at + size] = found.detach().numpy()
            gallery_id[at : at + size] = label.numpy()
            at = at + size
    return normalize(gallery), gallery_id


torch.manual_seed(0)
loader = [(torch.randn(4, 12), torch.arange(4)), (torch.randn(3, 12), torch.arange(3))]
feats, labels = extract(PersonNet(), loader, 7)
print(feats.shape, np.round(feats.mean(0), 4).tolist(), labels.tolist())
