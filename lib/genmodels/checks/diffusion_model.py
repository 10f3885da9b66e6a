"""Public properties of the exercises in ``notebooks/diffusion/model.ipynb``."""

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import safetensors.torch
import torch
from torch import Tensor, nn

from genmodels import data, diffusion, metrics, unet
from genmodels.checks._digits import digits_properties
from genmodels.checks._property import Exercise, Property, require_close, require_tensor
from genmodels.checks._weights import load_weights
from genmodels.diffusion import Schedule

Function = Callable[..., Any]

NETWORK = "chapter 'A network that is told the time'"
SAMPLING = "chapter 'From noise to data'"


# --- time_embedding ---------------------------------------------------------------------------------------------------


def require_embedding(answer: Function, times: list[int], dim: int) -> None:
    """Raise AssertionError unless the answer's embedding of these times is right."""
    rows = []
    for time in times:
        angles = [time / math.pow(10_000, 2 * i / dim) for i in range(dim // 2)]
        rows.append([math.sin(a) for a in angles] + [math.cos(a) for a in angles])
    # Single precision knows an angle of 1,000 to some 1e-4.
    require_close(answer(torch.tensor(times), dim), rows, f"t = {times} and dim = {dim}", 2e-4, "the embedding")


def _embeds_each_time(answer: Function) -> None:
    require_tensor(answer(torch.tensor([1, 2, 3]), 8), (3, 8), "the embedding of three times")


TIME_EMBEDDING = Exercise(
    "time_embedding",
    f"section 'The time as sinusoids' in the {NETWORK}",
    (
        Property("each time becomes dim numbers", _embeds_each_time),
        Property(
            "with dim = 4 the frequencies are 1 and 1/100, the sines come first and then the cosines",
            lambda answer: require_embedding(answer, [1], 4),
        ),
        Property("each example has a time of its own", lambda answer: require_embedding(answer, [3, 40, 7], 6)),
        Property("it is right for late times too", lambda answer: require_embedding(answer, [1000, 990], 16)),
    ),
)


# --- adaptive_group_norm ----------------------------------------------------------------------------------------------


def normalised(h: Tensor, y: Tensor, groups: int) -> Tensor:
    """AdaGN in double precision, example by example and channel by channel: (B, C, ...), (B, 2C) → (B, C, ...)."""
    channels = h.shape[1]
    rows = []
    for features, scales in zip(h.double(), y.double(), strict=True):
        out = []
        for group in features.split(channels // groups):
            variance = (group - group.mean()).square().mean()
            out += [(channel - group.mean()) / torch.sqrt(variance + 1e-5) for channel in group]
        rows.append(torch.stack([scales[c] * out[c] + scales[channels + c] for c in range(channels)]))
    return torch.stack(rows)


def require_normalised(answer: Function, h: Tensor, y: Tensor, groups: int, given: str) -> None:
    """Raise AssertionError unless the answer's AdaGN is right."""
    require_close(answer(h, y, groups), normalised(h, y, groups), given, 1e-4)


def features(seed: int, *shape: int) -> tuple[Tensor, Tensor]:
    """Random h of a shape (B, C, ...), away from mean 0 and variance 1, and y (B, 2C)."""
    draws = torch.Generator().manual_seed(seed)
    h = torch.randn(shape, generator=draws)
    h = 2 * h + torch.randn(shape[:2], generator=draws).reshape(*shape[:2], *[1] * (len(shape) - 2))
    return h, torch.randn(shape[0], 2 * shape[1], generator=draws)


def _norm_of_four_numbers(answer: Function) -> None:
    h, y = torch.tensor([[[[1.0, 3.0], [5.0, 7.0]]]]), torch.tensor([[2.0, 0.5]])
    require_normalised(answer, h, y, 1, "h = [1, 3, 5, 7], one channel, with y_s = 2 and y_b = 0.5")


def _groups_are_neighbours(answer: Function) -> None:
    h, _ = features(0, 1, 6, 2)
    y = torch.tensor([[1.0] * 6 + [0.0] * 6])
    require_normalised(answer, h, y, 3, "six channels in three groups of neighbours, with y_s = 1 and y_b = 0")


def _each_example_has_its_time(answer: Function) -> None:
    require_normalised(answer, *features(1, 3, 4, 5), 2, "three examples with a y each, four channels, two groups")


def _any_rank(answer: Function) -> None:
    for shape in ((2, 6), (2, 6, 3), (2, 6, 2, 3)):
        require_normalised(answer, *features(2, *shape), 3, f"h of shape {shape}")


def _nearly_constant_groups(answer: Function) -> None:
    h, y = features(3, 2, 4, 3)
    require_normalised(answer, 0.003 * h, y, 2, "features that hardly vary (what is added to the variance?)")
    require_normalised(answer, torch.ones(2, 4, 3), y, 2, "features that are all 1")


ADAPTIVE_GROUP_NORM = Exercise(
    "adaptive_group_norm",
    f"section 'The time reaches every block' in the {NETWORK}",
    (
        Property("the chapter's four numbers come out as there", _norm_of_four_numbers),
        Property("neighbouring channels form a group, and the groups don't mix", _groups_are_neighbours),
        Property("each example is normalised by itself and has its own scales and shifts", _each_example_has_its_time),
        Property("vectors, sequences and images all work", _any_rank),
        Property("groups that hardly vary, or not at all, do no harm", _nearly_constant_groups),
    ),
)


# --- a toy network, and what is asked of noise ------------------------------------------------------------------------


class Call(NamedTuple):
    """What a network was asked, what it answered, and in which mode."""

    xt: Tensor
    t: Tensor
    eps_hat: Tensor
    training: bool
    gradients: bool


class ToyDenoiser(nn.Module):
    """A small network in single precision that notes how it is called; weights from a seed, answers up to ``reach``."""

    def __init__(self, size: int, seed: int, reach: float = 1.0) -> None:
        super().__init__()
        self.reach = reach
        draws = torch.Generator().manual_seed(seed)
        self.weight = nn.Parameter(torch.randn(size, size, generator=draws) / math.sqrt(size))
        self.drift = nn.Parameter(torch.randn(size, generator=draws))
        self.calls: list[Call] = []

    def forward(self, xt: Tensor, t: Tensor) -> Tensor:
        assert xt.dtype == torch.float32, f"the network's weights are float32, and xt came as {xt.dtype}"
        whole = isinstance(t, Tensor) and t.dtype in (torch.int64, torch.int32)
        told = f"{t.dtype} of shape {tuple(t.shape)}" if isinstance(t, Tensor) else type(t).__name__
        asked = whole and t.shape == (len(xt),)
        assert asked, f"t must be whole numbers of shape ({len(xt)},), it came as {told}"
        out = self.reach * predicted(xt, t, self.weight, self.drift)
        self.calls.append(Call(xt.detach().clone(), t.clone(), out.detach(), self.training, torch.is_grad_enabled()))
        return out

    def told(self) -> list[Call]:
        """What it noted, for a check in another process; see :meth:`hear`."""
        return self.calls

    def hear(self, told: list[tuple[Any, ...]]) -> None:
        """Take in what this network was asked where it was called; what it answered is computed here once more."""
        self.calls = []
        for xt, t, _, training, gradients in told:
            with torch.no_grad():
                self(xt, t)
            self.calls[-1] = self.calls[-1]._replace(training=bool(training), gradients=bool(gradients))


def predicted(xt: Tensor, t: Tensor, weight: Tensor, drift: Tensor) -> Tensor:
    """The toy network's function, for weights of any precision."""
    return torch.tanh(xt.flatten(1) @ weight.T + t[:, None] / 8 * drift).reshape(xt.shape)


def toy_schedule(T: int) -> Schedule:
    """A schedule of few steps, each of which matters."""
    return diffusion.linear_schedule(T, 0.02, 0.5)


def bars(schedule: Schedule, t: Tensor, like: Tensor) -> Tensor:
    """alpha_bar at the times of a batch, to multiply data of any rank with: (B,) → (B, 1, ...)."""
    return schedule.alpha_bar[t].reshape(-1, *[1] * (like.ndim - 1))


def require_standard_normal(draws: Tensor, what: str) -> None:
    """Raise AssertionError unless draws (K, N, D), of K steps for N examples, look like independent N(0, 1).

    The bounds are five standard deviations of each statistic.
    """
    draws = draws.double()
    assert bool(torch.isfinite(draws).all()), f"{what} is not finite"

    def bounded(value: Tensor, n: int, variance: float, told: str) -> None:
        assert value.abs().item() <= 5 * math.sqrt(variance / n), f"{what} {told}"

    n = draws.numel()
    bounded(draws.mean(), n, 1, f"has a mean of {draws.mean():.3g}, it must be 0")
    variance = draws.square().mean()
    bounded(variance - 1, n, 2, f"has a variance of {variance:.3g}, it must be 1")
    bounded(draws.pow(4).mean() - 3, n, 96, "is not normal: its tails are those of another distribution")
    for step in draws:
        spread = step.square().mean()
        bounded(spread - 1, step.numel(), 2, f"has a variance of {spread:.3g} in one step, it must be 1")
    for dim, who in enumerate(("steps", "examples", "dimensions")):
        size = draws.shape[dim]
        if size > 1:
            product = draws.narrow(dim, 1, size - 1) * draws.narrow(dim, 0, size - 1)
            bounded(product.mean(), product.numel(), 1, f"is not independent: neighbouring {who} go together")


def require_unrelated(noise: Tensor, other: Tensor, what: str) -> None:
    """Raise AssertionError if noise goes together with something of the same shape."""
    product = noise.double() * other.double()
    bound = 5 * (other.double().square().mean() / product.numel()).sqrt()
    assert product.mean().abs() <= bound, what


def require_reproducible(run: Callable[[torch.Generator], Any], same: Callable[[Any, Any], bool]) -> None:
    """Raise AssertionError unless all that is random in ``run`` is drawn from its generator."""
    before = torch.get_rng_state()
    first, second = (run(torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(before, torch.get_rng_state()), "random numbers were drawn from another source than generator"
    assert same(first, second), "two calls with equal generators gave different results"
    assert not same(first, run(torch.Generator().manual_seed(4))), "the result does not depend on generator"


# --- denoising_step ---------------------------------------------------------------------------------------------------


class ToyTraining:
    """A network, its average, an optimizer and data; what each step must do, on a twin in double precision."""

    def __init__(
        self,
        seed: int,
        shape: tuple[int, ...] = (3,),
        batch: int = 5,
        T: int = 10,
        decay: float = 0.9,
        learning_rate: float = 0.1,
        spread: float = 1.0,
    ) -> None:
        size = math.prod(shape)
        self.model = ToyDenoiser(size, seed + 100).eval()  # somebody may have sampled from it
        self.average = ToyDenoiser(size, seed + 200).eval().requires_grad_(False)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=learning_rate, momentum=0.9)
        self.schedule, self.decay, self._rate = toy_schedule(T), decay, learning_rate
        self.generator = torch.Generator().manual_seed(seed + 300)
        self.x0 = spread * torch.randn(batch, *shape, generator=torch.Generator().manual_seed(seed + 400))
        self._weights = [w.detach().double() for w in self.model.parameters()]
        self._means = [w.detach().double() for w in self.average.parameters()]
        self._velocity = [torch.zeros_like(w) for w in self._weights]

    def step(self, answer: Function) -> Any:
        """What the answer returns."""
        return answer(self.model, self.average, self.optimizer, self.x0, self.schedule, self.decay, self.generator)

    def last_call(self) -> Call:
        """The only question that the network was asked since the last time."""
        assert not self.average.calls, "the average was asked for the noise; it only follows"
        times = len(self.model.calls)
        assert times == 1, f"the network was asked {times} times in a step, it must be asked once"
        return self.model.calls.pop()

    def noise(self, call: Call) -> Tensor:
        """The noise that leads from x0 to what the network was shown, in double precision: (B, ...)."""
        bar = bars(self.schedule, call.t, self.x0)
        return (call.xt.double() - bar.sqrt() * self.x0.double()) / (1 - bar).sqrt()

    def expected(self, call: Call) -> float:
        """Take the same step on the twin; its loss before the step."""
        weights = [w.requires_grad_() for w in self._weights]
        error = self.noise(call) - predicted(call.xt.double(), call.t, *weights)
        loss = torch.stack([torch.dot(row, row) for row in error.flatten(1)]).mean()
        gradients = torch.autograd.grad(loss, weights)
        self._velocity = [0.9 * v + g for v, g in zip(self._velocity, gradients, strict=True)]
        self._weights = [(w - self._rate * v).detach() for w, v in zip(weights, self._velocity, strict=True)]
        self._means = [self.decay * m + (1 - self.decay) * w for m, w in zip(self._means, self._weights, strict=True)]
        return loss.item()

    def require_weights(self, given: str) -> None:
        """Raise AssertionError unless the network's weights are those of the twin."""
        for got, want in zip(self.model.parameters(), self._weights, strict=True):
            require_close(got, want, given, 1e-4, "a weight of the model")

    def require_average(self, given: str) -> None:
        """Raise AssertionError unless the average is that of the twin, and nothing but numbers."""
        for got, want in zip(self.average.parameters(), self._means, strict=True):
            require_close(got, want, given, 1e-4, "a weight of the average")
            assert not got.requires_grad, "the average has a graph attached to it (see torch.no_grad)"

    def require_step(self, answer: Function, given: str) -> None:
        """Raise AssertionError unless the loss, the weights and the average are right."""
        got = self.step(answer)
        require_number(got, self.expected(self.last_call()), given)
        self.require_weights(f"{given}, after the step")
        self.require_average(f"{given}, after the step")

    def calls(self, answer: Function, steps: int) -> list[Call]:
        """What the network was asked in so many steps."""
        found = []
        for _ in range(steps):
            self.step(answer)
            found.append(self.last_call())
        return found


def require_number(got: object, want: float, given: str) -> None:
    """Raise AssertionError unless ``got`` is a Python number close to ``want``."""
    if type(got) not in (float, int):
        raise AssertionError(f"expected a Python number, got {type(got).__name__} (see .item())")
    assert isinstance(got, float | int)
    assert abs(got - want) <= 1e-4 * (1 + abs(want)), f"for {given} the loss is {got:.6g}, it must be {want:.6g}"


def require_training_mode(answer: Function, toy: ToyTraining) -> None:
    """Raise AssertionError unless the network learns in training mode, and the average is left in its own."""
    toy.step(answer)
    assert toy.last_call().training, "the network was asked in evaluation mode"
    assert toy.model.training, "the network is in evaluation mode after the step"
    assert not toy.average.training, "the step changed the mode of the average"


def require_times(answer: Function, toy: ToyTraining, steps: int) -> None:
    """Raise AssertionError unless each example has a time of its own, each of 1 .. T as often as any other."""
    t = torch.stack([call.t for call in toy.calls(answer, steps)])  # (K, N)
    T = toy.schedule.T
    within = bool(((t >= 1) & (t <= T)).all())
    assert within, f"with T = {T}, times from {t.min()} to {t.max()} were drawn"
    counts, n = torch.bincount(t.flatten(), minlength=T + 1)[1:], t.numel()
    bound = 5 * math.sqrt(n * (1 / T) * (1 - 1 / T))
    assert (counts - n / T).abs().max() <= bound, (
        f"of {n} times, those that were 1 .. {T} are {counts.tolist()}; each should come about {n / T:.0f} times"
    )
    for who, same in (("examples of a batch", t[:, 1:] == t[:, :-1]), ("steps", t[1:] == t[:-1])):
        share = same.double().mean().item()
        assert share <= 1 / T + 5 * math.sqrt(1 / T / same.numel()), f"neighbouring {who} have the same time"


def require_training_noise(answer: Function, toy: ToyTraining, steps: int) -> None:
    """Raise AssertionError unless what the network is shown is x_t with standard normal noise."""
    noise = torch.stack([toy.noise(call).flatten(1) for call in toy.calls(answer, steps)])
    require_standard_normal(noise, "the noise that would lead from x0 to the xt that the network was shown")
    require_unrelated(noise, toy.x0.flatten(1).expand_as(noise), "the noise in xt goes together with x0")


def _draws_times(answer: Function) -> None:
    require_times(answer, ToyTraining(0, batch=64, learning_rate=0.0), 30)


def _draws_noise(answer: Function) -> None:
    # Data of any size: whoever clamps what the network is shown takes x_t for an image.
    for spread in (1.0, 4.0):
        require_training_noise(answer, ToyTraining(1, batch=64, learning_rate=0.0, spread=spread), 30)


def _draws_from_the_generator(answer: Function) -> None:
    def run(generator: torch.Generator) -> list[Call]:
        toy = ToyTraining(2, batch=16)
        toy.generator = generator
        return toy.calls(answer, 2)

    def same(first: list[Call], second: list[Call]) -> bool:
        pairs = list(zip(first, second, strict=True))
        return all(torch.equal(a.xt, b.xt) and torch.equal(a.t, b.t) for a, b in pairs)

    require_reproducible(run, same)
    # Whatever of the two came from elsewhere would not have followed the seed.
    first, second = run(torch.Generator().manual_seed(3)), run(torch.Generator().manual_seed(4))
    assert not torch.equal(first[0].t, second[0].t), "the times do not depend on generator"
    assert not torch.equal(first[0].t, first[1].t), "the second step has the times of the first"


def _returns_the_loss(answer: Function) -> None:
    toy = ToyTraining(3)
    got = toy.step(answer)
    require_number(got, toy.expected(toy.last_call()), "a toy network and data of three dimensions")


def _moves_the_weights(answer: Function) -> None:
    for left_over, given in ((False, "a step"), (True, "a step, before which old gradients had been left there,")):
        toy = ToyTraining(4)
        for weight in toy.model.parameters():
            weight.grad = torch.ones_like(weight) if left_over else None
        toy.step(answer)
        toy.expected(toy.last_call())
        toy.require_weights(given)


def _goes_on(answer: Function) -> None:
    toy = ToyTraining(5)
    for _ in range(2):
        toy.step(answer)
        toy.expected(toy.last_call())
    toy.require_weights("two steps of the optimizer that was handed over")


def _averages(answer: Function) -> None:
    toy = ToyTraining(6)
    toy.step(answer)
    toy.expected(toy.last_call())
    toy.require_average("a decay of 0.9 (are the weights those from after the step?)")


DENOISING_STEP = Exercise(
    "denoising_step",
    f"section 'Training' in the {NETWORK}",
    (
        Property(
            "the network is asked once, in training mode, and left in it",
            lambda a: require_training_mode(a, ToyTraining(7)),
        ),
        Property("each example has a time of its own, and all of 1 .. T come equally often", _draws_times),
        Property("the network is shown x_t, with standard normal noise of its own for each number", _draws_noise),
        Property("times and noise are drawn from the generator", _draws_from_the_generator),
        Property("it returns the loss from before the step, a Python number", _returns_the_loss),
        Property(
            "it moves the weights by one step of the optimizer, and old gradients don't count", _moves_the_weights
        ),
        Property("a second step goes on where the first ended", _goes_on),
        Property("the average follows the weights after the step", _averages),
    ),
)


# --- the samplers -----------------------------------------------------------------------------------------------------


class ToySampling:
    """A toy network for the samplers, and the chain of states that they lead it through."""

    def __init__(self, seed: int, T: int, shape: tuple[int, ...] = (2000, 2), training: bool = True) -> None:
        # Some answers are larger than noise ever is: a sampler has to take them as they are.
        self.model = ToyDenoiser(math.prod(shape[1:]), seed + 100, reach=4.0).train(training)
        self.schedule, self.shape, self._training = toy_schedule(T), shape, training
        self.generator = torch.Generator().manual_seed(seed + 300)
        self.xT = torch.randn(shape, generator=torch.Generator().manual_seed(seed + 400))

    def ancestral(self, answer: Function) -> Any:
        """What an ancestral sampler returns."""
        return answer(self.model, self.shape, self.schedule, self.generator)

    def ddim(self, answer: Function, times: Sequence[int], eta: float) -> Any:
        """What a DDIM sampler returns."""
        return answer(self.model, self.xT, self.schedule, list(times), eta, self.generator)

    def require_times(self, times: Sequence[int]) -> None:
        """Raise AssertionError unless the network was asked at these times, in this order."""
        asked = [call.t.unique().tolist() for call in self.model.calls]
        assert all(len(t) == 1 for t in asked), "examples of one batch were asked for at different times"
        found = [t[0] for t in asked]
        assert found == list(times), (
            f"with T = {self.schedule.T} the network was asked at t = {found}, it must be {list(times)}"
        )

    def require_mode(self, result: Any) -> None:
        """Raise AssertionError unless the network was asked in evaluation mode, and is as it was."""
        assert not any(call.training for call in self.model.calls), "the network was asked in training mode"
        assert not any(call.gradients for call in self.model.calls), "gradients were kept (see torch.inference_mode)"
        mode = {True: "training", False: "evaluation"}
        assert self.model.training == self._training, (
            f"the network came in {mode[self._training]} mode and is in {mode[self.model.training]} mode afterwards"
        )
        assert all(w.requires_grad for w in self.model.parameters()), "the weights can't be trained any more"
        require_tensor(result, self.shape, "the sample")

    def require_chain(self, result: Any, sigma: Callable[[int, int], float]) -> None:
        """Raise AssertionError unless each state follows from the one before as it must.

        ``sigma(t, s)`` is the deviation of the noise in the step from t to s. Where it is zero the step must be exact,
        elsewhere what is left over must be standard normal.
        """
        states = [*[call.xt for call in self.model.calls], require_tensor(result, self.shape, "the sample")]
        times = [*[int(call.t[0]) for call in self.model.calls], 0]
        noises = []
        for call, (t, s), x in zip(self.model.calls, itertools.pairwise(times), states[1:], strict=True):
            deviation = sigma(t, s)
            mean = self.mean(call, t, s, deviation)
            if deviation:
                noise = (x.double() - mean) / deviation
                for name, other in (("x_t", call.xt), ("the network's guess", call.eps_hat)):
                    require_unrelated(
                        noise, other, f"what is added in the step from {t} to {s} goes together with {name}"
                    )
                noises.append(noise.flatten(1))
            else:
                require_close(x, mean, f"the step from {t} to {s}, which adds no noise,", 1e-4, "its result")
        if noises:
            require_standard_normal(torch.stack(noises), "the fresh noise, divided by its standard deviation,")

    def mean(self, call: Call, t: int, s: int, deviation: float) -> Tensor:
        """The mean of the step from t to s whose noise has this deviation.

        Given the guess at x_0, it is the one that leaves x_s the variance 1 - alpha_bar_s that it has to have.
        """
        now, then = self.schedule.alpha_bar[t], self.schedule.alpha_bar[s]
        guess = (call.xt.double() - (1 - now).sqrt() * call.eps_hat.double()) / now.sqrt()
        shrink = ((1 - then - deviation**2).clamp(min=0) / (1 - now)).sqrt()
        return then.sqrt() * guess + shrink * (call.xt.double() - now.sqrt() * guess)

    def posterior_deviation(self, t: int, s: int) -> float:
        """The deviation of x_s given x_t and x_0, by conditioning the joint Gaussian."""
        now, then = self.schedule.alpha_bar[t].item(), self.schedule.alpha_bar[s].item()
        covariance = math.sqrt(now / then) * (1 - then)  # of x_s and x_t, given x_0
        return math.sqrt(max(1 - then - covariance**2 / (1 - now), 0.0)) if s else 0.0


def require_sampler_draws(run: Callable[[torch.Generator], Any]) -> None:
    """Raise AssertionError unless a sampler's randomness is its generator's."""
    require_reproducible(run, torch.equal)


def require_ancestral(answer: Function, toy: ToySampling) -> None:
    """Raise AssertionError unless the sampler's chain is the model's."""
    result = toy.ancestral(answer)
    toy.require_times(range(toy.schedule.T, 0, -1))
    toy.require_chain(result, toy.posterior_deviation)


def _ancestral_times(answer: Function) -> None:
    toy = ToySampling(0, T=12, shape=(4, 2))
    toy.ancestral(answer)
    toy.require_times(range(12, 0, -1))


def _ancestral_mode(answer: Function) -> None:
    for training in (True, False):
        toy = ToySampling(1, T=4, shape=(3, 2), training=training)
        toy.require_mode(toy.ancestral(answer))


def _ancestral_start(answer: Function) -> None:
    toy = ToySampling(2, T=3)
    toy.ancestral(answer)
    require_standard_normal(toy.model.calls[0].xt[None], "x_T")


def _ancestral_last_step(answer: Function) -> None:
    toy = ToySampling(3, T=6, shape=(5, 2))
    result = require_tensor(toy.ancestral(answer), (5, 2), "the sample")
    call = toy.model.calls[-1]
    require_close(result, toy.mean(call, 1, 0, 0.0), "the step from x_1 to x_0", 1e-4, "the sample")


def _ancestral_draws(answer: Function) -> None:
    def run(generator: torch.Generator) -> Tensor:
        toy = ToySampling(4, T=5, shape=(6, 2))
        toy.generator = generator
        return require_tensor(toy.ancestral(answer), (6, 2), "the sample")

    require_sampler_draws(run)


ANCESTRAL_SAMPLE = Exercise(
    "ancestral_sample",
    f"section 'The ancestral sampler' in the {SAMPLING}",
    (
        Property("the network is asked once for each t, from T down to 1", _ancestral_times),
        Property(
            "it is asked in evaluation mode, without gradients, and left in the mode that it came in", _ancestral_mode
        ),
        Property("x_T is standard normal", _ancestral_start),
        Property("the last step adds no noise", _ancestral_last_step),
        Property(
            "every other step is a draw with the right mean, variance and fresh noise",
            lambda answer: require_ancestral(answer, ToySampling(5, T=12)),
        ),
        Property("all noise is drawn from the generator", _ancestral_draws),
    ),
)


def require_ddim(answer: Function, toy: ToySampling, times: Sequence[int], eta: float) -> None:
    """Raise AssertionError unless the sampler visits these times, with these steps."""
    kept = toy.xT.clone()
    result = toy.ddim(answer, times, eta)
    toy.require_times(times[::-1])
    assert torch.equal(toy.xT, kept), "x_T was overwritten"
    assert torch.equal(toy.model.calls[0].xt, kept), "the network was not shown x_T first"
    toy.require_chain(result, lambda t, s: eta * toy.posterior_deviation(t, s))


def _ddim_times(answer: Function) -> None:
    toy = ToySampling(0, T=20, shape=(4, 2))
    toy.ddim(answer, [3, 4, 11, 20], 0.0)
    toy.require_times([20, 11, 4, 3])


def _ddim_mode(answer: Function) -> None:
    for training in (True, False):
        toy = ToySampling(1, T=20, shape=(3, 2), training=training)
        toy.require_mode(toy.ddim(answer, [7, 20], 1.0))


def _ddim_draws(answer: Function) -> None:
    def run(generator: torch.Generator, eta: float = 1.0) -> Tensor:
        toy = ToySampling(2, T=20, shape=(6, 2))
        toy.generator = generator
        return require_tensor(toy.ddim(answer, [5, 12, 20], eta), (6, 2), "the sample")

    require_sampler_draws(run)
    first, second = (run(torch.Generator().manual_seed(seed), 0.0) for seed in (3, 4))
    assert torch.equal(first, second), "with eta = 0 two generators gave different results from the same x_T"


DDIM_SAMPLE = Exercise(
    "ddim_sample",
    f"section 'Fewer steps' in the {SAMPLING}",
    (
        Property("the network is asked at the given times, the last of them first", _ddim_times),
        Property("it is asked in evaluation mode, without gradients, and left in the mode that it came in", _ddim_mode),
        Property(
            "with eta = 0 each step keeps all of the noise that it finds",
            lambda answer: require_ddim(answer, ToySampling(3, T=20, shape=(5, 2)), [3, 4, 11, 20], 0.0),
        ),
        Property(
            "with eta = 1 and all times it is the ancestral sampler",
            lambda answer: require_ddim(answer, ToySampling(4, T=8), range(1, 9), 1.0),
        ),
        Property(
            "with eta = 0.6 and few times the fresh noise is that of the steps taken",
            lambda answer: require_ddim(answer, ToySampling(5, T=20), [2, 9, 20], 0.6),
        ),
        Property("fresh noise is drawn from the generator, and with eta = 0 there is none", _ddim_draws),
    ),
)


# --- cloud_denoiser and digits_denoiser -------------------------------------------------------------------------------


class Denoiser(nn.Module):
    """The notebook's network with the library's parts in place of the student's: (B, dim), (B,) → (B, dim)."""

    def __init__(self, dim: int, width: int) -> None:
        super().__init__()
        self.time = nn.Sequential(nn.Linear(32, width), nn.SiLU())
        self.first = nn.Linear(dim, width)
        projections = [nn.Linear(width, 2 * width) for _ in range(2)]
        self.to_y = nn.ModuleList(projections)
        self.inner = nn.ModuleList(nn.Linear(width, width) for _ in range(2))
        self.last = nn.Linear(width, dim)
        for project in projections:
            nn.init.ones_(project.bias[:width].detach())
            nn.init.zeros_(project.bias[width:].detach())

    def forward(self, xt: Tensor, t: Tensor) -> Tensor:
        """(B, dim), whole t (B,) → (B, dim)."""
        time = self.time(unet.time_embedding(t, 32))
        h = self.first(xt)
        for project, layer in zip(self.to_y, self.inner, strict=True):
            y_s, y_b = project(time).chunk(2, dim=1)
            h = h + layer(nn.functional.silu(unet.ada_group_norm(h, y_s, y_b, groups=8)))
        return self.last(h)


SCHEDULE = diffusion.linear_schedule(T=100, beta_1=1e-3, beta_T=0.2)
CLOUD_SAMPLES = 2000
CLOUD_MARK = 0.006  # energy distance; 0.0014 for other points of the data
DIGITS_SAMPLES = 300
LEAST_IN_A_CLASS = 3  # samples of which it is sure
FRECHET_MARK = 60.0
PRECISION_MARK = 0.45  # 0.35 for noise with the mean and covariance of the digits


def load_cloud_denoiser(path: object) -> nn.Module:
    """The exercise's network with the weights of a submitted file; an AssertionError says what is wrong with it."""
    return load_weights(path, Denoiser(dim=2, width=64), "Denoiser(dim=2, width=64)")


def load_digits_denoiser(path: object) -> nn.Module:
    """The exercise's network with the weights of a submitted file; an AssertionError says what is wrong with it."""
    return load_weights(path, unet.UNet(width=16), "unet.UNet(width=16)")


def samples_of(model: nn.Module, shape: tuple[int, ...], seed: int) -> Tensor:
    """Ancestral samples (B, ...) from noise of the check's own; an AssertionError if they are not finite."""
    samples = diffusion.sample(model, shape, SCHEDULE, torch.Generator().manual_seed(seed))
    assert bool(torch.isfinite(samples).all()), "some samples of the network are not finite numbers"
    return samples


def require_cloud(path: object, seed: int) -> None:
    """Raise AssertionError unless samples of the submitted network are as close to the data as the mark says."""
    samples = samples_of(load_cloud_denoiser(path), (CLOUD_SAMPLES, 2), seed)
    held_out = data.toy2d("spiral", CLOUD_SAMPLES, torch.Generator().manual_seed(seed + 10_000))
    distance = metrics.energy_distance(samples, held_out).item()
    assert distance <= CLOUD_MARK, f"the energy distance to held-out points is {distance:.4f}, the mark is {CLOUD_MARK}"


def digit_samples(path: object, seed: int) -> Tensor:
    """Samples of the submitted network as images in [0, 1], like the classifier's: (N, 1, 8, 8)."""
    load_digits_denoiser(path)  # says what is wrong with the file
    return _digits_drawn(Path(str(path)).read_bytes(), seed)


@functools.lru_cache(maxsize=2)  # several properties look at the same samples, which take seconds to draw
def _digits_drawn(content: bytes, seed: int) -> Tensor:
    model = unet.UNet(width=16)
    model.load_state_dict(safetensors.torch.load(content))
    return (samples_of(model, (DIGITS_SAMPLES, 1, 8, 8), seed) + 1) / 2


def digits_denoiser_properties(seed: int) -> tuple[Property, ...]:
    """What is asked of the samples drawn from this seed."""
    return digits_properties(
        lambda answer: digit_samples(answer(), seed), LEAST_IN_A_CLASS, FRECHET_MARK, PRECISION_MARK
    )


def _cloud_can_be_loaded(answer: Function) -> None:
    load_cloud_denoiser(answer())


def _digits_can_be_loaded(answer: Function) -> None:
    load_digits_denoiser(answer())


CLOUD_DENOISER = Exercise(
    "cloud_denoiser",
    f"section 'The ancestral sampler' in the {SAMPLING}",
    (
        Property("the file holds the weights of Denoiser(dim=2, width=64)", _cloud_can_be_loaded),
        Property(
            "the energy distance of its samples to held-out points is at most 0.006",
            lambda answer: require_cloud(answer(), seed=0),
        ),
    ),
)

DIGITS_DENOISER = Exercise(
    "digits_denoiser",
    f"the {NETWORK}",
    (
        Property("the file holds the weights of unet.UNet(width=16)", _digits_can_be_loaded),
        *digits_denoiser_properties(seed=0),
    ),
)

EXERCISES = (
    TIME_EMBEDDING,
    ADAPTIVE_GROUP_NORM,
    DENOISING_STEP,
    ANCESTRAL_SAMPLE,
    CLOUD_DENOISER,
    DDIM_SAMPLE,
    DIGITS_DENOISER,
)
