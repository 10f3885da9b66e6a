"""Answers to the exercises of ``solutions/gan/training.py``."""

import copy
import functools
import math

import safetensors.torch
import torch
from torch import nn
from torch.nn import functional

from genmodels import data, gan, nets, pretrained, train
from tests.notebooks.mutants import right, wrong
from tests.notebooks.mutants._files import changed, saved, wrong_files

# --- discriminator_step -----------------------------------------------------------------------------------------------


def game_loss(generator, discriminator, x, z):
    """Minus the value of the game, the fakes detached."""
    return gan.discriminator_loss(discriminator(x), discriminator(generator(z).detach()))


def descend(optimizer, loss):
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


@right("discriminator_step", "fakes made without gradients, the cross-entropy of two batches")
def _(generator, discriminator, optimizer, x, z):
    with torch.no_grad():
        fake = generator(z)
    real_logits, fake_logits = discriminator(x), discriminator(fake)
    cross_entropy = functional.binary_cross_entropy_with_logits
    loss = cross_entropy(real_logits, torch.ones_like(real_logits))
    loss = loss + cross_entropy(fake_logits, torch.zeros_like(fake_logits))
    return descend(optimizer, loss)


@right("discriminator_step", "two backward passes, one for each batch, and one step")
def _(generator, discriminator, optimizer, x, z):
    discriminator.zero_grad()
    real = functional.softplus(-discriminator(x)).mean()
    real.backward()
    fake = functional.softplus(discriminator(generator(z).detach())).mean()
    fake.backward()
    optimizer.step()
    return (real + fake).item()


@right("discriminator_step", "gradients asked for by name, so that nothing need be detached")
def _(generator, discriminator, optimizer, x, z):
    loss = -gan.value(discriminator(x), discriminator(generator(z)))
    weights = list(discriminator.parameters())
    for weight, gradient in zip(weights, torch.autograd.grad(loss, weights), strict=True):
        weight.grad = gradient
    optimizer.step()
    return float(loss)


@right("discriminator_step", "training mode set once more, the generator frozen for the while")
def _(generator, discriminator, optimizer, x, z):
    generator.train().requires_grad_(False)
    discriminator.train()
    fake = generator(z)
    generator.requires_grad_(True)
    loss = -(functional.logsigmoid(discriminator(x)).mean() + functional.logsigmoid(-discriminator(fake)).mean())
    return descend(optimizer, loss)


@right("discriminator_step", "gradients cleared first and last")
def _(generator, discriminator, optimizer, x, z):
    optimizer.zero_grad()
    loss = game_loss(generator, discriminator, x, z)
    loss.backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=False)
    generator.zero_grad()
    return loss.item()


@wrong("discriminator_step", "no detach: the gradient flows into the generator")
def _(generator, discriminator, optimizer, x, z):
    return descend(optimizer, gan.discriminator_loss(discriminator(x), discriminator(generator(z))))


@wrong("discriminator_step", "old gradients never cleared")
def _(generator, discriminator, optimizer, x, z):
    loss = game_loss(generator, discriminator, x, z)
    loss.backward()
    optimizer.step()
    return loss.item()


@wrong("discriminator_step", "gradients cleared after the step alone, so that what the generator's turn left counts")
def _(generator, discriminator, optimizer, x, z):
    loss = game_loss(generator, discriminator, x, z)
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    return loss.item()


@wrong("discriminator_step", "gradients cleared between backward and step")
def _(generator, discriminator, optimizer, x, z):
    loss = game_loss(generator, discriminator, x, z)
    loss.backward()
    optimizer.zero_grad()
    optimizer.step()
    return loss.item()


@wrong("discriminator_step", "the generator's gradients cleared, not the discriminator's")
def _(generator, discriminator, optimizer, x, z):
    generator.zero_grad()
    loss = game_loss(generator, discriminator, x, z)
    loss.backward()
    optimizer.step()
    return loss.item()


@wrong("discriminator_step", "no step")
def _(generator, discriminator, optimizer, x, z):
    optimizer.zero_grad()
    loss = game_loss(generator, discriminator, x, z)
    loss.backward()
    return loss.item()


@wrong("discriminator_step", "no backward pass")
def _(generator, discriminator, optimizer, x, z):
    optimizer.zero_grad()
    loss = game_loss(generator, discriminator, x, z)
    optimizer.step()
    return loss.item()


@wrong("discriminator_step", "the right loss returned, the wrong way gone")
def _(generator, discriminator, optimizer, x, z):
    return -descend(optimizer, -game_loss(generator, discriminator, x, z))


@wrong("discriminator_step", "the value of the game minimised in place of its negative")
def _(generator, discriminator, optimizer, x, z):
    return descend(optimizer, -game_loss(generator, discriminator, x, z))


@wrong("discriminator_step", "real and generated exchanged")
def _(generator, discriminator, optimizer, x, z):
    return descend(optimizer, gan.discriminator_loss(discriminator(generator(z).detach()), discriminator(x)))


@wrong("discriminator_step", "the mean over both batches in place of the sum of two means")
def _(generator, discriminator, optimizer, x, z):
    return descend(optimizer, game_loss(generator, discriminator, x, z) / 2)


@wrong("discriminator_step", "the batch summed")
def _(generator, discriminator, optimizer, x, z):
    return descend(optimizer, game_loss(generator, discriminator, x, z) * len(x))


@wrong("discriminator_step", "the mean for the loss returned, the sum descended")
def _(generator, discriminator, optimizer, x, z):
    return descend(optimizer, game_loss(generator, discriminator, x, z) * len(x)) / len(x)


@wrong("discriminator_step", "sigmoid taken twice")
def _(generator, discriminator, optimizer, x, z):
    real, fake = torch.sigmoid(discriminator(x)), torch.sigmoid(discriminator(generator(z).detach()))
    return descend(optimizer, gan.discriminator_loss(real, fake))


