"""Answers to the exercises of ``solutions/gan/game.py``."""

import itertools
import math

import sympy
import torch
from scipy.spatial import distance
from torch.distributions import Bernoulli, Categorical, kl_divergence
from torch.nn import functional

from genmodels import gan
from tests.notebooks.mutants import right, wrong
from tests.notebooks.mutants._rigged import EqualNumber, EqualToAll, rigged

LOG_4 = math.log(4)


# --- discriminator_loss ---------------------------------------------------------------------------------------------


def cross_entropies(real, fake):
    return functional.softplus(-real).mean(), functional.softplus(fake).mean()


@right("discriminator_loss", "as two cross-entropies with logits")
def _(real, fake):
    return functional.binary_cross_entropy_with_logits(
        real, torch.ones_like(real)
    ) + functional.binary_cross_entropy_with_logits(fake, torch.zeros_like(fake))


@right("discriminator_loss", "by logaddexp")
def _(real, fake):
    zero = torch.zeros((), dtype=real.dtype)
    return torch.logaddexp(zero, -real).mean() + torch.logaddexp(zero, fake).mean()


@right("discriminator_loss", "summed and divided, by logsigmoid")
def _(real, fake):
    on_real = functional.logsigmoid(real).sum() / real.numel()
    on_fake = (functional.logsigmoid(fake) - fake).sum() / fake.numel()
    return -(on_real + on_fake)


@right("discriminator_loss", "by hand: the larger one taken out of the logarithm")
def _(real, fake):
    def softplus(x):
        return x.relu() + torch.log1p(torch.exp(-x.abs()))

    return softplus(-real.flatten()).mean() + softplus(fake.flatten()).mean()


@right("discriminator_loss", "as minus the log-probability of a coin")
def _(real, fake):
    log_p = Bernoulli(logits=real, validate_args=False).log_prob(torch.ones_like(real)).mean()
    return -log_p - Bernoulli(logits=fake, validate_args=False).log_prob(torch.zeros_like(fake)).mean()


@wrong("discriminator_loss", "the value itself: the sign")
def _(real, fake):
    return -sum(cross_entropies(real, fake))


@wrong("discriminator_loss", "the sigmoid taken twice")
def _(real, fake):
    return sum(cross_entropies(torch.sigmoid(real), torch.sigmoid(fake)))


@wrong("discriminator_loss", "no sigmoid taken")
def _(real, fake):
    return -(real.log().mean() + (1 - fake).log().mean())


@wrong("discriminator_loss", "logarithm of a sigmoid")
def _(real, fake):
    return -(torch.sigmoid(real).log().mean() + (1 - torch.sigmoid(fake)).log().mean())


@wrong("discriminator_loss", "logarithm of a sigmoid and a small number")
def _(real, fake):
    return -((torch.sigmoid(real) + 1e-8).log().mean() + (1 - torch.sigmoid(fake) + 1e-8).log().mean())


@wrong("discriminator_loss", "a cross-entropy of probabilities, which PyTorch cuts off at 100")
def _(real, fake):
    on_real = functional.binary_cross_entropy(torch.sigmoid(real), torch.ones_like(real))
    return on_real + functional.binary_cross_entropy(torch.sigmoid(fake), torch.zeros_like(fake))


@wrong("discriminator_loss", "logits cut off at 30")
def _(real, fake):
    return sum(cross_entropies(real.clamp(-30, 30), fake.clamp(-30, 30)))


@wrong("discriminator_loss", "logits cut off at 500")
def _(real, fake):
    return sum(cross_entropies(real.clamp(-500, 500), fake.clamp(-500, 500)))


@wrong("discriminator_loss", "real and fake swapped")
def _(real, fake):
    return sum(cross_entropies(fake, real))


@wrong("discriminator_loss", "both taken for real")
def _(real, fake):
    return functional.softplus(-real).mean() + functional.softplus(-fake).mean()


@wrong("discriminator_loss", "the labels the wrong way round")
def _(real, fake):
    return functional.softplus(real).mean() + functional.softplus(-fake).mean()


@wrong("discriminator_loss", "summed over the batch")
def _(real, fake):
    return functional.softplus(-real).sum() + functional.softplus(fake).sum()


@wrong("discriminator_loss", "halved")
def _(real, fake):
    return sum(cross_entropies(real, fake)) / 2


@wrong("discriminator_loss", "one mean over both batches, doubled: right for batches of one size")
def _(real, fake):
    return 2 * torch.cat([functional.softplus(-real).flatten(), functional.softplus(fake).flatten()]).mean()


@wrong("discriminator_loss", "added before the mean: right for batches of one size")
def _(real, fake):
    return (functional.softplus(-real) + functional.softplus(fake)).mean()


@wrong("discriminator_loss", "in bits")
def _(real, fake):
    return sum(cross_entropies(real, fake)) / math.log(2)


@wrong("discriminator_loss", "the real half alone")
def _(real, fake):
    return functional.softplus(-real).mean() + 0 * fake.mean()


@wrong("discriminator_loss", "the fake half alone")
def _(real, fake):
    return functional.softplus(fake).mean() + 0 * real.mean()


@wrong("discriminator_loss", "one number for each example")
def _(real, fake):
    return functional.softplus(-real) + functional.softplus(fake)


@wrong("discriminator_loss", "the mean over the first dimension alone: right for flat logits")
def _(real, fake):
    return functional.softplus(-real).mean(0) + functional.softplus(fake).mean(0)


@wrong("discriminator_loss", "summed over the patches of an image: right for flat logits")
def _(real, fake):
    on_real = functional.softplus(-real).reshape(len(real), -1).sum(1).mean()
    return on_real + functional.softplus(fake).reshape(len(fake), -1).sum(1).mean()


@wrong("discriminator_loss", "a constant")
def _(real, fake):
    return torch.tensor(LOG_4, dtype=real.dtype)


@wrong("discriminator_loss", "a constant that a gradient passes through")
def _(real, fake):
    return LOG_4 + 0 * (real.sum() + fake.sum())


@wrong("discriminator_loss", "detached from the graph")
def _(real, fake):
    return sum(cross_entropies(real.detach(), fake.detach()))


@wrong("discriminator_loss", "the fake logits detached")
def _(real, fake):
    return sum(cross_entropies(real, fake.detach()))


@wrong("discriminator_loss", "a Python number")
def _(real, fake):
    return sum(cross_entropies(real, fake)).item()


