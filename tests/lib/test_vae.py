"""The bound and its parts, against quadrature, torch.distributions and generic Gaussian conditioning."""

import math

import numpy as np
import pytest
import sympy
import torch
from scipy import integrate, optimize, special, stats
from torch.distributions import Bernoulli, Independent, Normal

from genmodels import vae
from genmodels.vae import (
    VAE,
    LinearGaussianVAE,
    elbo_terms,
    iwae_bound,
    log_likelihood,
    reparameterize,
)


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# --- a model with no closed form: z is a number, x four bits, each pixel's log-odds a curve in z --------------------

X_BITS = np.array([1.0, 0.0, 1.0, 1.0])
Q_MEAN, Q_SD = 0.6, 0.8


def curved_logits(z):
    return np.stack([2 * z, np.sin(3 * z), z**2 - 1, 0.5 - z])


def log_p_x_given_z(z):
    logits = curved_logits(z)
    return float(np.sum(np.where(X_BITS == 1, special.log_expit(logits), special.log_expit(-logits))))


def integral(function):
    value, _ = integrate.quad(function, -9, 9, limit=400, epsabs=1e-12)
    return value


PRIOR, Q = stats.norm(0, 1), stats.norm(Q_MEAN, Q_SD)
LOG_P_X = math.log(integral(lambda z: PRIOR.pdf(z) * math.exp(log_p_x_given_z(z))))


def expected_recon():
    return integral(lambda z: Q.pdf(z) * log_p_x_given_z(z))


def divergence_from(log_density):
    return integral(lambda z: Q.pdf(z) * (Q.logpdf(z) - log_density(z)))


@pytest.mark.equation("vae-marginal")
def test_marginal_probabilities_of_all_images_sum_to_one():
    total = 0.0
    for bits in np.ndindex(2, 2, 2, 2):
        x = np.array(bits, dtype=float)

        def joint(z, x=x):
            p = special.expit(curved_logits(z))
            return PRIOR.pdf(z) * np.prod(np.where(x == 1, p, 1 - p))

        total += integral(joint)
    assert total == pytest.approx(1, abs=1e-9)


@pytest.mark.equation("vae-bayes")
def test_likelihood_times_prior_over_posterior_is_the_same_number_at_every_z():
    # The posterior here is the joint Gaussian of (z, x) conditioned by its covariances, with no use of Bayes' rule.
    w, s2, x = 1.3, 0.4, 0.9
    mean, var = w / (w**2 + s2) * x, 1 - w / (w**2 + s2) * w
    ratios = [
        stats.norm(w * z, math.sqrt(s2)).pdf(x) * stats.norm.pdf(z) / stats.norm(mean, math.sqrt(var)).pdf(z)
        for z in np.linspace(-2, 2, 9)
    ]
    np.testing.assert_allclose(ratios, stats.norm(0, math.sqrt(w**2 + s2)).pdf(x), rtol=1e-10)


@pytest.mark.equation("vae-elbo-identity")
@pytest.mark.parametrize(("q_mean", "q_sd"), [(0.6, 0.8), (-1.0, 0.3), (0.0, 1.0)])
def test_the_three_terms_add_up_to_the_log_likelihood(q_mean, q_sd):
    # z ~ N(0, 1), x given z ~ N(w z, s2). log p(x) and the posterior come from the joint covariance of (z, x), the
    # three expectations from quadrature: nothing here knows of the identity.
    w, s2, x = 1.3, 0.4, 0.9
    covariance = np.array([[1.0, w], [w, w**2 + s2]])
    log_p_x = stats.norm(0, math.sqrt(covariance[1, 1])).logpdf(x)
    gain = covariance[0, 1] / covariance[1, 1]
    posterior = stats.norm(gain * x, math.sqrt(covariance[0, 0] - gain * covariance[1, 0]))
    q = stats.norm(q_mean, q_sd)

    def average(function):
        value, _ = integrate.quad(lambda z: q.pdf(z) * function(z), q_mean - 12 * q_sd, q_mean + 12 * q_sd, limit=200)
        return value

    recon = average(lambda z: stats.norm(w * z, math.sqrt(s2)).logpdf(x))
    from_prior = average(lambda z: q.logpdf(z) - PRIOR.logpdf(z))
    from_posterior = average(lambda z: q.logpdf(z) - posterior.logpdf(z))
    assert recon - from_prior + from_posterior == pytest.approx(log_p_x, abs=1e-8)