@wrong("discriminator_step", "logits taken for probabilities")
def _(generator, discriminator, optimizer, x, z):
    real, fake = discriminator(x), discriminator(generator(z).detach())
    loss = -(real.clamp(1e-6).log().mean() + (1 - fake).clamp(1e-6).log().mean())
    return descend(optimizer, loss)


@wrong("discriminator_step", "the logarithm of a sigmoid, infinite for large logits")
def _(generator, discriminator, optimizer, x, z):
    real, fake = torch.sigmoid(discriminator(x)), torch.sigmoid(discriminator(generator(z).detach()))
    return descend(optimizer, -(real.log().mean() + (1 - fake).log().mean()))


@wrong("discriminator_step", "the logarithm of a sigmoid and a little more, bounded for large logits")
def _(generator, discriminator, optimizer, x, z):
    real, fake = torch.sigmoid(discriminator(x)), torch.sigmoid(discriminator(generator(z).detach()))
    return descend(optimizer, -((real + 1e-8).log().mean() + (1 - fake + 1e-8).log().mean()))


@wrong("discriminator_step", "the cross-entropy of probabilities, cut off for large logits")
def _(generator, discriminator, optimizer, x, z):
    real, fake = torch.sigmoid(discriminator(x)), torch.sigmoid(discriminator(generator(z).detach()))
    loss = functional.binary_cross_entropy(real, torch.ones_like(real))
    return descend(optimizer, loss + functional.binary_cross_entropy(fake, torch.zeros_like(fake)))


@wrong("discriminator_step", "the generator in evaluation mode while it makes the fakes")
def _(generator, discriminator, optimizer, x, z):
    generator.eval()
    fake = generator(z).detach()
    generator.train()
    return descend(optimizer, gan.discriminator_loss(discriminator(x), discriminator(fake)))


@wrong("discriminator_step", "the generator left in evaluation mode")
def _(generator, discriminator, optimizer, x, z):
    loss = descend(optimizer, game_loss(generator, discriminator, x, z))
    generator.eval()
    return loss


@wrong("discriminator_step", "the discriminator in evaluation mode")
def _(generator, discriminator, optimizer, x, z):
    discriminator.eval()
    loss = descend(optimizer, game_loss(generator, discriminator, x, z))
    discriminator.train()
    return loss


@wrong("discriminator_step", "the fakes judged in evaluation mode")
def _(generator, discriminator, optimizer, x, z):
    real = discriminator(x)
    discriminator.eval()
    fake = discriminator(generator(z).detach())
    discriminator.train()
    return descend(optimizer, gan.discriminator_loss(real, fake))


@wrong("discriminator_step", "real and generated mixed into one batch, which batch normalisation notices")
def _(generator, discriminator, optimizer, x, z):
    both = discriminator(torch.cat([x, generator(z).detach()]))
    return descend(optimizer, gan.discriminator_loss(both[: len(x)], both[len(x) :]))


@wrong("discriminator_step", "generated examples only")
def _(generator, discriminator, optimizer, x, z):
    return descend(optimizer, functional.softplus(discriminator(generator(z).detach())).mean())


@wrong("discriminator_step", "real examples only")
def _(generator, discriminator, optimizer, x, z):
    return descend(optimizer, functional.softplus(-discriminator(x)).mean())


@wrong("discriminator_step", "codes of its own")
def _(generator, discriminator, optimizer, x, z):
    return descend(optimizer, game_loss(generator, discriminator, x, torch.randn_like(z)))


@wrong("discriminator_step", "codes of zeros")
def _(generator, discriminator, optimizer, x, z):
    return descend(optimizer, game_loss(generator, discriminator, x, torch.zeros_like(z)))


@wrong("discriminator_step", "the fakes of the first step kept for all others")
def _(generator, discriminator, optimizer, x, z):
    if not hasattr(generator, "kept"):
        generator.kept = generator(z).detach()
    return descend(optimizer, gan.discriminator_loss(discriminator(x), discriminator(generator.kept)))


@wrong("discriminator_step", "the real examples given for fakes too")
def _(generator, discriminator, optimizer, x, z):
    return descend(optimizer, gan.discriminator_loss(discriminator(x), discriminator(x)))


@wrong("discriminator_step", "labels smoothed to 0.9")
def _(generator, discriminator, optimizer, x, z):
    real = discriminator(x)
    loss = functional.binary_cross_entropy_with_logits(real, torch.full_like(real, 0.9))
    return descend(optimizer, loss + functional.softplus(discriminator(generator(z).detach())).mean())


@wrong("discriminator_step", "least squares")
def _(generator, discriminator, optimizer, x, z):
    loss = gan.discriminator_loss(discriminator(x), discriminator(generator(z).detach()), "least_squares")
    return descend(optimizer, loss)


@wrong("discriminator_step", "the hinge loss")
def _(generator, discriminator, optimizer, x, z):
    return descend(optimizer, gan.discriminator_loss(discriminator(x), discriminator(generator(z).detach()), "hinge"))


@wrong("discriminator_step", "the loss as a tensor, with its graph")
def _(generator, discriminator, optimizer, x, z):
    loss = game_loss(generator, discriminator, x, z)
    descend(optimizer, loss)
    return loss


@wrong("discriminator_step", "the loss as a tensor, detached")
def _(generator, discriminator, optimizer, x, z):
    return torch.tensor(descend(optimizer, game_loss(generator, discriminator, x, z)))


@wrong("discriminator_step", "nothing returned")
def _(generator, discriminator, optimizer, x, z):
    descend(optimizer, game_loss(generator, discriminator, x, z))