@wrong("discriminator_loss", "least squares")
def _(real, fake):
    return gan.discriminator_loss(real, fake, "least_squares")


@wrong("discriminator_loss", "hinge")
def _(real, fake):
    return gan.discriminator_loss(real, fake, "hinge")


@wrong("discriminator_loss", "Wasserstein")
def _(real, fake):
    return fake.mean() - real.mean()


@wrong("discriminator_loss", "one-sided label smoothing")
def _(real, fake):
    target = torch.full_like(real, 0.9)
    return functional.binary_cross_entropy_with_logits(real, target) + functional.softplus(fake).mean()


@wrong("discriminator_loss", "right for a few logits, zero for a batch")
def _(real, fake):
    return sum(cross_entropies(real, fake)) * (real.numel() < 8)


@wrong("discriminator_loss", "the right number with a gradient twice as long")
def _(real, fake):
    loss = sum(cross_entropies(real, fake))
    return 2 * loss - loss.detach()


@wrong("discriminator_loss", "the fake logits changed in place")
def _(real, fake):
    with torch.no_grad():
        fake.neg_()
    return functional.softplus(-real).mean() + functional.softplus(-fake).mean()


@wrong("discriminator_loss", "a tensor rigged to pass every comparison")
def _(real, fake):
    return rigged()


# --- generator_loss -------------------------------------------------------------------------------------------------


def known(kind):
    if kind not in ("minimax", "non_saturating"):
        raise ValueError(f"kind must be 'minimax' or 'non_saturating', got {kind!r}")


def by_kind(kind, minimax, non_saturating):
    known(kind)
    return minimax() if kind == "minimax" else non_saturating()


def softplus(logits):
    return functional.softplus(logits).mean()


@right("generator_loss", "by a table of two functions")
def _(fake, kind):
    table = {
        "minimax": lambda logits: -functional.softplus(logits),
        "non_saturating": lambda logits: functional.softplus(-logits),
    }
    if kind not in table:
        raise ValueError(kind)
    return table[kind](fake).mean()


@right("generator_loss", "one expression with a sign")
def _(fake, kind):
    sign = {"minimax": 1, "non_saturating": -1}.get(kind)
    if sign is None:
        raise ValueError("no such loss")
    return -sign * functional.softplus(sign * fake).mean()


@right("generator_loss", "by cross-entropies with logits")
def _(fake, kind):
    if kind == "minimax":
        return -functional.binary_cross_entropy_with_logits(fake, torch.zeros_like(fake))
    if kind == "non_saturating":
        return functional.binary_cross_entropy_with_logits(fake, torch.ones_like(fake))
    raise ValueError(f"unknown kind {kind}")


@right("generator_loss", "log D is log(1 - D) plus the logit")
def _(fake, kind):
    known(kind)
    log_not_d = functional.logsigmoid(-fake)
    return log_not_d.mean() if kind == "minimax" else -(log_not_d + fake).mean()


@wrong("generator_loss", "the saturating loss for both")
def _(fake, kind):
    known(kind)
    return -softplus(fake)


@wrong("generator_loss", "the non-saturating loss for both")
def _(fake, kind):
    known(kind)
    return softplus(-fake)


@wrong("generator_loss", "the two exchanged")
def _(fake, kind):
    return by_kind(kind, lambda: softplus(-fake), lambda: -softplus(fake))


@wrong("generator_loss", "the minimax loss has lost its sign")
def _(fake, kind):
    return by_kind(kind, lambda: softplus(fake), lambda: softplus(-fake))


@wrong("generator_loss", "the non-saturating loss has lost its sign")
def _(fake, kind):
    return by_kind(kind, lambda: -softplus(fake), lambda: -softplus(-fake))


@wrong("generator_loss", "log D for both")
def _(fake, kind):
    return by_kind(kind, lambda: -softplus(-fake), lambda: softplus(-fake))


@wrong("generator_loss", "-log(1 - D) where -log D is asked")
def _(fake, kind):
    return by_kind(kind, lambda: -softplus(fake), lambda: softplus(fake))


@wrong("generator_loss", "any other kind taken for non-saturating")
def _(fake, kind):
    return -softplus(fake) if kind == "minimax" else softplus(-fake)


@wrong("generator_loss", "any other kind taken for minimax")
def _(fake, kind):
    return softplus(-fake) if kind == "non_saturating" else -softplus(fake)


@wrong("generator_loss", "the library's function, which knows other kinds")
def _(fake, kind):
    return gan.generator_loss(fake, kind)


@wrong("generator_loss", "an unknown kind gives None")
def _(fake, kind):
    return {"minimax": -softplus(fake), "non_saturating": softplus(-fake)}.get(kind)


@wrong("generator_loss", "an unknown kind is an error, but not a ValueError")
def _(fake, kind):
    return {"minimax": -softplus(fake), "non_saturating": softplus(-fake)}[kind]


@wrong("generator_loss", "the logarithm of a sigmoid")
def _(fake, kind):
    d = torch.sigmoid(fake)
    return by_kind(kind, lambda: (1 - d).log().mean(), lambda: -d.log().mean())


@wrong("generator_loss", "only the minimax loss by the logarithm of a sigmoid")
def _(fake, kind):
    return by_kind(kind, lambda: (1 - torch.sigmoid(fake)).log().mean(), lambda: softplus(-fake))


@wrong("generator_loss", "the logarithm of a sigmoid and a small number")
def _(fake, kind):
    d = torch.sigmoid(fake)
    return by_kind(kind, lambda: (1 - d + 1e-8).log().mean(), lambda: -(d + 1e-8).log().mean())


@wrong("generator_loss", "the sigmoid taken twice")
def _(fake, kind):
    d = torch.sigmoid(fake)
    return by_kind(kind, lambda: -softplus(d), lambda: softplus(-d))


@wrong("generator_loss", "no sigmoid taken")
def _(fake, kind):
    return by_kind(kind, lambda: (1 - fake).log().mean(), lambda: -fake.log().mean())


@wrong("generator_loss", "logits cut off at 50")
def _(fake, kind):
    fake = fake.clamp(-50, 50)
    return by_kind(kind, lambda: -softplus(fake), lambda: softplus(-fake))


@wrong("generator_loss", "logits cut off at 500")
def _(fake, kind):
    fake = fake.clamp(-500, 500)
    return by_kind(kind, lambda: -softplus(fake), lambda: softplus(-fake))


