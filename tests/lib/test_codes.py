"""What a code's dimensions can and can't mean: rotations that change nothing, and a heavier divergence."""

import math

import numpy as np
import pytest
import torch
from scipy import special, stats
from torch.distributions import Bernoulli, Normal, kl_divergence

from genmodels import train
from genmodels.vae import VAE, LinearGaussianVAE

ANGLE = 0.7
ROTATION = np.array([[math.cos(ANGLE), -math.sin(ANGLE)], [math.sin(ANGLE), math.cos(ANGLE)]])


@pytest.mark.equation("latent-rotation")
def test_turning_the_codes_of_a_curved_model_changes_no_images_probability():
    # A two-dimensional code, three bits, by summing over a fine grid of codes.
    axis = np.linspace(-7, 7, 401)
    z = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1)  # (401, 401, 2)
    prior = stats.norm.pdf(z).prod(axis=-1) * (axis[1] - axis[0]) ** 2

    def probability(bits, code):
        logits = np.stack([2 * code[..., 0], np.sin(2 * code[..., 1]), code[..., 0] * code[..., 1] - 1], axis=-1)
        return (np.prod(special.expit(np.where(bits, logits, -logits)), axis=-1) * prior).sum()

    for bits in np.ndindex(2, 2, 2):
        turned_back = z @ ROTATION  # Rᵀ z, for row vectors
        assert probability(np.array(bits), turned_back) == pytest.approx(probability(np.array(bits), z), abs=1e-9)


@pytest.mark.equation("latent-rotation")
def test_the_linear_gaussian_likelihood_is_blind_to_rotations_but_the_diagonal_bound_is_not():
    w = np.array([[1.0, 0.8], [0.2, 1.0], [0.6, 0.6]])
    x = np.random.default_rng(0).standard_normal((5, 3))
    original, turned = (LinearGaussianVAE(torch.from_numpy(m), noise_var=0.25) for m in (w, w @ ROTATION.T))
    data = torch.from_numpy(x)
    want = stats.multivariate_normal(np.zeros(3), w @ w.T + 0.25 * np.eye(3)).logpdf(x)
    np.testing.assert_allclose(original.log_prob(data).numpy(), want, rtol=1e-10)
    np.testing.assert_allclose(turned.log_prob(data).numpy(), want, rtol=1e-10)
    bounds = [m.elbo(data, *m.best_diagonal_q(data)).mean().item() for m in (original, turned)]
    assert abs(bounds[0] - bounds[1]) > 0.05


@pytest.mark.equation("beta-vae")
@pytest.mark.parametrize("beta", [1.0, 4.0])
def test_beta_loss_is_the_printed_combination_and_its_negative_never_exceeds_the_bound(beta):
    model = VAE((6,), latent_dim=2, hidden_dim=5)
    x = (torch.rand(7, 6, generator=torch.Generator().manual_seed(0)) > 0.5).float()
    eps = torch.randn(7, 2, generator=torch.Generator().manual_seed(1))
    mu, logvar = model.encode(x)
    q = Normal(mu, (0.5 * logvar).exp())
    divergence = kl_divergence(q, Normal(torch.zeros(2), torch.ones(2))).sum(1)
    recon = Bernoulli(logits=model.decode(mu + q.scale * eps)).log_prob(x).sum(1)
    got = train.beta_loss(beta)(model, x, eps)
    torch.testing.assert_close(got, beta * divergence - recon)
    assert (-got <= recon - divergence + 1e-6).all()
