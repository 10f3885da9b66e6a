"""Public properties of the exercises in ``notebooks/gan/game.ipynb``."""

import math
from collections.abc import Callable
from typing import Any

import sympy
import torch
from torch import Tensor

from genmodels.checks._expression import require_expression, require_value
from genmodels.checks._property import Exercise, Property, require_close, require_tensor

Function = Callable[..., Any]
LOG_2, LOG_3 = math.log(2), math.log(3)
GAME, GRADIENTS = "the chapter 'A game between two networks'", "the chapter 'No gradient where it is needed'"


def numbers(*values: float) -> Tensor:
    """Float64, (B,)."""
    return torch.tensor(values, dtype=torch.float64)


def require_gradient(loss: object, logits: Tensor, want: Tensor | list[float], given: str, what: str) -> None:
    """Raise AssertionError unless the gradient of a loss with respect to its logits is ``want``."""
    require_tensor(loss, ())
    if not isinstance(loss, Tensor) or not loss.requires_grad:
        raise AssertionError("no gradient reaches the logits: was something detached, or a constant returned?")
    (gradient,) = torch.autograd.grad(loss, logits, allow_unused=True, retain_graph=True)
    assert gradient is not None, f"{what} is missing: the loss does not depend on these logits"
    require_close(gradient, want, given, what=what)


# --- discriminator_loss ---------------------------------------------------------------------------------------------


def _loss_is_one_number(loss: Function) -> None:
    require_tensor(loss(torch.zeros(3), torch.zeros(3)), ())
    require_tensor(loss(torch.zeros(3, 1), torch.zeros(2, 1)), ())
    require_tensor(loss(torch.zeros(3, 1, 2, 2), torch.zeros(2, 1, 2, 2)), ())


def _loss_of_a_guess(loss: Function) -> None:
    require_close(loss(numbers(0.0), numbers(0.0)), torch.tensor(2 * LOG_2), "logits of 0, so that D = 1/2", 1e-6)


def _loss_knows_real_from_fake(loss: Function) -> None:
    want = math.log(4 / 3) + LOG_2
    require_close(
        loss(numbers(LOG_3), numbers(0.0)),
        torch.tensor(want),
        "a real logit of log 3 (D = 3/4) and a fake one of 0 (D = 1/2)",
        1e-6,
    )
    want = LOG_2 + math.log(4)
    require_close(
        loss(numbers(0.0), numbers(LOG_3)),
        torch.tensor(want),
        "a real logit of 0 (D = 1/2) and a fake one of log 3 (D = 3/4)",
        1e-6,
    )


def _loss_averages_each_batch(loss: Function) -> None:
    want = math.log(4 / 3) / 2 + LOG_2 / 2 + LOG_2
    require_close(
        loss(numbers(LOG_3, 0.0), numbers(0.0, 0.0, 0.0)),
        torch.tensor(want),
        "two real logits, log 3 and 0, and three fake ones, all 0",
        1e-6,
    )


def _loss_of_large_logits(loss: Function) -> None:
    for size in (100.0, 1000.0):
        given = f"a real logit of {-size:.0f} and a fake one of {size:.0f}"
        require_close(loss(numbers(-size), numbers(size)), torch.tensor(2 * size), given)
        given = f"a real logit of {size:.0f} and a fake one of {-size:.0f}"
        require_close(loss(numbers(size), numbers(-size)), torch.tensor(0.0), given)


def _loss_has_the_right_gradient(loss: Function) -> None:
    real, fake = numbers(-100.0, LOG_3).requires_grad_(), numbers(100.0, LOG_3).requires_grad_()
    result, given = loss(real, fake), "real logits of -100 and log 3, fake ones of 100 and log 3"
    # d/dl of -log D is D - 1, of -log(1 - D) it is D; each over a batch of two.
    require_gradient(result, real, [-0.5, -0.125], given, "the gradient of the real logits")
    require_gradient(result, fake, [0.5, 0.375], given, "the gradient of the fake logits")


