"""Public properties of the exercises in ``notebooks/gan/training.ipynb``."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from genmodels import nets
from genmodels.checks._digits import digits_properties
from genmodels.checks._property import Exercise, Property, require_close, require_tensor
from genmodels.checks._weights import load_weights

Function = Callable[..., Any]


# --- a toy game -------------------------------------------------------------------------------------------------------


class ToyPlayer(nn.Module):
    """A small network, in float32 as in the notebook, that notes the mode in which it is called; weights from a seed.

    A matrix, batch normalisation if wished, a hyperbolic tangent, and, for the discriminator, a second matrix.
    """

    def __init__(self, inputs: int, outputs: int, judges: bool, seed: int, batch_norm: bool, scale: float) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, generator=generator))
        self.norm = nn.BatchNorm1d(outputs, affine=False) if batch_norm else nn.Identity()
        self.out = nn.Parameter(scale * torch.randn(outputs, generator=generator)) if judges else None
        self.modes: list[bool] = []

    def forward(self, x: Tensor) -> Tensor:
        self.modes.append(self.training)
        hidden = torch.tanh(self.norm(x.flatten(1) @ self.weight.T))
        return hidden if self.out is None else hidden @ self.out

    def told(self) -> list[bool]:
        """What it noted, for a check in another process; see :meth:`hear`."""
        return self.modes

    def hear(self, told: list[bool]) -> None:
        """Take in what this network noted where it was called."""
        assert isinstance(told, list), "the network's notes are lost"
        self.modes = [bool(mode) for mode in told]


class ToyGame:
    """Two small networks, their optimizers, batches and codes; what each step must do, by torch.distributions.

    Codes have two dimensions, examples three. The expected steps are taken on a twin of the weights in float64.
    """

    def __init__(
        self, seed: int, batch: int = 5, batch_norm: bool = False, scale: float = 1.0, momentum: float = 0.9
    ) -> None:
        draws = torch.Generator().manual_seed(seed + 5000)
        self.generator = ToyPlayer(2, 3, False, seed, batch_norm, scale)
        self.discriminator = ToyPlayer(3, 4, True, seed + 1000, batch_norm, scale)
        self.optimizers = {
            name: torch.optim.SGD(network.parameters(), lr=0.1, momentum=momentum) for name, network in self.networks()
        }
        self.x = [torch.randn(batch, 3, generator=draws) for _ in range(2)]
        self.z = [torch.randn(batch, 2, generator=draws) for _ in range(2)]
        self._batch_norm, self._momentum = batch_norm, momentum
        self._twin = {name: [w.detach().double() for w in network.parameters()] for name, network in self.networks()}
        self._velocity = {name: [torch.zeros_like(w) for w in twin] for name, twin in self._twin.items()}

    def networks(self) -> tuple[tuple[str, ToyPlayer], ...]:
        return ("generator", self.generator), ("discriminator", self.discriminator)

    def step(self, who: str, answer: Function, i: int) -> Any:
        """What the answer returns for batch i."""
        examples = (self.x[i],) if who == "discriminator" else ()
        return answer(self.generator, self.discriminator, self.optimizers[who], *examples, self.z[i])

    def expected_step(self, who: str, i: int) -> float:
        """Take the same step on the twin; its loss before the step."""
        weights = [w.requires_grad_() for w in self._twin[who]]
        (g,) = self._twin["generator"]
        fake = Judged(self._logits(self._hidden(self.z[i].double(), g)))
        if who == "generator":
            loss = fake.surprise(real=True)
        else:
            loss = Judged(self._logits(self.x[i].double())).surprise(real=True) + fake.surprise(real=False)
        gradients = torch.autograd.grad(loss, weights)
        self._velocity[who] = [self._momentum * v + g for v, g in zip(self._velocity[who], gradients, strict=True)]
        self._twin[who] = [(w - 0.1 * v).detach() for w, v in zip(weights, self._velocity[who], strict=True)]
        return loss.item()

    def _hidden(self, x: Tensor, weight: Tensor) -> Tensor:
        h = x @ weight.T
        if self._batch_norm:
            h = (h - h.mean(0)) / torch.sqrt((h - h.mean(0)).square().mean(0) + 1e-5)
        return torch.tanh(h)

    def _logits(self, x: Tensor) -> Tensor:
        weight, out = self._twin["discriminator"]
        return self._hidden(x, weight) @ out

    def leave_gradients(self) -> None:
        """What a turn of the other player may leave behind: a gradient in every weight."""
        for _, network in self.networks():
            for weight in network.parameters():
                weight.grad = torch.ones_like(weight)

    def move(self, who: str) -> None:
        """The player whose turn it is not moves, and its twin with it."""
        player = dict(self.networks())[who]
        with torch.no_grad():
            for weight, twin in zip(player.parameters(), self._twin[who], strict=True):
                weight.mul_(-0.5)
                twin.mul_(-0.5)

    def require_same_weights(self, after: str) -> None:
        """Raise AssertionError unless the weights of both networks are those of the twin."""
        for name, network in self.networks():
            for weight, want in zip(network.parameters(), self._twin[name], strict=True):
                require_close(weight, want, after, 2e-5, f"a weight of the {name}")

    def require_step(self, who: str, answer: Function, i: int, given: str) -> None:
        """Raise AssertionError unless the answer returns the loss from before its step, and moves the weights."""
        want = self.expected_step(who, i)
        got = self.step(who, answer, i)
        require_number(got, want, given)
        self.require_same_weights(f"{given}, after the step")


class Judged:
    """Logits as a Bernoulli distribution: an oracle for the losses that knows no logsigmoid."""

    def __init__(self, logits: Tensor) -> None:
        self._real = torch.distributions.Bernoulli(logits=logits)

    def surprise(self, real: bool) -> Tensor:
        """The mean of -log D where ``real``, of -log(1 - D) where not: ()."""
        return -self._real.log_prob(torch.full_like(self._real.logits, float(real))).mean()


def require_number(got: object, want: float, given: str) -> None:
    """Raise AssertionError unless ``got`` is a Python number close to ``want``."""
    if type(got) not in (float, int):
        raise AssertionError(f"expected a Python number, got {type(got).__name__} (see .item())")
    assert isinstance(got, float | int)
    assert abs(got - want) <= 1e-5 * (1 + abs(want)), f"for {given} the loss is {got:.6g}, it must be {want:.6g}"


OTHER = {"discriminator": "generator", "generator": "discriminator"}


def step_properties(who: str) -> tuple[Property, ...]:
    """The properties that both players' steps share."""
    other = OTHER[who]

    def returns_the_loss(answer: Function) -> None:
        game = ToyGame(seed=0)
        want = game.expected_step(who, 0)
        require_number(game.step(who, answer, 0), want, "a toy game")

    def moves_the_weights(answer: Function) -> None:
        game = ToyGame(seed=1)
        game.require_step(who, answer, 0, "one step in a toy game")

    def clears_what_it_finds(answer: Function) -> None:
        game = ToyGame(seed=2)
        game.leave_gradients()
        game.expected_step(who, 0)
        game.step(who, answer, 0)
        game.require_same_weights("a step, before which other turns had left gradients in all weights,")

    def leaves_the_other_alone(answer: Function) -> None:
        require_other_left_alone(who, answer, ToyGame(seed=3))

    def meets_the_other_as_it_is_now(answer: Function) -> None:
        game = ToyGame(seed=4, momentum=0.0)
        for i in range(2):
            game.expected_step(who, i)
            game.step(who, answer, i)
            game.move(other)
        game.require_same_weights(f"two steps, between which the {other} moved and the codes changed,")

    def goes_on_with_the_optimizer(answer: Function) -> None:
        game = ToyGame(seed=7)
        for i in range(2):
            game.expected_step(who, i)
            game.step(who, answer, i)
        game.require_same_weights("two steps of the optimizer that was handed over")

    def is_made_in_training_mode(answer: Function) -> None:
        require_training_mode(who, answer, ToyGame(seed=5, batch_norm=True))

    def stands_large_logits(answer: Function) -> None:
        ToyGame(seed=6, scale=120.0).require_step(who, answer, 0, "a toy game with logits of some hundred")

    flows = (
        "no gradient reaches the generator, and its weights stay as they are"
        if who == "discriminator"
        else "the discriminator's weights stay as they are, and can be trained afterwards"
    )
    return (
        Property("it returns the loss from before the step, a Python number", returns_the_loss),
        Property(f"it moves the {who}'s weights by one step of the optimizer", moves_the_weights),
        Property("gradients that it finds in the weights don't count", clears_what_it_finds),
        Property(flows, leaves_the_other_alone),
        Property(f"it uses the codes that it is given, and the {other} as it is now", meets_the_other_as_it_is_now),
        Property("a second step goes on with the optimizer where the first left it", goes_on_with_the_optimizer),
        Property("both networks are in training mode, during the step and after it", is_made_in_training_mode),
        Property("the loss and the step are right for logits of any size", stands_large_logits),
    )


