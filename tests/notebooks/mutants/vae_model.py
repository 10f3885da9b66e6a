"""Answers to the exercises of ``solutions/vae/model.py``."""

import functools

import torch
from torch import nn
from torch.nn import functional

from genmodels import data, train, vae
from genmodels.vae import elbo_terms, reparameterize
from tests.notebooks.mutants import right, wrong
from tests.notebooks.mutants._files import saved, wrong_files

# --- make_encoder -----------------------------------------------------------------------------------------------------


class Pair(nn.Module):
    """An encoder made of a body and of what turns the body's output into a pair."""

    def __init__(self, body, split):
        super().__init__()
        self.body, self.split = body, split

    def forward(self, x):
        return self.split(self.body(x))


def body(outputs, last=None):
    layers = [nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, outputs)]
    return nn.Sequential(*layers, *([last] if last else []))


def halves(output):
    mu, logvar = output.chunk(2, dim=1)
    return mu, logvar


@right("make_encoder", "two heads on a shared layer")
def _(latent_dim):
    class Encoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.hidden = nn.Linear(64, 64)
            self.mu, self.logvar = nn.Linear(64, latent_dim), nn.Linear(64, latent_dim)

        def forward(self, x):
            h = torch.tanh(self.hidden(x.reshape(len(x), -1)))
            return self.mu(h), self.logvar(h)

    return Encoder()


