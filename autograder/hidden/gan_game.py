"""Hidden properties of the exercises in ``notebooks/gan/game.ipynb``."""

import cmath
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import sympy
import torch
from scipy import optimize, special
from scipy.spatial import distance
from torch import Tensor

from autograder.hidden._draws import Draws
from genmodels.checks import Property
from genmodels.checks._expression import require_value
from genmodels.checks._property import require_close, require_tensor
from genmodels.checks.gan_game import (
    KINDS,
    D,
    at,
    changes,
    predicted,
    require_gradient,
    slopes_and_zeros,
    value_and_divergence,
)

Function = Callable[..., Any]
SHAPES = ((7,), (40, 1), (5, 1, 3, 3))


def scalar(value: float) -> Tensor:
    return torch.tensor(float(value), dtype=torch.float64)


def unchanged(given: list[Tensor], kept: list[Tensor]) -> None:
    assert all(torch.equal(a, b) for a, b in zip(given, kept, strict=True))


def distribution(draws: Draws, *shape: int, spread: float = 1.0) -> Tensor:
    return torch.softmax(spread * draws.normal(*shape).flatten(), dim=0).reshape(shape)


# ------------------------------------------------------------------------------------------------------------- losses


def _discriminator_loss(seed: int) -> tuple[Property, ...]:
    def agrees(loss: Function) -> None:
        draws = Draws(seed)
        for real_shape, fake_shape in zip(SHAPES, ((11,), (3, 1), (2, 1, 4, 4)), strict=True):
            given = [4 * draws.normal(*real_shape), 4 * draws.normal(*fake_shape)]
            kept = [value.clone() for value in given]
            # SciPy's logarithm of a sigmoid, in place of PyTorch's.
            want = -special.log_expit(given[0].numpy()).mean() - special.log_expit(-given[1].numpy()).mean()
            require_close(loss(*given), scalar(want), "fresh inputs", 1e-8)
            unchanged(given, kept)

    def differentiates(loss: Function) -> None:
        draws = Draws(seed + 1)
        real, fake = (4 * draws.normal(6, 1)).requires_grad_(), (4 * draws.normal(9, 1)).requires_grad_()
        result = loss(real, fake)
        by_real = torch.from_numpy(special.expit(real.detach().numpy()) - 1) / 6
        require_gradient(result, real, by_real, "fresh inputs", "the gradient")
        require_gradient(result, fake, torch.from_numpy(special.expit(fake.detach().numpy())) / 9, "fresh", "it")

    def survives(loss: Function) -> None:
        size = Draws(seed + 2).uniform(2e3, 9e3)
        for dtype in (torch.float32, torch.float64):
            real = torch.tensor([-size, size], dtype=dtype, requires_grad=True)
            fake = torch.tensor([size, -size], dtype=dtype, requires_grad=True)
            result = loss(real, fake)
            require_close(result, scalar(size), "large logits", 1e-6)
            require_gradient(result, real, [-0.5, 0.0], "large logits", "the gradient")
            require_gradient(result, fake, [0.5, 0.0], "large logits", "the gradient")

    return (
        Property("the loss is right for batches of logits in general, and leaves them as they were", agrees),
        Property("the gradients are right in general", differentiates),
        Property("the loss and its gradients are right for very large logits, in single precision too", survives),
    )