def require_other_left_alone(who: str, answer: Function, game: ToyGame) -> None:
    """Raise AssertionError if the answer's step touches the network whose turn it is not."""
    name = OTHER[who]
    other = dict(game.networks())[name]
    kept = [weight.detach().clone() for weight in other.parameters()]
    game.step(who, answer, 0)
    assert all(torch.equal(w.detach(), k) for w, k in zip(other.parameters(), kept, strict=True)), (
        f"a step of the {who} changed the {name}'s weights"
    )
    for network in (game.generator, game.discriminator):
        assert all(weight.requires_grad for weight in network.parameters()), (
            "the step left weights that don't require a gradient any more"
        )
    if who == "discriminator":
        reached = [w.grad for w in other.parameters() if w.grad is not None and bool(w.grad.any())]
        assert not reached, "a step of the discriminator left a gradient in the generator's weights (see .detach())"


def require_training_mode(who: str, answer: Function, game: ToyGame) -> None:
    """Raise AssertionError unless both networks are called in training mode, on batches of their own, and left so."""
    want = game.expected_step(who, 0)
    got = game.step(who, answer, 0)
    for name, network in game.networks():
        assert all(network.modes), f"the {name} was called in evaluation mode"
        assert network.training, f"the {name} is in evaluation mode after the step"
    given = "a toy game with batch normalisation (are real and generated examples two batches?)"
    require_number(got, want, given)
    game.require_same_weights(f"{given}, after the step")


