# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The model
#
# In the first notebook you worked out what a diffusion model computes. Here you build one that runs: two parts of the
# network, the step that trains it, and two samplers, a slow one and a fast one. With your own functions you then train
# a network on points in the plane and another on handwritten digits, and hand in their weights. Read the chapters *A
# network that is told the time* and *From noise to data* first.
#
# Two functions are taken as given, `q_sample` of the first notebook and `posterior_mean_from_eps`, the mean that you
# derived there. The library's stand below; if your `q_sample` passed its checks, put it in that one's place.

# %%
import copy
from pathlib import Path

import matplotlib.pyplot as plt
import safetensors.torch
import torch
from torch import nn
from torch.nn import functional

from genmodels import data, diffusion, metrics, plots, train, unet
from genmodels.checks import check
from genmodels.diffusion import posterior_mean_from_eps, q_sample

torch.set_num_threads(1)  # networks this small are slower on two
plots.use_style()

# %% [markdown] statement="time_embedding"
# ## Hands of a clock
#
# Complete `time_embedding`: it takes whole numbers `t`, one for each example, to `dim` numbers each, first the sines of
# $\omega_i t$ for all $i$ and then the cosines, with $\omega_i = 10000^{-2i/d}$ for $i = 0, \dots, d/2 - 1$. The order
# is that of the chapter, all sines before all cosines; much code has them in turn.


# %% exercise="time_embedding" points=3 difficulty=1 minutes=10 equation="dif-time-embedding"
def time_embedding(t, dim):
    """t (B,) whole numbers, dim even → (B, dim), floating point."""
    ### BEGIN SOLUTION
    frequency = 10_000.0 ** (-torch.arange(0, dim, 2) / dim)
    angle = t[:, None] * frequency
    return torch.cat([angle.sin(), angle.cos()], dim=1)
    ### END SOLUTION


# %% check="time_embedding"
check("time_embedding", time_embedding)

# %% [markdown] statement="adaptive_group_norm"
# ## The time decides
#
# Complete `adaptive_group_norm`, exactly as on the slide: $y_s \operatorname{GroupNorm}(h) + y_b$. The features `h`
# have $C$ channels, and after these any number of further dimensions or none: vectors `(B, C)`, sequences `(B, C, L)`
# and images `(B, C, H, W)` must all work. The projection of the time, `y`, has $2C$ numbers for each example: the first
# $C$ are $y_s$, one for each channel, the other $C$ are $y_b$.
#
# Group norm: `groups` divides the channels into so many groups of neighbours. Within each example, the numbers of a
# group, over all its channels and pixels, are shifted to mean 0 and divided by $\sqrt{v + 10^{-5}}$, where $v$ is their
# variance, the mean of the squares. PyTorch has a function for this, `functional.group_norm`, and you may use it.
#
# <details><summary>Hint: any number of dimensions</summary>
#
# A tensor of shape `(B, C)` must become one of `(B, C, 1, 1)` to multiply images. How many ones are needed follows from
# `h.ndim`.
#
# </details>


# %% exercise="adaptive_group_norm" points=5 difficulty=2 minutes=15 equation="dif-adagn"
def adaptive_group_norm(h, y, groups):
    """h (B, C, ...), y (B, 2C), groups a divisor of C → (B, C, ...)."""
    ### BEGIN SOLUTION
    y = y.reshape(*y.shape, *[1] * (h.ndim - 2))
    y_s, y_b = y.chunk(2, dim=1)
    return y_s * functional.group_norm(h, groups) + y_b
    ### END SOLUTION


# %% check="adaptive_group_norm"
check("adaptive_group_norm", adaptive_group_norm)

# %% [markdown]
# Out of these two parts a network for vectors is built. Each of its blocks normalises the features, lets the time scale
# and shift them, and adds what one linear layer makes of them. At first the scales are about 1 and the shifts about 0.


