"""Public properties of the exercises in ``notebooks/vae/bound.ipynb``."""

import math
from collections.abc import Callable
from typing import Any

import sympy
import torch
from torch import Tensor

from genmodels.checks._expression import require_expression
from genmodels.checks._property import Exercise, Property, require_close, require_tensor

Function = Callable[..., Any]
LOG_2 = math.log(2)


def row(*numbers: float) -> Tensor:
    """A batch of one example: (1, D), float64."""
    return torch.tensor([numbers], dtype=torch.float64)


# --- log_mean_exp ---------------------------------------------------------------------------------------------------


def _mean_has_one_number_per_example(answer: Function) -> None:
    require_tensor(answer(torch.zeros(5, 3)), (3,))


def _mean_of_one_term_is_that_term(answer: Function) -> None:
    require_close(answer(row(-1.5, 2.0)), [-1.5, 2.0], "one term for each of two images: [[-1.5, 2]]")


def _mean_of_two_terms(answer: Function) -> None:
    # The terms 1 and 3 have the mean 2.
    column = torch.tensor([[0.0], [math.log(3.0)]], dtype=torch.float64)
    require_close(answer(column), [LOG_2], "the terms 1 and 3, as logarithms [[0], [1.0986]]")


def _mean_of_tiny_terms(answer: Function) -> None:
    column = torch.tensor([[-3000.0], [-3000.0 + math.log(3.0)]], dtype=torch.float64)
    require_close(answer(column), [-3000 + LOG_2], "the logarithms [[-3000], [-2998.9014]]")


def _mean_of_huge_terms(answer: Function) -> None:
    require_close(answer(torch.full((4, 1), 800.0, dtype=torch.float64)), [800.0], "four logarithms of 800")


def _mean_of_images_far_apart(answer: Function) -> None:
    log_terms = torch.tensor([[-5.0, -4000.0], [-5.0, -4000.0]], dtype=torch.float64)
    require_close(answer(log_terms), [-5.0, -4000.0], "two images, with terms of e^-5 and of e^-4000")


LOG_MEAN_EXP = Exercise(
    "log_mean_exp",
    "equation prior-monte-carlo in the chapter 'An integral too wide'",
    (
        Property("the result has shape (B,): the mean runs over the first dimension", _mean_has_one_number_per_example),
        Property("the mean of one term is that term", _mean_of_one_term_is_that_term),
        Property("it is the logarithm of the mean, not the mean of the logarithms, nor of the sum", _mean_of_two_terms),
        Property("very small terms are no trouble", _mean_of_tiny_terms),
        Property("very large terms are no trouble", _mean_of_huge_terms),
        Property("nor are images whose terms differ greatly", _mean_of_images_far_apart),
    ),
)


# --- kl_normal ------------------------------------------------------------------------------------------------------


def _kl_has_one_number_per_example(kl: Function) -> None:
    require_tensor(kl(torch.zeros(3, 4), torch.zeros(3, 4), torch.zeros(3, 4), torch.zeros(3, 4)), (3,))


def _kl_of_equals_is_zero(kl: Function) -> None:
    mu, logvar = row(1.0, -2.0), row(0.5, -1.0)
    require_close(kl(mu, logvar, mu, logvar), [0.0], "q = p = N([1, -2], exp([0.5, -1]))")


def _kl_of_a_shift(kl: Function) -> None:
    zero = row(0.0)
    require_close(kl(row(2.0), zero, zero, zero), [2.0], "mu_q = 2, mu_p = 0 and both variances 1 (logvar = 0)")


def _kl_of_a_wider_q(kl: Function) -> None:
    # q has variance 4, so logvar 1.386: by hand, (4 - 1 - log 4) / 2.
    want = (3 - 2 * LOG_2) / 2
    require_close(
        kl(row(0.0), row(2 * LOG_2), row(0.0), row(0.0)), [want], "q = N(0, 4), p = N(0, 1): logvar_q = log 4"
    )


def _kl_is_not_symmetric(kl: Function) -> None:
    # By hand, (1/4 - 1 + log 4) / 2.
    want = (2 * LOG_2 - 0.75) / 2
    require_close(
        kl(row(0.0), row(0.0), row(0.0), row(2 * LOG_2)), [want], "q = N(0, 1), p = N(0, 4): logvar_p = log 4"
    )


