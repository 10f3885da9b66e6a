"""The metrics against SciPy and scikit-learn, against closed forms, and against brute force in NumPy."""

import math

import numpy as np
import pytest
import torch
from scipy import linalg, optimize, spatial, stats
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.neighbors import NearestNeighbors

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


def test_sliced_distance_is_the_mean_of_scipys_distances_along_unit_directions():
    x, y = draw(40, 3, seed=21), draw(55, 3, seed=22, shift=0.4)
    got = metrics.sliced_wasserstein(x, y, 12, torch.Generator().manual_seed(3))
    drawn = torch.randn(3, 12, generator=torch.Generator().manual_seed(3), dtype=torch.float64).numpy()
    want = [
        stats.wasserstein_distance(x.numpy() @ u / np.linalg.norm(u), y.numpy() @ u / np.linalg.norm(u))
        for u in drawn.T
    ]
    assert got.item() == pytest.approx(np.mean(want), rel=1e-9)


def test_sliced_distance_never_exceeds_the_cost_of_the_cheapest_matching():
    # A projection shortens every way, so each slice is at most the distance itself, found here as an assignment.
    x, y = draw(30, 4, seed=23), draw(30, 4, seed=24, shift=0.5)
    cost = spatial.distance.cdist(x.numpy(), y.numpy())
    cheapest = cost[optimize.linear_sum_assignment(cost)].mean()
    sliced = metrics.sliced_wasserstein(x, y, 64, torch.Generator().manual_seed(0)).item()
    assert 0 < sliced < cheapest


def test_energy_distance_on_a_line_agrees_with_scipy():
    x, y = draw(40, 1, seed=4), draw(60, 1, seed=5, shift=0.7)
    want = stats.energy_distance(x[:, 0].numpy(), y[:, 0].numpy()) ** 2
    assert metrics.energy_distance(x, y).item() == pytest.approx(want, rel=1e-9)


def test_energy_distance_in_space_is_its_definition_over_all_pairs():
    x, y = draw(20, 3, seed=25), draw(25, 3, seed=26, shift=0.5)
    between, within_x, within_y = (
        spatial.distance.cdist(a.numpy(), b.numpy()).mean() for a, b in ((x, y), (x, x), (y, y))
    )
    assert metrics.energy_distance(x, y).item() == pytest.approx(2 * between - within_x - within_y, rel=1e-9)


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


def test_discrepancy_is_made_of_scikit_learns_kernel_without_the_diagonal():
    x, y = draw(20, 3, seed=27), draw(25, 3, seed=28, shift=0.5)
    width = 1.3
    k_x, k_y, k_between = (
        rbf_kernel(a.numpy(), b.numpy(), gamma=1 / (2 * width**2)) for a, b in ((x, x), (y, y), (x, y))
    )
    want = k_x[~np.eye(20, dtype=bool)].mean() + k_y[~np.eye(25, dtype=bool)].mean() - 2 * k_between.mean()
    assert metrics.mmd(x, y, width).item() == pytest.approx(want, rel=1e-9)


def test_discrepancy_of_equal_distributions_is_zero_on_average():
    estimates = torch.stack(
        [metrics.mmd(draw(40, 2, seed=2 * i), draw(40, 2, seed=2 * i + 1), 1.0) for i in range(300)]
    )
    assert abs(estimates.mean().item()) < 5 * estimates.std().item() / math.sqrt(300)
    assert estimates.min() < 0  # unbiased, so some must be


@pytest.mark.equation("frechet-distance")
def test_frechet_distance_agrees_with_scipys_matrix_square_root():
    x = draw(200, 5, seed=8) @ draw(5, 5, seed=9)
    y = draw(150, 5, seed=10, shift=0.3) @ draw(5, 5, seed=11)
    cov_x, cov_y = np.cov(x.numpy().T), np.cov(y.numpy().T)
    root = linalg.sqrtm(cov_x @ cov_y).real
    difference = x.numpy().mean(0) - y.numpy().mean(0)
    want = difference @ difference + np.trace(cov_x + cov_y - 2 * root)
    assert metrics.frechet_distance(x, y).item() == pytest.approx(want, rel=1e-8)


