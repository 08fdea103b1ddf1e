# https://github.com/jonathanking/sidechainnet/issues/41

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset


class StructureBuilder(torch.nn.Module):
    """angles -> backbone coordinates, bond length is learnable"""

    def __init__(self):
        super().__init__()
        self.bond = torch.nn.Parameter(torch.tensor(1.5))

    def forward(self, angles):
        steps = torch.stack([angles.cos(), angles.sin()], dim=-1) * self.bond
        return steps.cumsum(dim=0)


class ProteinDataset(Dataset):
    def __init__(self, split, n=6):
        self.rng = np.random.RandomState(len(split))
        self.angles = [self.rng.uniform(-1, 1, size=5) for _ in range(n)]
        self.builder = StructureBuilder()

    def __len__(self):
        return len(self.angles)

    def __getitem__(self, idx):
        coords = self.builder(torch.as_tensor(self.angles[idx], dtype=torch.float32))
        arr = np.array(coords.detach().numpy(), dtype=np.float32)
        return torch.from_numpy(arr - arr.mean(axis=0)), idx


if __name__ == "__main__":
    loader = DataLoader(ProteinDataset("valid-10"), batch_size=3, num_workers=1)
    for coords, idx in loader:
        print(idx.tolist(), tuple(coords.shape), f"{coords.norm().item():.4f}")
