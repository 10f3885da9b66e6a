"""Diffusion: latents as large as the data, an encoder that adds noise and learns nothing, a network that takes it away.

``x0`` is the data, ``xt`` the data after t of T steps of noise. A ``model`` here is any callable that takes xt (B, ...)
and t (B,), whole numbers from 1 to T, and gives eps_hat (B, ...), its guess at the noise in xt. Everything else is a
function of a ``Schedule``. ``genmodels.diffusion_exact`` has data for which the best model is known in closed form.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from genmodels._memory import explain_out_of_memory
from genmodels._shapes import require_batch, require_choice, require_positive, require_same_shape, sum_over_data
from genmodels._tables import along, at_times, divide, known_times, previous, require_times, span
from genmodels.autoregressive import bits_per_dimension
from genmodels.gaussian import kl_normal, log_normal
from genmodels.speed import channels_last

Denoiser = Callable[[Tensor, Tensor], Tensor]
Conditional = Callable[[Tensor], tuple[Tensor, Tensor]]
VARIANCES = ("beta_tilde", "beta")


# --- schedules --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Schedule:
    """How much noise each step adds, and all that follows from it: tables of length T+1 in float64, indexed by t.

    Entry 0 is the data: ``beta[0] = 0``, ``alpha_bar[0] = 1``.

    Whether x_T is standard normal, as the sampler takes it to be, is the schedule's business: few steps with small
    ``beta`` leave a part of x_0 in x_T, and samples from such a schedule are wrong however good the network.
    ``require_noise_at_end`` checks it.

    Parameters
    ----------
    beta
        (T+1,), the variance that each step adds: 0, then numbers between 0 and 1.

    Attributes
    ----------
    T
        The number of steps.
    alpha
        (T+1,), 1 - beta.
    alpha_bar
        (T+1,), the product of alpha up to t (equation ``dif-forward-closed-form``): the share of x_0 in the variance of
        x_t, for data of variance 1.
    sqrt_alpha_bar, sqrt_one_minus_alpha_bar
        (T+1,) each, what x_0 and the noise are multiplied with to give x_t.
    beta_tilde
        (T+1,), the variance of q(x_{t-1} given x_t, x_0), equation ``dif-posterior-variance``; 0 at
        t = 1, where x_0 itself is what is asked for.

    Raises
    ------
    ValueError
        If ``beta`` is no such table, or so large that alpha_bar ends at zero in float64.
    """

    beta: Tensor
    T: int = field(init=False)
    alpha: Tensor = field(init=False, repr=False)
    alpha_bar: Tensor = field(init=False, repr=False)
    sqrt_alpha_bar: Tensor = field(init=False, repr=False)
    sqrt_one_minus_alpha_bar: Tensor = field(init=False, repr=False)
    beta_tilde: Tensor = field(init=False, repr=False)

    def __post_init__(self) -> None:
        beta = self.beta
        if not isinstance(beta, Tensor) or beta.dtype != torch.float64 or beta.ndim != 1 or len(beta) < 2:
            got = f"{beta.dtype} {tuple(beta.shape)}" if isinstance(beta, Tensor) else type(beta).__name__
            raise ValueError(f"beta must be a float64 tensor of shape (T+1,) with T at least 1, got {got}")
        beta = beta.detach().cpu()
        if beta[0] != 0 or not bool(((beta[1:] > 0) & (beta[1:] < 1)).all()):
            got = f"beta[0] = {beta[0]:.4g}, then [{beta[1:].min():.4g}, {beta[1:].max():.4g}]"
            raise ValueError(f"beta must be 0 at index 0 and between 0 and 1 from there, got {got}")
        alpha = 1 - beta
        alpha_bar = alpha.cumprod(0)
        if alpha_bar[-1] == 0:
            raise ValueError("beta must leave alpha_bar above zero in float64: x_0 can't be found from x_T otherwise")
        beta_tilde = divide(beta * (1 - previous(alpha_bar)), 1 - alpha_bar)
        tables = {"beta": beta, "T": len(beta) - 1, "alpha": alpha, "alpha_bar": alpha_bar, "beta_tilde": beta_tilde}
        tables |= {"sqrt_alpha_bar": alpha_bar.sqrt(), "sqrt_one_minus_alpha_bar": (1 - alpha_bar).sqrt()}
        for name, table in tables.items():
            object.__setattr__(self, name, table)

    @property
    def snr(self) -> Tensor:
        """The signal-to-noise ratio alpha_bar / (1 - alpha_bar) of x_t, (T+1,), infinite at t = 0.

        Equation ``dif-snr``.
        """
        return self.alpha_bar / (1 - self.alpha_bar)


def linear_schedule(T: int = 1000, beta_1: float = 1e-4, beta_T: float = 0.02) -> Schedule:
    """``beta`` from ``beta_1`` to ``beta_T`` in equal steps (Ho et al., 2020), equation ``dif-linear-schedule``.

    The defaults belong together: with a smaller T and the same ``beta`` a part of x_0 is left in x_T, 36% of the
    variance for T = 100. Scale ``beta`` by 1000 / T then; ``require_noise_at_end`` tells whether it is enough.

    Raises
    ------
    ValueError
        If ``T`` is less than 1, or not 0 < beta_1 <= beta_T < 1.
    """
    _require_steps(T)
    if not 0 < beta_1 <= beta_T < 1:
        raise ValueError(f"beta_1 and beta_T must satisfy 0 < beta_1 <= beta_T < 1, got {beta_1!r} and {beta_T!r}")
    steps = torch.linspace(beta_1, beta_T, T, dtype=torch.float64)
    return Schedule(torch.cat([steps.new_zeros(1), steps]))


def cosine_schedule(T: int = 1000, s: float = 0.008) -> Schedule:
    """``alpha_bar`` as a squared cosine of t / T, with ``beta`` at most 0.999 (Nichol and Dhariwal, 2021).

    Equation ``dif-cosine-schedule``. The signal fades evenly where the linear schedule destroys an image
    early, and what is left at T is noise for every T from 2.

    Raises
    ------
    ValueError
        If ``T`` is less than 1, or ``s`` negative or not finite.
    """
    _require_steps(T)
    if not 0 <= s < math.inf:
        raise ValueError(f"s must be a finite number of at least 0, got {s!r}")
    u = torch.arange(T + 1, dtype=torch.float64) / T
    f = torch.cos((u + s) / (1 + s) * math.pi / 2).square()
    beta = (1 - f[1:] / f[:-1]).clamp(max=0.999)
    return Schedule(torch.cat([beta.new_zeros(1), beta]))


def require_noise_at_end(schedule: Schedule, max_snr: float = 1e-3) -> None:
    """Raise a ValueError if x_T still holds so much of x_0 that a sampler must not begin with standard normal noise.

    The measure is the signal-to-noise ratio at T. The linear schedule with T = 1000 has 4e-5.
    """
    require_positive("max_snr", max_snr)
    snr = schedule.snr[-1].item()
    if snr > max_snr:
        raise ValueError(
            f"schedule must end in noise, with a signal-to-noise ratio of at most {max_snr:g}, got {snr:.3g} at "
            f"T = {schedule.T}: take more steps, a larger beta, or cosine_schedule(T={schedule.T})"
        )


def step_variance(schedule: Schedule, variance: str | Tensor = "beta_tilde") -> Tensor:
    """The variance sigma_t² of the model's p(x_{t-1} given x_t): (T+1,) in float64, 0 at t = 0.

    ``"beta_tilde"``: that of q(x_{t-1} given x_t, x_0), except at t = 1: it is zero there, and a density needs another,
    ``beta[1]``. ``"beta"``: that of the forward step. A tensor (T+1,): its own entries from t = 1, which is how a
    variance that was learned or derived comes in.

    Raises
    ------
    ValueError
        If ``variance`` is another word, or a table of another length or not positive.
    """
    if isinstance(variance, Tensor):
        if variance.shape != schedule.beta.shape or not bool((variance[1:] > 0).all()):
            raise ValueError(
                f"variance must be ({schedule.T + 1},) and positive from index 1, got {tuple(variance.shape)}"
            )
        table = variance.detach().to("cpu", torch.float64).clone()
    else:
        require_choice("variance", variance, VARIANCES)
        table = (schedule.beta if variance == "beta" else schedule.beta_tilde).clone()
        table[1] = schedule.beta[1]
    table[0] = 0
    return table


# --- the forward process and its posterior ----------------------------------------------------------------------------


def q_mean_var(x0: Tensor, t: Tensor, schedule: Schedule) -> tuple[Tensor, Tensor]:
    """Mean and variance of q(x_t given x_0): (B, ...), (B,) → (B, ...), (B, ...).

    Equation ``dif-forward-closed-form``; at t = 1 it is the single step, equation ``dif-forward-step``.

    Raises
    ------
    ValueError
        If ``x0`` is not a floating-point tensor of rank 2 or more, or ``t`` not (B,) whole numbers from 1 to T.
    """
    require_batch("x0", x0)
    require_times("t", t, x0, 1, schedule.T)
    mean = at_times(schedule.sqrt_alpha_bar, t, x0) * x0
    return mean, at_times(1 - schedule.alpha_bar, t, x0).expand_as(x0)


def q_sample(x0: Tensor, t: Tensor, eps: Tensor, schedule: Schedule) -> Tensor:
    """x_t from x_0 and standard normal noise, without the steps between: (B, ...), (B,), (B, ...) → (B, ...).

    Equation ``dif-forward-closed-form``.

    Raises
    ------
    ValueError
        As ``q_mean_var``, or if ``eps`` has another shape than ``x0``.
    """
    require_batch("x0", x0)
    require_same_shape("eps", eps, "x0", x0)
    require_times("t", t, x0, 1, schedule.T)
    return at_times(schedule.sqrt_alpha_bar, t, x0) * x0 + at_times(schedule.sqrt_one_minus_alpha_bar, t, x0) * eps


def q_posterior(x0: Tensor, xt: Tensor, t: Tensor, schedule: Schedule) -> tuple[Tensor, Tensor]:
    """Mean and variance of q(x_{t-1} given x_t, x_0): (B, ...), (B, ...), (B,) → (B, ...), (B, ...).

    Equations ``dif-posterior-mean`` and ``dif-posterior-variance``. At t = 1 the variance is zero and the mean is x_0.

    Raises
    ------
    ValueError
        As ``q_mean_var``, or if the shapes differ.
    """
    require_batch("x0", x0)
    require_same_shape("xt", xt, "x0", x0)
    require_times("t", t, x0, 1, schedule.T)
    before = previous(schedule.alpha_bar)
    of_xt = divide(schedule.alpha.sqrt() * (1 - before), 1 - schedule.alpha_bar)
    of_x0 = divide(before.sqrt() * schedule.beta, 1 - schedule.alpha_bar)
    mean = at_times(of_xt, t, x0) * xt + at_times(of_x0, t, x0) * x0
    return mean, at_times(schedule.beta_tilde, t, x0).expand_as(x0)


def predict_x0(xt: Tensor, t: Tensor, eps_hat: Tensor, schedule: Schedule) -> Tensor:
    """The x_0 from which the noise eps_hat leads to x_t: (B, ...), (B,), (B, ...) → (B, ...).

    Equation ``dif-predict-x0``.

    Raises
    ------
    ValueError
        As ``q_sample``.
    """
    require_batch("xt", xt)
    require_same_shape("eps_hat", eps_hat, "xt", xt)
    require_times("t", t, xt, 1, schedule.T)
    noise = at_times(schedule.sqrt_one_minus_alpha_bar, t, xt) * eps_hat
    return (xt - noise) / at_times(schedule.sqrt_alpha_bar, t, xt)


def eps_from_x0(xt: Tensor, t: Tensor, x0: Tensor, schedule: Schedule) -> Tensor:
    """The noise that leads from x_0 to x_t, the inverse of ``predict_x0``: (B, ...), (B,), (B, ...) → (B, ...).

    Raises
    ------
    ValueError
        As ``q_sample``.
    """
    require_batch("xt", xt)
    require_same_shape("x0", x0, "xt", xt)
    require_times("t", t, xt, 1, schedule.T)
    return (xt - at_times(schedule.sqrt_alpha_bar, t, xt) * x0) / at_times(schedule.sqrt_one_minus_alpha_bar, t, xt)


def clip_x0(
    xt: Tensor, t: Tensor, eps_hat: Tensor, schedule: Schedule, clip: tuple[float, float] = (-1.0, 1.0)
) -> Tensor:
    """The predicted noise, changed so that the x_0 it amounts to lies in ``clip``, the range of the data: → (B, ...).

    Where ``predict_x0`` gives something within the range nothing changes but for rounding. Shapes as ``predict_x0``.

    Raises
    ------
    ValueError
        As ``q_sample``, or if ``clip`` is no range (low, high).
    """
    _require_range("clip", clip)
    return eps_from_x0(xt, t, predict_x0(xt, t, eps_hat, schedule).clamp(*clip), schedule)


def posterior_mean_from_eps(xt: Tensor, t: Tensor, eps_hat: Tensor, schedule: Schedule) -> Tensor:
    """The mean of q(x_{t-1} given x_t, x_0) with the noise in place of x_0: (B, ...), (B,), (B, ...) → (B, ...).

    Equation ``dif-mean-from-eps``.

    Raises
    ------
    ValueError
        As ``q_sample``.
    """
    require_batch("xt", xt)
    require_same_shape("eps_hat", eps_hat, "xt", xt)
    require_times("t", t, xt, 1, schedule.T)
    of_eps = divide(schedule.beta, schedule.sqrt_one_minus_alpha_bar)
    return (xt - at_times(of_eps, t, xt) * eps_hat) / at_times(schedule.alpha.sqrt(), t, xt)


# --- losses -----------------------------------------------------------------------------------------------------------


def eps_loss(model: Denoiser, x0: Tensor, t: Tensor, eps: Tensor, schedule: Schedule) -> Tensor:
    """The simple loss, the squared error of the predicted noise summed over the data's dimensions: → (B,).

    Equation ``dif-simple-loss`` before the average. ``x0`` and ``eps`` are (B, ...), ``t`` is (B,).

    Raises
    ------
    ValueError
        As ``q_sample``, or if the model's output has another shape than its input.
    """
    eps_hat = _predict(model, q_sample(x0, t, eps, schedule), t)
    return sum_over_data((eps - eps_hat).square())


def loss_weight(schedule: Schedule, variance: str | Tensor = "beta_tilde") -> Tensor:
    """What the bound multiplies the simple loss with: (T+1,) in float64, 0 at t = 0.

    Equation ``dif-loss-weight``, with the given variance in place of beta_tilde; equation ``dif-weight-snr`` has the
    default in terms of the signal-to-noise ratio.

    Raises
    ------
    ValueError
        As ``step_variance``.
    """
    sigma2 = step_variance(schedule, variance)
    return divide(schedule.beta.square(), 2 * sigma2 * schedule.alpha * (1 - schedule.alpha_bar))


def weighted_loss(
    model: Denoiser,
    x0: Tensor,
    t: Tensor,
    eps: Tensor,
    schedule: Schedule,
    variance: str | Tensor = "beta_tilde",
) -> Tensor:
    """The simple loss with the weight that the bound gives it: all of the bound's term t that a network can change.

    For t from 2 and the default variance this is the divergence KL_t on one sample of x_t, equations ``dif-kl-terms``
    and ``dif-loss-weight``; for other variances it lacks a constant. At t = 1 it is -log p(x_0 given x_1) but for a
    constant. T times the mean over t, drawn evenly, estimates minus the bound up to constants. Shapes as ``eps_loss``:
    (B,) in nats.

    Raises
    ------
    ValueError
        As ``eps_loss`` and ``step_variance``.
    """
    losses = eps_loss(model, x0, t, eps, schedule)
    return at_times(loss_weight(schedule, variance), t, losses) * losses


# --- the bound --------------------------------------------------------------------------------------------------------


class VLBTerms(NamedTuple):
    """The variational bound and its terms in nats: ``elbo = recon - kl.sum(1) - prior``.

    Equation ``dif-vlb``. ``prior`` (B,): D_KL(q(x_T given x_0) ‖ N(0, I)), exact, equation ``dif-prior-term``. ``kl``
    (B, T+1): column t is KL_t for t from 2, columns 0 and 1 are zero. ``recon`` (B,): log p(x_0 given x_1). ``elbo``
    (B,): at most log p(x_0), on average over the noise.
    """

    prior: Tensor
    kl: Tensor
    recon: Tensor
    elbo: Tensor


def vlb_terms(
    model: Denoiser,
    x0: Tensor,
    schedule: Schedule,
    variance: str | Tensor = "beta_tilde",
    levels: int | None = None,
    eps: Sequence[Tensor] | Tensor | None = None,
    generator: torch.Generator | None = None,
    progress: bool = False,
) -> VLBTerms:
    """Every term of the bound on log p(x_0), on one sample of x_t for each t: x0 (B, ...) → terms in nats.

    It takes T evaluations of the model, which runs in ``eval`` mode and without gradients.

    Parameters
    ----------
    variance
        Of the model's steps, as in ``step_variance``.
    levels
        None: the decoder p(x_0 given x_1) is a Gaussian density, and the bound is one on a log density. A number:
        ``x0`` takes that many values, evenly spaced from -1 to 1, and the decoder's Gaussian is integrated over the
        interval around each, as in ``discretized_log_normal``; the bound is one on the log of a probability.
    eps
        The noise of each t, T tensors like ``x0``; None draws it from ``generator``.

    Raises
    ------
    ValueError
        If an argument is out of range, ``x0`` not on the grid of ``levels``, or both ``eps`` and ``generator`` given.
    torch.OutOfMemoryError
        If the batch is too large for the device.
    """
    require_batch("x0", x0)
    noise = _noises("x0", x0, schedule.T, eps, generator)
    sigma2, weight = step_variance(schedule, variance), loss_weight(schedule, variance)
    ratio = divide(schedule.beta_tilde, sigma2)  # 1 where p has the variance of q
    kl_constant = 0.5 * (ratio - 1 - ratio.log()) * x0[0].numel()
    kl = x0.new_zeros(len(x0), schedule.T + 1)
    with _evaluating(model), _enough_memory("The bound of", x0):
        for t, eps_t in zip(_bar(range(1, schedule.T + 1), progress), noise, strict=True):
            times = _times(t, x0)
            xt = q_sample(x0, times, eps_t, schedule)
            eps_hat = _predict(model, xt, times)
            if t == 1:
                mean = posterior_mean_from_eps(xt, times, eps_hat, schedule)
                logvar = torch.full_like(mean, sigma2[1].log().item())
                recon = (
                    log_normal(x0, mean, logvar) if levels is None else discretized_log_normal(x0, mean, logvar, levels)
                )
            else:
                kl[:, t] = weight[t].item() * sum_over_data((eps_t - eps_hat).square()) + kl_constant[t].item()
        mean, var = q_mean_var(x0, _times(schedule.T, x0), schedule)
        prior = kl_normal(mean, var.log())
        terms = VLBTerms(prior, kl, recon, recon - kl.sum(dim=1) - prior)
    return VLBTerms(*(term.clone() for term in terms))  # outside: what inference mode made can't be trained on


class VLBBits(NamedTuple):
    """The bound's terms as costs in bits for each dimension of the data: ``total = prior + kl.sum(1) + recon``."""

    prior: Tensor
    kl: Tensor
    recon: Tensor
    total: Tensor


