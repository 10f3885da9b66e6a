"""Public properties of the exercises in ``notebooks/diffusion/process.ipynb``."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import sympy
import torch
from torch import Tensor

from genmodels.checks._expression import require_expression, require_value
from genmodels.checks._property import Exercise, Property, require_close, require_tensor

Function = Callable[..., Any]
FORWARD, BACK = "the chapter 'The way into noise'", "the chapter 'One step back'"
LOSS = "the chapter 'From a divergence to a guess at the noise'"


def numbers(*values: float) -> Tensor:
    """Float64, (n,)."""
    return torch.tensor(values, dtype=torch.float64)


def several(result: object, names: tuple[str, ...]) -> tuple[Any, ...]:
    """The answer's parts, as many as there are names; an AssertionError says what else came."""
    if not isinstance(result, tuple | list) or type(result) not in (tuple, list):
        raise AssertionError(f"expected a tuple, {', '.join(names)}, got {type(result).__name__}")
    assert len(result) == len(names), f"expected {len(names)} in a tuple, {', '.join(names)}, got {len(result)}"
    return tuple(result)


def one_number(got: object, what: str) -> float:
    """A finite number, of Python, of NumPy or in a tensor of shape (); an AssertionError says what else came."""
    if isinstance(got, Tensor):
        value = require_tensor(got, (), what).item()
    else:
        # Exact types: a number of the answer's own class could compare as it likes.
        assert type(got) in (int, float, np.float64), f"{what} must be a number, got {type(got).__name__}"
        value = float(got)  # type: ignore[arg-type]
    assert math.isfinite(value), f"{what} must be a finite number, got {value}"
    return value


def require_number(got: object, want: float, given: str, what: str, tolerance: float = 1e-9) -> None:
    """Raise AssertionError unless ``got`` is a number within ``tolerance`` of ``want``, absolute or relative."""
    value = one_number(got, what)
    assert abs(value - want) <= tolerance * (1 + abs(want)), (
        f"for {given}\n{what} is {value:.6g}, it must be {want:.6g}"
    )


# --- linear_tables --------------------------------------------------------------------------------------------------

TABLES = ("beta", "alpha", "alpha_bar")


def tables(answer: Function, T: int, beta_1: float, beta_T: float) -> tuple[Tensor, ...]:
    """The answer's three tables, float64 and of length T + 1; an AssertionError says what else came."""
    got = several(answer(T, beta_1, beta_T), TABLES)
    for name, table in zip(TABLES, got, strict=True):
        require_tensor(table, (T + 1,), name)
        assert table.dtype == torch.float64, f"{name} must be a table of float64, got {table.dtype}"
    return got


def _require_tables(answer: Function, asked: tuple[int, float, float], wants: tuple[Tensor, ...]) -> None:
    given = f"T = {asked[0]}, beta_1 = {asked[1]}, beta_T = {asked[2]}"
    for name, got, want in zip(TABLES, tables(answer, *asked), wants, strict=True):
        require_close(got, want, given, 1e-9, name)


def _tables_have_an_entry_for_zero(answer: Function) -> None:
    for T in (2, 5):
        tables(answer, T, 0.1, 0.3)


def _tables_begin_with_the_data(answer: Function) -> None:
    for name, table, want in zip(TABLES, tables(answer, 4, 0.1, 0.25), (0.0, 1.0, 1.0), strict=True):
        require_close(table[:1], [want], "T = 4, beta_1 = 0.1, beta_T = 0.25", 1e-12, f"the first entry of {name}")


def _beta_goes_from_end_to_end(answer: Function) -> None:
    beta, _, _ = tables(answer, 4, 0.1, 0.25)
    require_close(beta, [0.0, 0.1, 0.15, 0.2, 0.25], "T = 4, beta_1 = 0.1, beta_T = 0.25", 1e-9, "beta")