@wrong("discriminator_step", "the loss after the step")
def _(generator, discriminator, optimizer, x, z):
    descend(optimizer, game_loss(generator, discriminator, x, z))
    return game_loss(generator, discriminator, x, z).item()


@wrong("discriminator_step", "two steps")
def _(generator, discriminator, optimizer, x, z):
    loss = descend(optimizer, game_loss(generator, discriminator, x, z))
    descend(optimizer, game_loss(generator, discriminator, x, z))
    return loss


@wrong("discriminator_step", "a step for the real batch and another for the generated one")
def _(generator, discriminator, optimizer, x, z):
    real = descend(optimizer, functional.softplus(-discriminator(x)).mean())
    return real + descend(optimizer, functional.softplus(discriminator(generator(z).detach())).mean())


@wrong("discriminator_step", "an optimizer of its own")
def _(generator, discriminator, optimizer, x, z):
    return descend(torch.optim.SGD(discriminator.parameters(), lr=0.1), game_loss(generator, discriminator, x, z))


@wrong("discriminator_step", "the optimizer passed over, its step size used")
def _(generator, discriminator, optimizer, x, z):
    optimizer.zero_grad()
    loss = game_loss(generator, discriminator, x, z)
    loss.backward()
    with torch.no_grad():
        for weight in discriminator.parameters():
            weight -= optimizer.param_groups[0]["lr"] * weight.grad
    return loss.item()


@wrong("discriminator_step", "the generator moved as well")
def _(generator, discriminator, optimizer, x, z):
    generator.zero_grad()
    loss = gan.discriminator_loss(discriminator(x), discriminator(generator(z)))
    result = descend(optimizer, loss)
    torch.optim.SGD(generator.parameters(), lr=0.1).step()
    generator.zero_grad()
    return result


@wrong("discriminator_step", "the generator frozen and left so")
def _(generator, discriminator, optimizer, x, z):
    generator.requires_grad_(False)
    return descend(optimizer, game_loss(generator, discriminator, x, z))


@wrong("discriminator_step", "gradients clipped to length 0.1")
def _(generator, discriminator, optimizer, x, z):
    optimizer.zero_grad()
    loss = game_loss(generator, discriminator, x, z)
    loss.backward()
    nn.utils.clip_grad_norm_(discriminator.parameters(), 0.1)
    optimizer.step()
    return loss.item()


@wrong("discriminator_step", "weights clipped after the step, as in the first Wasserstein GAN")
def _(generator, discriminator, optimizer, x, z):
    loss = descend(optimizer, game_loss(generator, discriminator, x, z))
    with torch.no_grad():
        for weight in discriminator.parameters():
            weight.clamp_(-0.1, 0.1)
    return loss


@wrong("discriminator_step", "the logits detached")
def _(generator, discriminator, optimizer, x, z):
    real, fake = discriminator(x).detach(), discriminator(generator(z)).detach()
    return descend(optimizer, gan.discriminator_loss(real, fake))


@wrong("discriminator_step", "constants: log 4, whatever comes")
def _(generator, discriminator, optimizer, x, z):
    return math.log(4)


@wrong("discriminator_step", "the generated examples written into x")
def _(generator, discriminator, optimizer, x, z):
    real = discriminator(x.clone())
    x.copy_(generator(z).detach())
    return descend(optimizer, gan.discriminator_loss(real, discriminator(x)))


# --- generator_step ---------------------------------------------------------------------------------------------------


def fooling_loss(generator, discriminator, z):
    return gan.generator_loss(discriminator(generator(z)))


@right("generator_step", "the cross-entropy with the label of real")
def _(generator, discriminator, optimizer, z):
    logits = discriminator(generator(z))
    return descend(optimizer, functional.binary_cross_entropy_with_logits(logits, torch.ones_like(logits)))


@right("generator_step", "softplus, all gradients cleared first and last")
def _(generator, discriminator, optimizer, z):
    generator.zero_grad()
    discriminator.zero_grad()
    loss = functional.softplus(-discriminator(generator(z))).mean()
    loss.backward()
    optimizer.step()
    generator.zero_grad()
    discriminator.zero_grad()
    return float(loss)


@right("generator_step", "the discriminator frozen for the while, and thawed")
def _(generator, discriminator, optimizer, z):
    for weight in discriminator.parameters():
        weight.requires_grad_(False)
    loss = descend(optimizer, -functional.logsigmoid(discriminator(generator(z))).mean())
    for weight in discriminator.parameters():
        weight.requires_grad_(True)
    return loss


@right("generator_step", "gradients asked for by name")
def _(generator, discriminator, optimizer, z):
    weights = list(generator.parameters())
    loss = fooling_loss(generator, discriminator, z)
    for weight, gradient in zip(weights, torch.autograd.grad(loss, weights), strict=True):
        weight.grad = gradient
    optimizer.step()
    return loss.item()


@wrong("generator_step", "the saturating loss")
def _(generator, discriminator, optimizer, z):
    return descend(optimizer, gan.generator_loss(discriminator(generator(z)), "minimax"))


@wrong("generator_step", "the saturating loss descended, the other one returned")
def _(generator, discriminator, optimizer, z):
    logits = discriminator(generator(z))
    descend(optimizer, gan.generator_loss(logits, "minimax"))
    return gan.generator_loss(logits).item()


@wrong("generator_step", "the discriminator's loss for fakes")
def _(generator, discriminator, optimizer, z):
    return descend(optimizer, functional.softplus(discriminator(generator(z))).mean())


@wrong("generator_step", "the discriminator's loss for fakes, upwards")
def _(generator, discriminator, optimizer, z):
    return -descend(optimizer, -functional.softplus(discriminator(generator(z))).mean())


@wrong("generator_step", "the Wasserstein loss")
def _(generator, discriminator, optimizer, z):
    return descend(optimizer, -discriminator(generator(z)).mean())


