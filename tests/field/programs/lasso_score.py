# https://github.com/lasso-net/lassonet/issues/71
# causes: device
# tensor: model.predict(X_test) | pred
# repair: elsewhere

import torch
import toy_device
import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin


class LassoRegressor(RegressorMixin, BaseEstimator):
    def __init__(self, lr=0.1, epochs=40, lam=1e-3, device="toy"):
        self.lr = lr
        self.epochs = epochs
        self.lam = lam
        self.device = device

    def fit(self, X, y):
        X, y = torch.as_tensor(X).float(), torch.as_tensor(y).float()
        torch.manual_seed(0)
        self.model_ = torch.nn.Linear(X.shape[1], 1)
        optimizer = torch.optim.SGD(self.model_.parameters(), lr=self.lr)
        for _ in range(self.epochs):
            optimizer.zero_grad()
            loss = ((self.model_(X).squeeze(-1) - y) ** 2).mean() + self.lam * self.model_.weight.abs().sum()
            loss.backward()
            optimizer.step()
        return self

    def predict(self, X):
        self.model_.eval()
        with torch.no_grad():
            pred = self.model_(torch.as_tensor(X).float()).squeeze(-1).to(self.device)
        return pred


rng = np.random.default_rng(0)
X = rng.normal(size=(60, 4))
y = X @ np.array([1.5, 0.0, -2.0, 0.0]) + 0.1 * rng.normal(size=60)
X_train, X_test, y_train, y_test = X[:40], X[40:], y[:40], y[40:]

model = LassoRegressor().fit(X_train, y_train)
score = model.score(X_test, y_test)
print(f"R2 = {score:.4f}", [f"{w:.3f}" for w in model.model_.weight[0].tolist()])
