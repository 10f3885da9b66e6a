# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The bound
#
# A variational autoencoder is trained by raising a number that lies below $\log p(x)$, the log-likelihood that one
# would like to raise and can't compute. In this notebook you write that number: its closed-form half, its sampled half,
# and the trick that lets a gradient pass through the sampling. You then measure how far below $\log p(x)$ it lies, in a
# model where both are known, and find out what goes wrong when one symbol is lost from a slide. At the end your own
# functions train a VAE on handwritten digits.
#
# Read the chapters *An integral too wide* and *The evidence lower bound* first. Each exercise is a function to
# complete: replace the line that raises `NotImplementedError`, run the cell, and run the check below it. A check is
# instant, and says which property fails and on what input. You may add cells of your own; leave the check cells as they
# are.

# %%
import math

import sympy
import torch
from torch.nn import functional

from genmodels import data, plots, train, vae
from genmodels.checks import check

# %% [markdown] statement="log_mean_exp"
# ## An average on a logarithmic scale
#
# The likelihood of an image is the average of $p(x \mid z_k)$ over codes $z_k$ from the prior. A decoder gives the
# *logarithms* of these terms, and for an image of a few thousand pixels they are numbers like $-3000$, whose
# exponentials are zero to a computer. Complete `log_mean_exp`: from the logarithms of $K$ terms for each of $B$ images,
# the logarithm of their average.
#
# <details><summary>Hint</summary>
#
# $\log \sum_k e^{a_k} = m + \log \sum_k e^{a_k - m}$ for any number $m$. Which $m$ keeps the exponentials in range?
#
# </details>


# %% exercise="log_mean_exp" points=5 difficulty=1 minutes=10 equation="prior-monte-carlo"
def log_mean_exp(log_terms):
    """(K, B), logarithms of terms → (B,), the logarithm of the mean of the terms over K."""
    ### BEGIN SOLUTION
    return torch.logsumexp(log_terms, dim=0) - math.log(len(log_terms))
    ### END SOLUTION


# %% check="log_mean_exp"
check("log_mean_exp", log_mean_exp)

# %% [markdown] statement="kl_normal"
# ## The divergence of two Gaussians
#
# Complete `kl_normal`, the divergence $D_{KL}(q \,\|\, p)$ in nats between two Gaussians with diagonal covariance. Each
# is given by its mean and by the logarithm of its variance, as tensors of shape `(B, D)`; the result has shape `(B,)`.
# Use elementary operations on tensors, not `torch.distributions`.
#
# <details><summary>Hint: one dimension first</summary>
#
# In one dimension $\log q(z) - \log p(z)$ is a difference of two quadratics in $z$. To take its expectation under $q$
# you need only $\mathbb{E}_q[z] = \mu_q$ and $\mathbb{E}_q[(z-\mu_q)^2] = \sigma_q^2$.
#
# </details>
# <details><summary>Hint: many dimensions</summary>
#
# Both densities are products over the dimensions, so the logarithm of their ratio is a sum over them.
#
# </details>


# %% exercise="kl_normal" points=8 difficulty=1 minutes=15 equation="kl-gaussians"
def kl_normal(mu_q, logvar_q, mu_p, logvar_p):
    """(B, D) each → (B,), in nats."""
    ### BEGIN SOLUTION
    var_q, var_p = logvar_q.exp(), logvar_p.exp()
    per_dimension = logvar_p - logvar_q + (var_q + (mu_q - mu_p) ** 2) / var_p - 1
    return 0.5 * per_dimension.sum(dim=1)
    ### END SOLUTION


# %% check="kl_normal"
check("kl_normal", kl_normal)

# %% [markdown] statement="reparameterize"
# ## A sample that a gradient can pass through
#
# Complete `reparameterize`: a sample of $q(z \mid x) = \mathcal{N}(\mu, \sigma^2)$ as a function of `mu`, `logvar` and
# of standard normal noise `eps` that somebody else has drawn. All shapes are equal, and may be any.
#
# <details><summary>Hint</summary>
#
# The network gives the logarithm of the variance. Which power of $e^{\texttt{logvar}}$ is a standard deviation?
#
# </details>


# %% exercise="reparameterize" points=4 difficulty=1 minutes=5 equation="vae-reparameterization"
def reparameterize(mu, logvar, eps):
    """Any shape, the same for all three → a sample z of that shape."""
    ### BEGIN SOLUTION
    sigma = torch.exp(logvar / 2)
    return mu + sigma * eps
    ### END SOLUTION


# %% check="reparameterize"
check("reparameterize", reparameterize)

