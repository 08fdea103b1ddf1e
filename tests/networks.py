"""Two architectures people train, on real digits, each with a place where a detour through NumPy may stand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

Detour = Callable[[torch.Tensor], torch.Tensor]


def detour(h: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(np.clip(h.numpy(), -3, 3))


def smooth(h: Any) -> Any:
    return np.sort(h.numpy(), axis=-1)


def detour_by_helper(h: torch.Tensor) -> torch.Tensor:
    values = smooth(h)
    values = values * 2
    return torch.as_tensor(values)


class Block(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(x + self.bn2(self.conv2(h)))


class ResNet(nn.Module):
    """A residual network; the detour stands between its two blocks."""

    upstream = ("stem", "block1")

    def __init__(self, detour: Detour | None) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 8, 3, padding=1)
        self.block1 = Block(8)
        self.block2 = Block(8)
        self.head = nn.Linear(8, 10)
        self.detour = detour or nn.Identity()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        h = self.block1(self.stem(images))
        h = self.detour(h)
        return self.head(self.block2(h).mean((2, 3)))


class Transformer(nn.Module):
    """A transformer over the rows of an image; the detour stands behind its first layer."""

    upstream = ("embed", "position", "layers.0")

    def __init__(self, detour: Detour | None) -> None:
        super().__init__()
        self.embed = nn.Linear(8, 16)
        self.position = nn.Parameter(torch.zeros(8, 16))
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True) for _ in range(2)
        )
        self.head = nn.Linear(16, 10)
        self.detour = detour or nn.Identity()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        h = self.layers[0](self.embed(images.squeeze(1)) + self.position)
        h = self.detour(h)
        return self.head(self.layers[1](h).mean(1))


NETWORKS = {"resnet": ResNet, "transformer": Transformer}


def load(n: int = 64) -> tuple[torch.Tensor, torch.Tensor]:
    digits = load_digits()
    return torch.tensor(digits.images[:n] / 16, dtype=torch.float32)[:, None], torch.tensor(digits.target[:n])


def train(
    network: nn.Module, steps: int = 6, watch: Callable[[torch.Tensor, torch.Tensor], Any] | None = None, **options: Any
) -> None:
    """Train; `watch` is handed logits and loss at every step, as metrics and plots are."""
    images, labels = load()
    optimizer = options.pop("optimizer", None) or torch.optim.Adam(network.parameters(), lr=1e-3)
    for _ in range(steps):
        logits = network(images)
        loss = nn.functional.cross_entropy(logits, labels)
        optimizer.zero_grad()
        loss.backward()
        if watch is not None:
            watch(logits, loss)
        optimizer.step()