def _generator_loss(seed: int) -> tuple[Property, ...]:
    def wanted(logits: np.ndarray, kind: str) -> tuple[float, np.ndarray]:
        if kind == "minimax":
            return special.log_expit(-logits).mean(), -special.expit(logits) / logits.size
        return -special.log_expit(logits).mean(), -special.expit(-logits) / logits.size

    def agrees(loss: Function) -> None:
        draws = Draws(seed)
        for kind in KINDS:
            for shape in SHAPES:
                logits = (4 * draws.normal(*shape)).requires_grad_()
                kept = logits.detach().clone()
                value, gradient = wanted(kept.numpy(), kind)
                result = loss(logits, kind)
                require_close(result, scalar(value), "fresh inputs", 1e-8)
                require_gradient(result, logits, torch.from_numpy(gradient), "fresh inputs", "the gradient")
                unchanged([logits.detach()], [kept])

    def survives(loss: Function) -> None:
        size = Draws(seed + 2).uniform(2e3, 9e3)
        for dtype in (torch.float32, torch.float64):
            for kind in KINDS:
                logits = torch.tensor([size, -size], dtype=dtype, requires_grad=True)
                result = loss(logits, kind)
                sign = -1 if kind == "minimax" else 1
                require_close(result, scalar(sign * size / 2), "large logits", 1e-6)
                want = [-0.5, 0.0] if kind == "minimax" else [0.0, -0.5]
                require_gradient(result, logits, want, "large logits", "the gradient")

    def refuses(loss: Function) -> None:
        for kind in ("saturating", "MINIMAX", "non_saturating ", "wasserstein"):
            try:
                loss(torch.zeros(2), kind)
            except ValueError:
                continue
            raise AssertionError

    return (
        Property("both losses and their gradients are right for logits in general", agrees),
        Property("both are right for very large logits, in single precision too", survives),
        Property("every other kind raises a ValueError", refuses),
    )


# ---------------------------------------------------------------------------------------------------------- on a grid


def best_d(a: float, b: float) -> float:
    """The d that is best where the data have mass a and the generator has b, found by search."""
    return float(
        optimize.minimize_scalar(
            lambda d: -special.xlogy(a, d) - special.xlogy(b, 1 - d),
            bounds=(0, 1),
            method="bounded",
            options={"xatol": 1e-12},
        ).x
    )


def _optimal_discriminator(seed: int) -> tuple[Property, ...]:
    def plays_best(answer: Function) -> None:
        draws = Draws(seed)
        for shape in ((6,), (3, 4)):
            given = [distribution(draws, *shape), distribution(draws, *shape)]
            kept = [value.clone() for value in given]
            want = [best_d(a, b) for a, b in zip(*(p.flatten().tolist() for p in given), strict=True)]
            require_close(answer(*given), torch.tensor(want, dtype=torch.float64).reshape(shape), "fresh inputs")
            unchanged(given, kept)

    def is_the_ratio(answer: Function) -> None:
        draws = Draws(seed + 1)
        # Densities: they need not sum to one. D / (1 - D) = p_data / p_gen, over many orders of magnitude.
        p_gen, ratio = torch.exp(25 * draws.normal(200) - 50), torch.exp(2 * draws.normal(200))
        d = require_tensor(answer(ratio * p_gen, p_gen), (200,))
        require_close(d / (1 - d), ratio, "fresh inputs", 1e-9)

    def at_the_edges(answer: Function) -> None:
        a, b = Draws(seed + 2).uniform(0.1, 0.9), Draws(seed + 3).uniform(0.1, 0.9)
        for dtype in (torch.float32, torch.float64):
            p_data = torch.tensor([[a, 0, 0], [0, b, a]], dtype=dtype)
            p_gen = torch.tensor([[0, 0, b], [0, 0, a]], dtype=dtype)
            require_close(answer(p_data, p_gen), [[1.0, 0.5, 0.0], [0.5, 1.0, 0.5]], "fresh inputs", 1e-9)

    return (
        Property("no other D scores better, at any cell of a grid", plays_best),
        Property("D / (1 - D) is the ratio of the densities, however small they are", is_the_ratio),
        Property("D* is right where one of the two has no mass, or neither", at_the_edges),
    )


def divergence_by_scipy(p: Tensor, q: Tensor) -> float:
    return float(distance.jensenshannon(p.flatten().numpy(), q.flatten().numpy()) ** 2)


