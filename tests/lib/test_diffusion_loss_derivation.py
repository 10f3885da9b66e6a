"""The way from the bound to the loss, step by step: Gaussian algebra, quadrature, SymPy and torch.distributions."""

import math

import numpy as np
import pytest
import sympy as sp
import torch
from torch.distributions import Normal, kl_divergence

from genmodels import diffusion

NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(60)
WEIGHTS = WEIGHTS / WEIGHTS.sum()  # of an average over a standard normal

ALPHA = np.array([1.0, 0.9, 0.7, 0.4])  # T = 3, far from small steps: nothing may be true only in a limit
X0 = 0.8
# An arbitrary model, p(x_{t-1} given x_t) = N(slope x_t + shift, variance), index t.
SLOPE, SHIFT, VARIANCE = [0, 0.9, 0.6, 0.5], [0, 0.1, -0.2, 0.3], [0, 0.2, 0.5, 0.4]


def path():
    """Mean (4,) and covariance (4, 4) of (x_0, ..., x_3) along the forward process, x_0 fixed, one step at a time."""
    mean, cov = np.array([X0]), np.zeros((1, 1))
    for alpha in ALPHA[1:]:
        root = math.sqrt(alpha)
        across = root * cov[-1]
        cov = np.block([[cov, across[:, None]], [across[None], np.array([[alpha * cov[-1, -1] + 1 - alpha]])]])
        mean = np.append(mean, root * mean[-1])
    return mean, cov


def expected_log_normal(of, given, slope, shift, variance):
    """E log N(x_of; slope x_given + shift, variance) over the path."""
    mean, cov = path()
    off = mean[of] - slope * mean[given] - shift
    spread = cov[of, of] - 2 * slope * cov[of, given] + slope**2 * cov[given, given]
    return -0.5 * math.log(2 * math.pi * variance) - (off**2 + spread) / (2 * variance)


def bound_of_the_chain():
    """E[log p(x_T) + sum log p(x_{t-1} given x_t) - sum log q(x_t given x_{t-1})]: what the derivation begins with."""
    total = expected_log_normal(3, 0, 0.0, 0.0, 1.0)
    for t in (1, 2, 3):
        total += expected_log_normal(t - 1, t, SLOPE[t], SHIFT[t], VARIANCE[t])
        total -= expected_log_normal(t, t - 1, math.sqrt(ALPHA[t]), 0.0, 1 - ALPHA[t])
    return total


def normal(mean, variance):
    mean, variance = torch.as_tensor(mean, dtype=torch.float64), torch.as_tensor(variance, dtype=torch.float64)
    return Normal(mean, variance.sqrt())


def conditioned(t, xt):
    """q(x_{t-1} given x_t, x_0), by conditioning the path's joint Gaussian."""
    mean, cov = path()
    gain = cov[t - 1, t] / cov[t, t]
    variance = cov[t - 1, t - 1] - gain * cov[t, t - 1]
    return normal(mean[t - 1] + gain * (xt - mean[t]), variance)


@pytest.mark.equation("dif-vlb")
def test_the_bound_of_the_chain_is_the_sum_of_divergences():
    mean, cov = path()
    total = expected_log_normal(0, 1, SLOPE[1], SHIFT[1], VARIANCE[1])
    total -= kl_divergence(normal(mean[3], cov[3, 3]), normal(0, 1)).item()
    for t in (2, 3):
        xt = mean[t] + math.sqrt(cov[t, t]) * NODES
        model = normal(SLOPE[t] * xt + SHIFT[t], VARIANCE[t])
        total -= WEIGHTS @ kl_divergence(conditioned(t, xt), model).numpy()
    assert total == pytest.approx(bound_of_the_chain(), abs=1e-12)


@pytest.mark.equation("dif-vlb")
def test_every_move_of_the_bounds_derivation_holds_on_a_path_of_numbers():
    """Densities at one path, in plain numbers: Markov, Bayes, telescope, and the collected sum."""
    x = [X0, 0.3, -0.5, 1.1]
    alpha_bar = np.cumprod(ALPHA)

    def log_q(t):  # of x_t given x_{t-1}
        return log_density(x[t], math.sqrt(ALPHA[t]) * x[t - 1], 1 - ALPHA[t])

    def log_marginal(t):  # of x_t given x_0
        return log_density(x[t], math.sqrt(alpha_bar[t]) * X0, 1 - alpha_bar[t])

    def log_posterior(t):
        return conditioned(t, np.array(x[t])).log_prob(torch.tensor(x[t - 1], dtype=torch.float64)).item()

    for t in (2, 3):  # Bayes, and with it that x_0 in the condition changes nothing
        assert log_q(t) == pytest.approx(log_posterior(t) + log_marginal(t) - log_marginal(t - 1), abs=1e-12)
    telescope = sum(log_marginal(t) - log_marginal(t - 1) for t in (2, 3))
    assert telescope == pytest.approx(log_marginal(3) - log_marginal(1), abs=1e-12)
    before = -sum(log_q(t) for t in (1, 2, 3))
    assert before == pytest.approx(-log_marginal(3) - sum(log_posterior(t) for t in (2, 3)), abs=1e-12)


def log_density(x, mean, variance):
    return -0.5 * math.log(2 * math.pi * variance) - (x - mean) ** 2 / (2 * variance)


