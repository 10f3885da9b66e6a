"""The networks: what stands between a tensor and the numbers that a model needs of it.

Encoders and decoders draw their weights from the global stream; the models make them within ``seeded``, which keeps
that stream as it was. The others take a seed.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

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


# --- generators and discriminators ------------------------------------------------------------------------------------


def mlp_generator(latent_dim: int = 2, hidden_dim: int = 128, data_dim: int = 2, seed: int = 0) -> nn.Module:
    """(B, latent_dim) → (B, data_dim), through two hidden layers: for clouds in the plane."""
    with seeded(seed):
        return nn.Sequential(
            nn.Linear(latent_dim, hidden_dim),
            nn.ReLU(),
            nn.Linear(hidden_dim, hidden_dim),
            nn.ReLU(),
            nn.Linear(hidden_dim, data_dim),
        )


def mlp_discriminator(
    data_dim: int = 2, hidden_dim: int = 128, spectral_norm: bool = False, seed: int = 0
) -> nn.Module:
    """(B, data_dim) → (B,) logits, through two hidden layers; with ``spectral_norm`` no layer is steeper than 1."""
    with seeded(seed):
        return nn.Sequential(
            _bounded(nn.Linear(data_dim, hidden_dim), spectral_norm),
            nn.LeakyReLU(0.2),
            _bounded(nn.Linear(hidden_dim, hidden_dim), spectral_norm),
            nn.LeakyReLU(0.2),
            _bounded(nn.Linear(hidden_dim, 1), spectral_norm),
            nn.Flatten(start_dim=0),  # (B, 1) to (B,)
        )


def _bounded(layer: nn.Module, spectral_norm: bool) -> nn.Module:
    """The layer, its weight matrix divided by its largest singular value if so wished (Miyato et al., 2018)."""
    return nn.utils.parametrizations.spectral_norm(layer) if spectral_norm else layer


def _quarter(side: int) -> int:
    if side < 4 or side % 4:
        raise ValueError(f"side must be a positive multiple of 4, got {side}")
    return side // 4


@dataclass(frozen=True)
class Guidelines:
    """The five guidelines of DCGAN (Radford et al., 2016), each of which can be switched off to see what it buys."""

    strided: bool = True  # strided convolutions, up and down; else upsampling and average pooling
    batch_norm: bool = True  # batch normalisation in both networks
    no_hidden_linear: bool = True  # no fully connected hidden layer
    relu_tanh: bool = True  # ReLU in the generator and tanh at its end; else leaky ReLU and no tanh
    leaky_relu: bool = True  # leaky ReLU in the discriminator; else ReLU


def dcgan_generator(
    latent_dim: int = 32, width: int = 32, guidelines: Guidelines | None = None, seed: int = 0, side: int = 8
) -> nn.Module:
    """Codes to grey images: (B, latent_dim) → (B, 1, side, side), from a small map of ``2 width`` channels.

    The map's sides are a quarter of the image's: 2 by 2 for digits. Pixels lie in [-1, 1] by the tanh at the end;
    without it (``relu_tanh=False``) they may be any number.

    Raises
    ------
    ValueError
        If ``side`` is not a positive multiple of 4.
    """
    small = _quarter(side)
    rules = guidelines or Guidelines()

    def activation() -> nn.Module:
        return nn.ReLU(inplace=True) if rules.relu_tanh else nn.LeakyReLU(0.2, inplace=True)

    def upwards(inputs: int, outputs: int) -> list[nn.Module]:
        if rules.strided:
            return [nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1)]
        return [nn.Upsample(scale_factor=2), nn.Conv2d(inputs, outputs, 3, padding=1)]

    def normalised(channels: int) -> list[nn.Module]:
        return [nn.BatchNorm2d(channels)] if rules.batch_norm else []

    with seeded(seed):
        layers: list[nn.Module] = []
        if not rules.no_hidden_linear:
            layers += [nn.Linear(latent_dim, latent_dim), activation()]
        layers += [nn.Linear(latent_dim, 2 * width * small**2), nn.Unflatten(1, (2 * width, small, small))]  # of z
        layers += [*normalised(2 * width), activation()]
        layers += [*upwards(2 * width, width), *normalised(width), activation()]  # (B, width, side / 2, side / 2)
        layers += upwards(width, 1)  # (B, 1, side, side)
        return nn.Sequential(*layers, *([nn.Tanh()] if rules.relu_tanh else []))


def dcgan_discriminator(
    width: int = 32,
    guidelines: Guidelines | None = None,
    spectral_norm: bool = False,
    seed: int = 0,
    side: int = 8,
) -> nn.Module:
    """Grey images to logits: (B, 1, side, side) → (B,).

    ``spectral_norm`` divides each layer's matrix by its largest singular value. It takes the place of batch
    normalisation, whose scales would undo the bound.

    Raises
    ------
    ValueError
        If ``side`` is not a positive multiple of 4.
    """
    rules = guidelines or Guidelines()
    flat = 2 * width * _quarter(side) ** 2

    def activation() -> nn.Module:
        return nn.LeakyReLU(0.2, inplace=True) if rules.leaky_relu else nn.ReLU(inplace=True)

    def downwards(inputs: int, outputs: int) -> list[nn.Module]:
        if rules.strided:
            return [_bounded(nn.Conv2d(inputs, outputs, 4, stride=2, padding=1), spectral_norm)]
        return [_bounded(nn.Conv2d(inputs, outputs, 3, padding=1), spectral_norm), nn.AvgPool2d(2)]

    with seeded(seed):
        layers = [*downwards(1, width), activation()]  # (B, width, side / 2, side / 2); no batch norm on the input's
        layers += downwards(width, 2 * width)  # (B, 2 width, side / 4, side / 4)
        layers += [nn.BatchNorm2d(2 * width)] if rules.batch_norm and not spectral_norm else []
        layers += [activation(), nn.Flatten()]
        if not rules.no_hidden_linear:
            layers += [_bounded(nn.Linear(flat, flat), spectral_norm), activation()]
        return nn.Sequential(*layers, _bounded(nn.Linear(flat, 1), spectral_norm), nn.Flatten(start_dim=0))