@pytest.mark.equation("vae-elbo")
def test_the_bound_is_jensens_inequality_applied_to_the_importance_weights():
    # E_q log w <= log E_q w, with w = p(x, z) / q(z): a second road to the same bound.
    def weight(z):
        return math.exp(log_p_x_given_z(z) + PRIOR.logpdf(z) - Q.logpdf(z))

    mean_log = integral(lambda z: Q.pdf(z) * math.log(weight(z)))
    log_mean = math.log(integral(lambda z: Q.pdf(z) * weight(z)))
    assert mean_log == pytest.approx(expected_recon() - divergence_from(PRIOR.logpdf), abs=1e-8)
    assert log_mean == pytest.approx(LOG_P_X, abs=1e-8)
    assert mean_log < log_mean


@pytest.mark.equation("vae-elbo-estimate")
def test_one_sample_estimates_average_to_the_bound():
    n = 200_000
    eps = draw(n, 1, seed=4)
    mu, logvar = (
        torch.full((n, 1), Q_MEAN, dtype=torch.float64),
        torch.full((n, 1), 2 * math.log(Q_SD), dtype=torch.float64),
    )
    z = reparameterize(mu, logvar, eps)[:, 0].numpy()
    logits = torch.from_numpy(curved_logits(z).T.copy())
    terms = elbo_terms(torch.from_numpy(X_BITS).expand(n, 4), logits, mu, logvar)
    five_standard_errors = 5 * terms.elbo.std().item() / math.sqrt(n)
    assert five_standard_errors < 0.02
    want = expected_recon() - divergence_from(PRIOR.logpdf)
    assert terms.elbo.mean().item() == pytest.approx(want, abs=five_standard_errors)


# --- the pieces -----------------------------------------------------------------------------------------------------


@pytest.mark.equation("vae-reparameterization")
@pytest.mark.parametrize("shape", [(4, 3), (2, 3, 4, 4)])
def test_reparameterized_noise_has_the_density_of_q(shape):
    # Change of variables: the density of z is that of eps over |dz/deps|.
    mu, logvar, eps = draw(*shape, seed=1), draw(*shape, seed=2), draw(*shape, seed=3).requires_grad_()
    z = reparameterize(mu, logvar, eps)
    (slope,) = torch.autograd.grad(z.sum(), eps)
    by_change_of_variables = Normal(0, 1).log_prob(eps.detach()) - slope.log()
    torch.testing.assert_close(Normal(mu, torch.exp(logvar).sqrt()).log_prob(z.detach()), by_change_of_variables)


@pytest.mark.equation("vae-reparameterization")
def test_the_gradient_through_the_sample_is_the_gradient_of_the_expectation():
    # d/dmu E[z^3] = 3 (mu^2 + v) and d/dlogvar E[z^3] = 3 mu v, from the moments of a Gaussian.
    mu_value, v, n = 0.5, 0.36, 400_000
    mu = torch.tensor([[mu_value]], dtype=torch.float64, requires_grad=True)
    logvar = torch.tensor([[math.log(v)]], dtype=torch.float64, requires_grad=True)
    z = reparameterize(mu.expand(n, 1), logvar.expand(n, 1), draw(n, 1, seed=8))
    by_mu, by_logvar = torch.autograd.grad(z.pow(3).mean(), (mu, logvar))
    assert by_mu.item() == pytest.approx(3 * (mu_value**2 + v), abs=0.02)
    assert by_logvar.item() == pytest.approx(3 * mu_value * v, abs=0.02)


