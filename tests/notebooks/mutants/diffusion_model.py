"""Answers to the exercises of ``solutions/diffusion/model.py``."""

import copy
import functools
import itertools
import math

import torch
from torch import nn
from torch.nn import functional

from genmodels import data, diffusion, pretrained, train, unet
from genmodels.checks.diffusion_model import Denoiser
from tests.notebooks.mutants import from_the_library, right, wrong
from tests.notebooks.mutants._files import saved, wrong_files

# --- time_embedding ---------------------------------------------------------------------------------------------------


@from_the_library("time_embedding", "the library's function")
def _(t, dim):
    return unet.time_embedding(t, dim)


@right("time_embedding", "the imaginary and the real part of a complex exponential")
def _(t, dim):
    frequency = 10_000 ** (-2 * torch.arange(dim // 2) / dim)
    turned = torch.exp(1j * t.double()[:, None] * frequency)
    return torch.cat([turned.imag, turned.real], dim=1).float()


@right("time_embedding", "number by number")
def _(t, dim):
    rows = []
    for time in t.tolist():
        angles = [time / 10_000 ** (2 * i / dim) for i in range(dim // 2)]
        rows.append([math.sin(a) for a in angles] + [math.cos(a) for a in angles])
    return torch.tensor(rows)


@right("time_embedding", "a table of empty places filled in two halves, double precision")
def _(t, dim):
    half = dim // 2
    table = torch.empty(len(t), dim, dtype=torch.float64)
    angle = torch.outer(t.double(), torch.pow(10_000.0, -torch.arange(half, dtype=torch.float64) / half))
    table[:, :half], table[:, half:] = angle.sin(), angle.cos()
    return table


def angles(t, dim, base=10_000.0, power=None):
    i = torch.arange(dim // 2)
    return t.float()[:, None] * base ** -(2 * i / dim if power is None else power(i))


def sin_cos(angle):
    return torch.cat([angle.sin(), angle.cos()], dim=1)


for mistake, embed in {
    "cosines before sines": lambda t, dim: sin_cos(angles(t, dim)).roll(dim // 2, dims=1),
    "sines and cosines in turn, as in the first paper": lambda t, dim: torch.stack(
        [angles(t, dim).sin(), angles(t, dim).cos()], dim=2
    ).flatten(1),
    "sines alone, twice": lambda t, dim: torch.cat([angles(t, dim).sin()] * 2, dim=1),
    "a base of 1,000": lambda t, dim: sin_cos(angles(t, dim, base=1000.0)),
    "half of the exponent": lambda t, dim: sin_cos(angles(t, dim, power=lambda i: i / dim)),
    "twice the exponent": lambda t, dim: sin_cos(angles(t, dim, power=lambda i: 4 * i / dim)),
    "frequencies down to 1/10,000 itself, as in the code of DDPM": lambda t, dim: sin_cos(
        angles(t, dim, power=lambda i: i / (dim // 2 - 1))
    ),
    "frequencies that begin with the second": lambda t, dim: sin_cos(angles(t, dim, power=lambda i: 2 * (i + 1) / dim)),
    "the exponent without its sign": lambda t, dim: sin_cos(angles(t, dim, power=lambda i: -2 * i / dim)),
    "one frequency for all": lambda t, dim: sin_cos(angles(t, dim, power=lambda i: 0 * i)),
    "frequencies in reverse": lambda t, dim: sin_cos(angles(t, dim).flip(1)),
    "turns in place of radians": lambda t, dim: sin_cos(2 * math.pi * angles(t, dim)),
    "degrees": lambda t, dim: sin_cos(math.pi / 180 * angles(t, dim)),
    "times scaled to at most 1": lambda t, dim: sin_cos(angles(t, dim) / 1000),
    "times scaled by the largest in the batch": lambda t, dim: sin_cos(angles(t / t.max(), dim)),
    "times from 0": lambda t, dim: sin_cos(angles(t - 1, dim)),
    "the number of the example for its time": lambda t, dim: sin_cos(angles(torch.arange(1, len(t) + 1), dim)),
    "one time for the whole batch": lambda t, dim: sin_cos(angles(t[:1].expand(len(t)), dim)),
    "the angles themselves": lambda t, dim: torch.cat([angles(t, dim)] * 2, dim=1),
    "dim sines and dim cosines": lambda t, dim: sin_cos(angles(t, 2 * dim)),
    "examples as columns": lambda t, dim: sin_cos(angles(t, dim)).T,
    "a dimension too many": lambda t, dim: sin_cos(angles(t, dim))[:, None],
    "sixteen frequencies whatever is asked": lambda t, dim: sin_cos(angles(t, dim, power=lambda i: 2 * i / 16)),
    "angles in half precision": lambda t, dim: sin_cos(angles(t, dim).half().float()),
    "the cosine's sign": lambda t, dim: torch.cat([angles(t, dim).sin(), -angles(t, dim).cos()], dim=1),
    "the time itself, dim times": lambda t, dim: t.float()[:, None].expand(-1, dim),
    "constants": lambda t, dim: torch.ones(len(t), dim),
    "right up to t = 100, the last row after that": lambda t, dim: sin_cos(angles(t.clamp(max=100), dim)),
}.items():
    wrong("time_embedding", mistake)(embed)


# --- adaptive_group_norm ----------------------------------------------------------------------------------------------


def over_pixels(y, h):
    return y.reshape(*y.shape, *[1] * (h.ndim - 2))


def scaled_and_shifted(normal, y):
    y_s, y_b = y.chunk(2, dim=1)
    return over_pixels(y_s, normal) * normal + over_pixels(y_b, normal)


def by_groups(h, groups, centre=True, scale=True, unbiased=False, eps=1e-5):
    parts = h.reshape(len(h), groups, -1)
    if centre:
        parts = parts - parts.mean(2, keepdim=True)
    if scale:
        parts = parts / (parts.var(2, keepdim=True, unbiased=unbiased) + eps).sqrt()
    return parts.reshape(h.shape)


@from_the_library("adaptive_group_norm", "the library's function")
def _(h, y, groups):
    return unet.ada_group_norm(h, *y.chunk(2, dim=1), groups)


@right("adaptive_group_norm", "mean and variance by hand")
def _(h, y, groups):
    return scaled_and_shifted(by_groups(h, groups), y)


@right("adaptive_group_norm", "PyTorch's module, channels moved to the end and back")
def _(h, y, groups):
    normal = nn.GroupNorm(groups, h.shape[1], affine=False)(h).movedim(1, -1)
    while y.ndim < normal.ndim:
        y = y[:, None]
    size = normal.shape[-1]
    return (normal * y[..., :size] + y[..., size:]).movedim(-1, 1)


@right("adaptive_group_norm", "example by example, scale and shift as PyTorch's own")
def _(h, y, groups):
    size = h.shape[1]
    rows = [functional.group_norm(h[i : i + 1], groups, y[i, :size], y[i, size:]) for i in range(len(h))]
    return torch.cat(rows)


def in_place(h, y, groups):
    h -= (
        h.detach()
        .reshape(len(h), groups, -1)
        .mean(2)
        .repeat_interleave(h.shape[1] // groups, 1)
        .reshape(*h.shape[:2], *[1] * (h.ndim - 2))
    )
    return scaled_and_shifted(by_groups(h, groups), y)


for mistake, norm in {
    "scale and shift exchanged": lambda h, y, groups: scaled_and_shifted(
        by_groups(h, groups), y.roll(h.shape[1], dims=1)
    ),
    "one added to the scale, as in much code": lambda h, y, groups: (
        scaled_and_shifted(by_groups(h, groups), y) + by_groups(h, groups)
    ),
    "shifted before it is scaled": lambda h, y, groups: (
        over_pixels(y.chunk(2, 1)[0], h) * (by_groups(h, groups) + over_pixels(y.chunk(2, 1)[1], h))
    ),
    "scale alone": lambda h, y, groups: over_pixels(y.chunk(2, 1)[0], h) * by_groups(h, groups),
    "shift alone": lambda h, y, groups: by_groups(h, groups) + over_pixels(y.chunk(2, 1)[1], h),
    "the exponential of the scale": lambda h, y, groups: scaled_and_shifted(
        by_groups(h, groups), torch.cat([y.chunk(2, 1)[0].exp(), y.chunk(2, 1)[1]], 1)
    ),
    "no norm at all": lambda h, y, groups: scaled_and_shifted(h, y),
    "the mean left in": lambda h, y, groups: scaled_and_shifted(by_groups(h, groups, centre=False), y),
    "the mean taken off and no more": lambda h, y, groups: scaled_and_shifted(by_groups(h, groups, scale=False), y),
    "divided by the variance": lambda h, y, groups: scaled_and_shifted(
        by_groups(h, groups, scale=False)
        / (
            (h.reshape(len(h), groups, -1).var(2, unbiased=False) + 1e-5)
            .repeat_interleave(h.shape[1] // groups, 1)
            .reshape(*h.shape[:2], *[1] * (h.ndim - 2))
        ),
        y,
    ),
    "the variance with n - 1": lambda h, y, groups: scaled_and_shifted(by_groups(h, groups, unbiased=True), y),
    "nothing added to the variance": lambda h, y, groups: scaled_and_shifted(by_groups(h, groups, eps=0.0), y),
    "a thousandth added to the variance": lambda h, y, groups: scaled_and_shifted(by_groups(h, groups, eps=1e-3), y),
    "layer norm: one group": lambda h, y, groups: scaled_and_shifted(by_groups(h, 1), y),
    "instance norm: a group for each channel": lambda h, y, groups: scaled_and_shifted(by_groups(h, h.shape[1]), y),
    "batch norm": lambda h, y, groups: scaled_and_shifted(functional.batch_norm(h, None, None, training=True), y),
    "the number of groups taken for their size": lambda h, y, groups: scaled_and_shifted(
        by_groups(h, h.shape[1] // groups), y
    ),
    "two groups whatever is asked": lambda h, y, groups: scaled_and_shifted(by_groups(h, 2), y),
    "every so many channels a group, in place of neighbours": lambda h, y, groups: scaled_and_shifted(
        by_groups(h.reshape(len(h), -1, groups, *h.shape[2:]).transpose(1, 2).reshape(h.shape), groups)
        .reshape(len(h), groups, -1, *h.shape[2:])
        .transpose(1, 2)
        .reshape(h.shape),
        y,
    ),
    "scale and shift in turn": lambda h, y, groups: scaled_and_shifted(
        by_groups(h, groups), torch.cat([y[:, ::2], y[:, 1::2]], 1)
    ),
    "the first example's time for all": lambda h, y, groups: scaled_and_shifted(
        by_groups(h, groups), y[:1].expand_as(y)
    ),
    "the batch's mean of the times": lambda h, y, groups: scaled_and_shifted(
        by_groups(h, groups), y.mean(0, keepdim=True).expand_as(y)
    ),
    "the scale averaged over channels": lambda h, y, groups: scaled_and_shifted(
        by_groups(h, groups),
        torch.cat([y.chunk(2, 1)[0].mean(1, keepdim=True).expand(-1, h.shape[1]), y.chunk(2, 1)[1]], 1),
    ),
    "images alone": lambda h, y, groups: (
        functional.group_norm(h, groups) * y.chunk(2, 1)[0][:, :, None, None] + y.chunk(2, 1)[1][:, :, None, None]
    ),
    "vectors alone": lambda h, y, groups: functional.group_norm(h, groups) * y.chunk(2, 1)[0] + y.chunk(2, 1)[1],
    "scaled first and normalised after, where the scale is lost": lambda h, y, groups: by_groups(
        scaled_and_shifted(h, y), groups
    ),
    "mean and variance held fast, as numbers without a gradient": lambda h, y, groups: scaled_and_shifted(
        h * (by_groups(h, groups) / h).detach(), y
    ),
    "the times held fast": lambda h, y, groups: scaled_and_shifted(by_groups(h, groups), y.detach()),
    "the input overwritten": in_place,
    "constants: zeros": lambda h, y, groups: torch.zeros_like(h),
    "the shift alone, which is the mean of the right answer": lambda h, y, groups: (
        over_pixels(y.chunk(2, 1)[1], h).expand_as(h).clone()
    ),
}.items():
    wrong("adaptive_group_norm", mistake)(norm)


# --- denoising_step ---------------------------------------------------------------------------------------------------


def draw(x0, T, generator):
    t = torch.randint(1, T + 1, (len(x0),), generator=generator)
    return t, torch.randn(x0.shape, generator=generator)


def column(value, x):
    return value.to(x.dtype).reshape(-1, *[1] * (x.ndim - 1))


def noisy(x0, t, eps, schedule):
    return column(schedule.alpha_bar[t].sqrt(), x0) * x0 + column((1 - schedule.alpha_bar[t]).sqrt(), x0) * eps


def summed(target, output):
    return (target - output).square().flatten(1).sum(1).mean()


def descended(optimizer, loss):
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


@torch.no_grad()
def averaged(average, model, decay):
    for mean, weight in zip(average.parameters(), model.parameters(), strict=True):
        mean.copy_(decay * mean + (1 - decay) * weight)


def step(
    model,
    average,
    optimizer,
    x0,
    schedule,
    decay,
    generator,
    draw=draw,
    noisy=noisy,
    told=lambda t, T: t,
    target=lambda eps, x0, xt: eps,
    loss=summed,
    descended=descended,
    averaged=averaged,
    train=lambda model: model.train(),
):
    """The right step, each part of which can be exchanged."""
    train(model)
    t, eps = draw(x0, schedule.T, generator)
    xt = noisy(x0, t, eps, schedule)
    found = loss(target(eps, x0, xt), model(xt, told(t, schedule.T)))
    descended(optimizer, found)
    averaged(average, model, decay)
    return found.item()


right("denoising_step", "part by part")(step)


@from_the_library("denoising_step", "the library's loss and average, the noise drawn before the times")
def _(model, average, optimizer, x0, schedule, decay, generator):
    model.train()
    eps = torch.empty_like(x0).normal_(generator=generator)
    t = 1 + torch.randint(schedule.T, (x0.shape[0],), generator=generator)
    loss = diffusion.eps_loss(model, x0, t, eps, schedule).mean()
    for weight in model.parameters():
        weight.grad = None
    loss.backward()
    optimizer.step()
    train.update_ema(average, model, decay)
    return loss.item()


@right("denoising_step", "times from uniform numbers, the average by its state")
def _(model, average, optimizer, x0, schedule, decay, generator):
    model.train(True)
    t = (torch.rand(len(x0), generator=generator) * schedule.T).long() + 1
    eps = torch.randn(x0.shape, generator=generator)
    eps_hat = model(noisy(x0, t, eps, schedule), t)
    loss = functional.mse_loss(eps_hat, eps, reduction="sum") / len(x0)
    gradients = torch.autograd.grad(loss, list(model.parameters()))
    for weight, gradient in zip(model.parameters(), gradients, strict=True):
        weight.grad = gradient
    optimizer.step()
    new, old = model.state_dict(), average.state_dict()
    average.load_state_dict({name: old[name].lerp(new[name], 1 - decay) for name in old})
    return loss.item()


@right("denoising_step", "mean of the squared error times the number of dimensions, gradients cleared first and last")
def _(model, average, optimizer, x0, schedule, decay, generator):
    model.train()
    optimizer.zero_grad()
    t, eps = draw(x0, schedule.T, generator)
    loss = functional.mse_loss(model(noisy(x0, t, eps, schedule), t), eps) * x0[0].numel()
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    for mean, weight in zip(average.parameters(), model.parameters(), strict=True):
        mean.data.mul_(decay).add_(weight.data, alpha=1 - decay)
    return loss.item()


def only_t(make):
    return {"draw": lambda x0, T, generator: (make(x0, T, generator), torch.randn(x0.shape, generator=generator))}


def only_eps(make):
    return {"draw": lambda x0, T, generator: (draw(x0, T, generator)[0], make(x0, generator))}


def kept(x0, T, generator, store={}):  # noqa: B006  (a store that outlives the call is the mistake)
    key = (x0.shape, T)
    if key not in store:
        store[key] = draw(x0, T, generator)
    return store[key]


def no_zero(optimizer, loss):
    loss.backward()
    optimizer.step()


def zero_after_backward(optimizer, loss):
    loss.backward()
    optimizer.zero_grad()
    optimizer.step()


def zero_after_step(optimizer, loss):
    no_zero(optimizer, loss)
    optimizer.zero_grad()


def twice(optimizer, loss):
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    optimizer.step()


def clipped(optimizer, loss):
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_([w for group in optimizer.param_groups for w in group["params"]], 0.1)
    optimizer.step()


def own_optimizer(optimizer, loss):
    weights = [w for group in optimizer.param_groups for w in group["params"]]
    descended(torch.optim.SGD(weights, lr=0.1), loss)


def with_graph(average, model, decay):
    for mean, weight in zip(average.parameters(), model.parameters(), strict=True):
        mean.mul_(decay).add_((1 - decay) * weight)


@torch.no_grad()
def first_weight_alone(average, model, decay):
    next(average.parameters()).lerp_(next(model.parameters()), 1 - decay)


def weights_shared(average, model, decay):
    averaged(average, model, decay)
    for mean, weight in zip(average.parameters(), model.parameters(), strict=True):
        weight.data = mean.data


for mistake, change in {
    "t never reaching T": only_t(lambda x0, T, g: torch.randint(1, T, (len(x0),), generator=g)),
    "t from 0 to T - 1": only_t(lambda x0, T, g: torch.randint(0, T, (len(x0),), generator=g)),
    "t from 0 to T": only_t(lambda x0, T, g: torch.randint(0, T + 1, (len(x0),), generator=g)),
    "t from 2": only_t(lambda x0, T, g: torch.randint(2, T + 1, (len(x0),), generator=g)),
    "one t for the whole batch": only_t(lambda x0, T, g: torch.randint(1, T + 1, (1,), generator=g).expand(len(x0))),
    "t always T": only_t(lambda x0, T, g: torch.full((len(x0),), T)),
    "t in order, the same in every step": only_t(lambda x0, T, g: torch.arange(len(x0)) % T + 1),
    "T set to ten, whatever the schedule": only_t(lambda x0, T, g: torch.randint(1, 11, (len(x0),), generator=g)),
    "t more often small": only_t(
        lambda x0, T, g: (torch.rand(len(x0), generator=g).square() * T).long() + 1,
    ),
    "t from the global stream": only_t(lambda x0, T, g: torch.randint(1, T + 1, (len(x0),))),
    "noise from the global stream": only_eps(lambda x0, g: torch.randn_like(x0)),
    "one noise for the whole batch": only_eps(lambda x0, g: torch.randn(1, *x0.shape[1:], generator=g).expand_as(x0)),
    "one number of noise for each example": only_eps(
        lambda x0, g: torch.randn(len(x0), *[1] * (x0.ndim - 1), generator=g).expand_as(x0)
    ),
    "uniform noise": only_eps(lambda x0, g: torch.rand(x0.shape, generator=g)),
    "uniform noise of the right mean and variance": only_eps(
        lambda x0, g: math.sqrt(12) * (torch.rand(x0.shape, generator=g) - 0.5)
    ),
    "noise half as large": only_eps(lambda x0, g: 0.5 * torch.randn(x0.shape, generator=g)),
    "a generator of its own, always with the same seed": {
        "draw": lambda x0, T, g: draw(x0, T, torch.Generator().manual_seed(0))
    },
    "times and noise of the first step kept for all others": {"draw": kept},
    "the variance for the standard deviation of the noise": {
        "noisy": lambda x0, t, eps, s: column(s.alpha_bar[t].sqrt(), x0) * x0 + column(1 - s.alpha_bar[t], x0) * eps
    },
    "alpha_bar without its root": {
        "noisy": lambda x0, t, eps, s: column(s.alpha_bar[t], x0) * x0 + column((1 - s.alpha_bar[t]).sqrt(), x0) * eps
    },
    "alpha for alpha_bar": {
        "noisy": lambda x0, t, eps, s: column(s.alpha[t].sqrt(), x0) * x0 + column((1 - s.alpha[t]).sqrt(), x0) * eps
    },
    "signal and noise exchanged": {
        "noisy": lambda x0, t, eps, s: (
            column((1 - s.alpha_bar[t]).sqrt(), x0) * x0 + column(s.alpha_bar[t].sqrt(), x0) * eps
        )
    },
    "noise added, the signal not made smaller": {
        "noisy": lambda x0, t, eps, s: x0 + column((1 - s.alpha_bar[t]).sqrt(), x0) * eps
    },
    "the noisy data clamped to [-3, 3]": {"noisy": lambda x0, t, eps, s: noisy(x0, t, eps, s).clamp(-3, 3)},
    "noised for t - 1": {"noisy": lambda x0, t, eps, s: noisy(x0, t - 1, eps, s)},
    "the network told t - 1": {"told": lambda t, T: t - 1},
    "the network told t / T": {"told": lambda t, T: t / T},
    "the network told T - t": {"told": lambda t, T: T - t},
    "the network told one time for all": {"told": lambda t, T: torch.full_like(t, T)},
    "the network told the times of others": {"told": lambda t, T: t.roll(1)},
    "the network told the times as a column": {"told": lambda t, T: t[:, None]},
    "the data as the target": {"target": lambda eps, x0, xt: x0},
    "the noisy data as the target": {"target": lambda eps, x0, xt: xt},
    "what was added as the target": {"target": lambda eps, x0, xt: xt - x0},
    "the noise with the other sign": {"target": lambda eps, x0, xt: -eps},
    "the mean over the dimensions": {"loss": lambda a, b: (a - b).square().mean()},
    "the sum over the batch": {"loss": lambda a, b: (a - b).square().sum()},
    "half of the squared error": {"loss": lambda a, b: summed(a, b) / 2},
    "the absolute error": {"loss": lambda a, b: (a - b).abs().flatten(1).sum(1).mean()},
    "the length of the error": {"loss": lambda a, b: (a - b).flatten(1).norm(dim=1).mean()},
    "Huber's loss": {"loss": lambda a, b: functional.huber_loss(b, a, reduction="sum") / len(a)},
    "the square of the mean error": {"loss": lambda a, b: (a - b).flatten(1).sum(1).mean().square()},
    "the output detached from the network": {"loss": lambda a, b: summed(a, b.detach())},
    "old gradients never cleared": {"descended": no_zero},
    "gradients cleared between backward and step": {"descended": zero_after_backward},
    "gradients cleared after the step alone": {"descended": zero_after_step},
    "two steps": {"descended": twice},
    "no step": {"descended": lambda optimizer, loss: None},
    "gradients shortened to 0.1": {"descended": clipped},
    "the ascent": {"descended": lambda optimizer, loss: descended(optimizer, -loss)},
    "an optimizer of its own": {"descended": own_optimizer},
    "no average": {"averaged": lambda average, model, decay: None},
    "the decay exchanged": {"averaged": lambda average, model, decay: averaged(average, model, 1 - decay)},
    "the weights copied": {"averaged": lambda average, model, decay: averaged(average, model, 0.0)},
    "a decay of its own": {"averaged": lambda average, model, decay: averaged(average, model, 0.9)},
    "averaged twice": {
        "averaged": lambda average, model, decay: (averaged(average, model, decay), averaged(average, model, decay))
    },
    "the network's weights averaged, the average left": {
        "averaged": lambda average, model, decay: averaged(model, average, decay)
    },
    "the first weight alone averaged": {"averaged": first_weight_alone},
    "the average with a graph behind it": {"averaged": with_graph},
    "the network goes on from the average": {"averaged": weights_shared},
    "evaluation mode": {"train": lambda model: model.eval()},
    "whatever mode the network came in": {"train": lambda model: None},
}.items():
    wrong("denoising_step", mistake)(functools.partial(step, **change))


@wrong("denoising_step", "averaged before the step")
def _(model, average, optimizer, x0, schedule, decay, generator):
    averaged(average, model, decay)
    return step(model, average, optimizer, x0, schedule, decay, generator, averaged=lambda *_: None)


@wrong("denoising_step", "the average asked for the noise")
def _(model, average, optimizer, x0, schedule, decay, generator):
    average.requires_grad_(True)
    loss = step(average, model, optimizer, x0, schedule, decay, generator, averaged=lambda *_: None)
    average.requires_grad_(False)
    return loss


@wrong("denoising_step", "evaluation mode after the step")
def _(model, *rest):
    loss = step(model, *rest)
    model.eval()
    return loss


@wrong("denoising_step", "the average in training mode")
def _(model, average, *rest):
    average.train()
    return step(model, average, *rest)


@wrong("denoising_step", "the loss after the step")
def _(model, average, optimizer, x0, schedule, decay, generator):
    state = generator.get_state()
    step(model, average, optimizer, x0, schedule, decay, generator)
    after = torch.Generator()
    after.set_state(state)
    t, eps = draw(x0, schedule.T, after)
    return summed(eps, model(noisy(x0, t, eps, schedule), t)).item()


@wrong("denoising_step", "the loss as a tensor")
def _(*arguments):
    return torch.tensor(step(*arguments))


@wrong("denoising_step", "nothing returned")
def _(*arguments):
    step(*arguments)


@wrong("denoising_step", "the mean over the dimensions returned, the sum descended")
def _(model, average, optimizer, x0, *rest):
    return step(model, average, optimizer, x0, *rest) / x0[0].numel()


@wrong("denoising_step", "constants: the number of dimensions, which is the loss of a network that says zero")
def _(model, average, optimizer, x0, *rest):
    return float(x0[0].numel())


@wrong("denoising_step", "the noise written into the data")
def _(model, average, optimizer, x0, schedule, decay, generator):
    def into(x0, t, eps, schedule):
        return x0.copy_(noisy(x0, t, eps, schedule))

    return step(model, average, optimizer, x0, schedule, decay, generator, noisy=into)


# --- ancestral_sample -------------------------------------------------------------------------------------------------


def start(shape, generator):
    return torch.randn(shape, generator=generator)


def fresh(x, generator):
    return torch.randn(x.shape, generator=generator)


def step_mean(x, t, eps_hat, s):
    return (x - s.beta[t] / (1 - s.alpha_bar[t]).sqrt() * eps_hat) / s.alpha[t].sqrt()


def full(t, x, T):
    return torch.full((len(x),), t)


def ancestral(
    model,
    shape,
    schedule,
    generator,
    start=start,
    times=lambda T: range(T, 0, -1),
    told=full,
    mean=step_mean,
    sigma=lambda s, t: s.beta_tilde[t].sqrt(),
    fresh=fresh,
    noise_at=lambda t: t > 1,
    enter=lambda model: model.eval(),
    leave=lambda model, was: model.train(was),
    quiet=torch.inference_mode,
    each=lambda x: x,
    last=lambda x: x,
):
    """The right sampler, each part of which can be exchanged."""
    was = model.training
    enter(model)
    with quiet():
        x = start(shape, generator)
        for t in times(schedule.T):
            x = each(mean(x, t, model(x, told(t, x, schedule.T)), schedule))
            if noise_at(t):
                x = x + sigma(schedule, t) * fresh(x, generator)
    leave(model, was)
    return last(x)


right("ancestral_sample", "part by part")(ancestral)


@from_the_library("ancestral_sample", "the library's sampler")
def _(model, shape, schedule, generator):
    return diffusion.sample(model, shape, schedule, generator)


@right("ancestral_sample", "the posterior given a guess at the data, the noise times zero at the end, no_grad")
def _(model, shape, schedule, generator):
    mode = model.training
    model.train(False)
    x = torch.empty(shape).normal_(generator=generator)
    with torch.no_grad():
        for i in range(schedule.T):
            t = torch.full(shape[:1], schedule.T - i)
            guess = diffusion.predict_x0(x, t, model(x, t), schedule)
            mean, variance = diffusion.q_posterior(guess, x, t, schedule)
            x = mean + variance.sqrt() * torch.randn(shape, generator=generator)
    model.train(mode)
    return x


@right("ancestral_sample", "DDIM at eta 1, all noise drawn in advance")
@torch.no_grad()
def _(model, shape, schedule, generator):
    noise = torch.randn(schedule.T, *shape, generator=generator)
    was, x = model.training, noise[0]
    model.eval()
    for t in reversed(range(1, schedule.T + 1)):
        times = torch.full((shape[0],), t)
        sigma = schedule.beta_tilde[t].sqrt()
        eps_hat = model(x, times)
        guess = (x - (1 - schedule.alpha_bar[t]).sqrt() * eps_hat) / schedule.alpha_bar[t].sqrt()
        x = schedule.alpha_bar[t - 1].sqrt() * guess
        x = x + (1 - schedule.alpha_bar[t - 1] - sigma**2).clamp(min=0).sqrt() * eps_hat
        if t > 1:
            x = x + sigma * noise[t - 1]
    if was:
        model.train()
    return x


def once(x, generator, store={}):  # noqa: B006  (a store that outlives the call is the mistake)
    if (x.shape, generator) not in store:
        store[x.shape, generator] = torch.randn(x.shape, generator=generator)
    return store[x.shape, generator]


def predicts_data(x, t, output, s):
    return diffusion.q_posterior(output, x, torch.full((len(x),), t), s)[0]


for mistake, change in {
    "noise at the last step too": {"noise_at": lambda t: True, "sigma": lambda s, t: s.beta[t].sqrt()},
    "noise at the last step too, with the deviation of the second": {
        "noise_at": lambda t: True,
        "sigma": lambda s, t: s.beta_tilde[max(t, 2)].sqrt(),
    },
    "no noise": {"noise_at": lambda t: False},
    "noise at the last step and no other": {"noise_at": lambda t: t == 1, "sigma": lambda s, t: s.beta[t].sqrt()},
    "no noise at t = 2 either": {"noise_at": lambda t: t > 2},
    "t from T - 1": {"times": lambda T: range(T - 1, 0, -1)},
    "t down to 2": {"times": lambda T: range(T, 1, -1)},
    "t upwards": {"times": lambda T: range(1, T + 1)},
    "every second t": {"times": lambda T: range(T, 0, -2)},
    "twelve steps whatever the schedule": {"times": lambda T: range(12, 0, -1)},
    "ten steps at most": {"times": lambda T: range(T, max(T - 10, 0), -1)},
    "t from T - 1 to 0, the network told t + 1": {
        "times": lambda T: range(T - 1, -1, -1),
        "told": lambda t, x, T: full(t + 1, x, T),
        "noise_at": lambda t: t > 0,
    },
    "the network told t - 1": {"told": lambda t, x, T: full(t - 1, x, T)},
    "the network told T at every step": {"told": lambda t, x, T: full(T, x, T)},
    "the network told T - t": {"told": lambda t, x, T: full(T - t, x, T)},
    "the network told t / T": {"told": lambda t, x, T: full(t, x, T) / T},
    "the network told a number": {"told": lambda t, x, T: torch.tensor(t)},
    "the network told one time for the batch": {"told": lambda t, x, T: torch.tensor([t])},
    "the network told the times as a column": {"told": lambda t, x, T: full(t, x, T)[:, None]},
    "alpha_bar for alpha under the root": {
        "mean": lambda x, t, e, s: (x - s.beta[t] / (1 - s.alpha_bar[t]).sqrt() * e) / s.alpha_bar[t].sqrt()
    },
    "alpha without its root": {
        "mean": lambda x, t, e, s: (x - s.beta[t] / (1 - s.alpha_bar[t]).sqrt() * e) / s.alpha[t]
    },
    "the slide's root of 1 - alpha": {
        "mean": lambda x, t, e, s: (x - s.beta[t].sqrt() / (1 - s.alpha_bar[t]).sqrt() * e) / s.alpha[t].sqrt()
    },
    "1 - alpha_bar without its root": {
        "mean": lambda x, t, e, s: (x - s.beta[t] / (1 - s.alpha_bar[t]) * e) / s.alpha[t].sqrt()
    },
    "the noise added where it must be taken off": {"mean": lambda x, t, e, s: step_mean(x, t, -e, s)},
    "all noise taken off at once": {
        "mean": lambda x, t, e, s: (x - (1 - s.alpha_bar[t]).sqrt() * e) / s.alpha_bar[t].sqrt()
    },
    "alpha_bar of t - 1": {
        "mean": lambda x, t, e, s: (x - s.beta[t] / (1 - s.alpha_bar[max(t - 1, 1)]).sqrt() * e) / s.alpha[t].sqrt()
    },
    "the network's output taken for the data": {"mean": predicts_data},
    "the variance for the standard deviation": {"sigma": lambda s, t: s.beta_tilde[t]},
    "the variance taken for its logarithm": {"sigma": lambda s, t: (s.beta_tilde[t] / 2).exp()},
    "beta for the variance": {"sigma": lambda s, t: s.beta[t].sqrt()},
    "beta for the standard deviation": {"sigma": lambda s, t: s.beta[t]},
    "the variance of t - 1": {"sigma": lambda s, t: s.beta_tilde[t - 1].sqrt()},
    "the variance of the whole noise": {"sigma": lambda s, t: (1 - s.alpha_bar[t - 1]).sqrt()},
    "noise of variance 1": {"sigma": lambda s, t: 1.0},
    "the same noise at every step": {"fresh": once},
    "one noise for the whole batch": {
        "fresh": lambda x, g: torch.randn(1, *x.shape[1:], generator=g).expand_as(x),
    },
    "one number of noise for each example": {
        "fresh": lambda x, g: torch.randn(len(x), *[1] * (x.ndim - 1), generator=g).expand_as(x)
    },
    "uniform noise": {"fresh": lambda x, g: torch.rand(x.shape, generator=g)},
    "noise from the global stream": {"fresh": lambda x, g: torch.randn(x.shape)},
    "x_T from the global stream": {"start": lambda shape, g: torch.randn(shape)},
    "x_T all zero": {"start": lambda shape, g: torch.zeros(shape)},
    "x_T uniform": {"start": lambda shape, g: torch.rand(shape, generator=g)},
    "x_T half as large": {"start": lambda shape, g: 0.5 * torch.randn(shape, generator=g)},
    "one x_T for the whole batch": {
        "start": lambda shape, g: torch.randn(1, *shape[1:], generator=g).expand(shape).clone()
    },
    "training mode: dropout stays on": {"enter": lambda model: None},
    "training mode asked for": {"enter": lambda model: model.train()},
    "evaluation mode left behind": {"leave": lambda model, was: None},
    "training mode left behind": {"leave": lambda model, was: model.train()},
    "gradients kept": {"quiet": torch.enable_grad},
    "the network's answer clamped to [-3, 3]": {"mean": lambda x, t, e, s: step_mean(x, t, e.clamp(-3, 3), s)},
    "the steps clamped to [-5, 5]": {"each": lambda x: x.clamp(-5, 5)},
    "the steps clipped to [-1, 1]": {"each": lambda x: x.clamp(-1, 1)},
    "the result clipped to [-1, 1]": {"last": lambda x: x.clamp(-1, 1)},
    "the result scaled to variance 1": {"last": lambda x: x / x.std()},
    "the first example alone": {"last": lambda x: x[:1]},
    "a list": {"last": list},
    "constants": {"last": torch.zeros_like},
}.items():
    wrong("ancestral_sample", mistake)(functools.partial(ancestral, **change))


@wrong("ancestral_sample", "the network asked once, its answer used at every step")
def _(model, shape, schedule, generator):
    was = model.training
    model.eval()
    with torch.inference_mode():
        x = torch.randn(shape, generator=generator)
        eps_hat = model(x, full(schedule.T, x, schedule.T))
        for t in range(schedule.T, 0, -1):
            x = step_mean(x, t, eps_hat, schedule)
            if t > 1:
                x = x + schedule.beta_tilde[t].sqrt() * fresh(x, generator)
    model.train(was)
    return x


@wrong("ancestral_sample", "all chains from x_T: the network never shown what became of it")
def _(model, shape, schedule, generator):
    was = model.training
    model.eval()
    with torch.inference_mode():
        x = begun = torch.randn(shape, generator=generator)
        for t in range(schedule.T, 0, -1):
            x = step_mean(x, t, model(begun, full(t, x, schedule.T)), schedule)
            if t > 1:
                x = x + schedule.beta_tilde[t].sqrt() * fresh(x, generator)
    model.train(was)
    return x


@wrong("ancestral_sample", "weights that don't require a gradient any more")
def _(model, *rest):
    model.requires_grad_(False)
    return ancestral(model, *rest)


# --- ddim_sample ------------------------------------------------------------------------------------------------------


def ddim_deviation(ab, t, s, eta):
    return eta * ((1 - ab[s]) / (1 - ab[t]) * (1 - ab[t] / ab[s])).sqrt()


def ddim_mean(x, t, s, eps_hat, sigma, ab):
    guess = (x - (1 - ab[t]).sqrt() * eps_hat) / ab[t].sqrt()
    return ab[s].sqrt() * guess + (1 - ab[s] - sigma**2).clamp(min=0).sqrt() * eps_hat


def ddim(
    model,
    xT,
    schedule,
    times,
    eta,
    generator,
    pairs=lambda times, T: list(itertools.pairwise([0, *times]))[::-1],  # (s, t), the largest first
    told=lambda s, t, i: t,
    sigma=ddim_deviation,
    mean=ddim_mean,
    fresh=fresh,
    enter=lambda model: model.eval(),
    leave=lambda model, was: model.train(was),
    quiet=torch.inference_mode,
    last=lambda x: x,
):
    """The right sampler, each part of which can be exchanged."""
    was, x = model.training, xT
    enter(model)
    with quiet():
        for i, (s, t) in enumerate(pairs(times, schedule.T)):
            eps_hat = model(x, torch.full((len(x),), told(s, t, i)))
            deviation = torch.as_tensor(sigma(schedule.alpha_bar, t, s, eta))
            x = mean(x, t, s, eps_hat, deviation, schedule.alpha_bar)
            if eta > 0:
                x = x + deviation * fresh(x, generator)
    leave(model, was)
    return last(x)


right("ddim_sample", "part by part")(ddim)


@from_the_library("ddim_sample", "the library's sampler")
def _(model, xT, schedule, times, eta, generator):
    return diffusion.ddim_sample(model, tuple(xT.shape), schedule, times, eta, generator, xT=xT)


@from_the_library("ddim_sample", "the library's step, no_grad")
@torch.no_grad()
def _(model, xT, schedule, times, eta, generator):
    mode = model.training
    model.eval()
    x, going = xT.clone(), list(times)
    while going:
        t = going.pop()
        now, then = torch.full((len(x),), t), torch.full((len(x),), going[-1] if going else 0)
        eps = torch.randn(x.shape, generator=generator)
        x = diffusion.ddim_step(x, now, then, model(x, now), eps, schedule, eta)
    model.train(mode)
    return x


@right("ddim_sample", "two weights for each step, computed before the first, no_grad")
@torch.no_grad()
def _(model, xT, schedule, times, eta, generator):
    plan = []
    for s, t in zip([0, *times], times, strict=False):
        a_s, a_t = schedule.alpha_bar[s].item(), schedule.alpha_bar[t].item()
        sigma = eta * math.sqrt((1 - a_s) / (1 - a_t) * (1 - a_t / a_s))
        keep = math.sqrt(a_s / a_t)
        plan.insert(0, (t, keep, math.sqrt(max(1 - a_s - sigma**2, 0.0)) - keep * math.sqrt(1 - a_t), sigma))
    mode, x = model.training, xT
    model.eval()
    for t, keep, push, sigma in plan:
        x = keep * x + push * model(x, torch.full((x.shape[0],), t))
        if sigma > 0:
            x = x.add(torch.randn(x.shape, generator=generator), alpha=sigma)
    model.train(mode)
    return x


@right("ddim_sample", "in the variables of a differential equation, plus noise")
def _(model, xT, schedule, times, eta, generator):
    was = model.training
    model.eval()
    ab = schedule.alpha_bar
    with torch.no_grad():
        x = xT
        for t, s in itertools.pairwise([*reversed(times), 0]):
            eps_hat = model(x, torch.full((x.shape[0],), t))
            sigma = eta * ((1 - ab[s]) * (ab[s] - ab[t]) / ((1 - ab[t]) * ab[s])) ** 0.5
            kept_noise = ((1 - ab[s] - sigma**2).clamp(min=0) / ab[s]).sqrt()
            x = ab[s].sqrt() * (x / ab[t].sqrt() + (kept_noise - ((1 - ab[t]) / ab[t]).sqrt()) * eps_hat)
            if s > 0 and eta > 0:
                x = x + sigma * torch.randn(x.shape, generator=generator)
    model.train(was)
    return x


def with_neighbour(x, t, s, eps_hat, sigma, ab):
    return ddim_mean(x, t, t - 1, eps_hat, sigma, ab)


def own_times(times, T):
    even = [T * i // len(times) for i in range(1, len(times) + 1)]
    return list(itertools.pairwise([0, *even]))[::-1]


for mistake, change in {
    "sigma with t - 1": {"sigma": lambda ab, t, s, eta: ddim_deviation(ab, t, t - 1, eta)},
    "the step to t - 1, whatever the next time": {"mean": with_neighbour},
    "sigma and step with t - 1": {
        "sigma": lambda ab, t, s, eta: ddim_deviation(ab, t, t - 1, eta),
        "mean": with_neighbour,
    },
    "eta passed over: always 0": {"sigma": lambda ab, t, s, eta: 0 * ab[0]},
    "eta passed over: always 1": {"sigma": lambda ab, t, s, eta: ddim_deviation(ab, t, s, 1.0)},
    "eta under the root": {"sigma": lambda ab, t, s, eta: math.sqrt(eta) * ddim_deviation(ab, t, s, 1.0)},
    "eta squared": {"sigma": lambda ab, t, s, eta: eta**2 * ddim_deviation(ab, t, s, 1.0)},
    "sigma without its root": {"sigma": lambda ab, t, s, eta: eta * ddim_deviation(ab, t, s, 1.0) ** 2},
    "sigma of the forward step": {"sigma": lambda ab, t, s, eta: eta * (1 - ab[t] / ab[s]).sqrt()},
    "sigma with the first fraction upside down": {
        "sigma": lambda ab, t, s, eta: eta * ((1 - ab[t]) / (1 - ab[s]).clamp(min=1e-3) * (1 - ab[t] / ab[s])).sqrt()
    },
    "sigma with the times exchanged": {
        "sigma": lambda ab, t, s, eta: ddim_deviation(ab, s, t, eta).nan_to_num(0.0) if s else 0.0
    },
    "sigma with alpha_bar_t for the fraction": {
        "sigma": lambda ab, t, s, eta: eta * ((1 - ab[s]) / (1 - ab[t]) * (1 - ab[t])).sqrt()
    },
    "sigma squared left out of the old noise": {
        "mean": lambda x, t, s, e, sigma, ab: ddim_mean(x, t, s, e, 0 * sigma, ab)
    },
    "sigma in place of its square in the old noise": {
        "mean": lambda x, t, s, e, sigma, ab: ddim_mean(x, t, s, e, sigma.sqrt(), ab)
    },
    "the old noise kept at the level of t": {
        "mean": lambda x, t, s, e, sigma, ab: (
            ddim_mean(x, t, s, e, sigma, ab)
            + ((1 - ab[t] - sigma**2).sqrt() - (1 - ab[s] - sigma**2).clamp(min=0).sqrt()) * e
        )
    },
    "no old noise": {"mean": lambda x, t, s, e, sigma, ab: ab[s].sqrt() / ab[t].sqrt() * (x - (1 - ab[t]).sqrt() * e)},
    "the guess without its roots": {
        "mean": lambda x, t, s, e, sigma, ab: (
            ab[s].sqrt() * (x - (1 - ab[t]) * e) / ab[t] + (1 - ab[s] - sigma**2).clamp(min=0).sqrt() * e
        )
    },
    "alpha_bar_t in both places": {
        "mean": lambda x, t, s, e, sigma, ab: (
            x - (1 - ab[t]).sqrt() * e + (1 - ab[s] - sigma**2).clamp(min=0).sqrt() * e
        )
    },
    "alpha_bar without its root": {
        "mean": lambda x, t, s, e, sigma, ab: (
            ab[s] * (x - (1 - ab[t]).sqrt() * e) / ab[t].sqrt() + (1 - ab[s] - sigma**2).clamp(min=0).sqrt() * e
        )
    },
    "the network's output taken for the data": {
        "mean": lambda x, t, s, e, sigma, ab: ddim_mean(x, t, s, (x - ab[t].sqrt() * e) / (1 - ab[t]).sqrt(), sigma, ab)
    },
    "the network's answer clamped to [-3, 3]": {
        "mean": lambda x, t, s, e, sigma, ab: ddim_mean(x, t, s, e.clamp(-3, 3), sigma, ab)
    },
    "the guess clipped to [-1, 1]": {
        "mean": lambda x, t, s, e, sigma, ab: (
            ab[s].sqrt() * ((x - (1 - ab[t]).sqrt() * e) / ab[t].sqrt()).clamp(-1, 1)
            + (1 - ab[s] - sigma**2).clamp(min=0).sqrt() * e
        )
    },
    "the ancestral step with every so many t": {
        "mean": lambda x, t, s, e, sigma, ab: (
            (x - (1 - ab[t] / ab[t - 1]) / (1 - ab[t]).sqrt() * e) / (ab[t] / ab[t - 1]).sqrt()
        )
    },
    "it ends at the first of the times, not at 0": {
        "pairs": lambda times, T: list(itertools.pairwise(times))[::-1],
    },
    "the last of the times left out": {"pairs": lambda times, T: list(itertools.pairwise([0, *times[:-1]]))[::-1]},
    "the first of the times left out": {"pairs": lambda times, T: list(itertools.pairwise([0, *times[1:]]))[::-1]},
    "the times upwards": {"pairs": lambda times, T: list(itertools.pairwise([0, *times]))},
    "even times in place of those handed over": {"pairs": own_times},
    "all times": {"pairs": lambda times, T: [(t - 1, t) for t in range(T, 0, -1)]},
    "the network told the time it goes to": {"told": lambda s, t, i: s},
    "the network told the number of the step": {"told": lambda s, t, i: i},
    "the network told t - 1": {"told": lambda s, t, i: t - 1},
    "the network told T at every step": {"told": lambda s, t, i: 20},
    "the same noise at every step": {"fresh": once},
    "one noise for the whole batch": {"fresh": lambda x, g: torch.randn(1, *x.shape[1:], generator=g).expand_as(x)},
    "uniform noise": {"fresh": lambda x, g: torch.rand(x.shape, generator=g)},
    "noise from the global stream": {"fresh": lambda x, g: torch.randn(x.shape)},
    "a little noise at the end": {
        "sigma": lambda ab, t, s, eta: ddim_deviation(ab, t, s, eta) + (0.01 * eta if s == 0 else 0)
    },
    "training mode: dropout stays on": {"enter": lambda model: None},
    "evaluation mode left behind": {"leave": lambda model, was: None},
    "training mode left behind": {"leave": lambda model, was: model.train()},
    "gradients kept": {"quiet": torch.enable_grad},
    "the result clipped to [-1, 1]": {"last": lambda x: x.clamp(-1, 1)},
    "constants": {"last": torch.zeros_like},
    "the first example alone": {"last": lambda x: x[:1]},
}.items():
    wrong("ddim_sample", mistake)(functools.partial(ddim, **change))


@wrong("ddim_sample", "noise of its own in place of x_T")
def _(model, xT, schedule, times, eta, generator):
    return ddim(model, torch.randn(xT.shape, generator=generator), schedule, times, eta, generator)


@wrong("ddim_sample", "x_T overwritten")
def _(model, xT, *rest):
    return xT.copy_(ddim(model, xT.clone(), *rest))


@wrong("ddim_sample", "fresh noise although eta is 0")
def _(model, xT, schedule, times, eta, generator):
    return ddim(model, xT, schedule, times, eta or 0.1, generator)


@wrong("ddim_sample", "the first guess at the data, in one jump")
def _(model, xT, schedule, times, eta, generator):
    return ddim(model, xT, schedule, times[-1:], eta, generator)


@wrong("ddim_sample", "the ancestral sampler")
def _(model, xT, schedule, times, eta, generator):
    return ancestral(model, tuple(xT.shape), schedule, generator, start=lambda shape, g: xT)


# --- cloud_denoiser ---------------------------------------------------------------------------------------------------

SCHEDULE = diffusion.linear_schedule(T=100, beta_1=1e-3, beta_T=0.2)


def points(name="spiral"):
    return data.toy2d(name, 8192, torch.Generator().manual_seed(0))


def cloud_network(seed=0, dim=2, width=64):
    torch.manual_seed(seed)
    return Denoiser(dim, width)


def fitted(model, x, steps, loss=diffusion.eps_loss, schedule=SCHEDULE, **settings):
    """The state of a network trained by the library."""
    chosen = train.DiffusionSettings(**{"epochs": 10_000, "batch_size": 128, "ema_decay": 0.995, **settings})
    train.fit_diffusion(model, x, schedule, chosen, loss, max_steps=steps, progress=False)
    return model.state_dict()


def cloud_run(x=None, steps=150, **settings):
    return fitted(cloud_network(), points() if x is None else x, steps, **{"batch_size": 256, **settings})


def by_hand(model, x, steps, decay=lambda i: 0.99, learning_rate=lambda i: 1e-3, batch_size=128, step=step, last=False):
    """A loop of one's own, from the global stream; the state of the average, or that of the last weights."""
    average = copy.deepcopy(model).requires_grad_(False)
    optimizer, generator = torch.optim.AdamW(model.parameters()), torch.Generator().manual_seed(9)
    for i in range(steps):
        optimizer.param_groups[0]["lr"] = learning_rate(i)
        step(model, average, optimizer, x[torch.randint(len(x), (batch_size,))], SCHEDULE, decay(i), generator)
    return (model if last else average).state_dict()


def target_loss(target):
    """A loss whose target is another: ``target(x0, eps, xt, t, schedule)``."""

    def loss(model, x0, t, eps, schedule):
        xt = diffusion.q_sample(x0, t, eps, schedule)
        return (target(x0, eps, xt, t, schedule) - model(xt, t)).square().flatten(1).sum(1)

    return loss


def shown(change):
    """The simple loss with other times or another noise: ``change(t, eps, schedule)`` → t, eps."""

    def loss(model, x0, t, eps, schedule):
        t, eps = change(t, eps, schedule)
        return diffusion.eps_loss(model, x0, t, eps, schedule)

    return loss


def told_wrongly(change):
    def loss(model, x0, t, eps, schedule):
        return (eps - model(diffusion.q_sample(x0, t, eps, schedule), change(t))).square().flatten(1).sum(1)

    return loss


predicts_x0 = target_loss(lambda x0, eps, xt, t, schedule: x0)
predicts_velocity = target_loss(
    lambda x0, eps, xt, t, s: column(s.alpha_bar[t].sqrt(), x0) * eps - column((1 - s.alpha_bar[t]).sqrt(), x0) * x0
)

cloud_answer = functools.partial(saved, "cloud_denoiser")
right("cloud_denoiser", "a thousand steps by the library's loop")(
    cloud_answer("right-0", lambda: cloud_run(steps=1000))
)
right("cloud_denoiser", "a loop of its own, small batches, another optimizer, a plain decay")(
    cloud_answer("right-1", lambda: by_hand(cloud_network(3), points(), 1000, learning_rate=lambda i: 2e-3))
)
right("cloud_denoiser", "the last weights, with a step size that falls")(
    cloud_answer(
        "right-2",
        lambda: by_hand(cloud_network(3), points(), 1000, learning_rate=lambda i: 3e-3 * (1 - i / 1000), last=True),
    )
)

for number, (mistake, make_state) in enumerate(
    {
        "thirty steps": lambda: cloud_run(steps=30),
        "an average that begins with untrained weights and forgets them too slowly": lambda: by_hand(
            cloud_network(), points(), 300, decay=lambda i: 0.999
        ),
        "an average that was never updated": lambda: by_hand(cloud_network(), points(), 20, decay=lambda i: 1.0),
        "predicts the data": lambda: cloud_run(loss=predicts_x0),
        "predicts the velocity": lambda: cloud_run(loss=predicts_velocity),
        "predicts the noise with the other sign": lambda: cloud_run(
            loss=target_loss(lambda x0, eps, xt, t, schedule: -eps)
        ),
        "the cosine schedule": lambda: cloud_run(schedule=diffusion.cosine_schedule(100)),
        "the schedule of a thousand steps": lambda: cloud_run(schedule=diffusion.linear_schedule()),
        "the first hundred steps of the schedule of a thousand": lambda: cloud_run(
            schedule=diffusion.linear_schedule(100)
        ),
        "trained for late times only": lambda: cloud_run(loss=shown(lambda t, eps, s: (t.clamp(min=40), eps))),
        "trained for early times only": lambda: cloud_run(loss=shown(lambda t, eps, s: (t.clamp(max=15), eps))),
        "told T at every step": lambda: cloud_run(loss=told_wrongly(lambda t: torch.full_like(t, 100))),
        "told the times of others": lambda: cloud_run(loss=told_wrongly(lambda t: t.roll(1))),
        "one noise for the whole batch": lambda: cloud_run(loss=shown(lambda t, eps, s: (t, eps[:1].expand_as(eps)))),
        "noise half as large": lambda: cloud_run(loss=shown(lambda t, eps, s: (t, eps / 2))),
        "points scaled to variance 1": lambda: cloud_run(points() / points().std(0)),
        "points ten times as large": lambda: cloud_run(10 * points()),
        "the mirrored spiral": lambda: cloud_run(points().flip(1)),
        "the inner half of the spiral": lambda: cloud_run(points()[points().norm(dim=1) < 1]),
        "another cloud": lambda: cloud_run(points("moons")),
        "pure noise": lambda: cloud_run(torch.randn(8192, 2, generator=torch.Generator().manual_seed(0))),
        "five points of the data, over and over": lambda: cloud_run(points()[:5].repeat(100, 1)),
        "the mean of the data": lambda: cloud_run(points().mean(0, keepdim=True).repeat(500, 1), steps=100),
    }.items()
):
    wrong("cloud_denoiser", mistake)(cloud_answer(f"wrong-{number}", make_state))

wrong_files(
    "cloud_denoiser",
    cloud_network,
    {
        "the weights that come with the library": lambda: pretrained.load("diffusion_2d"),
        "a wider network": lambda: cloud_network(width=128),
        "a network for three dimensions": lambda: cloud_network(dim=3),
        "the digits' network": lambda: unet.UNet(width=16),
    },
)


# --- digits_denoiser --------------------------------------------------------------------------------------------------


def digit_images():
    return 2 * data.digits("train").images - 1


def digits_of(*classes):
    images, labels = data.digits("train")
    return 2 * images[torch.isin(labels, torch.tensor(classes))] - 1


def digits_run(x=None, steps=100, **settings):
    return fitted(
        unet.UNet(width=16),
        digit_images() if x is None else x,
        steps,
        **{"batch_size": 64, "ema_decay": 0.99, **settings},
    )


digits_answer = functools.partial(saved, "digits_denoiser")
right("digits_denoiser", "seven hundred steps by the library's loop")(
    digits_answer("right-0", lambda: digits_run(steps=700))
)
right("digits_denoiser", "a loop of its own, another optimizer, a plain decay")(
    digits_answer("right-1", lambda: by_hand(unet.UNet(width=16, seed=4), digit_images(), 1000, batch_size=48))
)
right("digits_denoiser", "large batches and few steps, another seed")(
    digits_answer("right-2", lambda: digits_run(steps=500, batch_size=128, learning_rate=4e-3, seed=5))
)

for number, (mistake, make_state) in enumerate(
    {
        "sixty steps": lambda: digits_run(steps=60),
        "an average that begins with untrained weights and forgets them too slowly": lambda: by_hand(
            unet.UNet(width=16), digit_images(), 60, decay=lambda i: 0.999
        ),
        "pixels not scaled to [-1, 1]": lambda: digits_run(data.digits("train").images, steps=400),
        "pixels from 0 to 16, as they are in the file": lambda: digits_run(16 * data.digits("train").images),
        "pixels scaled to mean 0 and variance 1": lambda: digits_run(
            (digit_images() - digit_images().mean()) / digit_images().std(), steps=400
        ),
        "predicts the data": lambda: digits_run(loss=predicts_x0),
        "a tiny step size": lambda: digits_run(learning_rate=1e-5),
        "the cosine schedule": lambda: digits_run(schedule=diffusion.cosine_schedule(100), steps=200),
        "told T at every step": lambda: digits_run(loss=told_wrongly(lambda t: torch.full_like(t, 100))),
        "black and white exchanged": lambda: digits_run(-digit_images()),
        "images turned on their side": lambda: digits_run(digit_images().transpose(2, 3), steps=400),
        "zeros and ones alone": lambda: digits_run(digits_of(0, 1), steps=200),
        "all classes but three": lambda: digits_run(digits_of(*range(7)), steps=500),
        "ten digits by heart": lambda: digits_run(digit_images()[:10].repeat(50, 1, 1, 1), steps=500),
        "one digit by heart": lambda: digits_run(digit_images()[:1].repeat(200, 1, 1, 1)),
        "pure noise": lambda: digits_run(
            torch.randn(1438, 1, 8, 8, generator=torch.Generator().manual_seed(0)).clamp(-1, 1)
        ),
    }.items()
):
    wrong("digits_denoiser", mistake)(digits_answer(f"wrong-{number}", make_state))

wrong_files(
    "digits_denoiser",
    lambda: unet.UNet(width=16),
    {
        "the weights that come with the library": lambda: pretrained.load("diffusion_digits"),
        "a narrower network": lambda: unet.UNet(width=8),
        "three levels": lambda: unet.UNet(width=16, multipliers=(1, 2, 2)),
        "the cloud's network": cloud_network,
    },
)
