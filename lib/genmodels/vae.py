"""The variational autoencoder: the bound, a small network that maximises it, and a model where it can be checked.

``LinearGaussianVAE`` is the honest witness: its log p(x), its true posterior and so the gap of the bound have closed
forms, and everything that the chapters say about the bound is measured on it.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from genmodels import nets
from genmodels._shapes import (
    require_batch,
    require_choice,
    require_positive,
    require_same_shape,
    sum_over_data,
)
from genmodels.gaussian import kl_normal, log_normal

LIKELIHOODS = ("bernoulli", "gaussian")
NETWORKS = {"mlp": (nets.mlp_encoder, nets.mlp_decoder), "conv": (nets.conv_encoder, nets.conv_decoder)}


def reparameterize(mu: Tensor, logvar: Tensor, eps: Tensor) -> Tensor:
    """A sample of N(mu, exp(logvar)) as a differentiable function of its parameters: z = mu + sigma * eps.

    Equation ``vae-reparameterization``. All three are (B, ...), as is the result; ``eps`` holds standard normal noise.

    Raises
    ------
    ValueError
        If an argument is not a floating-point tensor of rank 2 or more, or the shapes differ.
    """
    require_batch("mu", mu)
    require_same_shape("logvar", logvar, "mu", mu)
    require_same_shape("eps", eps, "mu", mu)
    return mu + torch.exp(0.5 * logvar) * eps


def log_likelihood(x: Tensor, logits: Tensor, likelihood: str = "bernoulli", noise_var: float | None = None) -> Tensor:
    """log p(x given z) from the decoder's output: (B, ...), (B, ...) → (B,) in nats.

    ``"bernoulli"`` (equation ``bernoulli-log-likelihood``): ``logits`` are log-odds. Entries of ``x`` between 0 and 1
    are taken as the probability that a pixel of a binary image is 1; the result is the expectation over such images.
    ``"gaussian"``: ``logits`` are the mean of a Gaussian with variance ``noise_var`` (default 1) in each dimension.

    Raises
    ------
    ValueError
        If the shapes differ, ``likelihood`` is unknown, a Bernoulli ``x`` leaves [0, 1], or ``noise_var`` is not
        positive or is given to the Bernoulli likelihood, which has none.
    """
    require_choice("likelihood", likelihood, LIKELIHOODS)
    require_batch("x", x)
    require_same_shape("logits", logits, "x", x)
    if likelihood == "gaussian":
        variance = 1.0 if noise_var is None else noise_var
        require_positive("noise_var", variance)
        return log_normal(x, logits, torch.full_like(logits, math.log(variance)))
    if noise_var is not None:
        raise ValueError(f"noise_var must be None for the Bernoulli likelihood, got {noise_var!r}")
    if x.numel() and not (x.min() >= 0 and x.max() <= 1):
        raise ValueError(f"x must lie in [0, 1] for the Bernoulli likelihood, got [{x.min():.4g}, {x.max():.4g}]")
    # x log p + (1 - x) log(1 - p) with p = sigmoid(logits), without ever taking the log of a sigmoid.
    return sum_over_data(x * logits - functional.softplus(logits))


class ElboTerms(NamedTuple):
    """The bound and its two terms, each (B,) in nats: ``elbo = recon - kl``."""

    recon: Tensor
    kl: Tensor
    elbo: Tensor


def elbo_terms(
    x: Tensor,
    logits: Tensor,
    mu: Tensor,
    logvar: Tensor,
    likelihood: str = "bernoulli",
    noise_var: float | None = None,
) -> ElboTerms:
    """The evidence lower bound of one z per example, split into its terms.

    Equation ``vae-elbo-estimate``. ``x`` and ``logits`` are (B, ...), ``logits`` decoded from one sample
    z ~ N(mu, exp(logvar)) per example; ``mu`` and ``logvar`` are (B, D). ``recon`` is log p(x given z), an unbiased
    estimate of its expectation under q; ``kl`` is exact; ``elbo = recon - kl``. Each is (B,) in nats.

    Raises
    ------
    ValueError
        As ``log_likelihood`` and ``kl_normal``, or if the batch sizes differ.
    """
    recon = log_likelihood(x, logits, likelihood, noise_var)
    kl = kl_normal(mu, logvar)
    if len(mu) != len(x):
        raise ValueError(f"mu must have the batch size of x, {len(x)}, got {len(mu)}")
    return ElboTerms(recon, kl, recon - kl)


class VAE(nn.Module):
    """A variational autoencoder with a Gaussian encoder and the standard normal prior.

    Parameters
    ----------
    data_shape
        Shape of one example, (1, 8, 8) for the digits.
    latent_dim
        D, the size of the code z.
    hidden_dim
        Width of the networks.
    network
        ``"mlp"``: one hidden layer each in encoder and decoder. ``"conv"``: two convolutions each, for images whose
        sides are divisible by 4.
    likelihood, noise_var
        As in ``log_likelihood``.
    seed
        The initial weights are drawn from it; the global random stream is left as it was.
    """

    def __init__(
        self,
        data_shape: Sequence[int] = (1, 8, 8),
        latent_dim: int = 8,
        hidden_dim: int = 256,
        likelihood: str = "bernoulli",
        noise_var: float | None = None,
        network: str = "mlp",
        seed: int = 0,
    ) -> None:
        super().__init__()
        require_choice("likelihood", likelihood, LIKELIHOODS)
        require_choice("network", network, tuple(NETWORKS))
        if noise_var is not None and likelihood == "bernoulli":
            raise ValueError(f"noise_var must be None for the Bernoulli likelihood, got {noise_var!r}")
        if likelihood == "gaussian":
            noise_var = 1.0 if noise_var is None else noise_var
            require_positive("noise_var", noise_var)
        for name, size in (("latent_dim", latent_dim), ("hidden_dim", hidden_dim)):
            if size < 1:
                raise ValueError(f"{name} must be at least 1, got {size}")
        if not data_shape or min(data_shape) < 1:
            raise ValueError(f"data_shape must name one or more positive sizes, got {tuple(data_shape)}")
        self.data_shape = tuple(data_shape)
        self.latent_dim = latent_dim
        self.likelihood = likelihood
        self.noise_var = noise_var
        make_encoder, make_decoder = NETWORKS[network]
        with nets.seeded(seed):
            self.encoder = make_encoder(self.data_shape, latent_dim, hidden_dim)
            self.decoder = make_decoder(self.data_shape, latent_dim, hidden_dim)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of q(z given x): (B, *data_shape) → (B, D), (B, D)."""
        require_batch("x", x)
        if x.shape[1:] != self.data_shape:
            raise ValueError(f"x must have shape (B, {', '.join(map(str, self.data_shape))}), got {tuple(x.shape)}")
        mu, logvar = self.encoder(x).chunk(2, dim=1)
        return mu, logvar

    def decode(self, z: Tensor) -> Tensor:
        """Parameters of p(x given z): (B, D) → (B, *data_shape), log-odds or means as the likelihood has it."""
        require_batch("z", z)
        if z.shape[1:] != (self.latent_dim,):
            raise ValueError(f"z must have shape (B, {self.latent_dim}), got {tuple(z.shape)}")
        return self.decoder(z)

    def __call__(self, x: Tensor, eps: Tensor) -> ElboTerms:  # nn.Module's own loses the types
        return super().__call__(x, eps)

    def forward(self, x: Tensor, eps: Tensor) -> ElboTerms:
        """The bound of each example with the noise eps (B, D): encode, reparameterize, decode, compare."""
        mu, logvar = self.encode(x)
        z = reparameterize(mu, logvar, eps)  # (B, D)
        return elbo_terms(x, self.decode(z), mu, logvar, self.likelihood, self.noise_var)

    @torch.no_grad()
    def sample(self, n: int, generator: torch.Generator | None = None, mean: bool = False) -> Tensor:
        """Draw n examples of the model: z from the prior, then x from p(x given z). Shape (n, *data_shape).

        With ``mean`` the second draw is left out and E[x given z] comes back, which most papers show as a sample.
        """
        if n < 1:
            raise ValueError(f"n must be at least 1, got {n}")
        # Noise is drawn on the CPU, so that one seed gives one picture on every device.
        z = torch.randn(n, self.latent_dim, generator=generator).to(next(self.parameters()))
        logits = self.decode(z)
        return self.mean(logits) if mean else self.draw(logits, generator)

    def mean(self, logits: Tensor) -> Tensor:
        """E[x given z] from the decoder's output: the probability that a pixel is white, or the Gaussian's mean."""
        return torch.sigmoid(logits) if self.likelihood == "bernoulli" else logits

    def draw(self, logits: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """A sample of p(x given z) from the decoder's output; same shape."""
        if self.likelihood == "bernoulli":
            u = torch.rand(logits.shape, generator=generator).to(logits)
            return (u < torch.sigmoid(logits)).to(logits.dtype)
        noise = torch.randn(logits.shape, generator=generator).to(logits)
        return logits + math.sqrt(1.0 if self.noise_var is None else self.noise_var) * noise


@torch.no_grad()
def traverse(model: VAE, z: Tensor, dim: int, values: Tensor) -> Tensor:
    """What one dimension of the code does: decode z (1, D) with its entry ``dim`` set to each of ``values`` (K,).

    Returns the mean images, (K, *data_shape).

    Raises
    ------
    ValueError
        If ``z`` is not one code, or ``dim`` is not one of its dimensions.
    """
    if z.shape != (1, model.latent_dim):
        raise ValueError(f"z must have shape (1, {model.latent_dim}), got {tuple(z.shape)}")
    _require_dimension(dim, model.latent_dim)
    codes = z.repeat(len(values), 1)
    codes[:, dim] = values.to(codes)
    return model.mean(model.decode(codes))


class Edit(NamedTuple):
    """The stages of an edit: the sampled code, the changed code (B, D), the mean image and the drawn one (B, ...)."""

    z: Tensor
    z_changed: Tensor
    mean: Tensor
    image: Tensor


@torch.no_grad()
def edit(model: VAE, x: Tensor, changes: Mapping[int, float], generator: torch.Generator | None = None) -> Edit:
    """The lecture's five steps: encode x (B, ...), sample a code, change some dimensions, decode, sample an image.

    ``changes`` says what to add to which dimension of the code, in standard deviations of the prior.

    Raises
    ------
    ValueError
        If a changed dimension does not exist.
    """
    for dim in changes:
        _require_dimension(dim, model.latent_dim)
    mu, logvar = model.encode(x)  # 1. a distribution over codes
    eps = torch.randn(mu.shape, generator=generator).to(mu)
    z = reparameterize(mu, logvar, eps)  # 2. a code
    z_changed = z.clone()
    for dim, shift in changes.items():  # 3. some of its dimensions changed
        z_changed[:, dim] += shift
    logits = model.decode(z_changed)  # 4. a distribution over images
    return Edit(z, z_changed, model.mean(logits), model.draw(logits, generator))  # 5. an image


def _require_dimension(dim: int, latent_dim: int) -> None:
    if not 0 <= dim < latent_dim:
        raise ValueError(f"dim must lie in 0..{latent_dim - 1}, got {dim}")


def iwae_bound(model: VAE, x: Tensor, k: int, generator: torch.Generator | None = None) -> Tensor:
    """The importance-weighted bound on log p(x) with k samples of q: (B, ...) → (B,) in nats.

    Equation ``iwae-bound``; k = 1 is the ELBO, and the bound tightens as k grows (Burda et al., 2016).

    Raises
    ------
    ValueError
        If ``k`` is less than 1.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    mu, logvar = model.encode(x)
    prior_mu, prior_logvar = torch.zeros_like(mu), torch.zeros_like(logvar)
    log_weights = []
    for _ in range(k):
        eps = torch.randn(mu.shape, generator=generator, dtype=mu.dtype).to(mu.device)
        z = reparameterize(mu, logvar, eps)  # (B, D)
        log_p_x_given_z = log_likelihood(x, model.decode(z), model.likelihood, model.noise_var)
        log_weights.append(log_p_x_given_z + log_normal(z, prior_mu, prior_logvar) - log_normal(z, mu, logvar))
    return torch.logsumexp(torch.stack(log_weights), dim=0) - math.log(k)


class LinearGaussianVAE:
    """The VAE that can be solved: z ~ N(0, I), x given z ~ N(W z + b, noise_var I).

    Its marginal (``linear-gaussian-marginal``) and its posterior (``linear-gaussian-posterior``) are Gaussians in
    closed form, so the bound of any q can be held against the log p(x) that it bounds.

    Parameters
    ----------
    W
        (P, D), data dimension by latent dimension. Computations run in its dtype: give float64.
    b
        (P,), the mean of x. None for zero.
    noise_var
        The variance of x given z in each dimension.
    """

    def __init__(self, W: Tensor, b: Tensor | None = None, noise_var: float = 1.0) -> None:
        if W.ndim != 2 or not torch.is_floating_point(W):
            raise ValueError(f"W must be a floating-point matrix of shape (P, D), got {W.dtype} {tuple(W.shape)}")
        require_positive("noise_var", noise_var)
        self.W = W
        self.b = W.new_zeros(len(W)) if b is None else b
        if self.b.shape != (len(W),):
            raise ValueError(f"b must have shape ({len(W)},), got {tuple(self.b.shape)}")
        self.noise_var = noise_var

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x), exactly: (B, P) → (B,) in nats."""
        self._require_data(x)
        covariance = self.W @ self.W.T + self.noise_var * torch.eye(
            len(self.W), dtype=self.W.dtype, device=self.W.device
        )  # (P, P)
        cholesky = torch.linalg.cholesky(covariance)
        whitened = torch.linalg.solve_triangular(cholesky, (x - self.b).T, upper=False)  # (P, B)
        log_det = 2 * torch.log(torch.diagonal(cholesky)).sum()
        return -0.5 * (whitened.square().sum(dim=0) + log_det + len(self.W) * math.log(2 * math.pi))

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean (B, D) and covariance (D, D) of the true posterior p(z given x); one covariance serves every x."""
        self._require_data(x)
        precision = self._posterior_precision()
        covariance = torch.linalg.inv(precision)
        mean = torch.linalg.solve(precision, self.W.T @ (x - self.b).T / self.noise_var).T  # (B, D)
        return mean, covariance

    def elbo(self, x: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
        """The exact bound of a diagonal q = N(mu, exp(logvar)), its expectation taken in closed form: (B,) in nats.

        E_q log p(x given z) is log N(x; W mu + b, noise_var I) less tr(W diag(exp(logvar)) Wᵀ) / (2 noise_var).
        """
        self._require_data(x)
        at_mean = log_likelihood(x, mu @ self.W.T + self.b, "gaussian", self.noise_var)
        spread = torch.exp(logvar) @ self.W.square().sum(dim=0) / (2 * self.noise_var)  # (B,)
        return at_mean - spread - kl_normal(mu, logvar)

    def best_diagonal_q(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """mu and logvar, each (B, D), of the diagonal q with the highest bound.

        The mean is the true posterior's; each variance is one over the matching diagonal entry of its precision.
        """
        mean, _ = self.posterior(x)
        logvar = -torch.log(torch.diagonal(self._posterior_precision()))
        return mean, logvar.expand_as(mean)

    def _posterior_precision(self) -> Tensor:
        latent_dim = self.W.shape[1]
        identity = torch.eye(latent_dim, dtype=self.W.dtype, device=self.W.device)
        return identity + self.W.T @ self.W / self.noise_var

    def _require_data(self, x: Tensor) -> None:
        if x.ndim != 2 or x.shape[1] != len(self.W):
            raise ValueError(f"x must have shape (B, {len(self.W)}), got {tuple(x.shape)}")
