# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The game
#
# A generative adversarial network has no likelihood to raise. It has two networks and a score, which one of them wants
# high and the other low. In this notebook you write the score from both sides, solve the game where it can be solved
# with a sum, and derive what the generator is left with once its opponent plays perfectly. Then you look at the slope
# that the generator really gets, find out where it dies, and what the usual remedy does to the game. At the end your
# losses train a generator.
#
# Read the chapters *A game between two networks* and *No gradient where it is needed* first. Each exercise is a
# function to complete: replace the line that raises `NotImplementedError`, run the cell, and run the check below it. A
# check is instant, and says which property fails and on what input. You may add cells of your own; leave the check
# cells as they are.

# %%
import math

import matplotlib.pyplot as plt
import sympy
import torch
from torch.nn import functional

from genmodels import data, nets, plots, train
from genmodels.checks import check

plots.use_style()

# %% [markdown] statement="discriminator_loss"
# ## What the discriminator pays
#
# A discriminator gives a *logit* $\ell$ for each image, any real number, and means by it that the image is real with
# probability $D = 1 / (1 + e^{-\ell})$. The discriminator wants the value of the game $V(G, D)$ to be large, so its
# loss is $-V$. Complete `discriminator_loss`: from the logits of some real and of some generated images, an estimate of
# $-V$ in nats.
#
# The two batches may differ in size, and a discriminator that judges patches of an image gives several logits for each.
# All logits of a batch count alike. A discriminator that is winning gives logits of 100 and more, where the sigmoid
# rounds to 1 and $\log(1 - D)$ to minus infinity. The loss and its gradients must be exact there too, so let no
# probability be computed on the way.
#
# <details><summary>Hint: stay with the logit</summary>
#
# Write $-\log D$ in terms of $\operatorname{softplus}(x) = \log(1 + e^{x})$, and then $-\log(1 - D)$. PyTorch has this
# function, and it is exact for any $x$.
#
# </details>


# %% exercise="discriminator_loss" points=6 difficulty=1 minutes=10 equation="gan-value"
def discriminator_loss(real_logits, fake_logits):
    """(B, ...), (M, ...) → (), in nats."""
    ### BEGIN SOLUTION
    return functional.softplus(-real_logits).mean() + functional.softplus(fake_logits).mean()
    ### END SOLUTION


# %% check="discriminator_loss"
check("discriminator_loss", discriminator_loss)

# %% [markdown] statement="optimal_discriminator"
# ## The best discriminator
#
# Let the images be the cells of a grid, so that both distributions are tables. Complete `optimal_discriminator`: for
# each cell the $D(x)$ that scores best against this generator. The tables may have any shape, and may hold densities as
# well as probabilities, so they need not sum to one.
#
# Where neither the data nor the generator has any mass, every $D$ scores the same. Return $\tfrac12$ there. A cell may
# be rare in both tables and still be far more common in one: let nothing be added to the formula to keep it from
# dividing by zero.


# %% exercise="optimal_discriminator" points=4 difficulty=1 minutes=10 equation="gan-optimal-discriminator"
def optimal_discriminator(p_data, p_gen):
    """Two tables of one shape → D* of that shape."""
    ### BEGIN SOLUTION
    total = p_data + p_gen
    return torch.where(total > 0, p_data / total, 0.5)
    ### END SOLUTION


# %% check="optimal_discriminator"
check("optimal_discriminator", optimal_discriminator)

# %% [markdown] statement="jensen_shannon"
# ## The divergence behind the game
#
# Complete `jensen_shannon`, the divergence of two distributions that are given as tables of one shape, in nats. A cell
# with $p(x) = 0$ adds nothing to $D_{KL}(p \,\|\, m)$, since $a \log a$ goes to zero with $a$. Have that come out
# exactly, without a small number inside of the logarithms.
#
# <details><summary>Hint: zero times a logarithm</summary>
#
# `torch.special.xlogy(a, b)` is $a \log b$, and 0 where $a = 0$. Or sum over the cells with $p(x) > 0$ only.
#
# </details>


# %% exercise="jensen_shannon" points=5 difficulty=1 minutes=15 equation="jensen-shannon"
def jensen_shannon(p, q):
    """Two tables of one shape, each summing to 1 → (), in nats."""
    ### BEGIN SOLUTION
    mixture = (p + q) / 2

    def from_mixture(table):
        held = table > 0
        return (table[held] * torch.log(table[held] / mixture[held])).sum()

    return (from_mixture(p) + from_mixture(q)) / 2
    ### END SOLUTION


# %% check="jensen_shannon"
check("jensen_shannon", jensen_shannon)

