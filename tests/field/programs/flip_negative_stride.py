# https://github.com/aleju/imgaug/issues/630
# causes: why
# tensor: image
# repair: line

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset


class Flipud:
    def __init__(self, p=0.5, seed=0):
        self.p, self.rng = p, np.random.default_rng(seed)

    def augment_images(self, images):
        images = list(images)
        for i in range(len(images)):
            if self.rng.random() < self.p:
                images[i] = images[i][::-1, ...]
        return images


class Tiles(Dataset):
    def __init__(self, images, targets, augmenter=None):
        self.images, self.targets, self.augmenter = images, targets, augmenter

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        image = self.images[index]
        if self.augmenter is not None:
            image = self.augmenter.augment_images([image])[0]
        tensor = torch.from_numpy(image).permute(2, 0, 1).float() / 255
        return tensor, self.targets[index]


rng = np.random.default_rng(1)
tiles = Tiles(rng.integers(0, 256, (8, 6, 6, 3), dtype=np.uint8), rng.integers(0, 2, 8), Flipud(0.5))
torch.manual_seed(0)
net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(108, 2))
opt = torch.optim.SGD(net.parameters(), lr=0.1)
for batch, target in DataLoader(tiles, batch_size=4):
    opt.zero_grad()
    loss = torch.nn.functional.cross_entropy(net(batch), target)
    loss.backward()
    opt.step()
print(round(loss.item(), 4), round(net[1].weight.detach().abs().sum().item(), 4))
