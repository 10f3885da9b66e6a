"""The bound of a chain of codes, on linear-Gaussian chains, whose joint densities are Gaussians built here by matrices.

A chain is z_0 = x, z_1, ..., z_T. Going down it is z_T ~ N(0, 1), z_{t-1} = c_t z_t + noise of variance v_t; going
up it is z_t = a_t z_{t-1} + b_t + noise of variance s_t.
"""

import math

import numpy as np
import pytest
from scipy import stats

T = 3
C, V = np.array([0.9, 0.7, -0.8]), np.array([0.5, 0.6, 0.3])  # down: z_{t-1} given z_t, for t = 1..T
A, B, S = np.array([0.6, 0.5, -0.9]), np.array([0.1, -0.3, 0.2]), np.array([0.4, 0.7, 0.35])  # up: z_t given z_{t-1}
X = 1.3


def down_joint(c=C, v=V):
    """Covariance of (z_0, ..., z_T) in the model, by solving (I - M) z = noise."""
    size = len(c) + 1
    step = np.zeros((size, size))
    step[np.arange(size - 1), np.arange(1, size)] = c
    inverse = np.linalg.inv(np.eye(size) - step)
    return inverse @ np.diag([*v, 1.0]) @ inverse.T


def up_given(x, a=A, b=B, s=S):
    """Mean and covariance of (z_1, ..., z_T) in the guess."""
    size = len(a)
    step = np.zeros((size, size))
    step[np.arange(1, size), np.arange(size - 1)] = a[1:]
    inverse = np.linalg.inv(np.eye(size) - step)
    drive = b + np.array([a[0] * x, *[0.0] * (size - 1)])
    return inverse @ drive, inverse @ np.diag(s) @ inverse.T


def conditioned(cov, known, value):
    """Mean and covariance of the other variables of a centred Gaussian, given the one at index `known`."""
    rest = [i for i in range(len(cov)) if i != known]
    gain = cov[rest, known] / cov[known, known]
    return gain * value, cov[np.ix_(rest, rest)] - np.outer(gain, cov[known, rest])


def gaussian_divergence(mean_q, cov_q, mean_p, cov_p):
    shift = mean_p - mean_q
    inverse = np.linalg.inv(cov_p)
    logdet = np.linalg.slogdet(cov_p)[1] - np.linalg.slogdet(cov_q)[1]
    return 0.5 * (np.trace(inverse @ cov_q) + shift @ inverse @ shift - len(shift) + logdet)


def log_normal(x, mean, var):
    return -0.5 * (np.log(2 * np.pi * var) + (x - mean) ** 2 / var)


def log_down(z, c=C, v=V):
    """The product of the model's factors at z (..., T+1): prior, then each link."""
    links = sum(log_normal(z[..., t], c[t] * z[..., t + 1], v[t]) for t in range(len(c)))
    return links + log_normal(z[..., -1], 0, 1)


def log_up(z, a=A, b=B, s=S):
    return sum(log_normal(z[..., t + 1], a[t] * z[..., t] + b[t], s[t]) for t in range(len(a)))


def nodes(x=X, a=A, b=B, s=S):
    """Chains (N, T+1) drawn upwards on a grid of Gauss-Hermite nodes, with weights: exact for polynomials."""
    eps, weight = np.polynomial.hermite_e.hermegauss(8)
    grid = np.stack(np.meshgrid(*[eps] * len(a), indexing="ij"), -1).reshape(-1, len(a))
    weights = np.prod(np.stack(np.meshgrid(*[weight] * len(a), indexing="ij"), -1).reshape(-1, len(a)), 1)
    z = [np.full(len(grid), x)]
    for t in range(len(a)):
        z.append(a[t] * z[-1] + b[t] + math.sqrt(s[t]) * grid[:, t])
    return np.stack(z, 1), weights / weights.sum()


def log_likelihood(x=X):
    return stats.norm(0, math.sqrt(down_joint()[0, 0])).logpdf(x)


def exact_gap():
    mean, cov = up_given(X)
    return gaussian_divergence(mean, cov, *conditioned(down_joint(), 0, X))


@pytest.mark.equation("dif-hierarchical-joint")
def test_the_products_of_links_are_the_joint_gaussians_of_the_two_chains():
    z = np.random.default_rng(0).standard_normal((20, T + 1))
    z[:, 0] = X
    want = stats.multivariate_normal(np.zeros(T + 1), down_joint()).logpdf(z)
    np.testing.assert_allclose(log_down(z), want, rtol=1e-10)
    np.testing.assert_allclose(log_up(z), stats.multivariate_normal(*up_given(X)).logpdf(z[:, 1:]), rtol=1e-10)