# %% [markdown] statement="value_at_optimum"
# ## A generator that is partly right: a derivation
#
# Two things can be wrong with a generator: it leaves out some of the data, and it makes things up. Suppose that it has
# learned a part of the data perfectly. This part holds a share $c$ of all data. A share $r$ of the generator's samples
# falls into it, distributed there as the data are. Its other samples, a share $1 - r$, are things that the data never
# contain, and the other data, a share $1 - c$, are never made.
#
# Derive with pencil and paper, for all $c$ and $r$ between 0 and 1,
#
# 1. the value of the game against the best discriminator, $V(G, D^*)$;
# 2. the divergence $\operatorname{JSD}(p_{\text{data}}, p_G)$,
#
# and return both as SymPy expressions in the symbols that you are handed. Any form will do as long as it is equal
# everywhere and is written out: with `sympy.log`, without an integral or a sum that is left to do.
#
# If you trust the chapter's identity, one of the two is enough. If you derive both, the identity checks your algebra.
#
# <details><summary>Hint: where is the best discriminator sure?</summary>
#
# Where only one of the two has any mass, $D^*$ is sure and right, and scores $\log 1 = 0$. So the value comes from the
# shared part alone. There, $p_{\text{data}}$ is $c$ times some density and $p_G$ is $r$ times the same one.
#
# </details>


# %% exercise="value_at_optimum" points=8 difficulty=3 minutes=25 equation="gan-value-at-optimum"
def value_at_optimum(c, r):
    """SymPy symbols, both positive → two SymPy expressions, V(G, D*) and JSD(p_data, p_G)."""
    ### BEGIN SOLUTION
    d_star = c / (c + r)
    value = c * sympy.log(d_star) + r * sympy.log(1 - d_star)
    return value, (value + sympy.log(4)) / 2
    ### END SOLUTION


# %% check="value_at_optimum"
check("value_at_optimum", value_at_optimum)

# %% [markdown]
# A generator that makes one half of the data perfectly, and nothing else, has $c = \tfrac12$ and $r = 1$. One that
# makes all of the data, and as much nonsense again, has $c = 1$ and $r = \tfrac12$. Which of the two do you think the
# divergence likes better?

# %%
c, r = sympy.symbols("c r", positive=True)
divergence = value_at_optimum(c, r)[1]
print(f"half left out:     {float(divergence.subs({c: 0.5, r: 1})):.4f} nats")
print(f"half made up:      {float(divergence.subs({c: 1, r: 0.5})):.4f} nats")

# %% [markdown] statement="generator_loss"
# ## Two losses for the generator
#
# Complete `generator_loss`. With `kind="minimax"` it is the generator's part of the value, $\mathbb{E}[\log(1 -
# D(G(z)))]$; with `kind="non_saturating"` it is $-\mathbb{E}[\log D(G(z))]$. As before you get logits, of any shape and
# size. A kind that is neither of the two is a mistake of the caller, who should hear of it: raise a `ValueError`.


# %% exercise="generator_loss" points=6 difficulty=1 minutes=10 equation="gan-non-saturating"
def generator_loss(fake_logits, kind):
    """(B, ...) → (), in nats; kind is "minimax" or "non_saturating"."""
    ### BEGIN SOLUTION
    if kind == "minimax":
        return -functional.softplus(fake_logits).mean()
    if kind == "non_saturating":
        return functional.softplus(-fake_logits).mean()
    raise ValueError(f"kind must be 'minimax' or 'non_saturating', got {kind!r}")
    ### END SOLUTION


# %% check="generator_loss"
check("generator_loss", generator_loss)

# %% [markdown] statement="generator_slopes"
# ## Slopes, and where they die
#
# What the generator learns from one image passes through the image's logit $\ell$. Derive the slope of three losses
# *with respect to the logit*, as functions of $d = D(G(z)) = 1 / (1 + e^{-\ell})$:
#
# 1. the minimax loss, $\log(1 - d)$;
# 2. the non-saturating loss, $-\log d$;
# 3. the least-squares loss of somebody who forgot to remove the sigmoid, $\tfrac12 (d - 1)^2$.
#
# Then say for each where its slope vanishes: at which values of $d$ from 0 to 1, the ends included. Return two tuples:
# the three slopes, as SymPy expressions in `d`; and three tuples of numbers, such as `(0.25,)` for a slope that
# vanishes at $d = \tfrac14$ alone.
#
# <details><summary>Hint</summary>
#
# A loss depends on $\ell$ through $d$, so its slope has two factors, and one of them is the same for all three.
#
# </details>