DISCRIMINATOR_LOSS = Exercise(
    "discriminator_loss",
    f"equation gan-value in {GAME}",
    (
        Property("the loss is one number, of shape (), for logits of any shape", _loss_is_one_number),
        Property("a discriminator that says 1/2 to everything has the loss log 4", _loss_of_a_guess),
        Property("real logits should be large and fake ones small", _loss_knows_real_from_fake),
        Property("each of the two batches is averaged by itself", _loss_averages_each_batch),
        Property("the loss is exact for large logits too", _loss_of_large_logits),
        Property("its gradients are right, for large logits too", _loss_has_the_right_gradient),
    ),
)


# --- optimal_discriminator ------------------------------------------------------------------------------------------


def _d_has_the_shape_of_the_grid(answer: Function) -> None:
    require_tensor(answer(torch.full((2, 3), 0.1), torch.full((2, 3), 0.2)), (2, 3))


def _d_is_a_share(answer: Function) -> None:
    given = "p_data = [0.2, 0.3, 0.5], p_gen = [0.6, 0.1, 0.3]"
    got = answer(numbers(0.2, 0.3, 0.5), numbers(0.6, 0.1, 0.3))
    require_close(got, [0.25, 0.75, 0.625], given, 1e-9)


def _d_of_one_alone(answer: Function) -> None:
    require_close(answer(numbers(0.5, 0.0), numbers(0.0, 0.4)), [1.0, 0.0], "p_data = [0.5, 0], p_gen = [0, 0.4]", 1e-9)


def _d_where_nothing_is(answer: Function) -> None:
    got = answer(numbers(1.0, 0.0), numbers(1.0, 0.0))
    require_close(got, [0.5, 0.5], "p_data = [1, 0], p_gen = [1, 0]", 1e-9)


def _d_of_rare_places(answer: Function) -> None:
    got = answer(numbers(1e-12, 1.0), numbers(3e-12, 1.0))
    require_close(got, [0.25, 0.5], "p_data = [1e-12, 1], p_gen = [3e-12, 1]", 1e-9)


OPTIMAL_DISCRIMINATOR = Exercise(
    "optimal_discriminator",
    f"equation gan-optimal-discriminator in {GAME}",
    (
        Property("D* has the shape of the grid", _d_has_the_shape_of_the_grid),
        Property("D* is the data's share of what is there", _d_is_a_share),
        Property("where one of the two alone has mass, D* is sure", _d_of_one_alone),
        Property("where neither has mass, D* is 1/2", _d_where_nothing_is),
        Property("a place may be rare in both: the share counts", _d_of_rare_places),
    ),
)


# --- jensen_shannon -------------------------------------------------------------------------------------------------


def _jsd_is_one_number(answer: Function) -> None:
    p = torch.full((2, 3), 1 / 6, dtype=torch.float64)
    require_tensor(answer(p, p.clone()), ())


def _jsd_of_equals(answer: Function) -> None:
    require_close(answer(numbers(0.2, 0.8), numbers(0.2, 0.8)), torch.tensor(0.0), "p = q = [0.2, 0.8]", 1e-9)


def _jsd_of_strangers(answer: Function) -> None:
    want = torch.tensor(LOG_2, dtype=torch.float64)
    require_close(answer(numbers(1.0, 0.0), numbers(0.0, 1.0)), want, "p = [1, 0], q = [0, 1]", 1e-9)
    given = "p = [0.5, 0.5, 0, 0], q = [0, 0, 0.3, 0.7]"
    require_close(answer(numbers(0.5, 0.5, 0.0, 0.0), numbers(0.0, 0.0, 0.3, 0.7)), want, given, 1e-9)


