"""The forward process by composing its steps, the posterior by conditioning, the bound by quadrature."""

import itertools
import math

import mpmath
import numpy as np
import pytest
import torch
from scipy import integrate, stats
from torch import nn
from torch.distributions import Independent, MultivariateNormal, Normal, kl_divergence

from genmodels import diffusion, nets

SCHEDULES = {
    "linear": diffusion.linear_schedule(),
    "cosine": diffusion.cosine_schedule(),
    "linear of 10": diffusion.linear_schedule(10, 0.01, 0.9),
    "cosine of 3": diffusion.cosine_schedule(3),
}
every_schedule = pytest.mark.parametrize("name", SCHEDULES)


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def times(t, n):
    return torch.full((n,), t)


def at_every_t(T, seed=0):
    """One example for each t: t (T,), two tensors (T, 2, 3)."""
    return torch.arange(1, T + 1), draw(T, 2, 3, seed=seed), draw(T, 2, 3, seed=seed + 1)


class Chain:
    """The joint Gaussian of x_1, ..., x_T given x_0, from single steps: x = factor * x_0 + noise @ eps."""

    def __init__(self, beta):
        T = len(beta) - 1
        self.factor, self.noise = np.ones(T + 1), np.zeros((T + 1, T + 1))
        for t in range(1, T + 1):
            self.factor[t] = math.sqrt(1 - beta[t]) * self.factor[t - 1]
            self.noise[t] = math.sqrt(1 - beta[t]) * self.noise[t - 1]
            self.noise[t, t] = math.sqrt(beta[t])
        self.cov = self.noise @ self.noise.T

    def conditioned(self, s, t, x0, xt):
        """Mean and variance of x_s given x_t and x_0, by the general formula for jointly Gaussian variables."""
        gain = self.cov[s, t] / self.cov[t, t]
        return self.factor[s] * x0 + gain * (xt - self.factor[t] * x0), self.cov[s, s] - gain * self.cov[t, s]


CHAINS = {name: Chain(schedule.beta.numpy()) for name, schedule in SCHEDULES.items()}


# --- schedules --------------------------------------------------------------------------------------------------------


@pytest.mark.equation("dif-linear-schedule")
def test_the_linear_schedule_is_the_one_of_the_paper():
    schedule = diffusion.linear_schedule()
    assert schedule.T == 1000
    assert schedule.beta[[0, 1, 1000]].tolist() == [0.0, 1e-4, 0.02]
    assert schedule.beta.diff()[1:].numpy() == pytest.approx((0.02 - 1e-4) / 999)
    assert schedule.alpha_bar[1000].item() == pytest.approx(4.035830e-05, rel=1e-6)


@pytest.mark.equation("dif-cosine-schedule")
@pytest.mark.parametrize("T", [1, 2, 50, 1000])
def test_the_cosine_schedule_is_a_cosine_with_its_steps_cut_at_0_999(T):
    with mpmath.workdps(30):
        f = [mpmath.cos((mpmath.mpf(t) / T + 0.008) / 1.008 * mpmath.pi / 2) ** 2 for t in range(T + 1)]
        beta = [min(1 - now / before, mpmath.mpf("0.999")) for before, now in itertools.pairwise(f)]
        alpha_bar = [1.0]
        for b in beta:
            alpha_bar.append(alpha_bar[-1] * (1 - b))
    schedule = diffusion.cosine_schedule(T)
    assert schedule.beta[1:].tolist() == pytest.approx([float(b) for b in beta], rel=1e-9)
    assert schedule.alpha_bar.tolist() == pytest.approx([float(a) for a in alpha_bar], rel=1e-9)
    assert schedule.alpha_bar[:T].tolist() == pytest.approx([float(x / f[0]) for x in f[:T]], rel=1e-9)


@every_schedule
def test_tables_are_float64_and_begin_at_the_data(name):
    schedule = SCHEDULES[name]
    for table in (schedule.beta, schedule.alpha, schedule.alpha_bar, schedule.beta_tilde, schedule.snr):
        assert table.dtype == torch.float64
        assert table.shape == (schedule.T + 1,)
    assert [x[0].item() for x in (schedule.beta, schedule.alpha, schedule.alpha_bar)] == [0, 1, 1]
    assert schedule.beta_tilde[:2].tolist() == [0, 0]
    assert bool((schedule.alpha_bar.diff() < 0).all())


@pytest.mark.equation("dif-snr")
@every_schedule
def test_the_signal_to_noise_ratio_is_that_of_the_composed_steps(name):
    chain = CHAINS[name]
    signal, noise = chain.factor[1:] ** 2, np.diag(chain.cov)[1:]
    np.testing.assert_allclose(SCHEDULES[name].snr[1:].numpy(), signal / noise, rtol=1e-9)
    assert SCHEDULES[name].snr[0] == math.inf


def test_a_schedule_can_not_be_changed_by_assignment():
    with pytest.raises(AttributeError):
        SCHEDULES["linear"].T = 5


def test_a_schedule_that_does_not_end_in_noise_is_told_what_to_do():
    for good in (diffusion.linear_schedule(), *(diffusion.cosine_schedule(T) for T in (2, 10, 4000))):
        diffusion.require_noise_at_end(good)
    diffusion.require_noise_at_end(diffusion.linear_schedule(100, 1e-3, 0.2))
    with pytest.raises(ValueError, match=r"end in noise.*got 0\.571 at T = 100.*cosine_schedule\(T=100\)"):
        diffusion.require_noise_at_end(diffusion.linear_schedule(100))
    diffusion.require_noise_at_end(diffusion.linear_schedule(100), max_snr=0.6)
    with pytest.raises(ValueError, match="max_snr must be a positive"):
        diffusion.require_noise_at_end(diffusion.linear_schedule(), max_snr=0)