@right("make_encoder", "convolutions")
def _(latent_dim):
    layers = [nn.Conv2d(1, 8, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(8, 16, 3, stride=2, padding=1), nn.ReLU()]
    return Pair(nn.Sequential(*layers, nn.Flatten(), nn.Linear(64, 2 * latent_dim)), halves)


@right("make_encoder", "split by slices, returned as a list")
def _(latent_dim):
    return Pair(body(2 * latent_dim), lambda out: [out[:, :latent_dim], out[:, latent_dim:]])


@right("make_encoder", "layer normalisation and more depth")
def _(latent_dim):
    layers = [nn.Flatten(), nn.Linear(64, 48), nn.LayerNorm(48), nn.GELU(), nn.Linear(48, 48), nn.GELU()]
    return Pair(nn.Sequential(*layers, nn.Linear(48, 2 * latent_dim)), halves)


@wrong("make_encoder", "one output of twice the size")
def _(latent_dim):
    return body(2 * latent_dim)


@wrong("make_encoder", "a rectifier after the last layer")
def _(latent_dim):
    return Pair(body(2 * latent_dim, nn.ReLU()), halves)


@wrong("make_encoder", "a hyperbolic tangent after the last layer")
def _(latent_dim):
    return Pair(body(2 * latent_dim, nn.Tanh()), halves)


@wrong("make_encoder", "logvar made positive by softplus, as if it were a variance")
def _(latent_dim):
    return Pair(body(2 * latent_dim), lambda out: (halves(out)[0], functional.softplus(halves(out)[1])))


@wrong("make_encoder", "logvar exponentiated")
def _(latent_dim):
    return Pair(body(2 * latent_dim), lambda out: (halves(out)[0], halves(out)[1].exp()))


@wrong("make_encoder", "mu squashed by a sigmoid")
def _(latent_dim):
    return Pair(body(2 * latent_dim), lambda out: (torch.sigmoid(halves(out)[0]), halves(out)[1]))


@wrong("make_encoder", "one head used twice")
def _(latent_dim):
    return Pair(body(latent_dim), lambda out: (out, out))


@wrong("make_encoder", "logvar a constant zero")
def _(latent_dim):
    return Pair(body(latent_dim), lambda out: (out, torch.zeros_like(out)))


@wrong("make_encoder", "logvar learned, but the same for every image")
def _(latent_dim):
    class Encoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = body(latent_dim)
            self.logvar = nn.Parameter(0.1 * torch.ones(latent_dim))

        def forward(self, x):
            return self.body(x), self.logvar.expand(len(x), latent_dim)

    return Encoder()


@wrong("make_encoder", "split along the batch")
def _(latent_dim):
    return Pair(body(latent_dim), lambda out: tuple(out.chunk(2, dim=0)) if len(out) > 1 else (out, out))


@wrong("make_encoder", "its layers in a list that an optimizer does not see")
def _(latent_dim):
    class Encoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = [nn.Linear(64, 32), nn.Linear(32, 2 * latent_dim)]

        def forward(self, x):
            return halves(self.layers[1](torch.relu(self.layers[0](x.flatten(1)))))

    return Encoder()


@wrong("make_encoder", "batch normalisation, so that an image's code depends on its neighbours")
def _(latent_dim):
    layers = [nn.Flatten(), nn.Linear(64, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 2 * latent_dim)]
    return Pair(nn.Sequential(*layers), halves)


@wrong("make_encoder", "a softmax over the batch")
def _(latent_dim):
    return Pair(nn.Sequential(nn.Flatten(), nn.Softmax(dim=0), nn.Linear(64, 2 * latent_dim)), halves)


@wrong("make_encoder", "the latent dimension written as 2")
def _(latent_dim):
    return Pair(body(4), halves)


@wrong("make_encoder", "flattened with the batch")
def _(latent_dim):
    return Pair(nn.Sequential(nn.Flatten(0), nn.Linear(64, 2 * latent_dim)), lambda out: tuple(out[None].chunk(2, 1)))


@wrong("make_encoder", "a sample in place of the parameters")
def _(latent_dim):
    def sample(out):
        mu, logvar = halves(out)
        return reparameterize(mu, logvar, torch.randn_like(mu)), logvar

    return Pair(body(2 * latent_dim), sample)


@wrong("make_encoder", "without gradients")
def _(latent_dim):
    network = Pair(body(2 * latent_dim), halves)
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    return network


@functools.cache
def one_network(latent_dim):
    return Pair(body(2 * latent_dim), halves)


@wrong("make_encoder", "one network for every call")
def _(latent_dim):
    return one_network(latent_dim)


@wrong("make_encoder", "a function, not a module")
def _(latent_dim):
    weight = torch.randn(64, 2 * latent_dim, requires_grad=True)
    return lambda x: halves(x.flatten(1) @ weight)


@wrong("make_encoder", "one head, logvar its negative")
def _(latent_dim):
    return Pair(body(latent_dim), lambda out: (out, -out))


@wrong("make_encoder", "logvar held within ±4")
def _(latent_dim):
    return Pair(body(2 * latent_dim), lambda out: (halves(out)[0], 4 * torch.tanh(halves(out)[1])))


# --- make_decoder -----------------------------------------------------------------------------------------------------


def to_image(inputs, last=None, outputs=64):
    layers = [nn.Linear(inputs, 32), nn.ReLU(), nn.Linear(32, outputs)]
    return nn.Sequential(*layers, *([last] if last else []), nn.Unflatten(1, (1, 8, 8)))


@right("make_decoder", "another width and another activation")
def _(latent_dim):
    return nn.Sequential(nn.Linear(latent_dim, 50), nn.Tanh(), nn.Linear(50, 64), nn.Unflatten(1, (1, 8, 8)))


@right("make_decoder", "transposed convolutions")
def _(latent_dim):
    return nn.Sequential(
        nn.Linear(latent_dim, 16 * 4),
        nn.Unflatten(1, (16, 2, 2)),
        nn.ConvTranspose2d(16, 8, 4, stride=2, padding=1),
        nn.SiLU(),
        nn.ConvTranspose2d(8, 1, 4, stride=2, padding=1),
    )


@right("make_decoder", "a module with a view at its end")
def _(latent_dim):
    class Decoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(latent_dim, 40), nn.Linear(40, 64)

        def forward(self, z):
            return self.second(functional.elu(self.first(z))).view(-1, 1, 8, 8)

    return Decoder()


@wrong("make_decoder", "probabilities, by a sigmoid")
def _(latent_dim):
    return to_image(latent_dim, nn.Sigmoid())


@wrong("make_decoder", "a hyperbolic tangent at the end")
def _(latent_dim):
    return to_image(latent_dim, nn.Tanh())


@wrong("make_decoder", "a rectifier at the end")
def _(latent_dim):
    return to_image(latent_dim, nn.ReLU())


@wrong("make_decoder", "log-probabilities, which are never positive")
def _(latent_dim):
    return to_image(latent_dim, nn.LogSigmoid())


@wrong("make_decoder", "a softmax over the pixels")
def _(latent_dim):
    return to_image(latent_dim, nn.Softmax(dim=1))


@wrong("make_decoder", "a flat image")
def _(latent_dim):
    return nn.Sequential(nn.Linear(latent_dim, 32), nn.ReLU(), nn.Linear(32, 64))


@wrong("make_decoder", "no channel dimension")
def _(latent_dim):
    return nn.Sequential(nn.Linear(latent_dim, 32), nn.ReLU(), nn.Linear(32, 64), nn.Unflatten(1, (8, 8)))


@wrong("make_decoder", "the latent dimension written as 2")
def _(latent_dim):
    return to_image(2)


@wrong("make_decoder", "the code reduced to its first number")
def _(latent_dim):
    class Decoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = to_image(1)

        def forward(self, z):
            return self.layers(z[:, :1])

    return Decoder()


@wrong("make_decoder", "constants: one image for all codes")
def _(latent_dim):
    class Decoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.image = nn.Parameter(torch.randn(1, 1, 8, 8))

        def forward(self, z):
            return self.image.expand(len(z), 1, 8, 8)

    return Decoder()


@wrong("make_decoder", "batch normalisation")
def _(latent_dim):
    layers = [nn.Linear(latent_dim, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 64), nn.Unflatten(1, (1, 8, 8))]
    return nn.Sequential(*layers)


@wrong("make_decoder", "its layers in a list that an optimizer does not see")
def _(latent_dim):
    class Decoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = [to_image(latent_dim)]

        def forward(self, z):
            return self.layers[0](z)

    return Decoder()


@functools.cache
def one_decoder(latent_dim):
    return to_image(latent_dim)


@wrong("make_decoder", "one network for every call")
def _(latent_dim):
    return one_decoder(latent_dim)


@wrong("make_decoder", "the code detached")
def _(latent_dim):
    class Decoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = to_image(latent_dim)

        def forward(self, z):
            return self.layers(z.detach())

    return Decoder()


@wrong("make_decoder", "log-odds held within ±5")
def _(latent_dim):
    class Bounded(nn.Module):
        def forward(self, x):
            return 5 * torch.tanh(x)

    return to_image(latent_dim, Bounded())


# --- training_step ----------------------------------------------------------------------------------------------------


def loss_of(encoder, decoder, x, eps):
    mu, logvar = encoder(x)
    return -elbo_terms(x, decoder(reparameterize(mu, logvar, eps)), mu, logvar).elbo.mean()


@right("training_step", "gradients cleared first, the terms written out")
def _(encoder, decoder, optimizer, x, eps):
    optimizer.zero_grad()
    mu, logvar = encoder(x)
    z = mu + (logvar / 2).exp() * eps
    cost = functional.binary_cross_entropy_with_logits(decoder(z), x, reduction="none").flatten(1).sum(1)
    divergence = 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(1)
    loss = (cost + divergence).mean()
    loss.backward()
    optimizer.step()
    return float(loss)


@right("training_step", "gradients cleared last")
def _(encoder, decoder, optimizer, x, eps):
    loss = loss_of(encoder, decoder, x, eps)
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    return loss.item()


@right("training_step", "gradients set by hand")
def _(encoder, decoder, optimizer, x, eps):
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    loss = loss_of(encoder, decoder, x, eps)
    for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
        parameter.grad = gradient
    optimizer.step()
    return loss.detach().item()


@wrong("training_step", "old gradients never cleared")
def _(encoder, decoder, optimizer, x, eps):
    loss = loss_of(encoder, decoder, x, eps)
    loss.backward()
    optimizer.step()
    return loss.item()


@wrong("training_step", "gradients cleared between backward and step")
def _(encoder, decoder, optimizer, x, eps):
    loss = loss_of(encoder, decoder, x, eps)
    loss.backward()
    optimizer.zero_grad()
    optimizer.step()
    return loss.item()


@wrong("training_step", "no step")
def _(encoder, decoder, optimizer, x, eps):
    optimizer.zero_grad()
    loss = loss_of(encoder, decoder, x, eps)
    loss.backward()
    return loss.item()


@wrong("training_step", "no backward pass")
def _(encoder, decoder, optimizer, x, eps):
    optimizer.zero_grad()
    loss = loss_of(encoder, decoder, x, eps)
    optimizer.step()
    return loss.item()


@wrong("training_step", "the bound minimised in place of its negative")
def _(encoder, decoder, optimizer, x, eps):
    loss = -loss_of(encoder, decoder, x, eps)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


@wrong("training_step", "the right loss returned, the wrong way gone")
def _(encoder, decoder, optimizer, x, eps):
    loss = loss_of(encoder, decoder, x, eps)
    optimizer.zero_grad()
    (-loss).backward()
    optimizer.step()
    return loss.item()


@wrong("training_step", "the batch summed")
def _(encoder, decoder, optimizer, x, eps):
    loss = loss_of(encoder, decoder, x, eps) * len(x)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


@wrong("training_step", "the reconstruction averaged over the pixels")
def _(encoder, decoder, optimizer, x, eps):
    mu, logvar = encoder(x)
    terms = elbo_terms(x, decoder(reparameterize(mu, logvar, eps)), mu, logvar)
    loss = (terms.kl - terms.recon / x[0].numel()).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


@wrong("training_step", "the divergence forgotten: an autoencoder")
def _(encoder, decoder, optimizer, x, eps):
    mu, logvar = encoder(x)
    loss = -elbo_terms(x, decoder(reparameterize(mu, logvar, eps)), mu, logvar).recon.mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


@wrong("training_step", "the noise forgotten: the mean is decoded")
def _(encoder, decoder, optimizer, x, eps):
    loss = loss_of(encoder, decoder, x, torch.zeros_like(eps))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


@wrong("training_step", "noise of its own")
def _(encoder, decoder, optimizer, x, eps):
    loss = loss_of(encoder, decoder, x, torch.randn_like(eps))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


@wrong("training_step", "the code detached, so that the encoder learns from the divergence alone")
def _(encoder, decoder, optimizer, x, eps):
    mu, logvar = encoder(x)
    z = reparameterize(mu, logvar, eps).detach()
    loss = -elbo_terms(x, decoder(z), mu, logvar).elbo.mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


@wrong("training_step", "the variance taken for the standard deviation")
def _(encoder, decoder, optimizer, x, eps):
    mu, logvar = encoder(x)
    loss = -elbo_terms(x, decoder(mu + logvar.exp() * eps), mu, logvar).elbo.mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


@wrong("training_step", "the loss after the step")
def _(encoder, decoder, optimizer, x, eps):
    loss = loss_of(encoder, decoder, x, eps)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss_of(encoder, decoder, x, eps).item()


@wrong("training_step", "the loss as a tensor, with its graph")
def _(encoder, decoder, optimizer, x, eps):
    loss = loss_of(encoder, decoder, x, eps)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss


@wrong("training_step", "two steps")
def _(encoder, decoder, optimizer, x, eps):
    for _ in range(2):
        loss = loss_of(encoder, decoder, x, eps)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item()


@wrong("training_step", "an optimizer of its own")
def _(encoder, decoder, optimizer, x, eps):
    loss = loss_of(encoder, decoder, x, eps)
    own = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=1e-3)
    loss.backward()
    own.step()
    return loss.item()