@pytest.mark.equation("dif-kl-terms")
@pytest.mark.parametrize("t", [2, 10, 500, 1000])
def test_with_the_posteriors_variance_the_divergence_is_the_distance_of_the_means(t):
    beta_tilde = diffusion.linear_schedule().beta_tilde[t]
    mu_q, mu_theta = torch.tensor([0.3, -1.2], dtype=torch.float64), torch.tensor([0.31, -1.1], dtype=torch.float64)
    divergence = kl_divergence(normal(mu_q, beta_tilde), normal(mu_theta, beta_tilde)).sum()
    assert divergence.item() == pytest.approx(((mu_q - mu_theta) ** 2).sum().item() / (2 * beta_tilde.item()))


a, ab_before, x0, xt, eps = sp.symbols("alpha alphabar_before x_0 x_t epsilon", positive=True)
ab = a * ab_before


def posterior():
    """Mean and variance of x_{t-1} given x_t and x_0: Bayes' rule for a Gaussian prior and a Gaussian observation."""
    precision = 1 / (1 - ab_before) + a / (1 - a)
    mean = (sp.sqrt(ab_before) * x0 / (1 - ab_before) + sp.sqrt(a) * xt / (1 - a)) / precision
    return mean, 1 / precision


@pytest.mark.equation("dif-predict-x0", "dif-mean-from-eps")
def test_the_posteriors_mean_in_terms_of_the_noise():
    from_eps = sp.solve(sp.Eq(xt, sp.sqrt(ab) * x0 + sp.sqrt(1 - ab) * eps), x0)[0]
    assert sp.simplify(from_eps - (xt - sp.sqrt(1 - ab) * eps) / sp.sqrt(ab)) == 0
    written = (xt - (1 - a) / sp.sqrt(1 - ab) * eps) / sp.sqrt(a)
    assert sp.simplify(posterior()[0].subs(x0, from_eps) - written) == 0


@pytest.mark.equation("dif-loss-weight", "dif-weight-snr")
def test_the_weight_between_the_divergence_and_the_squared_error_of_the_noise():
    eps_hat = sp.Symbol("eps_hat", real=True)
    mean, variance = posterior()
    noise_to_mean = mean.subs(x0, (xt - sp.sqrt(1 - ab) * eps) / sp.sqrt(ab))
    divergence = (noise_to_mean - noise_to_mean.subs(eps, eps_hat)) ** 2 / (2 * variance)
    weight = sp.simplify(divergence / (eps - eps_hat) ** 2)
    assert sp.simplify(weight - (1 - a) ** 2 / (2 * variance * a * (1 - ab))) == 0
    assert sp.simplify(weight - (1 - a) / (2 * a * (1 - ab_before))) == 0

    def snr(alpha_bar):
        return alpha_bar / (1 - alpha_bar)

    assert sp.simplify(weight - (snr(ab_before) / snr(ab) - 1) / 2) == 0


@pytest.mark.parametrize("make", [diffusion.linear_schedule, diffusion.cosine_schedule])
def test_the_weights_table_is_half_the_relative_loss_of_signal(make):
    alpha_bar = make().alpha_bar.numpy()
    signal = alpha_bar[1:] / (1 - alpha_bar[1:])  # t = 1, 2, ...
    weight = diffusion.loss_weight(make())[2:].numpy()
    np.testing.assert_allclose(weight, 0.5 * (signal[:-1] / signal[1:] - 1), rtol=1e-6)


SIMPLE_T = 4


def best_guess(x, alpha_bar):
    """E[eps given x_t] for x_0 = -1 or 1 with even odds: x_0 is tanh on average, by Bayes' rule for two points."""
    mean_x0 = np.tanh(x * math.sqrt(alpha_bar) / (1 - alpha_bar))
    return (x - math.sqrt(alpha_bar) * mean_x0) / math.sqrt(1 - alpha_bar)


def simple_loss(guess):
    """The loss by quadrature over the noise, and sums over x_0 and t."""
    alpha_bar = diffusion.cosine_schedule(SIMPLE_T).alpha_bar.numpy()
    total = 0.0
    for t in range(1, SIMPLE_T + 1):
        for image in (-1.0, 1.0):
            at = math.sqrt(alpha_bar[t]) * image + math.sqrt(1 - alpha_bar[t]) * NODES
            total += WEIGHTS @ (NODES - guess(at, alpha_bar[t])) ** 2 / (2 * SIMPLE_T)
    return total


@pytest.mark.equation("dif-simple-loss")
def test_the_simple_loss_is_what_its_expectation_says():
    schedule = diffusion.cosine_schedule(SIMPLE_T)
    n = 200_000
    source = torch.Generator().manual_seed(0)
    images = torch.randint(0, 2, (n, 1), generator=source, dtype=torch.float64) * 2 - 1
    t = torch.randint(1, SIMPLE_T + 1, (n,), generator=source)
    noise = torch.randn(n, 1, generator=source, dtype=torch.float64)

    def model(x, times):
        out = torch.empty_like(x)
        for each in range(1, SIMPLE_T + 1):
            out[times == each] = torch.from_numpy(best_guess(x[times == each].numpy(), schedule.alpha_bar[each].item()))
        return out

    losses = diffusion.eps_loss(model, images, t, noise, schedule)
    assert losses.mean().item() == pytest.approx(simple_loss(best_guess), abs=5 * losses.std().item() / math.sqrt(n))


@pytest.mark.equation("dif-simple-loss")
def test_no_other_guess_has_a_smaller_simple_loss_than_the_average_noise():
    least = simple_loss(best_guess)
    assert least > 0.1  # it does not go to zero
    for other in (
        lambda x, ab: best_guess(x, ab) + 0.05,
        lambda x, ab: 0.95 * best_guess(x, ab),
        lambda x, ab: best_guess(x, ab) + 0.05 * np.sin(3 * x),
    ):
        assert simple_loss(other) > least + 1e-4