def vlb_bits(terms: VLBTerms, dimensions: int) -> VLBBits:
    """The terms of ``vlb_terms`` in bits per dimension, each as a cost, so that lower is better; same shapes.

    With ``levels`` the total is an upper bound on the length of a code for the data. Without, it depends on the data's
    unit and may be negative.

    Raises
    ------
    ValueError
        If ``dimensions`` is less than 1.
    """
    costs = (-terms.prior, -terms.kl, terms.recon, terms.elbo)
    return VLBBits(*(bits_per_dimension(cost, dimensions) for cost in costs))


def discretized_log_normal(x: Tensor, mu: Tensor, logvar: Tensor, levels: int) -> Tensor:
    """log of the probability that a Gaussian falls into the interval around x: (B, ...) → (B,) in nats.

    Equation ``dif-discretized-decoder`` (Ho et al., 2020). The values of ``x`` lie on a grid of ``levels`` numbers from
    -1 to 1. Each stands for what is nearer to it than to the others, the first and the last for all that is beyond
    them, so the probabilities sum to 1.

    Raises
    ------
    ValueError
        If the shapes differ, ``levels`` is less than 2, or an entry of ``x`` is not on the grid.
    """
    require_batch("x", x)
    require_same_shape("mu", mu, "x", x)
    require_same_shape("logvar", logvar, "x", x)
    if levels < 2:
        raise ValueError(f"levels must be at least 2, got {levels}")
    index = (x + 1) * (levels - 1) / 2
    if x.numel() and not bool(((index - index.round()).abs() < 0.01).all() and x.abs().max() < 1 + 1e-3):
        raise ValueError(f"x must take {levels} values, evenly spaced from -1 to 1, got others in {span(x)}")
    half, scale = 1 / (levels - 1), torch.exp(-0.5 * logvar)
    lower, upper = (x - half - mu) * scale, (x + half - mu) * scale
    # In the upper tail both probabilities are nearly 1 and their difference is lost: mirror it into the lower one.
    mirrored = lower + upper > 0
    lower, upper = torch.where(mirrored, -upper, lower), torch.where(mirrored, -lower, upper)
    below_upper = torch.special.log_ndtr(upper)
    inside = below_upper + _log1mexp(torch.special.log_ndtr(lower) - below_upper)
    first = torch.special.log_ndtr((x + half - mu) * scale)
    last = torch.special.log_ndtr((mu + half - x) * scale)
    return sum_over_data(torch.where(index < 0.5, first, torch.where(index > levels - 1.5, last, inside)))