@wrong("generator_step", "least squares")
def _(generator, discriminator, optimizer, z):
    return descend(optimizer, gan.generator_loss(discriminator(generator(z)), "least_squares"))


@wrong("generator_step", "the fakes detached")
def _(generator, discriminator, optimizer, z):
    return descend(optimizer, gan.generator_loss(discriminator(generator(z).detach())))


@wrong("generator_step", "the fakes made without gradients")
def _(generator, discriminator, optimizer, z):
    with torch.no_grad():
        fake = generator(z)
    return descend(optimizer, gan.generator_loss(discriminator(fake)))


@wrong("generator_step", "stale fakes: those of the first step, for ever")
def _(generator, discriminator, optimizer, z):
    if not hasattr(generator, "kept"):
        generator.kept = generator(z)
    optimizer.zero_grad()
    loss = gan.generator_loss(discriminator(generator.kept))
    loss.backward(retain_graph=True)
    optimizer.step()
    return loss.item()


@wrong("generator_step", "stale codes: those of the step before")
def _(generator, discriminator, optimizer, z):
    codes, generator.codes = getattr(generator, "codes", z), z
    return descend(optimizer, fooling_loss(generator, discriminator, codes))


@wrong("generator_step", "a stale discriminator: a copy of the first")
def _(generator, discriminator, optimizer, z):
    if not hasattr(generator, "judge"):
        object.__setattr__(generator, "judge", copy.deepcopy(discriminator))
    return descend(optimizer, fooling_loss(generator, generator.judge, z))


@wrong("generator_step", "the discriminator moved as well")
def _(generator, discriminator, optimizer, z):
    discriminator.zero_grad()
    loss = descend(optimizer, fooling_loss(generator, discriminator, z))
    torch.optim.SGD(discriminator.parameters(), lr=0.1).step()
    return loss


@wrong("generator_step", "the discriminator frozen and left so")
def _(generator, discriminator, optimizer, z):
    discriminator.requires_grad_(False)
    return descend(optimizer, fooling_loss(generator, discriminator, z))


@wrong("generator_step", "old gradients never cleared")
def _(generator, discriminator, optimizer, z):
    loss = fooling_loss(generator, discriminator, z)
    loss.backward()
    optimizer.step()
    return loss.item()


@wrong("generator_step", "the discriminator's gradients cleared, not the generator's")
def _(generator, discriminator, optimizer, z):
    discriminator.zero_grad()
    loss = fooling_loss(generator, discriminator, z)
    loss.backward()
    optimizer.step()
    return loss.item()


@wrong("generator_step", "gradients cleared after the step alone")
def _(generator, discriminator, optimizer, z):
    loss = fooling_loss(generator, discriminator, z)
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    return loss.item()


@wrong("generator_step", "gradients cleared between backward and step")
def _(generator, discriminator, optimizer, z):
    loss = fooling_loss(generator, discriminator, z)
    loss.backward()
    optimizer.zero_grad()
    optimizer.step()
    return loss.item()


@wrong("generator_step", "no step")
def _(generator, discriminator, optimizer, z):
    optimizer.zero_grad()
    loss = fooling_loss(generator, discriminator, z)
    loss.backward()
    return loss.item()


@wrong("generator_step", "no backward pass")
def _(generator, discriminator, optimizer, z):
    optimizer.zero_grad()
    loss = fooling_loss(generator, discriminator, z)
    optimizer.step()
    return loss.item()


@wrong("generator_step", "the right loss returned, the wrong way gone")
def _(generator, discriminator, optimizer, z):
    return -descend(optimizer, -fooling_loss(generator, discriminator, z))


@wrong("generator_step", "the generator in evaluation mode")
def _(generator, discriminator, optimizer, z):
    generator.eval()
    loss = descend(optimizer, fooling_loss(generator, discriminator, z))
    generator.train()
    return loss


@wrong("generator_step", "the discriminator in evaluation mode, since it is not trained")
def _(generator, discriminator, optimizer, z):
    discriminator.eval()
    loss = descend(optimizer, fooling_loss(generator, discriminator, z))
    discriminator.train()
    return loss


@wrong("generator_step", "the discriminator left in evaluation mode")
def _(generator, discriminator, optimizer, z):
    loss = descend(optimizer, fooling_loss(generator, discriminator, z))
    discriminator.eval()
    return loss


@wrong("generator_step", "the loss as a tensor, with its graph")
def _(generator, discriminator, optimizer, z):
    loss = fooling_loss(generator, discriminator, z)
    descend(optimizer, loss)
    return loss


@wrong("generator_step", "nothing returned")
def _(generator, discriminator, optimizer, z):
    descend(optimizer, fooling_loss(generator, discriminator, z))


@wrong("generator_step", "the loss after the step")
def _(generator, discriminator, optimizer, z):
    descend(optimizer, fooling_loss(generator, discriminator, z))
    return fooling_loss(generator, discriminator, z).item()


@wrong("generator_step", "two steps")
def _(generator, discriminator, optimizer, z):
    loss = descend(optimizer, fooling_loss(generator, discriminator, z))
    descend(optimizer, fooling_loss(generator, discriminator, z))
    return loss


@wrong("generator_step", "an optimizer of its own")
def _(generator, discriminator, optimizer, z):
    own = torch.optim.Adam(generator.parameters(), lr=1e-3)
    return descend(own, fooling_loss(generator, discriminator, z))


@wrong("generator_step", "the batch summed")
def _(generator, discriminator, optimizer, z):
    return descend(optimizer, fooling_loss(generator, discriminator, z) * len(z))


@wrong("generator_step", "the logarithm of a sigmoid, infinite for large logits")
def _(generator, discriminator, optimizer, z):
    return descend(optimizer, -torch.sigmoid(discriminator(generator(z))).log().mean())