# %%
class Denoiser(nn.Module):
    """Guesses the noise in vectors: xt (B, dim), whole t (B,) → (B, dim)."""

    def __init__(self, dim, width):
        super().__init__()
        self.time = nn.Sequential(nn.Linear(32, width), nn.SiLU())
        self.first = nn.Linear(dim, width)
        self.to_y = nn.ModuleList(nn.Linear(width, 2 * width) for _ in range(2))
        self.inner = nn.ModuleList(nn.Linear(width, width) for _ in range(2))
        self.last = nn.Linear(width, dim)
        for project in self.to_y:
            nn.init.ones_(project.bias[:width].detach())
            nn.init.zeros_(project.bias[width:].detach())

    def forward(self, xt, t):
        time = self.time(time_embedding(t, 32).to(xt.dtype))
        h = self.first(xt)
        for project, layer in zip(self.to_y, self.inner, strict=True):
            h = h + layer(functional.silu(adaptive_group_norm(h, project(time), groups=8)))
        return self.last(h)


# %% [markdown] statement="denoising_step"
# ## A step of training
#
# Complete `denoising_step`: one step of the optimizer on a batch of data `x0`. For each example draw a time and a
# noise, make the noisy example, let `model(xt, t)` guess the noise, and descend. Return the loss *before* the step, a
# Python number: the squared error, summed over the dimensions of an example, then averaged over the batch.
#
# - Each example has a time of its own. All of $1, \dots, T$ are equally likely, the first and the last among them.
# - Everything random is drawn from `generator`. Times and noise may be drawn in either order.
# - The network learns in training mode, whatever mode it comes in: somebody may have sampled from it in between. It is
#   left in training mode.
# - Old gradients don't count.
# - `average` is a network like `model` whose weights follow those of `model`. After the step, each of its weights
#   becomes `decay` times itself plus `1 - decay` times the model's. It learns nothing besides, and no graph is attached
#   to it.
#
# <details><summary>Hint: whole numbers at random</summary>
#
# `torch.randint(low, high, (n,), generator=generator)` draws from `low` to `high - 1`.
#
# </details>
#
# <details><summary>Hint: the average</summary>
#
# `zip(average.parameters(), model.parameters())` pairs the weights. Under `torch.no_grad()`, a weight can be changed in
# place: see `Tensor.lerp_`, or `mul_` and `add_`.
#
# </details>


# %% exercise="denoising_step" points=9 difficulty=2 minutes=30 equation="dif-simple-loss"
def denoising_step(model, average, optimizer, x0, schedule, decay, generator):
    """x0 (B, ...) → the mean loss of the batch before the step, a float."""
    ### BEGIN SOLUTION
    model.train()
    t = torch.randint(1, schedule.T + 1, (len(x0),), generator=generator)
    eps = torch.randn(x0.shape, generator=generator)
    eps_hat = model(q_sample(x0, t, eps, schedule), t)
    loss = (eps - eps_hat).square().flatten(1).sum(dim=1).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    with torch.no_grad():
        for mean, weight in zip(average.parameters(), model.parameters(), strict=True):
            mean.lerp_(weight, 1 - decay)
    return loss.item()
    ### END SOLUTION


# %% check="denoising_step"
check("denoising_step", denoising_step)

# %% [markdown] statement="ancestral_sample"
# ## From noise to data
#
# Complete `ancestral_sample`: draw $x_T$ from the standard normal, take all the steps from $t = T$ down to $t = 1$, and
# return $x_0$. Each step draws from a Gaussian whose mean is `posterior_mean_from_eps(xt, t, eps_hat, schedule)` and
# whose variance is $\tilde\beta_t$, in the table `schedule.beta_tilde`. The last step adds no noise.
#
# All noise is drawn from `generator`. The network is asked once for each $t$, with a `t` of shape `(B,)`. While it is
# being asked it is in evaluation mode and no gradients are kept; afterwards it is in the mode that it came in.
#
# <details><summary>Hint: types</summary>
#
# The tables are in double precision. An entry such as `schedule.beta_tilde[5]` has no dimension and leaves a tensor of
# single precision as it is; a row of entries such as `schedule.beta_tilde[t][:, None]` would turn it into double, which
# the network refuses.
#
# </details>


