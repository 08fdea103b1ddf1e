# https://github.com/QwenAudio/CosyVoice/issues/195
# causes: why
# tensor: sample["spk_embedding"]
# repair: line

import numpy as np
import pandas as pd
import torch
from torch.utils.data import DataLoader, IterableDataset

EMB = [f"e{i}" for i in range(4)]


def opener(table):
    for _, row in table.iterrows():
        yield {"utt": row["utt"], "length": int(row["length"]), "spk_embedding": row[EMB].values}


def parse_embedding(data):
    for sample in data:
        sample["spk_embedding"] = torch.tensor(sample["spk_embedding"], dtype=torch.float32)
        yield sample


def sort(data):
    yield from sorted(data, key=lambda s: -s["length"])


class Pipeline(IterableDataset):
    def __init__(self, source, *stages):
        self.source, self.stages = source, stages

    def __iter__(self):
        data = opener(self.source)
        for stage in self.stages:
            data = stage(data)
        yield from data


df = pd.DataFrame(np.arange(20.0).reshape(5, 4) / 7, columns=EMB)
df.insert(0, "utt", [f"u{i}" for i in range(5)])
df["length"] = [3, 9, 4, 7, 5]
for sample in DataLoader(Pipeline(df, parse_embedding, sort), batch_size=None, num_workers=1):
    emb = sample["spk_embedding"]
    print(sample["utt"], emb.dtype, round(emb.mean().item(), 3))