def _jsd_between(answer: Function) -> None:
    # m = [3/4, 1/4]: (log 4/3) / 2 from p, and (log 2/3 + log 2) / 4 from q.
    want = torch.tensor(0.75 * math.log(4 / 3), dtype=torch.float64)
    require_close(answer(numbers(1.0, 0.0), numbers(0.5, 0.5)), want, "p = [1, 0], q = [1/2, 1/2]", 1e-9)
    require_close(answer(numbers(0.5, 0.5), numbers(1.0, 0.0)), want, "p = [1/2, 1/2], q = [1, 0]", 1e-9)


def _jsd_ignores_empty_cells(answer: Function) -> None:
    want = torch.tensor(0.75 * math.log(4 / 3), dtype=torch.float64)
    p, q = numbers(0.0, 1.0, 0.0, 0.0), numbers(0.0, 0.5, 0.0, 0.5)
    require_close(answer(p, q), want, "p = [0, 1, 0, 0], q = [0, 1/2, 0, 1/2]", 1e-9)
    given = "the same in two rows, p = [[0, 1], [0, 0]], q = [[0, 1/2], [0, 1/2]]"
    require_close(answer(p.reshape(2, 2), q.reshape(2, 2)), want, given, 1e-9)


JENSEN_SHANNON = Exercise(
    "jensen_shannon",
    f"equation jensen-shannon in {GAME}",
    (
        Property("the divergence is one number, of shape (), for a grid of any shape", _jsd_is_one_number),
        Property("from a distribution to itself it is zero", _jsd_of_equals),
        Property("between two that share no cell it is log 2, in nats", _jsd_of_strangers),
        Property("in between it is what the definition says, both ways round", _jsd_between),
        Property("cells with no mass add nothing", _jsd_ignores_empty_cells),
    ),
)


# --- value_at_optimum -----------------------------------------------------------------------------------------------

SHARES = c, r = sympy.symbols("c r", positive=True)


def at(c_value: str, r_value: str) -> dict[sympy.Symbol, sympy.Rational]:
    """The point c, r, from fractions or decimals as text."""
    return {c: sympy.Rational(c_value), r: sympy.Rational(r_value)}


def value_and_divergence(answer: Function) -> tuple[sympy.Expr, sympy.Expr]:
    """The answer's two expressions; an AssertionError says what is wrong with them."""
    result = answer(*SHARES)
    if type(result) not in (tuple, list) or len(result) != 2:
        raise AssertionError(f"expected the two expressions V(G, D*) and JSD as a tuple, got {type(result).__name__}")
    value, divergence = result
    return require_expression(value, SHARES, "V(G, D*)"), require_expression(divergence, SHARES, "the JSD")


def _both_are_expressions(answer: Function) -> None:
    value_and_divergence(answer)


def _value_of_a_partial_copy(answer: Function) -> None:
    value, _ = value_and_divergence(answer)
    # With c = r, D* is 1/2 on the shared part and right elsewhere: 2 c log(1/2).
    require_value(value, at("1/2", "1/2"), -LOG_2, "V(G, D*)")
    require_value(value, at("1/4", "1/4"), -LOG_2 / 2, "V(G, D*)")


def _value_in_general(answer: Function) -> None:
    value, _ = value_and_divergence(answer)
    # D* = 2/3 on the shared part: log(2/3) / 2 + log(1/3) / 4, and the same with the shares exchanged.
    for point in (at("1/2", "1/4"), at("1/4", "1/2")):
        require_value(value, point, math.log(2 / 3) / 2 - LOG_3 / 4, "V(G, D*)")


def _divergence_of_a_partial_copy(answer: Function) -> None:
    _, divergence = value_and_divergence(answer)
    # With c = r, half of each distribution (a quarter, ...) is the other's, and the rest is disjoint.
    require_value(divergence, at("1/2", "1/2"), LOG_2 / 2, "the JSD")
    require_value(divergence, at("1/4", "1/4"), LOG_2 * 3 / 4, "the JSD")


def _identity_holds(answer: Function) -> None:
    value, divergence = value_and_divergence(answer)
    for point in (at("0.3", "0.9"), at("0.8", "0.05")):
        require_value(value - (2 * divergence - sympy.log(4)), point, 0.0, "V(G, D*) - (2 JSD - log 4)")