# %% exercise="generator_slopes" points=6 difficulty=2 minutes=15 equation="gan-generator-slopes"
def generator_slopes(d):
    """A SymPy symbol → (three SymPy expressions), (three tuples of numbers in [0, 1])."""
    ### BEGIN SOLUTION
    slope_of_d = d * (1 - d)
    losses = sympy.log(1 - d), -sympy.log(d), (d - 1) ** 2 / 2
    slopes = tuple(sympy.factor(sympy.diff(loss, d) * slope_of_d) for loss in losses)
    return slopes, ((0,), (1,), (0, 1))
    ### END SOLUTION


# %% check="generator_slopes"
check("generator_slopes", generator_slopes)

# %% [markdown] statement="changes_of_losses"
# ## Fix this slide
#
# Under the headline "Jointly train generator G and discriminator D with a minimax game" and the formula
# $\min_G \max_D V(G, D)$, a slide of the lecture says: train $G$ to minimise $-\log D(G(z))$ instead of
# $\log(1 - D(G(z)))$, then it gets strong gradients at the start of training. It does. But do that, and the headline is
# no longer true: in a minimax game there is one score, and whatever a player gains by a move the other loses, to the
# nat.
#
# Compute what happens instead. On a grid, the generator moves from the table `p_gen` to `p_gen_new`, while the
# discriminator stays as it is; `d` holds its $D(x)$ for each cell, all between 0 and 1. Return two numbers, after the
# move less before it: the change of the discriminator's loss $-V$, and the change of the generator's loss as the slide
# wants it. Does it matter what the data are?
#
# <details><summary>Hint</summary>
#
# On a grid, the average of a function of $G(z)$ is the sum over the cells of $p_G(x)$ times the function.
#
# </details>


# %% exercise="changes_of_losses" points=6 difficulty=2 minutes=15 equation="gan-non-saturating"
def changes_of_losses(d, p_gen, p_gen_new):
    """Three tables of one shape → the change of the discriminator's loss (), and of the generator's (), in nats."""
    ### BEGIN SOLUTION
    moved = p_gen_new - p_gen
    return -(moved * torch.log(1 - d)).sum(), -(moved * torch.log(d)).sum()
    ### END SOLUTION


# %% check="changes_of_losses"
check("changes_of_losses", changes_of_losses)

# %% [markdown]
# A move that is worth a look: all samples lie where $D = 0.3$, and the generator spreads them, half to a place where
# $D = 0.8$ and half to one where it is seen through. Would the generator of the headline, whose loss is $V$, make this
# move? Would the one of the sentence below it?

# %%
d = torch.tensor([0.01, 0.3, 0.8], dtype=torch.float64)
together, spread = torch.tensor([[0.0, 1.0, 0.0], [0.5, 0.0, 0.5]], dtype=torch.float64)
of_discriminator, of_generator = changes_of_losses(d, together, spread)
print(f"the discriminator's loss changes by {of_discriminator:+.2f} nats, the generator's by {of_generator:+.2f}")

# %% [markdown] statement="predict_game"
# ## Predictions
#
# Before you run anything, and without a computer if you can:
#
# 1. The generator is perfect. What does the best discriminator say to every image?
# 2. What is the loss of this discriminator, in nats?
# 3. The data and the generator share no image. What is their Jensen–Shannon divergence, in nats?
# 4. The generator moves twice as far away from the data. What is the divergence now?
# 5. The discriminator gives a generated image the logit $-10$. How many times larger is the slope of the non-saturating
#    loss than that of the minimax loss?
#
# Return five numbers in this order, each to within one percent. The check tells whether they are five numbers; whether
# they are right you see in the cell after it.


# %% exercise="predict_game" points=4 difficulty=2 minutes=10 equation="gan-value-at-optimum"
def predict_game():
    """→ five numbers."""
    ### BEGIN SOLUTION
    return 0.5, math.log(4), math.log(2), math.log(2), math.exp(10)
    ### END SOLUTION


# %% check="predict_game"
check("predict_game", predict_game)


# %%
def bump(start):
    """A distribution over 40 cells, with its mass on four of them."""
    cells = torch.zeros(40, dtype=torch.float64)
    cells[start : start + 4] = 0.25
    return cells


def slope(logit, kind):
    """The slope of the generator's loss at one logit."""
    at = torch.tensor([logit], dtype=torch.float64, requires_grad=True)
    return torch.autograd.grad(generator_loss(at, kind), at)[0].item()


said = optimal_discriminator(bump(0), bump(0))[0]
logits = torch.logit(said).expand(5)
print(f"1. a perfect generator: D = {said:.3f}")
print(f"2. its opponent's loss: {discriminator_loss(logits, logits):.3f}")
print(f"3. no image shared:     {jensen_shannon(bump(0), bump(10)):.3f}")
print(f"4. twice as far:        {jensen_shannon(bump(0), bump(20)):.3f}")
print(f"5. at the logit -10:    {slope(-10.0, 'non_saturating') / slope(-10.0, 'minimax'):.0f} times")

