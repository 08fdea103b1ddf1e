# https://github.com/skorch-dev/skorch/issues/458

import torch
import toy_device
import numpy as np
import torch.nn as nn
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import PCA
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

device = "toy"
torch.manual_seed(0)

encoder = nn.Sequential(nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 3))


class ToTorch(TransformerMixin, BaseEstimator):
    def transform(self, X):
        with torch.no_grad():
            Y = encoder(torch.from_numpy(X).float()).to(device)
        return Y.cpu().numpy()

    def fit(self, X, y=None):
        return self


pipe = Pipeline(
    [
        ("scale", StandardScaler()),
        ("totorch", ToTorch()),
        ("pca", PCA(n_components=2)),
    ]
)

X = np.random.default_rng(0).normal(size=(25, 6))
pipe.fit(
    X,
)
print([f"{r:.4f}" for r in pipe.named_steps["pca"].explained_variance_ratio_])
print([f"{v:.3f}" for v in np.abs(pipe.transform(X)[:3]).ravel()])