@wrong("generator_step", "the logarithm of a sigmoid and a little more")
def _(generator, discriminator, optimizer, z):
    return descend(optimizer, -(torch.sigmoid(discriminator(generator(z))) + 1e-8).log().mean())


@wrong("generator_step", "sigmoid taken twice")
def _(generator, discriminator, optimizer, z):
    return descend(optimizer, gan.generator_loss(torch.sigmoid(discriminator(generator(z)))))


@wrong("generator_step", "codes of its own")
def _(generator, discriminator, optimizer, z):
    return descend(optimizer, fooling_loss(generator, discriminator, torch.randn_like(z)))


@wrong("generator_step", "gradients clipped to length 0.1")
def _(generator, discriminator, optimizer, z):
    optimizer.zero_grad()
    loss = fooling_loss(generator, discriminator, z)
    loss.backward()
    nn.utils.clip_grad_norm_(generator.parameters(), 0.1)
    optimizer.step()
    return loss.item()


@wrong("generator_step", "constants: log 2, whatever comes")
def _(generator, discriminator, optimizer, z):
    return math.log(2)


# --- gradient_penalty -------------------------------------------------------------------------------------------------


def between(real, fake, u):
    weight = u.reshape(-1, *[1] * (real.ndim - 1))
    return (weight * real + (1 - weight) * fake).detach().requires_grad_()


def slope(discriminator, at, create_graph=True):
    return torch.autograd.grad(discriminator(at).sum(), at, create_graph=create_graph)[0]


@right("gradient_penalty", "with grad_outputs, and the root of a sum of squares")
def _(discriminator, real, fake, u):
    at = between(real, fake, u)
    logits = discriminator(at)
    (gradient,) = torch.autograd.grad(
        logits, at, grad_outputs=torch.ones_like(logits), create_graph=True, retain_graph=True
    )
    return (gradient.reshape(len(real), -1).square().sum(dim=1).sqrt() - 1) ** 2


@right("gradient_penalty", "one example at a time")
def _(discriminator, real, fake, u):
    penalties = []
    for i in range(len(real)):
        at = (fake[i : i + 1] + u[i] * (real[i : i + 1] - fake[i : i + 1])).detach().requires_grad_(True)
        (gradient,) = torch.autograd.grad(discriminator(at).sum(), at, create_graph=True)
        penalties.append((torch.linalg.vector_norm(gradient) - 1).square())
    return torch.stack(penalties)


@right("gradient_penalty", "by lerp and einsum")
def _(discriminator, real, fake, u):
    at = torch.lerp(fake.flatten(1), real.flatten(1), u[:, None]).requires_grad_()
    gradient = slope(lambda flat: discriminator(flat.reshape(real.shape)), at)
    return (torch.einsum("bi,bi->b", gradient, gradient).sqrt() - 1).square()


@right("gradient_penalty", "by torch.func")
def _(discriminator, real, fake, u):
    at = between(real, fake, u).detach()
    gradient = torch.func.vmap(torch.func.grad(lambda one: discriminator(one[None]).sum()))(at)
    return (gradient.flatten(1).norm(dim=1) - 1).square()


def penalised(discriminator, real, fake, u, penalty):
    """The penalty from the gradient as it should be."""
    return penalty(slope(discriminator, between(real, fake, u)).flatten(1).norm(dim=1))


@wrong("gradient_penalty", "no create_graph: the critic learns nothing from it")
def _(discriminator, real, fake, u):
    gradient = slope(discriminator, between(real, fake, u), create_graph=False)
    return (gradient.flatten(1).norm(dim=1) - 1).square()


@wrong("gradient_penalty", "the penalty detached")
def _(*arguments):
    return penalised(*arguments, lambda length: (length - 1).square()).detach()


@wrong("gradient_penalty", "retain_graph in place of create_graph, made to require a gradient")
def _(discriminator, real, fake, u):
    at = between(real, fake, u)
    (gradient,) = torch.autograd.grad(discriminator(at).sum(), at, retain_graph=True)
    return (gradient.flatten(1).norm(dim=1) - 1).square().requires_grad_()


@wrong("gradient_penalty", "the mean over the batch")
def _(*arguments):
    return penalised(*arguments, lambda length: (length - 1).square().mean())


@wrong("gradient_penalty", "the mean over the batch, repeated for each example")
def _(*arguments):
    return penalised(*arguments, lambda length: (length - 1).square().mean().expand(len(length)))


@wrong("gradient_penalty", "the penalty of the batch's whole gradient")
def _(discriminator, real, fake, u):
    return (slope(discriminator, between(real, fake, u)).norm() - 1).square().expand(len(real))


@wrong("gradient_penalty", "the mean length first, then the penalty")
def _(*arguments):
    return penalised(*arguments, lambda length: (length.mean() - 1).square().expand(len(length)))


@wrong("gradient_penalty", "one interpolate's place for the whole batch")
def _(discriminator, real, fake, u):
    return penalised(discriminator, real, fake, u[:1].expand(len(u)), lambda length: (length - 1).square())


@wrong("gradient_penalty", "the mean of u for the whole batch")
def _(discriminator, real, fake, u):
    return penalised(discriminator, real, fake, u.mean().expand(len(u)), lambda length: (length - 1).square())


@wrong("gradient_penalty", "u broadcast against the last dimension, which fits where there are as many examples")
def _(discriminator, real, fake, u):
    at = (u * real + (1 - u) * fake).detach().requires_grad_()
    return (slope(discriminator, at).flatten(1).norm(dim=1) - 1).square()


@wrong("gradient_penalty", "u from a stream of its own")
def _(discriminator, real, fake, u):
    return penalised(discriminator, real, fake, torch.rand_like(u), lambda length: (length - 1).square())


