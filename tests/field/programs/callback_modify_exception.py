# https://github.com/timeseriesAI/tsai/issues/716
# causes: why
# tensor: self.learn.smooth_loss
# repair: line

from types import SimpleNamespace

import torch
import torch.nn as nn


class TensorBase(torch.Tensor):
    pass


class Callback:
    def __call__(self, event_name):
        try:
            getattr(self, event_name)()
        except Exception as e:
            where = f"Exception occured in `{type(self).__name__}` when calling event `{event_name}`"
            raise RuntimeError(f"{where}:\n\t{e.args[0]}") from e


class ProgressCallback(Callback):
    comments = []

    def after_batch(self):
        self.comments.append(f"{self.learn.smooth_loss:.4f}")


def fit(learn, batches):
    opt = torch.optim.SGD(learn.model.parameters(), lr=0.1)
    for xb, yb in batches:
        loss = nn.functional.mse_loss(learn.model(xb), yb)
        opt.zero_grad()
        loss.backward()
        opt.step()
        learn.smooth_loss = torch.lerp(loss.detach(), getattr(learn, "smooth_loss", loss.detach()), 0.9)
        for cb in learn.cbs:
            cb.learn = learn
            cb("after_batch")


torch.manual_seed(0)
x = torch.randn(4, 8, 3).as_subclass(TensorBase)
learn = SimpleNamespace(model=nn.Linear(3, 1), cbs=[ProgressCallback()])
fit(learn, [(xb, xb.sum(1, keepdim=True)) for xb in x])
print(ProgressCallback.comments, [round(v, 4) for v in learn.model.weight[0].tolist()])
