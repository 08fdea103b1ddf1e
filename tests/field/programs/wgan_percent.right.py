# https://github.com/eriklindernoren/PyTorch-GAN/issues/8

import torch
import torch.nn as nn

torch.manual_seed(0)
latent_dim, n_epochs, n_critic = 4, 2, 2
generator = nn.Sequential(nn.Linear(latent_dim, 8), nn.ReLU(), nn.Linear(8, 3))
discriminator = nn.Sequential(nn.Linear(3, 8), nn.LeakyReLU(0.2), nn.Linear(8, 1))
optimizer_G = torch.optim.RMSprop(generator.parameters(), lr=5e-3)
optimizer_D = torch.optim.RMSprop(discriminator.parameters(), lr=5e-3)
dataloader = torch.utils.data.DataLoader(torch.randn(24, 3) + 2, batch_size=6)

lines = []
for epoch in range(n_epochs):
    for i, real_imgs in enumerate(dataloader):
        z = torch.randn(real_imgs.shape[0], latent_dim)
        fake_imgs = generator(z).detach()
        d_loss = -torch.mean(discriminator(real_imgs)) + torch.mean(discriminator(fake_imgs))
        optimizer_D.zero_grad()
        d_loss.backward()
        optimizer_D.step()
        for p in discriminator.parameters():
            p.data.clamp_(-0.1, 0.1)

        if i % n_critic == 0:
            optimizer_G.zero_grad()
            gen_validity = discriminator(generator(z))
            gen_validity.backward(torch.full_like(gen_validity, -1 / len(z)))
            optimizer_G.step()
            lines.append(
                "[Epoch %d/%d] [Batch %d/%d] [D loss: %f] [G loss: %f]"
                % (epoch, n_epochs, i, len(dataloader), d_loss.item(), -gen_validity.mean().item())
            )

print("\n".join(lines))
print(round(generator[0].weight.detach().abs().sum().item(), 4))
