# https://github.com/pandas-dev/pandas/issues/24016

import pandas as pd
import torch
from torch import nn

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(1, 4), nn.Tanh(), nn.Linear(4, 1)).double()

df = pd.DataFrame(
    {
        "id": [1, 1, 2, 2, 2, 3],
        "vec": [0.1, 0.4, -1.0, 0.0, 2.0, 0.7],
        "label": [0, 0, 1, 1, 1, 0],
    }
)


def embed(s):
    return net(torch.tensor(s.to_numpy()).view(-1, 1)).mean().item()


grouped_df = df[["id", "vec", "label"]].groupby("id", as_index=False).agg({"label": "mean", "vec": embed})

print(grouped_df.shape, list(grouped_df.columns))
print([f"{float(v):.4f}" for v in grouped_df["vec"]], f"{float(grouped_df['vec'].mean()):.4f}")