# %% [markdown] statement="elbo_terms"
# ## The bound of one batch
#
# Complete `elbo_terms` for binary images. `x` and `logits` have shape `(B, ...)`: the decoder's output `logits` holds,
# for each pixel, the log-odds that it is white. `mu` and `logvar`, of shape `(B, D)`, are the encoder's output; the
# prior is the standard normal. Return three tensors of shape `(B,)`, in nats:
#
# - `recon`, the log-probability of the image given its code;
# - `kl`, the divergence of $q(z \mid x)$ from the prior (use your `kl_normal`);
# - `elbo`, the bound.
#
# Logits of 200 occur when a network is sure of itself. The probability that a sigmoid makes of $-200$ rounds to zero,
# and its logarithm to minus infinity: stay with the logits.
#
# <details><summary>Hint: the log-probability of a pixel</summary>
#
# With $p = 1 / (1 + e^{-\ell})$, write $x \log p + (1 - x) \log(1 - p)$ in terms of $\ell$ and of
# $\operatorname{softplus}(\ell) = \log(1 + e^{\ell})$.
#
# </details>
# <details><summary>Hint: any shape of image</summary>
#
# `tensor.flatten(start_dim=1)` turns `(B, C, H, W)` into `(B, C * H * W)`.
#
# </details>


# %% exercise="elbo_terms" points=8 difficulty=2 minutes=20 equation="vae-elbo-estimate"
def elbo_terms(x, logits, mu, logvar):
    """(B, ...), (B, ...), (B, D), (B, D) → recon, kl, elbo, each (B,), in nats."""
    ### BEGIN SOLUTION
    log_p = x * logits - functional.softplus(logits)
    recon = log_p.flatten(start_dim=1).sum(dim=1)
    kl = kl_normal(mu, logvar, torch.zeros_like(mu), torch.zeros_like(logvar))
    return recon, kl, recon - kl
    ### END SOLUTION


# %% check="elbo_terms"
check("elbo_terms", elbo_terms)

# %% [markdown] statement="gap"
# ## How far below: a derivation
#
# Take the smallest model that can be solved: one code $z \sim \mathcal{N}(0, 1)$, one observation
# $x \mid z \sim \mathcal{N}(w z, s^2)$, and $q(z \mid x) = \mathcal{N}(m, v)$ with any mean $m$ and any variance $v$.
# (As everywhere in the book, the second slot of $\mathcal{N}$ holds a variance; here `s2` stands for $s^2$.)
#
# Derive the gap $\log p(x) - \mathcal{L}(x)$ between the log-likelihood and the bound, with pencil and paper, and
# return it as a SymPy expression in the symbols that you are handed. Any form will do as long as it is equal to the gap
# everywhere and is written out: with `sympy.log`, without an integral that is left to do.
#
# <details><summary>Hint: a short way</summary>
#
# You don't have to compute $\log p(x)$ and $\mathcal{L}$. The chapter shows that their difference is one divergence.
#
# </details>
# <details><summary>Hint: the true posterior</summary>
#
# $p(z \mid x) \propto p(z)\, p(x \mid z)$ is a Gaussian in $z$. Collect the terms in $z^2$ and in $z$ of its exponent
# to read off its variance and its mean.
#
# </details>


# %% exercise="gap" points=8 difficulty=3 minutes=30 equation="vae-gap"
def gap(x, m, w, s2, v):
    """SymPy symbols (x and m real; w, s2 and v positive) → a SymPy expression."""
    ### BEGIN SOLUTION
    posterior_var = s2 / (w**2 + s2)
    posterior_mean = w * x / (w**2 + s2)
    log_ratio = sympy.log(posterior_var / v)
    return (log_ratio + (v + (m - posterior_mean) ** 2) / posterior_var - 1) / 2
    ### END SOLUTION


# %% check="gap"
check("gap", gap)

# %% [markdown] statement="slide_shortfall"
# ## Fix this slide
#
# When the lecture repeats the derivation for a hierarchy of latents, the last line of its second slide reads, with $z$
# for all the latents,
#
# $$\log p(x) = \mathbb{E}\left[\log p(x \mid z)\right] - \mathbb{E}\left[\log \frac{q(z \mid x)}{p(z)}\right]
# + \mathbb{E}\left[\log \frac{q(z)}{p(z \mid x)}\right],$$
#
# with all three expectations over $z \sim q(z \mid x)$. A symbol has been lost on the way, and the line is no longer an
# equality. Find it, and then find out how much it matters.
#
# Use the model of the last exercise with $x \sim \mathcal{N}(0, w^2 + s^2)$ and the encoder
# $q(z \mid x) = \mathcal{N}(a x, v)$. Averaged over the data, its codes have the density
# $q(z) = \int q(z \mid x)\, p(x)\, dx$. Return, for each $x$, the right-hand side as printed minus $\log p(x)$, in
# nats.
#
# <details><summary>Hint: what cancels</summary>
#
# Write down the correct line and subtract it from the printed one. Two of the three terms are the same, and in the
# third the true posterior cancels.
#
# </details>
# <details><summary>Hint: the density of the codes</summary>
#
# If $z = a x + \sqrt{v}\, \epsilon$ with independent Gaussians $x$ and $\epsilon$, then $z$ is a Gaussian, and
# variances add.
#
# </details>


