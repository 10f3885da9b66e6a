"""Hidden properties of the exercises in ``notebooks/diffusion/process.ipynb``."""

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from autograder.hidden._draws import Draws
from genmodels import diffusion, diffusion_exact
from genmodels.checks import Property
from genmodels.checks._expression import require_value
from genmodels.checks._property import require_close, require_tensor
from genmodels.checks.diffusion_process import (
    conditioned,
    cost,
    mean_expression,
    one_number,
    place,
    posterior_of,
    predicted,
    require_number,
    tables,
    variances,
)

Function = Callable[..., Any]
SHAPES = ((5, 3), (6, 1, 4, 4), (4, 2, 3), (3, 1))


def alpha_bar_table(draws: Draws, T: int) -> Tensor:
    """A schedule that no formula made: (T+1,), from 1 to somewhere above 0."""
    steps = torch.tensor([1.0, *(draws.uniform(0.55, 0.97) for _ in range(T))], dtype=torch.float64)
    return steps.cumprod(0)


def times(draws: Draws, B: int, T: int) -> list[int]:
    """B times from 1 to T, both ends among them."""
    return [T, 1, *(1 + int(draws.uniform(0, T - 1e-3)) for _ in range(B - 2))][:B]


def unchanged(given: list[Tensor], kept: list[Tensor]) -> None:
    assert all(torch.equal(a, b) for a, b in zip(given, kept, strict=True))


def walk_moments(alpha_bar: Tensor, x0: float) -> tuple[np.ndarray, np.ndarray]:
    """Mean (T,) and covariance (T, T) of x_1, ..., x_T given x_0, each step written as a matrix."""
    T = len(alpha_bar) - 1
    bars = alpha_bar.numpy()
    # x_t - sqrt(alpha_t) x_{t-1} is sqrt(alpha_1) x_0 at t = 1 and nothing else, plus noise of variance 1 - alpha_t.
    alpha = bars[1:] / bars[:-1]
    back = np.eye(T) - np.diag(np.sqrt(alpha[1:]), -1)
    start = np.zeros(T)
    start[0] = np.sqrt(alpha[0]) * x0
    inverse = np.linalg.inv(back)
    return inverse @ start, inverse @ np.diag(1 - alpha) @ inverse.T


# ------------------------------------------------------------------------------------------------------------ forward


def _linear_tables(seed: int) -> tuple[Property, ...]:
    def exact(T: int, first: float, last: float) -> tuple[list[float], list[float], list[float]]:
        # In fractions, so that nothing is rounded before the end.
        low, high = Fraction(first), Fraction(last)
        beta = [Fraction(0), *(low + Fraction(t, T - 1) * (high - low) for t in range(T))]
        bars = [Fraction(1)]
        for b in beta[1:]:
            bars.append((bars[-1] * (1 - b)).limit_denominator(10**40))
        return [float(b) for b in beta], [float(1 - b) for b in beta], [float(a) for a in bars]

    def agrees(answer: Function) -> None:
        draws = Draws(seed)
        for T in (2, 3, 10, 17, 150):
            asked = T, draws.uniform(1e-3, 0.02), draws.uniform(0.03, 0.3)
            for name, got, want in zip("abc", tables(answer, *asked), exact(*asked), strict=True):
                require_close(got, want, "fresh inputs", 1e-12, name)

    def keeps_small_numbers(answer: Function) -> None:
        T, last = 1000, Draws(seed + 1).uniform(0.015, 0.025)
        got, want = tables(answer, T, 1e-4, last)[2], exact(T, 1e-4, last)[2]
        assert bool((got / torch.tensor(want, dtype=torch.float64) - 1).abs().max() < 1e-9)

    return (
        Property("the tables are right for any T and any ends, in double precision", agrees),
        Property("alpha_bar is right in its last entries too, where it is small", keeps_small_numbers),
    )


