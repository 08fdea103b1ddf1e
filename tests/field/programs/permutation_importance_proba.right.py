# https://github.com/MarcelRobeer/ContrastiveExplanation/issues/4

import numpy as np
import torch
import torch.nn as nn
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.inspection import permutation_importance


class TorchClassifier(ClassifierMixin, BaseEstimator):
    def __init__(self, hidden=8, epochs=60):
        self.hidden = hidden
        self.epochs = epochs

    def fit(self, X, y):
        torch.manual_seed(0)
        self.classes_ = np.unique(y)
        self.net_ = nn.Sequential(
            nn.Linear(X.shape[1], self.hidden), nn.ReLU(), nn.Linear(self.hidden, len(self.classes_))
        )
        opt = torch.optim.Adam(self.net_.parameters(), lr=0.05)
        inputs, target = torch.tensor(X, dtype=torch.float32), torch.tensor(y)
        for _ in range(self.epochs):
            opt.zero_grad()
            nn.functional.cross_entropy(self.net_(inputs), target).backward()
            opt.step()
        return self

    def predict_proba(self, X):
        X = torch.tensor(X, dtype=torch.float32)  # convert from numpy to torch
        y = torch.softmax(self.net_(X), dim=1)
        return y.detach().numpy()  # and back

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


rng = np.random.default_rng(1)
X = rng.normal(size=(80, 3))
y = (X[:, 0] + 0.3 * X[:, 1] > 0).astype(int)
clf = TorchClassifier().fit(X, y)
result = permutation_importance(clf, X, y, scoring="neg_log_loss", n_repeats=3, random_state=0)
print([f"{m:.2f}" for m in result.importances_mean], f"{clf.score(X, y):.3f}")
