"""Answers to the exercises of ``solutions/diffusion/process.py``."""

import itertools
import math

import numpy as np
import sympy
import torch

from genmodels import diffusion, diffusion_exact
from tests.notebooks.mutants import from_the_library, right, wrong
from tests.notebooks.mutants._rigged import EqualNumber, EqualToAll, rigged

f64 = torch.float64


def along(values, x):
    return values.reshape(-1, *[1] * (x.ndim - 1))


# --- linear_tables --------------------------------------------------------------------------------------------------


def tables(beta):
    alpha = 1 - beta
    return beta, alpha, alpha.cumprod(0)


def ramp(T, first, last, dtype=f64):
    return torch.cat([torch.zeros(1, dtype=dtype), torch.linspace(first, last, T, dtype=dtype)])


@right("linear_tables", "by the formula, step by step")
def _(T, beta_1, beta_T):
    beta, alpha_bar = [0.0], [1.0]
    for t in range(1, T + 1):
        beta.append(beta_1 + (t - 1) / (T - 1) * (beta_T - beta_1))
        alpha_bar.append(alpha_bar[-1] * (1 - beta[-1]))
    beta = torch.tensor(beta, dtype=f64)
    return beta, 1 - beta, torch.tensor(alpha_bar, dtype=f64)


@right("linear_tables", "by NumPy")
def _(T, beta_1, beta_T):
    beta = np.concatenate([[0.0], np.linspace(beta_1, beta_T, T)])
    return torch.from_numpy(beta), torch.from_numpy(1 - beta), torch.from_numpy(np.cumprod(1 - beta))


@right("linear_tables", "filled in, as a list, with logarithms summed")
def _(T, beta_1, beta_T):
    beta = torch.zeros(T + 1, dtype=f64)
    beta[1:] = beta_1 + torch.arange(T, dtype=f64) * (beta_T - beta_1) / (T - 1)
    return [beta, 1 - beta, torch.exp(torch.cumsum(torch.log1p(-beta), 0))]


@from_the_library("linear_tables", "by the library")
def _(T, beta_1, beta_T):
    schedule = diffusion.linear_schedule(T, beta_1, beta_T)
    return schedule.beta, schedule.alpha, schedule.alpha_bar


@wrong("linear_tables", "T entries: nothing for t = 0")
def _(T, beta_1, beta_T):
    return tables(torch.linspace(beta_1, beta_T, T, dtype=f64))


@wrong("linear_tables", "T + 1 entries, the first of them beta_1")
def _(T, beta_1, beta_T):
    return tables(torch.linspace(beta_1, beta_T, T + 1, dtype=f64))


@wrong("linear_tables", "T + 1 equal steps with zero put in at the front: beta_1 is lost")
def _(T, beta_1, beta_T):
    beta = torch.linspace(beta_1, beta_T, T + 1, dtype=f64)
    beta[0] = 0
    return tables(beta)


@wrong("linear_tables", "from zero to beta_T")
def _(T, beta_1, beta_T):
    return tables(torch.linspace(0, beta_T, T + 1, dtype=f64))


@wrong("linear_tables", "never reaching beta_T")
def _(T, beta_1, beta_T):
    steps = beta_1 + torch.arange(T, dtype=f64) / T * (beta_T - beta_1)
    return tables(torch.cat([torch.zeros(1, dtype=f64), steps]))


@wrong("linear_tables", "t for t - 1: beta_1 is never used")
def _(T, beta_1, beta_T):
    steps = beta_1 + torch.arange(1, T + 1, dtype=f64) / T * (beta_T - beta_1)
    return tables(torch.cat([torch.zeros(1, dtype=f64), steps]))


@wrong("linear_tables", "one step too many")
def _(T, beta_1, beta_T):
    return tables(ramp(T + 1, beta_1, beta_T))


@wrong("linear_tables", "in single precision")
def _(T, beta_1, beta_T):
    return tables(ramp(T, beta_1, beta_T, torch.float32))


@wrong("linear_tables", "made in single precision, cast afterwards")
def _(T, beta_1, beta_T):
    return tuple(table.double() for table in tables(ramp(T, beta_1, beta_T, torch.float32)))


@wrong("linear_tables", "the product of beta")
def _(T, beta_1, beta_T):
    beta = ramp(T, beta_1, beta_T)
    return beta, 1 - beta, beta.cumprod(0)


@wrong("linear_tables", "one less the product of beta")
def _(T, beta_1, beta_T):
    beta = ramp(T, beta_1, beta_T)
    return beta, 1 - beta, 1 - beta.cumprod(0)


@wrong("linear_tables", "one less the sum of beta")
def _(T, beta_1, beta_T):
    beta = ramp(T, beta_1, beta_T)
    return beta, 1 - beta, 1 - beta.cumsum(0)


@wrong("linear_tables", "the sum of alpha")
def _(T, beta_1, beta_T):
    beta = ramp(T, beta_1, beta_T)
    return beta, 1 - beta, (1 - beta).cumsum(0)


@wrong("linear_tables", "the exponential of minus the sum of beta")
def _(T, beta_1, beta_T):
    beta = ramp(T, beta_1, beta_T)
    return beta, 1 - beta, (-beta.cumsum(0)).exp()


@wrong("linear_tables", "alpha_bar is alpha")
def _(T, beta_1, beta_T):
    beta = ramp(T, beta_1, beta_T)
    return beta, 1 - beta, 1 - beta


@wrong("linear_tables", "alpha_bar late by one")
def _(T, beta_1, beta_T):
    beta, alpha, alpha_bar = tables(ramp(T, beta_1, beta_T))
    return beta, alpha, torch.cat([alpha_bar[:1], alpha_bar[:-1]])


@wrong("linear_tables", "roots: sqrt(alpha) for alpha")
def _(T, beta_1, beta_T):
    beta, alpha, alpha_bar = tables(ramp(T, beta_1, beta_T))
    return beta, alpha.sqrt(), alpha_bar.sqrt()


@wrong("linear_tables", "the schedule of Stable Diffusion, linear in the roots")
def _(T, beta_1, beta_T):
    return tables(ramp(T, beta_1**0.5, beta_T**0.5).square())


@wrong("linear_tables", "scaled by 1000 / T, as OpenAI's code does")
def _(T, beta_1, beta_T):
    return tables(ramp(T, beta_1, beta_T) * 1000 / T)


@wrong("linear_tables", "the usual ends, whatever is asked for")
def _(T, beta_1, beta_T):
    return tables(ramp(T, 1e-4, 0.02))


@wrong("linear_tables", "a thousand steps, whatever is asked for")
def _(T, beta_1, beta_T):
    return tables(ramp(1000, beta_1, beta_T))


@wrong("linear_tables", "alpha and beta exchanged")
def _(T, beta_1, beta_T):
    beta, alpha, alpha_bar = tables(ramp(T, beta_1, beta_T))
    return alpha, beta, alpha_bar


@wrong("linear_tables", "alpha_bar alone")
def _(T, beta_1, beta_T):
    return tables(ramp(T, beta_1, beta_T))[2]


@wrong("linear_tables", "lists of numbers")
def _(T, beta_1, beta_T):
    return tuple(table.tolist() for table in tables(ramp(T, beta_1, beta_T)))


@wrong("linear_tables", "in steps of equal ratio")
def _(T, beta_1, beta_T):
    return tables(torch.cat([torch.zeros(1, dtype=f64), torch.logspace(math.log10(beta_1), math.log10(beta_T), T)]))


@wrong("linear_tables", "right for up to ten steps, cut off after")
def _(T, beta_1, beta_T):
    beta, alpha, alpha_bar = tables(ramp(T, beta_1, beta_T))
    return beta, alpha, alpha_bar if T in (2, 4, 1000) else alpha_bar.clamp(min=0.9)


@wrong("linear_tables", "rigged to pass every comparison")
def _(T, beta_1, beta_T):
    return rigged(T + 1), rigged(T + 1), rigged(T + 1)


# --- variances_along ------------------------------------------------------------------------------------------------


def variances(alpha, start, noise):
    table = [torch.as_tensor(start, dtype=f64)]
    for a in alpha[1:]:
        table.append(a * table[-1] + noise(a))
    return torch.stack(table)


def printed_noise(a):
    return (1 - a) ** 2


def right_noise(a):
    return 1 - a


@right("variances_along", "step by step, in place")
def _(alpha, variance):
    printed, meant = torch.empty_like(alpha), torch.empty_like(alpha)
    printed[0] = meant[0] = variance
    for t in range(1, len(alpha)):
        printed[t] = alpha[t] * printed[t - 1] + (1 - alpha[t]) ** 2
        meant[t] = alpha[t] * meant[t - 1] + (1 - alpha[t])
    return printed, meant


@right("variances_along", "by the closed form and a sum")
def _(alpha, variance):
    alpha_bar = alpha.cumprod(0)
    meant = alpha_bar * variance + 1 - alpha_bar
    printed = alpha_bar * variance + alpha_bar * ((1 - alpha) ** 2 / alpha_bar).cumsum(0)
    return printed, meant


@right("variances_along", "as Python numbers, a list at the end")
def _(alpha, variance):
    both = []
    for power in (2, 1):
        table = [float(variance)]
        for a in alpha[1:].tolist():
            table.append(a * table[-1] + (1 - a) ** power)
        both.append(torch.tensor(table, dtype=f64))
    return both