def _kl_measures_the_shift_in_p(kl: Function) -> None:
    # A shift of 2 with p's standard deviation 2 and q's the same: (2 / 2)^2 / 2.
    require_close(kl(row(3.0), row(2 * LOG_2), row(1.0), row(2 * LOG_2)), [0.5], "q = N(3, 4), p = N(1, 4)")


def _kl_sums_over_dimensions(kl: Function) -> None:
    mu_q, zero = torch.tensor([[1.0, 1.0, 1.0], [2.0, 0.0, 0.0]]), torch.zeros(2, 3)
    require_close(
        kl(mu_q, zero, zero, zero),
        [1.5, 2.0],
        "two examples, mu_q = [1, 1, 1] and [2, 0, 0], p standard normal",
    )


def _kl_has_a_gradient(kl: Function) -> None:
    mu_q, logvar_q = row(1.0).requires_grad_(), row(0.3).requires_grad_()
    result = kl(mu_q, logvar_q, row(0.0), row(0.0))
    assert result.requires_grad, "the result does not depend on mu_q by autograd: was something detached?"
    gradients = torch.autograd.grad(result.sum(), (mu_q, logvar_q), allow_unused=True)
    for name, gradient in zip(("mu_q", "logvar_q"), gradients, strict=True):
        assert gradient is not None, f"there is no gradient for {name}"


KL_NORMAL = Exercise(
    "kl_normal",
    "equation kl-gaussians in the chapter 'The evidence lower bound'",
    (
        Property(
            "the result has shape (B,): one number per example, summed over the latent dimensions",
            _kl_has_one_number_per_example,
        ),
        Property("the divergence from a distribution to itself is zero", _kl_of_equals_is_zero),
        Property("moving the mean of q by 2 standard deviations costs 2 nats", _kl_of_a_shift),
        Property("logvar is the logarithm of the variance, and a wider q costs what it should", _kl_of_a_wider_q),
        Property("q comes first: D_KL(q ‖ p) is not D_KL(p ‖ q)", _kl_is_not_symmetric),
        Property("the shift of the mean is measured in p's variance", _kl_measures_the_shift_in_p),
        Property("dimensions are summed, not averaged, and examples are kept apart", _kl_sums_over_dimensions),
        Property("gradients reach mu_q and logvar_q", _kl_has_a_gradient),
    ),
)


# --- reparameterize -------------------------------------------------------------------------------------------------


def _z_has_the_shape_of_mu(sample: Function) -> None:
    require_tensor(sample(torch.zeros(3, 4), torch.zeros(3, 4), torch.zeros(3, 4)), (3, 4))


def _no_noise_gives_the_mean(sample: Function) -> None:
    require_close(sample(row(1.5), row(0.7), row(0.0)), [[1.5]], "mu = 1.5, eps = 0")


def _the_noise_is_the_one_given(sample: Function) -> None:
    require_close(sample(row(1.0), row(0.0), row(0.25)), [[1.25]], "mu = 1, logvar = 0, eps = 0.25")
    require_close(sample(row(1.0), row(0.0), row(-3.0)), [[-2.0]], "mu = 1, logvar = 0, eps = -3")


def _the_noise_is_scaled_by_sigma(sample: Function) -> None:
    require_close(
        sample(row(0.0), row(2 * LOG_2), row(1.0)),
        [[2.0]],
        "mu = 0, logvar = log 4 (so the standard deviation is 2), eps = 1",
    )


def _z_is_differentiable(sample: Function) -> None:
    mu, logvar = row(1.0).requires_grad_(), row(2 * LOG_2).requires_grad_()
    z = sample(mu, logvar, row(3.0))
    assert isinstance(z, Tensor), f"the result must be a tensor, got {type(z).__name__}"
    assert z.requires_grad, "no gradient reaches mu or logvar: was something detached?"
    gradients = torch.autograd.grad(z.sum(), (mu, logvar), allow_unused=True)
    # dz/dmu = 1; dz/dlogvar = eps * sigma / 2 = 3 * 2 / 2.
    for name, gradient, want in zip(("mu", "logvar"), gradients, (1.0, 3.0), strict=True):
        assert gradient is not None, f"no gradient reaches {name}"
        require_close(gradient, [[want]], "mu = 1, logvar = log 4, eps = 3", what=f"the gradient dz/d{name}")


