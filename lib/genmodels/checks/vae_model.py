"""Public properties of the exercises in ``notebooks/vae/model.ipynb``."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from genmodels import data
from genmodels.checks._property import Exercise, Property, require_close, require_tensor
from genmodels.checks._weights import load_weights
from genmodels.vae import VAE

Function = Callable[..., Any]


def images(n: int, seed: int = 0) -> Tensor:
    """n images of random black and white pixels, (n, 1, 8, 8), float32."""
    return (torch.rand(n, 1, 8, 8, generator=torch.Generator().manual_seed(seed)) > 0.5).float()


def _network(answer: Function, latent_dim: int) -> nn.Module:
    network = answer(latent_dim)
    assert isinstance(network, nn.Module), f"expected an nn.Module, got {type(network).__name__}"
    return network


def _has_weights_that_learn(network: nn.Module, output: Tensor) -> None:
    weights = [p for p in network.parameters() if p.requires_grad]
    assert weights, "an optimizer finds no weights in the network (is each layer an attribute of the module?)"
    assert output.requires_grad, "the output does not depend on the weights by autograd: was something detached?"
    gradients = torch.autograd.grad(output.square().sum(), weights, allow_unused=True)
    assert all(g is not None for g in gradients), "some of its weights do not take part in the output"


# --- make_encoder -----------------------------------------------------------------------------------------------------


def encoded(network: nn.Module, x: Tensor, latent_dim: int) -> tuple[Tensor, Tensor]:
    """The encoder's pair for x; an AssertionError says what else came."""
    output = network(x)
    if not isinstance(output, tuple | list) or len(output) != 2:
        raise AssertionError(f"the network must return the pair mu, logvar, got {type(output).__name__}")
    for name, value in zip(("mu", "logvar"), output, strict=True):
        require_tensor(value, (len(x), latent_dim), name)
    return output[0], output[1]


def _encoder_gives_a_pair(answer: Function) -> None:
    for latent_dim in (2, 5):
        for n in (1, 3):
            encoded(_network(answer, latent_dim), images(n), latent_dim)


def _encoder_learns(answer: Function) -> None:
    network = _network(answer, 3)
    mu, logvar = encoded(network, images(4), 3)
    _has_weights_that_learn(network, torch.cat([mu, logvar], dim=1))


def _encoder_looks_at_the_image(answer: Function) -> None:
    for value, name in zip(encoded(_network(answer, 3), images(6), 3), ("mu", "logvar"), strict=True):
        assert (value - value[:1]).abs().max() > 1e-6, f"{name} is the same for six different images"


def _encoder_outputs_any_real_number(answer: Function) -> None:
    network = _network(answer, 4)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(6)  # larger weights, larger outputs, unless something holds them in
    with torch.no_grad():
        mu, logvar = encoded(network, images(64), 4)
    for name, value in (("mu", mu), ("logvar", logvar)):
        assert value.min() < 0 < value.max(), (
            f"with large weights {name} lies in [{value.min():.3g}, {value.max():.3g}]; it must take both signs too "
            f"(is there an activation after the last layer?)"
        )
        assert value.abs().max() > 1.5, f"with large weights {name} stays within {value.abs().max():.3g}"


def _encoder_outputs_differ(answer: Function) -> None:
    mu, logvar = encoded(_network(answer, 3), images(4), 3)
    assert (mu - logvar).abs().max() > 1e-6, "mu and logvar are the same numbers"
    gap = (mu - mu[:, :1]).abs().max()
    assert gap > 1e-6, "all dimensions of mu are the same number"


def _encoder_treats_images_alone(answer: Function) -> None:
    network = _network(answer, 3)
    x = images(5)
    with torch.no_grad():
        together, _ = encoded(network, x, 3)
        alone, _ = encoded(network, x[:1], 3)
    require_close(
        alone, together[:1].double(), "the first of five images, encoded alone and with the others", 1e-4, "mu"
    )


MAKE_ENCODER = Exercise(
    "make_encoder",
    "section 'Two networks' in the chapter 'An autoencoder for digits'",
    (
        Property("the network takes images to the pair mu, logvar, each (B, latent_dim)", _encoder_gives_a_pair),
        Property("its weights are found by an optimizer and take part in both outputs", _encoder_learns),
        Property("both outputs depend on the image", _encoder_looks_at_the_image),
        Property("both outputs can be any real number", _encoder_outputs_any_real_number),
        Property("the outputs are different numbers", _encoder_outputs_differ),
        Property("an image's code does not depend on the other images of the batch", _encoder_treats_images_alone),
    ),
)


# --- make_decoder -----------------------------------------------------------------------------------------------------


