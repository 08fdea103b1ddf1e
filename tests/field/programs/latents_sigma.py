# https://github.com/bes-dev/stable_diffusion.openvino/issues/146
# causes: why
# tensor: self.scheduler.sigmas[0]
# repair: line

import numpy as np
import torch


class LMSScheduler:
    def set_timesteps(self, n):
        betas = torch.linspace(0.00085**0.5, 0.012**0.5, 50) ** 2
        ac = torch.cumprod(1 - betas, 0)
        sigmas = ((1 - ac) / ac) ** 0.5
        self.timesteps = np.linspace(49, 0, n).round().astype(int)
        self.sigmas = torch.cat([sigmas[self.timesteps], torch.zeros(1)])

    def step(self, noise, i, latents):
        dt = (self.sigmas[i + 1] - self.sigmas[i]).item()
        return latents + dt * noise


class Engine:
    """The network itself is a compiled one that takes and gives arrays."""

    def __init__(self, scheduler, unet):
        self.scheduler = scheduler
        self.unet = unet

    def __call__(self, shape=(1, 4, 8, 8), num_inference_steps=5, seed=0):
        latents = np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)
        self.scheduler.set_timesteps(num_inference_steps)
        latents = latents * self.scheduler.sigmas[0]

        for i, t in enumerate(self.scheduler.timesteps):
            noise_pred = self.unet(latents, t)
            latents = self.scheduler.step(noise_pred, i, latents)
        return np.clip(latents / 2 + 0.5, 0, 1)


engine = Engine(LMSScheduler(), unet=lambda x, t: np.tanh(x) * (1 + t / 100))
image = engine()
print(type(image).__name__, image.dtype, image.shape)
print(round(float(image.mean()), 4), round(float(image.std()), 4))
