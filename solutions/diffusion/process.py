# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The process
#
# A diffusion model has one network and a good deal of arithmetic around it. The arithmetic is exact: how an image turns
# into noise, how one step is undone if the image is known, what an error of the network costs. In this notebook you
# write it, without any network, and on the way you find out what three lines on the slides would do if somebody took
# them at their word. At the end a derivation of yours draws samples.
#
# Read the chapters *The way into noise*, *One step back* and *From a divergence to a guess at the noise* first. Each
# exercise is a function to complete: replace the line that raises `NotImplementedError`, run the cell, and run the
# check below it. A check is instant, and says which property fails and on what input. You may add cells of your own;
# leave the check cells as they are.

# %%
import math

import matplotlib.pyplot as plt
import sympy
import torch

from genmodels import data, diffusion, diffusion_exact, metrics, plots
from genmodels.checks import check

plots.use_style()
schedule = diffusion.linear_schedule(T=1000)  # its tables, to compare yours with and to go on with
f64 = torch.float64

# %% [markdown] statement="linear_tables"
# ## The schedule, as tables
#
# Complete `linear_tables`: three tables, `beta`, `alpha` and `alpha_bar`, for a linear schedule of $T$ steps, with $T$
# at least 2. At $t = 1$ `beta` is `beta_1`, at $t = T$ it is `beta_T`, and between them it rises in equal steps.
#
# Each table has $T + 1$ entries, so that the entry at index $t$ belongs to time $t$. Index 0 is the data, before any
# noise: what must `beta`, `alpha` and `alpha_bar` be there? Use `torch.float64`. A product of a thousand factors that
# are nearly 1 loses digits in single precision, and everything else in this notebook is computed from it.


# %% exercise="linear_tables" points=4 difficulty=1 minutes=10 equation="dif-linear-schedule"
def linear_tables(T, beta_1, beta_T):
    """→ beta, alpha, alpha_bar, each (T+1,) in float64."""
    ### BEGIN SOLUTION
    steps = torch.linspace(beta_1, beta_T, T, dtype=torch.float64)
    beta = torch.cat([steps.new_zeros(1), steps])
    alpha = 1 - beta
    return beta, alpha, alpha.cumprod(0)
    ### END SOLUTION


# %% check="linear_tables"
check("linear_tables", linear_tables)

# %% [markdown] statement="variances_along"
# ## Fix this slide: the noise's factor
#
# The slide "How the forward step was designed" has the right distribution, $q(x_t \mid x_{t-1}) = \mathcal{N}(x_t;
# \sqrt{\alpha_t}\, x_{t-1}, (1 - \alpha_t) I)$. Below it stands how to sample from it:
#
# $$x_t \sim \sqrt{\alpha_t}\, x_{t-1} + (1 - \alpha_t)\, \epsilon .$$
#
# Find what is wrong with the second line. Then compute what it would do. The data have some variance in each pixel;
# complete `variances_along`, which returns two tables as long as `alpha`. The first holds the variance of $x_t$, for $t
# = 0, \dots, T$, if every step is taken as the line is printed, the second if it is taken as it was meant.
#
# No samples are needed. The noise is independent of $x_{t-1}$, so there is a rule that leads from the variance at $t -
# 1$ to that at $t$.


# %% exercise="variances_along" points=5 difficulty=2 minutes=15 equation="dif-forward-step"
def variances_along(alpha, variance):
    """(T+1,), a number → the variance of x_t as printed (T+1,), and as meant (T+1,)."""
    ### BEGIN SOLUTION
    as_printed, as_meant = torch.empty_like(alpha), torch.empty_like(alpha)
    as_printed[0] = as_meant[0] = variance
    for t in range(1, len(alpha)):
        as_printed[t] = alpha[t] * as_printed[t - 1] + (1 - alpha[t]) ** 2
        as_meant[t] = alpha[t] * as_meant[t - 1] + (1 - alpha[t])
    return as_printed, as_meant
    ### END SOLUTION


# %% check="variances_along"
check("variances_along", variances_along)

# %% [markdown]
# Data of variance 1, on the linear schedule. The picture that should become noise fades to grey instead.

# %%
as_printed, as_meant = variances_along(schedule.alpha, 1.0)
print(f"variance at the end: as meant {as_meant[-1]:.4f}, as printed {as_printed[-1]:.4f}")
fig, ax = plt.subplots(figsize=(4.8, 2.8))
ax.plot(as_meant, color=plots.DATA, label="as meant")
ax.plot(as_printed, "--", color=plots.MODEL, label="as printed")
ax.set(xlabel="step $t$", ylabel="variance of $x_t$", ylim=(-0.05, 1.1))
ax.legend()
plots.show(fig, alt="The variance stays at one as meant, and falls to nearly zero as printed.")