def _jensen_shannon(seed: int) -> tuple[Property, ...]:
    def agrees(answer: Function) -> None:
        draws = Draws(seed)
        for shape, spread in (((5,), 1.0), ((4, 6), 2.0), ((300,), 4.0)):
            given = [distribution(draws, *shape, spread=spread) for _ in range(2)]
            kept = [value.clone() for value in given]
            require_close(answer(*given), scalar(divergence_by_scipy(*given)), "fresh inputs", 1e-9)
            unchanged(given, kept)

    def with_holes(answer: Function) -> None:
        draws = Draws(seed + 1)
        for shape in ((8,), (2, 4)):
            p, q = distribution(draws, 8), distribution(draws, 8)
            p[:3], q[2:5] = 0.0, 0.0
            p, q = (p / p.sum()).reshape(shape), (q / q.sum()).reshape(shape)
            require_close(answer(p, q), scalar(divergence_by_scipy(p, q)), "fresh inputs", 1e-9)

    def when_disjoint(answer: Function) -> None:
        p = torch.zeros(3, 5, dtype=torch.float64)
        q = p.clone()
        p[:, :2] = distribution(Draws(seed + 2), 3, 2)
        q[:, 3:] = distribution(Draws(seed + 3), 3, 2)
        require_close(answer(p, q), scalar(math.log(2)), "fresh inputs", 1e-9)

    return (
        Property("the divergence is right for distributions in general, and leaves them as they were", agrees),
        Property("it is right where cells of either, or of both, are empty", with_holes),
        Property("it is right for two distributions that share no cell", when_disjoint),
    )


def _changes_of_losses(seed: int) -> tuple[Property, ...]:
    def agrees(answer: Function) -> None:
        draws = Draws(seed)
        for shape in ((2,), (9,), (3, 5)):
            given = [torch.sigmoid(4 * draws.normal(*shape)), distribution(draws, *shape), distribution(draws, *shape)]
            kept = [value.clone() for value in given]
            d, before, after = (value.numpy() for value in given)
            of_d = special.xlog1py(before, -d).sum() - special.xlog1py(after, -d).sum()
            of_g = special.xlogy(before, d).sum() - special.xlogy(after, d).sum()
            for got, want in zip(changes(answer, *given), (of_d, of_g), strict=True):
                require_close(got, scalar(want), "fresh inputs", 1e-8)
            unchanged(given, kept)

    def near_the_edges(answer: Function) -> None:
        d = torch.tensor([1e-6, 1 - 1e-6, 0.5], dtype=torch.float64)
        share = Draws(seed + 1).uniform(0.2, 0.8)
        before = torch.tensor([share, 1 - share, 0.0], dtype=torch.float64)
        after = torch.tensor([0.0, share, 1 - share], dtype=torch.float64)
        of_d = (2 * share - 1) * -math.log1p(-(1 - 1e-6)) - (1 - share) * math.log(0.5) + share * math.log1p(-1e-6)
        of_g = (2 * share - 1) * -math.log1p(-1e-6) - (1 - share) * math.log(0.5) + share * math.log(1e-6)
        for got, want in zip(changes(answer, d, before, after), (of_d, of_g), strict=True):
            require_close(got, scalar(want), "fresh inputs", 1e-8)

    return (
        Property("both changes are right for moves in general", agrees),
        Property("both are right where D is nearly 0 or nearly 1", near_the_edges),
    )


# -------------------------------------------------------------------------------------------------------- derivations


