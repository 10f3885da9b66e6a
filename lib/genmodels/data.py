"""The data: digits that are always there, clouds in the plane, and the torchvision sets for who is online.

Images are float32 in [0, 1], shape (N, C, H, W).
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from genmodels._shapes import require_choice

SPLITS = ("train", "test")


class LabelledImages(NamedTuple):
    """Images (N, C, H, W) in [0, 1], float32, and their classes (N,), int64."""

    images: Tensor
    labels: Tensor


def digits(split: str = "train") -> LabelledImages:
    """Scikit-learn's handwritten digits, 8 by 8 pixels, ten classes; they come with the package, with no download.

    Every fifth image of the 1,797 is held out: 1,438 are ``"train"``, 359 are ``"test"``. No random number is involved,
    so the split is the same for everybody, always.

    Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI repository, 1998 (its test part).

    Raises
    ------
    ValueError
        If ``split`` is unknown.
    """
    require_choice("split", split, SPLITS)
    from sklearn.datasets import load_digits  # 0.6 s, so only when digits are asked for

    bunch = load_digits()
    held_out = np.arange(len(bunch.target)) % 5 == 4
    chosen = held_out if split == "test" else ~held_out
    images = torch.from_numpy(bunch.images[chosen] / 16.0).to(torch.float32).unsqueeze(1)  # (N, 1, 8, 8)
    return LabelledImages(images, torch.from_numpy(bunch.target[chosen]).to(torch.int64))


def binarize(images: Tensor, threshold: float = 0.5) -> Tensor:
    """1 where a pixel is above ``threshold``, else 0: the binary images that a Bernoulli likelihood speaks of."""
    return (images > threshold).to(images.dtype)


class FactorImages(NamedTuple):
    """Images (N, 1, H, W) in [0, 1], float32, and the factors that they were made from, (N, 3), in [0, 1]."""

    images: Tensor
    factors: Tensor


def blobs(n: int, generator: torch.Generator | None = None, size: int = 12) -> FactorImages:
    """Discs with soft edges whose factors are known: horizontal position, vertical position and radius.

    The factors are independent and uniform in [0, 1]; the images are (n, 1, size, size).

    Raises
    ------
    ValueError
        If ``n`` is negative or ``size`` is less than 4.
    """
    if n < 0:
        raise ValueError(f"n must not be negative, got {n}")
    if size < 4:
        raise ValueError(f"size must be at least 4, got {size}")
    factors = torch.rand(n, 3, generator=generator)
    x, y = ((0.25 + 0.5 * factors[:, i, None, None]) * size for i in (0, 1))  # (n, 1, 1), in pixels
    radius = 1 + 1.5 * factors[:, 2, None, None]
    centre = torch.arange(size) + 0.5
    squared = (centre - x).square() + (centre[:, None] - y).square()  # (n, size, size)
    return FactorImages(torch.sigmoid(radius.square() - squared).unsqueeze(1), factors)


def _ring(n: int, generator: torch.Generator | None, modes: int = 8) -> Tensor:
    """Equally likely Gaussians of standard deviation 0.05 around the unit circle."""
    angle = 2 * math.pi * torch.randint(modes, (n,), generator=generator) / modes
    centre = torch.stack([angle.cos(), angle.sin()], dim=1)
    return centre + 0.05 * torch.randn(n, 2, generator=generator)


def _grid(n: int, generator: torch.Generator | None) -> Tensor:
    """25 equally likely Gaussians of standard deviation 0.05 on a 5 by 5 grid over [-2, 2]²."""
    centre = torch.randint(5, (n, 2), generator=generator) - 2.0
    return centre + 0.05 * torch.randn(n, 2, generator=generator)


def _moons(n: int, generator: torch.Generator | None) -> Tensor:
    """Two interleaved half circles, blurred by 0.1."""
    angle = math.pi * torch.rand(n, generator=generator)
    upper = torch.randint(2, (n,), generator=generator).bool()
    x = torch.where(upper, angle.cos() - 0.5, 0.5 - angle.cos())
    y = torch.where(upper, angle.sin() - 0.25, 0.25 - angle.sin())
    return torch.stack([x, y], dim=1) + 0.1 * torch.randn(n, 2, generator=generator)


def _spiral(n: int, generator: torch.Generator | None) -> Tensor:
    """A spiral of one and a half turns, blurred by 0.03."""
    angle = 3 * math.pi * torch.rand(n, generator=generator).sqrt()  # the root spreads points evenly by length
    radius = 1.5 * angle / (3 * math.pi)
    points = torch.stack([radius * angle.cos(), radius * angle.sin()], dim=1)
    return points + 0.03 * torch.randn(n, 2, generator=generator)


def _checkerboard(n: int, generator: torch.Generator | None) -> Tensor:
    """The dark squares of a 4 by 4 board over [-2, 2]², uniform within."""
    column = torch.randint(4, (n,), generator=generator)
    row = 2 * torch.randint(2, (n,), generator=generator) + column % 2
    corner = torch.stack([column, row], dim=1) - 2.0
    return corner + torch.rand(n, 2, generator=generator)


TOY_2D: dict[str, Callable[[int, torch.Generator | None], Tensor]] = {
    "eight_gaussians": _ring,
    "twenty_five_gaussians": _grid,
    "moons": _moons,
    "spiral": _spiral,
    "checkerboard": _checkerboard,
}


def toy2d(name: str, n: int, generator: torch.Generator | None = None) -> Tensor:
    """n points (n, 2) of a cloud in the plane: one of the names in ``TOY_2D``.

    Raises
    ------
    ValueError
        If ``name`` is unknown or ``n`` is negative.
    """
    require_choice("name", name, tuple(TOY_2D))
    if n < 0:
        raise ValueError(f"n must not be negative, got {n}")
    return TOY_2D[name](n, generator)


TORCHVISION_SETS = {"mnist": "MNIST", "fashion_mnist": "FashionMNIST", "cifar10": "CIFAR10"}


def torchvision_dataset(name: str, split: str = "train", root: str | Path = "data") -> Any:
    """A torchvision data set of (image, class) pairs, images (C, H, W) float32 in [0, 1]; downloaded into ``root``.

    ``name`` is ``"mnist"``, ``"fashion_mnist"`` or ``"cifar10"``.

    Raises
    ------
    ValueError
        If ``name`` or ``split`` is unknown.
    ConnectionError
        If the files are not in ``root`` and can't be downloaded; what was already there stays as it was.
    """
    require_choice("name", name, tuple(TORCHVISION_SETS))
    require_choice("split", split, SPLITS)
    from torchvision import datasets, transforms  # 0.5 s, so only when asked for

    dataset_class = getattr(datasets, TORCHVISION_SETS[name])
    to_unit_interval = transforms.ToTensor()
    try:
        return dataset_class(str(root), train=split == "train", transform=to_unit_interval, download=True)
    except (OSError, RuntimeError) as error:
        raise ConnectionError(
            f"{TORCHVISION_SETS[name]} is not in {str(root)!r} and could not be downloaded ({error}). "
            f"Go online once, or copy torchvision's files there; genmodels.data.digits needs no download."
        ) from error
