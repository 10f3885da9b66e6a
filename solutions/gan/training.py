# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The training
#
# In the first notebook you wrote what each player wants. Here you write its turn: the discriminator's step and the
# generator's step, each of which must move one network and leave the other alone. Played alternately they train a
# generator of points in the plane, and then one of handwritten digits, until each is good enough to hand in. In between
# you learn to read a log of such a training, and write the penalty of a Wasserstein critic. Read the chapters *No
# gradient where it is needed*, *Better losses*, *Taking turns, and collapsing* and *Convolutions, and a walk through
# codes* first.
#
# Two functions of the first notebook are needed. The library's stand below; if yours passed their checks, put yours in
# their place.

# %%
from pathlib import Path

import matplotlib.pyplot as plt
import safetensors.torch
import torch

from genmodels import data, gan, nets, plots, train
from genmodels.checks import check
from genmodels.gan import discriminator_loss, generator_loss

torch.set_num_threads(1)  # networks this small are slower on two
plots.use_style()

# %% [markdown] statement="discriminator_step"
# ## The discriminator's turn
#
# Complete `discriminator_step`: one step of the optimizer, which knows the weights of the discriminator, on real
# examples `x` and on examples that the generator makes of the codes `z`. Return the loss of the two batches *before*
# the step, a Python number: minus the value of the game, so the mean over the real ones plus the mean over the
# generated ones. The discriminator gives logits.
#
# Three things are asked of the step besides:
#
# - The generator stands still. Its weights don't change, and no gradient is left in them.
# - Weights may come with old gradients, left over from the other player's turn. They must not count.
# - Both networks arrive in training mode, and are left in it. The real examples go through the discriminator as one
#   batch and the generated ones as another: with batch normalisation, the two mixed would be judged otherwise.
#
# <details><summary>Hint: one network at a time</summary>
#
# The loss depends on both networks, and `loss.backward()` would send gradients through the generated examples into the
# generator. A tensor can be cut off from where it came from: see `Tensor.detach`.
#
# </details>


# %% exercise="discriminator_step" points=9 difficulty=2 minutes=20 equation="gan-value"
def discriminator_step(generator, discriminator, optimizer, x, z):
    """x (B, ...), z (B, D) → the discriminator's loss before its step, a float, in nats."""
    ### BEGIN SOLUTION
    fake = generator(z).detach()
    loss = discriminator_loss(discriminator(x), discriminator(fake))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()
    ### END SOLUTION


# %% check="discriminator_step"
check("discriminator_step", discriminator_step)

# %% [markdown] statement="generator_step"
# ## The generator's turn
#
# Complete `generator_step`: one step of the optimizer, which this time knows the generator's weights, on examples made
# of new codes `z`. The loss is the non-saturating one; return its value before the step, a Python number.
#
# Now the gradient must go through the discriminator to reach the generator. The discriminator itself does not move, and
# its weights can be trained afterwards as before. (Gradients left in them do no harm: your discriminator's step clears
# what it finds.) Old gradients in the generator must not count, and both networks stay in training mode.


# %% exercise="generator_step" points=8 difficulty=2 minutes=15 equation="gan-non-saturating"
def generator_step(generator, discriminator, optimizer, z):
    """z (B, D) → the generator's loss before its step, a float, in nats."""
    ### BEGIN SOLUTION
    loss = generator_loss(discriminator(generator(z)))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()
    ### END SOLUTION


# %% check="generator_step"
check("generator_step", generator_step)

# %% [markdown] statement="ring_generator"
# ## Eight modes
#
# The data are eight narrow Gaussians around a circle. Let your two steps take turns until a generator covers them all.
# Its architecture is fixed, so that the grader can rebuild it: `nets.mlp_generator(latent_dim=8)`. The discriminator,
# the optimizers and their settings are yours to choose. Save the generator's weights next to this notebook, with
# `safetensors.torch.save_file(generator.state_dict(), name)`, and return the name of the file. The file is part of what
# you hand in.
#
# The check rebuilds the generator and draws 2,500 samples from codes of its own. A sample is close to a mode if it lies
# within three standard deviations, 0.15, of its centre. The check asks that
#
# - at least 60% of the samples are close to a mode;
# - each of the eight modes has at least 20 of them, and none has more than 40%;
# - the samples of each mode have some width, a standard deviation of at least 0.01 (the data have 0.05).
#
# If the file is there, the cell does not train again. Delete the file to start anew.
#
# <details><summary>Hint: settings to begin with</summary>
#
# `nets.mlp_discriminator()`; batches of 256; for both players Adam with a step size of 4e-3 and `betas=(0.5, 0.999)`;
# 1,500 turns. This takes some ten seconds. With PyTorch's usual first moment of 0.9 it goes wrong: try it.
#
# </details>
#
# <details><summary>Hint: batches</summary>
#
# `x[torch.randint(len(x), (256,))]` draws a batch, and `torch.randn(256, 8)` its codes. The generator's turn wants
# codes of its own.
#
# </details>

