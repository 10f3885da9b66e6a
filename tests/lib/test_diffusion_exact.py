"""Closed forms of mixtures under noise against quadrature, and samplers that are given the exact denoiser."""

import math

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from genmodels import data, diffusion
from genmodels.diffusion_exact import GaussianMixture, toy_mixture

SCHEDULE = diffusion.linear_schedule(10, 0.01, 0.7)
ALPHA_BAR = np.concatenate([[1.0], np.cumprod(1 - np.linspace(0.01, 0.7, 10))])

# In one dimension, where everything is an integral.
WEIGHTS, MEANS, SDS = np.array([0.3, 0.7]), np.array([-1.0, 0.8]), np.array([0.3, 0.5])
LINE = GaussianMixture(
    torch.from_numpy(WEIGHTS), torch.from_numpy(MEANS)[:, None], torch.from_numpy(SDS**2)[:, None, None]
)


def number(x):
    return torch.tensor([[x]], dtype=torch.float64)


def at(t):
    return torch.tensor([t])


def p_x0(x0):
    return float(WEIGHTS @ stats.norm.pdf(x0, MEANS, SDS))


def given_xt(function, xt, t):
    """E[function(x_0) given x_t] by integrating over x_0."""
    a = ALPHA_BAR[t]

    def joint(x0):
        return p_x0(x0) * stats.norm.pdf(xt, math.sqrt(a) * x0, math.sqrt(1 - a))

    over = {"points": (-1, 0.8, xt / math.sqrt(a)), "limit": 400, "epsabs": 1e-13}
    total, _ = integrate.quad(joint, -8, 8, **over)
    value, _ = integrate.quad(lambda x0: function(x0) * joint(x0), -8, 8, **over)
    return value / total, total


every_point = pytest.mark.parametrize(("xt", "t"), [(-0.9, 1), (0.1, 1), (0.4, 4), (-2.0, 7), (1.1, 10)])


@every_point
def test_the_marginal_density_is_the_integral_over_the_data(xt, t):
    _, density = given_xt(lambda x0: 1.0, xt, t)
    assert LINE.log_marginal(number(xt), at(t), SCHEDULE).item() == pytest.approx(math.log(density), rel=1e-8)
    assert LINE.log_prob(number(xt)).item() == pytest.approx(math.log(p_x0(xt)), rel=1e-10)


@pytest.mark.equation("dif-exact-denoiser")
@every_point
def test_the_best_guesses_are_the_averages_over_the_data(xt, t):
    a = ALPHA_BAR[t]
    x0, _ = given_xt(lambda x0: x0, xt, t)
    eps, _ = given_xt(lambda x0: (xt - math.sqrt(a) * x0) / math.sqrt(1 - a), xt, t)
    assert LINE.expected_x0(number(xt), at(t), SCHEDULE).item() == pytest.approx(x0, rel=1e-7)
    assert LINE.expected_eps(number(xt), at(t), SCHEDULE).item() == pytest.approx(eps, rel=1e-7, abs=1e-9)
    assert LINE.denoiser(SCHEDULE)(number(xt), at(t)).item() == pytest.approx(eps, rel=1e-7, abs=1e-9)


@pytest.mark.equation("dif-score")
@every_point
def test_the_score_is_the_slope_of_the_log_density(xt, t):
    h = 1e-4
    above, below = (math.log(given_xt(lambda x0: 1.0, xt + d, t)[1]) for d in (h, -h))
    score = LINE.score(number(xt), at(t), SCHEDULE).item()
    assert score == pytest.approx((above - below) / (2 * h), rel=1e-5)
    eps, _ = given_xt(lambda x0: xt - math.sqrt(ALPHA_BAR[t]) * x0, xt, t)
    assert score == pytest.approx(-eps / (1 - ALPHA_BAR[t]), rel=1e-7)  # Tweedie


@every_point
def test_responsibilities_are_bayes_rule_for_the_component(xt, t):
    a = ALPHA_BAR[t]
    joint = WEIGHTS * stats.norm.pdf(xt, math.sqrt(a) * MEANS, np.sqrt(a * SDS**2 + 1 - a))
    got = LINE.responsibilities(number(xt), at(t), SCHEDULE)[0].numpy()
    np.testing.assert_allclose(got, joint / joint.sum(), rtol=1e-9)