@wrong("training_step", "steps of its own size, the optimizer passed over")
def _(encoder, decoder, optimizer, x, eps):
    loss = loss_of(encoder, decoder, x, eps)
    optimizer.zero_grad()
    loss.backward()
    with torch.no_grad():
        for parameter in [*encoder.parameters(), *decoder.parameters()]:
            parameter -= 0.1 * parameter.grad
    return loss.item()


@wrong("training_step", "gradients clipped to length 1")
def _(encoder, decoder, optimizer, x, eps):
    loss = loss_of(encoder, decoder, x, eps)
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_([*encoder.parameters(), *decoder.parameters()], 1.0)
    optimizer.step()
    return loss.item()


@wrong("training_step", "the decoder alone moved")
def _(encoder, decoder, optimizer, x, eps):
    loss = loss_of(encoder, decoder, x, eps)
    optimizer.zero_grad()
    loss.backward()
    for parameter in encoder.parameters():
        parameter.grad = None
    optimizer.step()
    return loss.item()


@wrong("training_step", "gradient descent written out with the optimizer's step size, its momentum passed over")
def _(encoder, decoder, optimizer, x, eps):
    loss = loss_of(encoder, decoder, x, eps)
    optimizer.zero_grad()
    loss.backward()
    with torch.no_grad():
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                parameter -= group["lr"] * parameter.grad
    return loss.item()


