"""Data for which diffusion can be solved: a mixture of Gaussians, of which a Gaussian is the case K = 1.

After t steps of noise a mixture of Gaussians is a mixture of Gaussians. So the best guess at x_0 or at the noise, the
score, and the true reverse step q(x_{t-1} given x_t), which a network only approximates, are closed forms, and a
sampler can be tested without a network's errors.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from genmodels._shapes import require_batch, require_choice
from genmodels._tables import at_times, previous, require_times
from genmodels.diffusion import (
    Denoiser,
    Schedule,
    VLBTerms,
    loss_weight,
    q_mean_var,
    step_variance,
)
from genmodels.gaussian import kl_normal


class ReverseStep(NamedTuple):
    """q(x_{t-1} given x_t) of each example, a mixture: weights (B, K), means (B, K, D), covariances (B, K, D, D).

    Equation ``dif-reverse-mixture``.
    """

    weights: Tensor
    means: Tensor
    covariances: Tensor

    def mean_var(self) -> tuple[Tensor, Tensor]:
        """Mean and variance of each entry of x_{t-1} given x_t: (B, D), (B, D)."""
        weights = self.weights[..., None]  # (B, K, 1)
        mean = (weights * self.means).sum(dim=1)
        variances = torch.diagonal(self.covariances, dim1=-2, dim2=-1)  # (B, K, D)
        return mean, (weights * (variances + (self.means - mean[:, None]).square())).sum(dim=1)


class GaussianMixture:
    """x_0 drawn from N(means[k], covariances[k]) with probability weights[k].

    Methods take xt (B, ...) with D entries in each example, whatever its rank, and t (B,), and compute in the dtype of
    the parameters: give float64.

    Parameters
    ----------
    weights
        (K,), positive, with the sum 1.
    means
        (K, D).
    covariances
        (K, D, D), symmetric, with no negative eigenvalue. All of them zero: x_0 is one of K points, a data set.

    Raises
    ------
    ValueError
        If the parameters are not that.
    """

    def __init__(self, weights: Tensor, means: Tensor, covariances: Tensor) -> None:
        for name, value in (("weights", weights), ("means", means), ("covariances", covariances)):
            if not isinstance(value, Tensor) or not torch.is_floating_point(value):
                raise ValueError(f"{name} must be a floating-point tensor")
        if weights.ndim != 1 or not bool((weights > 0).all()) or abs(weights.sum().item() - 1) > 1e-6:
            raise ValueError(f"weights must be (K,), positive, with the sum 1, got {weights.tolist()}")
        K = len(weights)
        if means.ndim != 2 or len(means) != K:
            raise ValueError(f"means must have shape ({K}, D), got {tuple(means.shape)}")
        D = means.shape[1]
        if covariances.shape != (K, D, D):
            raise ValueError(f"covariances must have shape ({K}, {D}, {D}), got {tuple(covariances.shape)}")
        if not torch.allclose(covariances, covariances.mT):
            raise ValueError("covariances must be symmetric")
        # Noise is the same in all directions: the eigenvectors stay, and t changes the eigenvalues alone.
        eigenvalues, axes = torch.linalg.eigh(covariances)  # (K, D), (K, D, D)
        if eigenvalues.min() < -1e-9 * max(1.0, eigenvalues.max().item()):
            raise ValueError(f"covariances must have no negative eigenvalue, got {eigenvalues.min():.4g}")
        self.weights, self.means, self.covariances = weights, means, covariances
        self._eigenvalues, self._axes = eigenvalues.clamp(min=0), axes

    @classmethod
    def gaussian(cls, mean: Tensor, covariance: Tensor) -> "GaussianMixture":
        """One Gaussian: mean (D,), covariance (D, D)."""
        return cls(mean.new_ones(1), mean[None], covariance[None])

    def mean(self) -> Tensor:
        """E[x_0]: (D,)."""
        return self.weights @ self.means

    def covariance(self) -> Tensor:
        """The covariance of x_0: (D, D), the average within the components and the one between them."""
        apart = self.means - self.mean()
        within = torch.einsum("k,kij->ij", self.weights, self.covariances)
        return within + torch.einsum("k,ki,kj->ij", self.weights, apart, apart)

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw x_0: (n, D)."""
        if n < 1:
            raise ValueError(f"n must be at least 1, got {n}")
        k = torch.multinomial(self.weights, n, replacement=True, generator=generator)
        eps = torch.randn(n, self.means.shape[1], generator=generator, dtype=self.means.dtype)
        return self.means[k] + torch.einsum("bij,bj->bi", self._axes[k], self._eigenvalues[k].sqrt() * eps)

    def log_prob(self, x0: Tensor) -> Tensor:
        """log p(x_0): (B, ...) → (B,) in nats. There is no such density where a covariance is singular."""
        x = self._flat("x0", x0)
        return self._log_marginal(x, x.new_ones(len(x), 1, 1))

    def log_marginal(self, xt: Tensor, t: Tensor, schedule: Schedule) -> Tensor:
        """log q(x_t): (B, ...), (B,) → (B,) in nats."""
        return self._log_marginal(*self._at(xt, t, schedule))

    def responsibilities(self, xt: Tensor, t: Tensor, schedule: Schedule) -> Tensor:
        """The probability that x_t began in each component: (B, ...), (B,) → (B, K)."""
        return torch.softmax(self._log_joint(*self._at(xt, t, schedule)), dim=1)

    def score(self, xt: Tensor, t: Tensor, schedule: Schedule) -> Tensor:
        """The gradient of log q(x_t) with respect to x_t: (B, ...), (B,) → (B, ...). Equation ``dif-score``."""
        x, alpha_bar = self._at(xt, t, schedule)
        centred = self._centred(x, alpha_bar)  # (B, K, D), along each component's axes
        pull = -self._back(centred / self._variances(alpha_bar))  # (B, K, D)
        weights = torch.softmax(self._log_joint(x, alpha_bar), dim=1)
        return torch.einsum("bk,bkd->bd", weights, pull).reshape(xt.shape)

    def expected_x0(self, xt: Tensor, t: Tensor, schedule: Schedule) -> Tensor:
        """E[x_0 given x_t], the guess with the least squared error: (B, ...), (B,) → (B, ...)."""
        x, alpha_bar = self._at(xt, t, schedule)
        gain = alpha_bar.sqrt() * self._eigenvalues / self._variances(alpha_bar)  # (B, K, D)
        guesses = self.means + self._back(gain * self._centred(x, alpha_bar))  # of each component
        weights = torch.softmax(self._log_joint(x, alpha_bar), dim=1)
        return torch.einsum("bk,bkd->bd", weights, guesses).reshape(xt.shape)

    def expected_eps(self, xt: Tensor, t: Tensor, schedule: Schedule) -> Tensor:
        """E[eps given x_t], what the best network predicts: (B, ...), (B,) → (B, ...).

        Equation ``dif-exact-denoiser``. It is the score times -sqrt(1 - alpha_bar): to predict the noise is to know
        where the density grows.
        """
        return -at_times(schedule.sqrt_one_minus_alpha_bar, t, xt) * self.score(xt, t, schedule)

    def denoiser(self, schedule: Schedule) -> Denoiser:
        """``expected_eps`` as a model, to give to a sampler or a loss. Its output has the dtype of its input."""

        def model(xt: Tensor, t: Tensor) -> Tensor:
            return self.expected_eps(xt.to(self.means), t.to(self.means.device), schedule).to(xt)

        return model

    def reverse_step(self, xt: Tensor, t: Tensor, schedule: Schedule) -> ReverseStep:
        """q(x_{t-1} given x_t), the step that p(x_{t-1} given x_t) should be: (B, ...), (B,) → a mixture for each.

        At t = 1 it is the distribution of x_0 given x_1.
        """
        x, alpha_bar = self._at(xt, t, schedule)
        alpha = at_times(schedule.alpha, t, x)[..., None]  # (B, 1, 1)
        before = alpha_bar / alpha
        var_before, var_now = self._variances(before), self._variances(alpha_bar)  # (B, K, D)
        # Within a component (x_{t-1}, x_t) is Gaussian: condition on x_t, each of the component's axes by itself.
        shift = alpha.sqrt() * var_before / var_now * self._centred(x, alpha_bar)
        means = before.sqrt() * self.means + self._back(shift)
        variances = var_before * (1 - alpha) / var_now
        covariances = torch.einsum("kij,bkj,klj->bkil", self._axes, variances, self._axes)
        return ReverseStep(torch.softmax(self._log_joint(x, alpha_bar), dim=1), means, covariances)

    def reverse_variance(self, schedule: Schedule) -> Tensor:
        """The variance of q(x_{t-1} given x_t), of the entries' mean: (T+1,) in float64, 0 at t = 0. Needs K = 1.

        Between ``beta_tilde`` and ``beta``, if the data's variance is between 0 and 1. Given to a sampler as its
        ``variance`` it makes each step the true one, where the data vary equally in all directions.
        """
        self._require_gaussian("reverse_variance")
        alpha_bar = schedule.alpha_bar[:, None]
        var = alpha_bar * self._eigenvalues[0].to("cpu", torch.float64) + 1 - alpha_bar  # of x_t: (T+1, D)
        return schedule.beta * (previous(var) / var).mean(dim=1)

    def vlb_terms(self, x0: Tensor, schedule: Schedule, variance: str | Tensor = "beta_tilde") -> VLBTerms:
        """What ``diffusion.vlb_terms`` estimates for the exact denoiser, with the noise averaged out. Needs K = 1.

        The decoder is the Gaussian density: (B, ...) → terms in nats, as there.
        """
        self._require_gaussian("vlb_terms")
        x = self._flat("x0", x0)
        D = x.shape[1]
        alpha_bar = schedule.alpha_bar.to(x)[:, None]  # (T+1, 1)
        # Along an axis with eigenvalue v, eps - E[eps given x_t] = keep * eps - lose * (x_0 - mean): its mean square.
        var = alpha_bar * self._eigenvalues[0] + 1 - alpha_bar  # (T+1, D)
        keep = alpha_bar * self._eigenvalues[0] / var
        lose = (alpha_bar * (1 - alpha_bar)).sqrt() / var
        centred = ((x - self.means) @ self._axes[0]).square()  # (B, D)
        errors = keep.square().sum(dim=1) + centred @ lose.square().T  # (B, T+1)
        sigma2 = step_variance(schedule, variance)
        ratio = (schedule.beta_tilde / sigma2)[2:]
        kl = loss_weight(schedule, variance).to(x) * errors  # (B, T+1)
        kl[:, 2:] += (0.5 * D * (ratio - 1 - ratio.log())).to(x)
        recon = -kl[:, 1] - 0.5 * D * math.log(2 * math.pi * sigma2[1].item())
        kl[:, :2] = 0
        mean, var_T = q_mean_var(x, torch.full((len(x),), schedule.T, device=x.device), schedule)
        prior = kl_normal(mean, var_T.log())
        return VLBTerms(prior, kl, recon, recon - kl.sum(dim=1) - prior)

    def _require_gaussian(self, name: str) -> None:
        if len(self.weights) != 1:
            raise ValueError(f"{name} is a closed form for one Gaussian, K = 1, got K = {len(self.weights)}")

    def _flat(self, name: str, x: Tensor) -> Tensor:
        require_batch(name, x)
        if x[0].numel() != self.means.shape[1]:
            raise ValueError(f"{name} must hold {self.means.shape[1]} entries in each example, got {tuple(x.shape)}")
        return x.flatten(start_dim=1).to(self.means)

    def _at(self, xt: Tensor, t: Tensor, schedule: Schedule) -> tuple[Tensor, Tensor]:
        """xt as (B, D), and alpha_bar at its times as (B, 1, 1)."""
        x = self._flat("xt", xt)
        require_times("t", t, x, 1, schedule.T)
        return x, at_times(schedule.alpha_bar, t, x)[..., None]

    def _variances(self, alpha_bar: Tensor) -> Tensor:
        """Of x_t within each component, along its axes: (B, 1, 1) → (B, K, D)."""
        return alpha_bar * self._eigenvalues + 1 - alpha_bar

    def _centred(self, x: Tensor, alpha_bar: Tensor) -> Tensor:
        """x_t less each component's mean, along the component's axes: (B, D) → (B, K, D)."""
        return torch.einsum("bkd,kde->bke", x[:, None] - alpha_bar.sqrt() * self.means, self._axes)

    def _back(self, along: Tensor) -> Tensor:
        """From the components' axes to the data's: (B, K, D) → (B, K, D)."""
        return torch.einsum("bke,kde->bkd", along, self._axes)

    def _log_joint(self, x: Tensor, alpha_bar: Tensor) -> Tensor:
        """log of the weight times the density of x_t in each component: (B, K)."""
        variances = self._variances(alpha_bar)
        terms = math.log(2 * math.pi) + variances.log() + self._centred(x, alpha_bar).square() / variances
        return self.weights.log() - 0.5 * terms.sum(dim=2)

    def _log_marginal(self, x: Tensor, alpha_bar: Tensor) -> Tensor:
        return torch.logsumexp(self._log_joint(x, alpha_bar), dim=1)


def toy_mixture(name: str) -> GaussianMixture:
    """The mixture from which ``data.toy2d`` draws: ``"eight_gaussians"`` or ``"twenty_five_gaussians"``, in float64.

    Raises
    ------
    ValueError
        If ``name`` is another: the other clouds are no mixtures of Gaussians.
    """
    require_choice("name", name, ("eight_gaussians", "twenty_five_gaussians"))
    if name == "eight_gaussians":
        angle = 2 * math.pi * torch.arange(8, dtype=torch.float64) / 8
        means = torch.stack([angle.cos(), angle.sin()], dim=1)
    else:
        axis = torch.arange(-2, 3, dtype=torch.float64)
        means = torch.cartesian_prod(axis, axis)
    K = len(means)
    covariances = 0.05**2 * torch.eye(2, dtype=torch.float64).repeat(K, 1, 1)
    return GaussianMixture(torch.full((K,), 1 / K, dtype=torch.float64), means, covariances)