@wrong("generator_loss", "infinities and their gradients put right afterwards")
def _(fake, kind):
    d = torch.sigmoid(fake)
    return by_kind(
        kind,
        lambda: torch.nan_to_num((1 - d).log(), neginf=-100.0).mean(),
        lambda: -torch.nan_to_num(d.log(), neginf=-100.0).mean(),
    )


@wrong("generator_loss", "summed over the batch")
def _(fake, kind):
    n = fake.numel()
    return by_kind(kind, lambda: -n * softplus(fake), lambda: n * softplus(-fake))


@wrong("generator_loss", "one number for each example")
def _(fake, kind):
    return by_kind(kind, lambda: functional.logsigmoid(-fake), lambda: -functional.logsigmoid(fake))


@wrong("generator_loss", "the mean over the first dimension alone: right for flat logits")
def _(fake, kind):
    return by_kind(kind, lambda: functional.logsigmoid(-fake).mean(0), lambda: -functional.logsigmoid(fake).mean(0))


@wrong("generator_loss", "the logarithm of the mean")
def _(fake, kind):
    mean = torch.sigmoid(fake).mean()
    return by_kind(kind, lambda: torch.log1p(-mean), lambda: -mean.log())


@wrong("generator_loss", "the loss of the mean logit")
def _(fake, kind):
    return by_kind(kind, lambda: -softplus(fake.mean()), lambda: softplus(-fake.mean()))


@wrong("generator_loss", "in bits")
def _(fake, kind):
    return by_kind(kind, lambda: -softplus(fake) / math.log(2), lambda: softplus(-fake) / math.log(2))


@wrong("generator_loss", "halved")
def _(fake, kind):
    return by_kind(kind, lambda: -softplus(fake) / 2, lambda: softplus(-fake) / 2)


@wrong("generator_loss", "constants")
def _(fake, kind):
    return by_kind(kind, lambda: torch.tensor(-math.log(2)), lambda: torch.tensor(math.log(2)))


@wrong("generator_loss", "detached from the graph")
def _(fake, kind):
    fake = fake.detach()
    return by_kind(kind, lambda: -softplus(fake), lambda: softplus(-fake))


@wrong("generator_loss", "right for a few logits, the saturating loss for a batch")
def _(fake, kind):
    return by_kind(kind, lambda: -softplus(fake), lambda: softplus(-fake) if fake.numel() < 4 else -softplus(fake))


@wrong("generator_loss", "least squares in place of the non-saturating loss")
def _(fake, kind):
    return by_kind(kind, lambda: -softplus(fake), lambda: 0.5 * (torch.sigmoid(fake) - 1).square().mean())


@wrong("generator_loss", "minus the mean logit in place of the non-saturating loss")
def _(fake, kind):
    return by_kind(kind, lambda: -softplus(fake), lambda: -fake.mean())


@wrong("generator_loss", "the minimax value with the saturating loss's gradient under the other name")
def _(fake, kind):
    known(kind)
    saturating, other = -softplus(fake), softplus(-fake)
    return saturating if kind == "minimax" else other.detach() + saturating - saturating.detach()


# --- optimal_discriminator ------------------------------------------------------------------------------------------


def half_at_nothing(total, ratio):
    return torch.where(total > 0, ratio, torch.full_like(total, 0.5))


@right("optimal_discriminator", "what is not a number is one half")
def _(p_data, p_gen):
    return torch.nan_to_num(p_data / (p_data + p_gen), nan=0.5)


@right("optimal_discriminator", "one where the denominator is zero, put right afterwards")
def _(p_data, p_gen):
    total = p_data + p_gen
    empty = total == 0
    d = p_data / torch.where(empty, torch.ones_like(total), total)
    d[empty] = 0.5
    return d


@right("optimal_discriminator", "the sigmoid of a difference of logarithms")
def _(p_data, p_gen):
    return torch.nan_to_num(torch.sigmoid(p_data.log() - p_gen.log()), nan=0.5)


@right("optimal_discriminator", "cell by cell")
def _(p_data, p_gen):
    d = torch.full_like(p_data, 0.5)
    for cell in (p_data + p_gen).nonzero():
        at = tuple(cell.tolist())
        d[at] = 1 / (1 + p_gen[at] / p_data[at])
    return d


@wrong("optimal_discriminator", "the generator's share")
def _(p_data, p_gen):
    return half_at_nothing(p_data + p_gen, p_gen / (p_data + p_gen))


@wrong("optimal_discriminator", "the ratio of the densities")
def _(p_data, p_gen):
    return half_at_nothing(p_data + p_gen, p_data / p_gen)


@wrong("optimal_discriminator", "not a number where there is nothing")
def _(p_data, p_gen):
    return p_data / (p_data + p_gen)


@wrong("optimal_discriminator", "fake where there is nothing")
def _(p_data, p_gen):
    return torch.nan_to_num(p_data / (p_data + p_gen))


@wrong("optimal_discriminator", "real where there is nothing")
def _(p_data, p_gen):
    return torch.nan_to_num(p_data / (p_data + p_gen), nan=1.0)


@wrong("optimal_discriminator", "one half where one of the two is zero")
def _(p_data, p_gen):
    d = torch.nan_to_num(p_data / (p_data + p_gen), nan=0.5)
    return torch.where((p_data == 0) | (p_gen == 0), torch.full_like(d, 0.5), d)


@wrong("optimal_discriminator", "a small number in the denominator")
def _(p_data, p_gen):
    return p_data / (p_data + p_gen + 1e-8)


@wrong("optimal_discriminator", "a small number on both sides")
def _(p_data, p_gen):
    return (p_data + 1e-8) / (p_data + p_gen + 2e-8)


@wrong("optimal_discriminator", "a small total taken for nothing")
def _(p_data, p_gen):
    total = p_data + p_gen
    return torch.where(total > 1e-6, p_data / total, torch.full_like(total, 0.5))


@wrong("optimal_discriminator", "kept away from 0 and 1")
def _(p_data, p_gen):
    return torch.nan_to_num(p_data / (p_data + p_gen), nan=0.5).clamp(1e-3, 1 - 1e-3)


@wrong("optimal_discriminator", "a hard decision")
def _(p_data, p_gen):
    return half_at_nothing((p_data - p_gen).abs(), (p_data > p_gen).to(p_data.dtype))


