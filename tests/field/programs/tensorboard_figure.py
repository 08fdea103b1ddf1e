# https://github.com/lanpa/tensorboardX/pull/238
# causes: why
# tensor: image[0]
# repair: line

import shutil

import torch
import torch.nn as nn
from torch.utils.tensorboard import SummaryWriter


class RecordingWriter(SummaryWriter):
    """also remembers what was sent, for the test"""

    sent = []

    def add_image(self, tag, img_tensor, *args, **kwargs):
        self.sent.append((tag, tuple(img_tensor.shape), float(img_tensor.mean())))
        return super().add_image(tag, img_tensor, *args, **kwargs)


def validate(net, loader, writer=None, show=True):
    dice_sum = 0
    with torch.no_grad():
        for batch_index, (image, target) in enumerate(loader):
            pred = net(image).sigmoid()
            dice_sum += (2 * (pred * target).sum() / (pred.sum() + target.sum())).item()
            if show:
                writer.add_figure("validation/first", image[0], global_step=batch_index)
    return dice_sum / len(loader)


torch.manual_seed(0)
net = nn.Conv2d(1, 1, 3, padding=1)
loader = [(torch.rand(2, 1, 8, 8), (torch.rand(2, 1, 8, 8) > 0.5).float()) for _ in range(2)]
writer = RecordingWriter("tb_unet")
dice = validate(net, loader, writer)
writer.close()
shutil.rmtree("tb_unet")
print(round(dice, 4))
for tag, shape, mean in writer.sent:
    print(tag, shape, round(mean, 4))