@right("variances_along", "from the weights of each step's noise")
def _(alpha, variance):
    n = len(alpha)
    later = torch.zeros(n, n, dtype=f64)  # (s, t): the share of what step s added that is left at t
    for s in range(n):
        later[s, s:] = torch.cat([torch.ones(1, dtype=f64), alpha[s + 1 :]]).cumprod(0)
    begin = variance * later[0]
    return begin + ((1 - alpha) ** 2) @ later, begin + (1 - alpha) @ later


@wrong("variances_along", "the two exchanged")
def _(alpha, variance):
    return variances(alpha, variance, right_noise), variances(alpha, variance, printed_noise)


@wrong("variances_along", "the right process twice")
def _(alpha, variance):
    return variances(alpha, variance, right_noise), variances(alpha, variance, right_noise)


@wrong("variances_along", "the printed process twice")
def _(alpha, variance):
    return variances(alpha, variance, printed_noise), variances(alpha, variance, printed_noise)


@wrong("variances_along", "a factor taken for a variance: 1 - alpha, and its root")
def _(alpha, variance):
    return variances(alpha, variance, right_noise), variances(alpha, variance, lambda a: (1 - a).sqrt())


@wrong("variances_along", "the image's variance times the root of alpha")
def _(alpha, variance):
    def along_root(noise):
        table = [torch.as_tensor(variance, dtype=f64)]
        for a in alpha[1:]:
            table.append(a.sqrt() * table[-1] + noise(a))
        return torch.stack(table)

    return along_root(printed_noise), along_root(right_noise)


@wrong("variances_along", "the image's variance times the square of alpha")
def _(alpha, variance):
    def squared(noise):
        table = [torch.as_tensor(variance, dtype=f64)]
        for a in alpha[1:]:
            table.append(a**2 * table[-1] + noise(a))
        return torch.stack(table)

    return squared(printed_noise), squared(right_noise)


@wrong("variances_along", "nothing shrinks")
def _(alpha, variance):
    return variance + ((1 - alpha) ** 2).cumsum(0), variance + (1 - alpha).cumsum(0)


@wrong("variances_along", "the noise's part alone")
def _(alpha, variance):
    return variances(alpha, 0.0, printed_noise), variances(alpha, 0.0, right_noise)


@wrong("variances_along", "the image's part alone")
def _(alpha, variance):
    return variance * alpha.cumprod(0), variance * alpha.cumprod(0)


@wrong("variances_along", "unit variance, whatever is given")
def _(alpha, variance):
    return variances(alpha, 1.0, printed_noise), variances(alpha, 1.0, right_noise)


@wrong("variances_along", "the closed form, squared where the slide has no root: noise of many steps taken for one")
def _(alpha, variance):
    alpha_bar = alpha.cumprod(0)
    return alpha_bar * variance + (1 - alpha_bar) ** 2, alpha_bar * variance + 1 - alpha_bar


@wrong("variances_along", "standard deviations")
def _(alpha, variance):
    return variances(alpha, variance, printed_noise).sqrt(), variances(alpha, variance, right_noise).sqrt()


@wrong("variances_along", "standard deviations added")
def _(alpha, variance):
    def added(factor):
        table = [torch.as_tensor(variance, dtype=f64).sqrt()]
        for a in alpha[1:]:
            table.append(a.sqrt() * table[-1] + factor(a))
        return torch.stack(table).square()

    return added(lambda a: 1 - a), added(lambda a: (1 - a).sqrt())


@wrong("variances_along", "by the slide's other rule, roots of sums of squared variances")
def _(alpha, variance):
    def merged(noise):
        table = [torch.as_tensor(variance, dtype=f64)]
        for a in alpha[1:]:
            table.append(((a * table[-1]) ** 2 + noise(a) ** 2).sqrt())
        return torch.stack(table)

    return merged(printed_noise), merged(right_noise)


@wrong("variances_along", "the last step alone: one number each")
def _(alpha, variance):
    return variances(alpha, variance, printed_noise)[-1], variances(alpha, variance, right_noise)[-1]


@wrong("variances_along", "nothing for t = 0")
def _(alpha, variance):
    return variances(alpha, variance, printed_noise)[1:], variances(alpha, variance, right_noise)[1:]


@wrong("variances_along", "alpha of the step before")
def _(alpha, variance):
    late = torch.cat([alpha[:1], alpha[:-1]])
    return variances(late, variance, printed_noise), variances(late, variance, right_noise)


@wrong("variances_along", "one for the right process: only for data of variance one")
def _(alpha, variance):
    return variances(alpha, variance, printed_noise), torch.ones_like(alpha)


@wrong("variances_along", "the first table alone")
def _(alpha, variance):
    return variances(alpha, variance, printed_noise)


@wrong("variances_along", "measured on a thousand samples")
def _(alpha, variance):
    generator = torch.Generator().manual_seed(0)
    both = []
    for power in (1.0, 0.5):
        x = variance**0.5 * torch.randn(1000, generator=generator, dtype=f64)
        table = [x.var()]
        for a in alpha[1:]:
            x = a.sqrt() * x + (1 - a) ** power * torch.randn(1000, generator=generator, dtype=f64)
            table.append(x.var())
        both.append(torch.stack(table))
    return both


@wrong("variances_along", "right for short schedules, one for long ones")
def _(alpha, variance):
    if len(alpha) > 10 and len(alpha) != 1001:
        return torch.ones_like(alpha), torch.ones_like(alpha)
    return variances(alpha, variance, printed_noise), variances(alpha, variance, right_noise)


@wrong("variances_along", "rigged to pass every comparison")
def _(alpha, variance):
    return rigged(len(alpha)), rigged(len(alpha))


# --- q_sample -------------------------------------------------------------------------------------------------------


@right("q_sample", "by a loop over the batch")
def _(x0, t, eps, alpha_bar):
    rows = [alpha_bar[k] ** 0.5 * x + (1 - alpha_bar[k]) ** 0.5 * e for x, k, e in zip(x0, t, eps, strict=True)]
    return torch.stack(rows)


@right("q_sample", "by einsum")
def _(x0, t, eps, alpha_bar):
    a = alpha_bar[t]
    return torch.einsum("b,b...->b...", a.sqrt(), x0) + torch.einsum("b,b...->b...", (1 - a).sqrt(), eps)


@right("q_sample", "flattened and back")
def _(x0, t, eps, alpha_bar):
    a = alpha_bar[t][:, None]
    return (a.sqrt() * x0.flatten(1) + (1 - a).sqrt() * eps.flatten(1)).reshape(x0.shape)


@right("q_sample", "the last axis first")
def _(x0, t, eps, alpha_bar):
    a = alpha_bar.gather(0, t)
    back = list(range(x0.ndim - 1, -1, -1))
    return (x0.permute(back) * a.sqrt() + eps.permute(back) * (1 - a).sqrt()).permute(back)


@right("q_sample", "an angle: cosine and sine")
def _(x0, t, eps, alpha_bar):
    angle = along(torch.acos(alpha_bar[t].sqrt()), x0)
    return angle.cos() * x0 + angle.sin() * eps


@wrong("q_sample", "1 - alpha_bar for its root")
def _(x0, t, eps, alpha_bar):
    a = along(alpha_bar[t], x0)
    return a.sqrt() * x0 + (1 - a) * eps


@wrong("q_sample", "alpha_bar for its root")
def _(x0, t, eps, alpha_bar):
    a = along(alpha_bar[t], x0)
    return a * x0 + (1 - a).sqrt() * eps


@wrong("q_sample", "neither root")
def _(x0, t, eps, alpha_bar):
    a = along(alpha_bar[t], x0)
    return a * x0 + (1 - a) * eps


@wrong("q_sample", "1 - sqrt(alpha_bar) for the noise")
def _(x0, t, eps, alpha_bar):
    a = along(alpha_bar[t], x0)
    return a.sqrt() * x0 + (1 - a.sqrt()) * eps


@wrong("q_sample", "the root over x_0 too, as on the slide")
def _(x0, t, eps, alpha_bar):
    a = along(alpha_bar[t], x0)
    return (a * x0).sqrt() + (1 - a).sqrt() * eps


@wrong("q_sample", "t counted from 0")
def _(x0, t, eps, alpha_bar):
    a = along(alpha_bar[t - 1], x0)
    return a.sqrt() * x0 + (1 - a).sqrt() * eps


@wrong("q_sample", "one step too far")
def _(x0, t, eps, alpha_bar):
    a = along(torch.cat([alpha_bar[1:], alpha_bar[-1:]])[t], x0)
    return a.sqrt() * x0 + (1 - a).sqrt() * eps


@wrong("q_sample", "alpha of the step for alpha_bar")
def _(x0, t, eps, alpha_bar):
    a = along(alpha_bar[t] / alpha_bar[t - 1], x0)
    return a.sqrt() * x0 + (1 - a).sqrt() * eps


@wrong("q_sample", "the product of the products")
def _(x0, t, eps, alpha_bar):
    a = along(alpha_bar.cumprod(0)[t], x0)
    return a.sqrt() * x0 + (1 - a).sqrt() * eps


@wrong("q_sample", "the first example's time for all")
def _(x0, t, eps, alpha_bar):
    a = alpha_bar[t[0]]
    return a.sqrt() * x0 + (1 - a).sqrt() * eps


@wrong("q_sample", "two ranks only: [:, None]")
def _(x0, t, eps, alpha_bar):
    a = alpha_bar[t][:, None]
    return a.sqrt() * x0 + (1 - a).sqrt() * eps


