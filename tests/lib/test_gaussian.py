"""The Gaussian density and divergence against torch.distributions, quadrature and SymPy."""

import math

import pytest
import sympy
import torch
from scipy import integrate, stats
from torch.distributions import Independent, MultivariateNormal, Normal, kl_divergence

from genmodels.gaussian import kl_normal, log_normal

SHAPES = [(5, 2), (3, 2, 4, 4), (1, 1)]


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def diagonal_gaussian(mu, logvar):
    return Independent(Normal(mu, torch.exp(logvar).sqrt()), mu.ndim - 1)


@pytest.mark.equation("gaussian-log-density")
@pytest.mark.parametrize("shape", SHAPES)
def test_log_density_agrees_with_torch_distributions_at_any_rank(shape):
    x, mu, logvar = draw(*shape, seed=1), draw(*shape, seed=2), draw(*shape, seed=3)
    torch.testing.assert_close(log_normal(x, mu, logvar), diagonal_gaussian(mu, logvar).log_prob(x))


@pytest.mark.equation("gaussian-log-density")
def test_density_integrates_to_one():
    def density(value):
        x = torch.tensor([[value]], dtype=torch.float64)
        return log_normal(x, torch.full_like(x, 0.7), torch.full_like(x, math.log(0.3))).exp().item()

    total, _ = integrate.quad(density, -8, 8)
    assert total == pytest.approx(1, abs=1e-9)


@pytest.mark.equation("kl-gaussians")
@pytest.mark.parametrize("shape", SHAPES)
def test_divergence_agrees_with_torch_distributions_at_any_rank(shape):
    mu_q, logvar_q, mu_p, logvar_p = (draw(*shape, seed=seed) for seed in range(4))
    want = kl_divergence(diagonal_gaussian(mu_q, logvar_q), diagonal_gaussian(mu_p, logvar_p))
    torch.testing.assert_close(kl_normal(mu_q, logvar_q, mu_p, logvar_p), want)


@pytest.mark.equation("kl-standard-normal")
@pytest.mark.parametrize("shape", SHAPES)
def test_divergence_from_the_standard_normal_agrees_with_the_general_multivariate_one(shape):
    mu, logvar = draw(*shape, seed=1).flatten(1), draw(*shape, seed=2).flatten(1)
    size = mu.shape[1]
    prior = MultivariateNormal(torch.zeros(size, dtype=mu.dtype), torch.eye(size, dtype=mu.dtype))
    want = torch.stack(
        [kl_divergence(MultivariateNormal(m, torch.diag(v)), prior) for m, v in zip(mu, logvar.exp(), strict=True)]
    )
    torch.testing.assert_close(kl_normal(mu.reshape(shape), logvar.reshape(shape)), want)


@pytest.mark.equation("kl-gaussians")
def test_divergence_is_the_integral_of_q_log_q_over_p():
    q, p = stats.norm(0.4, math.sqrt(0.3)), stats.norm(-1.0, math.sqrt(2.0))
    want, _ = integrate.quad(lambda z: q.pdf(z) * (q.logpdf(z) - p.logpdf(z)), -8, 8)
    arguments = (torch.tensor([[value]], dtype=torch.float64) for value in (0.4, math.log(0.3), -1.0, math.log(2.0)))
    assert kl_normal(*arguments).item() == pytest.approx(want, abs=1e-8)


@pytest.mark.equation("kl-gaussians", "kl-standard-normal")
def test_sympy_integrates_the_printed_closed_form():
    z, mu_q, mu_p = sympy.symbols("z mu_q mu_p", real=True)
    var_q, var_p = sympy.symbols("v_q v_p", positive=True)

    def log_density(mean, variance):
        return -((z - mean) ** 2) / (2 * variance) - sympy.log(2 * sympy.pi * variance) / 2

    integrand = sympy.exp(log_density(mu_q, var_q)) * (log_density(mu_q, var_q) - log_density(mu_p, var_p))
    integral = sympy.integrate(sympy.expand(integrand), (z, -sympy.oo, sympy.oo))
    printed = (sympy.log(var_p / var_q) + (var_q + (mu_q - mu_p) ** 2) / var_p - 1) / 2
    assert sympy.simplify(sympy.expand_log(integral - printed, force=True)) == 0
    standard = (mu_q**2 + var_q - 1 - sympy.log(var_q)) / 2
    assert sympy.simplify(sympy.expand_log(integral.subs({mu_p: 0, var_p: 1}) - standard, force=True)) == 0