@wrong("training_step", "the divergence of the first two dimensions only")
def _(encoder, decoder, optimizer, x, eps):
    mu, logvar = encoder(x)
    terms = elbo_terms(x, decoder(reparameterize(mu, logvar, eps)), mu[:, :2], logvar[:, :2])
    loss = -terms.elbo.mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


# --- digits_weights ---------------------------------------------------------------------------------------------------


def digits():
    return data.binarize(data.digits("train").images)


def network(**changes):
    return vae.VAE(**{"latent_dim": 6, "hidden_dim": 128, **changes})


def trained(loss=train.negative_elbo, epochs=60, **settings):
    model = network(seed=settings.get("seed", 0))
    train.fit_vae(model, digits(), train.VAESettings(epochs=epochs, **settings), loss=loss, progress=False)
    return model.state_dict()


digits_file = functools.partial(saved, "digits_weights")
right("digits_weights", "sixty epochs by fit_vae")(digits_file("right-0", lambda: trained(learning_rate=4e-3)))
right("digits_weights", "another seed, smaller batches")(
    digits_file("right-1", lambda: trained(seed=5, batch_size=64, learning_rate=3e-3))
)


def by_hand():
    model, x = network(seed=2), digits()
    optimizer = torch.optim.RMSprop(model.parameters(), lr=2e-3)
    for step in range(1200):
        batch = x[train.minibatch(len(x), step, 128, 0)]
        mu, logvar = model.encode(batch)
        z = reparameterize(mu, logvar, torch.randn(mu.shape, generator=train.step_generator(0, step)))
        loss = -elbo_terms(batch, model.decode(z), mu, logvar).elbo.mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.state_dict()