DISCRIMINATOR_STEP = Exercise(
    "discriminator_step",
    "section 'A second network as the judge' in the chapter 'A game between two networks'",
    step_properties("discriminator"),
)

GENERATOR_STEP = Exercise(
    "generator_step",
    "section 'The slope of the loss' in the chapter 'No gradient where it is needed'",
    step_properties("generator"),
)


# --- gradient_penalty -------------------------------------------------------------------------------------------------


class ToyCritic(nn.Module):
    """A critic whose slope is known: half of x·A x with a symmetric A, plus b·x; weights from a seed."""

    def __init__(self, size: int, seed: int, curved: float = 1.0) -> None:
        super().__init__()
        draws = torch.Generator().manual_seed(seed)
        matrix = torch.randn(size, size, generator=draws)
        self.matrix = nn.Parameter(curved * (matrix + matrix.T) / (2 * math.sqrt(size)))
        self.b = nn.Parameter(torch.randn(size, generator=draws) / math.sqrt(size))

    def forward(self, x: Tensor) -> Tensor:
        flat = x.flatten(1)
        return 0.5 * ((flat @ self.matrix) * flat).sum(1) + flat @ self.b


class Column(nn.Module):
    """A critic with outputs (B, 1) in place of (B,)."""

    def __init__(self, critic: nn.Module) -> None:
        super().__init__()
        self.critic = critic

    def forward(self, x: Tensor) -> Tensor:
        return self.critic(x)[:, None]


class ToyPenalty:
    """A critic, a batch of real and of generated examples, and places between them; the penalty in closed form."""

    def __init__(self, shape: tuple[int, ...], seed: int, batch: int = 4, curved: float = 1.0) -> None:
        draws = torch.Generator().manual_seed(seed + 7000)
        self.critic = ToyCritic(math.prod(shape), seed, curved)
        self.real = torch.randn(batch, *shape, generator=draws)
        self.fake = torch.randn(batch, *shape, generator=draws)
        self.u = torch.rand(batch, generator=draws)

    def answered(self, answer: Function) -> Any:
        """What the answer returns."""
        return answer(self.critic, self.real, self.fake, self.u)

    def expected(self, matrix: Tensor, b: Tensor) -> Tensor:
        """The penalty of each example as a function of the critic's weights, in float64: (B,)."""
        rows = []
        for real, fake, u in zip(self.real.double(), self.fake.double(), self.u.tolist(), strict=True):
            at = (u * real + (1 - u) * fake).reshape(-1)
            slope = (matrix + matrix.T) @ at / 2 + b
            rows.append((torch.sqrt(torch.dot(slope, slope)) - 1) ** 2)
        return torch.stack(rows)

    def require(self, answer: Function, given: str) -> None:
        """Raise AssertionError unless the answer's penalties are right."""
        weights = [w.detach().double() for w in (self.critic.matrix, self.critic.b)]
        require_close(self.answered(answer), self.expected(*weights), given, 1e-4, "the penalty")

    def require_trains(self, answer: Function, given: str) -> None:
        """Raise AssertionError unless the penalty's gradient with respect to the critic's weights is right."""
        own = [self.critic.matrix, self.critic.b]
        # First, as an answer might change the weights, so that nothing were to be learned from them.
        twin = [w.detach().double().requires_grad_() for w in own]
        wanted = torch.autograd.grad(self.expected(*twin).sum(), twin)
        got = self.answered(answer)
        require_tensor(got, (len(self.u),))
        assert got.requires_grad, "the penalty can't be differentiated: the critic would learn nothing from it"
        found = torch.autograd.grad(got.sum(), own, allow_unused=True)
        assert all(g is not None for g in found), (
            "the penalty does not depend on the critic's weights by autograd (see create_graph)"
        )
        for name, gradient, want in zip(("matrix", "vector"), found, wanted, strict=True):
            require_close(gradient, want, given, 1e-3, f"the penalty's gradient for the critic's {name}")