# %% exercise="ancestral_sample" points=6 difficulty=2 minutes=20 equation="dif-ancestral-step"
def ancestral_sample(model, shape, schedule, generator):
    """shape is (B, ...) → samples x0 of that shape."""
    ### BEGIN SOLUTION
    was_training = model.training
    model.eval()
    with torch.inference_mode():
        x = torch.randn(shape, generator=generator)
        for t in range(schedule.T, 0, -1):
            times = torch.full((len(x),), t)
            x = posterior_mean_from_eps(x, times, model(x, times), schedule)
            if t > 1:
                x = x + schedule.beta_tilde[t].sqrt() * torch.randn(shape, generator=generator)
    model.train(was_training)
    return x
    ### END SOLUTION


# %% check="ancestral_sample"
check("ancestral_sample", ancestral_sample)

# %% [markdown] statement="cloud_denoiser"
# ## A spiral
#
# Train a network on points that lie along a spiral, with your step, until samples of it look like the data. The
# architecture and the schedule are fixed, so that the grader can rebuild them: `Denoiser(dim=2, width=64)` and the
# `schedule` below. The rest is yours to choose. Save the weights from which you would sample, those of the average,
# next to this notebook, with `safetensors.torch.save_file(average.state_dict(), name)`, and return the name of the
# file. The file is part of what you hand in.
#
# The check rebuilds the network, draws 2,000 samples by the ancestral sampler with noise of its own, and computes their
# energy distance to held-out points. Another 2,000 points of the data have a distance of about 0.0014 to these. The
# check asks for at most 0.006.
#
# If the file is there, the cell does not train again. Delete the file to start anew.
#
# <details><summary>Hint: settings to begin with</summary>
#
# Batches of 256; Adam with a step size of 2e-3; 2,000 steps; a decay of `train.ema_decay_at(step, 0.995)`, which is
# small in the first steps so that the untrained weights are soon forgotten. This takes some ten seconds.
#
# </details>
#
# <details><summary>Hint: a network to hold the average</summary>
#
# `copy.deepcopy(model).requires_grad_(False)`
#
# </details>

# %%
schedule = diffusion.linear_schedule(T=100, beta_1=1e-3, beta_T=0.2)
points = data.toy2d("spiral", 8192, torch.Generator().manual_seed(0))  # (8192, 2)
torch.manual_seed(0)  # the network's initial weights


# %% exercise="cloud_denoiser" points=5 difficulty=2 minutes=20 equation="dif-simple-loss"
def cloud_denoiser():
    """→ the name of a safetensors file with the weights of a trained Denoiser(dim=2, width=64)."""
    name = "cloud_denoiser.safetensors"
    if Path(name).exists():
        return name
    model = Denoiser(dim=2, width=64)
    ### BEGIN SOLUTION
    average = copy.deepcopy(model).requires_grad_(False)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    generator = torch.Generator().manual_seed(0)
    for step in range(train.scaled(smoke=1000, cpu=2000, gpu=2000)):
        batch = points[torch.randint(len(points), (256,), generator=generator)]
        decay = train.ema_decay_at(step, 0.995)
        loss = denoising_step(model, average, optimizer, batch, schedule, decay, generator)
        if step % 500 == 0:
            print(f"step {step}: loss {loss:.3f}")
    safetensors.torch.save_file(average.state_dict(), name)
    return name
    ### END SOLUTION


# %% check="cloud_denoiser"
check("cloud_denoiser", cloud_denoiser)

# %%
cloud = Denoiser(dim=2, width=64)
cloud.load_state_dict(safetensors.torch.load_file(cloud_denoiser()))
sampled = ancestral_sample(cloud, (800, 2), schedule, torch.Generator().manual_seed(1))

fig, ax = plt.subplots(figsize=(3.4, 3.4))
ax.plot(*points[:800].T, ".", color=plots.DATA, markersize=3, alpha=0.4)
ax.plot(*sampled.T, ".", color=plots.MODEL, markersize=3, alpha=0.6)
ax.set(aspect="equal", xlim=(-1.9, 1.9), ylim=(-1.9, 1.9), title="data, and your samples over them")
plots.show(fig, alt="The spiral of the data, and the samples of the network over it.")

