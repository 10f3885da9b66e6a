"""Both proofs of the posterior of a diffusion step, move by move in SymPy, and what the chapter reads off it."""

import math

import numpy as np
import pytest
import sympy
import torch
from scipy import integrate, stats

from genmodels import diffusion

# alpha_t, alpha_bar_{t-1}; alpha_bar_t is their product.
A, BEFORE = sympy.symbols("alpha beta_bar", positive=True)
NOW = A * BEFORE
U, XT, X0 = sympy.symbols("x_{t-1} x_t x_0", real=True)
VARIANCE = (1 - A) * (1 - BEFORE) / (1 - NOW)
MEAN = (sympy.sqrt(A) * (1 - BEFORE) * XT + sympy.sqrt(BEFORE) * (1 - A) * X0) / (1 - NOW)


def zero(expression):
    return sympy.simplify(sympy.expand(expression)) == 0


def free_of_u(expression):
    """Whether an expression is a constant for the proof: its derivative with respect to x_{t-1} vanishes."""
    return zero(sympy.diff(expression, U))


def exponent():
    """The bracket of the first move: minus twice the logarithm of the three Gaussians' exponentials."""
    return (
        (XT - sympy.sqrt(A) * U) ** 2 / (1 - A)
        + (U - sympy.sqrt(BEFORE) * X0) ** 2 / (1 - BEFORE)
        - (XT - sympy.sqrt(NOW) * X0) ** 2 / (1 - NOW)
    )


def log_normal(x, mean, variance):
    return -((x - mean) ** 2) / (2 * variance) - sympy.log(2 * sympy.pi * variance) / 2


@pytest.mark.equation("dif-posterior")
def test_the_exponent_is_that_of_bayes_rule_up_to_a_constant():
    log_ratio = (
        log_normal(XT, sympy.sqrt(A) * U, 1 - A)
        + log_normal(U, sympy.sqrt(BEFORE) * X0, 1 - BEFORE)
        - log_normal(XT, sympy.sqrt(NOW) * X0, 1 - NOW)
    )
    assert free_of_u(log_ratio + exponent() / 2)


@pytest.mark.equation("dif-posterior")
def test_bayes_rule_gives_a_density_with_the_moments_of_the_posterior():
    schedule = diffusion.Schedule(torch.tensor([0.0, 0.5, 0.2], dtype=torch.float64))
    x0, xt = torch.tensor([[1.0]], dtype=torch.float64), torch.tensor([[-0.5]], dtype=torch.float64)
    mean, variance = (float(v) for v in diffusion.q_posterior(x0, xt, torch.tensor([2]), schedule))
    end = stats.norm(math.sqrt(0.4), math.sqrt(0.6)).pdf(-0.5)

    def density(u):
        step = stats.norm(math.sqrt(0.8) * u, math.sqrt(0.2)).pdf(-0.5)
        return step * stats.norm(math.sqrt(0.5), math.sqrt(0.5)).pdf(u) / end

    total, first, second = (integrate.quad(lambda u, k=k: u**k * density(u), -8, 8)[0] for k in range(3))
    assert total == pytest.approx(1, abs=1e-9)
    assert first == pytest.approx(mean, abs=1e-8)
    assert second - first**2 == pytest.approx(variance, abs=1e-8)
    assert (mean, variance) == pytest.approx((-0.137, 1 / 6), abs=5e-5)  # the pencil's numbers


def kept():
    return (A * U**2 - 2 * sympy.sqrt(A) * XT * U) / (1 - A) + (U**2 - 2 * sympy.sqrt(BEFORE) * X0 * U) / (1 - BEFORE)


def coefficients():
    square = A / (1 - A) + 1 / (1 - BEFORE)
    linear = sympy.sqrt(A) * XT / (1 - A) + sympy.sqrt(BEFORE) * X0 / (1 - BEFORE)
    return square, linear


@pytest.mark.equation("dif-posterior-mean", "dif-posterior-variance", "dif-posterior-precision")
def test_each_move_of_completing_the_square_follows_from_the_one_before():
    square, linear = coefficients()
    assert free_of_u(exponent() - kept())
    assert zero(kept() - (square * U**2 - 2 * linear * U))
    assert zero(square - (A * (1 - BEFORE) + 1 - A) / ((1 - A) * (1 - BEFORE)))
    assert zero(square - 1 / VARIANCE)
    assert zero(VARIANCE * linear - MEAN)
    assert free_of_u(square * U**2 - 2 * linear * U - (U - MEAN) ** 2 / VARIANCE)