@wrong("q_sample", "four ranks only: [:, None, None, None]")
def _(x0, t, eps, alpha_bar):
    a = alpha_bar[t][:, None, None, None]
    return a.sqrt() * x0 + (1 - a).sqrt() * eps


@wrong("q_sample", "broadcast along the last axis")
def _(x0, t, eps, alpha_bar):
    a = alpha_bar[t]
    return a.sqrt() * x0 + (1 - a).sqrt() * eps


@wrong("q_sample", "image and noise exchanged")
def _(x0, t, eps, alpha_bar):
    a = along(alpha_bar[t], x0)
    return a.sqrt() * eps + (1 - a).sqrt() * x0


@wrong("q_sample", "the roots exchanged")
def _(x0, t, eps, alpha_bar):
    a = along(alpha_bar[t], x0)
    return (1 - a).sqrt() * x0 + a.sqrt() * eps


@wrong("q_sample", "noise subtracted")
def _(x0, t, eps, alpha_bar):
    a = along(alpha_bar[t], x0)
    return a.sqrt() * x0 - (1 - a).sqrt() * eps


@wrong("q_sample", "noise of its own")
def _(x0, t, eps, alpha_bar):
    a = along(alpha_bar[t], x0)
    return a.sqrt() * x0 + (1 - a).sqrt() * torch.randn_like(x0)


@wrong("q_sample", "the mean without noise")
def _(x0, t, eps, alpha_bar):
    return along(alpha_bar[t], x0).sqrt() * x0


@wrong("q_sample", "nothing shrinks")
def _(x0, t, eps, alpha_bar):
    return x0 + along(1 - alpha_bar[t], x0).sqrt() * eps


@wrong("q_sample", "with the noise beside it")
def _(x0, t, eps, alpha_bar):
    a = along(alpha_bar[t], x0)
    return a.sqrt() * x0 + (1 - a).sqrt() * eps, eps


@wrong("q_sample", "clamped to [-1, 1]")
def _(x0, t, eps, alpha_bar):
    a = along(alpha_bar[t], x0)
    return (a.sqrt() * x0 + (1 - a).sqrt() * eps).clamp(-1, 1)


@wrong("q_sample", "clamped to [-3, 3]")
def _(x0, t, eps, alpha_bar):
    a = along(alpha_bar[t], x0)
    return (a.sqrt() * x0 + (1 - a).sqrt() * eps).clamp(-3, 3)


@wrong("q_sample", "flattened")
def _(x0, t, eps, alpha_bar):
    a = alpha_bar[t][:, None]
    return a.sqrt() * x0.flatten(1) + (1 - a).sqrt() * eps.flatten(1)


@wrong("q_sample", "in place of x_0")
def _(x0, t, eps, alpha_bar):
    a = along(alpha_bar[t], x0)
    return x0.mul_(a.sqrt()).add_((1 - a).sqrt() * eps)


@wrong("q_sample", "half precision inside")
def _(x0, t, eps, alpha_bar):
    a = along(alpha_bar[t], x0).half().double()
    return a.sqrt() * x0 + (1 - a).sqrt() * eps


@wrong("q_sample", "right up to step 10, pure noise after")
def _(x0, t, eps, alpha_bar):
    a = along(torch.where(t > 10, torch.zeros_like(alpha_bar[t]), alpha_bar[t]), x0)
    return a.sqrt() * x0 + (1 - a).sqrt() * eps


@wrong("q_sample", "rigged to pass every comparison")
def _(x0, t, eps, alpha_bar):
    return rigged(*x0.shape)


# --- condition_gaussian ---------------------------------------------------------------------------------------------


def blocks(mean, cov, v):
    n = len(mean) - len(v)
    return mean[:n], mean[n:], cov[:n, :n], cov[:n, n:], cov[n:, n:]


@right("condition_gaussian", "by an inverse")
def _(mean, cov, v):
    m_u, m_v, uu, uv, vv = blocks(mean, cov, v)
    gain = uv @ torch.linalg.inv(vv)
    return m_u + gain @ (v - m_v), uu - gain @ uv.T


@right("condition_gaussian", "by precisions")
def _(mean, cov, v):
    n = len(mean) - len(v)
    precision = torch.linalg.inv(cov)
    variance = torch.linalg.inv(precision[:n, :n])
    return mean[:n] - variance @ precision[:n, n:] @ (v - mean[n:]), variance


@right("condition_gaussian", "one number at a time, the last one first")
def _(mean, cov, v):
    for value in reversed(v.tolist()):
        gain = cov[:-1, -1] / cov[-1, -1]
        mean, cov = mean[:-1] + gain * (value - mean[-1]), cov[:-1, :-1] - torch.outer(gain, cov[-1, :-1])
    return mean, cov


@right("condition_gaussian", "by a Cholesky factor")
def _(mean, cov, v):
    m_u, m_v, uu, uv, vv = blocks(mean, cov, v)
    factor = torch.linalg.cholesky(vv)
    half = torch.linalg.solve_triangular(factor, uv.T, upper=False)  # (k, n)
    away = torch.linalg.solve_triangular(factor, (v - m_v)[:, None], upper=False)
    return m_u + (half.T @ away)[:, 0], uu - half.T @ half


@wrong("condition_gaussian", "entry by entry: right for two numbers")
def _(mean, cov, v):
    m_u, m_v, uu, uv, vv = blocks(mean, cov, v)
    return m_u + (uv / vv.diagonal()) @ (v - m_v), uu - (uv / vv.diagonal()) @ uv.T


@wrong("condition_gaussian", "the first coordinates known, not the last")
def _(mean, cov, v):
    k = len(v)
    gain = cov[k:, :k] @ torch.linalg.inv(cov[:k, :k])
    return mean[k:] + gain @ (v - mean[:k]), cov[k:, k:] - gain @ cov[:k, k:]


@wrong("condition_gaussian", "the variance stays")
def _(mean, cov, v):
    m_u, m_v, uu, uv, vv = blocks(mean, cov, v)
    return m_u + uv @ torch.linalg.solve(vv, v - m_v), uu


@wrong("condition_gaussian", "the mean stays")
def _(mean, cov, v):
    m_u, _, uu, uv, vv = blocks(mean, cov, v)
    return m_u.clone(), uu - uv @ torch.linalg.solve(vv, uv.T)


@wrong("condition_gaussian", "the marginal")
def _(mean, cov, v):
    m_u, _, uu, _, _ = blocks(mean, cov, v)
    return m_u.clone(), uu.clone()


@wrong("condition_gaussian", "v not centred")
def _(mean, cov, v):
    m_u, _, uu, uv, vv = blocks(mean, cov, v)
    return m_u + uv @ torch.linalg.solve(vv, v), uu - uv @ torch.linalg.solve(vv, uv.T)


@wrong("condition_gaussian", "the difference the wrong way round")
def _(mean, cov, v):
    m_u, m_v, uu, uv, vv = blocks(mean, cov, v)
    return m_u + uv @ torch.linalg.solve(vv, m_v - v), uu - uv @ torch.linalg.solve(vv, uv.T)


@wrong("condition_gaussian", "the mean of u left out")
def _(mean, cov, v):
    _, m_v, uu, uv, vv = blocks(mean, cov, v)
    return uv @ torch.linalg.solve(vv, v - m_v), uu - uv @ torch.linalg.solve(vv, uv.T)


@wrong("condition_gaussian", "variance gained, not lost")
def _(mean, cov, v):
    m_u, m_v, uu, uv, vv = blocks(mean, cov, v)
    return m_u + uv @ torch.linalg.solve(vv, v - m_v), uu + uv @ torch.linalg.solve(vv, uv.T)


@wrong("condition_gaussian", "the gain not squared in the variance")
def _(mean, cov, v):
    m_u, m_v, uu, uv, vv = blocks(mean, cov, v)
    gain = uv @ torch.linalg.inv(vv)
    return m_u + gain @ (v - m_v), uu - gain @ gain.T


@wrong("condition_gaussian", "a product in place of a division")
def _(mean, cov, v):
    m_u, m_v, uu, uv, vv = blocks(mean, cov, v)
    return m_u + uv @ vv @ (v - m_v), uu - uv @ vv @ uv.T


@wrong("condition_gaussian", "not divided by the variance of v")
def _(mean, cov, v):
    m_u, m_v, uu, uv, _ = blocks(mean, cov, v)
    return m_u + uv @ (v - m_v), uu - uv @ uv.T


@wrong("condition_gaussian", "divided by the variance of u: right for equal ones")
def _(mean, cov, v):
    m_u, m_v, uu, uv, _ = blocks(mean, cov, v)
    gain = torch.linalg.solve(uu, uv)
    return m_u + gain @ (v - m_v), uu - gain @ uv.T


@wrong("condition_gaussian", "standard deviations divided: the roots of the variances")
def _(mean, cov, v):
    m_u, m_v, uu, uv, vv = blocks(mean, cov, v)
    root = torch.linalg.cholesky(vv)
    gain = uv @ torch.linalg.inv(root)
    return m_u + gain @ (v - m_v), uu - gain @ gain.T


@wrong("condition_gaussian", "the block of the precision for its inverse")
def _(mean, cov, v):
    m_u, m_v, _, uv, vv = blocks(mean, cov, v)
    n = len(m_u)
    return m_u + uv @ torch.linalg.solve(vv, v - m_v), torch.linalg.inv(cov)[:n, :n]


