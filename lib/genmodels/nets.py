"""The networks: what stands between a tensor and the numbers that a model needs of it.

Each function returns an ``nn.Module`` whose weights are drawn from the global stream; the models call them within
``seeded``, which keeps that stream as it was.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw the weights made within from ``seed``, and leave the global random stream as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def mlp_encoder(data_shape: Sequence[int], latent_dim: int, hidden_dim: int) -> nn.Module:
    """(B, *data_shape) → (B, 2 latent_dim), through one hidden layer."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(math.prod(data_shape), hidden_dim),
        nn.SiLU(),
        nn.Linear(hidden_dim, 2 * latent_dim),
    )


def mlp_decoder(data_shape: Sequence[int], latent_dim: int, hidden_dim: int) -> nn.Module:
    """(B, latent_dim) → (B, *data_shape), through one hidden layer."""
    return nn.Sequential(
        nn.Linear(latent_dim, hidden_dim),
        nn.SiLU(),
        nn.Linear(hidden_dim, math.prod(data_shape)),
        nn.Unflatten(1, tuple(data_shape)),
    )


def conv_encoder(data_shape: Sequence[int], latent_dim: int, hidden_dim: int) -> nn.Module:
    """(B, C, H, W) → (B, 2 latent_dim): two convolutions, each halving the sides, then one linear layer.

    Raises
    ------
    ValueError
        If the data are not images with sides divisible by 4.
    """
    channels, height, width = _image_shape(data_shape)
    return nn.Sequential(
        nn.Conv2d(channels, hidden_dim // 4, 3, stride=2, padding=1),  # (B, hidden / 4, H / 2, W / 2)
        nn.SiLU(),
        nn.Conv2d(hidden_dim // 4, hidden_dim // 2, 3, stride=2, padding=1),  # (B, hidden / 2, H / 4, W / 4)
        nn.SiLU(),
        nn.Flatten(),
        nn.Linear(hidden_dim // 2 * (height // 4) * (width // 4), 2 * latent_dim),
    )


def conv_decoder(data_shape: Sequence[int], latent_dim: int, hidden_dim: int) -> nn.Module:
    """(B, latent_dim) → (B, C, H, W): the encoder's mirror image, with transposed convolutions.

    Raises
    ------
    ValueError
        If the data are not images with sides divisible by 4.
    """
    channels, height, width = _image_shape(data_shape)
    return nn.Sequential(
        nn.Linear(latent_dim, hidden_dim // 2 * (height // 4) * (width // 4)),
        nn.SiLU(),
        nn.Unflatten(1, (hidden_dim // 2, height // 4, width // 4)),
        # A kernel of 4 with a stride of 2 covers every output pixel equally often: no checkerboard.
        nn.ConvTranspose2d(hidden_dim // 2, hidden_dim // 4, 4, stride=2, padding=1),
        nn.SiLU(),
        nn.ConvTranspose2d(hidden_dim // 4, channels, 4, stride=2, padding=1),
    )


def _image_shape(data_shape: Sequence[int]) -> tuple[int, int, int]:
    if len(data_shape) != 3 or data_shape[1] % 4 or data_shape[2] % 4:
        raise ValueError(
            f"data_shape must be (C, H, W) with H and W divisible by 4 for a convolutional network, "
            f"got {tuple(data_shape)}"
        )
    channels, height, width = data_shape
    return channels, height, width


def digit_classifier(seed: int = 0) -> nn.Module:
    """A small convolutional classifier of 8 by 8 digits: (B, 1, 8, 8) → (B, 10) logits.

    Its penultimate layer, (B, 64), is what distances between sets of digits are measured on: ``classifier[:-1]``.
    """
    with seeded(seed):
        return nn.Sequential(
            nn.Conv2d(1, 32, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 64, 3, stride=2, padding=1),  # (B, 64, 4, 4)
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(64 * 16, 64),
            nn.ReLU(),
            nn.Linear(64, 10),
        )