VALUE_AT_OPTIMUM = Exercise(
    "value_at_optimum",
    f"equations gan-value-at-optimum and gan-optimal-discriminator in {GAME}",
    (
        Property("value_at_optimum returns two SymPy expressions in c and r", _both_are_expressions),
        Property("the value is right where c and r are equal", _value_of_a_partial_copy),
        Property("the value is right where they are not", _value_in_general),
        Property("the divergence is right where c and r are equal", _divergence_of_a_partial_copy),
        Property("the value is 2 JSD - log 4", _identity_holds),
    ),
)


# --- generator_loss -------------------------------------------------------------------------------------------------

KINDS = ("minimax", "non_saturating")


def _losses_are_one_number(loss: Function) -> None:
    for kind in KINDS:
        for shape in ((3,), (3, 1), (2, 1, 2, 2)):
            require_tensor(loss(torch.zeros(shape), kind), (), f"the {kind} loss")


def _losses_of_known_fakes(loss: Function) -> None:
    for d, logit in ((0.75, LOG_3), (0.25, -LOG_3)):
        given = f"a logit of {logit:.4f}, so that D(G(z)) = {d}"
        wants = (math.log(1 - d), -math.log(d))
        for kind, want in zip(KINDS, wants, strict=True):
            require_close(loss(numbers(logit), kind), torch.tensor(want), given, 1e-6, f"the {kind} loss")


def _losses_are_means(loss: Function) -> None:
    given = "two logits, log 3 and 0"
    for kind, want in zip(KINDS, (-1.5 * LOG_2, (math.log(4 / 3) + LOG_2) / 2), strict=True):
        require_close(loss(numbers(LOG_3, 0.0), kind), torch.tensor(want), given, 1e-6, f"the {kind} loss")


def _losses_of_large_logits(loss: Function) -> None:
    for size in (100.0, 1000.0):
        for kind, logit, want in (
            ("minimax", size, -size),
            ("minimax", -size, 0.0),
            ("non_saturating", size, 0.0),
            ("non_saturating", -size, size),
        ):
            given = f"a logit of {logit:.0f}"
            require_close(loss(numbers(logit), kind), torch.tensor(want), given, what=f"the {kind} loss")


def _losses_have_the_right_gradients(loss: Function) -> None:
    given = "three logits, -100, log 3 and 100"
    for kind, want in zip(KINDS, ([0.0, -0.75, -1.0], [-1.0, -0.25, 0.0]), strict=True):
        logits = numbers(-100.0, LOG_3, 100.0).requires_grad_()
        require_gradient(loss(logits, kind), logits, numbers(*want) / 3, given, f"the gradient of the {kind} loss")


def _other_kinds_are_refused(loss: Function) -> None:
    for kind in ("non-saturating", "least_squares"):
        try:
            got = loss(numbers(0.0), kind)
        except ValueError:
            continue
        except NotImplementedError:
            raise
        except Exception as error:
            raise AssertionError(f"for kind={kind!r} it raised {type(error).__name__}, not ValueError") from None
        raise AssertionError(f"for kind={kind!r} it raised no ValueError, but returned {got!r}")


GENERATOR_LOSS = Exercise(
    "generator_loss",
    f"equations gan-generator-slopes and gan-non-saturating in {GRADIENTS}",
    (
        Property("the loss is one number, of shape (), for logits of any shape", _losses_are_one_number),
        Property(
            "minimax is log(1 - D(G(z))), and non_saturating is -log D(G(z)), both from the logit",
            _losses_of_known_fakes,
        ),
        Property("the loss of a batch is the mean of the losses", _losses_are_means),
        Property("the losses are exact for large logits too", _losses_of_large_logits),
        Property("their gradients are right, for large logits too", _losses_have_the_right_gradients),
        Property("a kind that is neither of the two raises a ValueError", _other_kinds_are_refused),
    ),
)