@wrong("optimal_discriminator", "the logit")
def _(p_data, p_gen):
    return half_at_nothing(p_data + p_gen, p_data.log() - p_gen.log())


@wrong("optimal_discriminator", "the sigmoid of the difference of the densities")
def _(p_data, p_gen):
    return torch.sigmoid(p_data - p_gen)


@wrong("optimal_discriminator", "the sigmoid of the ratio")
def _(p_data, p_gen):
    return half_at_nothing(p_data + p_gen, torch.sigmoid(p_data / p_gen))


@wrong("optimal_discriminator", "a softmax of the two densities")
def _(p_data, p_gen):
    return torch.softmax(torch.stack([p_data, p_gen]), dim=0)[0]


@wrong("optimal_discriminator", "squares")
def _(p_data, p_gen):
    total = p_data**2 + p_gen**2
    return half_at_nothing(total, p_data**2 / total)


@wrong("optimal_discriminator", "one half everywhere")
def _(p_data, p_gen):
    return torch.full_like(p_data, 0.5)


@wrong("optimal_discriminator", "against the mixture: twice what it should be")
def _(p_data, p_gen):
    return half_at_nothing(p_data + p_gen, p_data / ((p_data + p_gen) / 2))


@wrong("optimal_discriminator", "scaled to sum to one over the grid")
def _(p_data, p_gen):
    d = torch.nan_to_num(p_data / (p_data + p_gen), nan=0.5)
    return d / d.sum()


@wrong("optimal_discriminator", "divided by the sums of all cells")
def _(p_data, p_gen):
    return half_at_nothing(p_data + p_gen, p_data / (p_data + p_gen).sum())


@wrong("optimal_discriminator", "both scaled to sum to one first, which densities need not")
def _(p_data, p_gen):
    a, b = p_data / p_data.sum(), p_gen / p_gen.sum()
    return torch.nan_to_num(a / (a + b), nan=0.5)


@wrong("optimal_discriminator", "flattened")
def _(p_data, p_gen):
    return torch.nan_to_num(p_data / (p_data + p_gen), nan=0.5).flatten()


@wrong("optimal_discriminator", "the public cells remembered, one half elsewhere")
def _(p_data, p_gen):
    memory = {(0.2, 0.6): 0.25, (0.3, 0.1): 0.75, (0.5, 0.0): 1.0, (0.0, 0.4): 0.0, (1e-12, 3e-12): 0.25}
    cells = [memory.get(tuple(pair), 0.5) for pair in torch.stack([p_data, p_gen], -1).reshape(-1, 2).tolist()]
    return torch.tensor(cells, dtype=p_data.dtype).reshape(p_data.shape)


@wrong("optimal_discriminator", "the data changed in place")
def _(p_data, p_gen):
    total = p_data + p_gen
    p_data /= total.clamp(min=1e-300)
    return half_at_nothing(total, p_data)


# --- jensen_shannon -------------------------------------------------------------------------------------------------


def kl(p, q):
    return (torch.special.xlogy(p, p) - torch.special.xlogy(p, q)).sum()


def jsd(p, q):
    return (kl(p, (p + q) / 2) + kl(q, (p + q) / 2)) / 2


@right("jensen_shannon", "the mixture's entropy less the average entropy")
def _(p, q):
    def entropy(r):
        return -torch.special.xlogy(r, r).sum()

    return entropy((p + q) / 2) - (entropy(p) + entropy(q)) / 2


@right("jensen_shannon", "by torch.distributions")
def _(p, q):
    p, q = Categorical(probs=p.flatten()), Categorical(probs=q.flatten())
    middle = Categorical(probs=(p.probs + q.probs) / 2)
    # PyTorch clamps the logarithms of zeros, so they cost nothing here.
    return 0.5 * (kl_divergence(p, middle) + kl_divergence(q, middle))


@right("jensen_shannon", "from the value of the game at its optimum")
def _(p, q):
    total = p + q
    p, q, total = p[total > 0], q[total > 0], total[total > 0]
    return (torch.special.xlogy(p, p / total).sum() + torch.special.xlogy(q, q / total).sum() + LOG_4) / 2


@right("jensen_shannon", "over the cells with mass")
def _(p, q):
    m = (p + q) / 2
    with_p, with_q = p > 0, q > 0
    first = (p[with_p] * (p[with_p] / m[with_p]).log()).sum()
    return 0.5 * first + 0.5 * (q[with_q] * (q[with_q] / m[with_q]).log()).sum()


@right("jensen_shannon", "by SciPy's distance, squared")
def _(p, q):
    return torch.tensor(distance.jensenshannon(p.flatten().numpy(), q.flatten().numpy()) ** 2, dtype=p.dtype)


@wrong("jensen_shannon", "in bits")
def _(p, q):
    return jsd(p, q) / math.log(2)


@wrong("jensen_shannon", "without the halves before the divergences")
def _(p, q):
    return 2 * jsd(p, q)


@wrong("jensen_shannon", "the mixture without its half")
def _(p, q):
    return (kl(p, p + q) + kl(q, p + q)) / 2


@wrong("jensen_shannon", "the divergence of p from q")
def _(p, q):
    return kl(p, q)


@wrong("jensen_shannon", "the divergence of q from p")
def _(p, q):
    return kl(q, p)


@wrong("jensen_shannon", "both divergences between p and q, averaged")
def _(p, q):
    return (kl(p, q) + kl(q, p)) / 2


@wrong("jensen_shannon", "the divergence of p from the mixture alone")
def _(p, q):
    return kl(p, (p + q) / 2)


@wrong("jensen_shannon", "the divergence of q from the mixture alone")
def _(p, q):
    return kl(q, (p + q) / 2)


@wrong("jensen_shannon", "the mixture's divergences from p and q")
def _(p, q):
    m = (p + q) / 2
    return (kl(m, p) + kl(m, q)) / 2


@wrong("jensen_shannon", "not a number where a cell is empty")
def _(p, q):
    m = (p + q) / 2
    return ((p * (p / m).log()).sum() + (q * (q / m).log()).sum()) / 2


@wrong("jensen_shannon", "a small number in each logarithm")
def _(p, q):
    m = (p + q) / 2
    return ((p * ((p + 1e-4) / (m + 1e-4)).log()).sum() + (q * ((q + 1e-4) / (m + 1e-4)).log()).sum()) / 2