# %% [markdown] statement="q_sample"
# ## All steps at once
#
# Complete `q_sample`: from $x_0$ and standard normal noise, $x_t$ in one draw. Each example of the batch has its own
# $t$, a whole number from 1 to $T$ and so an index into the table. The data may have any rank: points `(B, 2)`, images
# `(B, C, H, W)`.
#
# <details><summary>Hint: numbers for examples of any shape</summary>
#
# `alpha_bar[t]` has the shape `(B,)`, and PyTorch lines up the *last* dimensions of two tensors. Append as many
# dimensions of size 1 as the data have after the first: `.reshape(-1, *[1] * (x0.ndim - 1))`.
#
# </details>


# %% exercise="q_sample" points=5 difficulty=1 minutes=10 equation="dif-forward-closed-form"
def q_sample(x0, t, eps, alpha_bar):
    """(B, ...), (B,) whole numbers, (B, ...), (T+1,) → x_t (B, ...)."""
    ### BEGIN SOLUTION
    a = alpha_bar[t].reshape(-1, *[1] * (x0.ndim - 1))
    return a.sqrt() * x0 + (1 - a).sqrt() * eps
    ### END SOLUTION


# %% check="q_sample"
check("q_sample", q_sample)

# %% [markdown]
# A digit at $t = 0, 100, \dots, 1000$, with the same noise at each time. From where on would you not have known it?
# (On a slide the root reaches over $x_0$: $\sqrt{\bar\alpha_t\, x_0}$. Images are scaled to $[-1, 1]$, and of the
# pixels of all digits more than half are negative. It would have been noticed.)

# %%
digits = 2 * data.digits("train").images.double() - 1  # (1438, 1, 8, 8) in [-1, 1]
times = torch.arange(100, 1001, 100)
eps = torch.randn(1, 1, 8, 8, generator=torch.Generator().manual_seed(1), dtype=f64).expand(10, 1, 8, 8)
noisy = q_sample(digits[3:4].expand(10, 1, 8, 8), times, eps, schedule.alpha_bar)
print(f"pixels below zero: {(digits < 0).double().mean():.0%}")
strip = torch.cat([digits[3:4], noisy])
plots.show(plots.image_grid((strip + 1) / 2, n_cols=11, cell=0.6), alt="A digit that sinks into noise in ten stages.")

# %% [markdown] statement="condition_gaussian"
# ## What one part of a Gaussian says of another
#
# Some numbers have a joint Gaussian distribution, with the means `mean` and the covariance matrix `cov`. The last $k$
# of them have been observed, and have the values `v`. Complete `condition_gaussian`: the mean and the covariance matrix
# of the other $n$, given what was observed.
#
# The chapter has the formula for $n = k = 1$. Its reason works for any number of them: find the matrix $G$ for which
# $u - G v$ has no covariance with $v$.
#
# <details><summary>Hint: the blocks</summary>
#
# Cut the matrix into $C_{uu}$, $C_{uv}$, $C_{vu}$ and $C_{vv}$. The covariance of $u - G v$ with $v$ is $C_{uv} - G
# C_{vv}$. Setting it to zero gives $G$, and `torch.linalg.solve` finds it without an inverse.
#
# </details>


# %% exercise="condition_gaussian" points=5 difficulty=2 minutes=15 equation="dif-gaussian-conditioning"
def condition_gaussian(mean, cov, v):
    """(n+k,), (n+k, n+k), the last k values (k,) → mean (n,) and covariance (n, n) of the first n."""
    ### BEGIN SOLUTION
    n = len(mean) - len(v)
    gain = torch.linalg.solve(cov[n:, n:], cov[n:, :n]).T  # (n, k)
    return mean[:n] + gain @ (v - mean[n:]), cov[:n, :n] - gain @ cov[n:, :n]
    ### END SOLUTION


# %% check="condition_gaussian"
check("condition_gaussian", condition_gaussian)

# %% [markdown] statement="posterior"
# ## One step back
#
# Complete `posterior`: the mean and the variance of $q(x_{t-1} \mid x_t, x_0)$, by the formulas, each in the shape of
# $x_0$. As before, every example has its own $t$, and the data may have any rank.
#
# You are given $\bar\alpha$ alone. That is enough: what is $\alpha_t$? At $t = 1$ the answer is known without a
# formula, since $x_{t-1}$ is $x_0$ then. See that yours says so, exactly and without a special case.