def _log1mexp(d: Tensor) -> Tensor:
    """log(1 - exp(d)) for d < 0, by the one of two forms that keeps its digits."""
    near = d > -math.log(2)
    return torch.where(near, torch.log(-torch.expm1(d)), torch.log1p(-torch.exp(torch.where(near, -1.0, d))))


# --- of which all this is a special case ------------------------------------------------------------------------------


def hierarchical_elbo(
    x: Tensor, encoders: Sequence[Conditional], decoders: Sequence[Conditional], eps: Sequence[Tensor] | Tensor
) -> Tensor:
    """The bound of a Markovian hierarchical VAE on one sample of its T latents: x (B, ...) → (B,) in nats.

    Equation ``dif-hierarchical-elbo``, with the joint densities of ``dif-hierarchical-joint``: log p(x, z_{1:T}) less
    log q(z_{1:T} given x), where z_t is drawn from q with the noise ``eps[t-1]`` and p(z_T) is standard normal. Latents
    may have any sizes.

    Parameters
    ----------
    encoders, decoders
        T functions each. ``encoders[t-1]`` takes z_{t-1}, where z_0 is x, to mean and log variance of z_t;
        ``decoders[t-1]`` takes z_t to mean and log variance of z_{t-1}.
    eps
        T tensors, each of the shape of its latent.

    Raises
    ------
    ValueError
        If the lengths differ or are zero, or a mean, a log variance or a noise doesn't have its latent's shape.
    """
    require_batch("x", x)
    if not len(encoders) == len(decoders) == len(eps) >= 1:
        got = f"{len(encoders)}, {len(decoders)} and {len(eps)}"
        raise ValueError(f"encoders, decoders and eps must have one entry for each latent, got {got}")
    z, elbo = x, x.new_zeros(len(x))
    for encoder, decoder, eps_t in zip(encoders, decoders, eps, strict=True):
        mu, logvar = encoder(z)
        require_same_shape("eps", eps_t, "mu", mu)
        before, z = z, mu + torch.exp(0.5 * logvar) * eps_t
        elbo = elbo + log_normal(before, *decoder(z)) - log_normal(z, mu, logvar)
    return elbo + log_normal(z, torch.zeros_like(z), torch.zeros_like(z))


