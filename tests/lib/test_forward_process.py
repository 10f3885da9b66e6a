"""The three equations of the errata, by composing single steps, by sampling, and by convolution."""

import math

import numpy as np
import pytest
from scipy import integrate, stats


def linear_alpha():
    return 1 - np.concatenate([[0.0], np.linspace(1e-4, 0.02, 1000)])


@pytest.mark.equation("forward-step")
def test_a_forward_step_has_the_mean_and_the_variance_that_the_slide_states():
    alpha, x, n = 0.7, 1.5, 400_000
    step = math.sqrt(alpha) * x + math.sqrt(1 - alpha) * np.random.default_rng(0).standard_normal(n)
    assert step.mean() == pytest.approx(math.sqrt(alpha) * x, abs=5 * math.sqrt((1 - alpha) / n))
    assert step.var() == pytest.approx(1 - alpha, abs=5 * (1 - alpha) * math.sqrt(2 / n))
    assert stats.kstest((step[:2000] - math.sqrt(0.7) * 1.5) / math.sqrt(0.3), "norm").pvalue > 1e-3


@pytest.mark.equation("forward-marginal")
def test_single_steps_compose_to_the_closed_form_for_every_t():
    alpha = linear_alpha()
    factor, variance = 1.0, 0.0  # of x0 within x_t, and of the noise gathered so far
    for t in range(1, 1001):
        factor, variance = math.sqrt(alpha[t]) * factor, alpha[t] * variance + (1 - alpha[t])
        alpha_bar = math.exp(math.fsum(np.log(alpha[1 : t + 1])))
        assert factor == pytest.approx(math.sqrt(alpha_bar), rel=1e-12)
        assert variance == pytest.approx(1 - alpha_bar, rel=1e-10)
    assert alpha_bar == pytest.approx(4.035830e-05, rel=1e-6)


@pytest.mark.equation("gaussian-sum")
@pytest.mark.parametrize(("var_1", "var_2"), [(1.0, 1.0), (0.3, 2.0)])
def test_the_density_of_a_sum_is_the_convolution_of_the_densities(var_1, var_2):
    first, second = stats.norm(0, math.sqrt(var_1)), stats.norm(0, math.sqrt(var_2))
    total = stats.norm(0, math.sqrt(var_1 + var_2))
    for at in (-2.0, 0.0, 0.7):
        convolution, _ = integrate.quad(lambda u, at=at: first.pdf(u) * second.pdf(at - u), -12, 12)
        assert convolution == pytest.approx(total.pdf(at), abs=1e-9)


def conditioned_on_both(alpha_t, alpha_bar_before, x0, xt):
    """Mean and variance of x_{t-1} given x_t, by conditioning the joint Gaussian of (x_{t-1}, x_t) given x0."""
    mean = np.array([math.sqrt(alpha_bar_before) * x0, math.sqrt(alpha_t * alpha_bar_before) * x0])
    var_before = 1 - alpha_bar_before
    cov = np.array(
        [
            [var_before, math.sqrt(alpha_t) * var_before],
            [math.sqrt(alpha_t) * var_before, alpha_t * var_before + 1 - alpha_t],
        ]
    )
    gain = cov[0, 1] / cov[1, 1]
    return mean[0] + gain * (xt - mean[1]), cov[0, 0] - gain * cov[1, 0]


@pytest.mark.equation("forward-posterior")
def test_the_posterior_is_the_joint_gaussian_conditioned_for_every_t():
    alpha = linear_alpha()
    alpha_bar = np.cumprod(alpha)
    x0, xt = 0.7, -0.4
    for t in range(1, 1001):
        a, before, now = alpha[t], alpha_bar[t - 1], alpha_bar[t]
        mean, variance = conditioned_on_both(a, before, x0, xt)
        printed_mean = (math.sqrt(a) * (1 - before) * xt + math.sqrt(before) * (1 - a) * x0) / (1 - now)
        assert printed_mean == pytest.approx(mean, rel=1e-9, abs=1e-12)
        assert (1 - a) * (1 - before) / (1 - now) == pytest.approx(variance, rel=1e-7, abs=1e-15)


@pytest.mark.equation("posterior-mean-eps")
def test_the_mean_in_terms_of_the_noise_is_the_conditional_mean_for_every_t():
    alpha = linear_alpha()
    alpha_bar = np.cumprod(alpha)
    x0, eps = 0.7, -1.3
    for t in range(1, 1001):
        a, before, now = alpha[t], alpha_bar[t - 1], alpha_bar[t]
        xt = math.sqrt(now) * x0 + math.sqrt(1 - now) * eps
        printed = (xt - (1 - a) / math.sqrt(1 - now) * eps) / math.sqrt(a)
        assert printed == pytest.approx(conditioned_on_both(a, before, x0, xt)[0], rel=1e-9, abs=1e-10)
