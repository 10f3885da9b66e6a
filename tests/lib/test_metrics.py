"""The metrics against SciPy, against closed forms, and against brute force in NumPy."""

import math

import numpy as np
import pytest
import torch
from scipy import linalg, stats

from genmodels import metrics


def draw(n, d, seed=0, shift=0.0, scale=1.0):
    return shift + scale * torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize(("n", "m"), [(50, 50), (30, 70), (1, 8), (7, 3)])
def test_the_distance_on_a_line_agrees_with_scipy_for_equal_and_unequal_sizes(n, m):
    x, y = draw(n, 3, seed=1), draw(m, 3, seed=2, shift=0.5)
    got = metrics.wasserstein_1d(x, y)
    want = [stats.wasserstein_distance(x[:, k].numpy(), y[:, k].numpy()) for k in range(3)]
    np.testing.assert_allclose(got.numpy(), want, rtol=1e-10)


def test_sliced_distance_of_a_shift_is_its_length_times_the_mean_of_a_direction():
    # Along a random direction u of the plane a shift s is |s . u|, whose mean is |s| 2 / pi.
    x = draw(200, 2, seed=3)
    got = metrics.sliced_wasserstein(x, x + torch.tensor([3.0, 4.0]), 20_000, torch.Generator().manual_seed(0))
    assert got.item() == pytest.approx(5 * 2 / math.pi, rel=0.02)


def test_sliced_distance_follows_from_the_generator_and_is_zero_for_equal_samples():
    x, y = draw(40, 3, seed=1), draw(50, 3, seed=2)
    a, b, c = (metrics.sliced_wasserstein(x, y, 16, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert a == b
    assert a != c
    assert metrics.sliced_wasserstein(x, x.flip(0), 16, torch.Generator().manual_seed(0)) < 1e-12


def test_energy_distance_on_a_line_agrees_with_scipy():
    x, y = draw(40, 1, seed=4), draw(60, 1, seed=5, shift=0.7)
    want = stats.energy_distance(x[:, 0].numpy(), y[:, 0].numpy()) ** 2
    assert metrics.energy_distance(x, y).item() == pytest.approx(want, rel=1e-9)


def test_energy_distance_is_zero_for_equal_samples_and_positive_otherwise():
    x = draw(60, 4, seed=6)
    assert abs(metrics.energy_distance(x, x.flip(0)).item()) < 1e-12
    assert metrics.energy_distance(x, draw(60, 4, seed=7)) > 0


def test_discrepancy_of_gaussians_has_its_closed_form_as_expectation():
    # For N(0, 1) and N(s, 1) and a kernel of width h: 2 c (1 - exp(-s² / (2 (h² + 2)))), with c = h / sqrt(h² + 2).
    shift, width, repeats = 1.0, 0.8, 300
    estimates = torch.stack(
        [
            metrics.mmd(draw(60, 1, seed=2 * i), draw(60, 1, seed=2 * i + 1, shift=shift), width)
            for i in range(1000, 1000 + repeats)
        ]
    )
    c = width / math.sqrt(width**2 + 2)
    want = 2 * c * (1 - math.exp(-(shift**2) / (2 * (width**2 + 2))))
    assert estimates.mean().item() == pytest.approx(want, abs=5 * estimates.std().item() / math.sqrt(repeats))


def test_discrepancy_of_equal_distributions_is_zero_on_average():
    estimates = torch.stack(
        [metrics.mmd(draw(40, 2, seed=2 * i), draw(40, 2, seed=2 * i + 1), 1.0) for i in range(300)]
    )
    assert abs(estimates.mean().item()) < 5 * estimates.std().item() / math.sqrt(300)
    assert estimates.min() < 0  # unbiased, so some must be


def test_frechet_distance_agrees_with_scipys_matrix_square_root():
    x = draw(200, 5, seed=8) @ draw(5, 5, seed=9)
    y = draw(150, 5, seed=10, shift=0.3) @ draw(5, 5, seed=11)
    cov_x, cov_y = np.cov(x.numpy().T), np.cov(y.numpy().T)
    root = linalg.sqrtm(cov_x @ cov_y).real
    difference = x.numpy().mean(0) - y.numpy().mean(0)
    want = difference @ difference + np.trace(cov_x + cov_y - 2 * root)
    assert metrics.frechet_distance(x, y).item() == pytest.approx(want, rel=1e-8)


def test_frechet_distance_is_zero_for_equal_samples_even_when_a_feature_is_constant():
    x = draw(50, 4, seed=12)
    x[:, 2] = 1.0
    assert abs(metrics.frechet_distance(x, x).item()) < 1e-9
    assert metrics.frechet_distance(x.float(), x.float() + 2).item() == pytest.approx(4 * 4, rel=1e-4)


CENTRES = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]], dtype=torch.float64)