# %%
x = data.toy2d("eight_gaussians", 8192, torch.Generator().manual_seed(0))  # (8192, 2)


# %% exercise="ring_generator" points=8 difficulty=2 minutes=20 equation="gan-value"
def ring_generator():
    """→ the name of a safetensors file with the weights of a trained nets.mlp_generator(latent_dim=8)."""
    name = "ring_generator.safetensors"
    if Path(name).exists():
        return name
    generator = nets.mlp_generator(latent_dim=8)
    ### BEGIN SOLUTION
    discriminator = nets.mlp_discriminator(seed=1)
    d_optimizer = torch.optim.Adam(discriminator.parameters(), lr=4e-3, betas=(0.5, 0.999))
    g_optimizer = torch.optim.Adam(generator.parameters(), lr=4e-3, betas=(0.5, 0.999))
    torch.manual_seed(0)
    for turn in range(1500):
        batch = x[torch.randint(len(x), (256,))]
        loss_d = discriminator_step(generator, discriminator, d_optimizer, batch, torch.randn(256, 8))
        loss_g = generator_step(generator, discriminator, g_optimizer, torch.randn(256, 8))
        if turn % 300 == 0:
            print(f"turn {turn}: discriminator {loss_d:.3f}, generator {loss_g:.3f} nats")
    safetensors.torch.save_file(generator.state_dict(), name)
    return name
    ### END SOLUTION


# %% check="ring_generator"
check("ring_generator", ring_generator)

# %%
submitted_ring = nets.mlp_generator(latent_dim=8)
submitted_ring.load_state_dict(safetensors.torch.load_file(ring_generator()))
with torch.no_grad():
    points = submitted_ring(torch.randn(800, 8, generator=torch.Generator().manual_seed(1)))

fig, ax = plt.subplots(figsize=(3.4, 3.4))
ax.plot(*x[:800].T, ".", color=plots.DATA, markersize=3, alpha=0.4)
ax.plot(*points.T, ".", color=plots.MODEL, markersize=3, alpha=0.6)
ax.set(aspect="equal", xlim=(-1.6, 1.6), ylim=(-1.6, 1.6), title="data, and your samples over them")
plots.show(fig, alt="The ring of eight modes of the data, and the samples of the generator over them.")

# %% [markdown] statement="read_the_log"
# ## What a log can't say
#
# A log of a training on the ring has come to rest: the mean of $D(x)$ over the data is $\tfrac{8}{11} = 0.73$, and the
# mean of $D(G(z))$ is $\tfrac{3}{11} = 0.27$. Suppose that the discriminator is the best one for this generator.
#
# 1. One explanation is mode collapse: the generator draws from $k$ of the eight modes, evenly and perfectly, and never
#    from the others. Compute both means as functions of $k$. Which $k$ is it?
# 2. Describe a generator that covers *all eight* modes evenly and leads to the same two numbers.
# 3. What would you look at to tell the two apart?
#
# A few lines will do.

# %% [markdown] exercise="read_the_log" points=5 difficulty=3 minutes=20 equation="gan-optimal-discriminator"
# ### BEGIN SOLUTION
# 1. On a covered mode the data have a share of $\tfrac18$ and the generator one of $\tfrac1k$, so the best
#    discriminator says $\tfrac{1/8}{1/8 + 1/k} = \tfrac{k}{k + 8}$ there; on the other modes it says 1. All of the
#    generator's samples lie on covered modes, so the mean of $D(G(z))$ is $\tfrac{k}{k + 8}$. Of the data,
#    $\tfrac{k}{8}$ do and the rest meet a 1: the mean of $D(x)$ is
#    $\tfrac{k}{8} \cdot \tfrac{k}{k + 8} + 1 - \tfrac{k}{8} = \tfrac{8}{k + 8}$. Both fit for $k = 3$.
# 2. Let a share $a$ of the samples be spread evenly over the eight modes, as the data are, and the rest lie where there
#    are no data. On the modes $D = \tfrac{1}{1 + a}$, elsewhere 0. The mean of $D(x)$ is $\tfrac{1}{1 + a}$ and that of
#    $D(G(z))$ is $\tfrac{a}{1 + a}$: with $a = \tfrac38$ these are the same two numbers. No mode is missing, and five
#    samples in eight are bad.
# 3. At samples, not at the log: count how many modes have a sample (recall), and which share of the samples lies on a
#    mode (precision). The first generator has a precision of 1 and misses five modes, the second has a precision of
#    $\tfrac38$ and misses none.
# ### END SOLUTION