# %% exercise="posterior" points=7 difficulty=2 minutes=20 equation="dif-posterior-mean"
def posterior(x0, xt, t, alpha_bar):
    """(B, ...), (B, ...), (B,) whole numbers, (T+1,) → mean (B, ...), variance (B, ...)."""
    ### BEGIN SOLUTION
    shape = -1, *[1] * (x0.ndim - 1)
    now, before = alpha_bar[t].reshape(shape), alpha_bar[t - 1].reshape(shape)
    alpha = now / before
    mean = (alpha.sqrt() * (1 - before) * xt + before.sqrt() * (1 - alpha) * x0) / (1 - now)
    return mean, ((1 - alpha) * (1 - before) / (1 - now)).expand_as(x0)
    ### END SOLUTION


# %% check="posterior"
check("posterior", posterior)

# %% [markdown]
# Two functions of yours can now check each other. Here is a walk of six steps from $x_0 = 1$. Its six numbers are
# jointly Gaussian; the cell works out their means and covariances from single steps, and your `condition_gaussian`
# says what $x_3$ was, given $x_4$. Your `posterior` must say the same.
#
# What if one saw the rest of the walk too, $x_4$, $x_5$ and $x_6$? Make a guess before you run the cell.

# %%
walk = diffusion.linear_schedule(T=6, beta_1=0.1, beta_T=0.4)
# x_t - sqrt(alpha_t) x_{t-1} is fresh noise: a triangular matrix times the walk is independent noise.
to_noise = torch.eye(6, dtype=f64) - walk.alpha[2:].sqrt().diag(-1)
from_noise = torch.linalg.inv(to_noise)
mean = from_noise[:, 0] * walk.alpha[1].sqrt() * 1.0  # (6,), of x_1, ..., x_6 given x_0 = 1
cov = from_noise @ walk.beta[1:].diag() @ from_noise.T  # (6, 6)

seen = torch.tensor([-0.5, 0.7, -1.2], dtype=f64)  # x_4, x_5, x_6
for name, known in (("x_4", [3]), ("x_4, x_5 and x_6", [3, 4, 5])):
    order = torch.tensor([2, *known])
    of_x3, spread = condition_gaussian(mean[order], cov[order][:, order], seen[: len(known)])
    print(f"x_3 given {name + ':':18} mean {of_x3.item():.6f}, variance {spread.item():.6f}")
of_x3, spread = posterior(torch.ones(1, 1, dtype=f64), seen[:1, None], torch.tensor([4]), walk.alpha_bar)
print(f"by the formula:              mean {of_x3.item():.6f}, variance {spread.item():.6f}")

# %% [markdown] statement="cost_of_halves"
# ## Fix this slide: halves within a half
#
# The slides call the proof of the posterior out of scope, and show it all the same. It begins with an exponent,
#
# $$-\frac12 \left[ \frac{(x_t - \sqrt{\alpha_t}\, x_{t-1})^2}{2 (1 - \alpha_t)} + \frac{(x_{t-1} -
# \sqrt{\bar\alpha_{t-1}}\, x_0)^2}{2 (1 - \bar\alpha_{t-1})} - \frac{(x_t - \sqrt{\bar\alpha_t}\, x_0)^2}{2 (1 -
# \bar\alpha_t)} \right] ,$$
#
# with the 2s gone on the next line. Suppose that somebody goes on from the line as it stands, and finds the Gaussian in
# $x_{t-1}$ that has this exponent.
#
# Its mean is the right one. Its variance is too large or too small by some factor. Suppose further that a model takes
# this variance for $p_\theta(x_{t-1} \mid x_t)$, and that its mean is perfect. Then each divergence in the variational
# bound, $D_{KL}(q(x_{t-1} \mid x_t, x_0) \,\|\, p_\theta(x_{t-1} \mid x_t))$, could have been zero and isn't.
#
# Complete `cost_of_halves`. Return the factor, as the printed variance over the right one, and the nats that all of
# these divergences make together, for an image of $D$ numbers and a chain of $T$ steps. In the bound their sum runs
# over $t = 2, \dots, T$. The check tells whether your two numbers fit together; whether they are right, the grader
# knows.
#
# <details><summary>Hint: two Gaussians with one mean</summary>
#
# In the first notebook on variational autoencoders you wrote the divergence between two Gaussians. If the means agree
# and the variance of the second is $c$ times that of the first, only $c$ is left in it.
#
# </details>