REPARAMETERIZE = Exercise(
    "reparameterize",
    "equation vae-reparameterization in the chapter 'The evidence lower bound'",
    (
        Property("z has the shape of mu", _z_has_the_shape_of_mu),
        Property("without noise, z is the mean", _no_noise_gives_the_mean),
        Property("the noise is the eps that was handed in, with its sign", _the_noise_is_the_one_given),
        Property(
            "the noise is scaled by the standard deviation, the root of the variance",
            _the_noise_is_scaled_by_sigma,
        ),
        Property("gradients reach mu and logvar", _z_is_differentiable),
    ),
)


# --- elbo_terms -----------------------------------------------------------------------------------------------------


def _three(answer: Function, x: Tensor, logits: Tensor, mu: Tensor, logvar: Tensor) -> tuple[Any, Any, Any]:
    result = answer(x, logits, mu, logvar)
    if not isinstance(result, tuple | list) or len(result) != 3:
        raise AssertionError(f"expected the three tensors recon, kl, elbo as a tuple, got {type(result).__name__}")
    return result[0], result[1], result[2]


def _terms_have_one_number_per_example(answer: Function) -> None:
    images = torch.zeros(3, 1, 8, 8)
    terms = _three(answer, images, images, torch.zeros(3, 2), torch.zeros(3, 2))
    for name, term in zip(("recon", "kl", "elbo"), terms, strict=True):
        require_tensor(term, (3,), name)


def _recon_of_a_coin(answer: Function) -> None:
    recon, _, _ = _three(answer, row(1.0), row(0.0), row(0.0), row(0.0))
    require_close(recon, [-LOG_2], "one white pixel (x = 1) and the logit 0, a probability of 1/2", what="recon")


def _recon_is_of_the_right_pixel_value(answer: Function) -> None:
    # log sigmoid(log 3) = log(3/4); for a black pixel log(1/4).
    logits = torch.tensor([[math.log(3.0)], [math.log(3.0)]], dtype=torch.float64)
    x, zero = torch.tensor([[1.0], [0.0]], dtype=torch.float64), torch.zeros(2, 1, dtype=torch.float64)
    recon, _, _ = _three(answer, x, logits, zero, zero)
    require_close(
        recon,
        [math.log(3 / 4), math.log(1 / 4)],
        "a white and a black pixel, the logit log 3 (a probability of 3/4)",
        what="recon",
    )


def _recon_sums_over_pixels(answer: Function) -> None:
    images = torch.ones(2, 1, 4, 4)
    recon, _, _ = _three(answer, images, torch.zeros_like(images), torch.zeros(2, 2), torch.zeros(2, 2))
    require_close(recon, [-16 * LOG_2] * 2, "two images of 4 by 4 white pixels, all logits 0", what="recon")


def _recon_is_stable(answer: Function) -> None:
    x, logits = row(1.0, 0.0), row(-200.0, -200.0)
    recon, _, _ = _three(answer, x, logits, row(0.0), row(0.0))
    require_close(
        recon,
        [-200.0],
        "a white and a black pixel, both logits -200 (work with the logits: a sigmoid rounds to 0)",
        what="recon",
    )


def _kl_is_to_the_standard_normal(answer: Function) -> None:
    _, kl, _ = _three(answer, row(1.0), row(0.0), row(2.0, 0.0), row(0.0, 2 * LOG_2))
    require_close(
        kl, [2 + (3 - 2 * LOG_2) / 2], "mu = [2, 0], variances [1, 4]: 2 nats for the shift, 0.807", what="kl"
    )


def _elbo_is_the_difference(answer: Function) -> None:
    recon, kl, elbo = _three(answer, row(1.0), row(0.0), row(2.0), row(0.0))
    want = require_tensor(recon, (1,), "recon") - require_tensor(kl, (1,), "kl")
    require_close(elbo, want, "one white pixel, logit 0, mu = 2, logvar = 0", what="elbo")


