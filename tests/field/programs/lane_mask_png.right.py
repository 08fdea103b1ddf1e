# https://github.com/Tsinghua-MARS-Lab/HDMapNet/issues/32

import io

import numpy as np
import torch
from PIL import Image
from torch.utils.data import Dataset


class RoadLabels(Dataset):
    def __len__(self):
        return 2

    def __getitem__(self, idx):
        g = torch.Generator().manual_seed(idx)
        mask = torch.rand(3, 20, 40, generator=g) > 0.7
        instance = torch.randint(0, 5, (1, 20, 40), generator=g)
        return mask, instance


def export_png(dataset):
    lut = np.random.RandomState(0).randint(0, 256, size=(256, 3))
    lut[0] = [0, 0, 0]
    written = []
    for lanes, ids in dataset:
        lanes = lanes.numpy().astype("uint8") * 255
        lanes = np.moveaxis(lanes, 0, -1)
        buf = io.BytesIO()
        Image.fromarray(lanes).save(buf, format="PNG")
        tinted = lut[ids.sum(0).numpy()].astype("uint8")
        written.append((Image.open(buf).size, lanes.mean(), tinted.mean()))
    return written


ds = RoadLabels()
for size, sem, ins in export_png([ds[i] for i in range(len(ds))]):
    print(size, round(float(sem), 3), round(float(ins), 3))
