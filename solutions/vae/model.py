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
# In the first notebook you wrote the bound. Here you write what it trains: an encoder, a decoder, and the step that
# moves both. You then train a variational autoencoder on handwritten digits until it is good, look into its codes, and
# change a picture by changing its code. Read the chapters *A gradient through chance*, *An autoencoder for digits* and
# *What the codes mean* first.
#
# Two functions of the first notebook are needed. The library's stand below; if yours passed their checks, put yours in
# their place.

# %%
from pathlib import Path

import ipywidgets
import safetensors.torch
import torch
from torch import nn

from genmodels import data, plots, train, vae
from genmodels.checks import check
from genmodels.vae import elbo_terms, reparameterize

# %% [markdown] statement="make_encoder"
# ## An encoder
#
# Complete `make_encoder`: it returns a network, an `nn.Module`, that takes images `(B, 1, 8, 8)` to a pair `mu,
# logvar`, each `(B, latent_dim)`. One hidden layer is enough. Mind what the two outputs are: a mean may be any real
# number, and so may the logarithm of a variance.
#
# <details><summary>Hint: two outputs from one network</summary>
#
# Let the last layer have `2 * latent_dim` outputs and split them with `.chunk(2, dim=1)`. An `nn.Module` of your own
# with a `forward` method can return a pair.
#
# </details>


# %% exercise="make_encoder" points=6 difficulty=1 minutes=15 equation="vae-elbo-estimate"
def make_encoder(latent_dim):
    """→ an nn.Module: (B, 1, 8, 8) → mu, logvar, each (B, latent_dim)."""
    ### BEGIN SOLUTION

    class Encoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.Sequential(nn.Flatten(), nn.Linear(64, 128), nn.SiLU(), nn.Linear(128, 2 * latent_dim))

        def forward(self, x):
            mu, logvar = self.layers(x).chunk(2, dim=1)
            return mu, logvar

    return Encoder()
    ### END SOLUTION


# %% check="make_encoder"
check("make_encoder", make_encoder)

# %% [markdown] statement="make_decoder"
# ## A decoder
#
# Complete `make_decoder`: a network from codes `(B, latent_dim)` to the log-odds that each pixel is white, `(B, 1, 8,
# 8)`. Log-odds, not probabilities: the loss wants them as they are.


# %% exercise="make_decoder" points=4 difficulty=1 minutes=5 equation="bernoulli-log-likelihood"
def make_decoder(latent_dim):
    """→ an nn.Module: (B, latent_dim) → logits (B, 1, 8, 8)."""
    ### BEGIN SOLUTION
    return nn.Sequential(nn.Linear(latent_dim, 128), nn.SiLU(), nn.Linear(128, 64), nn.Unflatten(1, (1, 8, 8)))
    ### END SOLUTION


# %% check="make_decoder"
check("make_decoder", make_decoder)

# %% [markdown] statement="training_step"
# ## One step of training
#
# Complete `training_step`: one step of the optimizer on a minibatch. It gets the networks, an optimizer that knows the
# weights of both, images `x` and the noise `eps` for their codes. It returns the loss of the batch *before* the step, a
# Python number: minus the mean of the bound.
#
# <details><summary>Hint: the order</summary>
#
# Encode, reparameterize, decode, compute the bound, then: clear old gradients, go backward, step. The loss is a tensor
# with a graph attached; `.item()` makes it a number.
#
# </details>


# %% exercise="training_step" points=12 difficulty=2 minutes=20 equation="vae-elbo-estimate"
def training_step(encoder, decoder, optimizer, x, eps):
    """x (B, ...), eps (B, D) → the mean loss of the batch before the step, a float, in nats."""
    ### BEGIN SOLUTION
    mu, logvar = encoder(x)
    z = reparameterize(mu, logvar, eps)
    loss = -elbo_terms(x, decoder(z), mu, logvar)[2].mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()
    ### END SOLUTION


# %% check="training_step"
check("training_step", training_step)

# %% [markdown]
# With these three your autoencoder learns. The next cell trains it; the loss should fall below 21 nats.

# %%
images = data.binarize(data.digits("train").images)  # (1438, 1, 8, 8)
held_out = data.binarize(data.digits("test").images)  # (359, 1, 8, 8)

torch.manual_seed(0)
encoder, decoder = make_encoder(6), make_decoder(6)
optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=2e-3)
steps_per_epoch = 12
for epoch in range(train.scaled(smoke=1, cpu=60, gpu=60)):
    total = 0.0
    for step in range(epoch * steps_per_epoch, (epoch + 1) * steps_per_epoch):
        batch = images[train.minibatch(len(images), step, 128, seed=0)]
        eps = torch.randn(len(batch), 6, generator=train.step_generator(0, step))
        total += training_step(encoder, decoder, optimizer, batch, eps)
    if epoch % 10 == 0:
        print(f"epoch {epoch}: {total / steps_per_epoch:.2f} nats")

