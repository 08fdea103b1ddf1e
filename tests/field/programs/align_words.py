# https://github.com/cisnlp/simalign/issues/15
# causes: grad
# tensor: pooled
# repair: line

import numpy as np
import torch
import torch.nn as nn
from sklearn.metrics.pairwise import cosine_similarity

torch.manual_seed(0)


class PieceEmbedder(object):
    def __init__(self, vocab=50, dim=6):
        self.net = nn.Sequential(nn.Embedding(vocab, dim), nn.Linear(dim, dim))

    def embed(self, sents):
        return [self.net(torch.tensor(s)) for s in sents]


source_words = [[3, 7], [12], [9, 9, 4]]  # word -> its byte pairs
target_words = [[3], [12, 30], [44, 9]]
piece_ids = []
for tokens in (source_words, target_words):
    offset, words = 0, []
    for pieces in tokens:
        words.append(list(range(offset, offset + len(pieces))))
        offset += len(pieces)
    piece_ids.append(words)

embedder = PieceEmbedder()
piece_vecs = embedder.embed([sum(source_words, []), sum(target_words, [])])
word_vecs = []
for side in range(2):
    pooled = [piece_vecs[side][ids].mean(dim=0) for ids in piece_ids[side]]
    word_vecs.append(np.array(pooled))

affinity = cosine_similarity(*word_vecs)
print(affinity.shape, np.round(affinity.astype(float), 4).tolist())
print([(i, int(j)) for i, j in enumerate(affinity.argmax(1))])