def _variances_along(seed: int) -> tuple[Property, ...]:
    def composed(alpha: Tensor, factors: np.ndarray, variance: float) -> list[float]:
        # x_t as a linear map of x_0 and of all the noises: the variance is a sum of squared weights.
        weights = np.zeros(len(alpha))
        weights[0] = math.sqrt(variance)
        found = [variance]
        for t in range(1, len(alpha)):
            weights *= math.sqrt(alpha[t].item())
            weights[t] = factors[t]
            found.append(float(weights @ weights))
        return found

    def agrees(answer: Function) -> None:
        draws = Draws(seed)
        for T in (1, 5, 40):
            alpha = torch.tensor([1.0, *(draws.uniform(0.6, 0.99) for _ in range(T))], dtype=torch.float64)
            kept = alpha.clone()
            start = draws.uniform(0.05, 5)
            rest = 1 - alpha.numpy()
            got = variances(answer, alpha, start)
            for table, factors in zip(got, (rest, np.sqrt(rest)), strict=True):
                require_close(table, composed(alpha, factors, start), "fresh inputs", 1e-9)
            unchanged([alpha], [kept])

    def of_the_usual_steps(answer: Function) -> None:
        beta = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
        alpha = torch.cat([torch.ones(1, dtype=torch.float64), 1 - beta])
        for start in (1.0, 0.0, Draws(seed + 1).uniform(0.1, 3)):
            printed, meant = variances(answer, alpha, start)
            rest = 1 - alpha.numpy()
            require_close(printed, composed(alpha, rest, start), "the linear schedule", 1e-9)
            require_close(meant, composed(alpha, np.sqrt(rest), start), "the linear schedule", 1e-9)

    return (
        Property("both tables are right for steps and data in general", agrees),
        Property("both are right for the thousand steps of the linear schedule", of_the_usual_steps),
    )


def _q_sample(seed: int) -> tuple[Property, ...]:
    def takes_the_steps(answer: Function) -> None:
        draws = Draws(seed)
        for T in (3, 12):
            alpha_bar = alpha_bar_table(draws, T)
            x0 = draws.normal(T, 2)
            t = torch.arange(1, T + 1)
            # The map is linear: its two parts must be the mean of the walk and the root of its variance.
            zero = torch.zeros_like(x0)
            mean = np.stack([walk_moments(alpha_bar, 1.0)[0]] * 2, 1) * x0.numpy()
            deviation = np.sqrt(walk_moments(alpha_bar, 1.0)[1].diagonal())[:, None] * np.ones(2)
            require_close(answer(x0, t, zero, alpha_bar), torch.from_numpy(mean), "fresh inputs", 1e-9)
            require_close(answer(zero, t, zero + 1, alpha_bar), torch.from_numpy(deviation), "fresh inputs", 1e-9)

    def agrees(answer: Function) -> None:
        draws = Draws(seed + 1)
        for shape in SHAPES:
            alpha_bar = alpha_bar_table(draws, 30)
            t = torch.tensor(times(draws, shape[0], 30))
            given = [4 * draws.normal(*shape), t, 4 * draws.normal(*shape), alpha_bar]
            kept = [value.clone() for value in given]
            want = np.zeros(shape)
            for row, time in enumerate(t.tolist()):
                angle = math.acos(math.sqrt(alpha_bar[time].item()))
                want[row] = math.cos(angle) * kept[0][row].numpy() + math.sin(angle) * kept[2][row].numpy()
            require_close(answer(*given), torch.from_numpy(want), "fresh inputs", 1e-9)
            unchanged(given, kept)

    return (
        Property("one draw has the mean and the variance of t single steps, for every t", takes_the_steps),
        Property("x_t is right for data of any shape and any times, and its inputs stay as they were", agrees),
    )


# --------------------------------------------------------------------------------------------------------------- back


def _condition_gaussian(seed: int) -> tuple[Property, ...]:
    def gaussian(draws: Draws, D: int) -> tuple[Tensor, Tensor]:
        root = draws.normal(D, D) / math.sqrt(D)
        return draws.normal(D), root @ root.T + 0.2 * torch.eye(D, dtype=torch.float64)

    def agrees(answer: Function) -> None:
        draws = Draws(seed)
        for D, k in ((2, 1), (4, 1), (4, 3), (7, 3)):
            mean, cov = gaussian(draws, D)
            given = [mean, cov, draws.normal(k)]
            kept = [value.clone() for value in given]
            n = D - k
            precision = np.linalg.inv(cov.numpy())
            variance = np.linalg.inv(precision[:n, :n])
            shift = variance @ precision[:n, n:] @ (kept[2] - kept[0][n:]).numpy()
            got = conditioned(answer, *given)
            require_close(got[0], kept[0][:n] - torch.from_numpy(shift), "fresh inputs", 1e-8)
            require_close(got[1], torch.from_numpy(variance), "fresh inputs", 1e-8)
            unchanged(given, kept)

    def divides_the_densities(answer: Function) -> None:
        draws = Draws(seed + 1)
        mean, cov = gaussian(draws, 5)
        u, v = draws.normal(3), draws.normal(2)
        left, covariance = (value.numpy() for value in conditioned(answer, mean, cov, v))
        joint = stats.multivariate_normal(mean.numpy(), cov.numpy()).logpdf(torch.cat([u, v]).numpy())
        of_v = stats.multivariate_normal(mean[3:].numpy(), cov[3:, 3:].numpy()).logpdf(v.numpy())
        given_v = stats.multivariate_normal(left, covariance).logpdf(u.numpy())
        assert abs(joint - of_v - given_v) < 1e-8

    return (
        Property("mean and covariance are right for any number of known and unknown numbers", agrees),
        Property("the density is the joint one divided by that of what is known", divides_the_densities),
    )


