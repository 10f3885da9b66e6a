"""The forward process: each move of its derivation in SymPy, its schedules and their ends by other routes."""

import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest
import sympy
import torch
from scipy import integrate, stats

from genmodels import diffusion

A_T, A_S, A_BAR = sympy.symbols("alpha_t alpha_s alpha_bar", positive=True)  # s stands for t-1
X, E_1, E_2 = sympy.symbols("x epsilon_1 epsilon_2", real=True)


def as_gaussian(sample, noises):
    """Mean and variance of a value that is affine in independent standard normal variables."""
    sample = sympy.expand(sample)
    slopes = [sympy.diff(sample, noise) for noise in noises]
    assert not any(slope.has(*noises) for slope in slopes)
    return sample.subs(dict.fromkeys(noises, 0)), sympy.expand(sum(slope**2 for slope in slopes))


def zero(expression):
    return sympy.simplify(expression) == 0


@pytest.mark.equation("dif-forward-closed-form")
def test_each_move_of_two_steps_follows_from_the_one_before():
    one = sympy.sqrt(A_T) * (sympy.sqrt(A_S) * X + sympy.sqrt(1 - A_S) * E_1) + sympy.sqrt(1 - A_T) * E_2
    opened = sympy.sqrt(A_T * A_S) * X + sympy.sqrt(A_T - A_T * A_S) * E_1 + sympy.sqrt(1 - A_T) * E_2
    point = {A_T: sympy.Rational(7, 10), A_S: sympy.Rational(9, 10)}  # roots of sums don't combine symbolically
    assert zero((one - opened).subs(point))
    mean, variance = as_gaussian(one, (E_1, E_2))
    assert zero(mean - sympy.sqrt(A_T * A_S) * X)
    assert zero(variance - (A_T - A_T * A_S + 1 - A_T))
    assert zero(variance - (1 - A_T * A_S))


@pytest.mark.equation("dif-forward-closed-form")
def test_a_step_more_takes_the_claim_from_t_minus_1_to_t():
    before = sympy.sqrt(A_BAR) * X + sympy.sqrt(1 - A_BAR) * E_1
    mean, variance = as_gaussian(sympy.sqrt(A_T) * before + sympy.sqrt(1 - A_T) * E_2, (E_1, E_2))
    assert zero(mean - sympy.sqrt(A_T * A_BAR) * X)
    assert zero(variance - (1 - A_T * A_BAR))


@pytest.mark.equation("dif-forward-step", "dif-forward-closed-form")
def test_the_density_after_two_steps_is_the_integral_over_the_step_between():
    schedule = diffusion.Schedule(torch.tensor([0.0, 0.3, 0.45], dtype=torch.float64))
    x0 = torch.tensor([[0.8]], dtype=torch.float64)
    mean, var = (float(value) for value in diffusion.q_mean_var(x0, torch.tensor([2]), schedule))

    def step(at, given, beta):
        return math.exp(-((at - math.sqrt(1 - beta) * given) ** 2) / (2 * beta)) / math.sqrt(2 * math.pi * beta)

    for at in (-1.5, 0.2, 2.0):
        path, _ = integrate.quad(lambda u, at=at: step(u, 0.8, 0.3) * step(at, u, 0.45), -8, 8, epsabs=1e-13)
        assert stats.norm(mean, math.sqrt(var)).pdf(at) == pytest.approx(path, rel=1e-9)


@pytest.mark.equation("dif-forward-jump")
def test_the_steps_from_s_to_t_compose_to_the_jump():
    schedule = diffusion.linear_schedule(60, 0.001, 0.2)
    beta, alpha_bar = schedule.beta.tolist(), schedule.alpha_bar.tolist()
    for s, t in ((0, 7), (3, 4), (10, 60)):
        factor, variance = 1.0, 0.0
        for i in range(s + 1, t + 1):
            factor, variance = math.sqrt(1 - beta[i]) * factor, (1 - beta[i]) * variance + beta[i]
        assert factor == pytest.approx(math.sqrt(alpha_bar[t] / alpha_bar[s]), rel=1e-12)
        assert variance == pytest.approx(1 - alpha_bar[t] / alpha_bar[s], rel=1e-12)


