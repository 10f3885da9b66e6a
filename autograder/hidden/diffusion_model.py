"""Hidden properties of the exercises in ``notebooks/diffusion/model.ipynb``."""

from collections.abc import Callable
from typing import Any

import torch

from genmodels.checks import Property
from genmodels.checks._property import require_close, require_tensor
from genmodels.checks.diffusion_model import (
    ToySampling,
    ToyTraining,
    digits_denoiser_properties,
    features,
    normalised,
    require_ancestral,
    require_cloud,
    require_ddim,
    require_embedding,
    require_normalised,
    require_times,
    require_training_mode,
    require_training_noise,
)

Function = Callable[..., Any]


def _time_embedding(seed: int) -> tuple[Property, ...]:
    def agrees(answer: Function) -> None:
        draws = torch.Generator().manual_seed(seed)
        for dim in (2, 6, 32, 64):
            require_embedding(answer, torch.randint(1, 1001, (5,), generator=draws).tolist(), dim)

    def leaves_the_times_alone(answer: Function) -> None:
        t = torch.tensor([4, 900, 17])
        answer(t, 8)
        assert t.tolist() == [4, 900, 17]

    return (
        Property("the embedding is right for all times and sizes", agrees),
        Property("the times are left as they were", leaves_the_times_alone),
    )


def _adaptive_group_norm(seed: int) -> tuple[Property, ...]:
    cases = (((1, 4), 2), ((3, 6), 2), ((2, 8, 5), 4), ((4, 6, 3, 2), 3), ((2, 4, 2, 2, 3), 1), ((2, 4, 3), 4))

    def agrees(answer: Function) -> None:
        for offset, (shape, groups) in enumerate(cases):
            require_normalised(answer, *features(seed + offset, *shape), groups, "")

    def has_the_gradient(answer: Function) -> None:
        h, y = (x.requires_grad_() for x in features(seed + 10, 2, 6, 3))
        weight = torch.randn(h.shape, generator=torch.Generator().manual_seed(seed))
        got = answer(h, y, 2)
        require_tensor(got, tuple(h.shape))
        found = torch.autograd.grad((got * weight).sum(), (h, y))
        wanted = torch.autograd.grad((normalised(h, y, 2) * weight).sum(), (h, y))
        for a, b in zip(found, wanted, strict=True):
            require_close(a, b, "", 1e-4)

    def leaves_its_inputs_alone(answer: Function) -> None:
        h, y = features(seed + 20, 2, 4, 3)
        kept = h.clone(), y.clone()
        answer(h, y, 2)
        assert torch.equal(h, kept[0])
        assert torch.equal(y, kept[1])

    return (
        Property("it is right for features of any rank and any number of groups", agrees),
        Property("features and times both receive the right gradients", has_the_gradient),
        Property("its inputs are left as they were", leaves_its_inputs_alone),
    )


def _denoising_step(seed: int) -> tuple[Property, ...]:
    def follows_the_gradient(answer: Function) -> None:
        for offset, (shape, batch, T, decay) in enumerate(
            (((2,), 1, 7, 0.5), ((5,), 6, 25, 0.99), ((1, 3, 4), 4, 4, 0.0), ((3, 2), 3, 15, 0.95))
        ):
            toy = ToyTraining(seed + offset, shape, batch, T, decay)
            for _ in range(3):
                for network in (toy.model, toy.average):
                    for weight in network.parameters():
                        weight.grad = torch.ones_like(weight) if weight.requires_grad else None
                toy.require_step(answer, "")

    def draws(answer: Function) -> None:
        require_times(answer, ToyTraining(seed + 20, (1, 2), 48, T=6, learning_rate=0.0), 40)
        toy = ToyTraining(seed + 21, (1, 3, 2), 48, T=17, learning_rate=0.0, spread=3.0)
        require_training_noise(answer, toy, 40)

    def uses_the_optimizer(answer: Function) -> None:
        toy = ToyTraining(seed + 30, learning_rate=0.0)
        kept = [w.detach().clone() for w in toy.model.parameters()]
        toy.step(answer)
        assert all(torch.equal(w.detach(), k) for w, k in zip(toy.model.parameters(), kept, strict=True))
        assert all(w.requires_grad for w in toy.model.parameters())

    def leaves_the_rest_alone(answer: Function) -> None:
        toy = ToyTraining(seed + 40)
        kept = toy.x0.clone()
        require_training_mode(answer, toy)
        assert torch.equal(toy.x0, kept)
        assert all(w.grad is None for w in toy.average.parameters())

    return (
        Property("loss, weights and average are right after each step, for data of any rank", follows_the_gradient),
        Property("times and noise are distributed as they should be, for any T", draws),
        Property("it is the optimizer that moves the weights", uses_the_optimizer),
        Property("the data and the average's mode are left as they were", leaves_the_rest_alone),
    )


def _ancestral_sample(seed: int) -> tuple[Property, ...]:
    def agrees(answer: Function) -> None:
        for offset, (T, shape) in enumerate(((1, (6, 3)), (7, (1500, 3)), (20, (800, 1, 2, 2)))):
            require_ancestral(answer, ToySampling(seed + offset, T, shape, training=bool(offset % 2)))

    def keeps_the_mode(answer: Function) -> None:
        for training in (False, True):
            toy = ToySampling(seed + 10, 5, (2, 1, 2, 2), training)
            toy.require_mode(toy.ancestral(answer))

    return (
        Property("the chain is the model's, for any number of steps and data of any rank", agrees),
        Property("the network is asked as it should be, and left as it was", keeps_the_mode),
    )


def _ddim_sample(seed: int) -> tuple[Property, ...]:
    def agrees(answer: Function) -> None:
        cases = (
            (9, (1500, 2), [9], 1.0),
            (15, (1500, 3), [1, 6, 7, 15], 1.0),
            (25, (900, 1, 2, 2), [10, 25], 0.3),
            (12, (4, 1, 2, 2), [2, 5, 12], 0.0),
            (11, (1500, 2), list(range(1, 12)), 0.8),
        )
        for offset, (T, shape, times, eta) in enumerate(cases):
            require_ddim(answer, ToySampling(seed + offset, T, shape, training=bool(offset % 2)), times, eta)

    def keeps_the_mode(answer: Function) -> None:
        for training in (False, True):
            toy = ToySampling(seed + 10, 9, (2, 1, 2, 2), training)
            toy.require_mode(toy.ddim(answer, [4, 9], 0.5))

    return (
        Property("each step is right, for any times, any eta and data of any rank", agrees),
        Property("the network is asked as it should be, and left as it was", keeps_the_mode),
    )


def _cloud_denoiser(seed: int) -> tuple[Property, ...]:
    title = "the energy distance of its samples to held-out points is at most 0.006"
    return (Property(title, lambda answer: require_cloud(answer(), seed + 1)),)


HIDDEN: dict[str, Callable[[int], tuple[Property, ...]]] = {
    "time_embedding": _time_embedding,
    "adaptive_group_norm": _adaptive_group_norm,
    "denoising_step": _denoising_step,
    "ancestral_sample": _ancestral_sample,
    "cloud_denoiser": _cloud_denoiser,
    "ddim_sample": _ddim_sample,
    "digits_denoiser": lambda seed: digits_denoiser_properties(seed + 1),
}