right("digits_weights", "a loop of its own, another optimizer")(digits_file("right-2", by_hand))


def beta(factor):
    return train.beta_loss(factor)


def averaged_pixels(model, x, eps):
    terms = model(x, eps)
    return terms.kl - terms.recon / 64


def no_divergence(model, x, eps):
    return -model(x, eps).recon


def no_noise(model, x, eps):
    return -model(x, 0 * eps).elbo


def variance_for_deviation(model, x, eps):
    mu, logvar = model.encode(x)
    return -elbo_terms(x, model.decode(mu + logvar.exp() * eps), mu, logvar).elbo


def squared_error(model, x, eps):
    mu, logvar = model.encode(x)
    p = torch.sigmoid(model.decode(reparameterize(mu, logvar, eps)))
    return (x - p).square().flatten(1).sum(1) + model(x, eps).kl


for mistake, loss in (
    ("the divergence weighted by 4", beta(4.0)),
    ("the divergence weighted by 2", beta(2.0)),
    ("the divergence weighted by a tenth", beta(0.1)),
    ("the reconstruction averaged over the pixels", averaged_pixels),
    ("no divergence: an autoencoder", no_divergence),
    ("no noise", no_noise),
    ("the variance taken for the standard deviation", variance_for_deviation),
    ("a squared error in place of the log-likelihood", squared_error),
):
    wrong("digits_weights", mistake)(digits_file(mistake.replace(" ", "-"), functools.partial(trained, loss)))


def trained_on_held_out():
    model, held_out = network(), data.binarize(data.digits("test").images)
    train.fit_vae(model, held_out, train.VAESettings(epochs=400), progress=False)
    return model.state_dict()


wrong("digits_weights", "trained on the held-out digits")(digits_file("held-out", lambda: trained_on_held_out()))
wrong("digits_weights", "one epoch")(digits_file("one-epoch", lambda: trained(epochs=1)))
wrong_files(
    "digits_weights",
    network,
    {
        "another architecture": lambda: network(hidden_dim=256),
        "another latent dimension": lambda: network(latent_dim=8),
        "the decoder alone": lambda: network().decoder,
    },
)


# --- traverse ---------------------------------------------------------------------------------------------------------


@right("traverse", "a loop")
def _(decoder, z, dim, values):
    images = []
    for value in values:
        code = z.clone()
        code[0, dim] = value
        images.append(torch.sigmoid(decoder(code)))
    return torch.cat(images)