def codes(n: int, latent_dim: int, seed: int = 0) -> Tensor:
    """n codes from the prior, (n, latent_dim), float32."""
    return torch.randn(n, latent_dim, generator=torch.Generator().manual_seed(seed))


def _decoder_gives_images(answer: Function) -> None:
    for latent_dim in (2, 5):
        for n in (1, 3):
            require_tensor(_network(answer, latent_dim)(codes(n, latent_dim)), (n, 1, 8, 8), "the output")


def _decoder_learns(answer: Function) -> None:
    network = _network(answer, 3)
    _has_weights_that_learn(network, network(codes(4, 3)))


def _decoder_depends_on_the_code(answer: Function) -> None:
    z = codes(6, 3).requires_grad_()
    output = _network(answer, 3)(z)
    require_tensor(output, (6, 1, 8, 8), "the output")
    (gradient,) = torch.autograd.grad(output.square().sum(), z, allow_unused=True)
    assert gradient is not None, "the output does not depend on the code"
    assert gradient.abs().amax(0).min() > 0, "some dimension of the code has no effect"


def _decoder_outputs_log_odds(answer: Function) -> None:
    network = _network(answer, 3)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(6)
        logits = require_tensor(network(codes(64, 3)), (64, 1, 8, 8), "the output")
    for side, extreme in (("smallest", -logits.min()), ("largest", logits.max())):
        assert extreme > 1.5, f"with large weights the {side} output has size {extreme:.3g}: probabilities, not logits?"


def _decoder_treats_codes_alone(answer: Function) -> None:
    network, z = _network(answer, 3), codes(5, 3)
    with torch.no_grad():
        require_close(
            network(z[:1]), network(z)[:1].double(), "the first of five codes, alone and with the others", 1e-4
        )


MAKE_DECODER = Exercise(
    "make_decoder",
    "equation bernoulli-log-likelihood in the chapter 'The evidence lower bound'",
    (
        Property("the network takes codes to images (B, 1, 8, 8)", _decoder_gives_images),
        Property("its weights are found by an optimizer and take part in the output", _decoder_learns),
        Property("the output depends on each dimension of the code", _decoder_depends_on_the_code),
        Property("the output is log-odds, which can be any real number", _decoder_outputs_log_odds),
        Property("an image does not depend on the other codes of the batch", _decoder_treats_codes_alone),
    ),
)


# --- training_step ----------------------------------------------------------------------------------------------------


class ToyEncoder(nn.Module):
    """A linear encoder of four pixels into three dimensions, in float32 as in the notebook; weights from a seed."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.weight = nn.Parameter(torch.randn(6, 4, generator=generator))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mu, logvar = (x @ self.weight.T).chunk(2, dim=1)
        return mu, logvar


class ToyDecoder(nn.Module):
    """A linear decoder of three dimensions into four pixels, in float32 as in the notebook; weights from a seed."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed + 1000)
        self.weight = nn.Parameter(torch.randn(4, 3, generator=generator))

    def forward(self, z: Tensor) -> Tensor:
        return z @ self.weight.T


class ToyProblem:
    """Networks, an optimizer and two batches, with the loss and the steps computed by torch.distributions."""

    def __init__(self, seed: int, batch: int = 3) -> None:
        generator = torch.Generator().manual_seed(seed + 2000)
        self.encoder, self.decoder = ToyEncoder(seed), ToyDecoder(seed)
        self.optimizer = torch.optim.SGD([*self.encoder.parameters(), *self.decoder.parameters()], lr=0.1, momentum=0.9)
        self.x = [(torch.rand(batch, 4, generator=generator) > 0.5).float() for _ in range(2)]
        self.eps = [torch.randn(batch, 3, generator=generator) for _ in range(2)]
        self._twin = [self.encoder.weight.detach().clone(), self.decoder.weight.detach().clone()]
        self._velocity = [torch.zeros_like(w) for w in self._twin]

    def step(self, answer: Function, i: int) -> Any:
        """What the answer returns for batch i."""
        return answer(self.encoder, self.decoder, self.optimizer, self.x[i], self.eps[i])

    def expected_step(self, i: int) -> float:
        """Take the same step on a twin of the weights, with an oracle for the bound; its loss before the step."""
        weights = [w.requires_grad_() for w in self._twin]
        mu, logvar = (self.x[i] @ weights[0].T).chunk(2, dim=1)
        q = torch.distributions.Normal(mu, torch.exp(logvar / 2))
        p_x = torch.distributions.Bernoulli(logits=(q.loc + q.scale * self.eps[i]) @ weights[1].T)
        prior = torch.distributions.Normal(torch.zeros_like(mu), torch.ones_like(mu))
        bound = p_x.log_prob(self.x[i]).sum(1) - torch.distributions.kl_divergence(q, prior).sum(1)
        loss = -bound.mean()
        gradients = torch.autograd.grad(loss, weights)
        self._velocity = [0.9 * v + g for v, g in zip(self._velocity, gradients, strict=True)]
        self._twin = [(w - 0.1 * v).detach() for w, v in zip(weights, self._velocity, strict=True)]
        return loss.item()

    def require_same_weights(self, after: str) -> None:
        """Raise AssertionError unless the networks' weights are those of the twin."""
        for name, network, want in zip(("encoder", "decoder"), (self.encoder, self.decoder), self._twin, strict=True):
            require_close(network.weight, want, after, 1e-5, f"the {name}'s weight")


