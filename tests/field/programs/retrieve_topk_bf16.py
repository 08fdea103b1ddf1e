# https://github.com/QwenLM/Qwen3-VL-Embedding/issues/53
# causes: dtype
# tensor: sims[i].cpu() | sims[i]
# repair: line

import numpy as np
import torch
import torch.nn.functional as F
import pandas as pd

LABELS = ["sports", "world", "business", "science"]


def process(texts, dim=24):
    # stands in for the embedder, which runs in bfloat16
    rows = []
    for t in texts:
        g = torch.Generator().manual_seed(sum(map(ord, t)))
        rows.append(torch.randn(dim, generator=g))
    return F.normalize(torch.stack(rows), dim=-1).to(torch.bfloat16)


def best_hits(q_vecs, c_vecs, k):
    sims = q_vecs @ c_vecs.T
    results = []
    for i in range(len(q_vecs)):
        row = sims[i].cpu().numpy()
        order = np.argsort(row)[::-1][:k]
        kept = row[order]
        results.append(list(zip(order.tolist(), kept.tolist())))
    return results


queries = ["match ends in draw", "rates rise again", "new moon found"]
results = best_hits(process(queries), process(LABELS), k=2)
table = pd.DataFrame(
    [(q, LABELS[j], round(s, 3)) for q, hits in zip(queries, results) for j, s in hits],
    columns=["query", "label", "score"],
)
print(table.to_string(index=False))