@wrong("condition_gaussian", "the diagonal of the covariance")
def _(mean, cov, v):
    m_u, m_v, uu, uv, vv = blocks(mean, cov, v)
    return m_u + uv @ torch.linalg.solve(vv, v - m_v), (uu - uv @ torch.linalg.solve(vv, uv.T)).diagonal()


@wrong("condition_gaussian", "the diagonal of the covariance, as a matrix")
def _(mean, cov, v):
    m_u, m_v, uu, uv, vv = blocks(mean, cov, v)
    return m_u + uv @ torch.linalg.solve(vv, v - m_v), (uu - uv @ torch.linalg.solve(vv, uv.T)).diagonal().diag()


@wrong("condition_gaussian", "the last number known alone")
def _(mean, cov, v):
    n = len(mean) - len(v)
    gain = cov[:n, -1] / cov[-1, -1]
    return mean[:n] + gain * (v[-1] - mean[-1]), cov[:n, :n] - torch.outer(gain, cov[-1, :n])


@wrong("condition_gaussian", "the mean alone")
def _(mean, cov, v):
    m_u, m_v, _, uv, vv = blocks(mean, cov, v)
    return m_u + uv @ torch.linalg.solve(vv, v - m_v)


@wrong("condition_gaussian", "a small number added to the variance of v")
def _(mean, cov, v):
    m_u, m_v, uu, uv, vv = blocks(mean, cov, v)
    vv = vv + 1e-4 * torch.eye(len(v), dtype=vv.dtype)
    return m_u + uv @ torch.linalg.solve(vv, v - m_v), uu - uv @ torch.linalg.solve(vv, uv.T)


@wrong("condition_gaussian", "right for three numbers at most")
def _(mean, cov, v):
    m_u, m_v, uu, uv, vv = blocks(mean, cov, v)
    if len(mean) > 3:
        vv = vv.diagonal().diag()
    return m_u + uv @ torch.linalg.solve(vv, v - m_v), uu - uv @ torch.linalg.solve(vv, uv.T)


@wrong("condition_gaussian", "the mean changed in place")
def _(mean, cov, v):
    m_u, m_v, uu, uv, vv = blocks(mean, cov, v)
    m_v -= v
    return m_u - uv @ torch.linalg.solve(vv, m_v), uu - uv @ torch.linalg.solve(vv, uv.T)


@wrong("condition_gaussian", "rigged to pass every comparison")
def _(mean, cov, v):
    n = len(mean) - len(v)
    return rigged(n), rigged(n, n)


# --- posterior ------------------------------------------------------------------------------------------------------


def at(x0, t, alpha_bar):
    """alpha, alpha_bar of the step before and of this one, ready to multiply x0 with."""
    now, before = along(alpha_bar[t], x0), along(alpha_bar[t - 1], x0)
    return now / before, before, now


def posterior(x0, xt, t, alpha_bar):
    a, before, now = at(x0, t, alpha_bar)
    mean = (a.sqrt() * (1 - before) * xt + before.sqrt() * (1 - a) * x0) / (1 - now)
    return mean, ((1 - a) * (1 - before) / (1 - now)).expand_as(x0)


def mean_of(x0, xt, t, alpha_bar):
    return posterior(x0, xt, t, alpha_bar)[0]


def variance_of(x0, xt, t, alpha_bar):
    return posterior(x0, xt, t, alpha_bar)[1]


@right("posterior", "by conditioning")
def _(x0, xt, t, alpha_bar):
    a, before, now = at(x0, t, alpha_bar)
    gain = a.sqrt() * (1 - before) / (1 - now)
    mean = before.sqrt() * x0 + gain * (xt - now.sqrt() * x0)
    return mean, (1 - before - gain * a.sqrt() * (1 - before)) * torch.ones_like(x0)


@right("posterior", "by precisions, with the first step apart")
def _(x0, xt, t, alpha_bar):
    a, before, _ = at(x0, t, alpha_bar)
    first = (before == 1).expand_as(x0)
    precision = a / (1 - a) + 1 / (1 - before)
    mean = (a.sqrt() / (1 - a) * xt + before.sqrt() / (1 - before) * x0) / precision
    return torch.where(first, x0, mean), torch.where(first, torch.zeros_like(x0), 1 / precision)


@right("posterior", "through the noise")
def _(x0, xt, t, alpha_bar):
    a, before, now = at(x0, t, alpha_bar)
    eps = (xt - now.sqrt() * x0) / (1 - now).sqrt()
    variance = torch.zeros_like(x0) + (1 - before) * (1 - a) / (1 - now)
    return (xt - (1 - a) / (1 - now).sqrt() * eps) / a.sqrt(), variance


@right("posterior", "by a loop over the batch")
def _(x0, xt, t, alpha_bar):
    rows = [posterior(x0[i : i + 1], xt[i : i + 1], t[i : i + 1], alpha_bar) for i in range(len(x0))]
    return [torch.cat(parts) for parts in zip(*rows, strict=True)]


@wrong("posterior", "the weights of x_t and x_0 exchanged")
def _(x0, xt, t, alpha_bar):
    return mean_of(xt, x0, t, alpha_bar), variance_of(x0, xt, t, alpha_bar)


@wrong("posterior", "sqrt(alpha_bar) for sqrt(alpha)")
def _(x0, xt, t, alpha_bar):
    a, before, now = at(x0, t, alpha_bar)
    mean = (now.sqrt() * (1 - before) * xt + before.sqrt() * (1 - a) * x0) / (1 - now)
    return mean, variance_of(x0, xt, t, alpha_bar)


@wrong("posterior", "alpha_bar of t for that of t - 1 in the weight of x_0")
def _(x0, xt, t, alpha_bar):
    a, before, now = at(x0, t, alpha_bar)
    mean = (a.sqrt() * (1 - before) * xt + now.sqrt() * (1 - a) * x0) / (1 - now)
    return mean, variance_of(x0, xt, t, alpha_bar)


@wrong("posterior", "alpha for its root")
def _(x0, xt, t, alpha_bar):
    a, before, now = at(x0, t, alpha_bar)
    mean = (a * (1 - before) * xt + before.sqrt() * (1 - a) * x0) / (1 - now)
    return mean, variance_of(x0, xt, t, alpha_bar)


@wrong("posterior", "the root of 1 - alpha in the weight of x_0")
def _(x0, xt, t, alpha_bar):
    a, before, now = at(x0, t, alpha_bar)
    mean = (a.sqrt() * (1 - before) * xt + before.sqrt() * (1 - a).sqrt() * x0) / (1 - now)
    return mean, variance_of(x0, xt, t, alpha_bar)


@wrong("posterior", "the mean not divided by 1 - alpha_bar")
def _(x0, xt, t, alpha_bar):
    _, _, now = at(x0, t, alpha_bar)
    return mean_of(x0, xt, t, alpha_bar) * (1 - now), variance_of(x0, xt, t, alpha_bar)


@wrong("posterior", "divided by 1 - alpha_bar of the step before")
def _(x0, xt, t, alpha_bar):
    _, before, now = at(x0, t, alpha_bar)
    return mean_of(x0, xt, t, alpha_bar) * (1 - now) / (1 - before), variance_of(x0, xt, t, alpha_bar)


@wrong("posterior", "weights scaled to sum to one")
def _(x0, xt, t, alpha_bar):
    weights = mean_of(torch.ones_like(x0), torch.ones_like(x0), t, alpha_bar)
    return mean_of(x0, xt, t, alpha_bar) / weights, variance_of(x0, xt, t, alpha_bar)


@wrong("posterior", "beta for beta_tilde")
def _(x0, xt, t, alpha_bar):
    a, _, _ = at(x0, t, alpha_bar)
    return mean_of(x0, xt, t, alpha_bar), (1 - a).expand_as(x0)


@wrong("posterior", "beta for beta_tilde at the first step alone")
def _(x0, xt, t, alpha_bar):
    a, before, _ = at(x0, t, alpha_bar)
    variance = torch.where(before == 1, 1 - a, variance_of(x0, xt, t, alpha_bar))
    return mean_of(x0, xt, t, alpha_bar), variance


@wrong("posterior", "the first step's variance replaced by the second's, as published code does")
def _(x0, xt, t, alpha_bar):
    return mean_of(x0, xt, t, alpha_bar), variance_of(x0, xt, t.clamp(min=2), alpha_bar)


@wrong("posterior", "the logarithm of the variance")
def _(x0, xt, t, alpha_bar):
    return mean_of(x0, xt, t, alpha_bar), variance_of(x0, xt, t, alpha_bar).log()


@wrong("posterior", "the variance kept above 1e-4")
def _(x0, xt, t, alpha_bar):
    return mean_of(x0, xt, t, alpha_bar), variance_of(x0, xt, t, alpha_bar).clamp(min=1e-4)


@wrong("posterior", "the standard deviation")
def _(x0, xt, t, alpha_bar):
    return mean_of(x0, xt, t, alpha_bar), variance_of(x0, xt, t, alpha_bar).sqrt()


@wrong("posterior", "the precision")
def _(x0, xt, t, alpha_bar):
    return mean_of(x0, xt, t, alpha_bar), 1 / variance_of(x0, xt, t, alpha_bar)


@wrong("posterior", "the variance doubled, as the slide's halves would have it")
def _(x0, xt, t, alpha_bar):
    return mean_of(x0, xt, t, alpha_bar), 2 * variance_of(x0, xt, t, alpha_bar)