@right("traverse", "by a sum of unit vectors")
def _(decoder, z, dim, values):
    unit = torch.zeros_like(z)
    unit[0, dim] = 1
    return 1 / (1 + torch.exp(-decoder(z * (1 - unit) + values[:, None] * unit)))


@right("traverse", "without gradients, by expand and clone")
def _(decoder, z, dim, values):
    with torch.no_grad():
        codes = z.expand(len(values), -1).clone()
        codes[:, dim] = values
        return decoder(codes).sigmoid()


@right("traverse", "a table of codes filled row by row")
def _(decoder, z, dim, values):
    codes = torch.zeros(len(values), z.shape[1])
    codes[:] = z
    codes[:, dim] = values
    return torch.sigmoid(decoder(codes))


@wrong("traverse", "the logits")
def _(decoder, z, dim, values):
    codes = z.repeat(len(values), 1)
    codes[:, dim] = values
    return decoder(codes)


@wrong("traverse", "sigmoid taken twice")
def _(decoder, z, dim, values):
    codes = z.repeat(len(values), 1)
    codes[:, dim] = values
    return torch.sigmoid(torch.sigmoid(decoder(codes)))


@wrong("traverse", "black and white images")
def _(decoder, z, dim, values):
    codes = z.repeat(len(values), 1)
    codes[:, dim] = values
    return (decoder(codes) > 0).to(z.dtype)


@wrong("traverse", "the values added, not set")
def _(decoder, z, dim, values):
    codes = z.repeat(len(values), 1)
    codes[:, dim] += values
    return torch.sigmoid(decoder(codes))


@wrong("traverse", "the values multiplied")
def _(decoder, z, dim, values):
    codes = z.repeat(len(values), 1)
    codes[:, dim] *= values
    return torch.sigmoid(decoder(codes))


@wrong("traverse", "always the first dimension")
def _(decoder, z, dim, values):
    codes = z.repeat(len(values), 1)
    codes[:, 0] = values
    return torch.sigmoid(decoder(codes))


@wrong("traverse", "dimensions counted from one")
def _(decoder, z, dim, values):
    codes = z.repeat(len(values), 1)
    codes[:, dim - 1] = values
    return torch.sigmoid(decoder(codes))


@wrong("traverse", "the other dimensions set to zero")
def _(decoder, z, dim, values):
    codes = torch.zeros(len(values), z.shape[1], dtype=z.dtype)
    codes[:, dim] = values
    return torch.sigmoid(decoder(codes))


@wrong("traverse", "all dimensions set")
def _(decoder, z, dim, values):
    codes = values[:, None].expand(len(values), z.shape[1])
    return torch.sigmoid(decoder(codes))


@wrong("traverse", "the code changed in place")
def _(decoder, z, dim, values):
    images = []
    for value in values:
        z[0, dim] = value
        images.append(torch.sigmoid(decoder(z)))
    return torch.cat(images)


@wrong("traverse", "one image")
def _(decoder, z, dim, values):
    codes = z.clone()
    codes[:, dim] = values[0]
    return torch.sigmoid(decoder(codes))


@wrong("traverse", "the values in reverse")
def _(decoder, z, dim, values):
    codes = z.repeat(len(values), 1)
    codes[:, dim] = values.flip(0)
    return torch.sigmoid(decoder(codes))


@wrong("traverse", "an even spread between the ends in place of the values")
def _(decoder, z, dim, values):
    codes = z.repeat(len(values), 1)
    codes[:, dim] = torch.linspace(values.min().item(), values.max().item(), len(values), dtype=z.dtype)
    return torch.sigmoid(decoder(codes))


@wrong("traverse", "the other dimension taken to be 1 - dim: right for two dimensions")
def _(decoder, z, dim, values):
    codes = torch.zeros(len(values), z.shape[1])
    codes[:, dim] = values
    codes[:, 1 - dim] = z[0, 1 - dim]
    return torch.sigmoid(decoder(codes))


# --- edit -------------------------------------------------------------------------------------------------------------


def edited(encoder, decoder, x, dim, shift, eps, u):
    mu, logvar = encoder(x)
    z = reparameterize(mu, logvar, eps)
    unit = torch.zeros_like(z)
    unit[:, dim] = shift
    return (u < torch.sigmoid(decoder(z + unit))).to(x.dtype)


@right("edit", "by adding a vector")
def _(*arguments):
    return edited(*arguments)