def _alpha_bar_is_a_product(answer: Function) -> None:
    wants = numbers(0, 0.1, 0.15, 0.2, 0.25), numbers(1, 0.9, 0.85, 0.8, 0.75), numbers(1, 0.9, 0.765, 0.612, 0.459)
    _require_tables(answer, (4, 0.1, 0.25), wants)
    _require_tables(answer, (2, 0.5, 0.75), (numbers(0, 0.5, 0.75), numbers(1, 0.5, 0.25), numbers(1, 0.5, 0.125)))


def _the_usual_end(answer: Function) -> None:
    last = tables(answer, 1000, 1e-4, 0.02)[2][-1].item()
    assert abs(last / 4.035830e-05 - 1) <= 1e-6, (
        f"for T = 1000, beta_1 = 0.0001, beta_T = 0.02\nalpha_bar ends at {last:.6e}, it must end at 4.035830e-05"
    )


LINEAR_TABLES = Exercise(
    "linear_tables",
    f"equations dif-linear-schedule and dif-forward-closed-form in {FORWARD}",
    (
        Property("the result is three float64 tables of length T + 1", _tables_have_an_entry_for_zero),
        Property("entry 0 is the data, before any noise: beta 0, alpha and alpha_bar 1", _tables_begin_with_the_data),
        Property("beta goes from beta_1 at t = 1 to beta_T at t = T in equal steps", _beta_goes_from_end_to_end),
        Property("alpha is 1 - beta, and alpha_bar the product of alpha up to t", _alpha_bar_is_a_product),
        Property("the usual thousand steps leave 4.035830e-05 of the image's variance", _the_usual_end),
    ),
)


# --- variances_along ------------------------------------------------------------------------------------------------

PROCESSES = ("as printed", "as meant")


def variances(answer: Function, alpha: Tensor, variance: float) -> tuple[Any, ...]:
    """The answer's two tables, each of the length of alpha; an AssertionError says what else came."""
    got = several(answer(alpha, variance), PROCESSES)
    for name, table in zip(PROCESSES, got, strict=True):
        require_tensor(table, tuple(alpha.shape), f"the table {name}")
    return got


def _require_variances(answer: Function, which: int, alpha: list[float], variance: float, want: list[float]) -> None:
    got = variances(answer, numbers(*alpha), variance)[which]
    require_close(got, want, f"alpha = {alpha}, variance = {variance}", 1e-9, f"the variance {PROCESSES[which]}")


def _variances_are_two_tables(answer: Function) -> None:
    variances(answer, numbers(1, 0.9, 0.8), 1.0)


def _variances_begin_with_the_data(answer: Function) -> None:
    for name, table in zip(PROCESSES, variances(answer, numbers(1, 0.9, 0.8), 0.3), strict=True):
        require_close(table[:1], [0.3], "variance = 0.3", 1e-9, f"the first entry {name}")


def _unit_variance_is_kept(answer: Function) -> None:
    _require_variances(answer, 1, [1, 0.5, 0.8, 0.3], 1.0, [1, 1, 1, 1])


def _variance_as_meant(answer: Function) -> None:
    _require_variances(answer, 1, [1, 0.5, 0.75], 4.0, [4, 2.5, 2.125])


def _variance_as_printed(answer: Function) -> None:
    # 0.5 * 4 + 0.5^2, and 0.75 of that + 0.25^2.
    _require_variances(answer, 0, [1, 0.5, 0.75], 4.0, [4, 2.25, 1.75])
    _require_variances(answer, 0, [1, 0.5, 0.75], 1.0, [1, 0.75, 0.625])


VARIANCES_ALONG = Exercise(
    "variances_along",
    f"section 'One step' in {FORWARD}",
    (
        Property("the result is two tables, each of the length of alpha", _variances_are_two_tables),
        Property("both begin with the variance of the data", _variances_begin_with_the_data),
        Property("with the right factor, data of variance 1 keep it", _unit_variance_is_kept),
        Property("with the right factor, any other variance approaches 1", _variance_as_meant),
        Property("with the printed factor, too little noise is added at each step", _variance_as_printed),
    ),
)


# --- q_sample -------------------------------------------------------------------------------------------------------