# %% [markdown]
# ## Your losses play
#
# Nothing below needs to be written. First, the situation at the start of training: a fresh generator, which stays as it
# is, and a discriminator that trains against it with your loss. After each of its steps we measure the length of the
# gradient that the generator would get from each of the two losses.

# %%
ring = data.toy2d("eight_gaussians", 4096, torch.Generator().manual_seed(0))  # (4096, 2)
generator, discriminator = nets.mlp_generator(latent_dim=8), nets.mlp_discriminator(seed=1)
optimizer = torch.optim.Adam(discriminator.parameters(), lr=1e-3)
z = torch.randn(256, 8, generator=torch.Generator().manual_seed(1))
lengths = {"minimax": [], "non_saturating": []}
for step in range(train.scaled(smoke=5, cpu=400, gpu=400)):
    fake_logits = discriminator(generator(z))
    for kind, so_far in lengths.items():
        loss = generator_loss(fake_logits, kind)
        gradients = torch.autograd.grad(loss, list(generator.parameters()), retain_graph=True)
        so_far.append(torch.cat([g.flatten() for g in gradients]).norm().item())
    loss = discriminator_loss(discriminator(ring[step * 8 : step * 8 + 256]), fake_logits)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

fig, ax = plt.subplots()
ax.plot(lengths["minimax"], "--", color=plots.NOISE, label="minimax")
ax.plot(lengths["non_saturating"], color=plots.MODEL, label="non-saturating")
ax.set(xlabel="steps of the discriminator", ylabel="length of G's gradient", yscale="log")
ax.legend()
plots.show(fig, alt="The gradient of the generator under both losses, while the discriminator gets better.")

# %% [markdown]
# And now both take turns. On two CPU cores this takes about ten seconds. In the pictures after it, look at the loss
# first, cover the samples with your hand, and say when they became good.

# %%
generator, discriminator = nets.mlp_generator(latent_dim=8), nets.mlp_discriminator(seed=100)
history = train.fit_gan(
    generator,
    discriminator,
    ring,
    latent_dim=8,
    settings=train.GANSettings(batch_size=256, learning_rate=4e-3, discriminator_learning_rate=4e-3),
    discriminator_loss=discriminator_loss,
    generator_loss=lambda fake_logits: generator_loss(fake_logits, "non_saturating"),
    max_steps=train.scaled(smoke=10, cpu=1000, gpu=1000),
)
with torch.no_grad():
    samples = generator(torch.randn(500, 8, generator=torch.Generator().manual_seed(2)))
fig, (left, right) = plt.subplots(1, 2, figsize=(6.4, 3))
left.plot(history.discriminator_loss, color=plots.INK, linewidth=0.8)
left.axhline(math.log(4), color=plots.NOISE, linestyle=":", label="log 4")
left.legend()
left.set(xlabel="step", ylabel="discriminator's loss, nats")
right.plot(*ring[:500].T, ".", color=plots.DATA, markersize=2, alpha=0.4)
right.plot(*samples.T, ".", color=plots.MODEL, markersize=2, alpha=0.6)
right.set(aspect="equal", xlim=(-1.6, 1.6), ylim=(-1.6, 1.6), title="data and samples")
fig.tight_layout()
plots.show(fig, alt="The loss of the discriminator over the training, and samples over the data at its end.")

# %% [markdown] statement="no_curve"
# ## No curve to look at
#
# A friend trains a GAN and reports that the discriminator's loss was 1.39 after the first hundred steps and is 1.39
# now, so that nothing was learned. Answer in a short paragraph. What are the two quite different situations in which
# the loss of a discriminator is $\log 4$? Why does a loss that falls, or one that rises, not tell who has got better?
# And what would you ask your friend to look at instead?

# %% [markdown] exercise="no_curve" points=5 difficulty=2 minutes=10 equation="gan-value-at-optimum"
# ### BEGIN SOLUTION
# A discriminator that says $\tfrac12$ to everything pays $\log 4$, whatever the generator does: that is how it begins,
# before it has learned anything, and how it remains if it can't learn. The best discriminator against a perfect
# generator says $\tfrac12$ too, and pays the same. So 1.39 may mean that nothing was learned or that everything was.
# The loss is a score against an opponent who changes: it falls if the discriminator gets better or the generator gets
# worse, and rises if it is the other way round. It would measure the generator only if the discriminator were the best
# one at every moment; then $\log 4$ minus the loss would be twice the Jensen-Shannon divergence. One should look at
# samples of the same codes as training goes on, at $D(x)$ and $D(G(z))$ and the length of the generator's gradient, and
# at a measure of the samples that does not come from this discriminator.
# ### END SOLUTION