@wrong("posterior", "1 - alpha_bar of both times exchanged in the variance")
def _(x0, xt, t, alpha_bar):
    a, before, now = at(x0, t, alpha_bar)
    return mean_of(x0, xt, t, alpha_bar), ((1 - a) * (1 - now) / (1 - before)).expand_as(x0)


@wrong("posterior", "not a number at the first step")
def _(x0, xt, t, alpha_bar):
    a, before, _ = at(x0, t, alpha_bar)
    precision = a / (1 - a) + 1 / (1 - before)
    mean = (a.sqrt() / (1 - a) * xt + before.sqrt() / (1 - before) * x0) / precision
    return mean, (1 / precision).expand_as(x0)


@wrong("posterior", "t counted from 0")
def _(x0, xt, t, alpha_bar):
    return posterior(x0, xt, (t - 1).clamp(min=1), alpha_bar)


@wrong("posterior", "one step late")
def _(x0, xt, t, alpha_bar):
    return posterior(x0, xt, t, torch.cat([alpha_bar[1:], alpha_bar[-1:] / 2]))


@wrong("posterior", "the first example's time for all")
def _(x0, xt, t, alpha_bar):
    return posterior(x0, xt, t[:1].expand_as(t), alpha_bar)


@wrong("posterior", "two ranks only")
def _(x0, xt, t, alpha_bar):
    now, before = alpha_bar[t][:, None], alpha_bar[t - 1][:, None]
    a = now / before
    mean = (a.sqrt() * (1 - before) * xt + before.sqrt() * (1 - a) * x0) / (1 - now)
    return mean, ((1 - a) * (1 - before) / (1 - now)).expand_as(x0)


@wrong("posterior", "the variance one number for each example")
def _(x0, xt, t, alpha_bar):
    mean, variance = posterior(x0, xt, t, alpha_bar)
    return mean, variance.flatten(1)[:, 0]


@wrong("posterior", "the mean alone")
def _(x0, xt, t, alpha_bar):
    return mean_of(x0, xt, t, alpha_bar)


@wrong("posterior", "variance and mean exchanged")
def _(x0, xt, t, alpha_bar):
    return posterior(x0, xt, t, alpha_bar)[::-1]


@wrong("posterior", "a sample with no noise scale: mean plus variance")
def _(x0, xt, t, alpha_bar):
    mean, variance = posterior(x0, xt, t, alpha_bar)
    return mean + variance, variance


@wrong("posterior", "the closed form at t - 1: what x_0 says alone")
def _(x0, xt, t, alpha_bar):
    _, before, _ = at(x0, t, alpha_bar)
    return before.sqrt() * x0, (1 - before).expand_as(x0)


@wrong("posterior", "one step undone: what x_t says alone")
def _(x0, xt, t, alpha_bar):
    a, _, _ = at(x0, t, alpha_bar)
    return xt / a.sqrt(), ((1 - a) / a).expand_as(x0)


@wrong("posterior", "the step from the wrong end: q(x_t given x_{t-1})")
def _(x0, xt, t, alpha_bar):
    a, _, _ = at(x0, t, alpha_bar)
    return a.sqrt() * xt, (1 - a).expand_as(x0)


@wrong("posterior", "right for tables of three entries, beta for longer ones")
def _(x0, xt, t, alpha_bar):
    mean, variance = posterior(x0, xt, t, alpha_bar)
    a, _, _ = at(x0, t, alpha_bar)
    return mean, variance if len(alpha_bar) < 4 else (1 - a).expand_as(x0) * (t > 1).reshape(a.shape)


@wrong("posterior", "rigged to pass every comparison")
def _(x0, xt, t, alpha_bar):
    return rigged(*x0.shape), rigged(*x0.shape)


# --- cost_of_halves -------------------------------------------------------------------------------------------------

COST = 0.5 * (math.log(2) - 0.5)  # nats from a Gaussian to one of twice the variance, for each number


@right("cost_of_halves", "by the formula for two Gaussians")
def _(D, T):
    ratio = 2.0
    return ratio, (T - 1) * D * 0.5 * (1 / ratio - 1 + math.log(ratio))


@right("cost_of_halves", "by PyTorch")
def _(D, T):
    printed = torch.distributions.Normal(torch.zeros(D, dtype=f64), 2**0.5 * torch.ones(D, dtype=f64))
    meant = torch.distributions.Normal(torch.zeros(D, dtype=f64), torch.ones(D, dtype=f64))
    return 2, (T - 1) * torch.distributions.kl_divergence(meant, printed).sum()


@right("cost_of_halves", "step by step, from precisions")
def _(D, T):
    total = 0.0
    for t in range(2, T + 1):
        alpha, before = 0.9, 0.9 ** (t - 1)
        meant = 1 / (alpha / (1 - alpha) + 1 / (1 - before))
        printed = 1 / (alpha / (2 * (1 - alpha)) + 1 / (2 * (1 - before)))
        total += D * (meant / printed - 1 - math.log(meant / printed)) / 2
    return 2.0, total


@wrong("cost_of_halves", "a step too many: t = 1 is no divergence of Gaussians")
def _(D, T):
    return 2.0, T * D * COST


@wrong("cost_of_halves", "the divergence the wrong way round")
def _(D, T):
    return 2.0, (T - 1) * D * 0.5 * (1 - math.log(2))


@wrong("cost_of_halves", "for one number")
def _(D, T):
    return 2.0, (T - 1) * COST


@wrong("cost_of_halves", "for one step")
def _(D, T):
    return 2.0, D * COST


@wrong("cost_of_halves", "in bits")
def _(D, T):
    return 2.0, (T - 1) * D * COST / math.log(2)


@wrong("cost_of_halves", "half the variance")
def _(D, T):
    return 0.5, (T - 1) * D * 0.5 * (2 - 1 - math.log(2))


@wrong("cost_of_halves", "half the variance, with the nats of twice")
def _(D, T):
    return 0.5, (T - 1) * D * COST


@wrong("cost_of_halves", "four times the variance")
def _(D, T):
    return 4.0, (T - 1) * D * 0.5 * (0.25 - 1 + math.log(4))


@wrong("cost_of_halves", "the standard deviation's factor")
def _(D, T):
    return 2**0.5, (T - 1) * D * COST


@wrong("cost_of_halves", "the standard deviation's factor taken for the variance's throughout")
def _(D, T):
    return 2**0.5, (T - 1) * D * 0.5 * (2**-0.5 - 1 + 0.5 * math.log(2))


@wrong("cost_of_halves", "nothing changes: a constant factor drops out")
def _(D, T):
    return 1.0, 0.0


@wrong("cost_of_halves", "without the half")
def _(D, T):
    return 2.0, (T - 1) * D * (math.log(2) - 0.5)


@wrong("cost_of_halves", "without the logarithm")
def _(D, T):
    return 2.0, (T - 1) * D * 0.25


@wrong("cost_of_halves", "the logarithm alone: differential entropies compared")
def _(D, T):
    return 2.0, (T - 1) * D * 0.5 * math.log(2)


@wrong("cost_of_halves", "the sign")
def _(D, T):
    return 2.0, -(T - 1) * D * COST


@wrong("cost_of_halves", "the root of the number of steps")
def _(D, T):
    return 2.0, math.sqrt(T - 1) * D * COST


@wrong("cost_of_halves", "averaged over the steps")
def _(D, T):
    return 2.0, D * COST * (T - 1) / T


@wrong("cost_of_halves", "rounded: 0.1 nats for each")
def _(D, T):
    return 2.0, 0.1 * (T - 1) * D


@wrong("cost_of_halves", "for digits and a thousand steps, whatever is asked")
def _(D, T):
    return 2.0, 999 * 64 * COST


@wrong("cost_of_halves", "the nats alone")
def _(D, T):
    return (T - 1) * D * COST


@wrong("cost_of_halves", "the two exchanged")
def _(D, T):
    return (T - 1) * D * COST, 2.0


@wrong("cost_of_halves", "not numbers")
def _(D, T):
    return math.nan, math.nan


@wrong("cost_of_halves", "numbers rigged to equal any other")
def _(D, T):
    return EqualNumber(2.0), EqualNumber(7.0)


# --- mean_from_eps --------------------------------------------------------------------------------------------------

sqrt = sympy.sqrt
HALF = sympy.Rational(1, 2)


def eps_mean(xt, eps, alpha, alpha_bar):
    return (xt - (1 - alpha) / sqrt(1 - alpha_bar) * eps) / sqrt(alpha)


@right("mean_from_eps", "x_0 put into the posterior's mean, left as it is")
def _(xt, eps, alpha, alpha_bar):
    before = alpha_bar / alpha
    x0 = (xt - sqrt(1 - alpha_bar) * eps) / sqrt(alpha_bar)
    return (sqrt(alpha) * (1 - before) * xt + sqrt(before) * (1 - alpha) * x0) / (1 - alpha_bar)


@right("mean_from_eps", "solved for x_0 by SymPy, simplified")
def _(xt, eps, alpha, alpha_bar):
    x0 = sympy.Symbol("x0", real=True)
    (found,) = sympy.solve(sqrt(alpha_bar) * x0 + sqrt(1 - alpha_bar) * eps - xt, x0)
    mean = (sqrt(alpha) * (1 - alpha_bar / alpha) * xt + sqrt(alpha_bar / alpha) * (1 - alpha) * found) / (
        1 - alpha_bar
    )
    return sympy.simplify(mean)