def table(*beta, dtype=torch.float64):
    return torch.tensor(beta, dtype=dtype)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: diffusion.linear_schedule(0), "T must be a whole number of at least 1, got 0"),
        (lambda: diffusion.linear_schedule(10.0), r"T must be a whole number of at least 1, got 10\.0"),
        (lambda: diffusion.linear_schedule(10, 0.0), "0 < beta_1 <= beta_T < 1, got 0.0 and 0.02"),
        (lambda: diffusion.linear_schedule(10, 0.03), "0 < beta_1 <= beta_T < 1, got 0.03 and 0.02"),
        (lambda: diffusion.linear_schedule(10, 0.03, 1.0), "0 < beta_1 <= beta_T < 1"),
        (lambda: diffusion.cosine_schedule(-1), "T must be a whole number of at least 1, got -1"),
        (lambda: diffusion.cosine_schedule(10, s=-0.1), r"s must be a finite number of at least 0, got -0\.1"),
        (lambda: diffusion.cosine_schedule(10, s=math.nan), "s must be a finite number"),
        (lambda: diffusion.Schedule([0.0, 0.1]), "beta must be a float64 tensor.*got list"),
        (lambda: diffusion.Schedule(table(0, 0.1, dtype=torch.float32)), r"float64 .*got torch.float32 \(2,\)"),
        (lambda: diffusion.Schedule(table(0.0)), r"with T at least 1, got torch.float64 \(1,\)"),
        (lambda: diffusion.Schedule(table(0.1, 0.1)), r"beta must be 0 at index 0"),
        (lambda: diffusion.Schedule(table(0.0, 0.1, 1.0)), r"between 0 and 1 from there, got .*\[0\.1, 1\]"),
        (lambda: diffusion.Schedule(table(0.0, math.nan)), "beta must be 0 at index 0"),
        (lambda: diffusion.Schedule(table(0.0, *[0.99] * 200)), "beta must leave alpha_bar above zero"),
        (lambda: diffusion.step_variance(SCHEDULES["linear"], "gamma"), "variance must be one of 'beta_tilde', 'beta'"),
        (
            lambda: diffusion.step_variance(SCHEDULES["cosine of 3"], torch.ones(3)),
            r"variance must be \(4,\) and posit",
        ),
        (lambda: diffusion.step_variance(SCHEDULES["cosine of 3"], table(0, 1, 0, 1)), "positive from index 1"),
    ],
)
def test_impossible_schedules_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# --- the forward process and its posterior ----------------------------------------------------------------------------


@pytest.mark.equation("dif-forward-closed-form")
@every_schedule
def test_single_steps_compose_to_the_closed_form_in_mean_and_variance_for_every_t(name):
    schedule, chain = SCHEDULES[name], CHAINS[name]
    t, x0, eps = at_every_t(schedule.T)
    mean, var = diffusion.q_mean_var(x0, t, schedule)
    want_mean = chain.factor[1:, None, None] * x0.numpy()
    want_var = np.diag(chain.cov)[1:, None, None] * np.ones((2, 3))
    np.testing.assert_allclose(mean.numpy(), want_mean, rtol=1e-10)
    np.testing.assert_allclose(var.numpy(), want_var, rtol=1e-9)
    xt = diffusion.q_sample(x0, t, eps, schedule)
    np.testing.assert_allclose(xt.numpy(), want_mean + np.sqrt(want_var) * eps.numpy(), rtol=1e-9, atol=1e-12)


@pytest.mark.equation("dif-forward-step")
@pytest.mark.parametrize("t", [2, 7, 10])
def test_a_step_integrated_over_where_it_starts_gives_the_next_marginal(t):
    schedule, x0 = SCHEDULES["linear of 10"], 0.7
    encoders, _ = diffusion.as_hierarchy(lambda xt, t: xt, schedule)

    def marginal(t):
        mean, var = diffusion.q_mean_var(torch.tensor([[x0]], dtype=torch.float64), times(t, 1), schedule)
        return stats.norm(mean.item(), math.sqrt(var.item()))

    def step(before):
        mu, logvar = encoders[t - 1](torch.tensor([[before]], dtype=torch.float64))
        return stats.norm(mu.item(), math.exp(logvar.item() / 2))

    for at in (-1.3, 0.0, 0.9):
        mixed, _ = integrate.quad(lambda x, at=at: marginal(t - 1).pdf(x) * step(x).pdf(at), -6, 6, limit=200)
        assert mixed == pytest.approx(marginal(t).pdf(at), rel=1e-8)


@pytest.mark.equation("dif-posterior-mean", "dif-posterior-variance")
@every_schedule
def test_the_posterior_is_the_chain_conditioned_for_every_t(name):
    schedule, chain = SCHEDULES[name], CHAINS[name]
    t, x0, xt = at_every_t(schedule.T)
    mean, var = diffusion.q_posterior(x0, xt, t, schedule)
    for i, (x0_i, xt_i) in enumerate(zip(x0.numpy(), xt.numpy(), strict=True), start=1):
        want_mean, want_var = chain.conditioned(i - 1, i, x0_i, xt_i)
        np.testing.assert_allclose(mean[i - 1].numpy(), want_mean, rtol=1e-8, atol=1e-10)
        np.testing.assert_allclose(var[i - 1].numpy(), want_var, rtol=1e-7, atol=1e-15)
        assert schedule.beta_tilde[i].item() == pytest.approx(want_var, rel=1e-7, abs=1e-15)


@pytest.mark.equation("dif-posterior")
@pytest.mark.parametrize("t", [2, 6, 10])
def test_the_posterior_is_the_step_times_the_marginal_normalised(t):
    schedule, x0, xt = SCHEDULES["linear of 10"], -0.4, 0.8
    chain = CHAINS["linear of 10"]
    before = stats.norm(chain.factor[t - 1] * x0, math.sqrt(chain.cov[t - 1, t - 1]))
    beta = schedule.beta[t].item()

    def joint(x):
        return before.pdf(x) * stats.norm.pdf(xt, math.sqrt(1 - beta) * x, math.sqrt(beta))

    evidence, _ = integrate.quad(joint, -6, 6, limit=200)
    one = torch.ones(1, 1, dtype=torch.float64)
    mean, var = diffusion.q_posterior(x0 * one, xt * one, times(t, 1), schedule)
    posterior = stats.norm(mean.item(), math.sqrt(var.item()))
    for x in posterior.ppf([0.01, 0.3, 0.5, 0.9]):
        assert joint(x) / evidence == pytest.approx(posterior.pdf(x), rel=1e-7)


@pytest.mark.equation("dif-predict-x0", "dif-mean-from-eps")
@every_schedule
def test_the_mean_with_x0_and_with_eps_agree_and_x0_is_found_again_for_every_t(name):
    schedule = SCHEDULES[name]
    t, x0, eps = at_every_t(schedule.T)
    xt = diffusion.q_sample(x0, t, eps, schedule)
    mean, _ = diffusion.q_posterior(x0, xt, t, schedule)
    torch.testing.assert_close(diffusion.posterior_mean_from_eps(xt, t, eps, schedule), mean, rtol=1e-7, atol=1e-9)
    torch.testing.assert_close(diffusion.predict_x0(xt, t, eps, schedule), x0, rtol=1e-7, atol=1e-9)
    torch.testing.assert_close(diffusion.eps_from_x0(xt, t, x0, schedule), eps, rtol=1e-7, atol=1e-9)