# %% [markdown] statement="gradient_penalty"
# ## A promise kept
#
# The critic of a Wasserstein GAN must not be steeper than 1. Complete `gradient_penalty`: for each pair of a real and
# a generated example, go to a point between them, take the length of the critic's gradient with respect to its input
# there, and return how far it is from 1, squared. `u` says where the point lies, one number for each pair: 0 is at the
# fake, 1 at the real one.
#
# The critic gives one number for each example. Examples may be points `(B, 2)` or images `(B, C, H, W)`; the length is
# over all the numbers of an example. Critics are to be trained with the penalty, so it must be possible to
# differentiate it once more, and nothing else may happen to the critic or to the examples: no gradient is left in the
# weights.
#
# <details><summary>Hint: a gradient with respect to inputs</summary>
#
# `torch.autograd.grad(outputs.sum(), inputs)` returns a tuple with one gradient for each example, if each output
# depends on its own example alone. The inputs must require a gradient: `requires_grad_()`. Which argument of `grad`
# makes the result itself differentiable?
#
# </details>


# %% exercise="gradient_penalty" points=9 difficulty=3 minutes=25 equation="wgan-gradient-penalty"
def gradient_penalty(discriminator, real, fake, u):
    """real (B, ...), fake (B, ...), u (B,) → the penalty of each example, (B,)."""
    ### BEGIN SOLUTION
    weight = u.reshape(-1, *[1] * (real.ndim - 1))
    between = (weight * real + (1 - weight) * fake).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(between).sum(), between, create_graph=True)
    return (gradient.flatten(1).norm(dim=1) - 1).square()
    ### END SOLUTION


# %% check="gradient_penalty"
check("gradient_penalty", gradient_penalty)

# %% [markdown]
# Your penalty keeps a critic's promise in the next cell. The generator there only shifts a Gaussian, and has to bring
# it to another one, eight units away. The Wasserstein distance of the two is the length of the shift that is still
# missing, and the critic, who has been told neither mean, comes to know it. Here there is a curve to look at. On
# arrival the shift overshoots: the critic's slope was 1 to the last, and takes some turns to change its sign.
#
# The penalty has a weight of 100 in place of the usual 10. A critic of slope $s$ earns $8 s$ less the weight times
# $(s - 1)^2$; with a weight of 10 it would do best with a slope of $1 + \tfrac{8}{20}$, and overstate the
# distance by 40%.

# %%
torch.manual_seed(4)
shift = torch.nn.Parameter(torch.tensor([0.0, 0.0]))  # the whole generator: G(z) = z + shift
target = torch.tensor([8.0, 0.0])
critic = nets.mlp_discriminator(hidden_dim=64)
critic_optimizer = torch.optim.Adam(critic.parameters(), lr=2e-3, betas=(0.5, 0.9))
shift_optimizer = torch.optim.SGD([shift], lr=0.1)
estimate, missing = [], []
for turn in range(train.scaled(smoke=5, cpu=120, gpu=120)):
    for _ in range(100 if turn == 0 else 10):
        real, fake = torch.randn(128, 2) + target, torch.randn(128, 2) + shift.detach()
        gap = critic(real).mean() - critic(fake).mean()
        penalty = gradient_penalty(critic, real, fake, torch.rand(128)).mean()
        critic_optimizer.zero_grad()
        (100 * penalty - gap).backward()
        critic_optimizer.step()
    estimate.append(gap.item())
    missing.append((target - shift.detach()).norm().item())
    shift_loss = -critic(torch.randn(128, 2) + shift).mean()
    shift_optimizer.zero_grad()
    shift_loss.backward()
    shift_optimizer.step()