ELBO_TERMS = Exercise(
    "elbo_terms",
    "equations vae-elbo-estimate and bernoulli-log-likelihood in the chapter 'The evidence lower bound'",
    (
        Property(
            "recon, kl and elbo have shape (B,), whatever the shape of the image",
            _terms_have_one_number_per_example,
        ),
        Property("recon is a log probability: minus log 2 for a fair coin", _recon_of_a_coin),
        Property(
            "the logit is that of a white pixel; a black one has the other probability",
            _recon_is_of_the_right_pixel_value,
        ),
        Property("recon is summed over the pixels, not averaged", _recon_sums_over_pixels),
        Property("recon is exact for large logits too", _recon_is_stable),
        Property("kl is the divergence of q from the standard normal prior", _kl_is_to_the_standard_normal),
        Property("elbo is recon minus kl", _elbo_is_the_difference),
    ),
)


# --- gap ------------------------------------------------------------------------------------------------------------

GAP_SYMBOLS = sympy.symbols("x m", real=True) + sympy.symbols("w s2 v", positive=True)


def gap_by_quadrature(x: float, m: float, w: float, s2: float, v: float) -> float:
    """The gap of q = N(m, v) by adding up log q(z) - log p(z given x) on a fine grid of z: no closed form is used."""
    z = torch.linspace(m - 12 * v**0.5, m + 12 * v**0.5, 20_001, dtype=torch.float64)
    span = max(12.0, abs(x) / w + 12.0)
    everywhere = torch.linspace(-span, span, 40_001, dtype=torch.float64)

    def log_joint(at: Tensor) -> Tensor:  # log p(z) + log p(x given z)
        return -0.5 * (at**2 + (x - w * at) ** 2 / s2 + math.log(4 * math.pi**2 * s2))

    log_p_x = torch.log(torch.trapezoid(torch.exp(log_joint(everywhere)), everywhere))
    log_q = -0.5 * ((z - m) ** 2 / v + math.log(2 * math.pi * v))
    return float(torch.trapezoid(torch.exp(log_q) * (log_q - (log_joint(z) - log_p_x)), z))


def gap_at(answer: Function, x: float, m: float, w: float, s2: float, v: float) -> float:
    """The value of the answer's expression at a point; an AssertionError says what is wrong with it."""
    result = require_expression(answer(*GAP_SYMBOLS), GAP_SYMBOLS, "the gap")
    point = dict(zip(GAP_SYMBOLS, map(sympy.Rational, map(str, (x, m, w, s2, v))), strict=True))
    value = sympy.N(result.subs(point), 20)
    assert value.is_real, f"at x={x}, m={m}, w={w}, s2={s2}, v={v} the expression is {value}, not a real number"
    return float(value)


def require_gap(answer: Function, x: float, m: float, w: float, s2: float, v: float) -> None:
    """Raise AssertionError unless the answer's gap at a point is the integral's."""
    got, want = gap_at(answer, x, m, w, s2, v), gap_by_quadrature(x, m, w, s2, v)
    assert abs(got - want) < 1e-6 * (1 + abs(want)), (
        f"at x={x}, m={m}, w={w}, s2={s2}, v={v}\nyour gap is {got:.6g}, the integral gives {want:.6g}"
    )


def _gap_is_an_expression(answer: Function) -> None:
    gap_at(answer, 1, 0, 1, 1, 1)


def _gap_closes_at_the_posterior(answer: Function) -> None:
    # x = 2, w = 1, s2 = 1: the true posterior is N(1, 1/2).
    got = gap_at(answer, 2, 1, 1, 1, 0.5)
    assert abs(got) < 1e-9, f"at x=2, w=1, s2=1 with q = p(z given x) = N(1, 1/2)\nyour gap is {got:.6g}"


def _gap_of_a_shifted_q(answer: Function) -> None:
    require_gap(answer, 2, 2, 1, 1, 0.5)


def _gap_of_a_wrong_variance(answer: Function) -> None:
    require_gap(answer, 2, 1, 1, 1, 1)
    require_gap(answer, 2, 1, 1, 1, 0.25)


def _gap_in_general(answer: Function) -> None:
    require_gap(answer, 1.5, 0.2, 2, 0.5, 0.3)


GAP = Exercise(
    "gap",
    "equations vae-gap and linear-gaussian-posterior in the chapter 'The evidence lower bound'",
    (
        Property("gap returns a SymPy expression in x, m, w, s2 and v", _gap_is_an_expression),
        Property("the gap is zero where q is the true posterior", _gap_closes_at_the_posterior),
        Property("it is the right number for a q with the wrong mean", _gap_of_a_shifted_q),
        Property("it is the right number for a q with the wrong variance", _gap_of_a_wrong_variance),
        Property("it is the right number when w and s2 are not 1", _gap_in_general),
    ),
)