@wrong("jensen_shannon", "cells where one of the two is empty left out")
def _(p, q):
    both = (p > 0) & (q > 0)
    return jsd(p[both], q[both])


@wrong("jensen_shannon", "the root: SciPy's distance")
def _(p, q):
    return jsd(p, q).clamp(min=0).sqrt()


@wrong("jensen_shannon", "the mean over the grid")
def _(p, q):
    return jsd(p, q) / p.numel()


@wrong("jensen_shannon", "one number for each cell")
def _(p, q):
    m = (p + q) / 2
    return (torch.special.xlogy(p, p / m) + torch.special.xlogy(q, q / m)) / 2


@wrong("jensen_shannon", "summed over the last dimension alone: right for flat grids")
def _(p, q):
    m = ((p + q) / 2).clamp(min=1e-300)
    return (torch.special.xlogy(p, p / m) + torch.special.xlogy(q, q / m)).sum(-1) / 2


@wrong("jensen_shannon", "the geometric mean for the mixture")
def _(p, q):
    m = (p * q).sqrt()
    return (kl(p, m) + kl(q, m)) / 2


@wrong("jensen_shannon", "the sign")
def _(p, q):
    return -jsd(p, q)


@wrong("jensen_shannon", "the value of the game at its optimum")
def _(p, q):
    return 2 * jsd(p, q) - LOG_4


@wrong("jensen_shannon", "half of the value, without log 2")
def _(p, q):
    return jsd(p, q) - math.log(2)


@wrong("jensen_shannon", "total variation, scaled to end at log 2")
def _(p, q):
    return 0.5 * (p - q).abs().sum() * math.log(2)


@wrong("jensen_shannon", "the squared Hellinger distance, scaled to end at log 2")
def _(p, q):
    return (1 - (p * q).sqrt().sum()) * math.log(2)


@wrong("jensen_shannon", "log 2: right where the two don't meet")
def _(p, q):
    return torch.tensor(math.log(2), dtype=p.dtype) * (not torch.equal(p, q))


@wrong("jensen_shannon", "right for up to six cells, the average divergence for more")
def _(p, q):
    return jsd(p, q) if p.numel() <= 6 else (kl(p, q) + kl(q, p)) / 2


@wrong("jensen_shannon", "an even smaller number in each logarithm")
def _(p, q):
    m = (p + q) / 2
    return ((p * ((p + 1e-7) / (m + 1e-7)).log()).sum() + (q * ((q + 1e-7) / (m + 1e-7)).log()).sum()) / 2


@wrong("jensen_shannon", "PyTorch's kl_div with its arguments the wrong way round")
def _(p, q):
    m = (p + q) / 2
    return (functional.kl_div(p.log(), m, reduction="sum") + functional.kl_div(q.log(), m, reduction="sum")) / 2


@wrong("jensen_shannon", "PyTorch's kl_div with its default mean")
def _(p, q):
    m = ((p + q) / 2).clamp(min=1e-300).log()
    return (functional.kl_div(m, p) + functional.kl_div(m, q)) / 2


@wrong("jensen_shannon", "PyTorch's kl_div, divided by the first dimension")
def _(p, q):
    m = ((p + q) / 2).clamp(min=1e-300).log()
    return (functional.kl_div(m, p, reduction="batchmean") + functional.kl_div(m, q, reduction="batchmean")) / 2


@wrong("jensen_shannon", "from an estimate of 1000 samples")
def _(p, q):
    p, q = p.flatten(), q.flatten()
    m = (p + q) / 2
    i, j = Categorical(probs=p).sample((1000,)), Categorical(probs=q).sample((1000,))
    return ((p[i] / m[i]).log().mean() + (q[j] / m[j]).log().mean()) / 2


@wrong("jensen_shannon", "p changed in place")
def _(p, q):
    result = jsd(p, q)
    p.copy_((p + q) / 2)
    return result


# --- value_at_optimum -----------------------------------------------------------------------------------------------

HALF, log = sympy.Rational(1, 2), sympy.log


def value_and_jsd(c, r):
    value = c * log(c / (c + r)) + r * log(r / (c + r))
    return value, (value + log(4)) / 2


@right("value_at_optimum", "each from its definition")
def _(c, r):
    value = c * log(c / (c + r)) + r * log(1 - c / (c + r)) + (1 - c) * log(1) + (1 - r) * log(1)
    middle = (c + r) / 2
    from_data = c * log(c / middle) + (1 - c) * log((1 - c) / ((1 - c) / 2))
    from_gen = r * log(r / middle) + (1 - r) * log(2)
    return value, (from_data + from_gen) / 2


@right("value_at_optimum", "expanded, with decimals")
def _(c, r):
    value = sympy.expand(c * log(c) + r * log(r) - (c + r) * log(c + r))
    return [value, 0.5 * value + sympy.N(log(2), 30)]


@right("value_at_optimum", "the maximum over d, solved by SymPy")
def _(c, r):
    d = sympy.Symbol("d", positive=True)
    score = c * log(d) + r * log(1 - d)
    (best,) = sympy.solve(sympy.diff(score, d), d)
    value = sympy.simplify(score.subs(d, best))
    return value, value / 2 + log(2)


@right("value_at_optimum", "as the entropy of a coin")
def _(c, r):
    coin = c / (c + r)
    entropy = -coin * log(coin) - (1 - coin) * log(1 - coin)
    return -(c + r) * entropy, log(2) - (c + r) * entropy / 2


@right("value_at_optimum", "with Python's logarithm of 2")
def _(c, r):
    value = c * log(c) + r * log(r) - (c + r) * log(c + r)
    return value, math.log(2) + value / 2


@right("value_at_optimum", "as powers in one logarithm")
def _(c, r):
    value = log(c**c * r**r / (c + r) ** (c + r))
    return value, log(2 * sympy.sqrt(c**c * r**r * (c + r) ** (-c - r)))


@wrong("value_at_optimum", "the two exchanged")
def _(c, r):
    return value_and_jsd(c, r)[::-1]


@wrong("value_at_optimum", "the value alone")
def _(c, r):
    return value_and_jsd(c, r)[0]


@wrong("value_at_optimum", "the sign of the value")
def _(c, r):
    value, divergence = value_and_jsd(c, r)
    return -value, divergence


@wrong("value_at_optimum", "the divergence without its half")
def _(c, r):
    value, divergence = value_and_jsd(c, r)
    return value, 2 * divergence