# The roots of 0.64 and 0.36 can be taken by hand.
STEPS = numbers(1, 0.64, 0.36)
STEPS_SAID = "alpha_bar = [1, 0.64, 0.36]"


def _xt_has_the_shape_of_x0(answer: Function) -> None:
    for shape in ((2, 3), (2, 1, 4, 4), (2, 5, 2)):
        x = torch.zeros(shape, dtype=torch.float64)
        require_tensor(answer(x, torch.tensor([1, 2]), x.clone(), STEPS), shape)


def _xt_without_noise(answer: Function) -> None:
    got = answer(numbers(1, -2)[:, None], torch.tensor([1, 1]), numbers(0, 0)[:, None], STEPS)
    require_close(got, [[0.8], [-1.6]], f"{STEPS_SAID}, t = 1, x0 = 1 and -2, eps = 0", 1e-9)


def _xt_without_image(answer: Function) -> None:
    got = answer(numbers(0, 0)[:, None], torch.tensor([1, 1]), numbers(1, -5)[:, None], STEPS)
    require_close(got, [[0.6], [-3.0]], f"{STEPS_SAID}, t = 1, x0 = 0, eps = 1 and -5", 1e-9)


def _each_example_has_its_time(answer: Function) -> None:
    x0, eps = numbers(1, 1)[:, None], numbers(2, 2)[:, None]
    got = answer(x0, torch.tensor([1, 2]), eps, STEPS)
    require_close(got, [[2.0], [2.2]], f"{STEPS_SAID}, t = 1 and 2, x0 = 1, eps = 2", 1e-9)


def _images_have_their_times(answer: Function) -> None:
    x0, eps = (value * torch.ones(2, 1, 2, 2, dtype=torch.float64) for value in (-1.0, 1.0))
    want = numbers(0.2, -0.2).reshape(2, 1, 1, 1).expand(2, 1, 2, 2)
    got = answer(x0, torch.tensor([2, 1]), eps, STEPS)
    require_close(got, want, f"{STEPS_SAID}, two images of 2x2 pixels, t = 2 and 1, x0 = -1, eps = 1", 1e-9)


Q_SAMPLE = Exercise(
    "q_sample",
    f"equation dif-forward-closed-form in {FORWARD}",
    (
        Property("x_t has the shape of x_0, for data of any rank", _xt_has_the_shape_of_x0),
        Property("without noise, x_0 is scaled by the root of alpha_bar", _xt_without_noise),
        Property("noise is scaled by the root of 1 - alpha_bar", _xt_without_image),
        Property("each example has its own time, and t = 1 is the first step", _each_example_has_its_time),
        Property("so it is with images", _images_have_their_times),
    ),
)


# --- condition_gaussian ---------------------------------------------------------------------------------------------

MOMENTS = ("mean", "covariance")


def conditioned(answer: Function, mean: Tensor, cov: Tensor, v: Tensor) -> tuple[Any, ...]:
    """The answer's mean (n,) and covariance (n, n); an AssertionError says what else came."""
    got = several(answer(mean, cov, v), MOMENTS)
    n = len(mean) - len(v)
    require_tensor(got[0], (n,), "the mean")
    require_tensor(got[1], (n, n), "the covariance")
    return got


def _require_conditioned(
    answer: Function, mean: Tensor, cov: Tensor, v: Tensor, wants: tuple[list[Any], list[Any]]
) -> None:
    given = f"mean = {mean.tolist()}, cov = {cov.tolist()}, v = {v.tolist()}"
    for name, got, want in zip(MOMENTS, conditioned(answer, mean, cov, v), wants, strict=True):
        require_close(got, want, given, 1e-9, f"the {name}")


def _what_is_left_has_its_shape(answer: Function) -> None:
    for D, k in ((2, 1), (3, 1), (3, 2), (5, 2)):
        conditioned(answer, torch.zeros(D, dtype=torch.float64), torch.eye(D, dtype=torch.float64), numbers(*[1.0] * k))