@pytest.mark.equation("dif-hierarchical-elbo", "dif-hierarchical-gap")
def test_the_bound_misses_the_log_likelihood_by_the_divergence_of_the_two_posteriors():
    z, weights = nodes()
    bound = weights @ (log_down(z) - log_up(z))
    assert bound < log_likelihood()
    assert log_likelihood() - bound == pytest.approx(exact_gap(), rel=1e-9)


@pytest.mark.equation("dif-hierarchical-gap")
def test_the_gap_is_a_sum_of_one_divergence_for_each_link():
    # The true posterior of a code given the one below it, by conditioning the model's covariance of the two.
    joint, (z, weights) = down_joint(), nodes()
    total = 0.0
    for t in range(1, T + 1):
        gain = joint[t, t - 1] / joint[t - 1, t - 1]
        var = joint[t, t] - gain * joint[t - 1, t]
        shift = A[t - 1] * z[:, t - 1] + B[t - 1] - gain * z[:, t - 1]
        total += weights @ (0.5 * (math.log(var / S[t - 1]) + (S[t - 1] + shift**2) / var - 1))
    assert total == pytest.approx(exact_gap(), rel=1e-9)


@pytest.mark.equation("dif-hierarchical-terms")
def test_reconstruction_less_one_term_for_each_code_is_the_bound():
    z, weights = nodes()
    recon = weights @ stats.norm(C[0] * z[:, 1], math.sqrt(V[0])).logpdf(X)
    middle = [
        weights
        @ (
            stats.norm(A[t - 1] * z[:, t - 1] + B[t - 1], math.sqrt(S[t - 1])).logpdf(z[:, t])
            - stats.norm(C[t] * z[:, t + 1], math.sqrt(V[t])).logpdf(z[:, t])
        )
        for t in range(1, T)
    ]
    top = 0.5 * weights @ (S[-1] + (A[-1] * z[:, T - 1] + B[-1]) ** 2 - 1 - math.log(S[-1]))
    assert recon - sum(middle) - top == pytest.approx(log_likelihood() - exact_gap(), rel=1e-9)


def test_a_divergence_in_place_of_a_middle_term_gives_at_most_the_bound_of_independent_codes():
    # Two codes. The divergence averages over a z_1 that knows nothing of the z_2 it is compared with.
    c, v = C[:2], V[:2]
    rng = np.random.default_rng(0)
    for _ in range(20):
        a, b, s = rng.normal(size=2), rng.normal(size=2), rng.uniform(0.2, 1.5, size=2)
        z, weights = nodes(X, a, b, s)
        mean, cov = up_given(X, a, b, s)
        recon = weights @ log_normal(X, c[0] * z[:, 1], v[0])
        shift = mean[0] - c[1] * z[:, 2]
        divergence = weights @ (0.5 * (math.log(v[1] / s[0]) + (s[0] + shift**2) / v[1] - 1))
        top = 0.5 * weights @ (s[1] + (a[1] * z[:, 1] + b[1]) ** 2 - 1 - math.log(s[1]))
        posterior = conditioned(down_joint(c, v), 0, X)
        log_p = log_normal(X, 0, down_joint(c, v)[0, 0])
        independent = log_p - gaussian_divergence(mean, np.diag(np.diag(cov)), *posterior)
        assert recon - divergence - top <= independent + 1e-10


def test_a_middle_term_can_be_negative():
    # Down, z_1 follows z_2 closely. Up, z_2 is a copy of z_1, however wide the guess at z_1 is.
    a, b, s = np.array([0.0, 1.0]), np.zeros(2), np.array([1.0, 0.01])
    z, weights = nodes(X, a, b, s)
    assert weights @ (log_normal(z[:, 1], 0, 1.0) - log_normal(z[:, 1], z[:, 2], 0.02)) < -1


def test_the_numbers_of_the_pencil_and_paper_example():
    joint = down_joint(np.array([1.0, 0.8]), np.array([1.0, 0.36]))
    log_p = stats.norm(0, math.sqrt(joint[0, 0])).logpdf(2.0)
    mean, cov = conditioned(joint, 0, 2.0)
    assert log_p == pytest.approx(-2.2655, abs=5e-5)
    assert (mean[0], cov[0, 0]) == pytest.approx((1, 0.5))
    gap = gaussian_divergence(np.array([1.0, 0.0]), np.diag([0.5, 1.0]), mean, cov)
    assert gap == pytest.approx(1.7114, abs=5e-5)
    assert log_p - gap == pytest.approx(-3.9769, abs=5e-5)
    assert joint[1, 2] / joint[1, 1] == pytest.approx(0.8)


def test_a_link_whose_variance_is_a_tenth_too_small_costs_what_the_text_says():
    assert gaussian_divergence(np.zeros(1), np.array([[0.09]]), np.zeros(1), np.array([[0.1]])) == pytest.approx(
        0.0027, abs=5e-5
    )