@every_schedule
def test_noise_whose_guess_at_x0_was_clipped_leads_from_the_clipped_guess_to_the_same_xt_for_every_t(name):
    schedule, chain = SCHEDULES[name], CHAINS[name]
    t, x0, eps_hat = at_every_t(schedule.T)
    factor = torch.from_numpy(chain.factor)[t, None, None]
    width = torch.from_numpy(chain.cov.diagonal().copy()).sqrt()[t, None, None]
    eps = diffusion.clip_x0(factor * x0 + width * eps_hat, t, eps_hat, schedule, (-0.5, 1.0))
    kept = (x0 > -0.5) & (x0 < 1.0)
    assert 0 < kept.sum() < kept.numel()
    inside = torch.where(kept, x0, torch.where(x0 > 0, 1.0, -0.5))
    torch.testing.assert_close(factor * inside + width * eps, factor * x0 + width * eps_hat, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(eps[kept], eps_hat[kept], rtol=1e-7, atol=1e-9)


@every_schedule
def test_at_the_first_step_the_posterior_is_x0_itself(name):
    x0, x1 = draw(3, 2), draw(3, 2, seed=1)
    mean, var = diffusion.q_posterior(x0, x1, times(1, 3), SCHEDULES[name])
    torch.testing.assert_close(mean, x0)
    assert not var.any()


@pytest.mark.parametrize("shape", [(4, 2), (4, 1, 8, 8), (4, 3, 2, 5, 2)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_data_of_every_rank_and_an_own_time_for_each_example(shape, dtype):
    schedule = SCHEDULES["linear"]
    x0, eps = draw(*shape).to(dtype), draw(*shape, seed=1).to(dtype)
    t = torch.tensor([1, 400, 999, 1000])
    results = [
        diffusion.q_sample(x0, t, eps, schedule),
        *diffusion.q_mean_var(x0, t, schedule),
        *diffusion.q_posterior(x0, eps, t, schedule),
        diffusion.predict_x0(x0, t, eps, schedule),
        diffusion.posterior_mean_from_eps(x0, t, eps, schedule),
    ]
    alone = [
        (
            diffusion.q_sample(x, s, e, schedule),
            *diffusion.q_mean_var(x, s, schedule),
            *diffusion.q_posterior(x, e, s, schedule),
            diffusion.predict_x0(x, s, e, schedule),
            diffusion.posterior_mean_from_eps(x, s, e, schedule),
        )
        for x, s, e in zip(x0.split(1), t.split(1), eps.split(1), strict=True)
    ]
    for together, one_by_one in zip(results, zip(*alone, strict=True), strict=True):
        assert together.shape == shape
        assert together.dtype == dtype
        torch.testing.assert_close(together, torch.cat(one_by_one))


X, T3 = torch.zeros(2, 3), torch.tensor([1, 2])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda s: diffusion.q_sample(X, torch.tensor([0, 1]), X, s), r"t must lie in 1\.\.3, got \[0, 1\]"),
        (lambda s: diffusion.q_sample(X, torch.tensor([1, 4]), X, s), r"t must lie in 1\.\.3, got \[1, 4\]"),
        (
            lambda s: diffusion.q_sample(X, torch.tensor([1.0, 2.0]), X, s),
            r"t must be whole numbers.*got torch.float32",
        ),
        (lambda s: diffusion.q_sample(X, 2, X, s), r"t must be whole numbers in a tensor of shape \(2,\), got 2"),
        (
            lambda s: diffusion.q_sample(X, torch.tensor([2]), X, s),
            r"t must be .* of shape \(2,\), got torch.int64 \(1,\)",
        ),
        (lambda s: diffusion.q_sample(X, T3, X[:, :1], s), r"eps must have the shape of x0, \(2, 3\), got \(2, 1\)"),
        (lambda s: diffusion.q_mean_var(X[0], T3, s), r"x0 must have shape \(B, \.\.\.\)"),
        (lambda s: diffusion.q_mean_var(X.int(), T3, s), "x0 must be a floating-point tensor"),
        (lambda s: diffusion.q_posterior(X, X[:1], T3, s), r"xt must have the shape of x0, \(2, 3\), got \(1, 3\)"),
        (lambda s: diffusion.predict_x0(X, T3, X[:1], s), "eps_hat must have the shape of xt"),
        (lambda s: diffusion.eps_from_x0(X, T3, X[:1], s), "x0 must have the shape of xt"),
        (lambda s: diffusion.clip_x0(X, T3, X[:1], s), "eps_hat must have the shape of xt"),
        (lambda s: diffusion.clip_x0(X, T3, X, s, (1, -1)), r"clip must be a range \(low, high\), got \(1, -1\)"),
        (lambda s: diffusion.posterior_mean_from_eps(X, T3, X[:1], s), "eps_hat must have the shape of xt"),
        (lambda s: diffusion.ancestral_step(X, T3, X, X[:1], s), "eps must have the shape of xt"),
        (lambda s: diffusion.ddim_step(X, T3, T3 - 1, X, X[:1], s), "eps must have the shape of xt"),
        (lambda s: diffusion.ddim_sigma(T3, T3, s), r"t_prev must be less than t, got \[1, 2\] for \[1, 2\]"),
        (lambda s: diffusion.ddim_sigma(T3, T3 - 2, s), r"t_prev must lie in 0\.\.2, got \[-1, 0\]"),
        (lambda s: diffusion.ddim_sigma(T3, T3 - 1, s, 1.1), r"eta must lie in \[0, 1\], got 1\.1"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(SCHEDULES["cosine of 3"])


# --- losses -----------------------------------------------------------------------------------------------------------


def curved(xt, t):
    """A model with no symmetry that a mistake could hide behind."""
    return torch.sin(1.3 * xt) + 0.2 * t.to(xt).reshape(-1, *[1] * (xt.ndim - 1))


@pytest.mark.equation("dif-simple-loss")
@every_schedule
def test_the_simple_loss_sums_squared_errors_over_the_data_for_every_t(name):
    schedule, chain = SCHEDULES[name], CHAINS[name]
    t, x0, eps = at_every_t(schedule.T)
    xt = chain.factor[1:, None, None] * x0.numpy() + np.sqrt(np.diag(chain.cov))[1:, None, None] * eps.numpy()
    eps_hat = np.sin(1.3 * xt) + 0.2 * t.numpy()[:, None, None]
    want = ((eps.numpy() - eps_hat) ** 2).sum(axis=(1, 2))
    got = diffusion.eps_loss(curved, x0, t, eps, schedule)
    assert got.shape == (schedule.T,)
    np.testing.assert_allclose(got.numpy(), want, rtol=1e-8)


def divergences(name, variance, t, x0, eps):
    """KL of the chain's posterior from the model's step, for each t from 2, by torch.distributions."""
    schedule, chain = SCHEDULES[name], CHAINS[name]
    xt = diffusion.q_sample(x0, t, eps, schedule)
    model_mean = diffusion.posterior_mean_from_eps(xt, t, curved(xt, t), schedule)
    for i in range(2, schedule.T + 1):
        mean, var = chain.conditioned(i - 1, i, x0[i - 1], xt[i - 1])
        sigma2 = var if variance == "beta_tilde" else schedule.beta[i].item()
        q, p = Normal(mean, math.sqrt(var)), Normal(model_mean[i - 1], math.sqrt(sigma2))
        yield i, kl_divergence(q, p).sum().item(), var / sigma2


@pytest.mark.equation("dif-kl-terms", "dif-loss-weight")
@pytest.mark.parametrize("variance", ["beta_tilde", "beta"])
@every_schedule
def test_the_weighted_loss_is_the_divergence_of_the_steps_for_every_t(name, variance):
    schedule = SCHEDULES[name]
    t, x0, eps = at_every_t(schedule.T)
    losses = diffusion.weighted_loss(curved, x0, t, eps, schedule, variance)
    simple = diffusion.eps_loss(curved, x0, t, eps, schedule)
    torch.testing.assert_close(losses, diffusion.loss_weight(schedule, variance)[1:] * simple)
    for i, kl, ratio in divergences(name, variance, t, x0, eps):
        constant = 0.5 * 6 * (ratio - 1 - math.log(ratio))  # of the variances alone; six dimensions
        assert losses[i - 1].item() == pytest.approx(kl - constant, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("variance", ["beta_tilde", "beta"])
def test_at_the_first_step_the_weighted_loss_is_the_reconstruction_but_for_a_constant(variance):
    schedule, x0, eps = SCHEDULES["linear"], draw(5, 2), draw(5, 2, seed=1)
    t = times(1, 5)
    x1 = diffusion.q_sample(x0, t, eps, schedule)
    mean = diffusion.posterior_mean_from_eps(x1, t, curved(x1, t), schedule)
    log_p = Independent(Normal(mean, math.sqrt(schedule.beta[1])), 1).log_prob(x0)
    want = -log_p - math.log(2 * math.pi * schedule.beta[1])  # two dimensions of half that each
    torch.testing.assert_close(diffusion.weighted_loss(curved, x0, t, eps, schedule, variance), want)


@pytest.mark.equation("dif-weight-snr")
@every_schedule
def test_the_weight_is_half_of_what_a_step_takes_from_the_signal_to_noise_ratio(name):
    chain = CHAINS[name]
    before, now = ((chain.factor[i] ** 2 / np.diag(chain.cov)[i]) for i in (slice(1, -1), slice(2, None)))
    np.testing.assert_allclose(diffusion.loss_weight(SCHEDULES[name])[2:].numpy(), (before / now - 1) / 2, rtol=1e-6)


def test_losses_reach_the_weights():
    model = nn.Linear(3, 3).double()
    x0, eps, t = draw(4, 3), draw(4, 3, seed=1), torch.tensor([1, 2, 3, 3])
    diffusion.weighted_loss(lambda xt, t: model(xt), x0, t, eps, SCHEDULES["cosine of 3"]).mean().backward()
    assert model.weight.grad.abs().min() > 0


def test_a_model_whose_output_has_another_shape_is_refused():
    x0, t = draw(4, 2), times(1, 4)
    for wrong in (lambda xt, t: xt[:, :1], lambda xt, t: torch.cat([xt, xt], 1), lambda xt, t: None):
        with pytest.raises(ValueError, match="model must return eps_hat of the shape of xt, \\(4, 2\\)"):
            diffusion.eps_loss(wrong, x0, t, x0, SCHEDULES["linear"])


# --- the bound --------------------------------------------------------------------------------------------------------


def quadrature(count, dimensions):
    """Nodes (dimensions, count ** dimensions, 1) and weights of an integral against standard normal noise."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(count)
    grid = np.stack(np.meshgrid(*[nodes] * dimensions, indexing="ij")).reshape(dimensions, -1, 1)
    products = np.stack(np.meshgrid(*[weights / weights.sum()] * dimensions, indexing="ij")).prod(axis=0).ravel()
    return torch.from_numpy(grid), torch.from_numpy(products)


@pytest.mark.equation("dif-hierarchical-elbo", "dif-vlb")
@pytest.mark.parametrize("variance", ["beta_tilde", "beta", "own"])
@pytest.mark.parametrize("make", [lambda: diffusion.linear_schedule(3, 0.1, 0.6), lambda: diffusion.cosine_schedule(3)])
def test_the_bound_of_diffusion_is_that_of_the_hierarchy_which_it_is(variance, make):
    schedule = make()
    variance = table(0, 0.3, 0.2, 0.7) if variance == "own" else variance
    eps, weights = quadrature(30, 3)
    for at in (-0.8, 0.3):
        x0 = torch.full((len(weights), 1), at, dtype=torch.float64)
        hierarchy = diffusion.hierarchical_elbo(x0, *diffusion.as_hierarchy(curved, schedule, variance), eps)
        terms = diffusion.vlb_terms(curved, x0, schedule, variance, eps=eps)
        torch.testing.assert_close(weights @ terms.elbo, weights @ hierarchy, rtol=1e-8, atol=1e-8)
        assert (terms.elbo - hierarchy).abs().max() > 0.1  # equal on average, not for each noise


@pytest.mark.equation("dif-prior-term")
@pytest.mark.parametrize("variance", ["beta_tilde", "beta"])
@every_schedule
def test_every_term_of_the_bound(name, variance):
    schedule = SCHEDULES[name]
    x0 = draw(1, 2, 3)
    eps = draw(schedule.T, 1, 2, 3, seed=3)
    terms = diffusion.vlb_terms(curved, x0, schedule, variance, eps=eps)
    assert terms.kl.shape == (1, schedule.T + 1)
    assert not terms.kl[:, :2].any()
    t, x0_at_t = torch.arange(1, schedule.T + 1), x0.expand(schedule.T, 2, 3)
    for i, kl, _ in divergences(name, variance, t, x0_at_t, eps[:, 0]):
        assert terms.kl[0, i].item() == pytest.approx(kl, rel=1e-6, abs=1e-9)
    chain = CHAINS[name]
    q_T = Normal(chain.factor[-1] * x0, math.sqrt(chain.cov[-1, -1]))
    prior = kl_divergence(q_T, Normal(torch.zeros(1, 2, 3), torch.ones(1, 2, 3))).sum()
    assert terms.prior.item() == pytest.approx(prior.item(), rel=1e-6, abs=1e-12)
    x1 = diffusion.q_sample(x0, times(1, 1), eps[0], schedule)
    beta = schedule.beta[1].item()
    x0_hat = (x1 - math.sqrt(beta) * curved(x1, times(1, 1))) / math.sqrt(1 - beta)
    recon = Normal(x0_hat, math.sqrt(beta)).log_prob(x0).sum()
    assert terms.recon.item() == pytest.approx(recon.item(), rel=1e-6)
    want = terms.recon - terms.prior - terms.kl.sum()
    torch.testing.assert_close(terms.elbo, want)


def test_the_bound_draws_from_its_generator_and_runs_without_gradients_in_eval_mode():
    model = Noisy()
    x0 = torch.randn(3, 2, generator=torch.Generator().manual_seed(0))
    state = torch.random.get_rng_state()
    first, second = (
        diffusion.vlb_terms(model, x0, SCHEDULES["cosine of 3"], generator=torch.Generator().manual_seed(1))
        for _ in range(2)
    )
    assert torch.equal(torch.random.get_rng_state(), state)
    assert model.training
    assert torch.equal(first.elbo, second.elbo)
    assert not first.elbo.requires_grad
    (first.elbo * torch.ones(3, requires_grad=True)).sum().backward()  # what comes back can be computed with
    generator = torch.Generator().manual_seed(1)
    eps = [torch.randn(3, 2, generator=generator) for _ in range(3)]
    own = diffusion.vlb_terms(model, x0, SCHEDULES["cosine of 3"], eps=eps)
    torch.testing.assert_close(own.elbo, first.elbo)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"eps": torch.zeros(2, 2, 3)}, "eps must hold T = 3 tensors like x0, got 2"),
        ({"eps": torch.zeros(3, 2, 1)}, "eps must have the shape of x0"),
        ({"eps": torch.zeros(3, 2, 3), "generator": torch.Generator()}, "generator must be None where eps is given"),
        ({"levels": 1}, "levels must be at least 2, got 1"),
        ({"levels": 2}, r"x must take 2 values, evenly spaced from -1 to 1, got others in \[0, 0\]"),
        ({"variance": "learned"}, "variance must be one of"),
    ],
)
def test_a_bound_that_can_not_be_computed_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        diffusion.vlb_terms(curved, torch.zeros(2, 3), SCHEDULES["cosine of 3"], **arguments)


def test_bits_per_dimension_are_costs_that_add_up():
    terms = diffusion.vlb_terms(curved, draw(4, 2, 3), SCHEDULES["linear of 10"], generator=torch.Generator())
    bits = diffusion.vlb_bits(terms, 6)
    nat = 1 / (6 * math.log(2))
    torch.testing.assert_close(bits.total, -terms.elbo * nat)
    torch.testing.assert_close(bits.prior + bits.kl.sum(dim=1) + bits.recon, bits.total)
    assert bits.kl.min() >= 0
    assert bits.prior.min() >= 0


# --- the discretised decoder ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("levels", [2, 17, 256])
def test_the_probabilities_of_all_levels_sum_to_one(levels):
    grid = torch.linspace(-1, 1, levels, dtype=torch.float64)[:, None]
    for mu, logvar in ((0.1, -3.0), (-1.7, 0.5), (0.99, -9.0), (5.0, 1.0)):
        log_p = diffusion.discretized_log_normal(grid, torch.full_like(grid, mu), torch.full_like(grid, logvar), levels)
        assert log_p.exp().sum().item() == pytest.approx(1, rel=1e-12)


def erfc_between(a, b):
    return (mpmath.erfc(a) - mpmath.erfc(b)) / 2


@pytest.mark.equation("dif-discretized-decoder")
@pytest.mark.parametrize("mu", [-3.0, -0.5, 0.13, 0.9, 4.0])
@pytest.mark.parametrize("sd", [0.01, 0.2, 3.0])
def test_each_level_has_the_mass_of_its_interval_however_far_out(mu, sd):
    levels = 17
    grid = torch.linspace(-1, 1, levels, dtype=torch.float64)
    x = grid[:, None]
    got = diffusion.discretized_log_normal(x, torch.full_like(x, mu), torch.full_like(x, 2 * math.log(sd)), levels)
    with mpmath.workdps(60):
        edges = [-mpmath.inf, *(mpmath.mpf(v) + mpmath.mpf(1) / 16 for v in grid[:-1].tolist()), mpmath.inf]
        z = [(edge - mpmath.mpf(mu)) / mpmath.mpf(sd) / mpmath.sqrt(2) for edge in edges]
        # By the tail on whose side the interval lies: the other is a difference of numbers near 1.
        masses = [erfc_between(a, b) if a > 0 else erfc_between(-b, -a) for a, b in itertools.pairwise(z)]
        want = [float(mpmath.log(mass)) for mass in masses]
    np.testing.assert_allclose(got.numpy(), want, rtol=1e-8)


def test_the_discretised_decoder_is_the_density_times_the_width_of_a_narrow_interval():
    levels, schedule = 4001, SCHEDULES["linear of 10"]
    index = torch.tensor([[1000, 2000], [1700, 3011]])
    x0 = (2 * index / 4000 - 1).double()
    eps = draw(schedule.T, 2, 2, seed=3)
    probability = diffusion.vlb_terms(curved, x0, schedule, levels=levels, eps=eps)
    density = diffusion.vlb_terms(curved, x0, schedule, eps=eps)
    torch.testing.assert_close(probability.recon, density.recon + 2 * math.log(2 / 4000), rtol=1e-5, atol=1e-5)
    assert torch.equal(probability.kl, density.kl)


def test_the_discretised_decoder_has_finite_gradients():
    x = torch.tensor([[-1.0, 0.0, 1.0]])
    mu = torch.tensor([[-0.9, 3.0, -2.0]], requires_grad=True)
    logvar = torch.full_like(mu, -6).detach().requires_grad_()
    diffusion.discretized_log_normal(x, mu, logvar, 3).sum().backward()
    assert mu.grad.isfinite().all()
    assert logvar.grad.isfinite().all()


# --- of which all this is a special case ------------------------------------------------------------------------------

# Two latents of different sizes under linear maps: p(z2) = N(0, I), p(z1 given z2) = N(A z2 + a, exp(s1)), and so on.
A, OFFSET_1, LOGVAR_1 = draw(3, 2, seed=10), draw(3, seed=11), draw(3, seed=12) / 2
C, OFFSET_0, LOGVAR_0 = draw(4, 3, seed=13), draw(4, seed=14), draw(4, seed=15) / 2


def linear(matrix, offset, logvar):
    return lambda z: (z @ matrix.T + offset, logvar.expand(len(z), -1))


DECODERS = [linear(C, OFFSET_0, LOGVAR_0), linear(A, OFFSET_1, LOGVAR_1)]


def joint_of_the_model():
    """log p(x, z1, z2) is N of (4 + 3 + 2) dimensions: x = C z1 + ..., all of it linear in independent noise."""
    z2 = np.concatenate([np.zeros((2, 7)), np.eye(2)], axis=1)
    z1 = A.numpy() @ z2
    z1[:, 4:7] += np.diag(np.exp(LOGVAR_1.numpy() / 2))
    x = C.numpy() @ z1
    x[:, :4] += np.diag(np.exp(LOGVAR_0.numpy() / 2))
    root = np.concatenate([x, z1, z2])
    mean_z1 = OFFSET_1.numpy()
    mean = np.concatenate([C.numpy() @ mean_z1 + OFFSET_0.numpy(), mean_z1, np.zeros(2)])
    return mean, root @ root.T


def condition(mean, cov, of, on):
    """The map from a value of ``on`` to the mean of ``of``, and the covariance: slices of a joint Gaussian."""
    gain = np.linalg.solve(cov[on, on], cov[on, of]).T
    return gain, mean[of] - gain @ mean[on], cov[of, of] - gain @ cov[on, of]


X_OF, Z1_OF, Z2_OF = slice(0, 4), slice(4, 7), slice(7, 9)
ENCODERS = [
    linear(draw(3, 4, seed=16) / 3, draw(3, seed=17), draw(3, seed=18) - 1),
    linear(draw(2, 3, seed=19) / 3, draw(2, seed=20), draw(2, seed=21) - 1),
]


def log_density(mu, logvar, x):
    return Independent(Normal(mu, torch.exp(0.5 * logvar)), 1).log_prob(x)


@pytest.mark.equation("dif-hierarchical-joint")
def test_the_factors_of_the_hierarchy_are_its_joint_density():
    x, eps = draw(6, 4), [draw(6, 3, seed=1), draw(6, 2, seed=2)]
    got = diffusion.hierarchical_elbo(x, ENCODERS, DECODERS, eps)
    mu_1, logvar_1 = ENCODERS[0](x)
    z1 = mu_1 + torch.exp(0.5 * logvar_1) * eps[0]
    mu_2, logvar_2 = ENCODERS[1](z1)
    z2 = mu_2 + torch.exp(0.5 * logvar_2) * eps[1]
    log_p = stats.multivariate_normal(*joint_of_the_model()).logpdf(torch.cat([x, z1, z2], dim=1).numpy())
    log_q = log_density(mu_1, logvar_1, z1) + log_density(mu_2, logvar_2, z2)
    np.testing.assert_allclose(got.numpy(), log_p - log_q.numpy(), rtol=1e-9)


def expected_over_chains(function, x):
    """The average of a function of (z1, z2) over q, exactly: the functions here are quadratic, so few nodes do."""
    eps, weights = quadrature(3, 5)
    eps = [eps[:3, :, 0].T, eps[3:, :, 0].T]
    repeated = x.expand(len(weights), -1)
    return (weights @ function(repeated, eps)).item()


@pytest.mark.equation("dif-hierarchical-gap")
def test_the_bound_falls_short_of_log_p_by_the_divergence_of_the_two_chains():
    mean, cov = joint_of_the_model()
    for x in draw(3, 1, 4, seed=30):
        log_p = stats.multivariate_normal(mean[X_OF], cov[X_OF, X_OF]).logpdf(x[0].numpy())
        bound = expected_over_chains(lambda x, eps: diffusion.hierarchical_elbo(x, ENCODERS, DECODERS, eps), x)
        # q(z1, z2 given x) and p(z1, z2 given x) as Gaussians of five dimensions.
        mu_1, logvar_1 = (v[0] for v in ENCODERS[0](x))
        matrix = ENCODERS[1](torch.eye(3, dtype=torch.float64))[0] - ENCODERS[1](torch.zeros(1, 3).double())[0]
        mu_2, logvar_2 = (v[0] for v in ENCODERS[1](mu_1[None]))
        root = torch.zeros(5, 5, dtype=torch.float64)
        root[:3, :3] = torch.diag(torch.exp(0.5 * logvar_1))
        root[3:, :3] = matrix.T @ root[:3, :3]
        root[3:, 3:] = torch.diag(torch.exp(0.5 * logvar_2))
        q = MultivariateNormal(torch.cat([mu_1, mu_2]), root @ root.T)
        gain, offset, posterior_cov = condition(mean, cov, slice(4, 9), X_OF)
        p = MultivariateNormal(torch.from_numpy(gain @ x[0].numpy() + offset), torch.from_numpy(posterior_cov))
        assert log_p - bound == pytest.approx(kl_divergence(q, p).item(), rel=1e-9)


def test_the_true_posterior_leaves_no_gap_whatever_the_noise():
    # Latents of one dimension, so that the true posterior is diagonal and q can be it.
    decoders = [linear(table([1.5]), table(0.2), table(-0.5)), linear(table([0.8]), table(-0.1), table(0.3))]
    noise = [math.exp(-0.25), math.exp(0.15)]
    root = np.array([[noise[0], 1.5 * noise[1], 1.5 * 0.8], [0, noise[1], 0.8], [0, 0, 1]])
    mean, cov = np.array([1.5 * -0.1 + 0.2, -0.1, 0.0]), root @ root.T
    encoders = []
    for of, on in ((slice(1, 2), slice(0, 1)), (slice(2, 3), slice(1, 2))):
        gain, offset, variance = (torch.from_numpy(v) for v in condition(mean, cov, of, on))
        encoders.append(linear(gain, offset, variance[0].log()))
    x = draw(5, 1)
    got = diffusion.hierarchical_elbo(x, encoders, decoders, [draw(5, 1, seed=1), draw(5, 1, seed=2)])
    want = stats.norm(mean[0], math.sqrt(cov[0, 0])).logpdf(x[:, 0].numpy())
    np.testing.assert_allclose(got.numpy(), want, rtol=1e-9)


@pytest.mark.parametrize(
    ("encoders", "decoders", "eps", "message"),
    [
        (2, 1, [(5, 3), (5, 2)], "one entry for each latent, got 2, 1 and 2"),
        (2, 2, [(5, 3)], "one entry for each latent, got 2, 2 and 1"),
        (0, 0, [], "one entry for each latent, got 0, 0 and 0"),
        (2, 2, [(5, 3), (5, 1)], r"eps must have the shape of mu, \(5, 2\), got \(5, 1\)"),
    ],
)
def test_a_hierarchy_with_missing_parts_is_refused(encoders, decoders, eps, message):
    noise = [torch.zeros(shape, dtype=torch.float64) for shape in eps]
    with pytest.raises(ValueError, match=message):
        diffusion.hierarchical_elbo(draw(5, 4), ENCODERS[:encoders], DECODERS[:decoders], noise)


# --- single steps of the samplers -------------------------------------------------------------------------------------


@pytest.mark.equation("dif-ancestral-step")
@every_schedule
def test_the_ancestral_step_draws_from_the_posterior_of_its_guess_and_adds_no_noise_at_the_end(name):
    schedule, chain = SCHEDULES[name], CHAINS[name]
    t, x0_hat, eps = at_every_t(schedule.T)
    xt = draw(schedule.T, 2, 3, seed=2)
    eps_hat = diffusion.eps_from_x0(xt, t, x0_hat, schedule)
    for variance in ("beta_tilde", "beta", 2 * schedule.beta):
        got = diffusion.ancestral_step(xt, t, eps_hat, eps, schedule, variance)
        for i in range(1, schedule.T + 1):
            mean, var = chain.conditioned(i - 1, i, x0_hat[i - 1].numpy(), xt[i - 1].numpy())
            own = {"beta_tilde": var, "beta": schedule.beta[i].item()}
            sd = math.sqrt(own[variance] if isinstance(variance, str) else 2 * schedule.beta[i].item()) * (i > 1)
            np.testing.assert_allclose(got[i - 1].numpy(), mean + sd * eps[i - 1].numpy(), rtol=1e-6, atol=1e-8)


@every_schedule
def test_ddim_with_eta_1_is_the_ancestral_step_for_every_t(name):
    schedule = SCHEDULES[name]
    t, xt, eps_hat = at_every_t(schedule.T)
    eps = draw(schedule.T, 2, 3, seed=2)
    ancestral = diffusion.ancestral_step(xt, t, eps_hat, eps, schedule)
    torch.testing.assert_close(
        diffusion.ddim_step(xt, t, t - 1, eps_hat, eps, schedule, eta=1.0), ancestral, rtol=1e-7, atol=1e-7
    )


@pytest.mark.equation("dif-ddim-sigma")
@every_schedule
def test_ddim_over_any_distance_has_the_variance_of_the_chain_between_those_times(name):
    schedule, chain = SCHEDULES[name], CHAINS[name]
    pairs = [(s, t) for s, t in itertools.product(range(schedule.T + 1), repeat=2) if s < t]
    pairs = [pairs[i] for i in np.random.default_rng(0).choice(len(pairs), min(len(pairs), 300), replace=False)]
    t_prev, t = (torch.tensor(each) for each in zip(*pairs, strict=True))
    sigma = diffusion.ddim_sigma(t, t_prev, schedule, eta=1.0)
    want = [chain.conditioned(s, u, 0.0, 0.0)[1] for s, u in pairs]
    np.testing.assert_allclose(sigma.square().numpy(), want, rtol=1e-6, atol=1e-14)
    torch.testing.assert_close(diffusion.ddim_sigma(t, t_prev, schedule, eta=0.3), 0.3 * sigma)
    assert not diffusion.ddim_sigma(t, t_prev, schedule).any()


@pytest.mark.equation("dif-ddim-step")
@pytest.mark.parametrize("eta", [0.0, 0.4, 1.0])
@every_schedule
def test_a_ddim_step_from_the_true_noise_keeps_the_marginal(name, eta):
    """x_t drawn from q(x_t given x_0) and the noise known: x at t_prev must be a draw of q(x_{t_prev} given x_0)."""
    schedule, chain = SCHEDULES[name], CHAINS[name]
    nodes, weights = quadrature(4, 2)  # the noise of x_t and the fresh noise, exactly averaged
    for t, t_prev in ((schedule.T, 0), (schedule.T, 1), (3, 2), (3, 1)):
        x0 = torch.full_like(nodes[0], 0.8)
        xt = diffusion.q_sample(x0, times(t, len(x0)), nodes[0], schedule)
        x = diffusion.ddim_step(xt, times(t, len(x0)), times(t_prev, len(x0)), nodes[0], nodes[1], schedule, eta)[:, 0]
        mean = (weights @ x).item()
        assert mean == pytest.approx(0.8 * chain.factor[t_prev], rel=1e-7)
        assert (weights @ (x - mean).square()).item() == pytest.approx(chain.cov[t_prev, t_prev], rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(
    ("T", "steps", "want"),
    [(10, 5, [2, 4, 6, 8, 10]), (10, 3, [3, 6, 10]), (10, 1, [10]), (4, 4, [1, 2, 3, 4]), (9, [1, 5, 9], [1, 5, 9])],
)
def test_the_times_of_a_sub_sequence_end_with_T(T, steps, want):
    assert diffusion.ddim_times(T, steps) == want


@pytest.mark.parametrize("steps", [0, 11, -1, [], [0, 10], [1, 9], [10, 1], [1, 1, 10], [5, 11]])
def test_sub_sequences_that_do_not_lead_from_T_to_the_data_are_refused(steps):
    with pytest.raises(
        ValueError, match=r"steps must (lie in 1\.\.10|increase strictly from at least 1 to T = 10), got"
    ):
        diffusion.ddim_times(10, steps)


# --- whole samplers ---------------------------------------------------------------------------------------------------


class Noisy(nn.Module):
    """A network that dropout makes random in training mode, with a part that is kept in eval mode for ever."""

    def __init__(self):
        super().__init__()
        with nets.seeded(0):
            self.linear, self.frozen = nn.Linear(2, 2), nn.BatchNorm1d(2).eval()
        self.dropout = nn.Dropout(0.5)
        self.seen, self.grad_enabled = [], []

    def forward(self, xt, t):
        self.seen.append(t.tolist())
        self.grad_enabled.append(torch.is_grad_enabled())
        return self.dropout(self.frozen(self.linear(xt)))


def ancestral(model, n, schedule, seed=0, **options):
    return diffusion.sample(model, (n, 2), schedule, torch.Generator().manual_seed(seed), **options)


def ddim(model, n, schedule, seed=0, **options):
    generator = torch.Generator().manual_seed(seed)
    return diffusion.ddim_sample(model, (n, 2), schedule, schedule.T, 0.5, generator, **options)


both = pytest.mark.parametrize("sampler", [ancestral, ddim])


@both
def test_a_sampler_asks_at_every_time_from_T_to_1_and_leaves_the_network_as_it_was(sampler):
    model, schedule = Noisy(), SCHEDULES["linear of 10"]
    state = torch.random.get_rng_state()
    first, second, other = (sampler(model, 3, schedule, seed) for seed in (0, 0, 1))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.equal(first, second)  # no dropout
    assert not torch.equal(first, other)
    assert model.seen == 3 * [[t] * 3 for t in range(10, 0, -1)]
    assert not any(model.grad_enabled)
    assert [module.training for module in model.modules()] == [True, True, False, True]
    model.eval()
    sampler(model, 1, schedule)
    assert not model.training
    (first * torch.ones(2, requires_grad=True)).sum().backward()  # what comes back can be computed with


@both
def test_a_network_that_fails_is_left_in_its_mode(sampler):
    model = Noisy()
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        diffusion.sample(model, (3, 5), SCHEDULES["linear of 10"])
    assert [module.training for module in model.modules()] == [True, True, False, True]


def test_the_last_step_of_the_sampler_adds_no_noise():
    schedule, seen = SCHEDULES["linear of 10"], {}
    for variance in ("beta_tilde", "beta", schedule.beta.clone().clamp(min=0.1)):
        x = ancestral(curved, 4, schedule, variance=variance, on_step=lambda t, xt: seen.update({t: xt}))
        assert list(seen) == list(range(10, -1, -1))
        assert torch.equal(seen[0], x)
        t = times(1, 4)
        torch.testing.assert_close(x, diffusion.posterior_mean_from_eps(seen[1], t, curved(seen[1], t), schedule))
        seen.clear()


def test_ddim_without_noise_is_a_function_of_where_it_begins():
    schedule = SCHEDULES["linear"]
    xT = draw(5, 2)
    runs = [
        diffusion.ddim_sample(curved, (5, 2), schedule, steps, 0.0, torch.Generator().manual_seed(seed), xT=xT)
        for seed, steps in enumerate((20, 20, range(50, 1001, 50)))
    ]
    assert torch.equal(runs[0], runs[1])
    assert torch.equal(runs[0], runs[2])
    assert runs[0].dtype == torch.float64


def test_with_all_steps_and_eta_1_ddim_sampling_is_ancestral_sampling():
    for name in ("linear", "linear of 10"):
        schedule, xT = SCHEDULES[name], draw(4, 2)
        x = diffusion.ddim_sample(curved, (4, 2), schedule, schedule.T, 1.0, torch.Generator().manual_seed(1), xT=xT)
        torch.testing.assert_close(ancestral(curved, 4, schedule, 1, xT=xT), x, rtol=1e-6, atol=1e-6)


@both
def test_guesses_at_x0_can_be_clipped_to_the_range_of_the_data(sampler):
    def wild(xt, t):
        return 50 * torch.sin(xt) - 20

    schedule = SCHEDULES["cosine of 3"]
    x = sampler(wild, 50, schedule, clip=(-0.5, 2.0))
    torch.testing.assert_close(x, x.clamp(-0.5, 2.0), rtol=1e-4, atol=1e-4)
    assert sampler(wild, 50, schedule).abs().max() > 10


@both
def test_samples_have_the_dtype_of_the_network(sampler):
    assert sampler(Noisy(), 2, SCHEDULES["cosine of 3"]).dtype == torch.float32
    assert sampler(Noisy().double(), 2, SCHEDULES["cosine of 3"]).dtype == torch.float64


def test_a_progress_bar_shows_only_if_asked_for(capfd):
    ancestral(curved, 2, SCHEDULES["linear of 10"])
    assert capfd.readouterr().err == ""
    ancestral(curved, 2, SCHEDULES["linear of 10"], progress=True)
    assert "/10" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"shape": (4,)}, r"shape must be \(B, \.\.\.\), positive sizes.*got \(4,\)"),
        ({"shape": (0, 2)}, r"shape must be .* got \(0, 2\)"),
        (
            {"xT": torch.zeros(3, 2)},
            r"xT must be a floating-point tensor of shape \(4, 2\), got torch.float32 \(3, 2\)",
        ),
        ({"xT": torch.zeros(4, 2, dtype=torch.int64)}, r"xT must be a floating-point tensor"),
        ({"clip": (1.0, -1.0)}, r"clip must be a range \(low, high\), got \(1\.0, -1\.0\)"),
    ],
)
@pytest.mark.parametrize("sampler", [diffusion.sample, diffusion.ddim_sample])
def test_samplers_refuse_what_they_can_not_draw(sampler, arguments, message):
    with pytest.raises(ValueError, match=message):
        sampler(curved, **{"shape": (4, 2), "schedule": SCHEDULES["linear"], **arguments})


def test_samplers_check_their_own_options_before_the_first_step():
    def never(xt, t):
        raise AssertionError("the model was called")

    with pytest.raises(ValueError, match="variance must be one of"):
        diffusion.sample(never, (1, 2), SCHEDULES["linear"], variance="eps")
    with pytest.raises(ValueError, match=r"eta must lie in \[0, 1\], got 2"):
        diffusion.ddim_sample(never, (1, 2), SCHEDULES["linear"], eta=2)
    with pytest.raises(ValueError, match=r"steps must lie in 1\.\.1000, got 0"):
        diffusion.ddim_sample(never, (1, 2), SCHEDULES["linear"], 0)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB."),
        RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate memory"),
    ],
)
@pytest.mark.parametrize(
    "work",
    [
        lambda model: diffusion.sample(model, (64, 1, 8, 8), SCHEDULES["linear"]),
        lambda model: diffusion.ddim_sample(model, (64, 1, 8, 8), SCHEDULES["linear"]),
        lambda model: diffusion.vlb_terms(model, torch.zeros(64, 1, 8, 8), SCHEDULES["linear"]),
    ],
)
def test_a_batch_too_large_for_memory_says_so_and_says_what_to_do(work, error):
    def hungry(xt, t):
        raise error

    with pytest.raises(
        torch.OutOfMemoryError, match=r"64 examples of shape \(1, 8, 8\) at once on cpu did not fit"
    ) as e:
        work(hungry)
    assert "give fewer at a time" in str(e.value)
    assert e.value.__cause__ is error


def test_other_errors_of_a_model_pass_through():
    def broken(xt, t):
        raise RuntimeError("a shape is wrong")

    with pytest.raises(RuntimeError, match=r"^a shape is wrong$"):
        diffusion.sample(broken, (2, 2), SCHEDULES["linear"])