def _independent_numbers_tell_nothing(answer: Function) -> None:
    cov = numbers(2, 3).diag()
    _require_conditioned(answer, numbers(1, -1), cov, numbers(7), ([1.0], [[2.0]]))


def _two_numbers(answer: Function) -> None:
    cov = torch.stack([numbers(2, 1), numbers(1, 4)])
    _require_conditioned(answer, numbers(1, -1), cov, numbers(3), ([2.0], [[1.75]]))
    _require_conditioned(answer, numbers(1, -1), cov, numbers(-1), ([1.0], [[1.75]]))


def _two_known(answer: Function) -> None:
    # u is the sum of the two that are known, and of a third with variance 1: given them, only that one is left.
    cov = torch.stack([numbers(7, 3, 3), numbers(3, 2, 1), numbers(3, 1, 2)])
    _require_conditioned(answer, numbers(0, 0, 0), cov, numbers(1, 2), ([3.0], [[1.0]]))


def _two_unknown(answer: Function) -> None:
    cov = torch.stack([numbers(2, 0, 1), numbers(0, 3, 2), numbers(1, 2, 4)])
    wants = [1.5, 1.0], [[1.75, -0.5], [-0.5, 2.0]]
    _require_conditioned(answer, numbers(1, 0, 0), cov, numbers(2), wants)


CONDITION_GAUSSIAN = Exercise(
    "condition_gaussian",
    f"equation dif-gaussian-conditioning in {BACK}",
    (
        Property("the result is a mean (n,) and a covariance (n, n) of what is not known", _what_is_left_has_its_shape),
        Property("what is independent of u tells nothing about it", _independent_numbers_tell_nothing),
        Property("of two numbers, the first given the second is what the chapter says", _two_numbers),
        Property("two numbers may be known", _two_known),
        Property("two numbers may be unknown", _two_unknown),
    ),
)


# --- posterior ------------------------------------------------------------------------------------------------------

# The chapter's example: alpha_t = 0.8, alpha_bar_{t-1} = 0.5.
WALK = numbers(1, 0.5, 0.4)
WALK_SAID = "alpha_bar = [1, 0.5, 0.4]"


def posterior_of(answer: Function, x0: Tensor, xt: Tensor, t: list[int], alpha_bar: Tensor) -> tuple[Any, ...]:
    """The answer's mean and variance, each of the shape of x0; an AssertionError says what else came."""
    got = several(answer(x0, xt, torch.tensor(t), alpha_bar), ("mean", "variance"))
    for name, value in zip(("mean", "variance"), got, strict=True):
        require_tensor(value, tuple(x0.shape), f"the {name}")
    return got


def _posterior_has_the_shape_of_x0(answer: Function) -> None:
    for shape in ((2, 3), (2, 1, 4, 4)):
        x = torch.zeros(shape, dtype=torch.float64)
        posterior_of(answer, x, x.clone(), [1, 2], WALK)


def _variance_by_precisions(answer: Function) -> None:
    _, variance = posterior_of(answer, numbers(1)[:, None], numbers(-0.5)[:, None], [2], WALK)
    require_close(variance, [[1 / 6]], f"{WALK_SAID}, t = 2: precisions 0.8 / 0.2 and 1 / 0.5", 1e-9, "the variance")


def _mean_by_precisions(answer: Function) -> None:
    mean, _ = posterior_of(answer, numbers(1, 0)[:, None], numbers(-0.5, 1)[:, None], [2, 2], WALK)
    # x_t / sqrt(0.8) with the precision 4, and sqrt(0.5) x_0 with the precision 2.
    want = [[(-2 / math.sqrt(0.8) + 2 * math.sqrt(0.5)) / 6], [4 / math.sqrt(0.8) / 6]]
    require_close(mean, want, f"{WALK_SAID}, t = 2, x0 = 1 and 0, xt = -0.5 and 1", 1e-9, "the mean")


def _the_first_step_back(answer: Function) -> None:
    given = f"{WALK_SAID}, t = 1, x0 = 1 and -2, xt = 0.3 and 5"
    mean, variance = posterior_of(answer, numbers(1, -2)[:, None], numbers(0.3, 5)[:, None], [1, 1], WALK)
    require_close(mean, [[1.0], [-2.0]], given, 1e-9, "the mean")
    require_close(variance, [[0.0], [0.0]], given, 1e-9, "the variance")