def _posterior(seed: int) -> tuple[Property, ...]:
    def agrees(answer: Function) -> None:
        draws = Draws(seed)
        for shape in SHAPES:
            T = 9
            alpha_bar = alpha_bar_table(draws, T)
            t = times(draws, shape[0], T)
            given = [2 * draws.normal(*shape), 2 * draws.normal(*shape)]
            kept = [value.clone() for value in given]
            mean, variance = posterior_of(answer, given[0], given[1], t, alpha_bar)
            for row, time in enumerate(t):
                x0, xt = kept[0][row], kept[1][row]
                if time == 1:
                    want, spread = x0, 0.0
                else:
                    # The joint Gaussian of x_{t-1} and x_t given x_0 = 0, from the steps; then add what x_0 shifts.
                    centre, cov = walk_moments(alpha_bar, 1.0)
                    gain = cov[time - 2, time - 1] / cov[time - 1, time - 1]
                    want = centre[time - 2] * x0 + gain * (xt - centre[time - 1] * x0)
                    spread = cov[time - 2, time - 2] - gain * cov[time - 2, time - 1]
                require_close(mean[row], want, "fresh inputs", 1e-8)
                require_close(variance[row], torch.full_like(x0, spread), "fresh inputs", 1e-8)
            unchanged(given, kept)

    def of_a_real_schedule(answer: Function) -> None:
        draws = Draws(seed + 1)
        beta = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
        alpha_bar = torch.cat([torch.ones(1, dtype=torch.float64), (1 - beta).cumprod(0)])
        t = [1, 2, 3, 1000, *(1 + int(draws.uniform(3, 990)) for _ in range(3))]
        x0, xt = draws.normal(len(t), 1), draws.normal(len(t), 1)
        mean, variance = posterior_of(answer, x0, xt, t, alpha_bar)
        for row, time in enumerate(t):
            now, before = alpha_bar[time].item(), alpha_bar[time - 1].item()
            if time == 1:
                assert abs(mean[row].item() - x0[row].item()) < 1e-9
                assert abs(variance[row].item()) < 1e-12
                continue
            step, start = now / (before - now), 1 / (1 - before)  # two precisions
            pull = step * xt[row].item() / math.sqrt(now / before) + start * math.sqrt(before) * x0[row].item()
            assert abs(mean[row].item() - pull / (step + start)) < 1e-8
            assert abs(variance[row].item() * (step + start) - 1) < 1e-8

    return (
        Property("mean and variance are those of the joint Gaussian of the steps, for data of any shape", agrees),
        Property("both are right over the thousand steps of the linear schedule", of_a_real_schedule),
    )


def _cost_of_halves(seed: int) -> tuple[Property, ...]:
    def as_printed(alpha: float, before: float) -> tuple[float, float]:
        """The variances of the posterior, and of the exponent with a 2 inside of each fraction and a half outside."""
        x = np.linspace(-30, 30, 60_001)
        found = []
        for inside in (1, 2):
            exponent = -0.5 * (alpha * x**2 / (inside * (1 - alpha)) + x**2 / (inside * (1 - before)))
            weight = np.exp(exponent)
            found.append(float((weight * x**2).sum() / weight.sum()))
        return found[0], found[1]

    def doubles(answer: Function) -> None:
        draws = Draws(seed)
        meant, printed = as_printed(draws.uniform(0.3, 0.6), draws.uniform(0.1, 0.5))
        for D, T in ((1, 2), (64, 1000)):
            assert abs(cost(answer, D, T)[0] - printed / meant) < 1e-6

    def adds_up(answer: Function) -> None:
        draws = Draws(seed + 1)
        for _ in range(3):
            D, T = int(draws.uniform(2, 900)), int(draws.uniform(2, 2000))
            meant, printed = as_printed(draws.uniform(0.3, 0.6), draws.uniform(0.1, 0.5))
            one = torch.distributions.kl_divergence(
                torch.distributions.Normal(0.0, torch.tensor(meant, dtype=torch.float64).sqrt()),
                torch.distributions.Normal(0.0, torch.tensor(printed, dtype=torch.float64).sqrt()),
            ).item()
            require_number(cost(answer, D, T)[1], (T - 1) * D * one, "fresh inputs", "the nats", 1e-6)

    return (
        Property("the factor is right", doubles),
        Property("the nats are right for images of any size and any number of steps", adds_up),
    )