@pytest.mark.equation("frechet-distance")
def test_frechet_distance_of_gaussians_with_known_moments_is_its_closed_form():
    # Samples made to have exactly the mean and the covariance asked for; with covariances that commute the distance is
    # the squared distance of the means and of the standard deviations.
    def with_moments(n, mean, deviations, seed):
        x = draw(n, 3, seed=seed)
        x = x - x.mean(0)
        x = x @ torch.linalg.inv(torch.linalg.cholesky(torch.cov(x.T))).T
        return torch.tensor(mean).double() + x * torch.tensor(deviations).double()

    x, y = with_moments(40, [0.0, 1, 2], [1.0, 2, 0.5], 29), with_moments(70, [1.0, 1, 0], [3.0, 2, 1.5], 30)
    assert metrics.frechet_distance(x, y).item() == pytest.approx((1 + 0 + 4) + (4 + 0 + 1))


def test_frechet_distance_agrees_with_scipy_on_more_features_than_samples():
    x, y = draw(12, 20, seed=31), draw(15, 20, seed=32, shift=0.2)  # singular covariances
    cov_x, cov_y = np.cov(x.numpy().T), np.cov(y.numpy().T)
    roots = np.sqrt(np.clip(linalg.eigvals(cov_x @ cov_y).real, 0, None)).sum()
    want = ((x.mean(0) - y.mean(0)) ** 2).sum().item() + np.trace(cov_x) + np.trace(cov_y) - 2 * roots
    assert metrics.frechet_distance(x, y).item() == pytest.approx(want, rel=1e-5)


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


def test_coverage_of_a_mixture_agrees_with_a_tree_that_looks_for_each_centre():
    x = torch.cat([draw(60, 2, seed=33, scale=4.0), draw(40, 2, seed=34, scale=0.3)])
    tree = spatial.KDTree(CENTRES.numpy())
    for std, at_least in ((0.4, 1), (0.4, 3), (1.0, 5)):
        distance, nearest = tree.query(x.numpy(), distance_upper_bound=3 * std)  # none within: infinite
        counts = [(nearest == k).sum() for k in range(3)]
        coverage = metrics.modes_covered(x, CENTRES, std, at_least)
        assert coverage.covered == sum(count >= at_least for count in counts)
        assert coverage.high_quality == pytest.approx(np.isfinite(distance).mean())


@pytest.mark.parametrize("k", [1, 4])
def test_precision_recall_density_and_coverage_agree_with_scikit_learns_neighbours(k):
    real, fake = draw(50, 3, seed=35).numpy(), draw(45, 3, seed=36, shift=0.5).numpy()
    # The k-th distance of kneighbors() without an argument leaves the point itself out.
    radii = [NearestNeighbors(n_neighbors=k).fit(a).kneighbors()[0][:, -1] for a in (real, fake)]
    fakes_in_ball = [
        set(NearestNeighbors().fit(fake).radius_neighbors([r], radius, return_distance=False)[0])
        for r, radius in zip(real, radii[0], strict=True)
    ]
    reals_in_ball = [
        set(NearestNeighbors().fit(real).radius_neighbors([f], radius, return_distance=False)[0])
        for f, radius in zip(fake, radii[1], strict=True)
    ]
    got = metrics.precision_recall(torch.from_numpy(real), torch.from_numpy(fake), k)
    assert got.precision == pytest.approx(len(set.union(*fakes_in_ball)) / 45)
    assert got.recall == pytest.approx(len(set.union(*reals_in_ball)) / 50)
    assert got.density == pytest.approx(sum(map(len, fakes_in_ball)) / (k * 45))
    assert got.coverage == pytest.approx(sum(map(bool, fakes_in_ball)) / 50)


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