def _images_go_back_by_their_times(answer: Function) -> None:
    ones = torch.ones(2, 1, 2, 2, dtype=torch.float64)
    mean, variance = posterior_of(answer, ones, 0 * ones, [1, 2], WALK)
    given = f"{WALK_SAID}, two images of 2x2 pixels, t = 1 and 2, x0 = 1, xt = 0"
    for name, got, want in (("mean", mean, (1.0, math.sqrt(0.5) / 3)), ("variance", variance, (0.0, 1 / 6))):
        wanted = numbers(*want).reshape(2, 1, 1, 1).expand(2, 1, 2, 2)
        require_close(got, wanted, given, 1e-9, f"the {name}")


POSTERIOR = Exercise(
    "posterior",
    f"equations dif-posterior-mean and dif-posterior-variance in {BACK}",
    (
        Property("mean and variance have the shape of x_0, for data of any rank", _posterior_has_the_shape_of_x0),
        Property("the precisions of both witnesses add up", _variance_by_precisions),
        Property("the mean weighs both witnesses by their precisions", _mean_by_precisions),
        Property("at t = 1 the mean is x_0, and there is no doubt about it", _the_first_step_back),
        Property("each example has its own time, and so have images", _images_go_back_by_their_times),
    ),
)


# --- cost_of_halves -------------------------------------------------------------------------------------------------


def cost(answer: Function, D: int, T: int) -> tuple[float, float]:
    """The answer's factor and nats; an AssertionError says what else came."""
    factor, nats = several(answer(D, T), ("the factor", "the cost"))
    return one_number(factor, "the factor"), one_number(nats, "the cost")


def _the_cost_is_two_numbers(answer: Function) -> None:
    cost(answer, 64, 1000)


def _the_factor_is_of_the_schedule(answer: Function) -> None:
    factors = {round(cost(answer, D, T)[0], 9) for D, T in ((1, 2), (64, 1000), (3, 7))}
    assert len(factors) == 1, f"the factor by which a variance is wrong is the same for all D and T, got {factors}"
    assert min(factors) > 0, f"a variance is positive, so the factor between two is, got {min(factors)}"


def _the_nats_are_those_of_the_factor(answer: Function) -> None:
    factor, nats = cost(answer, 1, 2)
    # By a sum over a grid, for one number and the one step at t = 2: a right variance of 1, a printed one of `factor`.
    x = torch.linspace(-12, 12, 4801, dtype=torch.float64)
    q = torch.exp(-x.square() / 2) / math.sqrt(2 * math.pi)
    log_ratio = -x.square() / 2 + x.square() / (2 * factor) + math.log(factor) / 2
    require_number(nats, float((q * log_ratio).sum()) * 0.005, f"D = 1, T = 2 and your factor {factor:g}", "the cost")


def _the_nats_add_up_over_the_image(answer: Function) -> None:
    once = cost(answer, 1, 2)[1]
    require_number(cost(answer, 10, 2)[1], 10 * once, "D = 10 and T = 2, ten times what D = 1 costs", "the cost")


def _one_step_has_no_such_term(answer: Function) -> None:
    require_number(cost(answer, 64, 1)[1], 0.0, "D = 64 and T = 1, a chain without a t = 2", "the cost")


COST_OF_HALVES = Exercise(
    "cost_of_halves",
    f"derivation 'The posterior by completing the square' in {BACK}, equation dif-vlb in {LOSS}",
    (
        Property("the result is two finite numbers, a factor and nats", _the_cost_is_two_numbers),
        Property("the factor is positive, and the same at every step and for all data", _the_factor_is_of_the_schedule),
        Property("the nats are those of two Gaussians whose variances differ by it", _the_nats_are_those_of_the_factor),
        Property("they add up over the numbers of an image", _the_nats_add_up_over_the_image),
        Property("the sum over the steps begins at t = 2", _one_step_has_no_such_term),
    ),
)