# %% [markdown] statement="ddim_sample"
# ## Fewer steps
#
# Complete `ddim_sample`: it begins with the noise `xT` that it is handed, and asks the network only at the given
# `times`, increasing whole numbers of which the last is $T$. From each of them it steps to the one before, and from the
# first to 0. Each step is that of DDIM, with the dial `eta` between 0 and 1.
#
# Fresh noise is drawn from `generator`; with `eta` 0 there is none, and the result is a function of `xT`. For the mode
# of the network and the gradients the rules are those of the ancestral sampler, and `xT` is left as it was.
#
# <details><summary>Hint: check it against what you have</summary>
#
# With all times and `eta` 1 this is the ancestral sampler. And what is $\sigma$ in a step that ends at 0?
#
# </details>


# %% exercise="ddim_sample" points=7 difficulty=3 minutes=30 equation="dif-ddim-step"
def ddim_sample(model, xT, schedule, times, eta, generator):
    """xT (B, ...), times increasing and ending with T → samples x0 like xT."""
    ### BEGIN SOLUTION
    was_training = model.training
    model.eval()
    x = xT
    with torch.inference_mode():
        for before, now in reversed(list(zip([0, *times[:-1]], times, strict=True))):
            eps_hat = model(x, torch.full((len(x),), now))
            now_bar, before_bar = schedule.alpha_bar[now], schedule.alpha_bar[before]
            sigma = eta * ((1 - before_bar) / (1 - now_bar) * (1 - now_bar / before_bar)).sqrt()
            x0_hat = (x - (1 - now_bar).sqrt() * eps_hat) / now_bar.sqrt()
            x = before_bar.sqrt() * x0_hat + (1 - before_bar - sigma.square()).sqrt() * eps_hat
            x = x + sigma * torch.randn(x.shape, generator=generator)
    model.train(was_training)
    return x
    ### END SOLUTION


# %% check="ddim_sample"
check("ddim_sample", ddim_sample)

# %% [markdown]
# How few steps are enough for the spiral? The next cell measures the energy distance to held-out points for more and
# more steps, all of them from the same $x_T$.