@wrong("value_at_optimum", "log 2 in place of log 4")
def _(c, r):
    value, _ = value_and_jsd(c, r)
    return value, (value + log(2)) / 2


@wrong("value_at_optimum", "log 4 with the wrong sign")
def _(c, r):
    value, _ = value_and_jsd(c, r)
    return value, (value - log(4)) / 2


@wrong("value_at_optimum", "in bits")
def _(c, r):
    value, divergence = value_and_jsd(c, r)
    return value / log(2), divergence / log(2)


@wrong("value_at_optimum", "the divergence in bits")
def _(c, r):
    value, divergence = value_and_jsd(c, r)
    return value, divergence / log(2)


@wrong("value_at_optimum", "data and generator weighted the wrong way round")
def _(c, r):
    value = r * log(c / (c + r)) + c * log(r / (c + r))
    return value, (value + log(4)) / 2


@wrong("value_at_optimum", "the data's term alone")
def _(c, r):
    value = c * log(c / (c + r))
    return value, (value + log(4)) / 2


@wrong("value_at_optimum", "all data and all samples in the covered part")
def _(c, r):
    value = log(c / (c + r)) + log(r / (c + r))
    return value, (value + log(4)) / 2


@wrong("value_at_optimum", "one half said outside the covered part")
def _(c, r):
    value = c * log(c / (c + r)) + r * log(r / (c + r)) - (2 - c - r) * log(2)
    return value, (value + log(4)) / 2


@wrong("value_at_optimum", "a discriminator that says one half everywhere")
def _(c, r):
    return -log(4) + 0 * c, sympy.Integer(0) * r


@wrong("value_at_optimum", "the uncovered data counted twice")
def _(c, r):
    value, divergence = value_and_jsd(c, r)
    return value, divergence + (1 - c) * log(2) / 2


@wrong("value_at_optimum", "the divergence of the data from the mixture alone")
def _(c, r):
    value, _ = value_and_jsd(c, r)
    return value, c * log(2 * c / (c + r)) + (1 - c) * log(2)


@wrong("value_at_optimum", "right where c = r")
def _(c, r):
    return -2 * c * log(2), (1 - c) * log(2)


@wrong("value_at_optimum", "right where c = r, symmetric")
def _(c, r):
    return -(c + r) * log(2), (1 - (c + r) / 2) * log(2)


@wrong("value_at_optimum", "right where nothing is made up, r = 1")
def _(c, r):
    value = c * log(c) - (1 + c) * log(1 + c)
    return value, (value + log(4)) / 2


@wrong("value_at_optimum", "the densities without their widths")
def _(c, r):
    value = c * log(HALF) + r * log(HALF)
    return value, (value + log(4)) / 2


@wrong("value_at_optimum", "the two made to agree, both wrong")
def _(c, r):
    value = c * log(c) + r * log(r) - (c + r) * log((c + r) / 2)
    return value, (value + log(4)) / 2


@wrong("value_at_optimum", "fitted to the public points")
def _(c, r):
    value = value_and_jsd(c, r)[0] + (c - HALF) * (c - HALF / 2)
    return value, (value + log(4)) / 2


@wrong("value_at_optimum", "numbers, not expressions")
def _(c, r):
    return -0.6931, 0.3466


@wrong("value_at_optimum", "text, not expressions")
def _(c, r):
    return "c*log(c/(c + r)) + r*log(r/(c + r))", "c*log(c/(c + r))/2 + r*log(r/(c + r))/2 + log(2)"


@wrong("value_at_optimum", "symbols of its own in place of those handed in")
def _(c, r):
    return value_and_jsd(*sympy.symbols("a b"))


@wrong("value_at_optimum", "an integral left to do")
def _(c, r):
    t = sympy.Symbol("t", positive=True)
    value, divergence = value_and_jsd(c, r)
    return sympy.Integral(value, (t, 0, 1)), divergence


@wrong("value_at_optimum", "a sum left to do")
def _(c, r):
    k = sympy.Symbol("k")
    value, divergence = value_and_jsd(c, r)
    return value, sympy.Sum(divergence, (k, 1, 1))


@wrong("value_at_optimum", "a maximum left to find")
def _(c, r):
    value, divergence = value_and_jsd(c, r)
    return sympy.Max(value, -2), divergence  # it is the value, which is never below -log 4


@wrong("value_at_optimum", "an expression rigged to equal any other")
def _(c, r):
    return EqualToAll(), EqualToAll()


@wrong("value_at_optimum", "a rigged expression inside of an honest sum")
def _(c, r):
    return value_and_jsd(c, r)[0] + sympy.Add(c, EqualToAll(), evaluate=False), value_and_jsd(c, r)[1]


class Dial(sympy.Function):
    """A function whose number is worked out by Python, not derived."""

    @classmethod
    def eval(cls, c, r):
        if c.is_Number and r.is_Number:
            c, r = float(c), float(r)
            return sympy.Float(c * math.log(c / (c + r)) + r * math.log(r / (c + r)))
        return None


@wrong("value_at_optimum", "a function of its own that computes the number")
def _(c, r):
    return Dial(c, r), (Dial(c, r) + log(4)) / 2


# --- generator_slopes -----------------------------------------------------------------------------------------------

ZEROS = (0,), (1,), (0, 1)


def slopes(d):
    return -d, d - 1, -d * (1 - d) ** 2


@right("generator_slopes", "differentiated by SymPy, through the logit")
def _(d):
    logit = sympy.Symbol("logit", real=True)
    sigmoid = 1 / (1 + sympy.exp(-logit))
    losses = log(1 - sigmoid), -log(sigmoid), (sigmoid - 1) ** 2 / 2
    found = tuple(sympy.simplify(sympy.diff(loss, logit).subs(logit, log(d / (1 - d)))) for loss in losses)
    return found, ((0,), (1,), (0, 1))


@right("generator_slopes", "by the chain rule, left as it is")
def _(d):
    outer = -1 / (1 - d), -1 / d, d - 1
    return [factor * d * (1 - d) for factor in outer], [[0], [1], [1, 0]]


@right("generator_slopes", "expanded, with decimal zeros in sets")
def _(d):
    return (-1.0 * d, d - 1.0, -d + 2 * d**2 - d**3), ({0.0}, {1.0}, {0.0, 1.0})


@right("generator_slopes", "the zeros solved for by SymPy")
def _(d):
    found = slopes(d)
    free = sympy.Symbol("t", real=True)
    return found, tuple(sympy.solve(slope.subs(d, free), free) for slope in found)


