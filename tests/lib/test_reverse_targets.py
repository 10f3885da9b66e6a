"""What a step back learns from its target: the split of the divergence, on tables and by quadrature on a mixture."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from genmodels import diffusion
from genmodels.diffusion_exact import GaussianMixture

WEIGHTS, MEANS, VAR = np.array([0.3, 0.7]), np.array([-1.0, 1.0]), 0.04
BETA = (0.5, 0.2)  # two steps: alpha_bar is 0.5, then 0.4


# Sums over a fine grid: for densities that vanish at its ends their error is far below what is asserted.
X, DX = np.linspace(-6, 6, 2401, retstep=True)


def forward(x, given, alpha, var):
    return np.exp(-((x - math.sqrt(alpha) * given) ** 2) / (2 * var)) / math.sqrt(2 * math.pi * var)


DATA = sum(w * forward(X, m, 1, VAR) for w, m in zip(WEIGHTS, MEANS, strict=True))


def marginal(x, alpha_bar):
    """q(x_t) at the points x, an integral over the data."""
    return forward(np.atleast_1d(x)[:, None], X, alpha_bar, 1 - alpha_bar) @ DATA * DX


def true_step(u, xt):
    """q(x_{t-1} given x_t) by Bayes' rule, from marginals that are integrals over the data."""
    return forward(xt, u, 1 - BETA[1], BETA[1]) * marginal(u, 0.5) / marginal(xt, 0.4)


def library_step(u, xt):
    f64 = torch.float64
    mixture = GaussianMixture(
        torch.tensor(WEIGHTS), torch.tensor(MEANS)[:, None], torch.full((2, 1, 1), VAR, dtype=f64)
    )
    schedule = diffusion.Schedule(torch.tensor([0.0, *BETA], dtype=f64))
    step = mixture.reverse_step(torch.tensor([[xt]], dtype=f64), torch.tensor([2]), schedule)
    weights, means, covariances = (value[0].numpy() for value in step)
    return weights @ stats.norm(means[:, 0], np.sqrt(covariances[:, 0, 0])).pdf(u)


@pytest.mark.equation("dif-reverse-bayes")
@pytest.mark.parametrize("xt", [-0.4, 0.9])
def test_the_true_step_back_is_bayes_rule_on_the_marginals(xt):
    assert true_step(X, xt).sum() * DX == pytest.approx(1, abs=1e-9)
    for u in (-1.2, 0.0, 0.6):
        assert library_step(u, xt) == pytest.approx(true_step(u, xt), rel=1e-8)


@pytest.mark.equation("dif-reverse-mixture")
@pytest.mark.parametrize("xt", [-0.4, 0.9])
def test_the_posteriors_average_to_the_true_step(xt):
    schedule = diffusion.Schedule(torch.tensor([0.0, *BETA], dtype=torch.float64))
    x0 = torch.tensor(X)[:, None]
    mean, var = diffusion.q_posterior(x0, torch.full_like(x0, xt), torch.full((len(X),), 2), schedule)
    image = DATA * forward(xt, X, 0.4, 0.6) / marginal(xt, 0.4)  # q(x_0 given x_t)
    for u in (-0.8, 0.3):
        average = image @ stats.norm(mean[:, 0], var[:, 0].sqrt()).pdf(u) * DX
        assert average == pytest.approx(true_step(u, xt), rel=1e-8)


@pytest.mark.equation("dif-compensation")
def test_the_average_divergence_splits_into_what_can_be_learned_and_a_floor():
    rng = np.random.default_rng(0)
    image = rng.dirichlet(np.ones(5))  # q(x_0 given x_t)
    target = rng.dirichlet(np.ones(7), size=5)  # r, a row for each image
    floor = sum(w * stats.entropy(r, image @ target) for w, r in zip(image, target, strict=True))
    for proposal in rng.dirichlet(np.ones(7), size=20):
        total = sum(w * stats.entropy(r, proposal) for w, r in zip(image, target, strict=True))
        assert total == pytest.approx(stats.entropy(image @ target, proposal) + floor, rel=1e-12)
        assert total >= floor


def test_an_image_guessed_and_noised_anew_lands_in_the_marginal_before():
    # E over q(x_t) of the second answer's average is q(x_{t-1}); here on a grid of images and of x_t.
    joint = DATA[:, None] * forward(X[None], X[:, None], 0.4, 0.6)  # (x_0, x_t)
    image_given = joint / joint.sum(0)
    for u in (-1.0, 0.2, 0.8):
        learned = forward(u, X, 0.5, 0.5) @ image_given  # for each x_t
        assert learned @ marginal(X, 0.4) * DX == pytest.approx(marginal(u, 0.5), rel=1e-8)


def test_halving_a_small_step_brings_it_eight_times_closer_to_a_gaussian():
    # q(x_{t-1} given x_t) at alpha_bar_t = 0.5, on a fine grid of x_{t-1}, from Bayes' rule.
    def mixture_pdf(x, alpha_bar):
        return sum(
            w * forward(x, m, alpha_bar, alpha_bar * VAR + 1 - alpha_bar) for w, m in zip(WEIGHTS, MEANS, strict=True)
        )

    def distance(beta):
        average = 0.0
        for xt in np.linspace(-4, 4, 81):
            u = xt / math.sqrt(1 - beta) + math.sqrt(beta) * np.linspace(-9, 9, 1801)
            q = forward(xt, u, 1 - beta, beta) * mixture_pdf(u, 0.5 / (1 - beta))
            q /= q.sum()
            mean = q @ u
            best = forward(u, mean, 1, q @ (u - mean) ** 2)
            average += mixture_pdf(xt, 0.5) * 0.1 * stats.entropy(q, best)
        return average

    assert distance(0.025) / distance(0.0125) == pytest.approx(8, rel=0.1)