# %%
held_out = data.toy2d("spiral", 2000, torch.Generator().manual_seed(2))
xT = torch.randn(2000, 2, generator=torch.Generator().manual_seed(3))
for steps in (5, 10, 20, 50, 100):
    times = [schedule.T * i // steps for i in range(1, steps + 1)]
    distance = {}
    for eta in (0.0, 1.0):
        x0 = ddim_sample(cloud, xT, schedule, times, eta, torch.Generator().manual_seed(4))
        distance[eta] = metrics.energy_distance(x0, held_out).item()
    print(f"{steps:3d} steps: energy distance {distance[0.0]:.4f} with eta 0, {distance[1.0]:.4f} with eta 1")

# %% [markdown] statement="digits_denoiser"
# ## Digits
#
# Now digits, with the same schedule, and a network for images: the U-Net of the lecture, `unet.UNet(width=16)`, whose
# blocks hold the library's AdaGN. Train it with your step, save the average's weights and return the name of the file,
# which is part of what you hand in.
#
# The `images` below have pixels in $[0, 1]$. The forward process expects data around 0 and of about the size of its
# noise, and the check takes the network's samples to be in $[-1, 1]$.
#
# The check draws 300 samples by the ancestral sampler with noise of its own, maps them back to $[0, 1]$, and shows them
# to the classifier that comes with the library. The classifier is sure of an image if it gives one class a probability
# of more than 0.9. The check asks that
#
# - the classifier is sure of at least half of the samples, and of at least three of each of the ten classes;
# - the Fréchet distance of the samples to the training digits, on the classifier's features, is at most 60;
# - the precision of the samples, on the same features, is at least 0.45: so many lie among the training digits. Noise
#   with the mean and the covariance of the digits reaches 0.35;
# - the samples differ from one another, and are not training digits: half of them have no other sample within a
#   distance of 0.6, and no training digit within 0.5.
#
# <details><summary>Hint: settings to begin with</summary>
#
# Batches of 64, a step size of 2e-3, and 1,500 steps, with the average as before but a decay of 0.99 in the end. This
# takes about a minute.
#
# </details>

# %%
images = data.digits("train").images  # (1438, 1, 8, 8), in [0, 1]


# %% exercise="digits_denoiser" points=6 difficulty=2 minutes=20 equation="dif-ema"
def digits_denoiser():
    """→ the name of a safetensors file with the weights of a trained unet.UNet(width=16)."""
    name = "digits_denoiser.safetensors"
    if Path(name).exists():
        return name
    model = unet.UNet(width=16)
    ### BEGIN SOLUTION
    average = copy.deepcopy(model).requires_grad_(False)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    generator = torch.Generator().manual_seed(0)
    for step in range(train.scaled(smoke=700, cpu=1500, gpu=1500)):
        batch = images[torch.randint(len(images), (64,), generator=generator)]
        decay = train.ema_decay_at(step, 0.99)
        loss = denoising_step(model, average, optimizer, 2 * batch - 1, schedule, decay, generator)
        if step % 250 == 0:
            print(f"step {step}: loss {loss:.2f}")
    safetensors.torch.save_file(average.state_dict(), name)
    return name
    ### END SOLUTION


# %% check="digits_denoiser"
check("digits_denoiser", digits_denoiser)

# %% [markdown] statement="same_noise"
# ## Before you look
#
# The last cell of this notebook draws twelve digits from the network that you hand in, five times, each time from the
# same twelve $x_T$: with 5, 10, 20 and 100 steps at $\eta = 0$, and with 100 steps at $\eta = 1$. Before you run it:
#
# 1. Which of the five rows will show about the same digits as one another, and why? What decides which digit a column
#    of the last row shows?
# 2. You change $x_T$ a little. What becomes of the digit with $\eta = 0$, and what with $\eta = 1$, if the generator is
#    seeded as before?
# 3. Somebody's five rows show nothing but noise, although the training loss came down as yours did and nothing is wrong
#    with the samplers. The network was trained for 2,000 steps with a decay of 0.9999 from the first step to the last,
#    and the average was saved. Which share of the average is still the untrained weights? With which decay would it be
#    one percent?

# %% [markdown] exercise="same_noise" points=4 difficulty=2 minutes=15 equation="dif-ddim-step"
# ### BEGIN SOLUTION
# 1. The first four. With $\eta = 0$ a sample is a function of $x_T$, and taking more steps computes nearly the same
#    function more precisely: four rows of the same digits, rough in the first and finer from row to row. With
#    $\eta = 1$ the noise that is added on the way decides, $x_T$ is forgotten, and the digits are others.
# 2. With $\eta = 0$ the digit changes a little, since the function is a smooth one except where one digit turns into
#    another. With $\eta = 1$ it changes hardly at all: the noise on the way is the same as before and decides, while
#    what $x_T$ was is forgotten. Even a wholly new $x_T$ leads to the same digits then, and the old $x_T$ with another
#    seed to other ones.
# 3. Each step leaves a share of 0.9999 of what was there: after 2,000 steps $0.9999^{2000} = e^{-0.2} = 0.82$ of the
#    average is the untrained weights. One percent is left for $m^{2000} = 0.01$, so $m = 0.01^{1/2000} = 0.9977$.
# ### END SOLUTION

# %% [markdown]
# Now look. Each column begins from one and the same $x_T$.

# %%
submitted = unet.UNet(width=16)
submitted.load_state_dict(safetensors.torch.load_file(digits_denoiser()))
xT = torch.randn(12, 1, 8, 8, generator=torch.Generator().manual_seed(5))
rows = []
for steps, eta in ((5, 0.0), (10, 0.0), (20, 0.0), (100, 0.0), (100, 1.0)):
    times = [schedule.T * i // steps for i in range(1, steps + 1)]
    rows.append(ddim_sample(submitted, xT, schedule, times, eta, torch.Generator().manual_seed(6)))
pictures = (torch.cat(rows) + 1) / 2
plots.show(
    plots.image_grid(pictures, n_cols=12),
    alt="Twelve digits with 5, 10, 20 and 100 steps without fresh noise, and with 100 steps with fresh noise.",
)