@pytest.mark.equation("dif-reverse-mixture")
@pytest.mark.parametrize(("xt", "t"), [(0.1, 2), (0.4, 4), (-2.0, 7), (1.1, 10)])
def test_the_reverse_step_averages_the_posterior_over_the_data(xt, t):
    step = LINE.reverse_step(number(xt), at(t), SCHEDULE)
    sds = step.covariances[0, :, 0, 0].sqrt().numpy()
    for before in (-1.2, 0.3):

        def posterior(x0, before=before):
            mean, var = diffusion.q_posterior(number(x0), number(xt), at(t), SCHEDULE)
            return stats.norm.pdf(before, mean.item(), math.sqrt(var.item()))

        want, _ = given_xt(posterior, xt, t)
        got = step.weights[0].numpy() @ stats.norm.pdf(before, step.means[0, :, 0].numpy(), sds)
        assert got == pytest.approx(want, rel=1e-6, abs=1e-12)
    mean, var = step.mean_var()
    at_mean = diffusion.posterior_mean_from_eps(
        number(xt), at(t), LINE.expected_eps(number(xt), at(t), SCHEDULE), SCHEDULE
    )
    torch.testing.assert_close(mean, at_mean)  # the sampler's mean is the right one, for every kind of data
    beta_tilde = SCHEDULE.beta_tilde[t].item()
    x0_mean, _ = given_xt(lambda x0: x0, xt, t)
    x0_var, _ = given_xt(lambda x0: (x0 - x0_mean) ** 2, xt, t)
    factor = math.sqrt(ALPHA_BAR[t - 1]) * SCHEDULE.beta[t].item() / (1 - ALPHA_BAR[t])
    assert var.item() == pytest.approx(beta_tilde + factor**2 * x0_var, rel=1e-6)


def test_the_reverse_step_at_t_1_is_the_distribution_of_the_data_given_x1():
    mean, var = LINE.reverse_step(number(0.2), at(1), SCHEDULE).mean_var()
    want, _ = given_xt(lambda x0: x0, 0.2, 1)
    spread, _ = given_xt(lambda x0: (x0 - want) ** 2, 0.2, 1)
    assert mean.item() == pytest.approx(want, rel=1e-7)
    assert var.item() == pytest.approx(spread, rel=1e-6)


# --- in the plane, with correlation -----------------------------------------------------------------------------------

MEAN_2, COV_2 = np.array([0.5, -1.0]), np.array([[0.5, 0.3], [0.3, 0.4]])
MEAN_3, COV_3 = np.array([-1.0, 0.2]), np.array([[0.05, -0.02], [-0.02, 0.3]])
PLANE = GaussianMixture(
    torch.tensor([0.4, 0.6], dtype=torch.float64),
    torch.from_numpy(np.stack([MEAN_2, MEAN_3])),
    torch.from_numpy(np.stack([COV_2, COV_3])),
)