# --------------------------------------------------------------------------------------------------------------- loss


def mean_by_conditioning(xt: float, eps: float, alpha: float, now: float) -> float:
    """E[x_{t-1} given x_t, x_0], where x_0 is what the noise says, by the joint covariance of both."""
    x0 = (xt - math.sqrt(1 - now) * eps) / math.sqrt(now)
    before = now / alpha
    cov = np.array([[1 - before, math.sqrt(alpha) * (1 - before)], [math.sqrt(alpha) * (1 - before), 1 - now]])
    return math.sqrt(before) * x0 + cov[0, 1] / cov[1, 1] * (xt - math.sqrt(now) * x0)


def _mean_from_eps(seed: int) -> tuple[Property, ...]:
    def agrees(answer: Function) -> None:
        draws = Draws(seed)
        mean = mean_expression(answer)
        for _ in range(5):
            point = draws.uniform(-3, 3), draws.uniform(-3, 3), draws.uniform(0.5, 0.999), draws.uniform(0.01, 0.48)
            want = mean_by_conditioning(*point)
            require_value(mean, place(*map(str, point)), want, "the mean", 1e-8)

    def follows_the_walk(answer: Function) -> None:
        # At t = 1, where alpha_bar is alpha, the way back ends where x_0 was.
        draws = Draws(seed + 1)
        mean = mean_expression(answer)
        x0, eps, alpha = draws.uniform(-2, 2), draws.uniform(-2, 2), draws.uniform(0.05, 0.999)
        xt = math.sqrt(alpha) * x0 + math.sqrt(1 - alpha) * eps
        require_value(mean, place(f"{xt:.17f}", str(eps), str(alpha), str(alpha)), x0, "the mean", 1e-8)

    return (
        Property("the mean is that of the posterior of the x_0 which the noise says, at any step", agrees),
        Property("from x_1 it leads to x_0, for any alpha", follows_the_walk),
    )


def _loss_weights(seed: int) -> tuple[Property, ...]:
    def is_a_divergence(answer: Function) -> None:
        draws = Draws(seed)
        alpha_bar = alpha_bar_table(draws, 12)
        weights = require_tensor(answer(alpha_bar), (13,))
        assert weights[:2].eq(0).all()
        for t in range(2, 13):
            now, before = alpha_bar[t].item(), alpha_bar[t - 1].item()
            xt, eps, guess = (draws.uniform(-2, 2) for _ in range(3))
            means = [mean_by_conditioning(xt, noise, now / before, now) for noise in (eps, guess)]
            covariance = math.sqrt(now / before) * (1 - before)
            sigma = math.sqrt(1 - before - covariance**2 / (1 - now))
            # By a sum over a grid, of two Gaussians with these means.
            x = np.linspace(means[0] - 12 * sigma, means[0] + 12 * sigma, 4801)
            q, p = (stats.norm(mean, sigma).logpdf(x) for mean in means)
            divergence = float((np.exp(q) * (q - p)).sum() * (x[1] - x[0]))
            require_number(weights[t].item() * (eps - guess) ** 2, divergence, "fresh inputs", "it", 1e-8)

    def of_real_schedules(answer: Function) -> None:
        T = 100 + int(Draws(seed + 1).uniform(0, 400))
        for schedule in (diffusion.linear_schedule(1000), diffusion.cosine_schedule(T)):
            snr = schedule.alpha_bar[1:] / (1 - schedule.alpha_bar[1:])
            want = torch.cat([torch.zeros(2, dtype=torch.float64), (snr[:-1] / snr[1:] - 1) / 2])
            kept = schedule.alpha_bar.clone()
            require_close(answer(schedule.alpha_bar), want, "a schedule", 1e-8)
            unchanged([schedule.alpha_bar], [kept])

    return (
        Property("weight times squared error is the divergence of the two steps, for any schedule", is_a_divergence),
        Property("the weights are right for the linear and the cosine schedule", of_real_schedules),
    )


