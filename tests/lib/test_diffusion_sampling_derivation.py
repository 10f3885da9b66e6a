"""The chapters on the network, sampling and bits, by quadrature, SymPy, conditioning, NumPy and SciPy."""

import math

import numpy as np
import pytest
import sympy as sp
import torch
from scipy import integrate, stats
from torch import nn

from genmodels import diffusion, diffusion_exact, train, unet

ALPHA_BAR = 0.6


def density(x, alpha_bar=ALPHA_BAR):
    """q(x_t) for x_0 even between -1 and 1: no Gaussian, so that nothing holds for that reason only."""
    root, sd = math.sqrt(alpha_bar), math.sqrt(1 - alpha_bar)
    return (stats.norm.cdf((x + root) / sd) - stats.norm.cdf((x - root) / sd)) / (2 * root)


def expected_noise(x, alpha_bar=ALPHA_BAR):
    """E[eps given x_t] for the same data, by Bayes' rule and quadrature over x_0."""
    root, sd = math.sqrt(alpha_bar), math.sqrt(1 - alpha_bar)

    def weighted(x0, power):
        return ((x - root * x0) / sd) ** power * stats.norm.pdf(x, root * x0, sd) / 2

    return integrate.quad(weighted, -1, 1, args=(1,))[0] / integrate.quad(weighted, -1, 1, args=(0,))[0]


@pytest.mark.equation("dif-score")
@pytest.mark.parametrize("x", [-1.7, -0.2, 0.0, 0.9, 2.5])
def test_the_average_noise_is_minus_the_score_times_the_noises_width(x):
    h = 1e-5
    score = (math.log(density(x + h)) - math.log(density(x - h))) / (2 * h)
    assert score == pytest.approx(-expected_noise(x) / math.sqrt(1 - ALPHA_BAR), abs=1e-7)


@pytest.mark.equation("dif-exact-denoiser")
@pytest.mark.parametrize("t", [1, 50, 400, 1000])
def test_the_average_noise_for_a_mixture_is_bayes_rule_over_its_components(t):
    schedule = diffusion.linear_schedule()
    weights, means, sds = [0.3, 0.7], [-1.0, 0.8], [0.4, 0.2]
    mixture = diffusion_exact.GaussianMixture(
        torch.tensor(weights, dtype=torch.float64),
        torch.tensor(means, dtype=torch.float64)[:, None],
        torch.tensor(sds, dtype=torch.float64).square()[:, None, None],
    )
    alpha_bar = schedule.alpha_bar[t].item()
    root, sd = math.sqrt(alpha_bar), math.sqrt(1 - alpha_bar)
    for x in (-1.3, 0.1, 1.0):

        def joint(x0, power, x=x):
            data = sum(w * stats.norm.pdf(x0, m, s) for w, m, s in zip(weights, means, sds, strict=True))
            return x0**power * data * stats.norm.pdf(x, root * x0, sd)

        near = x / root  # where x_0 would have no noise on it: quad must not miss a narrow peak
        points = sorted({p for p in (-1.0, 0.8, near) if -5 < p < 5})
        mean_x0, mass = (
            integrate.quad(joint, -5, 5, args=(power,), points=points, limit=200, epsabs=1e-13)[0] for power in (1, 0)
        )
        noise = (x - root * mean_x0 / mass) / sd
        found = mixture.expected_eps(torch.tensor([[x]], dtype=torch.float64), torch.tensor([t]), schedule)
        assert found.item() == pytest.approx(noise, abs=1e-6)


@pytest.mark.equation("dif-ancestral-step")
def test_a_thousand_ancestral_steps_give_gaussian_data_its_variance():
    """The step is linear for Gaussian data, so the variance of its samples is a recursion of numbers."""
    schedule, data_variance = diffusion.linear_schedule(), 0.25
    variance = 1.0
    for t in range(1000, 0, -1):
        alpha, alpha_bar = schedule.alpha[t].item(), schedule.alpha_bar[t].item()
        of_noise = math.sqrt(1 - alpha_bar) / (alpha_bar * data_variance + 1 - alpha_bar)  # E[eps given x] / x
        factor = (1 - (1 - alpha) / math.sqrt(1 - alpha_bar) * of_noise) / math.sqrt(alpha)
        one = torch.ones(1, 1, dtype=torch.float64)
        at = torch.tensor([t])
        step = diffusion.ancestral_step(one, at, of_noise * one, 0 * one, schedule).item()
        assert step == pytest.approx(factor, rel=1e-12)
        fresh = diffusion.ancestral_step(0 * one, at, 0 * one, one, schedule).item()
        assert fresh == (0 if t == 1 else pytest.approx(math.sqrt(schedule.beta_tilde[t].item())))
        variance = factor**2 * variance + fresh**2
    # beta_tilde would be exact for a single image; for data with a width it is a little too small.
    assert variance == pytest.approx(data_variance, rel=0.02)