def test_modes_are_covered_by_samples_close_to_them_and_by_no_others():
    near = torch.tensor([[0.1, 0.0], [0.0, 0.2], [10.0, 0.29], [5.0, 5.0]], dtype=torch.float64)
    coverage = metrics.modes_covered(near, CENTRES, std=0.1)
    assert coverage == (2, 0.75)
    assert metrics.modes_covered(near, CENTRES, std=0.1, at_least=2).covered == 1
    assert metrics.modes_covered(near, CENTRES, std=0.05).covered == 1  # 0.29 is more than three deviations away


def brute_force(real, fake, k):
    """Precision, recall, density and coverage by loops, from their definitions."""
    real, fake = real.numpy(), fake.numpy()

    def radius(points, i):
        return np.sort(np.linalg.norm(points - points[i], axis=1))[k]  # [0] is the point itself

    real_radius = [radius(real, i) for i in range(len(real))]
    fake_radius = [radius(fake, j) for j in range(len(fake))]
    inside = np.array(
        [[np.linalg.norm(r - f) < radius for f in fake] for r, radius in zip(real, real_radius, strict=True)]
    )
    precision = np.mean([inside[:, j].any() for j in range(len(fake))])
    recall = np.mean(
        [any(np.linalg.norm(r - f) < radius for f, radius in zip(fake, fake_radius, strict=True)) for r in real]
    )
    return precision, recall, inside.sum() / (k * len(fake)), np.mean(inside.any(axis=1))


@pytest.mark.parametrize("k", [1, 3])
def test_precision_recall_density_and_coverage_are_what_their_definitions_say(k):
    real, fake = draw(40, 2, seed=13), draw(30, 2, seed=14, shift=0.8)
    np.testing.assert_allclose(metrics.precision_recall(real, fake, k), brute_force(real, fake, k))


def test_collapse_costs_recall_and_noise_costs_precision():
    real = draw(300, 2, seed=15)
    collapsed = metrics.precision_recall(real, draw(300, 2, seed=16, scale=0.1))
    noisy = metrics.precision_recall(real, draw(300, 2, seed=17, scale=6.0))
    alike = metrics.precision_recall(real, draw(300, 2, seed=18))
    assert collapsed.precision > 0.95 > 0.3 > collapsed.recall
    assert noisy.precision < 0.4
    assert min(alike) > 0.8


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: metrics.sliced_wasserstein(x, x[:, :1]), "y must have the dimension of x, 2, got 1"),
        (lambda x: metrics.sliced_wasserstein(x, x, 0), "projections must be at least 1, got 0"),
        (lambda x: metrics.energy_distance(x[0], x), r"x must be a floating-point tensor of shape \(N, D\)"),
        (lambda x: metrics.energy_distance(x, x.long()), "y must be a floating-point tensor"),
        (lambda x: metrics.mmd(x[:1], x, 1.0), "x must hold at least 2 samples, got 1"),
        (lambda x: metrics.mmd(x, x, 0.0), "bandwidth must be a positive"),
        (lambda x: metrics.frechet_distance(x, x[:1]), "y must hold at least 2 samples, got 1"),
        (lambda x: metrics.modes_covered(x, x[:, :1], 1.0), "centres must have the dimension of x, 2, got 1"),
        (lambda x: metrics.modes_covered(x, x, -1.0), "std must be a positive"),
        (lambda x: metrics.precision_recall(x, x, k=0), "k must be at least 1, got 0"),
        (lambda x: metrics.precision_recall(x, x[:3], k=5), "fake must hold at least 6 samples, got 3"),
    ],
)
def test_bad_input_raises_an_error_that_names_the_argument(call, message):
    with pytest.raises(ValueError, match=message):
        call(draw(10, 2))