# --- generator_slopes -----------------------------------------------------------------------------------------------

D = sympy.Symbol("d", positive=True)
LOSSES = ("log(1 - d)", "-log d", "(d - 1)^2 / 2")


def slopes_and_zeros(answer: Function) -> tuple[list[sympy.Expr], list[list[float]]]:
    """The answer's three slopes, and three sorted lists of where they vanish; an AssertionError says what is wrong."""
    result = answer(D)
    if type(result) not in (tuple, list) or len(result) != 2 or any(type(part) not in (tuple, list) for part in result):
        raise AssertionError(f"expected two tuples, the slopes and where they vanish, got {str(result)[:60]}")
    slopes, zeros = result
    assert len(slopes) == 3, f"expected three slopes, got {len(slopes)}"
    assert len(zeros) == 3, f"expected three tuples of numbers, one for each slope, got {len(zeros)}"
    for where in zeros:
        assert type(where) in (tuple, list, set, frozenset), f"expected a tuple of numbers, got {type(where).__name__}"
    named = [require_expression(s, (D,), f"the slope of {loss}") for s, loss in zip(slopes, LOSSES, strict=True)]
    return named, [sorted({_plain(number) for number in where}) for where in zeros]


def _plain(number: object) -> float:
    # Exact types: a number of the answer's own class could compare as it likes.
    kinds = (int, float, sympy.Float, sympy.Integer, sympy.Rational, type(sympy.S.Zero), type(sympy.S.One))
    if type(number) not in kinds:
        raise AssertionError(f"a slope vanishes at numbers in [0, 1], got {type(number).__name__}")
    value = float(number)  # type: ignore[arg-type]
    assert 0 <= value <= 1, f"d is a probability, so a slope vanishes at numbers in [0, 1], got {value}"
    return value


def _slopes_come_with_their_zeros(answer: Function) -> None:
    slopes_and_zeros(answer)


def _require_slopes(answer: Function, which: slice) -> None:
    slopes, _ = slopes_and_zeros(answer)
    # At d = 1/4 the sigmoid's slope is 3/16; the losses' are -4/3, -4 and -3/4. At d = 1/2: 1/4, and -2, -2, -1/2.
    for d, wants in (("1/4", (-1 / 4, -3 / 4, -9 / 64)), ("1/2", (-1 / 2, -1 / 2, -1 / 8))):
        for slope, loss, want in list(zip(slopes, LOSSES, wants, strict=True))[which]:
            require_value(slope, {D: sympy.Rational(d)}, want, f"the slope of {loss}")


def _slopes_of_logarithms(answer: Function) -> None:
    _require_slopes(answer, slice(2))


def _slope_of_squares(answer: Function) -> None:
    _require_slopes(answer, slice(2, 3))


def _slopes_vanish_there(answer: Function) -> None:
    _, zeros = slopes_and_zeros(answer)
    for got, want, loss in zip(zeros, ([0.0], [1.0], [0.0, 1.0]), LOSSES, strict=True):
        assert set(got) <= set(want), f"the slope of {loss} does not vanish at {min(set(got) - set(want))}"
        assert len(got) == len(want), (
            f"the slope of {loss} vanishes at {('one end', 'both ends')[len(want) - 1]}, you name {len(got)}"
        )


GENERATOR_SLOPES = Exercise(
    "generator_slopes",
    f"equation gan-generator-slopes in {GRADIENTS}",
    (
        Property(
            "generator_slopes returns three SymPy expressions in d, and three tuples of numbers",
            _slopes_come_with_their_zeros,
        ),
        Property("the slopes of the two logarithms are taken with respect to the logit", _slopes_of_logarithms),
        Property("so is the slope of the square", _slope_of_squares),
        Property("they vanish where you say, and nowhere else", _slopes_vanish_there),
    ),
)


# --- changes_of_losses ----------------------------------------------------------------------------------------------