@pytest.mark.equation("dif-ddim-step")
def test_a_ddim_step_from_the_true_noise_lands_in_the_marginal_of_any_earlier_time_for_any_sigma():
    ab_t, ab_s, sigma, x0, eps, fresh = sp.symbols("ab_t ab_s sigma x0 eps fresh", positive=True)
    xt = sp.sqrt(ab_t) * x0 + sp.sqrt(1 - ab_t) * eps
    x0_hat = (xt - sp.sqrt(1 - ab_t) * eps) / sp.sqrt(ab_t)
    xs = sp.expand(sp.sqrt(ab_s) * x0_hat + sp.sqrt(1 - ab_s - sigma**2) * eps + sigma * fresh)
    assert sp.simplify(xs.coeff(x0) - sp.sqrt(ab_s)) == 0
    variance = xs.coeff(eps) ** 2 + xs.coeff(fresh) ** 2  # eps and fresh are independent, of variance 1
    assert sp.simplify(variance - (1 - ab_s)) == 0


@pytest.mark.equation("dif-ddim-step", "dif-ddim-sigma")
@pytest.mark.parametrize(("s", "t"), [(499, 500), (450, 500), (1, 1000), (3, 7)])
def test_with_eta_one_a_ddim_step_is_the_posterior_of_a_step_of_any_length(s, t):
    """Conditioning x_s on x_t, given x_0: a joint Gaussian that is built from the two closed forms."""
    schedule = diffusion.linear_schedule()
    ab_s, ab_t = schedule.alpha_bar[s].item(), schedule.alpha_bar[t].item()
    jump = ab_t / ab_s  # x_t = sqrt(jump) x_s + noise of variance 1 - jump
    x0, xt = 0.7, -0.4
    gain = math.sqrt(jump) * (1 - ab_s) / (1 - ab_t)
    mean = math.sqrt(ab_s) * x0 + gain * (xt - math.sqrt(ab_t) * x0)
    variance = (1 - ab_s) - gain * math.sqrt(jump) * (1 - ab_s)

    at, before = torch.tensor([t]), torch.tensor([s])
    x = torch.tensor([[xt]], dtype=torch.float64)
    noise = torch.tensor([[(xt - math.sqrt(ab_t) * x0) / math.sqrt(1 - ab_t)]], dtype=torch.float64)
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    without = diffusion.ddim_step(x, at, before, noise, zero, schedule, eta=1.0).item()
    assert without == pytest.approx(mean, abs=1e-10)
    spread = diffusion.ddim_step(x, at, before, noise, one, schedule, eta=1.0).item() - without
    assert spread**2 == pytest.approx(variance, rel=1e-8)


@pytest.mark.equation("dif-discretized-decoder")
def test_each_grey_level_has_the_probability_of_its_interval_and_all_sum_to_one():
    levels = np.linspace(-1, 1, 17)
    mu, sd = 0.28, 0.09
    edges = np.concatenate([[-np.inf], (levels[1:] + levels[:-1]) / 2, [np.inf]])
    probability = np.diff(stats.norm.cdf(edges, mu, sd))
    x = torch.from_numpy(levels)[:, None]
    logvar = torch.full_like(x, math.log(sd**2))
    found = diffusion.discretized_log_normal(x, torch.full_like(x, mu), logvar, levels=17).exp().numpy()
    np.testing.assert_allclose(found, probability, atol=1e-12)
    assert found.sum() == pytest.approx(1, abs=1e-12)


@pytest.mark.equation("dif-time-embedding")
def test_two_embedded_times_are_as_alike_as_their_distance_says():
    dim = 32
    frequency = np.array([10000.0 ** (-2 * i / dim) for i in range(dim // 2)])

    def by_hand(t):
        return np.concatenate([np.sin(frequency * t), np.cos(frequency * t)])

    times = torch.tensor([1.0, 2.0, 400.0, 1000.0], dtype=torch.float64)
    embedded = unet.time_embedding(times, dim).numpy()
    np.testing.assert_allclose(embedded, np.stack([by_hand(t) for t in times.numpy()]), atol=1e-9)
    for distance in (1, 10, 300):
        alike = [by_hand(t) @ by_hand(t + distance) for t in (1, 250, 600)]
        np.testing.assert_allclose(alike, np.cos(frequency * distance).sum(), atol=1e-9)


@pytest.mark.equation("dif-adagn")
def test_adagn_is_a_normalised_group_stretched_and_shifted_by_numbers_of_the_channel():
    values = np.array([[[1.0, 3.0], [5.0, 7.0]], [[0.0, 2.0], [4.0, -2.0]]])  # two channels, each a group
    y_s, y_b = np.array([2.0, -1.0]), np.array([0.5, 3.0])
    by_hand = [
        s * (channel - channel.mean()) / np.sqrt(channel.var() + 1e-5) + b
        for channel, s, b in zip(values, y_s, y_b, strict=True)
    ]
    found = unet.ada_group_norm(
        torch.from_numpy(values)[None], torch.from_numpy(y_s)[None], torch.from_numpy(y_b)[None], groups=2
    )
    np.testing.assert_allclose(found[0].numpy(), np.stack(by_hand), atol=1e-10)


@pytest.mark.equation("dif-ema")
def test_the_running_average_is_a_sum_over_all_earlier_weights():
    values, decay, start = [0.3, -1.0, 2.0, 0.7], 0.9, 5.0
    average, model = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
    nn.init.constant_(average.weight, start)
    for value in values:
        nn.init.constant_(model.weight, value)
        train.update_ema(average, model, decay)
    k = len(values)
    closed = (1 - decay) * sum(decay**j * values[k - 1 - j] for j in range(k)) + decay**k * start
    assert average.weight.item() == pytest.approx(closed, rel=1e-6)