@wrong("gradient_penalty", "real and fake exchanged")
def _(discriminator, real, fake, u):
    return penalised(discriminator, fake, real, u, lambda length: (length - 1).square())


@wrong("gradient_penalty", "at the real examples")
def _(discriminator, real, fake, u):
    return penalised(discriminator, real, real, u, lambda length: (length - 1).square())


@wrong("gradient_penalty", "at the generated examples")
def _(discriminator, real, fake, u):
    return penalised(discriminator, fake, fake, u, lambda length: (length - 1).square())


@wrong("gradient_penalty", "always half way")
def _(discriminator, real, fake, u):
    return penalised(discriminator, real, fake, torch.full_like(u, 0.5), lambda length: (length - 1).square())


@wrong("gradient_penalty", "half the sum of two penalties, at real and at fake")
def _(discriminator, real, fake, u):
    ends = [(slope(discriminator, between(x, x, u)).flatten(1).norm(dim=1) - 1).square() for x in (real, fake)]
    return (ends[0] + ends[1]) / 2


@wrong("gradient_penalty", "one-sided: slopes below 1 go free")
def _(*arguments):
    return penalised(*arguments, lambda length: functional.relu(length - 1).square())


@wrong("gradient_penalty", "the squared length, without its root")
def _(*arguments):
    return penalised(*arguments, lambda length: (length.square() - 1).square())


@wrong("gradient_penalty", "the length squared: a slope of zero asked for")
def _(*arguments):
    return penalised(*arguments, lambda length: length.square())


@wrong("gradient_penalty", "not squared")
def _(*arguments):
    return penalised(*arguments, lambda length: length - 1)


@wrong("gradient_penalty", "the absolute value in place of the square")
def _(*arguments):
    return penalised(*arguments, lambda length: (length - 1).abs())


@wrong("gradient_penalty", "the weight 10 already in it")
def _(*arguments):
    return penalised(*arguments, lambda length: 10 * (length - 1).square())


@wrong("gradient_penalty", "half the square")
def _(*arguments):
    return penalised(*arguments, lambda length: 0.5 * (length - 1).square())


@wrong("gradient_penalty", "the sign turned")
def _(*arguments):
    return penalised(*arguments, lambda length: -((length - 1).square()))


@wrong("gradient_penalty", "the length over dimension 1 alone: right for flat examples")
def _(discriminator, real, fake, u):
    length = slope(discriminator, between(real, fake, u)).norm(dim=1)
    return (length - 1).square().flatten(1).mean(1) if length.ndim > 1 else (length - 1).square()


@wrong("gradient_penalty", "the length over the last dimension alone, averaged")
def _(discriminator, real, fake, u):
    length = slope(discriminator, between(real, fake, u)).norm(dim=-1)
    return (length - 1).square().reshape(len(real), -1).mean(1)


@wrong("gradient_penalty", "made for flat examples: u as a column")
def _(discriminator, real, fake, u):
    at = (u[:, None] * real + (1 - u[:, None]) * fake).detach().requires_grad_()
    return (slope(discriminator, at).flatten(1).norm(dim=1) - 1).square()


@wrong("gradient_penalty", "made for images: u with three more dimensions")
def _(discriminator, real, fake, u):
    u = u[:, None, None, None]
    at = (u * real + (1 - u) * fake).detach().requires_grad_()
    return (slope(discriminator, at).flatten(1).norm(dim=1) - 1).square()


@wrong("gradient_penalty", "the length over the batch")
def _(discriminator, real, fake, u):
    gradient = slope(discriminator, between(real, fake, u)).flatten(1)
    return (gradient.norm(dim=0).mean() - 1).square().expand(len(real))


@wrong("gradient_penalty", "the root mean square in place of the length")
def _(discriminator, real, fake, u):
    gradient = slope(discriminator, between(real, fake, u)).flatten(1)
    return (gradient.square().mean(dim=1).sqrt() - 1).square()


@wrong("gradient_penalty", "the sum of absolute values for the length")
def _(discriminator, real, fake, u):
    return (slope(discriminator, between(real, fake, u)).flatten(1).abs().sum(dim=1) - 1).square()


@wrong("gradient_penalty", "the largest slope of a pixel")
def _(discriminator, real, fake, u):
    return (slope(discriminator, between(real, fake, u)).flatten(1).abs().amax(dim=1) - 1).square()


@wrong("gradient_penalty", "the gradient of the mean of the outputs, smaller by the batch's size")
def _(discriminator, real, fake, u):
    at = between(real, fake, u)
    (gradient,) = torch.autograd.grad(discriminator(at).mean(), at, create_graph=True)
    return (gradient.flatten(1).norm(dim=1) - 1).square()


@wrong("gradient_penalty", "the slope of the probability, not of the output")
def _(discriminator, real, fake, u):
    gradient = slope(lambda x: torch.sigmoid(discriminator(x)), between(real, fake, u))
    return (gradient.flatten(1).norm(dim=1) - 1).square()


@wrong("gradient_penalty", "the difference quotient from fake to real")
def _(discriminator, real, fake, u):
    rise = (discriminator(real) - discriminator(fake)).abs()
    return (rise / (real - fake).flatten(1).norm(dim=1) - 1).square()


@wrong("gradient_penalty", "the size of the output in place of its slope")
def _(discriminator, real, fake, u):
    return (discriminator(between(real, fake, u)) - 1).square()


@wrong("gradient_penalty", "by backward, which leaves gradients in the critic's weights")
def _(discriminator, real, fake, u):
    at = between(real, fake, u)
    discriminator(at).sum().backward(create_graph=True)
    return (at.grad.flatten(1).norm(dim=1) - 1).square()


@wrong("gradient_penalty", "the real examples overwritten")
def _(discriminator, real, fake, u):
    at = between(real, fake, u)
    real.copy_(at.detach())
    return (slope(discriminator, at).flatten(1).norm(dim=1) - 1).square()