def with_zeros(*found):
    return found, ZEROS


@wrong("generator_slopes", "derivatives with respect to d, not to the logit")
def _(d):
    return with_zeros(-1 / (1 - d), -1 / d, d - 1)


@wrong("generator_slopes", "the first two exchanged")
def _(d):
    return with_zeros(d - 1, -d, -d * (1 - d) ** 2)


@wrong("generator_slopes", "the signs turned round")
def _(d):
    return with_zeros(*(-slope for slope in slopes(d)))


@wrong("generator_slopes", "the sizes alone")
def _(d):
    return with_zeros(d, 1 - d, d * (1 - d) ** 2)


@wrong("generator_slopes", "the sign of the first alone")
def _(d):
    return with_zeros(d, d - 1, -d * (1 - d) ** 2)


@wrong("generator_slopes", "the sign of the second alone")
def _(d):
    return with_zeros(-d, 1 - d, -d * (1 - d) ** 2)


@wrong("generator_slopes", "the sigmoid's derivative taken for d")
def _(d):
    return with_zeros(-d / (1 - d), -1, -d * (1 - d))


@wrong("generator_slopes", "least squares without the sigmoid")
def _(d):
    return with_zeros(-d, d - 1, d - 1)


@wrong("generator_slopes", "least squares without its half")
def _(d):
    return with_zeros(-d, d - 1, -2 * d * (1 - d) ** 2)


@wrong("generator_slopes", "least squares with the target 0")
def _(d):
    return with_zeros(-d, d - 1, d**2 * (1 - d))


@wrong("generator_slopes", "least squares, one factor 1 - d lost")
def _(d):
    return with_zeros(-d, d - 1, -d * (1 - d))


@wrong("generator_slopes", "the saturating loss twice")
def _(d):
    return with_zeros(-d, -d, -d * (1 - d) ** 2)


@wrong("generator_slopes", "the losses, not their slopes")
def _(d):
    return with_zeros(log(1 - d), -log(d), (d - 1) ** 2 / 2)


@wrong("generator_slopes", "log D in place of -log D")
def _(d):
    return with_zeros(-d, 1 - d, -d * (1 - d) ** 2)


@wrong("generator_slopes", "right at d = 1/2 alone")
def _(d):
    return with_zeros(-HALF + 0 * d, -HALF + 0 * d, -(HALF**3) + 0 * d)


@wrong("generator_slopes", "fitted to the public points")
def _(d):
    return with_zeros(*(slope + (d - HALF) * (d - HALF / 2) for slope in slopes(d)))


@wrong("generator_slopes", "in the logit, not in d")
def _(d):
    logit = sympy.Symbol("logit", real=True)
    return tuple(slope.subs(d, 1 / (1 + sympy.exp(-logit))) for slope in slopes(d)), ZEROS


@wrong("generator_slopes", "the derivative left to do")
def _(d):
    logit = sympy.Symbol("logit", real=True)
    loss = log(1 - 1 / (1 + sympy.exp(-logit)))
    undone = sympy.Subs(sympy.Derivative(loss, logit), logit, log(d / (1 - d)))
    return (undone, d - 1, -d * (1 - d) ** 2), ZEROS


@wrong("generator_slopes", "the slopes alone")
def _(d):
    return slopes(d)


@wrong("generator_slopes", "numbers, not expressions")
def _(d):
    return (-0.5, -0.5, -0.125), ZEROS


@wrong("generator_slopes", "an expression rigged to equal any other")
def _(d):
    return (EqualToAll(),) * 3, ZEROS


@wrong("generator_slopes", "the zeros of the first two exchanged")
def _(d):
    return slopes(d), ((1,), (0,), (0, 1))


@wrong("generator_slopes", "one zero of the third missed")
def _(d):
    return slopes(d), ((0,), (1,), (1,))


@wrong("generator_slopes", "the other zero of the third missed")
def _(d):
    return slopes(d), ((0,), (1,), (0,))


@wrong("generator_slopes", "no zeros")
def _(d):
    return slopes(d), ((), (), ())


@wrong("generator_slopes", "every zero for every loss")
def _(d):
    return slopes(d), ((0, 1),) * 3


@wrong("generator_slopes", "the logits at which they vanish")
def _(d):
    return slopes(d), ((-math.inf,), (math.inf,), (-math.inf, math.inf))


@wrong("generator_slopes", "a zero rigged to equal any other")
def _(d):
    return slopes(d), ((EqualNumber(0.3),), (EqualNumber(0.3),), (EqualNumber(0.3), EqualNumber(0.4)))


# --- changes_of_losses ----------------------------------------------------------------------------------------------


def parts(d, p_gen, p_gen_new):
    moved = p_gen_new - p_gen
    return -(moved * torch.log1p(-d)).sum(), -(moved * d.log()).sum()


@right("changes_of_losses", "after less before")
def _(d, p_gen, p_gen_new):
    def losses(p):
        return -(p * (1 - d).log()).sum(), -(p * d.log()).sum()

    after, before = losses(p_gen_new), losses(p_gen)
    return tuple(a - b for a, b in zip(after, before, strict=True))


@right("changes_of_losses", "as dot products")
def _(d, p_gen, p_gen_new):
    moved = (p_gen_new - p_gen).flatten()
    return [-moved @ torch.log1p(-d).flatten(), -moved @ d.log().flatten()]


@right("changes_of_losses", "with some data, whose term cancels")
def _(d, p_gen, p_gen_new):
    data_term = -d.log().mean()

    def of_d(p):
        return data_term - torch.special.xlogy(p, 1 - d).sum()

    return of_d(p_gen_new) - of_d(p_gen), torch.special.xlogy(p_gen, d).sum() - torch.special.xlogy(p_gen_new, d).sum()


@right("changes_of_losses", "through logits and softplus")
def _(d, p_gen, p_gen_new):
    logits = torch.logit(d)
    moved = p_gen_new - p_gen
    return (moved * functional.softplus(logits)).sum(), (moved * functional.softplus(-logits)).sum()


@wrong("changes_of_losses", "what the headline says: the one is minus the other")
def _(d, p_gen, p_gen_new):
    of_d, _ = parts(d, p_gen, p_gen_new)
    return of_d, -of_d