@pytest.mark.equation("bernoulli-log-likelihood")
@pytest.mark.parametrize("shape", [(5, 7), (3, 1, 8, 8)])
def test_bernoulli_log_likelihood_agrees_with_torch_distributions(shape):
    logits, x = 3 * draw(*shape, seed=1), (draw(*shape, seed=2) > 0).double()
    want = Independent(Bernoulli(logits=logits), len(shape) - 1).log_prob(x)
    torch.testing.assert_close(log_likelihood(x, logits), want)


@pytest.mark.equation("bernoulli-log-likelihood")
def test_the_printed_form_in_softplus_is_the_log_probability():
    x, logit = sympy.symbols("x ell", real=True)
    p = 1 / (1 + sympy.exp(-logit))
    printed = x * logit - sympy.log(1 + sympy.exp(logit))
    for value in (0, 1):
        difference = (x * sympy.log(p) + (1 - x) * sympy.log(1 - p) - printed).subs(x, value)
        for at in (-3, sympy.Rational(1, 2), 7):
            assert abs(sympy.N(difference.subs(logit, at), 30)) < 1e-25


def test_grey_pixels_give_the_expectation_over_binary_images():
    p_white, logits = torch.tensor([[0.25, 0.5]], dtype=torch.float64), draw(1, 2)
    expectation = 0.0
    for bits in np.ndindex(2, 2):
        x = torch.tensor([bits], dtype=torch.float64)
        probability = torch.where(x == 1, p_white, 1 - p_white).prod()
        expectation += probability * log_likelihood(x, logits)
    torch.testing.assert_close(log_likelihood(p_white, logits), expectation)


def test_gaussian_log_likelihood_agrees_with_torch_distributions_with_its_noise_variance():
    x, mean = draw(3, 1, 4, 4, seed=1), draw(3, 1, 4, 4, seed=2)
    want = Independent(Normal(mean, math.sqrt(0.3)), 3).log_prob(x)
    torch.testing.assert_close(log_likelihood(x, mean, "gaussian", noise_var=0.3), want)


def test_likelihood_of_huge_logits_is_finite():
    x = torch.tensor([[1.0, 0.0]])
    assert log_likelihood(x, torch.tensor([[-1e4, 1e4]])).item() == pytest.approx(-2e4)


def test_elbo_is_reconstruction_less_divergence_for_both_likelihoods():
    x, logits, mu, logvar = (
        torch.rand(4, 1, 3, 3),
        torch.zeros(4, 1, 3, 3),
        draw(4, 2).float(),
        draw(4, 2, seed=1).float(),
    )
    for likelihood in ("bernoulli", "gaussian"):
        terms = elbo_terms(x, logits, mu, logvar, likelihood)
        assert [term.shape for term in terms] == [(4,)] * 3
        torch.testing.assert_close(terms.elbo, terms.recon - terms.kl)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"likelihood": "poisson"}, "likelihood must be one of 'bernoulli', 'gaussian', got 'poisson'"),
        ({"x": torch.full((2, 3), 1.5)}, "x must lie in"),
        ({"x": torch.full((2, 3), float("nan"))}, "x must lie in"),
        ({"logits": torch.zeros(2, 4)}, "logits must have the shape of x"),
        ({"noise_var": 1.0}, "noise_var must be None"),
        ({"likelihood": "gaussian", "noise_var": 0.0}, "noise_var must be a positive"),
        ({"mu": torch.zeros(3, 2), "logvar": torch.zeros(3, 2)}, "mu must have the batch size of x, 2, got 3"),
    ],
)
def test_bad_input_to_the_bound_raises_an_error_that_names_the_argument(change, message):
    arguments = {
        "x": torch.zeros(2, 3),
        "logits": torch.zeros(2, 3),
        "mu": torch.zeros(2, 2),
        "logvar": torch.zeros(2, 2),
    }
    with pytest.raises(ValueError, match=message):
        elbo_terms(**{**arguments, **change})


