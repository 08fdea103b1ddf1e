# https://github.com/skorch-dev/skorch/issues/697
# causes: device
# tensor: y_train | X_train
# repair: line

import torch
import toy_device
import numpy as np
from sklearn.compose import TransformedTargetRegressor
from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler

device = torch.device("toy")
torch.manual_seed(0)


def to_tensor(x, device):
    return torch.as_tensor(x, dtype=torch.float32).to(device)


X_train = torch.rand(30, 9) + 0.5
y_train = (X_train[:, :3].sum(dim=1) + 0.05 * torch.randn(30)).reshape(-1, 1)
X_valid = (torch.rand(5, 9) + 0.5).numpy()

pipe0 = Pipeline(
    [
        ("log", FunctionTransformer(np.log, np.exp, validate=True)),
        ("scale", StandardScaler()),
        ("model", Ridge(alpha=0.1)),
    ]
)
pipe = TransformedTargetRegressor(regressor=pipe0, transformer=MinMaxScaler(), check_inverse=True)

X_train = to_tensor(X_train, device)
y_train = to_tensor(y_train, device)

pipe.fit(X_train, y_train)
print([f"{v:.3f}" for v in pipe.predict(X_valid).ravel()])