def changes(answer: Function, d: Tensor, p_gen: Tensor, p_gen_new: Tensor) -> tuple[object, object]:
    """The answer's two numbers; an AssertionError says what else came."""
    result = answer(d, p_gen, p_gen_new)
    if type(result) not in (tuple, list) or len(result) != 2:
        raise AssertionError(f"expected the changes of the two losses as a tuple, got {type(result).__name__}")
    return result[0], result[1]


def require_changes(answer: Function, given: tuple[Tensor, Tensor, Tensor], wants: tuple[float, float]) -> None:
    """Raise AssertionError unless both changes are as wanted."""
    said = "d = {}, p_gen = {}, p_gen_new = {}".format(*(value.tolist() for value in given))
    for who, got, want in zip(("discriminator", "generator"), changes(answer, *given), wants, strict=True):
        require_close(got, torch.tensor(want, dtype=torch.float64), said, 1e-9, f"the change of the {who}'s loss")


def _changes_are_two_numbers(answer: Function) -> None:
    grid = torch.full((2, 2), 0.25, dtype=torch.float64)
    for who, got in zip(("discriminator", "generator"), changes(answer, grid, grid, grid), strict=True):
        require_tensor(got, (), f"the change of the {who}'s loss")


def _nothing_moves(answer: Function) -> None:
    p_gen = numbers(0.3, 0.7)
    require_changes(answer, (numbers(0.2, 0.6), p_gen, p_gen.clone()), (0.0, 0.0))


def _fooling_the_discriminator(answer: Function) -> None:
    given = numbers(0.5, 0.9), numbers(1.0, 0.0), numbers(0.0, 1.0)
    require_changes(answer, given, (math.log(5), -math.log(1.8)))


def _a_part_moves(answer: Function) -> None:
    given = numbers(0.5, 0.9), numbers(0.75, 0.25), numbers(0.25, 0.75)
    require_changes(answer, given, (math.log(5) / 2, -math.log(1.8) / 2))


def _both_lose(answer: Function) -> None:
    given = numbers(0.01, 0.3, 0.8), numbers(0.0, 1.0, 0.0), numbers(0.5, 0.0, 0.5)
    require_changes(answer, given, (math.log(0.7) - math.log(0.198) / 2, math.log(0.3) - math.log(0.008) / 2))


CHANGES_OF_LOSSES = Exercise(
    "changes_of_losses",
    f"section 'It is another game now' in {GRADIENTS}",
    (
        Property("the result is two tensors of shape (), for a grid of any shape", _changes_are_two_numbers),
        Property("if the generator stays, so do the losses", _nothing_moves),
        Property("if all samples go from D = 0.5 to D = 0.9, D pays more than G gains", _fooling_the_discriminator),
        Property("if half of them go, the changes are half as large", _a_part_moves),
        Property("there is a move that costs both players", _both_lose),
    ),
)


# --- predict_game ---------------------------------------------------------------------------------------------------


def predicted(answer: Function) -> list[float]:
    """The answer's five numbers; an AssertionError says what else came."""
    result = answer()
    if type(result) not in (tuple, list) or len(result) != 5:
        raise AssertionError(f"expected five numbers as a tuple, got {type(result).__name__}")
    for number in result:
        assert type(number) in (int, float), f"expected plain Python numbers, got {type(number).__name__}"
        assert math.isfinite(number), f"expected finite numbers, got {number}"
    return [float(number) for number in result]


def _predictions_are_five_numbers(answer: Function) -> None:
    predicted(answer)


PREDICT_GAME = Exercise(
    "predict_game",
    f"equation gan-value-at-optimum in {GAME}",
    (Property("predict_game returns five finite numbers", _predictions_are_five_numbers),),
)

EXERCISES = (
    DISCRIMINATOR_LOSS,
    OPTIMAL_DISCRIMINATOR,
    JENSEN_SHANNON,
    VALUE_AT_OPTIMUM,
    GENERATOR_LOSS,
    GENERATOR_SLOPES,
    CHANGES_OF_LOSSES,
    PREDICT_GAME,
)