# --- the model that can be solved -----------------------------------------------------------------------------------

W = draw(4, 2, seed=5)
B = draw(4, seed=6)
NOISE_VAR = 0.3
MODEL = LinearGaussianVAE(W, B, NOISE_VAR)
X = draw(3, 4, seed=7)


def joint_gaussian():
    """Mean and covariance of (z, x), assembled from what the model says of each, in NumPy."""
    w = W.numpy()
    cov = np.block([[np.eye(2), w.T], [w, w @ w.T + NOISE_VAR * np.eye(4)]])
    return np.concatenate([np.zeros(2), B.numpy()]), cov


@pytest.mark.equation("linear-gaussian-marginal", "vae-marginal")
def test_linear_gaussian_marginal_is_the_integral_over_the_code():
    model = LinearGaussianVAE(torch.tensor([[0.8], [-1.1]], dtype=torch.float64), None, 0.5)
    x = np.array([0.7, 0.4])
    value, _ = integrate.quad(
        lambda z: stats.norm.pdf(z) * np.prod(stats.norm.pdf(x, np.array([0.8, -1.1]) * z, math.sqrt(0.5))), -9, 9
    )
    assert model.log_prob(torch.from_numpy(x)[None]).item() == pytest.approx(math.log(value), abs=1e-9)


@pytest.mark.equation("linear-gaussian-marginal")
def test_linear_gaussian_log_likelihood_agrees_with_scipy():
    mean, cov = joint_gaussian()
    want = stats.multivariate_normal(mean[2:], cov[2:, 2:]).logpdf(X.numpy())
    np.testing.assert_allclose(MODEL.log_prob(X).numpy(), want, rtol=1e-10)


@pytest.mark.equation("linear-gaussian-posterior")
def test_linear_gaussian_posterior_is_the_joint_conditioned_on_x():
    mean, cov = joint_gaussian()
    gain = cov[:2, 2:] @ np.linalg.inv(cov[2:, 2:])
    got_mean, got_cov = MODEL.posterior(X)
    np.testing.assert_allclose(got_mean.numpy(), (X.numpy() - mean[2:]) @ gain.T, rtol=1e-9)
    np.testing.assert_allclose(got_cov.numpy(), cov[:2, :2] - gain @ cov[2:, :2], rtol=1e-9)


def full_divergence_from_posterior(mu, logvar):
    """KL(q ‖ p(z given x)) by torch.distributions, for each x."""
    mean, cov = MODEL.posterior(X)
    q = torch.distributions.MultivariateNormal(mu, torch.diag_embed(logvar.exp()))
    return torch.distributions.kl_divergence(q, torch.distributions.MultivariateNormal(mean, cov))


@pytest.mark.equation("vae-gap")
def test_gap_of_any_diagonal_q_is_its_divergence_from_the_linear_gaussian_posterior():
    mu, logvar = draw(3, 2, seed=9), draw(3, 2, seed=10)
    torch.testing.assert_close(
        MODEL.log_prob(X) - MODEL.elbo(X, mu, logvar), full_divergence_from_posterior(mu, logvar)
    )


@pytest.mark.equation("linear-gaussian-diagonal-gap")
def test_no_diagonal_q_found_by_search_beats_the_printed_one_and_its_gap_is_the_printed_number():
    def negative_elbo(parameters):
        mu, logvar = torch.from_numpy(parameters).chunk(2)
        return -MODEL.elbo(X[:1], mu[None], logvar[None]).item()

    found = optimize.minimize(negative_elbo, np.zeros(4), tol=1e-12)
    best = MODEL.elbo(X, *MODEL.best_diagonal_q(X))
    assert -found.fun == pytest.approx(best[0].item(), abs=1e-7)
    precision = np.linalg.inv(MODEL.posterior(X)[1].numpy())
    printed = 0.5 * (np.log(np.diag(precision)).sum() - np.linalg.slogdet(precision)[1])
    np.testing.assert_allclose((MODEL.log_prob(X) - best).numpy(), printed, rtol=1e-8)
    assert printed > 0.01  # the latents of this model are correlated given x, so there is something to miss