# %% exercise="cost_of_halves" points=5 difficulty=2 minutes=15 equation="dif-posterior"
def cost_of_halves(D, T):
    """Two whole numbers → printed variance / right variance, and the cost in nats."""
    ### BEGIN SOLUTION
    factor = 2.0  # a precision is twice the number that stands with -x² / 2, and each 2 halves it
    one_number = 0.5 * (1 / factor - 1 + math.log(factor))
    return factor, (T - 1) * D * one_number
    ### END SOLUTION


# %% check="cost_of_halves"
check("cost_of_halves", cost_of_halves)

# %% [markdown]
# For a digit of 64 pixels and a thousand steps. To have something to compare it with: on binarized digits, the bound of
# a good variational autoencoder is about $-19$ nats.

# %%
factor, nats = cost_of_halves(64, 1000)
print(f"a variance {factor:.3g} times the right one costs {nats:.0f} nats a digit")

# %% [markdown] statement="mean_from_eps"
# ## The mean, written with the noise: a derivation
#
# The network will not be asked for $x_0$ but for the noise $\epsilon$ that was added to it. So let us write the mean of
# $q(x_{t-1} \mid x_t, x_0)$ as a function of $x_t$ and $\epsilon$.
#
# Derive it with pencil and paper, and return it as a SymPy expression in the four symbols that you are handed. They
# stand for $x_t$, $\epsilon$, $\alpha_t$ and $\bar\alpha_t$. Neither $x_0$ nor $\bar\alpha_{t-1}$ is among them: both
# can be expressed by those four. Any form will do as long as it is equal everywhere; the shortest one is worth the
# work, as you will need it.


# %% exercise="mean_from_eps" points=5 difficulty=2 minutes=20 equation="dif-mean-from-eps"
def mean_from_eps(xt, eps, alpha, alpha_bar):
    """Four SymPy symbols, of which alpha and alpha_bar are positive → a SymPy expression."""
    ### BEGIN SOLUTION
    return (xt - (1 - alpha) / sympy.sqrt(1 - alpha_bar) * eps) / sympy.sqrt(alpha)
    ### END SOLUTION


# %% check="mean_from_eps"
check("mean_from_eps", mean_from_eps)

# %% [markdown] statement="loss_weights"
# ## What an error in the noise costs
#
# A network that guesses $\hat\epsilon$ where $\epsilon$ was right has a wrong mean, and pays for it the divergence
# between two Gaussians with the variance $\tilde\beta_t$. By your last formula this is $\lambda_t \|\epsilon -
# \hat\epsilon\|^2$ with a weight $\lambda_t$ that depends on the schedule alone.
#
# Complete `loss_weights`: the table of the weights, with an entry for each $t$ from 0 to $T$. Let the entries at 0 and
# at 1 be zero. There is no step back from $t = 0$, and at $t = 1$ the variance is zero: that term of the bound is
# another one.


# %% exercise="loss_weights" points=4 difficulty=2 minutes=15 equation="dif-loss-weight"
def loss_weights(alpha_bar):
    """(T+1,) → (T+1,)."""
    ### BEGIN SOLUTION
    now, before = alpha_bar[2:], alpha_bar[1:-1]
    alpha = now / before
    variance = (1 - alpha) * (1 - before) / (1 - now)
    weights = (1 - alpha) ** 2 / (2 * variance * alpha * (1 - now))
    return torch.cat([weights.new_zeros(2), weights])
    ### END SOLUTION


# %% check="loss_weights"
check("loss_weights", loss_weights)

# %% [markdown]
# The chapter writes the same weight in another way: half of what the signal-to-noise ratio loses in a step, as a share
# of what is left. Do the columns agree? The last one says how many times as much the bound cares about the noise at
# this $t$ as about that at $t = 1000$. The simple loss gives the same to all.

# %%
weights, snr = loss_weights(schedule.alpha_bar), schedule.snr
print("    t     weight   by the ratios   against t = 1000")
for t in (2, 3, 10, 100, 300, 1000):
    by_ratios = (snr[t - 1] / snr[t] - 1) / 2
    print(f"{t:5d} {weights[t]:10.5f} {by_ratios:15.5f} {weights[t] / weights[1000]:18.2f}")

