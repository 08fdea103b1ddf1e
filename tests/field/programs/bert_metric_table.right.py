# https://github.com/appvision-ai/fast-bert/issues/19

import numpy as np
import torch
import toy_device
from sklearn.metrics import f1_score


def macro_f1(logit, gold, sigmoid=True, thresh=0.5, average="macro"):
    if sigmoid:
        logit = logit.sigmoid()
    hyp = (logit > thresh).numpy()
    return f1_score(gold.cpu(), hyp, average=average, zero_division=0)


def exact_match(logit, gold, thresh=0.5):
    same = (logit.sigmoid() > thresh) == gold.cpu().bool()
    return same.all(1).float().mean().item()


class TagLearner:
    def __init__(self, model, batches, metrics, device):
        self.model, self.batches, self.metrics, self.device = model, batches, metrics, device

    def validate(self):
        logits_seen, labels_seen = None, None
        for x, labels in self.batches:
            with torch.no_grad():
                logits = self.model(x)
            logits_seen = logits if logits_seen is None else torch.cat((logits_seen, logits), 0)
            labels_seen = labels if labels_seen is None else torch.cat((labels_seen, labels), 0)
        labels_seen = labels_seen.to(self.device)  # loss is computed there
        table = {entry["name"]: entry["function"](logits_seen, labels_seen) for entry in self.metrics}
        return table


torch.manual_seed(0)
batches = [(torch.randn(8, 5), torch.randint(0, 2, (8, 3))) for _ in range(3)]
learner = TagLearner(
    torch.nn.Linear(5, 3),
    batches,
    [{"name": "exact", "function": exact_match}, {"name": "F1_macro", "function": macro_f1}],
    "toy",
)
print({k: round(float(v), 4) for k, v in learner.validate().items()})
