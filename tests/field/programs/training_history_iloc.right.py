# https://github.com/lnccbrown/LANfactory/pull/140

import pandas as pd
import torch
import torch.nn as nn


class NetTrainer:
    def __init__(self, model, fit_batches, check_batches):
        self.model = model
        self.fit_batches, self.check_batches = fit_batches, check_batches
        self.cost = nn.HuberLoss()

    def _held_out_cost(self):
        self.model.eval()
        return sum(self.cost(self.model(xb), yb) for xb, yb in self.check_batches) / len(self.check_batches)

    def run(self, rounds):
        optimizer = torch.optim.Adam(self.model.parameters(), lr=0.02)
        log = pd.DataFrame(0.0, index=range(rounds), columns=["epoch", "val_loss"])
        for epoch in range(rounds):
            self.model.train()
            for xb, yb in self.fit_batches:
                optimizer.zero_grad()
                self.cost(self.model(xb), yb).backward()
                optimizer.step()
            held_out = self._held_out_cost()
            log.iloc[epoch] = [epoch, held_out.item()]
        return log


torch.manual_seed(0)
batches = [(x, x.prod(1, keepdim=True)) for x in torch.rand(6, 16, 2)]
net = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1))
history = NetTrainer(net, batches[:4], batches[4:]).run(rounds=5)
print(history.dtypes.astype(str).tolist())
print(history.round(5).to_string())
