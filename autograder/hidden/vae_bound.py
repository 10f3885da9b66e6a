"""Hidden properties of the exercises in ``notebooks/vae/bound.ipynb``."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from scipy import special
from torch import Tensor
from torch.distributions import Bernoulli, Independent, Normal, kl_divergence

from autograder.hidden._draws import Draws
from genmodels.checks import Property
from genmodels.checks._property import require_close, require_tensor
from genmodels.checks.vae_bound import predictions, require_gap, require_shortfall

Function = Callable[..., Any]


def _log_mean_exp(seed: int) -> tuple[Property, ...]:
    def agrees(answer: Function) -> None:
        draws = Draws(seed)
        for shape, offset in (((7, 3), 0.0), ((1000, 2), -5000.0), ((50, 4), 700.0)):
            log_terms = draws.normal(*shape) * 3 + offset
            # SciPy's sum of exponentials, in place of PyTorch's.
            want = special.logsumexp(log_terms.numpy(), axis=0, b=1 / shape[0])
            require_close(answer(log_terms), torch.from_numpy(want), "fresh inputs")

    def differentiates(answer: Function) -> None:
        log_terms = Draws(seed + 1).normal(5, 2).requires_grad_()
        (gradient,) = torch.autograd.grad(answer(log_terms).sum(), log_terms)
        require_close(gradient, torch.softmax(log_terms.detach(), dim=0), "fresh inputs")

    return (
        Property("the result is right for terms of any size", agrees),
        Property("gradients reach the terms", differentiates),
    )


def _gaussian(mu: Tensor, logvar: Tensor) -> Independent:
    return Independent(Normal(mu, torch.exp(0.5 * logvar)), mu.ndim - 1)


def _kl_normal(seed: int) -> tuple[Property, ...]:
    def agrees(kl: Function) -> None:
        draws = Draws(seed)
        for shape in ((5, 3), (1, 1), (2, 20)):
            mu_q, logvar_q, mu_p, logvar_p = (draws.normal(*shape) for _ in range(4))
            want = kl_divergence(_gaussian(mu_q, logvar_q), _gaussian(mu_p, logvar_p))
            require_close(kl(mu_q, logvar_q, mu_p, logvar_p), want, "fresh inputs")

    def differentiates(kl: Function) -> None:
        draws = Draws(seed + 3)
        inputs = [draws.normal(4, 3).requires_grad_() for _ in range(4)]
        want = torch.autograd.grad(kl_divergence(_gaussian(*inputs[:2]), _gaussian(*inputs[2:])).sum(), inputs)
        for got, wanted in zip(torch.autograd.grad(kl(*inputs).sum(), inputs), want, strict=True):
            require_close(got, wanted, "fresh inputs")

    def survives_extremes(kl: Function) -> None:
        mu, logvar = torch.zeros(1, 2, dtype=torch.float64), torch.full((1, 2), -30.0, dtype=torch.float64)
        require_close(kl(mu, logvar, mu, torch.zeros_like(mu)), [29.0 + math.exp(-30.0)], "a nearly certain q")

    def leaves_inputs_alone(kl: Function) -> None:
        inputs = [Draws(seed).normal(4, 3) for _ in range(4)]
        kept = [value.clone() for value in inputs]
        kl(*inputs)
        assert all(torch.equal(a, b) for a, b in zip(inputs, kept, strict=True))

    return (
        Property("the divergence is right for means and variances in general", agrees),
        Property("the gradients with respect to all four inputs are right", differentiates),
        Property("the divergence is right for a q with a very small variance", survives_extremes),
        Property("the inputs are left as they were", leaves_inputs_alone),
    )


def _reparameterize(seed: int) -> tuple[Property, ...]:
    def agrees(sample: Function) -> None:
        draws = Draws(seed)
        for shape, spread in (((6, 3), 1), ((2, 1, 4, 4), 1), ((4, 2), 12)):
            mu, logvar, eps = draws.normal(*shape), spread * draws.normal(*shape), draws.normal(*shape)
            want = torch.from_numpy(mu.numpy() + np.sqrt(np.exp(logvar.numpy())) * eps.numpy())
            require_close(sample(mu, logvar, eps), want, "fresh inputs", 1e-9)

    def repeats(sample: Function) -> None:
        mu, logvar, eps = (Draws(seed + 1).normal(3, 2) for _ in range(3))
        kept = [value.clone() for value in (mu, logvar, eps)]
        first, second = sample(mu, logvar, eps), sample(mu, logvar, eps)
        require_close(second, require_tensor(first, (3, 2)), "the same inputs twice", 0.0)
        assert all(torch.equal(a, b) for a, b in zip((mu, logvar, eps), kept, strict=True))

    def gradients(sample: Function) -> None:
        draws = Draws(seed + 2)
        mu, logvar, eps = draws.normal(3, 2).requires_grad_(), draws.normal(3, 2).requires_grad_(), draws.normal(3, 2)
        by_mu, by_logvar = torch.autograd.grad(sample(mu, logvar, eps).sum(), (mu, logvar))
        require_close(by_mu, torch.ones_like(mu), "fresh inputs")
        require_close(by_logvar, torch.exp(logvar.detach() / 2) * eps / 2, "fresh inputs")

    return (
        Property("z is right for means, variances and noise in general, at any rank", agrees),
        Property("the same inputs give the same z, and are left as they were", repeats),
        Property("the gradients with respect to mu and logvar are right in general", gradients),
    )


def _elbo_terms(seed: int) -> tuple[Property, ...]:
    def agrees(answer: Function) -> None:
        draws = Draws(seed)
        for shape, latent in (((4, 7), 3), ((3, 1, 5, 5), 2)):
            x, logits = draws.bits(*shape), 3 * draws.normal(*shape)
            mu, logvar = draws.normal(shape[0], latent), draws.normal(shape[0], latent)
            want_recon = Independent(Bernoulli(logits=logits), len(shape) - 1).log_prob(x)
            want_kl = kl_divergence(_gaussian(mu, logvar), _gaussian(torch.zeros_like(mu), torch.zeros_like(mu)))
            given = x, logits, mu, logvar
            kept = [value.clone() for value in given]
            recon, kl, elbo = answer(*given)
            assert all(torch.equal(a, b) for a, b in zip(given, kept, strict=True))
            require_close(recon, want_recon, "fresh inputs")
            require_close(kl, want_kl, "fresh inputs")
            require_close(elbo, want_recon - want_kl, "fresh inputs")

    def gradients_are_finite(answer: Function) -> None:
        logits = torch.tensor([[300.0, -300.0, 0.0]], dtype=torch.float64, requires_grad=True)
        mu, logvar = (torch.zeros(1, 2, dtype=torch.float64, requires_grad=True) for _ in range(2))
        x = torch.tensor([[0.0, 1.0, 1.0]], dtype=torch.float64)
        _, _, elbo = answer(x, logits, mu, logvar)
        (gradient,) = torch.autograd.grad(elbo.sum(), logits)
        require_close(gradient, [[-1.0, 1.0, 0.5]], "large logits")

    def gradients_reach_the_encoder(answer: Function) -> None:
        draws = Draws(seed + 4)
        mu, logvar = draws.normal(3, 2).requires_grad_(), draws.normal(3, 2).requires_grad_()
        x, logits = draws.bits(3, 5), draws.normal(3, 5).requires_grad_()
        recon, kl, elbo = answer(x, logits, mu, logvar)
        by_mu, by_logvar = torch.autograd.grad(elbo.sum(), (mu, logvar), retain_graph=True)
        require_close(by_mu, -mu.detach(), "fresh inputs")
        require_close(by_logvar, (1 - logvar.detach().exp()) / 2, "fresh inputs")
        (of_recon,) = torch.autograd.grad(recon.sum(), logits)
        require_close(of_recon, x - torch.sigmoid(logits.detach()), "fresh inputs")
        (of_kl,) = torch.autograd.grad(kl.sum(), mu)
        require_close(of_kl, mu.detach(), "fresh inputs")

    return (
        Property("the bound's gradient with respect to mu and logvar is right", gradients_reach_the_encoder),
        Property("the three terms are right for images, logits and codes in general", agrees),
        Property("the bound's gradient is right for large logits", gradients_are_finite),
    )


def _gap(seed: int) -> tuple[Property, ...]:
    def agrees(answer: Function) -> None:
        draws = Draws(seed)
        for _ in range(4):
            x, m = draws.uniform(-3, 3), draws.uniform(-2, 2)
            w, s2, v = draws.uniform(0.3, 2), draws.uniform(0.2, 2), draws.uniform(0.1, 2)
            require_gap(answer, x, m, w, s2, v)

    return (Property("the expression is the gap at points in general", agrees),)


def _slide_shortfall(seed: int) -> tuple[Property, ...]:
    def agrees(answer: Function) -> None:
        draws = Draws(seed)
        points = [
            (
                draws.uniform(-3, 3),
                draws.uniform(0.3, 2),
                draws.uniform(0.2, 2),
                draws.uniform(-1, 1),
                draws.uniform(0.1, 2),
            )
            for _ in range(4)
        ]
        require_shortfall(answer, points)

    def keeps_examples_apart(answer: Function) -> None:
        x = Draws(seed + 1).normal(4)
        together = require_tensor(answer(x, 1.3, 0.7, 0.6, 0.4), (4,))
        for i in range(4):
            require_close(answer(x[i : i + 1], 1.3, 0.7, 0.6, 0.4), together[i : i + 1], "one example at a time")

    return (
        Property("the shortfall is right at points in general", agrees),
        Property("each example's result depends on that example alone", keeps_examples_apart),
    )


def _predict_gap(seed: int) -> tuple[Property, ...]:
    def come_true(answer: Function) -> None:
        # From the covariance alone: the gap is (log of the product of the precision's diagonal - log det) / 2.
        w = np.array([[1.0, 0.8], [0.2, 1.0], [0.6, 0.6]])
        alike = np.stack([w[:, 0], 0.8 * w[:, 0] + 0.2 * w[:, 1]], axis=1)

        def gap(matrix: np.ndarray, noise_var: float) -> float:
            precision = np.eye(2) + matrix.T @ matrix / noise_var
            return float(np.log(np.diag(precision)).sum() - np.linalg.slogdet(precision)[1]) / 2

        def word(after: float) -> str:
            before = gap(w, 0.25)
            return "stays" if abs(after - before) < 1e-9 else "rises" if after > before else "falls"

        # x does not occur in the posterior's covariance, so doubling it leaves the first gap as it is.
        truth = (word(gap(w, 0.25)), word(gap(w, 2.5)), word(gap(alike, 0.25)))
        assert predictions(answer) == truth

    return (Property("all three predictions come true (run the cell after the check to see which)", come_true),)


HIDDEN: dict[str, Callable[[int], tuple[Property, ...]]] = {
    "log_mean_exp": _log_mean_exp,
    "predict_gap": _predict_gap,
    "kl_normal": _kl_normal,
    "reparameterize": _reparameterize,
    "elbo_terms": _elbo_terms,
    "gap": _gap,
    "slide_shortfall": _slide_shortfall,
}
