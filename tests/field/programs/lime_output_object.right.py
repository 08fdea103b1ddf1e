# https://github.com/enjakokalj/TransSHAP/issues/4

from collections import OrderedDict
from dataclasses import dataclass, fields
from typing import Optional

import numpy as np
import torch


@dataclass
class SequenceClassifierOutput(OrderedDict):
    loss: Optional[torch.Tensor] = None
    logits: Optional[torch.Tensor] = None

    def __post_init__(self):
        self.update((f.name, getattr(self, f.name)) for f in fields(self))


class TinyClassifier(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.bag = torch.nn.EmbeddingBag(100, 8)
        self.head = torch.nn.Linear(8, 2)

    def forward(self, input_ids):
        return SequenceClassifierOutput(logits=self.head(self.bag(input_ids)))


class LimeExplainer:
    def __init__(self, model):
        self.model = model

    def softmax(self, it):
        exps = np.exp(np.array(it, dtype=float))
        return exps / np.sum(exps)

    def predict(self, data):
        ids = [[sum(map(ord, w)) % 100 for w in text.split()[:4]] for text in data]
        outputs = self.model(input_ids=torch.tensor(ids))
        predictions = outputs.logits.detach().cpu().numpy()
        return np.array([self.softmax(x) for x in predictions])


torch.manual_seed(0)
probs = LimeExplainer(TinyClassifier()).predict(["what a fine film", "this was so bad"])
print(probs.shape, probs.round(4).tolist())