# %% [markdown] statement="variance_of_samples"
# ## Fix this slide: the sampler
#
# The slide "How do we sample a new image?" walks from $x_T$ down to $x_0$, and computes the mean of each step as
#
# $$\mu_{t-1} = \frac{1}{\sqrt{\alpha_t}} x_t - \frac{1 - \alpha_t}{\sqrt{1 - \bar\alpha_t} \sqrt{\alpha_t}} \sqrt{1 -
# \bar\alpha_{t-1}}\, \hat\epsilon_t .$$
#
# Compare it with what you derived. Then compute what the difference does, for data so simple that the best network is
# known. If $x_0$ is a number from $\mathcal{N}(0, v)$, the best guess at the noise in $x_t$ is
#
# $$\hat\epsilon_t = \frac{\sqrt{1 - \bar\alpha_t}}{\bar\alpha_t v + 1 - \bar\alpha_t}\; x_t .$$
#
# A sampler with this guess starts from $x_T \sim \mathcal{N}(0, 1)$, and takes each step to $x_{t-1} = \mu_{t-1} +
# \sqrt{\tilde\beta_t}\; \epsilon'$ with fresh noise, down to $x_0$. Complete `variance_of_samples`: the variance of the
# $x_0$ that it arrives at, with the slide's mean if `extra_root` is true, and with yours otherwise. Draw no samples:
# each $x_{t-1}$ is a number times $x_t$, and noise.


# %% exercise="variance_of_samples" points=6 difficulty=3 minutes=25 equation="dif-mean-from-eps"
def variance_of_samples(alpha_bar, data_variance, extra_root):
    """(T+1,), a number, True or False → the variance of the samples, one number."""
    ### BEGIN SOLUTION
    variance = 1.0
    for t in range(len(alpha_bar) - 1, 0, -1):
        now, before = alpha_bar[t], alpha_bar[t - 1]
        alpha = now / before
        taken = (1 - alpha) / (now * data_variance + 1 - now)  # off x_t, as a share of it
        if extra_root:
            taken = taken * (1 - before).sqrt()
        variance = (1 - taken) ** 2 / alpha * variance + (1 - alpha) * (1 - before) / (1 - now)
    return variance
    ### END SOLUTION


# %% check="variance_of_samples"
check("variance_of_samples", variance_of_samples)

# %% [markdown]
# Data of variance 0.25. The right sampler falls a little short of it, for a reason that the chapter *Four answers to
# one question* has met: $\tilde\beta_t$ is the variance of a step for one who knows $x_0$, and the sampler does not.
# What happens to the shortfall as the steps become small, and what to the slide's error?

# %%
print("    T   as derived   as printed    (the data: 0.25)")
for T in (10, 30, 100, 300, 1000):
    table = diffusion.cosine_schedule(T).alpha_bar
    derived, printed = (float(variance_of_samples(table, 0.25, extra_root)) for extra_root in (False, True))
    print(f"{T:5d} {derived:12.4f} {printed:12.4f}")

# %% [markdown] statement="predict_process"
# ## Predictions
#
# Before you run anything, and without a computer if you can:
#
# 1. Data of variance 1 are taken through 500 steps of the linear schedule. What is their variance now?
# 2. What is the variance of $q(x_{t-1} \mid x_t, x_0)$ at $t = 1$?
# 3. At a time with $\bar\alpha_t = 0.36$, the noise 1 led to $x_t = 1.4$. What was $x_0$?
# 4. A step takes the signal-to-noise ratio from 2 to 1. What is the weight $\lambda_t$ of this step?
# 5. The linear schedule from $10^{-4}$ to $0.02$ leaves a share of $4 \cdot 10^{-5}$ of the data's variance after its
#    1000 steps. What share is left if one keeps the two ends and takes 100 steps?
#
# Return five numbers in this order, each to within three percent. The check tells whether they are five numbers;
# whether they are right you see in the cell after it.


# %% exercise="predict_process" points=4 difficulty=2 minutes=10 equation="dif-snr"
def predict_process():
    """→ five numbers."""
    ### BEGIN SOLUTION
    return 1.0, 0.0, 1.0, 0.5, 0.366  # the last one is exp(-100 * 0.01005), and 0.3636 to more digits
    ### END SOLUTION


# %% check="predict_process"
check("predict_process", predict_process)