def test_exact_bound_of_the_linear_gaussian_model_is_the_mean_of_the_sampled_one():
    n = 100_000
    mu, logvar = draw(1, 2, seed=9).expand(n, 2), draw(1, 2, seed=10).expand(n, 2)
    z = reparameterize(mu, logvar, draw(n, 2, seed=11))
    sampled = elbo_terms(X[:1].expand(n, 4), z @ W.T + B, mu, logvar, "gaussian", NOISE_VAR).elbo
    five_standard_errors = 5 * sampled.std().item() / math.sqrt(n)
    assert MODEL.elbo(X[:1], mu[:1], logvar[:1]).item() == pytest.approx(
        sampled.mean().item(), abs=five_standard_errors
    )


def test_linear_gaussian_names_what_does_not_fit():
    with pytest.raises(ValueError, match="W must be"):
        LinearGaussianVAE(torch.zeros(3))
    with pytest.raises(ValueError, match="b must have shape"):
        LinearGaussianVAE(torch.zeros(3, 2), torch.zeros(2))
    with pytest.raises(ValueError, match="noise_var must be a positive"):
        LinearGaussianVAE(torch.zeros(3, 2), noise_var=-1)
    with pytest.raises(ValueError, match=r"x must have shape \(B, 4\), got \(2, 3\)"):
        MODEL.log_prob(torch.zeros(2, 3))


# --- the network ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data_shape", [(2,), (1, 8, 8), (3, 4, 4)])
@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_network_encodes_decodes_and_samples_any_data_shape(data_shape, likelihood):
    model = VAE(data_shape, latent_dim=3, hidden_dim=5, likelihood=likelihood)
    x = torch.rand(4, *data_shape)
    mu, logvar = model.encode(x)
    assert mu.shape == logvar.shape == (4, 3)
    assert model.decode(mu).shape == x.shape
    assert model(x, torch.zeros(4, 3)).elbo.shape == (4,)
    for mean in (False, True):
        assert model.sample(6, torch.Generator().manual_seed(0), mean=mean).shape == (6, *data_shape)


def test_bernoulli_samples_are_binary_and_average_to_the_decoded_probability():
    model = VAE((5,), latent_dim=1, hidden_dim=4)
    torch.nn.init.zeros_(model.decoder[2].weight)  # so that p(x given z) is the same for every z
    with torch.no_grad():
        model.decoder[2].bias.copy_(torch.tensor([-2.0, -1.0, 0.0, 1.0, 2.0]))
    n = 40_000
    samples = model.sample(n, torch.Generator().manual_seed(1))
    assert set(samples.unique().tolist()) == {0.0, 1.0}
    p = torch.sigmoid(model.decoder[2].bias.detach())
    assert (samples.mean(0) - p).abs().max() < 5 * 0.5 / math.sqrt(n)


def test_gaussian_samples_carry_the_noise_of_the_likelihood():
    model = VAE((3,), latent_dim=1, hidden_dim=4, likelihood="gaussian", noise_var=0.25)
    torch.nn.init.zeros_(model.decoder[2].weight)
    spread = model.sample(40_000, torch.Generator().manual_seed(1)).var(0)
    assert (spread - 0.25).abs().max() < 5 * 0.25 * math.sqrt(2 / 40_000)