def _variance_of_samples(seed: int) -> tuple[Property, ...]:
    def truth(alpha_bar: Tensor, data_variance: float, extra_root: bool) -> float:
        # The sampler is linear: run it on x_T alone, then on the noise of each step alone, and add the squares.
        beta = torch.cat([torch.zeros(1, dtype=torch.float64), 1 - alpha_bar[1:] / alpha_bar[:-1]])
        schedule = diffusion.Schedule(beta)
        data = diffusion_exact.GaussianMixture.gaussian(
            torch.zeros(1, dtype=torch.float64), torch.full((1, 1), data_variance, dtype=torch.float64)
        )
        x = torch.zeros(schedule.T + 1, 1, dtype=torch.float64)
        x[-1] = 1.0
        for t in range(len(beta) - 1, 0, -1):
            time = torch.full((len(x),), t)
            eps_hat = data.expected_eps(x, time, schedule)
            if extra_root:
                eps_hat = eps_hat * math.sqrt(1 - alpha_bar[t - 1].item())
            x = diffusion.posterior_mean_from_eps(x, time, eps_hat, schedule)
            # One step's share of what x_0 leaves open: from the covariance of neighbours.
            covariance = math.sqrt(1 - beta[t].item()) * (1 - alpha_bar[t - 1].item())
            left = 1 - alpha_bar[t - 1].item() - covariance**2 / (1 - alpha_bar[t].item())
            x[t - 1] += math.sqrt(max(0.0, left))
        return float(x.square().sum())

    def agrees(answer: Function) -> None:
        draws = Draws(seed)
        for T in (1, 4, 25):
            alpha_bar = alpha_bar_table(draws, T)
            kept = alpha_bar.clone()
            for data_variance in (draws.uniform(0.01, 0.9), draws.uniform(1.1, 4)):
                for extra_root in (False, True):
                    got = one_number(answer(alpha_bar, data_variance, extra_root), "the variance")
                    want = truth(alpha_bar, data_variance, extra_root)
                    require_number(got, want, "fresh inputs", "the variance", 1e-8)
            unchanged([alpha_bar], [kept])

    def of_the_usual_steps(answer: Function) -> None:
        alpha_bar = diffusion.linear_schedule(400, 1e-4, 0.05).alpha_bar
        data_variance = Draws(seed + 1).uniform(0.1, 0.6)
        for extra_root in (False, True):
            want = truth(alpha_bar, data_variance, extra_root)
            require_number(answer(alpha_bar, data_variance, extra_root), want, "many steps", "the variance", 1e-8)

    return (
        Property("the variance is right for schedules and data in general, with and without the extra root", agrees),
        Property("it is right for hundreds of steps", of_the_usual_steps),
    )


# -------------------------------------------------------------------------------------------------------- predictions


def _predict_process(seed: int) -> tuple[Property, ...]:
    def come_true(answer: Function) -> None:
        schedule = diffusion.linear_schedule(1000)
        variance = 1.0
        for t in range(1, 501):
            variance = schedule.alpha[t].item() * variance + schedule.beta[t].item()
        left = math.prod(1 - (1e-4 + t / 99 * (0.02 - 1e-4)) for t in range(100))
        before, now = (snr / (1 + snr) for snr in (2.0, 1.0))
        step = mean_by_conditioning(0.0, 1.0, now / before, now) - mean_by_conditioning(0.0, 0.0, now / before, now)
        sigma2 = (1 - now / before) * (1 - before) / (1 - now)
        truth = (variance, 0.0, (1.4 - math.sqrt(1 - 0.36)) / math.sqrt(0.36), step**2 / (2 * sigma2), left)
        for got, want in zip(predicted(answer), truth, strict=True):
            assert abs(got - want) <= 0.03 * abs(want)

    return (Property("all five predictions come true (run the cell after the check to see which)", come_true),)


HIDDEN: dict[str, Callable[[int], tuple[Property, ...]]] = {
    "linear_tables": _linear_tables,
    "variances_along": _variances_along,
    "q_sample": _q_sample,
    "condition_gaussian": _condition_gaussian,
    "posterior": _posterior,
    "cost_of_halves": _cost_of_halves,
    "mean_from_eps": _mean_from_eps,
    "loss_weights": _loss_weights,
    "variance_of_samples": _variance_of_samples,
    "predict_process": _predict_process,
}