def as_hierarchy(
    model: Denoiser, schedule: Schedule, variance: str | Tensor = "beta_tilde"
) -> tuple[list[Conditional], list[Conditional]]:
    """Diffusion as a hierarchical VAE: the encoders and decoders to give to ``hierarchical_elbo``, T of each.

    Encoder t is the forward step, which learns nothing; all decoders are one network, told the time.

    Raises
    ------
    ValueError
        As ``step_variance``.
    """
    sigma2 = step_variance(schedule, variance)

    def encoder(t: int) -> Conditional:
        def forward_step(before: Tensor) -> tuple[Tensor, Tensor]:
            mu = schedule.alpha[t].sqrt().item() * before
            return mu, torch.full_like(mu, schedule.beta[t].log().item())

        return forward_step

    def decoder(t: int) -> Conditional:
        def reverse_step(xt: Tensor) -> tuple[Tensor, Tensor]:
            times = _times(t, xt)
            mu = posterior_mean_from_eps(xt, times, _predict(model, xt, times), schedule)
            return mu, torch.full_like(mu, sigma2[t].log().item())

        return reverse_step

    times = range(1, schedule.T + 1)
    return [encoder(t) for t in times], [decoder(t) for t in times]


# --- sampling ---------------------------------------------------------------------------------------------------------