def _penalty_is_one_number_each(answer: Function) -> None:
    for shape in ((2,), (1, 4, 4)):
        problem = ToyPenalty(shape, seed=0, batch=3)
        require_tensor(problem.answered(answer), (3,), f"the penalty of three examples of shape {shape}")


def _penalty_of_a_linear_critic(answer: Function) -> None:
    for length in (5.0, 1.0, 0.5):
        problem = ToyPenalty((2,), seed=1, curved=0.0)
        with torch.no_grad():
            problem.critic.b.copy_(length * torch.tensor([0.6, -0.8]))
        problem.require(answer, f"a linear critic whose gradient has length {length:g} everywhere")


def _penalty_is_taken_between(answer: Function) -> None:
    for u, where in ((0.0, "fake"), (1.0, "real")):
        problem = ToyPenalty((3,), seed=2)
        problem.u = torch.full((4,), u)
        problem.require(answer, f"u = {u:g}, which is at the {where} examples,")


def _penalty_has_a_place_for_each(answer: Function) -> None:
    for batch, size in ((4, 3), (3, 3)):
        ToyPenalty((size,), seed=3, batch=batch).require(
            answer, f"{batch} examples of {size} numbers, each with its u,"
        )


def _penalty_takes_images(answer: Function) -> None:
    ToyPenalty((1, 3, 4), seed=4).require(answer, "four images of shape (1, 3, 4)")


def _penalty_trains_the_critic(answer: Function) -> None:
    ToyPenalty((3,), seed=5).require_trains(answer, "a toy critic")


GRADIENT_PENALTY = Exercise(
    "gradient_penalty",
    "section 'Keeping the promise' in the chapter 'Better losses'",
    (
        Property("the result is one number for each example", _penalty_is_one_number_each),
        Property("a linear critic is punished for slopes above 1 and below", _penalty_of_a_linear_critic),
        Property("it is taken at the fake example for u = 0 and at the real one for u = 1", _penalty_is_taken_between),
        Property("each example has a place of its own between its pair", _penalty_has_a_place_for_each),
        Property("an image's slope is one length over all of its pixels", _penalty_takes_images),
        Property("the critic can be trained with it", _penalty_trains_the_critic),
    ),
)


# --- ring_generator ---------------------------------------------------------------------------------------------------

RING_LATENT_DIM = 8
RING_STD = 0.05
RING_SAMPLES = 2500
LEAST_IN_A_MODE = 20  # of these samples
MOST_IN_A_MODE = 0.4  # share; an eighth would be even
CLOSE_MARK = 0.6  # share of samples within three standard deviations of a mode
LEAST_WIDTH = 0.01  # standard deviation of the samples of a mode


def load_ring_generator(path: object) -> nn.Module:
    """The exercise's network with the weights of a submitted file; an AssertionError says what is wrong with it."""
    return load_weights(path, nets.mlp_generator(latent_dim=RING_LATENT_DIM), "nets.mlp_generator(latent_dim=8)")


def samples_of(generator: nn.Module, latent_dim: int, n: int, seed: int) -> Tensor:
    """n samples from codes of the check's own; an AssertionError if they are not finite."""
    with torch.no_grad():
        samples = generator(torch.randn(n, latent_dim, generator=torch.Generator().manual_seed(seed)))
    assert bool(torch.isfinite(samples).all()), "some samples of the generator are not finite numbers"
    return samples


