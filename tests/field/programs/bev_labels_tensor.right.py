# https://github.com/avishkarsaha/translating-images-into-maps/issues/12

import torch
import torch.nn as nn
import torch.nn.functional as F


class MapNet(nn.Module):
    def __init__(self, classes=3):
        super().__init__()
        self.conv = nn.Conv2d(2, classes, 3, padding=1)

    def forward(self, x):
        return [self.conv(x), self.conv(F.avg_pool2d(x, 2))]


def collate(samples):
    images, labels = zip(*samples)
    return torch.stack(images), list(labels)


def compute_loss(preds, labels):
    # one map per image
    label = torch.stack(labels).long()
    total = 0
    for pred in preds:
        small = F.interpolate(label[:, None].float(), size=pred.shape[-2:]).squeeze(1).long()
        total = total + F.cross_entropy(pred, small)
    return total


torch.manual_seed(0)
samples = [(torch.rand(2, 8, 8), torch.randint(0, 3, (8, 8), dtype=torch.uint8)) for _ in range(6)]
loader = torch.utils.data.DataLoader(samples, batch_size=3, collate_fn=collate)
model = MapNet()
optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
for image, labels in loader:
    loss = compute_loss(model(image), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(round(loss.item(), 4), round(model.conv.weight.detach().abs().sum().item(), 4))
