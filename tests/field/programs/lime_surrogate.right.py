# https://github.com/marcotcr/lime/issues/508

import numpy as np
import torch
import torch.nn as nn
from sklearn.linear_model import Ridge


class TabularExplainer:
    """local linear model around one row"""

    def __init__(self, training_data, feature_names, num_samples=200):
        self.scale = training_data.std(axis=0)
        self.feature_names = feature_names
        self.num_samples = num_samples

    def explain_instance(self, row, predict_fn, num_features=2):
        rng = np.random.RandomState(0)
        data = row + rng.normal(size=(self.num_samples, len(row))) * self.scale
        yss = predict_fn(data)
        distances = np.linalg.norm((data - row) / self.scale, axis=1)
        weights = np.exp(-(distances**2))

        model = Ridge(alpha=0.1).fit(data, yss.detach().numpy(), sample_weight=weights)
        coef = np.ravel(model.coef_)
        order = np.argsort(-np.abs(coef))[:num_features]
        return [(self.feature_names[i], coef[i]) for i in order]


torch.manual_seed(0)
X_test = torch.randn(30, 4, dtype=torch.float64)
net = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 1)).double()

explainer = TabularExplainer(X_test.numpy(), ["age", "size", "rooms", "tax"])
exp = explainer.explain_instance(
    X_test[25].numpy(),
    lambda rows: net(torch.from_numpy(rows)).squeeze(1),
)
print([(name, f"{c:.3f}") for name, c in exp])
