# https://github.com/marsmarcin/Visual-of-Social-GAN/issues/2
# causes: device
# tensor: pred_traj_gt[:, i, :] | gt
# repair: line

import torch
import toy_device
import matplotlib.pyplot as plt
import numpy as np
from torch.utils.data import DataLoader, Dataset

device = "toy"


class Walks(Dataset):
    def __init__(self, n=4):
        rng = np.random.default_rng(0)
        self.tracks = rng.normal(size=(n, 8, 2)).cumsum(axis=1).astype(np.float32)

    def __len__(self):
        return len(self.tracks)

    def __getitem__(self, i):
        track = torch.from_numpy(self.tracks[i])
        return track[:5], track[5:]


def evaluate(loader, ax):
    for batch in loader:
        batch = [tensor.to(device) for tensor in batch]
        (obs_traj, pred_traj_gt) = (b.transpose(0, 1) for b in batch)
        for i in range(obs_traj.shape[1]):
            input_a = obs_traj[:, i, :].cpu().numpy()
            gt = pred_traj_gt[:, i, :]
            aa = np.concatenate((input_a, gt), axis=0)
            ax.plot(aa[:, 0], aa[:, 1], "-o", markersize=2)


fig, ax = plt.subplots()
evaluate(DataLoader(Walks(), batch_size=2), ax)
for line in ax.get_lines():
    print(len(line.get_xdata()), np.round(line.get_ydata()[-1], 4))