@pytest.mark.equation("dif-forward-covariance")
def test_the_covariance_of_diffused_data_is_the_recursion_of_single_steps():
    covariance = np.array([[2.0, 0.7], [0.7, 0.5]])
    schedule = diffusion.cosine_schedule(40)
    now = covariance
    for t in range(1, 41):
        now = schedule.alpha[t].item() * now + schedule.beta[t].item() * np.eye(2)
        share = schedule.alpha_bar[t].item()
        np.testing.assert_allclose(share * covariance + (1 - share) * np.eye(2), now, rtol=1e-12)


@pytest.mark.equation("dif-forward-covariance")
def test_data_of_variance_one_keep_it_and_noise_without_shrinking_does_not():
    beta = diffusion.linear_schedule().beta
    variance = 1.0
    for b in beta[1:].tolist():
        variance = (1 - b) * variance + b
    assert variance == pytest.approx(1, abs=1e-12)
    assert 1 + beta.sum().item() == pytest.approx(11.05, abs=1e-9)


@pytest.mark.equation("dif-linear-schedule")
def test_the_linear_schedule_is_the_arithmetic_sequence_and_ends_where_exact_fractions_do():
    first, last = Fraction(1, 10_000), Fraction(2, 100)
    betas = [first + Fraction(t - 1, 999) * (last - first) for t in range(1, 1001)]
    schedule = diffusion.linear_schedule()
    np.testing.assert_allclose(schedule.beta[1:], [float(b) for b in betas], rtol=1e-12)
    with mpmath.workdps(30):
        end = mpmath.mpf(1)
        for b in betas:
            end *= 1 - mpmath.mpf(b.numerator) / b.denominator
    assert schedule.alpha_bar[-1].item() == pytest.approx(float(end), rel=1e-12)
    assert float(end) == pytest.approx(4.035830e-05, rel=1e-6)
    # The pencil's way: two terms of the logarithm's series.
    assert sum(betas) == Fraction(1005, 100)
    assert float(sum(b**2 for b in betas)) == pytest.approx(0.134, abs=5e-4)
    assert math.exp(-10.05 - 0.067) == pytest.approx(4.04e-5, abs=5e-8)


@pytest.mark.equation("dif-cosine-schedule")
@pytest.mark.parametrize("T", [10, 1000])
def test_the_cosine_schedule_in_thirty_digits(T):
    schedule = diffusion.cosine_schedule(T)
    with mpmath.workdps(30):
        s = mpmath.mpf("0.008")
        # cos² u = (1 + cos 2u) / 2
        share = [(1 + mpmath.cos(mpmath.pi * (mpmath.mpf(t) / T + s) / (1 + s))) / 2 for t in range(T + 1)]
        beta = [min(1 - share[t] / share[t - 1], mpmath.mpf("0.999")) for t in range(1, T + 1)]
        alpha_bar = [share[t] / share[0] for t in range(T)]
    np.testing.assert_allclose(schedule.beta[1:], [float(b) for b in beta], rtol=1e-9)
    np.testing.assert_allclose(schedule.alpha_bar[:-1], [float(a) for a in alpha_bar], rtol=1e-9)
    assert (schedule.beta == 0.999).sum() == 1
    assert schedule.beta[-1] == 0.999


@pytest.mark.equation("dif-snr")
def test_the_ratio_is_that_of_the_two_variances_gathered_step_by_step():
    for schedule, equal_at in ((diffusion.linear_schedule(), 259), (diffusion.cosine_schedule(), 496)):
        signal, noise, last_above = 1.0, 0.0, 0
        for t, beta in enumerate(schedule.beta[1:].tolist(), start=1):
            signal, noise = (1 - beta) * signal, (1 - beta) * noise + beta
            assert schedule.snr[t].item() == pytest.approx(signal / noise, rel=1e-9)
            last_above = t if signal > noise else last_above
        assert last_above == equal_at


@pytest.mark.equation("dif-prior-term")
@pytest.mark.parametrize("share", [4.0e-5, 0.36])
def test_the_divergence_at_the_end_is_torchs_between_the_two_gaussians(share):
    x0 = torch.linspace(-1, 1, 6, dtype=torch.float64)
    end = torch.distributions.Normal(math.sqrt(share) * x0, math.sqrt(1 - share))
    want = torch.distributions.kl_divergence(end, torch.distributions.Normal(0.0, 1.0)).sum().item()
    printed = 0.5 * share * float(x0 @ x0) - 3 * (share + math.log1p(-share))
    assert printed == pytest.approx(want, rel=1e-9)
    if share < 0.01:
        assert printed == pytest.approx(0.5 * share * float(x0 @ x0), rel=1e-3)