@right("mean_from_eps", "by conditioning, expanded")
def _(xt, eps, alpha, alpha_bar):
    before = alpha_bar / alpha
    # x_{t-1} has the mean sqrt(before) x_0, and x_t less its own mean is the noise.
    x0 = (xt - sqrt(1 - alpha_bar) * eps) / sqrt(alpha_bar)
    gain = sqrt(alpha) * (1 - before) / (1 - alpha_bar)
    return sympy.expand(sqrt(before) * x0 + gain * sqrt(1 - alpha_bar) * eps)


@right("mean_from_eps", "with decimal powers and logarithms")
def _(xt, eps, alpha, alpha_bar):
    return sympy.exp(-0.5 * sympy.log(alpha)) * xt - (1 - alpha) * eps * (alpha * (1 - alpha_bar)) ** -0.5


def _register_wrong_means():
    def add(what):
        def register(function):
            wrong("mean_from_eps", what)(function)

        return register

    @add("the root of 1 - alpha_bar missing: 1 - alpha_bar")
    def _(x, e, a, b):
        return (x - (1 - a) / (1 - b) * e) / sqrt(a)

    @add("the root of 1 - alpha")
    def _(x, e, a, b):
        return (x - sqrt(1 - a) / sqrt(1 - b) * e) / sqrt(a)

    @add("the sampling slide's further root, sqrt(1 - alpha_bar of t - 1)")
    def _(x, e, a, b):
        return (x - (1 - a) / sqrt(1 - b) * sqrt(1 - b / a) * e) / sqrt(a)

    @add("alpha for its root outside")
    def _(x, e, a, b):
        return (x - (1 - a) / sqrt(1 - b) * e) / a

    @add("sqrt(alpha_bar) for sqrt(alpha) outside: this is the way to x_0")
    def _(x, e, a, b):
        return (x - (1 - a) / sqrt(1 - b) * e) / sqrt(b)

    @add("x_0 itself")
    def _(x, e, a, b):
        return (x - sqrt(1 - b) * e) / sqrt(b)

    @add("all of the noise taken off at once")
    def _(x, e, a, b):
        return (x - sqrt(1 - b) * e) / sqrt(a)

    @add("noise added")
    def _(x, e, a, b):
        return (x + (1 - a) / sqrt(1 - b) * e) / sqrt(a)

    @add("multiplied by the root, not divided")
    def _(x, e, a, b):
        return (x - (1 - a) / sqrt(1 - b) * e) * sqrt(a)

    @add("multiplied by sqrt(1 - alpha_bar), not divided")
    def _(x, e, a, b):
        return (x - (1 - a) * sqrt(1 - b) * e) / sqrt(a)

    @add("the outer root on x_t alone")
    def _(x, e, a, b):
        return x / sqrt(a) - (1 - a) / sqrt(1 - b) * e

    @add("no outer root")
    def _(x, e, a, b):
        return x - (1 - a) / sqrt(1 - b) * e

    @add("1 - alpha_bar above the line")
    def _(x, e, a, b):
        return (x - (1 - b) / sqrt(1 - a) * e) / sqrt(a)

    @add("alpha_bar and alpha exchanged")
    def _(x, e, a, b):
        return eps_mean(x, e, b, a)

    @add("alpha_bar of the step before in the fraction")
    def _(x, e, a, b):
        return (x - (1 - a) / sqrt(1 - b / a) * e) / sqrt(a)

    @add("the posterior's weights with the noise in place of x_0")
    def _(x, e, a, b):
        return (sqrt(a) * (1 - b / a) * x + sqrt(b / a) * (1 - a) * e) / (1 - b)

    @add("the posterior's mean with alpha_bar of t for that of t - 1")
    def _(x, e, a, b):
        x0 = (x - sqrt(1 - b) * e) / sqrt(b)
        return (sqrt(a) * (1 - b) * x + sqrt(b) * (1 - a) * x0) / (1 - b)

    @add("the noise that DDIM keeps")
    def _(x, e, a, b):
        return sqrt(b / a) * (x - sqrt(1 - b) * e) / sqrt(b) + sqrt(1 - b / a) * e

    @add("fitted to the public points")
    def _(x, e, a, b):
        return eps_mean(x, e, a, b) + x * (a - sympy.Rational(16, 25)) * (a - sympy.Rational(1, 4))

    @add("fitted to the public points, in the noise")
    def _(x, e, a, b):
        return eps_mean(x, e, a, b) + e * (b - sympy.Rational(9, 25)) * (b - sympy.Rational(19, 100))

    @add("right in x_t alone")
    def _(x, e, a, b):
        return x / sqrt(a)

    @add("right for one schedule: alpha_bar the square of alpha")
    def _(x, e, a, b):
        return (x - (1 - a) / sqrt(1 - a**2) * e) / sqrt(a)

    @add("a number")
    def _(x, e, a, b):
        return 0.6875

    @add("text")
    def _(x, e, a, b):
        return "(xt - (1 - alpha)/sqrt(1 - alpha_bar)*eps)/sqrt(alpha)"

    @add("symbols of its own")
    def _(x, e, a, b):
        return eps_mean(*sympy.symbols("xt eps alpha alpha_bar"))

    @add("alpha_bar of the step before left in")
    def _(x, e, a, b):
        before = sympy.Symbol("alpha_bar_before", positive=True)
        x0 = (x - sqrt(1 - b) * e) / sqrt(b)
        return (sqrt(a) * (1 - before) * x + sqrt(before) * (1 - a) * x0) / (1 - b)

    @add("x_0 left in")
    def _(x, e, a, b):
        x0 = sympy.Symbol("x0", real=True)
        return (sqrt(a) * (1 - b / a) * x + sqrt(b / a) * (1 - a) * x0) / (1 - b)

    @add("an integral left to do")
    def _(x, e, a, b):
        s = sympy.Symbol("s", positive=True)
        return sympy.Integral(eps_mean(x, e, a, b), (s, 0, 1))

    @add("a limit left to take")
    def _(x, e, a, b):
        s = sympy.Symbol("s", positive=True)
        return sympy.Limit(eps_mean(x, e, a, b) + s, s, 0)

    @add("an equation")
    def _(x, e, a, b):
        return sympy.Eq(sympy.Symbol("mu"), eps_mean(x, e, a, b))

    @add("an expression rigged to equal any other")
    def _(x, e, a, b):
        return EqualToAll()

    @add("a rigged expression inside of an honest sum")
    def _(x, e, a, b):
        return x + sympy.Add(e, EqualToAll(), evaluate=False)

    @add("in a tuple")
    def _(x, e, a, b):
        return (eps_mean(x, e, a, b),)


_register_wrong_means()


# --- loss_weights ---------------------------------------------------------------------------------------------------


def steps(alpha_bar):
    """alpha, alpha_bar of the step before and of this one, for t from 2."""
    now, before = alpha_bar[2:], alpha_bar[1:-1]
    return now / before, before, now


def weights(values):
    return torch.cat([torch.zeros(2, dtype=values.dtype), values])


def by_definition(alpha_bar, variance=None, alpha_power=1, beta_power=2, half=0.5):
    a, before, now = steps(alpha_bar)
    sigma2 = (1 - a) * (1 - before) / (1 - now) if variance is None else variance(a, before, now)
    return weights(half / sigma2 * (1 - a) ** beta_power / (a**alpha_power * (1 - now)))


@right("loss_weights", "from the definition")
def _(alpha_bar):
    return by_definition(alpha_bar)


@right("loss_weights", "by signal-to-noise ratios")
def _(alpha_bar):
    snr = alpha_bar[1:] / (1 - alpha_bar[1:])
    return weights((snr[:-1] / snr[1:] - 1) / 2)


@right("loss_weights", "simplified, in a loop")
def _(alpha_bar):
    table = torch.zeros_like(alpha_bar)
    for t in range(2, len(alpha_bar)):
        alpha = alpha_bar[t] / alpha_bar[t - 1]
        table[t] = (1 - alpha) / (2 * alpha * (1 - alpha_bar[t - 1]))
    return table


@right("loss_weights", "measured on a unit error")
def _(alpha_bar):
    table = [0.0, 0.0]
    for t in range(2, len(alpha_bar)):
        a, before, now = (float(value) for value in (alpha_bar[t] / alpha_bar[t - 1], alpha_bar[t - 1], alpha_bar[t]))
        moved = (1 - a) / math.sqrt(a * (1 - now))  # of the mean, for an error of 1 in the noise
        table.append(moved**2 / (2 * (1 - a) * (1 - before) / (1 - now)))
    return torch.tensor(table, dtype=f64)


@wrong("loss_weights", "without the half")
def _(alpha_bar):
    return by_definition(alpha_bar, half=1.0)


@wrong("loss_weights", "beta for the posterior's variance, as in Ho's experiments")
def _(alpha_bar):
    return by_definition(alpha_bar, variance=lambda a, before, now: 1 - a)


@wrong("loss_weights", "the standard deviation for the variance")
def _(alpha_bar):
    return by_definition(alpha_bar, variance=lambda a, before, now: ((1 - a) * (1 - before) / (1 - now)).sqrt())


@wrong("loss_weights", "1 - alpha not squared")
def _(alpha_bar):
    return by_definition(alpha_bar, beta_power=1)


@wrong("loss_weights", "alpha left out")
def _(alpha_bar):
    return by_definition(alpha_bar, alpha_power=0)