def test_samples_are_a_function_of_the_generator():
    model = VAE()
    a, b, c = (model.sample(4, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)


def test_weights_are_a_function_of_the_seed_and_the_global_stream_is_left_alone():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    a, b, c = VAE(seed=1), VAE(seed=1), VAE(seed=2)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(a.encoder[1].weight, b.encoder[1].weight)
    assert not torch.equal(a.encoder[1].weight, c.encoder[1].weight)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: VAE(likelihood="laplace"), "likelihood must be one of"),
        (lambda: VAE(latent_dim=0), "latent_dim must be at least 1, got 0"),
        (lambda: VAE(hidden_dim=0), "hidden_dim must be at least 1, got 0"),
        (lambda: VAE(data_shape=()), "data_shape must name"),
        (lambda: VAE(noise_var=2.0), "noise_var must be None"),
        (lambda: VAE().encode(torch.zeros(2, 64)), r"x must have shape \(B, 1, 8, 8\), got \(2, 64\)"),
        (lambda: VAE().decode(torch.zeros(2, 3)), r"z must have shape \(B, 8\), got \(2, 3\)"),
        (lambda: VAE().sample(0), "n must be at least 1, got 0"),
        (lambda: iwae_bound(VAE(), torch.zeros(2, 1, 8, 8), 0), "k must be at least 1, got 0"),
    ],
)
def test_network_names_the_argument_that_does_not_fit(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# --- the importance-weighted bound ----------------------------------------------------------------------------------


class OneDimensional(VAE):
    """The curved model above behind the VAE's interface: x in {0, 1}^4, q fixed, so that log p(x) is known."""

    def __init__(self):
        super().__init__((4,), latent_dim=1, hidden_dim=1)

    def encode(self, x):
        n = len(x)
        return torch.full((n, 1), Q_MEAN, dtype=torch.float64), torch.full(
            (n, 1), 2 * math.log(Q_SD), dtype=torch.float64
        )

    def decode(self, z):
        return torch.from_numpy(curved_logits(z[:, 0].numpy()).T.copy())


@pytest.mark.equation("iwae-bound")
def test_importance_weighted_bound_rises_from_the_elbo_to_the_log_likelihood():
    n = 20_000
    x = torch.from_numpy(X_BITS).expand(n, 4)
    elbo = expected_recon() - divergence_from(PRIOR.logpdf)
    means = {}
    for k in (1, 4, 64):
        bounds = iwae_bound(OneDimensional(), x, k, torch.Generator().manual_seed(k))
        means[k] = (bounds.mean().item(), 5 * bounds.std().item() / math.sqrt(n))
    assert means[1][0] == pytest.approx(elbo, abs=means[1][1])
    assert elbo < means[4][0] < means[64][0] < LOG_P_X + means[64][1]
    assert means[64][0] == pytest.approx(LOG_P_X, abs=0.02)


# --- what one does with a trained network ---------------------------------------------------------------------------


def test_a_traversal_changes_one_dimension_and_decodes_the_mean():
    model = VAE((5,), latent_dim=3, hidden_dim=4)
    z, values = torch.tensor([[0.3, -0.2, 1.0]]), torch.tensor([-2.0, 0.0, 2.0])
    images = vae.traverse(model, z, 1, values)
    by_hand = torch.cat([torch.sigmoid(model.decode(torch.tensor([[0.3, value, 1.0]]))) for value in (-2.0, 0.0, 2.0)])
    torch.testing.assert_close(images, by_hand)
    assert z.tolist() == torch.tensor([[0.3, -0.2, 1.0]]).tolist()


def test_an_edit_shifts_the_sampled_code_in_the_named_dimensions_only():
    model = VAE((5,), latent_dim=3, hidden_dim=4)
    x = torch.rand(6, 5)
    done = vae.edit(model, x, {0: 2.0, 2: -1.0}, torch.Generator().manual_seed(0))
    torch.testing.assert_close(done.z_changed - done.z, torch.tensor([2.0, 0.0, -1.0]).expand(6, 3))
    torch.testing.assert_close(done.mean, torch.sigmoid(model.decode(done.z_changed)))
    assert set(done.image.unique().tolist()) <= {0.0, 1.0}


def test_an_edit_samples_its_code_from_the_encoder():
    model = VAE((5,), latent_dim=2, hidden_dim=4)
    x = torch.rand(1, 5)
    z = vae.edit(model, x.expand(40_000, 5), {}, torch.Generator().manual_seed(0)).z
    mu, logvar = model.encode(x)
    assert ((z.mean(0) - mu[0]).abs() < 5 * (logvar[0] / 2).exp() / math.sqrt(40_000)).all()
    assert ((z.var(0) / logvar[0].exp() - 1).abs() < 5 * math.sqrt(2 / 40_000)).all()


def test_an_edit_is_a_function_of_the_generator():
    model, x = VAE((5,), latent_dim=2, hidden_dim=4), torch.rand(3, 5)
    a, b = (vae.edit(model, x, {0: 1.0}, torch.Generator().manual_seed(7)) for _ in range(2))
    assert torch.equal(a.image, b.image)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: vae.traverse(m, torch.zeros(2, 3), 0, torch.zeros(2)), r"z must have shape \(1, 3\), got \(2, 3\)"),
        (lambda m: vae.traverse(m, torch.zeros(1, 3), 3, torch.zeros(2)), r"dim must lie in 0\.\.2, got 3"),
        (lambda m: vae.edit(m, torch.zeros(1, 5), {-1: 1.0}), r"dim must lie in 0\.\.2, got -1"),
    ],
)
def test_edits_and_traversals_name_what_does_not_exist(call, message):
    with pytest.raises(ValueError, match=message):
        call(VAE((5,), latent_dim=3, hidden_dim=4))


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_the_convolutional_network_trains_the_same_bound(likelihood):
    model = VAE((2, 8, 4), latent_dim=3, hidden_dim=8, likelihood=likelihood, network="conv")
    x = torch.rand(4, 2, 8, 4)
    mu, logvar = model.encode(x)
    assert mu.shape == logvar.shape == (4, 3)
    assert model.decode(mu).shape == x.shape
    model(x, torch.zeros(4, 3)).elbo.sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"network": "transformer"}, "network must be one of 'mlp', 'conv', got 'transformer'"),
        ({"network": "conv", "data_shape": (1, 6, 8)}, "divisible by 4"),
        ({"network": "conv", "data_shape": (64,)}, "divisible by 4"),
    ],
)
def test_unsuitable_networks_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        VAE(**arguments)