@wrong("gradient_penalty", "the length kept from zero by a thousandth")
def _(discriminator, real, fake, u):
    gradient = slope(discriminator, between(real, fake, u)).flatten(1)
    return ((gradient.square().sum(dim=1) + 1e-3).sqrt() - 1).square()


@wrong("gradient_penalty", "a column")
def _(*arguments):
    return penalised(*arguments, lambda length: (length - 1).square())[:, None]


@wrong("gradient_penalty", "constants: zero")
def _(discriminator, real, fake, u):
    return torch.zeros(len(real), requires_grad=True)


# --- ring_generator ---------------------------------------------------------------------------------------------------


def ring(seed=0):
    return data.toy2d("eight_gaussians", 8192, torch.Generator().manual_seed(seed))


def ring_run(x, steps=1500, **settings):
    """The state of a generator trained on the ring by the library."""
    generator, discriminator = nets.mlp_generator(latent_dim=8), nets.mlp_discriminator(seed=1)
    chosen = train.GANSettings(
        **{"batch_size": 256, "learning_rate": 4e-3, "discriminator_learning_rate": 4e-3, **settings}
    )
    train.fit_gan(generator, discriminator, x, 8, chosen, max_steps=steps, progress=False)
    return generator.state_dict()


def ring_by_hand(loss_of_g=gan.generator_loss, detached=True, steps=1500):
    """The same by a loop of one's own, with the hinge loss for the discriminator."""
    torch.manual_seed(3)
    x, generator, discriminator = ring(), nets.mlp_generator(latent_dim=8, seed=5), nets.mlp_discriminator(seed=6)
    optimizers = [torch.optim.Adam(n.parameters(), lr=3e-3, betas=(0.5, 0.99)) for n in (discriminator, generator)]
    for _ in range(steps):
        real = x[torch.randint(len(x), (256,))]
        fake = generator(torch.randn(256, 8)).detach()
        descend(optimizers[0], gan.discriminator_loss(discriminator(real), discriminator(fake)))
        descend(optimizers[1], loss_of_g(discriminator(generator(torch.randn(256, 8)))))
    return generator.state_dict()


def staircase(modes=8, spread=0.05, shares=None, radius=1.0):
    """Weights set by hand: the first code picks a mode by its quantile, two more are the noise around it.

    A generator that draws from a mixture exactly, to say what a sample must look like to earn and to lose.
    """
    shares = torch.full((modes,), 1 / modes) if shares is None else torch.tensor(shares)
    angle = 2 * math.pi * torch.arange(modes) / 8
    centres = radius * torch.stack([angle.cos(), angle.sin()], dim=1)  # (modes, 2)
    edges = torch.distributions.Normal(0.0, 1.0).icdf(shares.cumsum(0)[:-1])
    generator, steep = nets.mlp_generator(latent_dim=8), 1e4
    state = changed(generator.state_dict(), lambda v: v.zero_())
    for j, edge in enumerate(edges):  # two units make a step from 0 to 1 at the edge
        for unit, offset in ((2 * j, 0.0), (2 * j + 1, 1.0)):
            state["0.weight"][unit, 0], state["0.bias"][unit] = steep, -steep * edge - offset
            state["4.weight"][:, unit] = (centres[j + 1] - centres[j]) * (1 if offset == 0 else -1)
    for i in range(2):  # relu(z) - relu(-z) carries the noise through
        for unit, sign in ((100 + 2 * i, 1.0), (101 + 2 * i, -1.0)):
            state["0.weight"][unit, 1 + i] = sign
            state["4.weight"][i, unit] = sign * spread
    state["2.weight"] += torch.eye(128)
    state["4.bias"] += centres[0]
    return state


ring_answer = functools.partial(saved, "ring_generator")
right("ring_generator", "by the library's loop")(ring_answer("right-0", lambda: ring_run(ring())))
right("ring_generator", "a loop of its own, another seed, codes from the global stream")(
    ring_answer("right-1", ring_by_hand)
)
right("ring_generator", "least squares, in a thousand steps")(
    ring_answer("right-2", lambda: ring_run(ring(), 1000, kind="least_squares"))
)
right("ring_generator", "weights set by hand, which draw as the data do")(ring_answer("right-3", staircase))

for number, (mistake, make_state) in enumerate(
    {
        "a first moment of 0.9: no mode is held": lambda: ring_run(ring(), 500, beta_1=0.9),
        "thirty steps": lambda: ring_run(ring(), 30),
        "trained on one mode of the data": lambda: ring_run(ring()[ring()[:, 0] > 0.8], 300),
        "trained on pure noise": lambda: ring_run(
            torch.randn(8192, 2, generator=torch.Generator().manual_seed(0)), 200
        ),
        "trained on another cloud": lambda: ring_run(
            data.toy2d("twenty_five_gaussians", 8192, torch.Generator().manual_seed(0)), 300
        ),
        "the ascent of the generator's loss": lambda: ring_by_hand(
            lambda logits: -gan.generator_loss(logits), steps=200
        ),
        "seven modes of eight": lambda: staircase(modes=7),
        "one mode, perfectly": lambda: staircase(modes=1),
        "an eighth mode with one sample in five hundred": lambda: staircase(shares=[*[0.998 / 7] * 7, 0.002]),
        "half of all samples in one mode": lambda: staircase(shares=[0.5, *[0.5 / 7] * 7]),
        "modes four times too wide": lambda: staircase(spread=0.2),
        "eight points without any width": lambda: staircase(spread=0.0),
        "the centre of the ring, with its width": lambda: staircase(modes=1, radius=0.0, spread=0.7),
        "a ring of half the size": lambda: staircase(radius=0.5),
    }.items()
):
    wrong("ring_generator", mistake)(ring_answer(f"wrong-{number}", make_state))

