"""Generative adversarial networks: the game, its losses, and a table on which what is said of it can be summed.

Discriminators give logits, and the losses are computed from logits: no logarithm of a sigmoid is taken anywhere.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from genmodels._shapes import require_choice
from genmodels.metrics import distances

KINDS = ("minimax", "non_saturating", "least_squares", "wasserstein", "hinge")


def _require_logits(name: str, logits: Tensor) -> None:
    if not isinstance(logits, Tensor) or not torch.is_floating_point(logits):
        got = str(logits.dtype) if isinstance(logits, Tensor) else type(logits).__name__
        raise ValueError(f"{name} must be a floating-point tensor of logits, got {got}")
    if logits.numel() == 0:
        raise ValueError(f"{name} must hold at least one logit, got shape {tuple(logits.shape)}")


def _require_shares(name: str, x: Tensor) -> None:
    if x.numel() and not (x.min() >= 0 and x.max() <= 1):  # what is not a number fails as well
        raise ValueError(f"{name} must lie in [0, 1], got [{x.min():.4g}, {x.max():.4g}]")


def value(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """The value of the game, V(G, D) = E log D(x) + E log(1 - D(G(z))), from a batch of each: (B, ...), (M, ...) → ().

    Equation ``gan-value``.

    Raises
    ------
    ValueError
        If an argument is empty or not of floating-point logits.
    """
    _require_logits("real_logits", real_logits)
    _require_logits("fake_logits", fake_logits)
    return functional.logsigmoid(real_logits).mean() + functional.logsigmoid(-fake_logits).mean()


def discriminator_loss(real_logits: Tensor, fake_logits: Tensor, kind: str = "minimax") -> Tensor:
    """What the discriminator minimises: (B, ...), (M, ...) → ().

    ``"minimax"`` and ``"non_saturating"``: minus the value of the game (equation ``gan-value``). ``"least_squares"``
    (equation ``lsgan-losses``): half the squared distance to 1 for real and to 0 for fake. ``"wasserstein"`` (equation
    ``wgan-critic-loss``): the mean of fake less that of real. ``"hinge"`` (equation ``hinge-losses``): what real logits
    lack to 1, and what fake ones exceed -1 by.

    Raises
    ------
    ValueError
        If ``kind`` is unknown, or an argument is empty or not of floating-point logits.
    """
    require_choice("kind", kind, KINDS)
    _require_logits("real_logits", real_logits)
    _require_logits("fake_logits", fake_logits)
    if kind == "least_squares":
        return 0.5 * (real_logits - 1).square().mean() + 0.5 * fake_logits.square().mean()
    if kind == "wasserstein":
        return fake_logits.mean() - real_logits.mean()
    if kind == "hinge":
        return functional.relu(1 - real_logits).mean() + functional.relu(1 + fake_logits).mean()
    return -value(real_logits, fake_logits)


def generator_loss(fake_logits: Tensor, kind: str = "non_saturating") -> Tensor:
    """What the generator minimises: (B, ...) → ().

    ``"minimax"``: E log(1 - D(G(z))), the generator's part of equation ``gan-value``, which saturates where D sees
    through the fakes. ``"non_saturating"`` (equation ``gan-non-saturating``): -E log D(G(z)). ``"least_squares"``
    (equation ``lsgan-losses``): half the squared distance to 1. ``"wasserstein"`` (equation ``wgan-critic-loss``) and
    ``"hinge"`` (equation ``hinge-losses``): minus the mean.

    Raises
    ------
    ValueError
        If ``kind`` is unknown, or the argument is empty or not of floating-point logits.
    """
    require_choice("kind", kind, KINDS)
    _require_logits("fake_logits", fake_logits)
    if kind == "minimax":
        return functional.logsigmoid(-fake_logits).mean()
    if kind == "non_saturating":
        return -functional.logsigmoid(fake_logits).mean()
    if kind == "least_squares":
        return 0.5 * (fake_logits - 1).square().mean()
    return -fake_logits.mean()


def gradient_penalty(discriminator: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, u: Tensor) -> Tensor:
    """The penalty of WGAN-GP, (‖grad D‖ - 1)² at a point between each real and fake example: (B, ...), (B, ...) → (B,).

    Equation ``wgan-gradient-penalty`` (Gulrajani et al., 2017). ``u`` (B,) says where, one number for each example:
    0 at the fake, 1 at the real one. The result can be differentiated with respect to the discriminator's weights.

    Raises
    ------
    ValueError
        If the shapes don't fit, or ``u`` leaves [0, 1].
    """
    if real.shape != fake.shape:
        raise ValueError(f"fake must have the shape of real, {tuple(real.shape)}, got {tuple(fake.shape)}")
    if u.shape != (len(real),):
        raise ValueError(f"u must have shape ({len(real)},), one number for each example, got {tuple(u.shape)}")
    _require_shares("u", u)
    weight = u.reshape(-1, *[1] * (real.ndim - 1))  # (B, 1, ...)
    between = (weight * real + (1 - weight) * fake).detach().requires_grad_()
    logits = discriminator(between)
    # The sum's gradient holds each example's own: the discriminator treats examples alone (no batch norm).
    (gradient,) = torch.autograd.grad(logits.sum(), between, create_graph=True)
    return (gradient.flatten(1).norm(dim=1) - 1).square()


# --- on a grid, where expectations are sums ---------------------------------------------------------------------------


def _require_distribution(name: str, p: Tensor) -> None:
    if not isinstance(p, Tensor) or not torch.is_floating_point(p):
        raise ValueError(f"{name} must be a floating-point tensor of probabilities")
    if p.numel() == 0 or p.min() < 0 or not torch.isclose(p.sum(), torch.ones((), dtype=p.dtype), atol=1e-6):
        raise ValueError(f"{name} must be probabilities that sum to 1, got the sum {p.sum():.6g}, least {p.min():.4g}")


def optimal_discriminator(p_data: Tensor, p_gen: Tensor) -> Tensor:
    """D*(x) = p_data(x) / (p_data(x) + p_gen(x)), entry by entry; 1/2 where neither has mass. Same shape.

    Equation ``gan-optimal-discriminator``. Densities or probabilities will do; they must not be negative.

    Raises
    ------
    ValueError
        If the shapes differ or an entry is negative.
    """
    if p_data.shape != p_gen.shape:
        raise ValueError(f"p_gen must have the shape of p_data, {tuple(p_data.shape)}, got {tuple(p_gen.shape)}")
    for name, p in (("p_data", p_data), ("p_gen", p_gen)):
        if p.numel() and p.min() < 0:
            raise ValueError(f"{name} must not be negative, got {p.min():.4g}")
    total = p_data + p_gen
    return torch.where(total > 0, p_data / total.clamp(min=torch.finfo(total.dtype).tiny), torch.full_like(total, 0.5))


def tabular_value(d: Tensor, p_data: Tensor, p_gen: Tensor) -> Tensor:
    """The value of the game on a grid: the sum of p_data log D + p_gen log(1 - D), with 0 log 0 = 0: ().

    Equation ``gan-value`` as a sum; at the optimal ``d`` it is 2 JSD - log 4, equation ``gan-value-at-optimum``.

    Raises
    ------
    ValueError
        If the shapes differ, ``p_data`` or ``p_gen`` is no distribution, or ``d`` leaves [0, 1].
    """
    _require_distribution("p_data", p_data)
    _require_distribution("p_gen", p_gen)
    for name, other in (("p_gen", p_gen), ("d", d)):
        if other.shape != p_data.shape:
            raise ValueError(f"{name} must have the shape of p_data, {tuple(p_data.shape)}, got {tuple(other.shape)}")
    _require_shares("d", d)
    return (torch.special.xlogy(p_data, d) + torch.special.xlogy(p_gen, 1 - d)).sum()


def jensen_shannon(p: Tensor, q: Tensor) -> Tensor:
    """The Jensen-Shannon divergence of two distributions on a grid, in nats: between 0 and log 2: ().

    Equation ``jensen-shannon``: half the divergence of each from their mixture.

    Raises
    ------
    ValueError
        If the shapes differ or an argument is no distribution.
    """
    _require_distribution("p", p)
    _require_distribution("q", q)
    if p.shape != q.shape:
        raise ValueError(f"q must have the shape of p, {tuple(p.shape)}, got {tuple(q.shape)}")
    middle = (p + q) / 2

    def kl_from_middle(a: Tensor) -> Tensor:
        return (torch.special.xlogy(a, a) - torch.special.xlogy(a, middle)).sum()

    return (kl_from_middle(p) + kl_from_middle(q)) / 2


def generator_slope(d: Tensor, kind: str) -> Tensor:
    """The derivative of the generator's loss at one fake with respect to its logit, as a function of d = D(G(z)).

    Equation ``gan-generator-slopes``: -d for ``"minimax"``, which vanishes where the fake is seen through, and d - 1
    for ``"non_saturating"``, which does not. Same shape as ``d``.

    Raises
    ------
    ValueError
        If ``kind`` is another, or ``d`` leaves [0, 1].
    """
    require_choice("kind", kind, ("minimax", "non_saturating"))
    _require_shares("d", d)
    return -d if kind == "minimax" else d - 1


# --- walking through latent space -------------------------------------------------------------------------------------


def interpolate(z_from: Tensor, z_to: Tensor, steps: int, kind: str = "spherical") -> Tensor:
    """Codes on the way from one to another, both (D,), ends included: (steps, D).

    ``"linear"``: a straight line, which leaves the shell where the prior of a high-dimensional code has its mass.
    ``"spherical"``: along the great circle, with the length changing evenly; the straight line if the two are parallel
    or one is zero, since no great circle is then singled out.

    Raises
    ------
    ValueError
        If the codes are not (D,) alike, ``steps`` is less than 2, or ``kind`` is unknown.
    """
    require_choice("kind", kind, ("linear", "spherical"))
    if z_from.ndim != 1 or z_from.shape != z_to.shape:
        raise ValueError(f"z_from and z_to must be (D,) alike, got {tuple(z_from.shape)} and {tuple(z_to.shape)}")
    if steps < 2:
        raise ValueError(f"steps must be at least 2, got {steps}")
    s = torch.linspace(0, 1, steps, dtype=z_from.dtype, device=z_from.device)[:, None]
    length_from, length_to = z_from.norm(), z_to.norm()
    cosine = torch.dot(z_from, z_to) / (length_from * length_to).clamp(min=torch.finfo(z_from.dtype).tiny)
    angle = torch.arccos(cosine.clamp(-1, 1))
    if kind == "linear" or torch.sin(angle) < 1e-4 or min(length_from, length_to) == 0:
        return (1 - s) * z_from + s * z_to
    directions = (
        torch.sin((1 - s) * angle) * z_from / length_from + torch.sin(s * angle) * z_to / length_to
    ) / angle.sin()
    return ((1 - s) * length_from + s * length_to) * directions


def vector_arithmetic(plus: Tensor, minus: Tensor, plus_too: Tensor) -> Tensor:
    """The average code of ``plus`` less that of ``minus`` and more that of ``plus_too``, each (N, D): (D,).

    Radford et al. (2016) average the codes of a few samples that look alike, since single codes gave unstable results.

    Raises
    ------
    ValueError
        If an argument is not (N, D) with N at least 1, or the codes differ in size.
    """
    for name, codes in (("plus", plus), ("minus", minus), ("plus_too", plus_too)):
        if codes.ndim != 2 or len(codes) == 0 or codes.shape[1] != plus.shape[1]:
            raise ValueError(f"{name} must be codes (N, {plus.shape[-1]}), N at least 1, got {tuple(codes.shape)}")
    return plus.mean(dim=0) - minus.mean(dim=0) + plus_too.mean(dim=0)


def nearest_neighbours(fake: Tensor, real: Tensor) -> Tensor:
    """For each fake example (B, ...), the index of the nearest real one (N, ...) in Euclidean distance: (B,), int64.

    Raises
    ------
    ValueError
        If the examples differ in shape, or there is no real one.
    """
    if fake.shape[1:] != real.shape[1:]:
        raise ValueError(f"fake must hold examples like real, {tuple(real.shape[1:])}, got {tuple(fake.shape[1:])}")
    if len(real) == 0:
        raise ValueError("real must hold at least one example")
    return distances(fake.flatten(1), real.flatten(1)).argmin(dim=1)
