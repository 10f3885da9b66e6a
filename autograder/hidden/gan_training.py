"""Hidden properties of the exercises in ``notebooks/gan/training.ipynb``."""

from collections.abc import Callable
from typing import Any

import torch

from genmodels.checks import Property
from genmodels.checks.gan_training import (
    Column,
    ToyGame,
    ToyPenalty,
    digits_generator_properties,
    require_other_left_alone,
    require_ring_modes,
    require_ring_quality,
    require_ring_width,
    require_training_mode,
)

Function = Callable[..., Any]


def _step(who: str, seed: int) -> tuple[Property, ...]:
    def follows_the_gradient(answer: Function) -> None:
        for offset, batch in enumerate((1, 2, 7)):
            game = ToyGame(seed + 10 + offset, batch)
            for i in range(2):
                game.leave_gradients()
                game.require_step(who, answer, i, "")

    def normalises_each_batch_by_itself(answer: Function) -> None:
        require_training_mode(who, answer, ToyGame(seed + 20, batch=6, batch_norm=True))
        require_other_left_alone(who, answer, ToyGame(seed + 21, batch=6, batch_norm=True))

    def uses_the_optimizer(answer: Function) -> None:
        game = ToyGame(seed + 30)
        game.optimizers[who].param_groups[0]["lr"] = 0.0
        kept = [w.detach().clone() for _, network in game.networks() for w in network.parameters()]
        game.step(who, answer, 0)
        now = [w for _, network in game.networks() for w in network.parameters()]
        assert all(torch.equal(a.detach(), b) for a, b in zip(now, kept, strict=True))

    def stands_large_logits(answer: Function) -> None:
        for scale in (40.0, 300.0):
            ToyGame(seed + 40, scale=scale).require_step(who, answer, 0, "")

    def leaves_its_inputs_alone(answer: Function) -> None:
        game = ToyGame(seed + 50)
        kept = game.x[0].clone(), game.z[0].clone()
        game.step(who, answer, 0)
        assert torch.equal(game.x[0], kept[0])
        assert torch.equal(game.z[0], kept[1])

    return (
        Property("the loss and the weights are right after each step, for batches of any size", follows_the_gradient),
        Property("with batch normalisation too, and the other network is left alone", normalises_each_batch_by_itself),
        Property("it is the optimizer that moves the weights", uses_the_optimizer),
        Property("the loss and the step are right for logits of any size", stands_large_logits),
        Property("the examples and the codes are left as they were", leaves_its_inputs_alone),
    )


def _gradient_penalty(seed: int) -> tuple[Property, ...]:
    def agrees(answer: Function) -> None:
        for offset, (shape, batch) in enumerate((((2,), 1), ((5,), 5), ((1, 4, 4), 4), ((3, 2, 5), 6))):
            problem = ToyPenalty(shape, seed + offset, batch)
            problem.require(answer, "")
            problem.require_trains(answer, "")

    def flat_slopes_count(answer: Function) -> None:
        # A critic with hardly any slope: what a length is kept from zero by shows here.
        problem = ToyPenalty((3,), seed + 10, curved=0.0)
        with torch.no_grad():
            problem.critic.b.mul_(0.01)
        problem.require(answer, "")

    def takes_a_column(answer: Function) -> None:
        problem = ToyPenalty((3,), seed + 20)
        column = Column(problem.critic)
        problem.require(lambda _, *rest: answer(column, *rest), "")

    def leaves_all_alone(answer: Function) -> None:
        problem = ToyPenalty((1, 3, 3), seed + 30)
        given = problem.real, problem.fake, problem.u
        kept = [value.clone() for value in given]
        problem.answered(answer)
        assert all(torch.equal(a, b) for a, b in zip(given, kept, strict=True))
        assert not any(value.requires_grad for value in given)
        assert all(weight.grad is None for weight in problem.critic.parameters())

    return (
        Property("the penalty and what the critic learns from it are right in general", agrees),
        Property("a critic without much slope is punished as it should be", flat_slopes_count),
        Property("a critic may give its outputs as a column", takes_a_column),
        Property("no gradient is left in the critic's weights, and the examples stay as they are", leaves_all_alone),
    )


def _ring_generator(seed: int) -> tuple[Property, ...]:
    return (
        Property(
            "at least 60% of the samples are close to a mode", lambda answer: require_ring_quality(answer(), seed + 1)
        ),
        Property(
            "each of the eight modes has its share of samples", lambda answer: require_ring_modes(answer(), seed + 1)
        ),
        Property("the samples of a mode are not all one point", lambda answer: require_ring_width(answer(), seed + 1)),
    )


HIDDEN: dict[str, Callable[[int], tuple[Property, ...]]] = {
    "discriminator_step": lambda seed: _step("discriminator", seed),
    "generator_step": lambda seed: _step("generator", seed),
    "ring_generator": _ring_generator,
    "gradient_penalty": _gradient_penalty,
    "digits_generator": lambda seed: digits_generator_properties(seed + 1),
}