# --- slide_shortfall ------------------------------------------------------------------------------------------------


def shortfall_by_quadrature(x: float, w: float, s2: float, a: float, v: float) -> float:
    """The slide's three terms less log p(x), summed on a grid of z; q(z) is itself a numerical integral over x."""
    spread = math.sqrt(w**2 + s2)
    z = torch.linspace(a * x - 9 * v**0.5, a * x + 9 * v**0.5, 2_001, dtype=torch.float64)
    xs = torch.linspace(-9 * spread, 9 * spread, 2_001, dtype=torch.float64)

    def density(value: Tensor, mean: Tensor | float, variance: float) -> Tensor:
        return torch.exp(-0.5 * (value - mean) ** 2 / variance) / math.sqrt(2 * math.pi * variance)

    q_z_given_x = density(z, a * x, v)  # (Z,)
    q_z = torch.trapezoid(density(z[:, None], a * xs, v) * density(xs, 0.0, spread**2), xs)  # (Z,)
    # log p(x given z) - log q(z given x) + log p(z) + log q(z) - log p(z given x) - log p(x), less what Bayes' rule
    # cancels:
    return float(torch.trapezoid(q_z_given_x * (torch.log(q_z) - torch.log(q_z_given_x)), z))


def require_shortfall(answer: Function, points: list[tuple[float, float, float, float, float]]) -> None:
    """Raise AssertionError unless the answer agrees with the integrals at each point (x, w, s2, a, v)."""
    for x, w, s2, a, v in points:
        got = answer(torch.tensor([x], dtype=torch.float64), w, s2, a, v)
        require_close(got, [shortfall_by_quadrature(x, w, s2, a, v)], f"x={x}, w={w}, s2={s2}, a={a}, v={v}", 1e-5)


def _shortfall_has_one_number_per_example(answer: Function) -> None:
    require_tensor(answer(torch.zeros(3, dtype=torch.float64), 1.0, 1.0, 0.5, 0.5), (3,))


def _shortfall_vanishes_without_information(answer: Function) -> None:
    require_close(
        answer(torch.tensor([2.0], dtype=torch.float64), 1.0, 1.0, 0.0, 0.7),
        [0.0],
        "a = 0: the code does not depend on x",
    )


def _shortfall_is_the_integral(answer: Function) -> None:
    require_shortfall(answer, [(0.0, 1.0, 1.0, 0.5, 0.5), (2.0, 1.0, 1.0, 0.5, 0.5)])


SLIDE_SHORTFALL = Exercise(
    "slide_shortfall",
    "equations vae-elbo-identity and kl-gaussians in the chapter 'The evidence lower bound'",
    (
        Property("the result has shape (B,)", _shortfall_has_one_number_per_example),
        Property(
            "when q(z given x) does not depend on x, the slide's line happens to be right",
            _shortfall_vanishes_without_information,
        ),
        Property(
            "elsewhere it misses log p(x) by what the integrals say, with their sign",
            _shortfall_is_the_integral,
        ),
    ),
)

# --- predict_gap ----------------------------------------------------------------------------------------------------

WORDS = ("rises", "falls", "stays")


def predictions(answer: Function) -> tuple[str, ...]:
    """The answer's three words; an AssertionError says what else came."""
    result = answer()
    if not isinstance(result, tuple | list) or len(result) != 3:
        raise AssertionError(f"expected three words, got {result!r}")
    for word in result:
        assert type(word) is str, f"expected words, got {word!r}"
        assert word in WORDS, f'expected "rises", "falls" or "stays", got {word!r}'
    return tuple(result)


def _predictions_are_three_words(answer: Function) -> None:
    predictions(answer)


PREDICT_GAP = Exercise(
    "predict_gap",
    "equation linear-gaussian-diagonal-gap in the chapter 'The evidence lower bound'",
    (Property('predict_gap returns three words, each "rises", "falls" or "stays"', _predictions_are_three_words),),
)

EXERCISES = (LOG_MEAN_EXP, KL_NORMAL, REPARAMETERIZE, ELBO_TERMS, GAP, SLIDE_SHORTFALL, PREDICT_GAP)