# %% [markdown] statement="digits_weights"
# ## A model to hand in
#
# Now train a model that is judged by what it can do. Its architecture is fixed, so that the grader can rebuild it:
# `vae.VAE(latent_dim=6, hidden_dim=128)`. Train it as you like: `train.fit_vae` will do it with a loss of your own, or
# your `training_step` with `model.encode` and `model.decode`. Then save its weights next to this notebook, with
# `safetensors.torch.save_file(model.state_dict(), name)`, and return the name of the file. The file is part of what you
# hand in.
#
# The check rebuilds the network, loads your weights, and computes the bound on held-out digits itself. It asks for at
# least $-19$ nats; independent pixels reach $-24.1$, and a minute of training goes well beyond the mark.
#
# If the file is there, the cell does not train again. Delete the file to start anew.
#
# <details><summary>Hint: it does not reach the mark</summary>
#
# Is the reconstruction term summed over the pixels? Is the divergence weighted by 1? Is the noise scaled by the
# standard deviation? Each of these mistakes costs several nats; the first makes the code go unused, and every sample
# the same grey image.
#
# </details>


# %% exercise="digits_weights" points=15 difficulty=2 minutes=20 equation="vae-elbo"
def digits_weights():
    """→ the name of a safetensors file with the weights of a trained vae.VAE(latent_dim=6, hidden_dim=128)."""
    name = "digits_vae.safetensors"
    if Path(name).exists():
        return name
    model = vae.VAE(latent_dim=6, hidden_dim=128)
    ### BEGIN SOLUTION
    train.fit_vae(model, images, train.VAESettings(epochs=120))
    safetensors.torch.save_file(model.state_dict(), name)
    return name
    ### END SOLUTION


# %% check="digits_weights"
check("digits_weights", digits_weights)

# %% [markdown] statement="traverse"
# ## What one dimension does
#
# Complete `traverse`: take one code, set one of its dimensions to each of a number of values while the others stay, and
# decode. Return the probabilities of the pixels, not the logits. The code that you are handed must be left as it was.


# %% exercise="traverse" points=5 difficulty=1 minutes=10 equation="bernoulli-log-likelihood"
def traverse(decoder, z, dim, values):
    """z (1, D), values (K,) → pixel probabilities (K, 1, 8, 8), or whatever image shape the decoder has."""
    ### BEGIN SOLUTION
    codes = z.repeat(len(values), 1)
    codes[:, dim] = values
    return torch.sigmoid(decoder(codes))
    ### END SOLUTION


# %% check="traverse"
check("traverse", traverse)

# %% [markdown] statement="edit"
# ## Five steps
#
# Complete `edit`, the lecture's recipe: run the image through the encoder; sample a code, with the noise that you are
# handed; change one of its dimensions by `shift`; run the changed code through the decoder; sample an image. For the
# last step you are handed uniform numbers `u` between 0 and 1, one for each pixel: a pixel is white where its `u` is
# below its probability.
#
# <details><summary>Hint</summary>
#
# Would it make a difference to shift the mean instead of the sampled code? And if the dimension were *set* to a value?
#
# </details>


# %% exercise="edit" points=8 difficulty=2 minutes=15 equation="vae-reparameterization"
def edit(encoder, decoder, x, dim, shift, eps, u):
    """x (B, ...), eps (B, D), u like x → black and white images like x, of zeros and ones."""
    ### BEGIN SOLUTION
    mu, logvar = encoder(x)
    z = reparameterize(mu, logvar, eps)
    changed = z.clone()
    changed[:, dim] = changed[:, dim] + shift
    p = torch.sigmoid(decoder(changed))
    return (u < p).to(x.dtype)
    ### END SOLUTION


# %% check="edit"
check("edit", edit)

# %% [markdown]
# ## To play with
#
# The sliders move the six dimensions of the code of a held-out digit, in the model that you handed in. Nothing here is
# graded.

# %%
submitted = vae.VAE(latent_dim=6, hidden_dim=128)
submitted.load_state_dict(safetensors.torch.load_file(digits_weights()))
with torch.no_grad():
    start, _ = submitted.encode(held_out[:1])


def show_code(**values):
    """Decode the code that the sliders describe."""
    code = torch.tensor([[values[f"z{d}"] for d in range(6)]])
    with torch.no_grad():
        image = submitted.mean(submitted.decode(code))
    return plots.show(plots.image_grid(image, n_cols=1, cell=2.0), alt="The digit decoded from the sliders' code.")


ipywidgets.interactive(
    show_code, **{f"z{d}": ipywidgets.FloatSlider(start[0, d].item(), min=-3, max=3, step=0.1) for d in range(6)}
)