def ancestral_step(
    xt: Tensor, t: Tensor, eps_hat: Tensor, eps: Tensor, schedule: Schedule, variance: str | Tensor = "beta_tilde"
) -> Tensor:
    """x_{t-1} from x_t, the predicted noise and fresh noise, of which none is added at t = 1: → (B, ...).

    Equation ``dif-ancestral-step``.

    All but ``t`` (B,) are (B, ...).

    Raises
    ------
    ValueError
        As ``q_sample`` and ``step_variance``.
    """
    require_same_shape("eps", eps, "xt", xt)
    sigma = step_variance(schedule, variance).sqrt()
    sigma[1] = 0  # the last step gives the mean: noise on the result would only be seen as noise
    return posterior_mean_from_eps(xt, t, eps_hat, schedule) + at_times(sigma, t, xt) * eps


def ddim_sigma(t: Tensor, t_prev: Tensor, schedule: Schedule, eta: float = 0.0) -> Tensor:
    """The standard deviation of the noise in a DDIM step from t to any earlier t_prev: (B,), (B,) → (B,) in float64.

    Equation ``dif-ddim-sigma``.

    With eta = 1 and t_prev = t - 1 it is the root of ``beta_tilde``; at t_prev = 0 it is 0.

    Raises
    ------
    ValueError
        If not 0 <= t_prev < t <= T, or ``eta`` leaves [0, 1].
    """
    require_times("t", t, t, 1, schedule.T)
    require_times("t_prev", t_prev, t, 0, schedule.T - 1)
    if not bool((t_prev < t).all()):
        raise ValueError(f"t_prev must be less than t, got {t_prev.tolist()} for {t.tolist()}")
    if not 0 <= eta <= 1:
        raise ValueError(f"eta must lie in [0, 1], got {eta!r}")
    now, before = schedule.alpha_bar[t.cpu()], schedule.alpha_bar[t_prev.cpu()]
    return eta * ((1 - before) / (1 - now) * (1 - now / before)).sqrt()


