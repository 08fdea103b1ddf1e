# https://github.com/fastai/course-v3/pull/519

import torch
import toy_device
import torch.nn as nn
import matplotlib.pyplot as plt

torch.manual_seed(0)
device = "toy"


class Generator(nn.Module):
    def __init__(self, nz=5):
        super().__init__()
        self.main = nn.Sequential(nn.Linear(nz, 3 * 4 * 4), nn.Sigmoid())

    def forward(self, z):
        return self.main(z).view(-1, 3, 4, 4)


netG = Generator()
optimizerG = torch.optim.SGD(netG.parameters(), lr=0.5)
target = torch.full((3, 4, 4), 0.25)
fixed_noise = torch.randn(4, 5)

fig, axs = plt.subplots(2, 2)
for epoch in range(3):
    optimizerG.zero_grad()
    out = netG(fixed_noise)
    fakes = out.to(device)
    if epoch == 2:  # look at the last ones
        for i, ax in enumerate(axs.flatten()):
            ax.imshow(fakes[i].detach().cpu().permute(1, 2, 0))
            ax.axis("off")
    lossG = ((out - target) ** 2).mean()
    lossG.backward()
    optimizerG.step()

print([round(float(ax.images[0].get_array().mean()), 4) for ax in axs.flatten()])
print(round(lossG.item(), 5), round(netG.main[0].bias.grad.abs().sum().item(), 5))