@pytest.mark.parametrize("t", [1, 3, 10])
def test_in_the_plane_each_component_is_a_joint_gaussian_conditioned(t):
    a, before, beta = ALPHA_BAR[t], ALPHA_BAR[t - 1], SCHEDULE.beta[t].item()
    xt = np.array([0.3, -0.4])
    log_joint, guesses, step_means, step_covs = [], [], [], []
    for weight, mean, cov in ((0.4, MEAN_2, COV_2), (0.6, MEAN_3, COV_3)):
        cov_t = a * cov + (1 - a) * np.eye(2)
        cov_before = before * cov + (1 - before) * np.eye(2)
        log_joint.append(math.log(weight) + stats.multivariate_normal(math.sqrt(a) * mean, cov_t).logpdf(xt))
        apart = np.linalg.solve(cov_t, xt - math.sqrt(a) * mean)
        guesses.append(mean + math.sqrt(a) * cov @ apart)
        across = math.sqrt(1 - beta) * cov_before  # covariance of x_{t-1} and x_t
        step_means.append(math.sqrt(before) * mean + across @ apart)
        step_covs.append(cov_before - across @ np.linalg.solve(cov_t, across.T))
    x = torch.from_numpy(xt)[None]
    assert PLANE.log_marginal(x, at(t), SCHEDULE).item() == pytest.approx(np.logaddexp(*log_joint), rel=1e-10)
    shares = np.exp(log_joint - np.logaddexp(*log_joint))
    np.testing.assert_allclose(PLANE.expected_x0(x, at(t), SCHEDULE)[0].numpy(), shares @ guesses, rtol=1e-9)
    eps = (xt - math.sqrt(a) * shares @ guesses) / math.sqrt(1 - a)
    np.testing.assert_allclose(PLANE.expected_eps(x, at(t), SCHEDULE)[0].numpy(), eps, rtol=1e-8)
    step = PLANE.reverse_step(x, at(t), SCHEDULE)
    np.testing.assert_allclose(step.means[0].numpy(), step_means, rtol=1e-9)
    np.testing.assert_allclose(step.covariances[0].numpy(), step_covs, rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(step.weights[0].numpy(), shares, rtol=1e-9)


def test_moments_and_samples_of_the_mixture():
    n = 200_000
    x = PLANE.sample(n, torch.Generator().manual_seed(0))
    error = 5 * (PLANE.covariance().diagonal() / n).sqrt()
    assert bool(((x.mean(dim=0) - PLANE.mean()).abs() < error).all())
    np.testing.assert_allclose(torch.cov(x.T).numpy(), PLANE.covariance().numpy(), atol=0.02)
    entropy = -PLANE.log_prob(x)
    again = -PLANE.log_prob(PLANE.sample(n, torch.Generator().manual_seed(1)))
    assert abs(entropy.mean() - again.mean()) < 5 * entropy.std() * math.sqrt(2 / n)


def test_images_are_flattened_and_come_back_in_their_shape():
    mixture = GaussianMixture.gaussian(torch.arange(4.0).double(), torch.eye(4).double())
    xt = torch.randn(3, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    t = torch.tensor([1, 5, 10])
    flat = mixture.expected_eps(xt.flatten(1), t, SCHEDULE)
    assert torch.equal(mixture.expected_eps(xt, t, SCHEDULE), flat.reshape(3, 1, 2, 2))
    assert mixture.denoiser(SCHEDULE)(xt, t).dtype == torch.float32
    assert mixture.score(xt, t, SCHEDULE).shape == mixture.expected_x0(xt, t, SCHEDULE).shape == xt.shape


def test_a_data_set_is_a_mixture_of_points_and_its_best_guess_a_weighted_average_of_them():
    points = torch.tensor([[0.0, 1.0], [2.0, -1.0], [0.5, 0.5]], dtype=torch.float64)
    mixture = GaussianMixture(torch.full((3,), 1 / 3, dtype=torch.float64), points, torch.zeros(3, 2, 2).double())
    xt, t = torch.tensor([[0.2, 0.4]], dtype=torch.float64), 3
    distance = (xt - math.sqrt(ALPHA_BAR[t]) * points).square().sum(dim=1)
    weights = torch.softmax(-distance / (2 * (1 - ALPHA_BAR[t])), dim=0)
    torch.testing.assert_close(mixture.expected_x0(xt, at(t), SCHEDULE), (weights @ points)[None])


@pytest.mark.parametrize("name", ["eight_gaussians", "twenty_five_gaussians"])
def test_toy_mixtures_are_what_the_toys_are_drawn_from(name):
    n, mixture = 50_000, toy_mixture(name)
    x = data.toy2d(name, n, torch.Generator().manual_seed(0)).double()
    own = mixture.sample(n, torch.Generator().manual_seed(1))
    theirs_log_p, own_log_p = mixture.log_prob(x), mixture.log_prob(own)
    assert abs(theirs_log_p.mean() - own_log_p.mean()) < 5 * own_log_p.std() * math.sqrt(2 / n)
    k = len(mixture.weights)
    counts = torch.cdist(x, mixture.means).argmin(dim=1).bincount(minlength=k).numpy()
    assert stats.chisquare(counts).pvalue > 1e-4


def test_other_toys_have_no_mixture():
    with pytest.raises(ValueError, match="name must be one of 'eight_gaussians', 'twenty_five_gaussians', got 'moons'"):
        toy_mixture("moons")


W, M, C = torch.ones(1).double(), torch.zeros(1, 2).double(), torch.eye(2).double()[None]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: GaussianMixture([1.0], M, C), "weights must be a floating-point tensor"),
        (lambda: GaussianMixture(W / 2, M, C), r"weights must be \(K,\), positive, with the sum 1, got \[0\.5\]"),
        (lambda: GaussianMixture(W, M[0], C), r"means must have shape \(1, D\), got \(2,\)"),
        (lambda: GaussianMixture(W, M, C[0]), r"covariances must have shape \(1, 2, 2\), got \(2, 2\)"),
        (lambda: GaussianMixture(W, M, C + torch.tensor([[0.0, 1], [0, 0]])), "covariances must be symmetric"),
        (lambda: GaussianMixture(W, M, -C), "covariances must have no negative eigenvalue, got -1"),
        (lambda: GaussianMixture(W, M, C).score(torch.zeros(3, 5), at(1), SCHEDULE), "xt must hold 2 entries in each"),
        (lambda: GaussianMixture(W, M, C).score(torch.zeros(1, 2), at(0), SCHEDULE), r"t must lie in 1\.\.10"),
        (lambda: GaussianMixture(W, M, C).sample(0), "n must be at least 1, got 0"),
        (lambda: PLANE.vlb_terms(torch.zeros(1, 2), SCHEDULE), "vlb_terms is a closed form for one Gaussian.*K = 2"),
        (lambda: PLANE.reverse_variance(SCHEDULE), "reverse_variance is a closed form for one Gaussian.*K = 2"),
    ],
)
def test_what_is_no_mixture_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# --- the bound of a Gaussian ------------------------------------------------------------------------------------------