# %%
one = torch.ones(1, 1, dtype=f64)
time = torch.tensor([1])
print(f"1. variance after 500 steps: {variances_along(schedule.alpha, 1.0)[1][500]:.3f}")
print(f"2. posterior at t = 1:       {posterior(one, 0 * one, time, schedule.alpha_bar)[1].item():.3f}")
back = torch.tensor([1, 0.36], dtype=f64)
print(f"3. x_0 = 1 and noise 1 give: {q_sample(one, time, one, back).item():.3f}")
print(f"4. the step's weight:        {loss_weights(torch.tensor([1, 2 / 3, 1 / 2], dtype=f64))[2]:.3f}")
print(f"5. left after 100 steps:     {linear_tables(100, 1e-4, 0.02)[2][-1]:.4f}")

# %% [markdown]
# ## Your derivation draws samples
#
# Nothing below needs to be written. The data are eight narrow Gaussians on a circle. For them too the best guess at
# the noise is known, as `mixture.expected_eps`; it stands where you will have a network in the next notebook. The mean
# of each step is the expression that you derived, turned into a function, and the variance is that of your `posterior`.

# %%
symbols = sympy.symbols("xt eps", real=True) + sympy.symbols("alpha alpha_bar", positive=True)
step_mean = sympy.lambdify(symbols, mean_from_eps(*symbols), modules="math")
mixture = diffusion_exact.toy_mixture("eight_gaussians")


def draw(n, extra_root):
    """n samples by the reverse process, (n, 2)."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(n, 2, generator=generator, dtype=f64)
    for t in range(schedule.T, 0, -1):
        time = torch.full((n,), t)
        eps_hat = mixture.expected_eps(x, time, schedule)
        if extra_root:
            eps_hat = eps_hat * (1 - schedule.alpha_bar[t - 1]).sqrt()
        _, variance = posterior(x, x, time, schedule.alpha_bar)
        noise = torch.randn(n, 2, generator=generator, dtype=f64)
        x = step_mean(x, eps_hat, schedule.alpha[t].item(), schedule.alpha_bar[t].item()) + variance.sqrt() * noise
    return x


points = mixture.sample(1500, torch.Generator().manual_seed(1))
again = mixture.sample(1500, torch.Generator().manual_seed(2))
clouds = {"data": again, "as derived": draw(1500, False), "with the slide's root": draw(1500, True)}
fig, axes = plt.subplots(1, 3, figsize=(7.2, 2.6), sharex=True, sharey=True)
for ax, (name, cloud) in zip(axes, clouds.items(), strict=True):
    ax.plot(*cloud.T, ".", color=plots.DATA if name == "data" else plots.MODEL, markersize=2, alpha=0.4)
    ax.set(title=name, aspect="equal", xlim=(-3, 3), ylim=(-3, 3))
    distance = float(metrics.energy_distance(cloud, points))
    print(f"{name + ':':22} energy distance to another sample of the data {distance:.4f}")
fig.tight_layout()
plots.show(fig, alt="Eight small clouds on a circle in the data and as derived; a blurred ring with the slide's root.")

# %% [markdown] statement="why_posterior"
# ## Why this one?
#
# To train $p_\theta(x_{t-1} \mid x_t)$, one has it match $q(x_{t-1} \mid x_t, x_0)$. The lecture asks why that one, and
# not $q(x_{t-1})$, $q(x_{t-1} \mid x_0)$ or $q(x_{t-1} \mid x_t)$. Answer in a short paragraph. What would the network
# learn from each of the other three, or why can't it be trained on it? And how can a target be of use that depends on
# an image which the network never sees?

# %% [markdown] exercise="why_posterior" points=5 difficulty=2 minutes=15 equation="dif-reverse-mixture"
# ### BEGIN SOLUTION
# A network that must answer for all $x_0$ at once learns the average of its targets over the $x_0$ that may have led to
# this $x_t$. Trained on $q(x_{t-1})$ it would learn to ignore $x_t$: every step would forget the one before, and the
# last would have to draw an image in one go. Trained on $q(x_{t-1} \mid x_0)$, which is known, it would learn to guess
# the whole image from $x_t$ and to put fresh noise on the guess. That lands in the right place but is no small step,
# however many steps there are, so no Gaussian fits it while several images are still possible. $q(x_{t-1} \mid x_t)$ is
# the step that is wanted, but by Bayes' rule it needs $q(x_{t-1})$ and $q(x_t)$, the densities of all noisy images,
# which nobody knows. $q(x_{t-1} \mid x_t, x_0)$ is a Gaussian in closed form for each training image, and its average
# over the images that fit $x_t$ is exactly $q(x_{t-1} \mid x_t)$. So the network learns from a known target the step
# that can't be computed. That the target knows $x_0$ only puts a floor under the loss, which does not depend on the
# network. The step learned is close to a Gaussian if it is small.
# ### END SOLUTION
