# https://github.com/lukemelas/PyTorch-Pretrained-ViT/issues/31

import torch
import torch.nn as nn


class AverageMeter(object):
    def __init__(self, name, fmt=":f"):
        self.name, self.fmt = name, fmt
        self.val = self.avg = self.sum = self.count = 0

    def update(self, val, n=1):
        self.val = val
        self.sum += val * n
        self.count += n
        self.avg = self.sum / self.count

    def __str__(self):
        fmtstr = "{name} {val" + self.fmt + "} ({avg" + self.fmt + "})"
        return fmtstr.format(**self.__dict__)


def accuracy(output, target, topk=(1,)):
    with torch.no_grad():
        _, pred = output.topk(max(topk), 1, True, True)
        correct = pred.t().eq(target.view(1, -1).expand_as(pred.t()))
        return [correct[:k].reshape(-1).float().sum(0, keepdim=True).mul_(100.0 / len(target)) for k in topk]


torch.manual_seed(0)
model, criterion = nn.Linear(6, 8), nn.CrossEntropyLoss()
losses, top1, top5 = AverageMeter("Loss", ":.4f"), AverageMeter("Acc@1", ":6.2f"), AverageMeter("Acc@5", ":6.2f")
for i in range(3):
    images, target = torch.randn(16, 6), torch.randint(0, 8, (16,))
    output = model(images)
    acc1, acc5 = accuracy(output, target, topk=(1, 5))
    losses.update(criterion(output, target).item(), images.size(0))
    top1.update(acc1.item(), images.size(0))
    top5.update(acc5.item(), images.size(0))

print("\t".join(str(meter) for meter in (losses, top1, top5)))