@pytest.mark.equation("kl-definition", "kl-nonnegative")
def test_divergence_of_random_categoricals_is_never_negative_and_zero_only_at_equality():
    generator = torch.Generator().manual_seed(0)
    q = torch.rand(500, 6, generator=generator, dtype=torch.float64)
    p = torch.rand(500, 6, generator=generator, dtype=torch.float64)
    q, p = q / q.sum(1, keepdim=True), p / p.sum(1, keepdim=True)
    divergence = (q * (q.log() - p.log())).sum(1)
    want = torch.from_numpy(stats.entropy(q.numpy(), p.numpy(), axis=1))
    torch.testing.assert_close(divergence, want)
    assert divergence.min() > 0
    # Zero only at equality: Pinsker's inequality bounds the distance of the two by the divergence.
    assert ((q - p).abs().sum(1) <= (2 * divergence).sqrt() + 1e-12).all()


def test_divergence_is_accurate_next_to_the_prior():
    # (e^l - 1 - l) / 2 = l^2 / 4 + O(l^3); computed naively in float32 it would be 0 or twice too large at l = 1e-4.
    logvar = torch.tensor([[1e-4]])
    assert kl_normal(torch.zeros(1, 1), logvar).item() == pytest.approx(2.5e-9, rel=1e-3)


@pytest.mark.parametrize("logvar", [-60.0, 60.0])
def test_extreme_variances_give_finite_values_and_gradients(logvar):
    mu = torch.zeros(1, 2, dtype=torch.float64, requires_grad=True)
    value = kl_normal(mu, torch.full((1, 2), logvar, dtype=torch.float64))
    (gradient,) = torch.autograd.grad(value.sum(), mu)
    assert torch.isfinite(value).all()
    assert torch.isfinite(gradient).all()
    # In single precision exp(60) times zero must not become a nan.
    extreme, zero = torch.full((1, 2), 1.5 * logvar), torch.zeros(1, 2)
    assert kl_normal(zero, extreme, zero, extreme).item() == 0
    assert torch.isfinite(log_normal(zero, zero, extreme)).all()


def test_an_empty_batch_gives_an_empty_result():
    empty = torch.zeros(0, 3)
    assert kl_normal(empty, empty).shape == (0,)
    assert log_normal(empty, empty, empty).shape == (0,)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((torch.zeros(2), torch.zeros(2)), "mu_q"),
        ((torch.zeros(2, 1), torch.zeros(2, 2)), "logvar_q"),
        ((torch.zeros(2, 2, dtype=torch.int64), torch.zeros(2, 2)), "mu_q"),
        (([[0.0]], torch.zeros(1, 1)), "mu_q"),
        ((torch.zeros(2, 2), torch.zeros(2, 2), torch.zeros(2, 2)), "logvar_p"),
        ((torch.zeros(2, 2), torch.zeros(2, 2), None, torch.zeros(2, 2)), "mu_p"),
        ((torch.zeros(2, 2), torch.zeros(2, 2), torch.zeros(1, 2), torch.zeros(2, 2)), "mu_p"),
    ],
)
def test_bad_input_raises_an_error_that_names_the_argument(arguments, named):
    with pytest.raises(ValueError, match=named):
        kl_normal(*arguments)


def test_log_density_names_the_argument_that_does_not_fit():
    with pytest.raises(ValueError, match=r"mu must have the shape of x, \(2, 3\), got \(2, 1\)"):
        log_normal(torch.zeros(2, 3), torch.zeros(2, 1), torch.zeros(2, 3))
