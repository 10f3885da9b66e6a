"""How close two samples are, and whether a mixture's modes are covered: what one measures when there is no likelihood.

All functions take samples as (N, D) tensors; images are flattened, or turned into features, by the caller. What is
random takes a generator.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from genmodels._shapes import require_positive


def _require_samples(name: str, value: Tensor, at_least: int = 1) -> None:
    if not isinstance(value, Tensor) or not torch.is_floating_point(value) or value.ndim != 2:
        got = f"{value.dtype} {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
        raise ValueError(f"{name} must be a floating-point tensor of shape (N, D), got {got}")
    if len(value) < at_least:
        raise ValueError(f"{name} must hold at least {at_least} samples, got {len(value)}")


def _require_pair(x: Tensor, y: Tensor, at_least: int = 1) -> None:
    _require_samples("x", x, at_least)
    _require_samples("y", y, at_least)
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"y must have the dimension of x, {x.shape[1]}, got {y.shape[1]}")


def distances(x: Tensor, y: Tensor) -> Tensor:
    """All Euclidean distances, (N, D), (M, D) → (N, M), from differences: the way by products cancels far from zero."""
    return torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")


def wasserstein_1d(x: Tensor, y: Tensor) -> Tensor:
    """The Wasserstein-1 distance of samples on a line, for each column: (N, K), (M, K) → (K,).

    The area between the two quantile functions; for equal sizes, the mean distance of the sorted samples.
    """
    _require_pair(x, y)
    n, m = len(x), len(y)
    x, y = x.sort(dim=0).values, y.sort(dim=0).values
    if n == m:
        return (x - y).abs().mean(dim=0)
    # The quantile functions are steps; between consecutive levels i/n and j/m both are constant.
    steps = [torch.arange(size + 1, dtype=x.dtype, device=x.device) / size for size in (n, m)]
    levels = torch.cat(steps).sort().values
    middle = (levels[1:] + levels[:-1]) / 2
    at = [(middle * size).long().clamp(max=size - 1) for size in (n, m)]
    return ((levels[1:] - levels[:-1])[:, None] * (x[at[0]] - y[at[1]]).abs()).sum(dim=0)


def sliced_wasserstein(
    x: Tensor, y: Tensor, projections: int = 256, generator: torch.Generator | None = None
) -> Tensor:
    """The mean Wasserstein-1 distance of (N, D) and (M, D) along random directions: ().

    Bonneel et al., Sliced and Radon Wasserstein Barycenters of Measures, 2015.

    Raises
    ------
    ValueError
        If the samples don't have one dimension, or ``projections`` is less than 1.
    """
    _require_pair(x, y)
    if projections < 1:
        raise ValueError(f"projections must be at least 1, got {projections}")
    directions = torch.randn(x.shape[1], projections, generator=generator, dtype=x.dtype).to(x.device)
    directions = directions / directions.norm(dim=0)
    return wasserstein_1d(x @ directions, y @ directions).mean()


def energy_distance(x: Tensor, y: Tensor) -> Tensor:
    """The squared energy distance of (N, D) and (M, D): 2 E‖X - Y‖ - E‖X - X'‖ - E‖Y - Y'‖, over all pairs: ().

    It is never negative, and zero when the samples are the same (Székely and Rizzo, 2013; the V-statistic).
    """
    _require_pair(x, y)
    within = distances(x, x).mean() + distances(y, y).mean()
    return 2 * distances(x, y).mean() - within


def mmd(x: Tensor, y: Tensor, bandwidth: float) -> Tensor:
    """The squared maximum mean discrepancy of (N, D) and (M, D) under a Gaussian kernel, unbiased: ().

    The kernel is exp(-‖a - b‖² / (2 bandwidth²)). A point is not paired with itself, so that the expectation is the
    discrepancy of the distributions, and single estimates may be negative (Gretton et al., 2012).

    Raises
    ------
    ValueError
        If a sample has less than two points, or ``bandwidth`` is not positive.
    """
    _require_pair(x, y, at_least=2)
    require_positive("bandwidth", bandwidth)

    def kernel(a: Tensor, b: Tensor) -> Tensor:
        return torch.exp(-distances(a, b).square() / (2 * bandwidth**2))

    n, m = len(x), len(y)
    within_x = (kernel(x, x).sum() - n) / (n * (n - 1))
    within_y = (kernel(y, y).sum() - m) / (m * (m - 1))
    return within_x + within_y - 2 * kernel(x, y).mean()


def frechet_distance(x: Tensor, y: Tensor) -> Tensor:
    """The squared Fréchet distance between Gaussians fitted to (N, D) and (M, D): ().

    ‖mu_x - mu_y‖² + tr(C_x + C_y - 2 (C_x C_y)^{1/2}), computed in float64. On the features of a classifier this is
    what is called the FID (Heusel et al., 2017); only numbers on the same features can be compared.

    Raises
    ------
    ValueError
        If a sample has less than two points.
    """
    _require_pair(x, y, at_least=2)
    x, y = x.double(), y.double()
    cov_x, cov_y = torch.cov(x.T).reshape(x.shape[1], -1), torch.cov(y.T).reshape(x.shape[1], -1)
    # tr (C_x C_y)^{1/2} is the sum of the roots of the eigenvalues of C_x^{1/2} C_y C_x^{1/2}, which is symmetric.
    values, vectors = torch.linalg.eigh(cov_x)
    root_x = vectors * values.clamp(min=0).sqrt() @ vectors.T
    cross = torch.linalg.eigvalsh(root_x @ cov_y @ root_x).clamp(min=0).sqrt().sum()
    return (x.mean(0) - y.mean(0)).square().sum() + cov_x.trace() + cov_y.trace() - 2 * cross


class ModeCoverage(NamedTuple):
    """How many modes have a sample of their own, and the share of samples that lie close to a mode."""

    covered: int
    high_quality: float


def modes_covered(x: Tensor, centres: Tensor, std: float, at_least: int = 1) -> ModeCoverage:
    """Modes of a mixture that the samples x (N, 2) reach, given their centres (K, 2) and standard deviation.

    A sample is of high quality if it lies within three standard deviations of its nearest centre, and a mode is covered
    if ``at_least`` so many samples of high quality are nearest to it (Srivastava et al., VEEGAN, 2017).

    Raises
    ------
    ValueError
        If the shapes don't fit, or ``std`` is not positive.
    """
    _require_samples("x", x)
    _require_samples("centres", centres)
    if x.shape[1] != centres.shape[1]:
        raise ValueError(f"centres must have the dimension of x, {x.shape[1]}, got {centres.shape[1]}")
    require_positive("std", std)
    distance, nearest = distances(x, centres).min(dim=1)
    good = distance <= 3 * std
    counts = torch.bincount(nearest[good], minlength=len(centres))
    return ModeCoverage(int((counts >= at_least).sum()), good.double().mean().item())


class PrecisionRecall(NamedTuple):
    """Shares between 0 and 1: of the fakes that look real, and of the reals that the fakes reach."""

    precision: float
    recall: float
    density: float
    coverage: float


def precision_recall(real: Tensor, fake: Tensor, k: int = 5) -> PrecisionRecall:
    """Precision and recall (Kynkäänniemi et al., 2019), density and coverage (Naeem et al., 2020).

    Around each point a ball reaches to its k-th nearest neighbour of the same sample. Precision: fakes within some
    ball of the real ones. Recall: reals within some ball of the fake ones. Density: real balls that a fake lies in,
    over k. Coverage: real balls with a fake in them. (N, D), (M, D) → four numbers.

    Raises
    ------
    ValueError
        If the samples don't have one dimension or at most k points.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    for name, value in (("real", real), ("fake", fake)):
        _require_samples(name, value, at_least=k + 1)
    if real.shape[1] != fake.shape[1]:
        raise ValueError(f"fake must have the dimension of real, {real.shape[1]}, got {fake.shape[1]}")

    def radii(points: Tensor) -> Tensor:
        return distances(points, points).kthvalue(k + 1, dim=1).values  # the nearest of all is the point itself

    between = distances(real, fake)  # (N, M)
    in_real = between < radii(real)[:, None]
    in_fake = between < radii(fake)[None, :]
    return PrecisionRecall(
        in_real.any(dim=0).double().mean().item(),
        in_fake.any(dim=1).double().mean().item(),
        in_real.sum(dim=0).double().mean().item() / k,
        in_real.any(dim=1).double().mean().item(),
    )