def _value_at_optimum(seed: int) -> tuple[Property, ...]:
    def agrees(answer: Function) -> None:
        draws = Draws(seed)
        value, divergence = value_and_divergence(answer)
        for _ in range(4):
            c, r = draws.uniform(0.03, 0.97), draws.uniform(0.03, 0.97)
            # A world of six cells: three shared, where the generator copies the data; one of data; two made up.
            copied, invented = distribution(draws, 3), distribution(draws, 2)
            p_data, p_gen = torch.zeros(2, 6, dtype=torch.float64)
            p_data[:3], p_data[3] = c * copied, 1 - c
            p_gen[:3], p_gen[4:] = r * copied, (1 - r) * invented
            score = 0.0
            for a, b in zip(p_data.tolist(), p_gen.tolist(), strict=True):
                d = best_d(a, b)
                score += special.xlogy(a, d) + special.xlogy(b, 1 - d)
            require_value(value, at(str(c), str(r)), score, "the value", 1e-7)
            require_value(divergence, at(str(c), str(r)), divergence_by_scipy(p_data, p_gen), "the divergence", 1e-9)

    def is_symmetric(answer: Function) -> None:
        draws = Draws(seed + 1)
        c, r = draws.uniform(0.1, 0.4), draws.uniform(0.5, 0.9)
        for expression in value_and_divergence(answer):
            other = float(sympy.N(expression.subs(at(str(r), str(c))), 20))
            require_value(expression, at(str(c), str(r)), other, "the expression")

    return (
        Property("both expressions are right for shares in general", agrees),
        Property("both are symmetric in c and r", is_symmetric),
    )


SCALAR_LOSSES: tuple[Callable[[complex], complex], ...] = (
    lambda d: cmath.log(1 - d),
    lambda d: -cmath.log(d),
    lambda d: (d - 1) ** 2 / 2,
)


def slope_at(loss: Callable[[complex], complex], logit: float) -> float:
    """The derivative of a loss with respect to the logit, by a step along the imaginary axis: nothing cancels."""
    step = 1e-30
    return loss(1 / (1 + cmath.exp(-(logit + 1j * step)))).imag / step


def _generator_slopes(seed: int) -> tuple[Property, ...]:
    def agree(answer: Function) -> None:
        draws = Draws(seed)
        slopes, _ = slopes_and_zeros(answer)
        for d in (draws.uniform(0.02, 0.3), draws.uniform(0.3, 0.7), draws.uniform(0.7, 0.98)):
            for slope, loss in zip(slopes, SCALAR_LOSSES, strict=True):
                want = slope_at(loss, math.log(d / (1 - d)))
                require_value(slope, {D: sympy.Rational(str(d))}, want, "the slope")

    def die_out(answer: Function) -> None:
        slopes, zeros = slopes_and_zeros(answer)
        for slope, loss, where in zip(slopes, SCALAR_LOSSES, zeros, strict=True):
            ends = [end for end, logit in ((0.0, -30.0), (1.0, 30.0)) if abs(slope_at(loss, logit)) < 1e-9]
            assert where == ends
            require_value(slope, {D: sympy.Rational(1, 10**6)}, slope_at(loss, math.log(1e-6 / (1 - 1e-6))), "it")

    return (
        Property("the three slopes are right for d in general", agree),
        Property("they vanish at the ends named, and only there", die_out),
    )


# -------------------------------------------------------------------------------------------------------- predictions


def _predict_game(seed: int) -> tuple[Property, ...]:
    def come_true(answer: Function) -> None:
        d = best_d(0.5, 0.5)
        apart = []
        for gap in (10, 20):
            p, q = torch.zeros(2, 40, dtype=torch.float64)
            p[:4] = q[gap : gap + 4] = 0.25
            apart.append(divergence_by_scipy(p, q))
        minimax, non_saturating = (slope_at(loss, -10.0) for loss in SCALAR_LOSSES[:2])
        truth = (d, -math.log(d) - math.log(1 - d), *apart, non_saturating / minimax)
        for got, want in zip(predicted(answer), truth, strict=True):
            assert abs(got - want) <= 0.01 * abs(want)

    return (Property("all five predictions come true (run the cell after the check to see which)", come_true),)


HIDDEN: dict[str, Callable[[int], tuple[Property, ...]]] = {
    "discriminator_loss": _discriminator_loss,
    "optimal_discriminator": _optimal_discriminator,
    "jensen_shannon": _jensen_shannon,
    "value_at_optimum": _value_at_optimum,
    "generator_loss": _generator_loss,
    "generator_slopes": _generator_slopes,
    "changes_of_losses": _changes_of_losses,
    "predict_game": _predict_game,
}