# --- mean_from_eps --------------------------------------------------------------------------------------------------

SYMBOLS = (*sympy.symbols("xt eps", real=True), *sympy.symbols("alpha alpha_bar", positive=True))


def mean_expression(answer: Function) -> sympy.Expr:
    """The answer's expression; an AssertionError says what else came."""
    return require_expression(answer(*SYMBOLS), SYMBOLS, "the mean")


def place(xt: str, eps: str, alpha: str, alpha_bar: str) -> dict[sympy.Symbol, sympy.Rational]:
    """A point, from fractions or decimals as text."""
    return dict(zip(SYMBOLS, map(sympy.Rational, (xt, eps, alpha, alpha_bar)), strict=True))


def _mean_is_an_expression(answer: Function) -> None:
    mean_expression(answer)


def _mean_without_noise(answer: Function) -> None:
    mean = mean_expression(answer)
    require_value(mean, place("1", "0", "16/25", "9/25"), 1.25, "the mean")
    require_value(mean, place("-3", "0", "1/4", "19/100"), -6.0, "the mean")


def _mean_with_noise(answer: Function) -> None:
    mean = mean_expression(answer)
    # (1 - alpha) / sqrt(1 - alpha_bar) is 0.36 / 0.8, then 0.75 / 0.9.
    require_value(mean, place("0", "1", "16/25", "9/25"), -0.5625, "the mean")
    require_value(mean, place("1", "2", "1/4", "19/100"), 2 - 10 / 3, "the mean")


def _mean_is_x0_after_one_step(answer: Function) -> None:
    mean = mean_expression(answer)
    # At t = 1, where alpha_bar = alpha: x_1 = 0.8 * 2 + 0.6 * 5 came from x_0 = 2.
    require_value(mean, place("4.6", "5", "16/25", "16/25"), 2.0, "the mean")


MEAN_FROM_EPS = Exercise(
    "mean_from_eps",
    f"equations dif-mean-from-eps and dif-predict-x0 in {LOSS}",
    (
        Property("mean_from_eps returns a SymPy expression in the four symbols", _mean_is_an_expression),
        Property("without noise, the shrinking of one step is undone", _mean_without_noise),
        Property("of the noise, a little is taken off", _mean_with_noise),
        Property("at t = 1, where alpha_bar is alpha, the mean is x_0", _mean_is_x0_after_one_step),
    ),
)


# --- loss_weights ---------------------------------------------------------------------------------------------------


def _weights_are_a_table(answer: Function) -> None:
    for table in (WALK, numbers(1, 0.9, 0.8, 0.5, 0.1)):
        require_tensor(answer(table), tuple(table.shape))


def _there_is_no_weight_before_two(answer: Function) -> None:
    weights = require_tensor(answer(numbers(1, 0.9, 0.8, 0.5)), (4,))
    require_close(weights[:2], [0.0, 0.0], "alpha_bar = [1, 0.9, 0.8, 0.5]", 1e-9, "the weight at t = 0 and 1")


def _weight_of_a_step(answer: Function) -> None:
    # An error of 1 in the noise moves the mean by 0.2 / sqrt(0.8 * 0.6); the variance is 1/6.
    want = (0.2 / math.sqrt(0.8 * 0.6)) ** 2 * 6 / 2
    require_close(answer(WALK), [0.0, 0.0, want], WALK_SAID, 1e-9, "the weight")


def _weights_by_ratios(answer: Function) -> None:
    # Signal to noise: 9, 4, 1.
    got = answer(numbers(1, 0.9, 0.8, 0.5))
    require_close(got, [0.0, 0.0, 0.625, 1.5], "alpha_bar = [1, 0.9, 0.8, 0.5]", 1e-9, "the weight")


