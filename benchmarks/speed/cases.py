"""What is timed: for each model a training step and sampling, at 8 by 8 and at 32 by 32 pixels, ours and a peer's.

Both sides of a case get the same images, the same batch and float32, and start from fresh weights in every run. The
digits stand in at both sizes, at 32 by 32 enlarged: how long a step takes doesn't depend on what the pixels show.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.speed import tutorials
from genmodels import data, diffusion, nets, train, unet, vae

MODELS = ("vae", "dcgan", "wgan_gp", "diffusion")
SIDES = (8, 32)
LATENT_DIM, WIDTH = 16, 48  # of the adversarial networks
BATCH = {"vae": {8: 128, 32: 128}, "dcgan": {8: 64, 32: 64}, "wgan_gp": {8: 64, 32: 64}, "diffusion": {8: 128, 32: 32}}
MULTIPLIERS = {8: (1, 2), 32: (1, 2, 2)}
STEPS = {"vae": {8: 400, 32: 120}, "dcgan": {8: 60, 32: 12}, "wgan_gp": {8: 12, 32: 3}, "diffusion": {8: 12, 32: 4}}
IMAGES = {"vae": {8: 20_000, 32: 5000}, "dcgan": {8: 4000, 32: 500}, "diffusion": {8: 64, 32: 8}}
T, DDIM_STEPS = 200, 50
RANGE = (-1.0, 1.0)


@cache
def images(side: int) -> Tensor:
    """The training digits in [0, 1], (1438, 1, side, side)."""
    x = data.digits().images
    return functional.interpolate(x, size=(side, side), mode="bilinear", align_corners=False) if side != 8 else x


@dataclass(frozen=True)
class Prepared:
    """One side of one run: the networks that it uses, and the call to time."""

    networks: tuple[nn.Module, ...]
    run: Callable[[], object]

    def parameters(self) -> int:
        return sum(p.numel() for network in self.networks for p in network.parameters())


@dataclass(frozen=True)
class Case:
    """One row. A run of either side takes ``units`` training steps, or makes ``units`` images."""

    model: str
    side: int
    what: str
    peer: str
    units: int
    ours: Callable[[], Prepared]
    theirs: Callable[[], Prepared]

    @property
    def name(self) -> str:
        return f"{self.model} {self.side}x{self.side}, {self.what}, {self.peer}"


def cases(device: torch.device, only: tuple[str, ...] = MODELS, quick: bool = False) -> list[Case]:
    """All rows for these models; with ``quick`` each run is as short as it can be."""
    makers = {"vae": _vae, "dcgan": _dcgan, "wgan_gp": _wgan_gp, "diffusion": _diffusion}
    return [case for model in only for side in SIDES for case in makers[model](side, device, quick)]


def _steps(model: str, side: int, quick: bool) -> int:
    return max(2, STEPS[model][side] // 8) if quick else STEPS[model][side]


def _count(model: str, side: int, quick: bool) -> int:
    return max(4, IMAGES[model][side] // 8) if quick else IMAGES[model][side]


# --- the variational autoencoder --------------------------------------------------------------------------------------


def _vae(side: int, device: torch.device, quick: bool) -> list[Case]:
    steps, n, batch = _steps("vae", side, quick), _count("vae", side, quick), BATCH["vae"][side]
    x = data.binarize(images(side))

    def our_model() -> vae.VAE:
        return vae.VAE((1, side, side)).to(device)

    def our_training() -> Prepared:
        model = our_model()
        settings = train.VAESettings(epochs=10_000, batch_size=batch)
        return Prepared((model,), partial(_losses, train.fit_vae, model, x, settings, max_steps=steps))

    def their_training() -> Prepared:
        model = tutorials.VAE(side).to(device)
        return Prepared((model,), partial(tutorials.train_vae, model, x, steps, batch))

    def our_samples() -> Prepared:
        model = our_model().eval()
        return Prepared((model,), lambda: model.sample(n, mean=True).cpu())

    def their_samples() -> Prepared:
        model = tutorials.VAE(side).to(device)
        return Prepared((model,), partial(tutorials.sample_vae, model, n))

    return [
        Case("vae", side, "training step", "tutorial", steps, our_training, their_training),
        Case("vae", side, "sampling", "tutorial", n, our_samples, their_samples),
    ]


def _losses(fit: Callable[..., train.History], *given: object, **named: object) -> list[float]:
    return fit(*given, progress=False, **named).loss


# --- adversarial networks ---------------------------------------------------------------------------------------------


def our_game(side: int, critic: bool, device: torch.device) -> tuple[nn.Module, nn.Module]:
    """A generator and a discriminator; a critic has no batch normalisation."""
    guidelines = nets.Guidelines(batch_norm=not critic)
    generator = nets.dcgan_generator(LATENT_DIM, WIDTH, side=side)
    return generator.to(device), nets.dcgan_discriminator(WIDTH, guidelines, side=side).to(device)


def _game(model: str, side: int, device: torch.device, steps: int) -> tuple[Callable[[], Prepared], ...]:
    """The training of both sides."""
    batch, x, critic = BATCH[model][side], 2 * images(side) - 1, model == "wgan_gp"
    # Tutorials let the generator be judged by the fakes that the discriminator has just seen, one forward pass less.
    settings = train.GANSettings(epochs=10_000, batch_size=batch, fresh_codes=False)
    if critic:
        settings = train.GANSettings(
            epochs=10_000, batch_size=batch, kind="wasserstein", discriminator_steps=5, gradient_penalty=10.0
        )
    loop = tutorials.train_wgan_gp if critic else tutorials.train_dcgan

    def ours() -> Prepared:
        generator, discriminator = our_game(side, critic, device)

        def run() -> list[tuple[float, float]]:
            history = train.fit_gan(generator, discriminator, x, LATENT_DIM, settings, max_steps=steps, progress=False)
            return list(zip(history.discriminator_loss, history.generator_loss, strict=True))

        return Prepared((generator, discriminator), run)

    def theirs() -> Prepared:
        generator = tutorials.Generator(side, LATENT_DIM, WIDTH).to(device)
        discriminator = tutorials.Discriminator(side, WIDTH, critic).to(device)
        run = partial(loop, generator, discriminator, x, steps, LATENT_DIM, batch)
        return Prepared((generator, discriminator), run)

    return ours, theirs


def _dcgan(side: int, device: torch.device, quick: bool) -> list[Case]:
    steps, n = _steps("dcgan", side, quick), _count("dcgan", side, quick)
    training = _game("dcgan", side, device, steps)

    def our_samples() -> Prepared:
        generator = nets.dcgan_generator(LATENT_DIM, WIDTH, side=side).to(device).eval()

        def run() -> Tensor:
            with torch.no_grad():
                return generator(torch.randn(n, LATENT_DIM).to(device)).cpu()

        return Prepared((generator,), run)

    def their_samples() -> Prepared:
        generator = tutorials.Generator(side, LATENT_DIM, WIDTH).to(device)
        return Prepared((generator,), partial(tutorials.sample_gan, generator, n, LATENT_DIM))

    return [
        Case("dcgan", side, "training step", "tutorial", steps, *training),
        Case("dcgan", side, "sampling", "tutorial", n, our_samples, their_samples),
    ]


def _wgan_gp(side: int, device: torch.device, quick: bool) -> list[Case]:
    """Its sampling is the DCGAN's: the generators are the same."""
    steps = _steps("wgan_gp", side, quick)
    training = _game("wgan_gp", side, device, steps)
    return [Case("wgan_gp", side, "training step", "tutorial", steps, *training)]