def ddim_step(
    xt: Tensor, t: Tensor, t_prev: Tensor, eps_hat: Tensor, eps: Tensor, schedule: Schedule, eta: float = 0.0
) -> Tensor:
    """x at t_prev from x_t, the predicted noise and fresh noise: → (B, ...). With eta = 0 the fresh noise has no part.

    Equation ``dif-ddim-step``.

    ``t`` and ``t_prev`` are (B,), the others (B, ...).

    Raises
    ------
    ValueError
        As ``q_sample`` and ``ddim_sigma``.
    """
    require_same_shape("eps", eps, "xt", xt)
    x0_hat = predict_x0(xt, t, eps_hat, schedule)
    sigma = ddim_sigma(t, t_prev, schedule, eta)  # (B,)
    before = schedule.alpha_bar[t_prev.cpu()]
    kept = (1 - before - sigma.square()).clamp(min=0).sqrt()  # rounding may take it below zero
    return along(before.sqrt(), xt) * x0_hat + along(kept, xt) * eps_hat + along(sigma, xt) * eps


def sample(
    model: Denoiser,
    shape: Sequence[int],
    schedule: Schedule,
    generator: torch.Generator | None = None,
    *,
    variance: str | Tensor = "beta_tilde",
    clip: tuple[float, float] | None = None,
    xT: Tensor | None = None,
    progress: bool = False,
    on_step: Callable[[int, Tensor], None] | None = None,
) -> Tensor:
    """Ancestral sampling, all T steps from noise to data: → x0 of the given shape (B, ...).

    A network runs in ``eval`` mode and is left in the mode it had; no gradients are kept.

    Parameters
    ----------
    generator
        Draws all noise. A generator of the CPU gives the same noise for every device.
    variance
        Of each step, as in ``step_variance``.
    clip
        The range of the data, into which each step's guess at x_0 is clipped (``clip_x0``); None leaves it alone.
    xT
        The noise to begin with, which then sets dtype and device; None draws it, like the network's weights.
    on_step
        Called as ``on_step(t, xt)`` with x_T and after each step, to watch.

    Raises
    ------
    ValueError
        If an argument is out of range, or the model's output has another shape than its input.
    torch.OutOfMemoryError
        If the batch is too large for the device.
    """
    table = step_variance(schedule, variance)

    def step(xt: Tensor, t: int, t_prev: int, eps_hat: Tensor) -> Tensor:
        eps = _randn(xt.shape, generator, xt) if t > 1 else torch.zeros_like(xt)
        return ancestral_step(xt, _times(t, xt), eps_hat, eps, schedule, table)

    return _reverse(model, shape, schedule, range(1, schedule.T + 1), step, generator, clip, xT, progress, on_step)