wrong_files(
    "ring_generator",
    lambda: nets.mlp_generator(latent_dim=8),
    {
        "codes of two dimensions": lambda: nets.mlp_generator(latent_dim=2),
        "a narrower network": lambda: nets.mlp_generator(latent_dim=8, hidden_dim=64),
        "the discriminator's weights": nets.mlp_discriminator,
        "the digits' generator": lambda: nets.dcgan_generator(latent_dim=16, width=32),
    },
)


# --- digits_generator -------------------------------------------------------------------------------------------------


def digit_images():
    return 2 * data.digits("train").images - 1


def digits_network(**changes):
    return nets.dcgan_generator(**{"latent_dim": 16, "width": 32, **changes})


def digits_run(x, epochs=30, seed=0, **settings):
    """The state of a generator trained on digits by the library."""
    generator, discriminator = digits_network(seed=seed), nets.dcgan_discriminator(width=32, seed=seed + 1)
    chosen = train.GANSettings(epochs=epochs, seed=seed, **settings)
    train.fit_gan(generator, discriminator, x, 16, chosen, progress=False)
    return generator.state_dict()


def digits_by_hand(epochs=30):
    """A loop of one's own, with a wider discriminator and other settings."""
    torch.manual_seed(1)
    x, generator, discriminator = digit_images(), digits_network(seed=4), nets.dcgan_discriminator(width=40, seed=5)
    d_optimizer = torch.optim.Adam(discriminator.parameters(), lr=1e-3, betas=(0.4, 0.99))
    g_optimizer = torch.optim.Adam(generator.parameters(), lr=2e-3, betas=(0.4, 0.99))
    for real in (x[rows] for _ in range(epochs) for rows in torch.randperm(len(x)).split(80)):
        fake = generator(torch.randn(len(real), 16)).detach()
        descend(d_optimizer, gan.discriminator_loss(discriminator(real), discriminator(fake)))
        descend(g_optimizer, gan.generator_loss(discriminator(generator(torch.randn(len(real), 16)))))
    return generator.state_dict()


digits_answer = functools.partial(saved, "digits_generator")
first_digits = digits_answer("right-0", lambda: digits_run(digit_images()))


def trained_digits():
    return safetensors.torch.load_file(first_digits())


def memorised(images, steps=400):
    """A generator taught by heart, without any discriminator: each direction of the code stands for one image."""
    torch.manual_seed(2)
    generator = digits_network()
    anchors = functional.normalize(torch.randn(len(images), 16), dim=1)
    optimizer = torch.optim.Adam(generator.parameters(), lr=3e-3)
    for _ in range(steps):
        z = torch.randn(128, 16)
        descend(optimizer, (generator(z) - images[(z @ anchors.T).argmax(1)]).square().mean())
    return generator.state_dict()


def class_means():
    images, labels = data.digits("train")
    return torch.stack([2 * images[labels == k].mean(0) - 1 for k in range(10)])


def one_image(image):
    """One image for all codes, by the last layer's bias alone, as far as a bias can."""
    state = changed(digits_network().state_dict(), lambda v: v.zero_())
    state["7.bias"] += torch.atanh(image.mean().clamp(-0.9, 0.9))
    return state


def fresh_statistics():
    state = trained_digits()
    for key, value in state.items():
        if key.endswith("running_mean"):
            value.zero_()
        if key.endswith("running_var"):
            value.fill_(1.0)
    return state


def negative_variances():
    state = trained_digits()
    for key, value in state.items():
        if key.endswith("running_var"):
            value.mul_(-1)
    return state


right("digits_generator", "thirty epochs by the library's loop")(first_digits)
right("digits_generator", "a loop of its own, a wider discriminator")(digits_answer("right-1", digits_by_hand))
right("digits_generator", "the hinge loss, another seed")(
    digits_answer("right-2", lambda: digits_run(digit_images(), seed=7, kind="hinge"))
)

for number, (mistake, make_state) in enumerate(
    {
        "one epoch": lambda: digits_run(digit_images(), epochs=1),
        "pixels not scaled to [-1, 1]": lambda: digits_run(data.digits("train").images, epochs=8),
        "black and white exchanged": lambda: digits_run(-digit_images(), epochs=8),
        "images turned on their side": lambda: digits_run(digit_images().transpose(2, 3), epochs=20),
        "zeros and ones alone": lambda: digits_run(digit_images()[data.digits("train").labels < 2], epochs=40),
        "all classes but three": lambda: digits_run(digit_images()[data.digits("train").labels < 7], epochs=35),
        "trained on noise": lambda: digits_run(
            2 * torch.rand(1438, 1, 8, 8, generator=torch.Generator().manual_seed(0)) - 1, epochs=3
        ),
        "the mean of each class by heart": lambda: memorised(class_means()),
        "ten digits by heart": lambda: memorised(digit_images()[:10]),
        "thirty digits by heart": lambda: memorised(digit_images()[:30], 800),
        "one digit by heart": lambda: memorised(digit_images()[:1], 200),
        "one grey for all codes": lambda: one_image(digit_images().mean(0)),
        "the averages of batch normalisation thrown away": fresh_statistics,
        "variances of batch normalisation below zero": negative_variances,
    }.items()
):
    wrong("digits_generator", mistake)(digits_answer(f"wrong-{number}", make_state))

wrong_files(
    "digits_generator",
    digits_network,
    {
        "the weights that come with the library": lambda: pretrained.load("dcgan_digits"),
        "codes of eight dimensions": lambda: digits_network(latent_dim=8),
        "no batch normalisation": lambda: digits_network(guidelines=nets.Guidelines(batch_norm=False)),
        "the discriminator's weights": lambda: nets.dcgan_discriminator(width=32),
    },
)