# --- diffusion --------------------------------------------------------------------------------------------------------


def our_unet(side: int, device: torch.device) -> unet.UNet:
    return unet.UNet(multipliers=MULTIPLIERS[side]).to(device)


def their_unet(side: int, device: torch.device) -> tutorials.Unet:
    return tutorials.Unet(dim_mults=MULTIPLIERS[side]).to(device)


def _diffusion(side: int, device: torch.device, quick: bool) -> list[Case]:
    from benchmarks.speed import peers  # diffusers takes seconds to import

    steps, n, batch = _steps("diffusion", side, quick), _count("diffusion", side, quick), BATCH["diffusion"][side]
    x, schedule, shape = 2 * images(side) - 1, diffusion.cosine_schedule(T), (n, 1, side, side)
    tables = tutorials.Diffusion(T, device)

    def our_training() -> Prepared:
        model = our_unet(side, device)
        settings = train.DiffusionSettings(epochs=10_000, batch_size=batch)
        return Prepared((model,), partial(_losses, train.fit_diffusion, model, x, schedule, settings, max_steps=steps))

    def tutorial_training(ema: bool) -> Prepared:
        model = their_unet(side, device)
        return Prepared((model,), partial(tutorials.train_diffusion, model, x, tables, steps, batch, ema=ema))

    def diffusers_training() -> Prepared:
        model = peers.unet(side).to(device)
        return Prepared((model,), partial(peers.train_diffusion, model, x, steps, T, batch))

    def ours(sampler: Callable[..., Tensor], **named: object) -> Prepared:
        model = our_unet(side, device).eval()
        return Prepared((model,), lambda: sampler(model, shape, schedule, **named).cpu())

    def theirs(sampler: Callable[..., Tensor]) -> Prepared:
        model = their_unet(side, device)
        return Prepared((model,), partial(sampler, model, shape))

    def pipeline(make: Callable, calls: int) -> Prepared:
        model = peers.unet(side).to(device)
        pipe = make(model, T)
        return Prepared((model,), partial(pipe, batch_size=n, num_inference_steps=calls, output_type="numpy"))

    # The tutorials' ancestral sampler doesn't clip the guess at x_0, and their DDIM and diffusers' samplers do.
    ancestral = partial(ours, diffusion.sample)
    clipped = partial(ours, diffusion.sample, clip=RANGE)
    fast = partial(ours, diffusion.ddim_sample, steps=DDIM_STEPS, clip=RANGE)
    few = f"DDIM, {DDIM_STEPS} steps"

    def case(what: str, peer: str, units: int, our: Callable[[], Prepared], their: Callable[[], Prepared]) -> Case:
        return Case("diffusion", side, what, peer, units, our, their)

    return [
        case("training step", "tutorial", steps, our_training, partial(tutorial_training, False)),
        case("training step", "tutorial, clipped, averaged", steps, our_training, partial(tutorial_training, True)),
        case("training step", "diffusers", steps, our_training, diffusers_training),
        case(f"sampling, {T} steps", "tutorial", n, ancestral, partial(theirs, tables.sample)),
        case(f"sampling, {T} steps", "diffusers", n, clipped, partial(pipeline, peers.ddpm_pipeline, T)),
        case(f"sampling, {few}", "tutorial", n, fast, partial(theirs, partial(tables.ddim_sample, steps=DDIM_STEPS))),
        case(f"sampling, {few}", "diffusers", n, fast, partial(pipeline, peers.ddim_pipeline, DDIM_STEPS)),
    ]
