# https://github.com/embeddings-benchmark/mteb/issues/1297

import numpy as np
import torch
import torch.nn as nn
from sklearn.metrics import average_precision_score


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.EmbeddingBag(100, 16)

    @torch.no_grad()
    def encode(self, sentences):
        tok = torch.tensor([[hash_(w) for w in s.split()] for s in sentences])
        return nn.functional.normalize(self.emb(tok), dim=-1).float()


def hash_(word):
    return sum(ord(c) for c in word) % 100


class RankCheck:
    def __init__(self, samples):
        self.samples = samples

    def __call__(self, model):
        aps, self.scores = [], []
        queries = np.asarray(model.encode([s["query"] for s in self.samples]))
        for q, s in zip(queries, self.samples):
            docs = s["positive"] + s["negative"]
            relevant = [1] * len(s["positive"]) + [0] * len(s["negative"])
            doc_vecs = np.asarray(model.encode(docs))
            self.scores.append(doc_vecs @ q)
            aps.append(average_precision_score(relevant, self.scores[-1]))
        return float(np.mean(aps))


torch.manual_seed(0)
model = Encoder().to(torch.bfloat16)
samples = [
    {"query": "red fox", "positive": ["red dog"], "negative": ["old tea", "big sky"]},
    {"query": "cold sea", "positive": ["cold lake", "deep sea"], "negative": ["hot tea"]},
]
evaluator = RankCheck(samples)
print(round(evaluator(model), 4), model.emb.weight.dtype)
print([round(float(v), 3) for s in evaluator.scores for v in s])