def _step_returns_the_loss(answer: Function) -> None:
    problem = ToyProblem(seed=0)
    want = problem.expected_step(0)
    got = problem.step(answer, 0)
    assert type(got) in (float, int), f"expected a Python number, got {type(got).__name__} (see .item())"
    assert abs(got - want) < 1e-5 * (1 + abs(want)), f"for a toy model the loss is {got:.6g}, it must be {want:.6g}"


def _step_moves_the_weights(answer: Function) -> None:
    problem = ToyProblem(seed=1)
    problem.step(answer, 0)
    problem.expected_step(0)
    problem.require_same_weights("one step of gradient descent on a toy model")


def _step_starts_from_fresh_gradients(answer: Function) -> None:
    problem = ToyProblem(seed=2)
    for i in range(2):
        problem.step(answer, i)
        problem.expected_step(i)
    problem.require_same_weights("two steps: were the gradients of the first one cleared?")


TRAINING_STEP = Exercise(
    "training_step",
    "section 'One step, forward and back' in the chapter 'An autoencoder for digits'",
    (
        Property("it returns the batch's mean loss before the step, minus the mean bound", _step_returns_the_loss),
        Property("it moves the weights of encoder and decoder along that loss's gradient", _step_moves_the_weights),
        Property("a second step starts from fresh gradients", _step_starts_from_fresh_gradients),
    ),
)


# --- digits_weights ---------------------------------------------------------------------------------------------------

MARK = -19.0  # nats


def load_digits_vae(path: object) -> VAE:
    """The exercise's network with the weights of a submitted file; an AssertionError says what is wrong with it."""
    return load_weights(path, VAE(latent_dim=6, hidden_dim=128), "vae.VAE(latent_dim=6, hidden_dim=128)")


def digits_bound(model: VAE, split: str, seed: int, draws: int = 32) -> float:
    """The mean bound on a split's binary digits in nats, by torch.distributions, from ``draws`` codes an image."""
    x = data.binarize(data.digits(split).images)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        mu, logvar = model.encode(x)
        q = torch.distributions.Normal(mu, torch.exp(logvar / 2))
        prior = torch.distributions.Normal(torch.zeros_like(mu), torch.ones_like(mu))
        total = -torch.distributions.kl_divergence(q, prior).sum(1).mean()
        for _ in range(draws):
            z = mu + q.scale * torch.randn(mu.shape, generator=generator)
            p_x = torch.distributions.Bernoulli(logits=model.decode(z))
            total = total + p_x.log_prob(x).sum((1, 2, 3)).mean() / draws
    return float(total)


def require_bound(path: object, seed: int) -> None:
    """Raise AssertionError unless the submitted weights reach the mark."""
    bound = digits_bound(load_digits_vae(path), "test", seed)
    assert math.isfinite(bound), "the bound of the weights is not a number"
    assert bound >= MARK, f"the weights in the file reach {bound:.2f} nats on held-out digits, the mark is {MARK:.0f}"


def _weights_can_be_loaded(answer: Function) -> None:
    load_digits_vae(answer())


def _weights_reach_the_mark(answer: Function) -> None:
    require_bound(answer(), seed=0)


DIGITS_WEIGHTS = Exercise(
    "digits_weights",
    "section 'Training' in the chapter 'An autoencoder for digits'",
    (
        Property("the file holds the weights of vae.VAE(latent_dim=6, hidden_dim=128)", _weights_can_be_loaded),
        Property("with these weights the bound on held-out digits is at least -19 nats", _weights_reach_the_mark),
    ),
)


# --- traverse ---------------------------------------------------------------------------------------------------------


def _traversal_has_an_image_for_each_value(answer: Function) -> None:
    decoder = ToyDecoder(seed=3)
    z = torch.tensor([[0.5, -1.0, 0.3]])
    require_tensor(answer(decoder, z, 0, torch.tensor([-1.0, 0.0, 1.0])), (3, 4))