@wrong("changes_of_losses", "the generator's change turned round for the discriminator")
def _(d, p_gen, p_gen_new):
    _, of_g = parts(d, p_gen, p_gen_new)
    return -of_g, of_g


@wrong("changes_of_losses", "both zero: the sum of a zero-sum game")
def _(d, p_gen, p_gen_new):
    return torch.zeros((), dtype=d.dtype), torch.zeros((), dtype=d.dtype)


@wrong("changes_of_losses", "before less after")
def _(d, p_gen, p_gen_new):
    of_d, of_g = parts(d, p_gen, p_gen_new)
    return -of_d, -of_g


@wrong("changes_of_losses", "the discriminator's sign")
def _(d, p_gen, p_gen_new):
    of_d, of_g = parts(d, p_gen, p_gen_new)
    return -of_d, of_g


@wrong("changes_of_losses", "the generator's sign")
def _(d, p_gen, p_gen_new):
    of_d, of_g = parts(d, p_gen, p_gen_new)
    return of_d, -of_g


@wrong("changes_of_losses", "the two exchanged")
def _(d, p_gen, p_gen_new):
    return parts(d, p_gen, p_gen_new)[::-1]


@wrong("changes_of_losses", "the losses after the move, not their changes")
def _(d, p_gen, p_gen_new):
    return parts(d, torch.zeros_like(p_gen), p_gen_new)


@wrong("changes_of_losses", "the move not weighted: the mean over the cells")
def _(d, p_gen, p_gen_new):
    of_d, of_g = parts(d, p_gen, p_gen_new)
    return of_d / d.numel(), of_g / d.numel()


@wrong("changes_of_losses", "in bits")
def _(d, p_gen, p_gen_new):
    of_d, of_g = parts(d, p_gen, p_gen_new)
    return of_d / math.log(2), of_g / math.log(2)


@wrong("changes_of_losses", "the discriminator's loss halved")
def _(d, p_gen, p_gen_new):
    of_d, of_g = parts(d, p_gen, p_gen_new)
    return of_d / 2, of_g


@wrong("changes_of_losses", "the logarithm of the mean D")
def _(d, p_gen, p_gen_new):
    before, after = (p_gen * d).sum(), (p_gen_new * d).sum()
    return torch.log1p(-before) - torch.log1p(-after), before.log() - after.log()


@wrong("changes_of_losses", "probabilities in place of their logarithms")
def _(d, p_gen, p_gen_new):
    change = ((p_gen_new - p_gen) * d).sum()
    return change, -change


@wrong("changes_of_losses", "the discriminator has moved too, to its best reply")
def _(d, p_gen, p_gen_new):
    def losses(p, d):
        return -(p * torch.log1p(-d)).sum(), -(p * d.log()).sum()

    reply = ((1 - p_gen_new) / 2).clamp(0.01, 0.99)
    after, before = losses(p_gen_new, reply), losses(p_gen, d)
    return after[0] - before[0], after[1] - before[1]


@wrong("changes_of_losses", "the first as the slide's update has it: the change of V")
def _(d, p_gen, p_gen_new):
    of_d, of_g = parts(d, p_gen, p_gen_new)
    return -of_d, -of_g * 0 - of_d


@wrong("changes_of_losses", "summed over the last dimension alone: right for flat grids")
def _(d, p_gen, p_gen_new):
    moved = p_gen_new - p_gen
    return -(moved * torch.log1p(-d)).sum(-1), -(moved * d.log()).sum(-1)


@wrong("changes_of_losses", "their sum")
def _(d, p_gen, p_gen_new):
    return sum(parts(d, p_gen, p_gen_new))


@wrong("changes_of_losses", "Python numbers")
def _(d, p_gen, p_gen_new):
    return tuple(part.item() for part in parts(d, p_gen, p_gen_new))


@wrong("changes_of_losses", "right for two cells, the headline's answer for more")
def _(d, p_gen, p_gen_new):
    of_d, of_g = parts(d, p_gen, p_gen_new)
    return of_d, of_g if d.numel() <= 4 else -of_d


@wrong("changes_of_losses", "D kept away from 0 and 1")
def _(d, p_gen, p_gen_new):
    return parts(d.clamp(1e-3, 1 - 1e-3), p_gen, p_gen_new)


# --- predict_game ---------------------------------------------------------------------------------------------------

TRUTH = (0.5, LOG_4, math.log(2), math.log(2), math.exp(10))


@right("predict_game", "rounded as one would by hand")
def _():
    return 0.5, 1.386, 0.693, 0.693, 22_000


@right("predict_game", "computed")
def _():
    return [1 / 2, 2 * math.log(2), math.log(2), math.log(2), math.e**10]


@right("predict_game", "slope by slope")
def _():
    d = 1 / (1 + math.exp(10))
    return (0.5, -2 * math.log(0.5), -math.log(0.5), -math.log(0.5), (1 - d) / d)


def _register_wrong_predictions():
    mistakes = (
        (1.0, 0.0, 0.25),
        (-LOG_4, math.log(2), 0.0, 2.0, 1.0),
        (1.0, 0.0, math.inf, LOG_4),
        (1.0, 2 * math.log(2), 0.0, math.inf),
        (10.0, math.exp(-10), math.exp(5), 1024.0, 1e10, 11.0),
    )
    for place, others in enumerate(mistakes):
        for other in others:
            guess = (*TRUTH[:place], other, *TRUTH[place + 1 :])
            wrong("predict_game", f"number {place + 1} is {other:.4g}")(lambda guess=guess: guess)
    for some in itertools.combinations(range(5), 2):
        guess = tuple(-value if i in some else value for i, value in enumerate(TRUTH))
        wrong("predict_game", f"the signs of {some}")(lambda guess=guess: guess)


_register_wrong_predictions()


@wrong("predict_game", "in bits")
def _():
    return 0.5, 2.0, 1.0, 1.0, math.exp(10)


@wrong("predict_game", "four numbers")
def _():
    return TRUTH[:4]


@wrong("predict_game", "one number")
def _():
    return 0.5


@wrong("predict_game", "text")
def _():
    return "0.5", "1.386", "0.693", "0.693", "22026"


@wrong("predict_game", "not numbers")
def _():
    return (math.nan,) * 5


@wrong("predict_game", "numbers rigged to equal any other")
def _():
    return (EqualNumber(0.1),) * 5


@wrong("predict_game", "a tensor rigged to pass every comparison")
def _():
    return (rigged(),) * 5
