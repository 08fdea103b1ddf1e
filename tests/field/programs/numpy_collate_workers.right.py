# https://github.com/broadinstitute/ml4ht_data_source/pull/6

import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, Dataset


class TokenData(Dataset):
    def __init__(self, embedding, n=9, length=3):
        gen = torch.Generator().manual_seed(0)
        self.tokens = torch.randint(0, embedding.num_embeddings, (n, length), generator=gen)
        self.embedding = embedding

    def __len__(self):
        return len(self.tokens)

    def __getitem__(self, i):
        return {"emb": self.embedding(self.tokens[i]), "n": int(self.tokens[i].max()), "id": [i]}


def numpy_collate(batch):
    """plain arrays for the tensorflow side"""
    if isinstance(batch[0], torch.Tensor):
        return np.stack([t.detach().numpy() for t in batch])
    if isinstance(batch[0], dict):
        return {k: numpy_collate([sample[k] for sample in batch]) for k in batch[0]}
    return np.array(batch)


if __name__ == "__main__":
    torch.manual_seed(0)
    data = TokenData(nn.Embedding(7, 2))
    loader = DataLoader(data, batch_size=4, num_workers=2, collate_fn=numpy_collate)
    for batch in loader:
        print(batch["emb"].shape, f"{batch['emb'].mean():.4f}", batch["n"].tolist(), batch["id"].ravel().tolist())
