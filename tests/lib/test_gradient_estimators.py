"""The two gradients of an expectation, against derivatives of integrals and against moments."""

import math

import numpy as np
import pytest
import sympy
from scipy import integrate, stats

MU, SIGMA = 0.7, 0.6


def expectation(f, mu, sigma):
    value, _ = integrate.quad(lambda z: stats.norm(mu, sigma).pdf(z) * f(z), mu - 10 * sigma, mu + 10 * sigma)
    return value


def by_differences(f, name, step=1e-4):
    """The derivative of E[f] with respect to mu or sigma, by central differences of the integral."""
    at = {"mu": MU, "sigma": SIGMA}
    up, down = at | {name: at[name] + step}, at | {name: at[name] - step}
    return (expectation(f, **up) - expectation(f, **down)) / (2 * step)


FUNCTIONS = [(np.sin, np.cos), (lambda z: z**3, lambda z: 3 * z**2), (lambda z: z * np.tanh(z), None)]


@pytest.mark.equation("score-function-gradient")
@pytest.mark.parametrize("f", [f for f, _ in FUNCTIONS])
def test_the_mean_of_f_times_the_score_is_the_derivative_of_the_expectation(f):
    def score_mu(z):
        return (z - MU) / SIGMA**2

    def score_sigma(z):
        return ((z - MU) ** 2 / SIGMA**2 - 1) / SIGMA

    assert expectation(lambda z: f(z) * score_mu(z), MU, SIGMA) == pytest.approx(by_differences(f, "mu"), abs=1e-6)
    assert expectation(lambda z: f(z) * score_sigma(z), MU, SIGMA) == pytest.approx(
        by_differences(f, "sigma"), abs=1e-6
    )


@pytest.mark.equation("pathwise-gradient")
@pytest.mark.parametrize(("f", "slope"), FUNCTIONS[:2])
def test_the_mean_slope_along_the_path_is_the_derivative_of_the_expectation(f, slope):
    by_mu = expectation(lambda eps: slope(MU + SIGMA * eps), 0, 1)
    by_sigma = expectation(lambda eps: slope(MU + SIGMA * eps) * eps, 0, 1)
    assert by_mu == pytest.approx(by_differences(f, "mu"), abs=1e-6)
    assert by_sigma == pytest.approx(by_differences(f, "sigma"), abs=1e-6)


@pytest.mark.equation("gradient-variances")
def test_the_printed_variances_follow_from_sympys_integrals():
    eps, mu = sympy.symbols("eps mu", real=True)
    sigma = sympy.symbols("sigma", positive=True)
    density = sympy.exp(-(eps**2) / 2) / sympy.sqrt(2 * sympy.pi)

    def variance(estimate):
        moments = [sympy.integrate(sympy.expand(estimate**k) * density, (eps, -sympy.oo, sympy.oo)) for k in (1, 2)]
        assert sympy.simplify(moments[0] - 2 * mu) == 0  # unbiased
        return sympy.simplify(moments[1] - moments[0] ** 2)

    z = mu + sigma * eps
    assert sympy.simplify(variance(2 * z) - 4 * sigma**2) == 0
    printed = mu**4 / sigma**2 + 14 * mu**2 + 15 * sigma**2
    assert sympy.simplify(variance(z**2 * eps / sigma) - printed) == 0


@pytest.mark.equation("gradient-variances")
def test_sampled_estimates_scatter_as_printed():
    mu, sigma, n = 1.0, 0.5, 400_000
    eps = np.random.default_rng(1).standard_normal(n)
    z = mu + sigma * eps
    for estimate, printed in (
        (2 * z, 4 * sigma**2),
        (z**2 * (z - mu) / sigma**2, mu**4 / sigma**2 + 14 * mu**2 + 15 * sigma**2),
    ):
        square = (estimate - estimate.mean()) ** 2
        assert square.mean() == pytest.approx(printed, abs=5 * square.std() / math.sqrt(n))
