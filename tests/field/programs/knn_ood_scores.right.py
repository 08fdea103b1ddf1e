# https://github.com/kkirchheim/pytorch-ood/issues/25

import torch
import toy_device
import torch.nn as nn
from sklearn.neighbors import NearestNeighbors


class NearestScore:
    """distance to the nearest training feature as outlier score"""

    def __init__(self, model, **knn_kwargs):
        self.model = model
        self.index = NearestNeighbors(n_neighbors=1, **knn_kwargs)

    def fit(self, loader):
        feats = torch.cat([self.model(x).cpu() for x, y in loader])
        self.index.fit(feats.detach().numpy())
        return self

    def predict(self, x):
        return self.score_features(self.model(x))

    def score_features(self, emb):
        dist, idx = self.index.kneighbors(emb.detach().cpu().numpy(), n_neighbors=1, return_distance=True)
        return torch.from_numpy(dist).squeeze(1)


class Backbone(nn.Module):
    def __init__(self, device):
        super().__init__()
        self.fc = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 4))
        self.device = device

    def forward(self, x):
        return self.fc(x).to(self.device)


torch.manual_seed(0)
loader = [(torch.randn(10, 6), None) for _ in range(4)]
with torch.no_grad():
    detector = NearestScore(Backbone("toy")).fit(loader)
    inliers, outliers = detector.predict(torch.randn(5, 6)), detector.predict(4 * torch.randn(5, 6))
print([round(v, 3) for v in inliers.tolist()])
print([round(v, 3) for v in outliers.tolist()])