GAUSSIAN = GaussianMixture.gaussian(torch.from_numpy(MEAN_2), torch.from_numpy(COV_2))


def noise_nodes():
    """Noise (9, 2) and weights (9,) whose average is that of a quadratic function of standard normal noise."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(3)
    grid = np.stack(np.meshgrid(nodes, nodes), axis=-1).reshape(9, 2)
    return torch.from_numpy(grid), torch.from_numpy(np.outer(weights, weights).ravel() / weights.sum() ** 2)


@pytest.mark.parametrize("variance", ["beta_tilde", "beta", "true"])
def test_the_bound_of_a_gaussian_is_the_average_of_what_is_estimated(variance):
    variance = GAUSSIAN.reverse_variance(SCHEDULE) if variance == "true" else variance
    grid, weights = noise_nodes()
    for x0 in torch.tensor([[0.5, -1.0], [-2.0, 0.3]], dtype=torch.float64):
        exact = GAUSSIAN.vlb_terms(x0[None], SCHEDULE, variance)
        estimates = diffusion.vlb_terms(
            GAUSSIAN.denoiser(SCHEDULE), x0.expand(9, 2), SCHEDULE, variance, eps=grid.expand(10, 9, 2)
        )
        for got, want in zip(exact, estimates, strict=True):
            torch.testing.assert_close(got[0], torch.tensordot(weights, want, dims=1), rtol=1e-9, atol=1e-10)


def sampler_moments(mean, cov, schedule, variance):
    """Mean and covariance of what ancestral sampling with the exact denoiser gives: a linear map and noise a step."""
    m, S = np.zeros(len(mean)), np.eye(len(mean))
    alpha_bar = np.cumprod(1 - schedule.beta.numpy())
    for t in range(schedule.T, 0, -1):
        a, beta = alpha_bar[t], schedule.beta[t].item()
        gain = math.sqrt(1 - a) * np.linalg.inv(a * cov + (1 - a) * np.eye(len(mean)))  # of E[eps given x_t]
        matrix = (np.eye(len(mean)) - beta / math.sqrt(1 - a) * gain) / math.sqrt(1 - beta)
        offset = beta / math.sqrt(1 - a) * gain @ (math.sqrt(a) * mean) / math.sqrt(1 - beta)
        m, S = matrix @ m + offset, matrix @ S @ matrix.T + (t > 1) * variance[t].item() * np.eye(len(mean))
    return m, S


@pytest.mark.parametrize("variance", ["beta_tilde", "beta", "true"])
def test_the_bound_of_the_exact_denoiser_is_below_what_the_model_gives_the_data(variance):
    """In one dimension, where p(x_0) of the model is known as well: its sampler with the decoder's noise."""
    one = GaussianMixture.gaussian(torch.tensor([0.5]).double(), torch.tensor([[0.3]]).double())
    table = diffusion.step_variance(SCHEDULE, one.reverse_variance(SCHEDULE) if variance == "true" else variance)
    m, S = sampler_moments(np.array([0.5]), np.array([[0.3]]), SCHEDULE, table)
    model = stats.norm(m[0], math.sqrt(S[0, 0] + table[1].item()))
    x0 = torch.linspace(-2, 3, 41, dtype=torch.float64)[:, None]
    gap = model.logpdf(x0[:, 0].numpy()) - one.vlb_terms(x0, SCHEDULE, table).elbo.numpy()
    assert gap.min() > 0
    if variance == "true":
        assert gap.max() < 0.02