def ring_samples(path: object, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Samples (N, 2) of the submitted generator, the distance of each to its nearest mode (N,), and that mode (N,)."""
    samples = samples_of(load_ring_generator(path), RING_LATENT_DIM, RING_SAMPLES, seed)
    angle = 2 * math.pi * torch.arange(8) / 8
    centres = torch.stack([angle.cos(), angle.sin()], dim=1)
    distance, nearest = (samples[:, None] - centres).square().sum(2).sqrt().min(1)
    return samples, distance, nearest


def require_ring_quality(path: object, seed: int) -> None:
    """Raise AssertionError unless enough samples are close to a mode."""
    _, distance, _ = ring_samples(path, seed)
    share = (distance <= 3 * RING_STD).double().mean().item()
    told = f"{share:.0%} of {RING_SAMPLES:,} samples are close to a mode"
    assert share >= CLOSE_MARK, f"{told}, the mark is {CLOSE_MARK:.0%}"


def require_ring_modes(path: object, seed: int) -> None:
    """Raise AssertionError unless every mode has its samples, and none has most of them."""
    _, distance, nearest = ring_samples(path, seed)
    counts = torch.bincount(nearest[distance <= 3 * RING_STD], minlength=8)
    covered = int((counts >= LEAST_IN_A_MODE).sum())
    told = f"of {RING_SAMPLES:,} samples, those close to each mode are {counts.tolist()}"
    assert covered == 8, f"{told}: {covered} of 8 modes have at least {LEAST_IN_A_MODE}"
    assert counts.max() <= MOST_IN_A_MODE * counts.sum(), f"{told}: one mode has more than 40% of them"


def require_ring_width(path: object, seed: int) -> None:
    """Raise AssertionError if the samples of a mode are one point."""
    samples, distance, nearest = ring_samples(path, seed)
    for mode in range(8):
        own = samples[(nearest == mode) & (distance <= 3 * RING_STD)]
        width = own.var(0).mean().sqrt().item() if len(own) > 1 else 0.0
        assert width >= LEAST_WIDTH, (
            f"the samples of mode {mode} have a standard deviation of {width:.2g}, at least {LEAST_WIDTH} is asked "
            f"for; the data's is {RING_STD}"
        )


def _ring_can_be_loaded(answer: Function) -> None:
    load_ring_generator(answer())


RING_GENERATOR = Exercise(
    "ring_generator",
    "the chapter 'Taking turns, and collapsing'",
    (
        Property("the file holds the weights of nets.mlp_generator(latent_dim=8)", _ring_can_be_loaded),
        Property(
            "at least 60% of the samples are close to a mode", lambda answer: require_ring_quality(answer(), seed=0)
        ),
        Property(
            "each of the eight modes has its share of samples", lambda answer: require_ring_modes(answer(), seed=0)
        ),
        Property("the samples of a mode are not all one point", lambda answer: require_ring_width(answer(), seed=0)),
    ),
)


# --- digits_generator -------------------------------------------------------------------------------------------------

DIGITS_LATENT_DIM = 16
DIGITS_WIDTH = 32
DIGITS_SAMPLES = 500
LEAST_IN_A_CLASS = 5  # samples of which it is sure
FRECHET_MARK = 60.0


def load_digits_generator(path: object) -> nn.Module:
    """The exercise's network with the weights of a submitted file; an AssertionError says what is wrong with it."""
    network = nets.dcgan_generator(latent_dim=DIGITS_LATENT_DIM, width=DIGITS_WIDTH)
    return load_weights(path, network, "nets.dcgan_generator(latent_dim=16, width=32)")


def digit_samples(path: object, seed: int) -> Tensor:
    """Samples of the submitted generator as images in [0, 1], like the classifier's: (N, 1, 8, 8)."""
    return (samples_of(load_digits_generator(path), DIGITS_LATENT_DIM, DIGITS_SAMPLES, seed) + 1) / 2


def digits_generator_properties(seed: int) -> tuple[Property, ...]:
    """What is asked of the samples drawn from this seed."""
    return digits_properties(lambda answer: digit_samples(answer(), seed), LEAST_IN_A_CLASS, FRECHET_MARK)


def _digits_can_be_loaded(answer: Function) -> None:
    load_digits_generator(answer())


DIGITS_GENERATOR = Exercise(
    "digits_generator",
    "the chapter 'Convolutions, and a walk through codes'",
    (
        Property(
            "the file holds the weights of nets.dcgan_generator(latent_dim=16, width=32)",
            _digits_can_be_loaded,
        ),
        *digits_generator_properties(seed=0),
    ),
)

EXERCISES = (DISCRIMINATOR_STEP, GENERATOR_STEP, RING_GENERATOR, GRADIENT_PENALTY, DIGITS_GENERATOR)