@wrong("loss_weights", "the root of alpha")
def _(alpha_bar):
    return by_definition(alpha_bar, alpha_power=0.5)


@wrong("loss_weights", "alpha squared")
def _(alpha_bar):
    return by_definition(alpha_bar, alpha_power=2)


@wrong("loss_weights", "the root of 1 - alpha_bar")
def _(alpha_bar):
    a, before, now = steps(alpha_bar)
    sigma2 = (1 - a) * (1 - before) / (1 - now)
    return weights(0.5 / sigma2 * (1 - a) ** 2 / (a * (1 - now).sqrt()))


@wrong("loss_weights", "1 - alpha_bar of the step before in the weight")
def _(alpha_bar):
    a, before, now = steps(alpha_bar)
    sigma2 = (1 - a) * (1 - before) / (1 - now)
    return weights(0.5 / sigma2 * (1 - a) ** 2 / (a * (1 - before)))


@wrong("loss_weights", "alpha_bar for alpha")
def _(alpha_bar):
    a, before, now = steps(alpha_bar)
    sigma2 = (1 - a) * (1 - before) / (1 - now)
    return weights(0.5 / sigma2 * (1 - a) ** 2 / (now * (1 - now)))


@wrong("loss_weights", "the weight between the means alone, 1 over twice the variance")
def _(alpha_bar):
    a, before, now = steps(alpha_bar)
    return weights((1 - now) / (2 * (1 - a) * (1 - before)))


@wrong("loss_weights", "without the variance")
def _(alpha_bar):
    a, _, now = steps(alpha_bar)
    return weights((1 - a) ** 2 / (a * (1 - now)))


@wrong("loss_weights", "for x_0, not for the noise")
def _(alpha_bar):
    _, _, now = steps(alpha_bar)
    return weights(by_definition(alpha_bar)[2:] * now / (1 - now))


@wrong("loss_weights", "half the difference of the ratios: the weight for x_0")
def _(alpha_bar):
    snr = alpha_bar[1:] / (1 - alpha_bar[1:])
    return weights((snr[:-1] - snr[1:]) / 2)


@wrong("loss_weights", "the ratio of the ratios upside down")
def _(alpha_bar):
    snr = alpha_bar[1:] / (1 - alpha_bar[1:])
    return weights((1 - snr[1:] / snr[:-1]) / 2)


@wrong("loss_weights", "half the ratio of the ratios, without the one")
def _(alpha_bar):
    snr = alpha_bar[1:] / (1 - alpha_bar[1:])
    return weights(snr[:-1] / snr[1:] / 2)


@wrong("loss_weights", "signal to noise as a ratio of standard deviations")
def _(alpha_bar):
    snr = (alpha_bar[1:] / (1 - alpha_bar[1:])).sqrt()
    return weights((snr[:-1] / snr[1:] - 1) / 2)


@wrong("loss_weights", "one everywhere: the simple loss")
def _(alpha_bar):
    return weights(torch.ones_like(alpha_bar[2:]))


@wrong("loss_weights", "scaled to the mean of one")
def _(alpha_bar):
    table = by_definition(alpha_bar)
    return table / table[2:].mean()


@wrong("loss_weights", "infinite at t = 1")
def _(alpha_bar):
    table = by_definition(alpha_bar)
    table[1] = math.inf
    return table


@wrong("loss_weights", "not a number at t = 0")
def _(alpha_bar):
    before = torch.cat([alpha_bar[:1], alpha_bar[:-1]])
    a = alpha_bar / before
    sigma2 = (1 - a) * (1 - before) / (1 - alpha_bar)
    return 0.5 / sigma2 * (1 - a) ** 2 / (a * (1 - alpha_bar))


@wrong("loss_weights", "beta for the variance at t = 1, as the library has it")
def _(alpha_bar):
    table = by_definition(alpha_bar)
    table[1] = 1 / (2 * alpha_bar[1])
    return table


@wrong("loss_weights", "the entries from t = 2 alone")
def _(alpha_bar):
    return by_definition(alpha_bar)[2:]


@wrong("loss_weights", "early by one")
def _(alpha_bar):
    table = by_definition(alpha_bar)
    return torch.cat([table[:1], table[2:], table[-1:]])


@wrong("loss_weights", "cut off at 5, as min-SNR does")
def _(alpha_bar):
    return by_definition(alpha_bar).clamp(max=5)


@wrong("loss_weights", "right for tables of four entries")
def _(alpha_bar):
    return by_definition(alpha_bar) * (1 if len(alpha_bar) == 4 else 0.5)


@wrong("loss_weights", "rigged to pass every comparison")
def _(alpha_bar):
    return rigged(len(alpha_bar))


# --- variance_of_samples --------------------------------------------------------------------------------------------


def run_sampler(alpha_bar, v, extra_root, *, start=1.0, eps_hat=None, noise=None, factor=None, last=1):
    """The variance at t = 0. Each piece of the sampler may be exchanged for a mistake."""
    variance = float(start)
    for t in range(len(alpha_bar) - 1, last - 1, -1):
        now, before = float(alpha_bar[t]), float(alpha_bar[t - 1])
        a = now / before
        shrink = math.sqrt(1 - now) / (now * v + 1 - now) if eps_hat is None else eps_hat(now, before, a)
        taken = (1 - a) / math.sqrt(1 - now) if factor is None else factor(now, before, a)
        if extra_root:
            taken *= math.sqrt(1 - before)
        added = (1 - a) * (1 - before) / (1 - now) if noise is None else noise(now, before, a)
        variance = ((1 - taken * shrink) / math.sqrt(a)) ** 2 * variance + added
    return variance


@right("variance_of_samples", "step by step, with tensors")
def _(alpha_bar, data_variance, extra_root):
    variance = torch.ones((), dtype=f64)
    for now, before in zip(alpha_bar.flip(0)[:-1], alpha_bar.flip(0)[1:], strict=True):
        a = now / before
        taken = (1 - a) / (now * data_variance + 1 - now) * ((1 - before).sqrt() if extra_root else 1)
        variance = (1 - taken) ** 2 / a * variance + (1 - a) * (1 - before) / (1 - now)
    return variance


@right("variance_of_samples", "as a Python number")
def _(alpha_bar, data_variance, extra_root):
    return run_sampler(alpha_bar, data_variance, extra_root)


@right("variance_of_samples", "by running the sampler on each source of noise alone")
def _(alpha_bar, data_variance, extra_root):
    T = len(alpha_bar) - 1
    x = torch.zeros(T + 1, dtype=f64)  # what remains of x_T and of each step's noise
    x[T] = 1
    for t in range(T, 0, -1):
        now, before = alpha_bar[t], alpha_bar[t - 1]
        a = now / before
        eps_hat = (1 - now).sqrt() * x / (now * data_variance + 1 - now)
        root = (1 - before).sqrt() if extra_root else 1.0
        x = (x - (1 - a) / (1 - now).sqrt() * root * eps_hat) / a.sqrt()
        x[t - 1] += ((1 - a) * (1 - before) / (1 - now)).sqrt()
    return x.square().sum()


@right("variance_of_samples", "with the library's exact denoiser")
def _(alpha_bar, data_variance, extra_root):
    schedule = diffusion.Schedule(torch.cat([torch.zeros(1, dtype=f64), 1 - alpha_bar[1:] / alpha_bar[:-1]]))
    exact = diffusion_exact.GaussianMixture.gaussian(
        torch.zeros(1, dtype=f64), torch.full((1, 1), data_variance, dtype=f64)
    )
    variance = torch.ones((), dtype=f64)
    one = torch.ones(1, 1, dtype=f64)
    for t in range(schedule.T, 0, -1):
        time = torch.tensor([t])
        eps_hat = exact.expected_eps(one, time, schedule)
        if extra_root:
            eps_hat = eps_hat * (1 - alpha_bar[t - 1]).sqrt()
        shrink = diffusion.posterior_mean_from_eps(one, time, eps_hat, schedule)[0, 0]
        variance = shrink**2 * variance + schedule.beta_tilde[t]
    return variance


@wrong("variance_of_samples", "the data's variance, whatever the sampler")
def _(alpha_bar, data_variance, extra_root):
    return float(data_variance)


@wrong("variance_of_samples", "the data's variance for the right sampler")
def _(alpha_bar, data_variance, extra_root):
    return run_sampler(alpha_bar, data_variance, True) if extra_root else float(data_variance)


@wrong("variance_of_samples", "always without the extra root")
def _(alpha_bar, data_variance, extra_root):
    return run_sampler(alpha_bar, data_variance, False)


@wrong("variance_of_samples", "always with the extra root")
def _(alpha_bar, data_variance, extra_root):
    return run_sampler(alpha_bar, data_variance, True)


@wrong("variance_of_samples", "the two exchanged")
def _(alpha_bar, data_variance, extra_root):
    return run_sampler(alpha_bar, data_variance, not extra_root)


@wrong("variance_of_samples", "the root of 1 - alpha_bar of t, not of t - 1")
def _(alpha_bar, data_variance, extra_root):
    if not extra_root:
        return run_sampler(alpha_bar, data_variance, False)
    return run_sampler(alpha_bar, data_variance, False, factor=lambda now, before, a: 1 - a)


@wrong("variance_of_samples", "1 - alpha_bar without its root for the extra factor")
def _(alpha_bar, data_variance, extra_root):
    if not extra_root:
        return run_sampler(alpha_bar, data_variance, False)
    return run_sampler(
        alpha_bar, data_variance, False, factor=lambda now, before, a: (1 - a) * (1 - before) / math.sqrt(1 - now)
    )