# %% exercise="slide_shortfall" points=8 difficulty=3 minutes=25 equation="vae-elbo-identity"
def slide_shortfall(x, w, s2, a, v):
    """x is (B,); w, s2, a and v are numbers → (B,), in nats."""
    ### BEGIN SOLUTION
    # The printed line has q(z) where q(z|x) belongs, so it misses by E[log q(z) - log q(z|x)] = -KL(q(z|x) || q(z)).
    var_z = a**2 * (w**2 + s2) + v
    return -0.5 * (math.log(var_z / v) + (v + (a * x) ** 2) / var_z - 1)
    ### END SOLUTION


# %% check="slide_shortfall"
check("slide_shortfall", slide_shortfall)

# %% [markdown] statement="predict_gap"
# ## A prediction
#
# Before you run anything: the linear-Gaussian model below has a code of two dimensions and a guess $q$ with a diagonal
# covariance, the best there is. So the gap is the one that the chapter computes for this case. What happens to the gap
# when
#
# 1. the observation $x$ is doubled;
# 2. the noise variance $s^2$ is made ten times as large;
# 3. the two columns of $W$ are made more alike?
#
# Return three words in this order, each `"rises"`, `"falls"` or `"stays"`. The check tells whether they are three such
# words; whether they are right you see in the cell after it.


# %% exercise="predict_gap" points=4 difficulty=2 minutes=10 equation="linear-gaussian-diagonal-gap"
def predict_gap():
    """→ three words, each "rises", "falls" or "stays"."""
    ### BEGIN SOLUTION
    return "stays", "falls", "rises"
    ### END SOLUTION


# %% check="predict_gap"
check("predict_gap", predict_gap)


# %%
def smallest_gap(W, x, noise_var):
    """The gap of the best diagonal guess, in nats."""
    linear = vae.LinearGaussianVAE(W, noise_var=noise_var)
    return (linear.log_prob(x) - linear.elbo(x, *linear.best_diagonal_q(x))).item()


W = torch.tensor([[1.0, 0.8], [0.2, 1.0], [0.6, 0.6]], dtype=torch.float64)
x = torch.tensor([[1.0, 0.5, 0.9]], dtype=torch.float64)
alike = torch.stack([W[:, 0], 0.8 * W[:, 0] + 0.2 * W[:, 1]], dim=1)
print(f"as it is {smallest_gap(W, x, 0.25):.3f}, x doubled {smallest_gap(W, 2 * x, 0.25):.3f}")
print(f"ten times the noise {smallest_gap(W, x, 2.5):.3f}, columns more alike {smallest_gap(alike, x, 0.25):.3f}")

# %% [markdown] statement="why_gap"
# ## A bound that rises
#
# A step of training changes the weights of the decoder and of the encoder, and the bound of an image rises by 0.3 nats.
# Can $\log p(x)$ of that image have fallen? Answer in a short paragraph: if it can't, prove it; if it can, say which of
# the three quantities $\log p(x)$, $\mathcal{L}$ and the gap moved by how much, and what happened to the encoder.

# %% [markdown] exercise="why_gap" points=5 difficulty=2 minutes=10 equation="vae-gap"
# ### BEGIN SOLUTION
# It can. The bound is $\log p(x)$ minus the gap, so its rise is the change of $\log p(x)$ minus the change of the gap.
# If the gap shrinks by 0.5 nats while $\log p(x)$ falls by 0.2, the bound rises by 0.3: the encoder's $q(z \mid x)$
# came closer to the true posterior, either because the encoder improved or because the decoder moved so that its
# posterior became easier to match. $\log p(x)$ can have fallen by at most the old gap minus the rise, so here only if
# the gap was above 0.3 nats before the step. Where it was zero, as in the EM algorithm, every rise of the bound is a
# rise of $\log p(x)$.
# ### END SOLUTION

# %% [markdown]
# ## Your bound trains a model
#
# Nothing below needs to be written. The loss is made of your functions, and the network is the one of the chapter. On
# two CPU cores the training takes a few seconds.


# %%
def my_loss(model, x, eps):
    """Minus the bound of a batch, from the functions above."""
    mu, logvar = model.encode(x)
    z = reparameterize(mu, logvar, eps)
    _, _, elbo = elbo_terms(x, model.decode(z), mu, logvar)
    return -elbo


images = data.binarize(data.digits("train").images)
model = vae.VAE(latent_dim=8)
settings = train.VAESettings(epochs=train.scaled(smoke=2, cpu=200, gpu=200))
history = train.fit_vae(model, images, settings, loss=my_loss)
held_out = data.binarize(data.digits("test").images)
print(f"bound on the held-out digits: {train.evaluate_elbo(model, held_out):.2f} nats")

# %%
samples = model.sample(100, generator=torch.Generator().manual_seed(0), mean=True)
plots.show(plots.image_grid(samples, n_cols=10), alt="One hundred digits sampled from the model.")