fig, ax = plt.subplots()
ax.plot(missing, color=plots.DATA)
ax.plot(estimate, "--", color=plots.MODEL)
ax.set(xlabel="turn", ylabel="distance", title="what is missing (solid), and what the critic says")
plots.show(fig, alt="The critic's estimate follows the distance that is missing as both fall from eight towards zero.")

# %% [markdown] statement="digits_generator"
# ## Digits
#
# Now train a generator of handwritten digits, with your two steps and networks that follow the guidelines of DCGAN.
# Its architecture is fixed: `nets.dcgan_generator(latent_dim=16, width=32)`, whose pixels lie in $[-1, 1]$; the digits
# below are scaled to that range. The discriminator and the settings are yours again. Save the weights and return the
# name of the file, which is part of what you hand in.
#
# The check rebuilds the generator, puts it into evaluation mode, draws 500 samples from codes of its own, and shows
# them to the classifier that comes with the library. The classifier is sure of an image if it gives one class a
# probability of more than 0.9. The check asks that
#
# - the classifier is sure of at least half of the samples, and of at least five of each of the ten classes;
# - the Fréchet distance of the samples to the training digits, on the classifier's features, is at most 60. After 40
#   passes over the digits a generator reaches 20 to 40, after 100 about 15; noise with the mean and the covariance of
#   the digits, 86;
# - the samples differ from one another, and are not training digits: half of them have no other sample within a
#   distance of 0.6, and no training digit within 0.5.
#
# <details><summary>Hint: settings to begin with</summary>
#
# `nets.dcgan_discriminator(width=32)`, batches of 64, Adam with a step size of 1e-3 and a first moment of 0.5 for both.
# Some 40 passes over the digits reach the marks within half a minute; the pictures are worth a hundred.
#
# </details>

# %%
images = 2 * data.digits("train").images - 1  # (1438, 1, 8, 8), in [-1, 1]


# %% exercise="digits_generator" points=11 difficulty=2 minutes=25 equation="gan-non-saturating"
def digits_generator():
    """→ the name of a safetensors file with the weights of a trained nets.dcgan_generator(latent_dim=16, width=32)."""
    name = "digits_generator.safetensors"
    if Path(name).exists():
        return name
    generator = nets.dcgan_generator(latent_dim=16, width=32)
    ### BEGIN SOLUTION
    discriminator = nets.dcgan_discriminator(width=32, seed=1)
    d_optimizer = torch.optim.Adam(discriminator.parameters(), lr=1e-3, betas=(0.5, 0.999))
    g_optimizer = torch.optim.Adam(generator.parameters(), lr=1e-3, betas=(0.5, 0.999))
    torch.manual_seed(0)
    for epoch in range(train.scaled(smoke=30, cpu=100, gpu=100)):
        for rows in torch.randperm(len(images)).split(64):
            z = torch.randn(2, len(rows), 16)
            loss_d = discriminator_step(generator, discriminator, d_optimizer, images[rows], z[0])
            loss_g = generator_step(generator, discriminator, g_optimizer, z[1])
        if epoch % 10 == 0:
            print(f"epoch {epoch}: discriminator {loss_d:.3f}, generator {loss_g:.3f} nats")
    safetensors.torch.save_file(generator.state_dict(), name)
    return name
    ### END SOLUTION


# %% check="digits_generator"
check("digits_generator", digits_generator)

# %% [markdown]
# ## To look at
#
# First, samples of the generator that you hand in; then walks along the sphere, each row from where the last one
# ended. Nothing here is graded.

# %%
submitted = nets.dcgan_generator(latent_dim=16, width=32)
submitted.load_state_dict(safetensors.torch.load_file(digits_generator()))
submitted.eval()
with torch.no_grad():
    samples = submitted(torch.randn(60, 16, generator=torch.Generator().manual_seed(2)))
plots.show(plots.image_grid((samples + 1) / 2, n_cols=12), alt="Sixty digits drawn from your generator.")

# %%
stops = torch.randn(6, 16, generator=torch.Generator().manual_seed(3))
walk = torch.cat([gan.interpolate(stops[i], stops[i + 1], 12) for i in range(5)])
with torch.no_grad():
    frames = (submitted(walk) + 1) / 2
plots.show(plots.image_grid(frames, n_cols=12), alt="Five rows, in each of which one digit turns into another.")