def test_a_gaussian_network_takes_its_noise_variance_seriously():
    for wrong in (0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="noise_var must be a positive"):
            VAE((3,), likelihood="gaussian", noise_var=wrong)
    model = VAE((3,), latent_dim=1, hidden_dim=4, likelihood="gaussian", noise_var=0.2)
    x, eps = torch.rand(2, 3), torch.zeros(2, 1)
    want = Independent(Normal(model.decode(model.encode(x)[0]), math.sqrt(0.2)), 1).log_prob(x)
    torch.testing.assert_close(model(x, eps).recon, want)


def test_double_precision_networks_sample_edit_and_bound_in_double_precision():
    model = VAE((3,), latent_dim=2, hidden_dim=4).double()
    x = torch.rand(2, 3, dtype=torch.float64)
    assert model.sample(2).dtype == torch.float64
    assert vae.edit(model, x, {0: 1.0}).mean.dtype == torch.float64
    assert iwae_bound(model, x, 2).dtype == torch.float64


def test_pixels_are_drawn_independently_given_the_code():
    model = VAE((2,), latent_dim=1, hidden_dim=4)
    drawn = model.draw(torch.zeros(20_000, 2), torch.Generator().manual_seed(0))
    assert abs(torch.corrcoef(drawn.T)[0, 1]) < 5 / math.sqrt(20_000)