@pytest.mark.equation("dif-posterior-precision")
def test_precisions_of_two_witnesses_add():
    # A product of two normal densities, multiplied numerically and measured.
    u = np.linspace(-8, 8, 40_001)
    product = stats.norm(-0.5 / math.sqrt(0.8), math.sqrt(0.25)).pdf(u)
    product *= stats.norm(math.sqrt(0.5), math.sqrt(0.5)).pdf(u)
    product /= product.sum()
    mean = product @ u
    assert 1 / (product @ (u - mean) ** 2) == pytest.approx(0.8 / 0.2 + 1 / 0.5, rel=1e-9)
    printed = 0.8 / 0.2 * -0.5 / math.sqrt(0.8) + 1 / 0.5 * math.sqrt(0.5) * 1.0
    assert mean * 6 == pytest.approx(printed, rel=1e-9)


@pytest.mark.equation("dif-gaussian-conditioning")
def test_conditioning_is_the_ratio_of_the_joint_density_and_the_marginal():
    mean, cov = np.array([0.4, -1.0]), np.array([[1.3, -0.6], [-0.6, 0.9]])
    joint, marginal = stats.multivariate_normal(mean, cov), stats.norm(-1.0, math.sqrt(0.9))
    v = 0.3
    conditional = stats.norm(0.4 + -0.6 / 0.9 * (v + 1.0), math.sqrt(1.3 - 0.6**2 / 0.9))
    for u in (-1.0, 0.0, 1.7):
        assert conditional.pdf(u) == pytest.approx(joint.pdf([u, v]) / marginal.pdf(v), rel=1e-10)


@pytest.mark.equation("dif-posterior-mean", "dif-posterior-variance")
def test_the_second_proof_arrives_at_the_same_two_formulas():
    # The covariances from the noises themselves: u = sqrt(before) x0 + sqrt(1 - before) e1, x_t = sqrt(alpha) u + ...
    e_1, e_2 = sympy.symbols("epsilon_1 epsilon_2", real=True)
    u = sympy.sqrt(BEFORE) * X0 + sympy.sqrt(1 - BEFORE) * e_1
    v = sympy.sqrt(A) * u + sympy.sqrt(1 - A) * e_2

    def covariance(one, other):
        return sympy.expand(sum(sympy.diff(one, e) * sympy.diff(other, e) for e in (e_1, e_2)))

    assert zero(covariance(u, v) - sympy.sqrt(A) * (1 - BEFORE))
    assert zero(covariance(v, v) - (1 - NOW))
    gain = covariance(u, v) / covariance(v, v)
    mean_u, mean_v = (value.subs({e_1: 0, e_2: 0}) for value in (u, v))
    assert zero(mean_u + gain * (XT - mean_v) - MEAN)
    assert zero(covariance(u, u) - gain * covariance(u, v) - VARIANCE)


@pytest.mark.equation("dif-posterior-weights")
def test_the_weights_sum_to_the_printed_fraction_in_every_step_of_a_schedule():
    schedule = diffusion.cosine_schedule(50)
    t = torch.arange(1, 51)
    ones = torch.ones(50, 1, dtype=torch.float64)
    total, _ = diffusion.q_posterior(ones, ones, t, schedule)
    a, b = np.sqrt(schedule.alpha[1:].numpy()), np.sqrt(schedule.alpha_bar[:-1].numpy())
    np.testing.assert_allclose(total[:, 0], (a + b) / (1 + a * b), rtol=1e-12)
    np.testing.assert_allclose(1 - total[:, 0], (1 - a) * (1 - b) / (1 + a * b), atol=1e-14)


@pytest.mark.equation("dif-posterior-weights")
def test_sympy_factors_the_sum_of_the_weights():
    a, b = sympy.symbols("a b", positive=True)
    total = (a * (1 - b**2) + b * (1 - a**2)) / (1 - a**2 * b**2)
    assert sympy.factor(sympy.cancel(total - (a + b) / (1 + a * b))) == 0
