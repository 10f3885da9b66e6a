"""Estimates of a likelihood by sampling codes: their mean, their variance, and what the logarithm does to them."""

import math

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from genmodels.vae import LinearGaussianVAE

W, NOISE_VAR, X = 0.9, 0.3, 1.2
P_X = stats.norm(0, math.sqrt(W**2 + NOISE_VAR)).pdf(X)


def terms(z):
    return stats.norm(W * z, math.sqrt(NOISE_VAR)).pdf(X)


def relative_variance_by_quadrature():
    second_moment, _ = integrate.quad(lambda z: stats.norm.pdf(z) * terms(z) ** 2, -10, 10)
    return second_moment / P_X**2 - 1


@pytest.mark.equation("prior-monte-carlo")
def test_the_mean_of_the_decoder_over_codes_from_the_prior_is_the_likelihood():
    n = 400_000
    draws = terms(np.random.default_rng(0).standard_normal(n))
    assert draws.mean() == pytest.approx(P_X, abs=5 * draws.std() / math.sqrt(n))
    model = LinearGaussianVAE(torch.tensor([[W]], dtype=torch.float64), noise_var=NOISE_VAR)
    assert model.log_prob(torch.tensor([[X]], dtype=torch.float64)).item() == pytest.approx(math.log(P_X))


@pytest.mark.equation("prior-monte-carlo-variance")
@pytest.mark.parametrize(("x", "w", "s2"), [(0.0, 1.0, 0.1), (1.2, 0.9, 0.3), (-2.0, 2.0, 1.0)])
def test_the_printed_variance_of_a_term_is_the_integrals(x, w, s2):
    def density(z):
        return stats.norm(w * z, math.sqrt(s2)).pdf(x)

    mean, _ = integrate.quad(lambda z: stats.norm.pdf(z) * density(z), -10, 10)
    square, _ = integrate.quad(lambda z: stats.norm.pdf(z) * density(z) ** 2, -10, 10)
    printed = stats.norm(0, math.sqrt(w**2 + s2 / 2)).pdf(x) / (
        2 * math.sqrt(math.pi * s2) * stats.norm(0, math.sqrt(w**2 + s2)).pdf(x) ** 2
    )
    assert printed == pytest.approx(square / mean**2, rel=1e-8)


@pytest.mark.equation("log-mean-bias")
@pytest.mark.parametrize("k", [100, 400])
def test_the_logarithm_of_the_estimate_is_too_low_by_the_printed_amount(k):
    n = 40_000
    z = np.random.default_rng(k).standard_normal((n, k))
    log_estimates = np.log(terms(z).mean(axis=1))
    bias = log_estimates.mean() - math.log(P_X)
    standard_error = log_estimates.std() / math.sqrt(n)
    rho = relative_variance_by_quadrature()
    assert bias < -5 * standard_error  # it is there at all
    # What the expansion leaves out is of the order of 1 / K^2.
    assert bias == pytest.approx(-rho / (2 * k), abs=5 * standard_error + 10 / k**2)


@pytest.mark.equation("importance-sampling")
def test_the_weights_mean_is_the_likelihood_for_any_proposal_and_the_posterior_makes_them_constant():
    for mean, sd in ((0.0, 2.0), (1.0, 0.7)):
        q = stats.norm(mean, sd)
        value, _ = integrate.quad(lambda z, q=q: q.pdf(z) * (terms(z) * stats.norm.pdf(z) / q.pdf(z)), -10, 10)
        assert value == pytest.approx(P_X, rel=1e-8)
    covariance = np.array([[1.0, W], [W, W**2 + NOISE_VAR]])  # of (z, x)
    gain = covariance[0, 1] / covariance[1, 1]
    posterior = stats.norm(gain * X, math.sqrt(covariance[0, 0] - gain * covariance[1, 0]))
    z = np.linspace(-2, 3, 11)
    np.testing.assert_allclose(terms(z) * stats.norm.pdf(z) / posterior.pdf(z), P_X, rtol=1e-10)