def ddim_sample(
    model: Denoiser,
    shape: Sequence[int],
    schedule: Schedule,
    steps: int | Sequence[int] = 50,
    eta: float = 0.0,
    generator: torch.Generator | None = None,
    *,
    clip: tuple[float, float] | None = None,
    xT: Tensor | None = None,
    progress: bool = False,
    on_step: Callable[[int, Tensor], None] | None = None,
) -> Tensor:
    """DDIM sampling in few steps (Song et al., 2021): → x0 of the given shape (B, ...).

    Parameters
    ----------
    steps
        How many steps, spread evenly by ``ddim_times``; or the times themselves, increasing, the last one T.
    eta
        0: the result is a function of x_T alone. 1: as much noise as the posterior's variance says, so that with all
        T steps this is ``sample``.

    The other parameters, the mode of the network and the errors are those of ``sample``.
    """
    times = ddim_times(schedule.T, steps)
    ddim_sigma(torch.tensor([1]), torch.tensor([0]), schedule, eta)  # eta is checked before any work

    def step(xt: Tensor, t: int, t_prev: int, eps_hat: Tensor) -> Tensor:
        eps = _randn(xt.shape, generator, xt) if eta > 0 and t_prev > 0 else torch.zeros_like(xt)
        return ddim_step(xt, _times(t, xt), _times(t_prev, xt), eps_hat, eps, schedule, eta)

    return _reverse(model, shape, schedule, times, step, generator, clip, xT, progress, on_step)