@right("edit", "the mean shifted before the noise, which comes to the same")
def _(encoder, decoder, x, dim, shift, eps, u):
    mu, logvar = encoder(x)
    mu = mu.clone()
    mu[:, dim] += shift
    z = mu + torch.exp(logvar / 2) * eps
    return torch.where(torch.sigmoid(decoder(z)) > u, 1.0, 0.0).to(x)


@right("edit", "compared on the scale of log-odds")
def _(encoder, decoder, x, dim, shift, eps, u):
    with torch.no_grad():
        mu, logvar = encoder(x)
        z = mu + logvar.exp().sqrt() * eps
        z[:, dim] += shift
        return (decoder(z) > torch.log(u) - torch.log1p(-u)).to(x.dtype)


@right("edit", "into a fresh tensor")
def _(encoder, decoder, x, dim, shift, eps, u):
    mu, logvar = encoder(x)
    z = torch.zeros(mu.shape)
    z[:] = mu + torch.exp(0.5 * logvar) * eps
    z[:, dim] += shift
    return (u < torch.sigmoid(decoder(z))).float()


@wrong("edit", "no noise: the mean is decoded")
def _(encoder, decoder, x, dim, shift, eps, u):
    return edited(encoder, decoder, x, dim, shift, torch.zeros_like(eps), u)


@wrong("edit", "the noise scaled by the variance")
def _(encoder, decoder, x, dim, shift, eps, u):
    _, logvar = encoder(x)
    return edited(encoder, decoder, x, dim, shift, eps * torch.exp(logvar / 2), u)


@wrong("edit", "the dimension set to the shift")
def _(encoder, decoder, x, dim, shift, eps, u):
    mu, logvar = encoder(x)
    z = reparameterize(mu, logvar, eps).clone()
    z[:, dim] = shift
    return (u < torch.sigmoid(decoder(z))).to(x.dtype)


@wrong("edit", "all dimensions shifted")
def _(encoder, decoder, x, dim, shift, eps, u):
    mu, logvar = encoder(x)
    return (u < torch.sigmoid(decoder(reparameterize(mu, logvar, eps) + shift))).to(x.dtype)


@wrong("edit", "the shift forgotten")
def _(encoder, decoder, x, dim, shift, eps, u):
    return edited(encoder, decoder, x, dim, 0.0, eps, u)


@wrong("edit", "the shift subtracted")
def _(encoder, decoder, x, dim, shift, eps, u):
    return edited(encoder, decoder, x, dim, -shift, eps, u)


@wrong("edit", "the shift scaled by the standard deviation")
def _(encoder, decoder, x, dim, shift, eps, u):
    mu, logvar = encoder(x)
    z = reparameterize(mu, logvar, eps).clone()
    z[:, dim] += shift * torch.exp(logvar[:, dim] / 2)
    return (u < torch.sigmoid(decoder(z))).to(x.dtype)


@wrong("edit", "always the first dimension")
def _(encoder, decoder, x, dim, shift, eps, u):
    return edited(encoder, decoder, x, 0, shift, eps, u)


@wrong("edit", "probabilities in place of an image")
def _(encoder, decoder, x, dim, shift, eps, u):
    mu, logvar = encoder(x)
    z = reparameterize(mu, logvar, eps).clone()
    z[:, dim] += shift
    return torch.sigmoid(decoder(z))


@wrong("edit", "cut at a half in place of a draw")
def _(encoder, decoder, x, dim, shift, eps, u):
    return edited(encoder, decoder, x, dim, shift, eps, torch.full_like(u, 0.5))


@wrong("edit", "black and white exchanged")
def _(*arguments):
    return 1 - edited(*arguments)


@wrong("edit", "compared with the logits")
def _(encoder, decoder, x, dim, shift, eps, u):
    mu, logvar = encoder(x)
    z = reparameterize(mu, logvar, eps).clone()
    z[:, dim] += shift
    return (u < decoder(z)).to(x.dtype)


@wrong("edit", "pixels drawn anew, the u ignored")
def _(encoder, decoder, x, dim, shift, eps, u):
    return edited(encoder, decoder, x, dim, shift, eps, torch.rand_like(u))


@wrong("edit", "the input returned")
def _(encoder, decoder, x, dim, shift, eps, u):
    return x
