"""Diagonal Gaussians: the density and the divergence that the whole book leans on.

A Gaussian is given by its mean ``mu`` and the logarithm of its variance ``logvar``: a network can output any real
number for either, and the variance ``exp(logvar)`` comes out positive.
"""

import math

import torch
from torch import Tensor

from genmodels._shapes import require_batch, require_same_shape, sum_over_data


def log_normal(x: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    """Log density of a diagonal Gaussian, log N(x; mu, diag(exp(logvar))).

    Equation ``gaussian-log-density``. Any data shape: ``x``, ``mu`` and ``logvar`` are (B, ...), the result is (B,)
    in nats, summed over the data's dimensions.

    Raises
    ------
    ValueError
        If an argument is not a floating-point tensor of rank 2 or more, or the shapes differ.
    """
    require_batch("x", x)
    require_same_shape("mu", mu, "x", x)
    require_same_shape("logvar", logvar, "x", x)
    # The root before the square: exp(-logvar) may overflow where the difference is zero.
    squared = ((x - mu) * torch.exp(-0.5 * logvar)).square()  # (B, ...)
    return -0.5 * sum_over_data(math.log(2 * math.pi) + logvar + squared)


def kl_normal(mu_q: Tensor, logvar_q: Tensor, mu_p: Tensor | None = None, logvar_p: Tensor | None = None) -> Tensor:
    """KL divergence between diagonal Gaussians, D_KL(N(mu_q, exp(logvar_q)) ‖ N(mu_p, exp(logvar_p))).

    Equation ``kl-gaussians``; with ``mu_p`` and ``logvar_p`` left out, p is the standard normal and this is
    ``kl-standard-normal``. (B, ...) → (B,) in nats.

    Raises
    ------
    ValueError
        If only one of ``mu_p`` and ``logvar_p`` is given, an argument is not a floating-point tensor of rank 2 or
        more, or the shapes differ.
    """
    if (mu_p is None) != (logvar_p is None):
        given, missing = ("mu_p", "logvar_p") if logvar_p is None else ("logvar_p", "mu_p")
        raise ValueError(f"{missing} must come with {given}: give both, or neither for the standard normal")
    require_batch("mu_q", mu_q)
    require_same_shape("logvar_q", logvar_q, "mu_q", mu_q)
    if mu_p is None or logvar_p is None:
        # expm1 keeps exp(l) - 1 - l exact to rounding near l = 0, where q has nearly the prior's variance.
        return 0.5 * sum_over_data(torch.expm1(logvar_q) - logvar_q + mu_q.square())
    require_same_shape("mu_p", mu_p, "mu_q", mu_q)
    require_same_shape("logvar_p", logvar_p, "mu_q", mu_q)
    log_ratio = logvar_q - logvar_p  # (B, ...)
    shift = ((mu_q - mu_p) * torch.exp(-0.5 * logvar_p)).square()  # (B, ...)
    return 0.5 * sum_over_data(torch.expm1(log_ratio) - log_ratio + shift)
