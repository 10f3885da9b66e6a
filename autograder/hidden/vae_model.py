"""Hidden properties of the exercises in ``notebooks/vae/model.ipynb``."""

from collections.abc import Callable
from typing import Any

import torch

from autograder.hidden._draws import Draws
from genmodels.checks import Property
from genmodels.checks._property import require_tensor
from genmodels.checks.vae_model import (
    ToyDecoder,
    ToyProblem,
    digits_bound,
    encoded,
    images,
    load_digits_vae,
    require_bound,
    require_edit,
    require_traversal,
)

Function = Callable[..., Any]


def _makes_fresh_networks(answer: Function) -> None:
    first, second = answer(3), answer(3)
    assert first is not second
    shared = {p.data_ptr() for p in first.parameters()} & {p.data_ptr() for p in second.parameters()}
    assert not shared


FRESH_NETWORKS = Property("each call makes a network of its own", _makes_fresh_networks)


def _make_encoder(seed: int) -> tuple[Property, ...]:
    def other_sizes(answer: Function) -> None:
        for latent_dim in (1, 7, 32):
            encoded(answer(latent_dim), images(4, seed), latent_dim)

    def fits(answer: Function) -> None:
        # Two images, two wanted codes: a network that can learn at all gets there.
        network, x = answer(2), images(2, seed)
        want_mu = torch.tensor([[1.0, -6.0], [-2.0, 0.5]])
        want_logvar = torch.tensor([[0.5, 1.0], [-7.0, -1.0]])
        optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
        for _ in range(400):
            mu, logvar = encoded(network, x, 2)
            loss = (mu - want_mu).square().sum() + (logvar - want_logvar).square().sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        assert loss.item() < 0.5

    return (
        Property("the network works for any latent dimension", other_sizes),
        FRESH_NETWORKS,
        Property("mu and logvar can be trained apart from each other, to values of both signs", fits),
    )


def _make_decoder(seed: int) -> tuple[Property, ...]:
    def other_sizes(answer: Function) -> None:
        for latent_dim in (1, 7, 32):
            z = Draws(seed).normal(4, latent_dim).float()
            require_tensor(answer(latent_dim)(z), (4, 1, 8, 8))

    def fits(answer: Function) -> None:
        network, z, x = answer(2), Draws(seed).normal(2, 2).float(), images(2, seed)
        optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
        for _ in range(400):
            logits = network(z)
            loss = (logits - (24 * x - 12)).square().mean()  # log-odds of -12 and 12
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        assert loss.item() < 0.2

    return (
        Property("the network works for any latent dimension", other_sizes),
        FRESH_NETWORKS,
        Property("it can be trained to give any log-odds, of both signs", fits),
    )


def _training_step(seed: int) -> tuple[Property, ...]:
    def follows_the_gradient(answer: Function) -> None:
        for offset, batch in enumerate((1, 4)):
            problem = ToyProblem(seed + 10 + offset, batch)
            for i in range(2):
                want = problem.expected_step(i)
                got = problem.step(answer, i)
                assert type(got) in (float, int)
                assert abs(got - want) < 1e-5 * (1 + abs(want))
                problem.require_same_weights("a step")

    def uses_the_optimizer(answer: Function) -> None:
        problem = ToyProblem(seed + 20)
        problem.optimizer.param_groups[0]["lr"] = 0.0
        before = problem.encoder.weight.detach().clone()
        problem.step(answer, 0)
        assert torch.equal(problem.encoder.weight.detach(), before)

    def leaves_its_inputs_alone(answer: Function) -> None:
        problem = ToyProblem(seed + 30)
        kept = problem.x[0].clone(), problem.eps[0].clone()
        problem.step(answer, 0)
        assert torch.equal(problem.x[0], kept[0])
        assert torch.equal(problem.eps[0], kept[1])

    return (
        Property("the loss and the weights are right after each step, for batches of any size", follows_the_gradient),
        Property("it is the optimizer that moves the weights", uses_the_optimizer),
        Property("the images and the noise are left as they were", leaves_its_inputs_alone),
    )


def _digits_weights(seed: int) -> tuple[Property, ...]:
    def reaches_the_mark(answer: Function) -> None:
        require_bound(answer(), seed + 1)

    def was_not_trained_on_the_held_out_digits(answer: Function) -> None:
        model = load_digits_vae(answer())
        assert digits_bound(model, "test", seed) <= digits_bound(model, "train", seed) + 0.5

    return (
        Property("with these weights the bound on held-out digits is at least -19 nats", reaches_the_mark),
        Property(
            "the weights were trained on the training digits, not on the held-out ones",
            was_not_trained_on_the_held_out_digits,
        ),
    )


def _traverse(seed: int) -> tuple[Property, ...]:
    def agrees(answer: Function) -> None:
        draws = Draws(seed)
        for dim in (0, 1, 2):
            require_traversal(answer, ToyDecoder(seed + 1), draws.normal(1, 3).float(), dim, draws.normal(5).float())

    return (Property("the images are right for codes and values in general", agrees),)


def _edit(seed: int) -> tuple[Property, ...]:
    def agrees(answer: Function) -> None:
        draws = Draws(seed)
        for dim in (0, 1, 2):
            require_edit(answer, seed + 1 + dim, 60, dim, draws.uniform(-3, 3))

    def leaves_its_inputs_alone(answer: Function) -> None:
        problem = ToyProblem(seed + 5)
        u = torch.full((3, 4), 0.5)
        given = problem.x[0], problem.eps[0], u
        kept = [value.clone() for value in given]
        answer(problem.encoder, problem.decoder, problem.x[0], 1, 0.7, problem.eps[0], u)
        assert all(torch.equal(a, b) for a, b in zip(given, kept, strict=True))

    return (
        Property("the edited images are right for images, noise and shifts in general", agrees),
        Property("the image and the noise are left as they were", leaves_its_inputs_alone),
    )


HIDDEN: dict[str, Callable[[int], tuple[Property, ...]]] = {
    "make_encoder": _make_encoder,
    "make_decoder": _make_decoder,
    "training_step": _training_step,
    "digits_weights": _digits_weights,
    "traverse": _traverse,
    "edit": _edit,
}