def test_with_the_true_reverse_steps_the_bound_misses_only_the_mismatch_at_T():
    """On average over the data: E[log p(x_0)] less the divergence of q(x_T) from the prior: nothing else is wrong."""
    mean, var = 0.5, 0.3
    one = GaussianMixture.gaussian(torch.tensor([mean]).double(), torch.tensor([[var]]).double())
    nodes, weights = np.polynomial.hermite_e.hermegauss(5)
    x0 = torch.from_numpy(mean + math.sqrt(var) * nodes)[:, None]
    elbo = one.vlb_terms(x0, SCHEDULE, one.reverse_variance(SCHEDULE)).elbo.numpy() @ (weights / weights.sum())
    a = ALPHA_BAR[10]
    mean_T, var_T = math.sqrt(a) * mean, a * var + 1 - a
    mismatch = 0.5 * (var_T + mean_T**2 - 1 - math.log(var_T))
    assert elbo == pytest.approx(-0.5 * math.log(2 * math.pi * math.e * var) - mismatch, rel=1e-10)


# --- samplers with the exact denoiser ---------------------------------------------------------------------------------


def require_moments(x, mean, cov):
    """The sample's mean and covariance, each entry within five of its standard errors: x (N, D)."""
    centred = x.numpy() - mean
    products = centred[:, :, None] * centred[:, None, :]  # (N, D, D)
    for values, want in ((x.numpy(), mean), (products, cov)):
        error = values.std(axis=0) / math.sqrt(len(x))
        np.testing.assert_array_less(np.abs(values.mean(axis=0) - want), 5 * error)


START = torch.randn(20_000, 2, generator=torch.Generator().manual_seed(9), dtype=torch.float64)


@pytest.mark.parametrize("variance", ["beta_tilde", "beta", "true"])
def test_the_ancestral_sampler_has_the_moments_that_its_steps_imply(variance):
    table = diffusion.step_variance(SCHEDULE, GAUSSIAN.reverse_variance(SCHEDULE) if variance == "true" else variance)
    x = diffusion.sample(
        GAUSSIAN.denoiser(SCHEDULE), START.shape, SCHEDULE, torch.Generator().manual_seed(0), variance=table, xT=START
    )
    require_moments(x, *sampler_moments(MEAN_2, COV_2, SCHEDULE, table))


LONG = diffusion.linear_schedule()


@pytest.mark.slow
@pytest.mark.parametrize("variance", ["beta_tilde", "beta"])
def test_in_many_steps_the_ancestral_sampler_reproduces_a_gaussian(variance):
    start = START[:4000]
    x = diffusion.sample(
        GAUSSIAN.denoiser(LONG), start.shape, LONG, torch.Generator().manual_seed(0), variance=variance, xT=start
    )
    require_moments(x, MEAN_2, COV_2)


@pytest.mark.slow
@pytest.mark.parametrize(("steps", "eta"), [(1000, 0.0), (200, 0.0), (1000, 1.0)])
def test_in_many_steps_ddim_reproduces_a_gaussian(steps, eta):
    start = START[:4000]
    x = diffusion.ddim_sample(
        GAUSSIAN.denoiser(LONG), start.shape, LONG, steps, eta, torch.Generator().manual_seed(0), xT=start
    )
    require_moments(x, MEAN_2, COV_2)


def draw_from(mixture, sampler, schedule, start):
    generator = torch.Generator().manual_seed(0)
    model, shape = mixture.denoiser(schedule), start.shape
    if sampler == "ancestral":
        return diffusion.sample(model, shape, schedule, generator, xT=start)
    return diffusion.ddim_sample(model, shape, schedule, schedule.T, 0.0, generator, xT=start)


both = pytest.mark.parametrize("sampler", ["ancestral", "ddim"])


@pytest.mark.slow
@both
def test_in_many_steps_samplers_reproduce_the_moments_of_a_mixture(sampler):
    x = draw_from(PLANE, sampler, LONG, START[:4000])
    require_moments(x, PLANE.mean().numpy(), PLANE.covariance().numpy())


@both
def test_samplers_find_every_mode_as_often_as_it_is_there(sampler):
    x = draw_from(toy_mixture("eight_gaussians"), sampler, diffusion.cosine_schedule(100), START[:4000])
    means = toy_mixture("eight_gaussians").means
    distance, mode = torch.cdist(x, means).min(dim=1)
    assert stats.chisquare(mode.bincount(minlength=8).numpy()).pvalue > 1e-4
    assert distance.max() < 6 * 0.05
    inside = (x - means[mode]).numpy()
    np.testing.assert_array_less(np.abs(inside.mean(axis=0)), 5 * 0.05 / math.sqrt(4000))