def _traversal_gives_probabilities(answer: Function) -> None:
    decoder = ToyDecoder(seed=3)
    z = torch.tensor([[0.5, -1.0, 0.3]])
    p = require_tensor(answer(decoder, z, 0, torch.tensor([-9.0, 9.0])), (2, 4))
    assert p.min() >= 0, f"expected probabilities between 0 and 1, the smallest is {p.min():.3g}"
    assert p.max() <= 1, f"expected probabilities between 0 and 1, the largest is {p.max():.3g}"


def require_traversal(answer: Function, decoder: ToyDecoder, z: Tensor, dim: int, values: Tensor) -> None:
    """Raise AssertionError unless the answer decodes z with one dimension replaced, and leaves z as it was."""
    kept = z.clone()
    rows = []
    for value in values.tolist():
        code = kept[0].tolist()
        code[dim] = value
        rows.append(1 / (1 + torch.exp(-decoder.weight.detach() @ torch.tensor(code))))
    got = answer(decoder, z, dim, values)
    require_close(got, torch.stack(rows), f"z = {kept.tolist()}, dim = {dim}, values = {values.tolist()}", 1e-5)
    assert torch.equal(z, kept), "the code z was changed in place"


def _traversal_sets_one_dimension(answer: Function) -> None:
    z = torch.tensor([[0.5, -1.0, 0.3]])
    values = torch.tensor([-2.0, 0.0, 2.0])
    for dim in (0, 1, 2):
        require_traversal(answer, ToyDecoder(seed=4), z, dim, values)


TRAVERSE = Exercise(
    "traverse",
    "section 'Editing a picture by its code' in the chapter 'What the codes mean'",
    (
        Property("there is one image for each value", _traversal_has_an_image_for_each_value),
        Property("the images are probabilities", _traversal_gives_probabilities),
        Property("the named dimension is set to the value, the others stay, and z too", _traversal_sets_one_dimension),
    ),
)


# --- edit -------------------------------------------------------------------------------------------------------------


def expected_edit(problem: ToyProblem, dim: int, shift: float, u: Tensor) -> Tensor:
    """The five steps by plain matrix products: images (B, 4)."""
    mu, logvar = (problem.x[0] @ problem.encoder.weight.detach().T).chunk(2, dim=1)
    z = mu + torch.sqrt(torch.exp(logvar)) * problem.eps[0]
    z[:, dim] += shift
    return (u < 1 / (1 + torch.exp(-z @ problem.decoder.weight.detach().T))).float()


def require_edit(answer: Function, seed: int, batch: int, dim: int, shift: float) -> None:
    """Raise AssertionError unless the answer makes the same images as the five steps."""
    problem = ToyProblem(seed, batch)
    u = torch.rand(batch, 4, generator=torch.Generator().manual_seed(seed + 3000))
    want = expected_edit(problem, dim, shift, u)
    arguments = (problem.encoder, problem.decoder, problem.x[0].clone(), dim, shift, problem.eps[0].clone(), u.clone())
    got = require_tensor(answer(*arguments), (batch, 4))
    wrong = int((got != want).sum())
    assert wrong == 0, (
        f"for a toy model with dim = {dim}, shift = {shift}, {wrong} of {want.numel()} pixels are not what they must be"
    )


def _edit_gives_black_and_white_images(answer: Function) -> None:
    problem = ToyProblem(seed=5)
    u = torch.full((3, 4), 0.5)
    image = require_tensor(answer(problem.encoder, problem.decoder, problem.x[0], 0, 1.0, problem.eps[0], u), (3, 4))
    assert bool(((image == 0) | (image == 1)).all()), "the result must be black and white: 0 or 1 in each pixel"


def _edit_without_a_shift_is_a_sample(answer: Function) -> None:
    require_edit(answer, seed=6, batch=40, dim=0, shift=0.0)


def _edit_shifts_the_named_dimension(answer: Function) -> None:
    for dim, shift in ((0, 1.5), (1, -2.0), (2, 1.0)):
        require_edit(answer, seed=7, batch=40, dim=dim, shift=shift)


EDIT = Exercise(
    "edit",
    "section 'Editing a picture by its code' in the chapter 'What the codes mean'",
    (
        Property("the result is black and white images with the shape of x", _edit_gives_black_and_white_images),
        Property(
            "with a shift of zero it samples a code, decodes it and draws pixels", _edit_without_a_shift_is_a_sample
        ),
        Property("the shift is added to the named dimension of the sampled code", _edit_shifts_the_named_dimension),
    ),
)

EXERCISES = (MAKE_ENCODER, MAKE_DECODER, TRAINING_STEP, DIGITS_WEIGHTS, TRAVERSE, EDIT)