def ddim_times(T: int, steps: int | Sequence[int]) -> list[int]:
    """The times at which a DDIM sampler asks the network, increasing and ending with T.

    A number of steps S gives floor(T i / S) for i from 1 to S; a sequence is checked and given back.

    Raises
    ------
    ValueError
        If S is not within 1..T, or the sequence does not increase strictly from at least 1 to T. One that ends before
        T would begin with noise where the network was trained on something else.
    """
    _require_steps(T)
    if isinstance(steps, int):
        if not 1 <= steps <= T:
            raise ValueError(f"steps must lie in 1..{T}, got {steps}")
        return [T * i // steps for i in range(1, steps + 1)]
    times = [int(t) for t in steps]
    increasing = all(a < b for a, b in itertools.pairwise(times))
    if not times or times[0] < 1 or times[-1] != T or not increasing:
        raise ValueError(f"steps must increase strictly from at least 1 to T = {T}, got {times}")
    return times


def _reverse(
    model: Denoiser,
    shape: Sequence[int],
    schedule: Schedule,
    times: Sequence[int],
    step: Callable[[Tensor, int, int, Tensor], Tensor],
    generator: torch.Generator | None,
    clip: tuple[float, float] | None,
    xT: Tensor | None,
    progress: bool,
    on_step: Callable[[int, Tensor], None] | None,
) -> Tensor:
    """What all samplers share: begin with noise, and at each time predict the noise and take the step."""
    if clip is not None:
        _require_range("clip", clip)
    shape = tuple(shape)
    if len(shape) < 2 or min(shape) < 1:
        raise ValueError(f"shape must be (B, ...), positive sizes, at least one beside B, got {shape}")
    x = _randn(shape, generator, _like(model)) if xT is None else xT
    if x.shape != shape or not torch.is_floating_point(x):
        raise ValueError(f"xT must be a floating-point tensor of shape {shape}, got {x.dtype} {tuple(x.shape)}")
    with _evaluating(model), _enough_memory("Sampling", x):
        if on_step is not None:
            on_step(schedule.T, x)
        previous = [0, *times[:-1]]
        for t, t_prev in _bar(list(zip(times, previous, strict=True))[::-1], progress):
            eps_hat = _predict(model, x, _times(t, x))
            if clip is not None:
                eps_hat = clip_x0(x, _times(t, x), eps_hat, schedule, clip)
            x = step(x, t, t_prev, eps_hat)
            if on_step is not None:
                on_step(t_prev, x)
    return x.clone()  # outside: what inference mode made can't be trained on


# --- helpers ----------------------------------------------------------------------------------------------------------


def _require_steps(T: int) -> None:
    if not isinstance(T, int) or T < 1:
        raise ValueError(f"T must be a whole number of at least 1, got {T!r}")


def _require_range(name: str, value: tuple[float, float]) -> None:
    if not value[0] < value[1]:
        raise ValueError(f"{name} must be a range (low, high), got {value!r}")


def _times(t: int, x: Tensor) -> Tensor:
    return known_times(torch.full((len(x),), t, device=x.device), t, t)


def _predict(model: Denoiser, xt: Tensor, t: Tensor) -> Tensor:
    eps_hat = model(xt, t)
    if not isinstance(eps_hat, Tensor) or eps_hat.shape != xt.shape:
        got = tuple(eps_hat.shape) if isinstance(eps_hat, Tensor) else type(eps_hat).__name__
        raise ValueError(f"model must return eps_hat of the shape of xt, {tuple(xt.shape)}, got {got}")
    return eps_hat


def _like(model: Denoiser) -> Tensor:
    """A tensor of the dtype and on the device of the model's weights; of torch's defaults if it has none."""
    weights = [*model.parameters(), *model.buffers()] if isinstance(model, nn.Module) else []
    return next((w for w in weights if torch.is_floating_point(w)), torch.empty(0))


def _randn(shape: Sequence[int], generator: torch.Generator | None, like: Tensor) -> Tensor:
    device = "cpu" if generator is None else generator.device
    return torch.randn(tuple(shape), generator=generator, device=device, dtype=like.dtype).to(like.device)


def _noises(
    name: str, x: Tensor, T: int, eps: Sequence[Tensor] | Tensor | None, generator: torch.Generator | None
) -> Iterator[Tensor]:
    if eps is None:
        return (_randn(x.shape, generator, x) for _ in range(T))
    if generator is not None:
        raise ValueError("generator must be None where eps is given: the noise is already there")
    if len(eps) != T:
        raise ValueError(f"eps must hold T = {T} tensors like {name}, got {len(eps)}")
    return iter(eps)


def _bar(times: Sequence, progress: bool) -> Iterator:
    return iter(tqdm(times, disable=not progress, leave=False))


@contextmanager
def _evaluating(model: Denoiser) -> Iterator[None]:
    """eval() and inference mode inside the block, and the fast layout; afterwards each module is as it was."""
    networks = [model] if isinstance(model, nn.Module) else []
    modules = [module for network in networks for module in network.modules()]
    modes = [module.training for module in modules]
    for module in modules:
        module.training = False
    try:
        with channels_last(*networks), torch.inference_mode():
            yield
    finally:
        for module, mode in zip(modules, modes, strict=True):
            module.training = mode


@contextmanager
def _enough_memory(doing: str, x: Tensor) -> Iterator[None]:
    what = f"{doing} {len(x)} examples of shape {tuple(x.shape[1:])} at once on {x.device}"
    with explain_out_of_memory(what, "give fewer at a time, a half to begin with, and join the results"):
        yield
