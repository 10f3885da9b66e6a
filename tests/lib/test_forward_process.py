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