LOSS_WEIGHTS = Exercise(
    "loss_weights",
    f"equations dif-loss-weight and dif-weight-snr in {LOSS}",
    (
        Property("the weights are a table of the length of alpha_bar", _weights_are_a_table),
        Property("at t = 0 and 1 there is no such term, and the weight is 0", _there_is_no_weight_before_two),
        Property("the weight turns a squared error of noise into the divergence", _weight_of_a_step),
        Property("it is right at every t", _weights_by_ratios),
    ),
)


# --- variance_of_samples --------------------------------------------------------------------------------------------


def _the_variance_is_one_number(answer: Function) -> None:
    for extra_root in (False, True):
        one_number(answer(WALK, 0.25, extra_root), "the variance")


def _one_step_to_the_image(answer: Function) -> None:
    # E[eps | x_1] = sqrt(0.5) x_1 / 0.625, so x_0 = (x_1 - 0.8 x_1) / sqrt(0.5).
    given = "alpha_bar = [1, 0.5], data_variance = 0.25, extra_root = False"
    require_number(answer(numbers(1, 0.5), 0.25, False), 0.08, given, "the variance")


def _all_images_alike(answer: Function) -> None:
    given = "alpha_bar = [1, 0.5, 0.4], data_variance = 0, extra_root = False"
    require_number(answer(WALK, 0.0, False), 0.0, given, "the variance")


def _the_extra_root_at_the_first_step(answer: Function) -> None:
    # At t = 1 the extra root is zero: no noise is taken off at all.
    given = "alpha_bar = [1, 0.5], data_variance = 0.25, extra_root = True"
    require_number(answer(numbers(1, 0.5), 0.25, True), 2.0, given, "the variance")


def _two_steps(answer: Function) -> None:
    # At t = 2 alpha is 0.8, E[eps | x_2] = sqrt(0.6) x_2 / 0.7, and the noise's variance is 1/6; then t = 1 as above.
    at_one = (1 - 0.2 / 0.7) ** 2 / 0.8 + 1 / 6
    given = "alpha_bar = [1, 0.5, 0.4], data_variance = 0.25, extra_root = False"
    require_number(answer(WALK, 0.25, False), 0.08 * at_one, given, "the variance")
    at_one = (1 - 0.2 / 0.7 * math.sqrt(0.5)) ** 2 / 0.8 + 1 / 6
    given = "alpha_bar = [1, 0.5, 0.4], data_variance = 0.25, extra_root = True"
    require_number(answer(WALK, 0.25, True), 2.0 * at_one, given, "the variance")


VARIANCE_OF_SAMPLES = Exercise(
    "variance_of_samples",
    f"equation dif-mean-from-eps in {LOSS}, equation dif-posterior-variance in {BACK}",
    (
        Property("the variance is one number", _the_variance_is_one_number),
        Property("from x_1 to x_0 no noise is added", _one_step_to_the_image),
        Property("if all images are alike, the right sampler finds the one that there is", _all_images_alike),
        Property("the extra root is that of 1 - alpha_bar of the step before", _the_extra_root_at_the_first_step),
        Property("two steps follow each other", _two_steps),
    ),
)


# --- predict_process ------------------------------------------------------------------------------------------------


def predicted(answer: Function) -> list[float]:
    """The answer's five numbers; an AssertionError says what else came."""
    result = several(answer(), ("the first prediction", "the second", "the third", "the fourth", "the fifth"))
    for number in result:
        assert type(number) in (int, float), f"expected plain Python numbers, got {type(number).__name__}"
    return [one_number(number, "a prediction") for number in result]


def _predictions_are_five_numbers(answer: Function) -> None:
    predicted(answer)


PREDICT_PROCESS = Exercise(
    "predict_process",
    f"{FORWARD}, and {BACK}",
    (Property("predict_process returns five finite numbers", _predictions_are_five_numbers),),
)

EXERCISES = (
    LINEAR_TABLES,
    VARIANCES_ALONG,
    Q_SAMPLE,
    CONDITION_GAUSSIAN,
    POSTERIOR,
    COST_OF_HALVES,
    MEAN_FROM_EPS,
    LOSS_WEIGHTS,
    VARIANCE_OF_SAMPLES,
    PREDICT_PROCESS,
)