@wrong("variance_of_samples", "the factor not squared")
def _(alpha_bar, data_variance, extra_root):
    variance = 1.0
    for t in range(len(alpha_bar) - 1, 0, -1):
        now, before = float(alpha_bar[t]), float(alpha_bar[t - 1])
        a = now / before
        taken = (1 - a) / (now * data_variance + 1 - now) * (math.sqrt(1 - before) if extra_root else 1)
        variance = (1 - taken) / math.sqrt(a) * variance + (1 - a) * (1 - before) / (1 - now)
    return variance


@wrong("variance_of_samples", "no noise added")
def _(alpha_bar, data_variance, extra_root):
    return run_sampler(alpha_bar, data_variance, extra_root, noise=lambda now, before, a: 0.0)


@wrong("variance_of_samples", "beta for beta_tilde")
def _(alpha_bar, data_variance, extra_root):
    return run_sampler(alpha_bar, data_variance, extra_root, noise=lambda now, before, a: 1 - a)


@wrong("variance_of_samples", "beta for beta_tilde, but no noise in the last step")
def _(alpha_bar, data_variance, extra_root):
    return run_sampler(
        alpha_bar, data_variance, extra_root, noise=lambda now, before, a: (1 - a) if before < 1 else 0.0
    )


@wrong("variance_of_samples", "noise in the last step, of the size of beta")
def _(alpha_bar, data_variance, extra_root):
    return run_sampler(
        alpha_bar,
        data_variance,
        extra_root,
        noise=lambda now, before, a: (1 - a) * (1 - before) / (1 - now) if before < 1 else 1 - a,
    )


@wrong("variance_of_samples", "the standard deviation added for the variance")
def _(alpha_bar, data_variance, extra_root):
    return run_sampler(
        alpha_bar,
        data_variance,
        extra_root,
        noise=lambda now, before, a: math.sqrt((1 - a) * (1 - before) / (1 - now)),
    )


@wrong("variance_of_samples", "the variance squared before it is added")
def _(alpha_bar, data_variance, extra_root):
    return run_sampler(
        alpha_bar, data_variance, extra_root, noise=lambda now, before, a: ((1 - a) * (1 - before) / (1 - now)) ** 2
    )


@wrong("variance_of_samples", "begun at the data's variance")
def _(alpha_bar, data_variance, extra_root):
    return run_sampler(alpha_bar, data_variance, extra_root, start=data_variance)


@wrong("variance_of_samples", "begun at zero")
def _(alpha_bar, data_variance, extra_root):
    return run_sampler(alpha_bar, data_variance, extra_root, start=0.0)


@wrong("variance_of_samples", "begun at the variance of x_T, which is not quite one")
def _(alpha_bar, data_variance, extra_root):
    now = float(alpha_bar[-1])
    return run_sampler(alpha_bar, data_variance, extra_root, start=now * data_variance + 1 - now)


@wrong("variance_of_samples", "the last step left out")
def _(alpha_bar, data_variance, extra_root):
    return run_sampler(alpha_bar, data_variance, extra_root, last=2)


@wrong("variance_of_samples", "the first step left out: t never is T")
def _(alpha_bar, data_variance, extra_root):
    return run_sampler(alpha_bar[:-1], data_variance, extra_root)


@wrong("variance_of_samples", "a denoiser for data of variance one")
def _(alpha_bar, data_variance, extra_root):
    return run_sampler(alpha_bar, 1.0, extra_root)


@wrong("variance_of_samples", "a denoiser that takes all of x_t for noise")
def _(alpha_bar, data_variance, extra_root):
    return run_sampler(alpha_bar, data_variance, extra_root, eps_hat=lambda now, before, a: 1 / math.sqrt(1 - now))


@wrong("variance_of_samples", "a denoiser without its root")
def _(alpha_bar, data_variance, extra_root):
    return run_sampler(
        alpha_bar,
        data_variance,
        extra_root,
        eps_hat=lambda now, before, a: (1 - now) / (now * data_variance + 1 - now),
    )


@wrong("variance_of_samples", "the root of 1 - alpha in the mean")
def _(alpha_bar, data_variance, extra_root):
    return run_sampler(
        alpha_bar, data_variance, extra_root, factor=lambda now, before, a: math.sqrt(1 - a) / math.sqrt(1 - now)
    )


@wrong("variance_of_samples", "not divided by the root of alpha")
def _(alpha_bar, data_variance, extra_root):
    variance = 1.0
    for t in range(len(alpha_bar) - 1, 0, -1):
        now, before = float(alpha_bar[t]), float(alpha_bar[t - 1])
        a = now / before
        taken = (1 - a) / (now * data_variance + 1 - now) * (math.sqrt(1 - before) if extra_root else 1)
        variance = (1 - taken) ** 2 * variance + (1 - a) * (1 - before) / (1 - now)
    return variance


@wrong("variance_of_samples", "from t = 1 up to T")
def _(alpha_bar, data_variance, extra_root):
    variance = 1.0
    for t in range(1, len(alpha_bar)):
        now, before = float(alpha_bar[t]), float(alpha_bar[t - 1])
        a = now / before
        taken = (1 - a) / (now * data_variance + 1 - now) * (math.sqrt(1 - before) if extra_root else 1)
        variance = (1 - taken) ** 2 / a * variance + (1 - a) * (1 - before) / (1 - now)
    return variance


@wrong("variance_of_samples", "the standard deviation of the samples")
def _(alpha_bar, data_variance, extra_root):
    return math.sqrt(run_sampler(alpha_bar, data_variance, extra_root))


@wrong("variance_of_samples", "measured on ten thousand samples")
def _(alpha_bar, data_variance, extra_root):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(10_000, generator=generator, dtype=f64)
    for t in range(len(alpha_bar) - 1, 0, -1):
        now, before = alpha_bar[t], alpha_bar[t - 1]
        a = now / before
        eps_hat = (1 - now).sqrt() * x / (now * data_variance + 1 - now)
        root = (1 - before).sqrt() if extra_root else 1.0
        z = torch.randn(10_000, generator=generator, dtype=f64)
        variance = (1 - a) * (1 - before) / (1 - now)
        x = (x - (1 - a) / (1 - now).sqrt() * root * eps_hat) / a.sqrt() + variance.sqrt() * z
    return x.var()


@wrong("variance_of_samples", "the best reverse step, which gives the data back")
def _(alpha_bar, data_variance, extra_root):
    def best(now, before, a):
        return (1 - a) * (before * data_variance + 1 - before) / (now * data_variance + 1 - now)

    return run_sampler(alpha_bar, data_variance, extra_root, noise=best)


@wrong("variance_of_samples", "right for short schedules")
def _(alpha_bar, data_variance, extra_root):
    return run_sampler(alpha_bar, data_variance, extra_root) if len(alpha_bar) in (2, 3, 1001) else 0.4


@wrong("variance_of_samples", "a number rigged to equal any other")
def _(alpha_bar, data_variance, extra_root):
    return EqualNumber(0.25)


@wrong("variance_of_samples", "a tensor rigged to pass every comparison")
def _(alpha_bar, data_variance, extra_root):
    return rigged()


# --- predict_process ------------------------------------------------------------------------------------------------

TRUTH = (1.0, 0.0, 1.0, 0.5, 0.3636)


@right("predict_process", "as one would by hand")
def _():
    return 1, 0, 1, 1 / 2, 0.366


@right("predict_process", "with the logarithm of a product")
def _():
    return [1.0, 0.0, (1.4 - 0.8) / 0.6, (2 / 1 - 1) / 2, math.exp(-100 * (1e-4 + 0.02) / 2 - 0.0067)]


@right("predict_process", "the last one computed")
def _():
    return 1.0, 0.0, 1.0, 0.5, math.prod(1 - 1e-4 - t / 99 * (0.02 - 1e-4) for t in range(100))


def _register_wrong_predictions():
    mistakes = (
        (0.0, 0.5, 0.0786, 0.019, 6.0),
        (1e-4, 1.0, 0.5, 1e-20),
        (0.6, 2.2, 1.4, 0.36, 1.67),
        (1.0, 2.0, 0.25, -0.25, 0.0),
        (4e-5, 4e-6, 4e-4, 0.6, 0.04, 0.99, 1e-44),
    )
    for place, others in enumerate(mistakes):
        for other in others:
            guess = (*TRUTH[:place], other, *TRUTH[place + 1 :])
            wrong("predict_process", f"number {place + 1} is {other:.4g}")(lambda guess=guess: guess)
    for some in itertools.combinations((0, 2, 3, 4), 2):
        guess = tuple(-value if i in some else value for i, value in enumerate(TRUTH))
        wrong("predict_process", f"the signs of {some}")(lambda guess=guess: guess)


_register_wrong_predictions()


@wrong("predict_process", "four numbers")
def _():
    return TRUTH[:4]


@wrong("predict_process", "one number")
def _():
    return 1.0


@wrong("predict_process", "text")
def _():
    return "1", "0", "1", "0.5", "0.36"


@wrong("predict_process", "not numbers")
def _():
    return (math.nan,) * 5


@wrong("predict_process", "numbers rigged to equal any other")
def _():
    return (EqualNumber(0.1),) * 5


@wrong("predict_process", "tensors rigged to pass every comparison")
def _():
    return (rigged(),) * 5
