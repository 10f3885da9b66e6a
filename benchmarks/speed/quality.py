"""How soon each model of the digits is good: 120 seconds of training on one thread, looked at on the way.

Seconds are of the processor and of training alone: what is looked at on the way is not counted, since a person who
trains doesn't look. A run goes on from its own checkpoint, so what is trained is what one call of `train.fit_...` would
have trained.

The measure is the Fréchet distance of 2,000 samples from all 1,797 digits on the penultimate layer of the shipped
classifier. Its features are as large as its weights make them, so a raw distance means nothing beside that of another
classifier. `scaled` divides by the mean variance of a feature over the digits, tr(C) / D, which makes it free of scale:
features that are all twice as large give the same. Two halves of the training digits show what a perfect generator of
so few images would get, and the held-out digits beside the training ones what other people's handwriting gets.
Precision is the share of samples within reach of a digit, recall that of digits within reach of a sample (k = 5).
"""

import dataclasses
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path

import torch
from torch import Tensor, nn

from autograder.inside.tensors import warm
from genmodels import data, diffusion, metrics, nets, pretrained, train, unet, vae
from genmodels._tables import at_times

SEEDS = (0, 1, 2)
SECONDS = 120.0
SAMPLES = 2000
Fit = Callable[..., object]


# --- the measure ------------------------------------------------------------------------------------------------------


@cache
def classifier_features() -> nn.Module:
    """The shipped classifier without its last layer: (B, 1, 8, 8) in [0, 1] → (B, 64)."""
    return pretrained.load("digit_classifier")[:-1]


@torch.no_grad()
def features(x: Tensor) -> Tensor:
    """Images (N, 1, 8, 8) in [0, 1] to features (N, 64), float64."""
    return classifier_features()(x).double()


@cache
def digits(split: str) -> Tensor:
    """Features of the digits: ``train``, ``test`` or ``all``."""
    if split == "all":
        return torch.cat([digits("train"), digits("test")])
    return features(data.digits(split).images)


@dataclass(frozen=True)
class Quality:
    """How close samples are to real images."""

    raw: float  # Fréchet distance
    scaled: float  # over the mean variance of a real feature
    precision: float
    recall: float


def quality(fake: Tensor, real: Tensor) -> Quality:
    """From features (N, D) and (M, D).

    Raises
    ------
    ValueError
        As ``metrics.frechet_distance`` and ``metrics.precision_recall``.
    """
    raw = metrics.frechet_distance(fake, real).item()
    shares = metrics.precision_recall(real, fake)
    return Quality(raw, raw / real.double().var(dim=0).mean().item(), shares.precision, shares.recall)


def baselines() -> dict[str, Quality]:
    """What real digits get: halves of the training digits beside the other halves, the mean of ten random splits, and
    the held-out digits beside all training ones."""
    real, generator, splits = digits("train"), torch.Generator().manual_seed(0), []
    for _ in range(10):
        order = torch.randperm(len(real), generator=generator)
        one, other = real[order].chunk(2)
        splits.append(dataclasses.astuple(quality(one, other)))
    means = (statistics.mean(values) for values in zip(*splits, strict=True))
    return {
        "half of the training digits, beside the other": Quality(*means),
        "held-out digits, beside the training ones": quality(digits("test"), real),
    }


# --- training for so many seconds -------------------------------------------------------------------------------------


@dataclass
class Stage:
    """A part of a run with settings of its own, until so many seconds have been spent since the run began."""

    fit: Fit  # called with max_steps and checkpoint
    until: float


@dataclass
class Progress:
    """How far a run is: seconds of the processor and of the clock spent on training, and steps."""

    cpu: float = 0.0
    clock: float = 0.0
    steps: int = 0


def train_in_slices(stages: Sequence[Stage], marks: Sequence[float], look: Callable[[Progress], None]) -> Progress:
    """Run the stages one after another, and call ``look`` when each of the marks (seconds) has been passed.

    A slice's number of steps is estimated from the one before, so that it ends about at the next mark.
    """
    progress, left = Progress(), sorted(marks)
    for stage in stages:
        with tempfile.TemporaryDirectory() as folder:
            steps, rate = 0, 0.0
            while progress.cpu < stage.until:
                target = min([stage.until, *left])
                more = max(1, round(rate * (target - progress.cpu))) if rate else 4
                cpu, clock = time.process_time(), time.perf_counter()
                stage.fit(max_steps=steps + more, checkpoint=Path(folder) / "run.pt")
                cpu, clock = time.process_time() - cpu, time.perf_counter() - clock
                steps, rate = steps + more, more / cpu
                progress.cpu, progress.clock = progress.cpu + cpu, progress.clock + clock
                progress.steps += more
                while left and progress.cpu >= left[0] * 0.995:  # a slice that ends a few steps before will do
                    left.pop(0)
                    look(progress)
    return progress


# --- the models -------------------------------------------------------------------------------------------------------


class VPrediction(nn.Module):
    """A noise predictor whose network predicts v = sqrt(alpha_bar) eps - sqrt(1 - alpha_bar) x0.

    (Salimans and Ho, Progressive Distillation, 2022.) As a model it gives eps_hat, so that every sampler takes it;
    ``v_loss`` trains it.
    """

    def __init__(self, network: nn.Module, schedule: diffusion.Schedule) -> None:
        super().__init__()
        self.network, self.schedule = network, schedule

    def roots(self, t: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """The roots of alpha_bar and of 1 - alpha_bar at t (B,), to be multiplied with x (B, ...)."""
        tables = (self.schedule.sqrt_alpha_bar, self.schedule.sqrt_one_minus_alpha_bar)
        return tuple(at_times(table, t, x) for table in tables)

    def forward(self, xt: Tensor, t: Tensor) -> Tensor:
        """(B, ...), (B,) → (B, ...)."""
        signal, noise = self.roots(t, xt)
        return signal * self.network(xt, t) + noise * xt


def v_loss(model: VPrediction, x0: Tensor, t: Tensor, eps: Tensor, schedule: diffusion.Schedule) -> Tensor:
    """The squared error of the predicted v, summed over the data's dimensions: → (B,). For ``fit_diffusion``."""
    signal, noise = model.roots(t, x0)
    v_hat = model.network(diffusion.q_sample(x0, t, eps, schedule), t)
    return (signal * eps - noise * x0 - v_hat).square().flatten(1).sum(dim=1)


@dataclass
class Run:
    """One model and seed: its networks, its training, and samples of it as images in [0, 1]."""

    networks: tuple[nn.Module, ...]
    stages: list[Stage]
    samples: Callable[[], Tensor]

    def parameters(self) -> int:
        return sum(p.numel() for network in self.networks for p in network.parameters())


def diffusion_run(seed: int, seconds: float) -> Run:
    """A U-Net of 222,000 parameters that predicts v, at a learning rate of 2e-3 and at last of 4e-4.

    Chosen on seed 10, where by DDIM the same network predicting the noise came to 0.30 and this to 0.24. Widths of 16
    and 64 take four fifths of the time of 24 and 48 (181,000 parameters), which came to 0.42 at one learning rate.
    """
    x, schedule = 2 * data.digits().images - 1, diffusion.cosine_schedule(200)
    model = VPrediction(unet.UNet(width=16, multipliers=(1, 4), seed=seed), schedule)
    stages = []
    for number, (learning_rate, share) in enumerate(((2e-3, 0.7), (4e-4, 1.0))):
        settings = train.DiffusionSettings(
            epochs=1_000_000, learning_rate=learning_rate, seed=seed + 1000 * number, checkpoint_every=10**9
        )
        fit = partial(train.fit_diffusion, model, x, schedule, settings, v_loss, progress=False)
        stages.append(Stage(fit, share * seconds))

    def samples() -> Tensor:
        generator = torch.Generator().manual_seed(100 + seed)
        # Of one run on seed 10 the precision was 0.88 by DDIM in 50 steps, and 0.92 by all 200.
        x0 = diffusion.sample(model, (SAMPLES, 1, 8, 8), schedule, generator, clip=(-1, 1))
        return (x0 + 1) / 2

    return Run((model,), stages, samples)


def dcgan_run(seed: int, seconds: float, ema_decay: float = 0.999) -> Run:
    """A DCGAN whose generator's weights are averaged, from the middle on at a quarter of the learning rates.

    Chosen on seed 10. With a batch of 64 and a discriminator that learns twice as fast it was 0.43 after 35 seconds and
    then between 0.38 and 0.52; with the settings below 0.36 after 61, and 0.32 at last. A spectral norm in the
    discriminator instead of batch normalisation was slower: 0.46 at last. What the average wins is time: without it the
    goal was met 30 to 60 seconds later, and what was reached at last differed by no more than between seeds.
    """
    x, latent_dim, width = 2 * data.digits().images - 1, 16, 48
    generator = nets.dcgan_generator(latent_dim, width, seed=seed)
    discriminator = nets.dcgan_discriminator(width, seed=seed + 1)
    stages = []
    for number, (slower, share) in enumerate(((1.0, 0.5), (0.25, 1.0))):
        settings = train.GANSettings(
            epochs=1_000_000,
            batch_size=128,
            learning_rate=1e-3 * slower,
            discriminator_learning_rate=1e-3 * slower,
            ema_decay=ema_decay,
            seed=seed + 1000 * number,
            checkpoint_every=10**9,
        )
        fit = partial(train.fit_gan, generator, discriminator, x, latent_dim, settings, progress=False)
        stages.append(Stage(fit, share * seconds))

    @torch.no_grad()
    def samples() -> Tensor:
        codes = torch.randn(SAMPLES, latent_dim, generator=torch.Generator().manual_seed(100 + seed))
        return (generator(codes) + 1) / 2

    return Run((generator, discriminator), stages, samples)


# --- the table --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Goal:
    """What a model is to reach, and how it is made and trained for so many seconds."""

    make: Callable[[int, float], Run]
    scaled: float
    shares: float = 0.0  # precision and recall

    def met(self, found: Quality) -> bool:
        return found.scaled <= self.scaled and min(found.precision, found.recall) >= self.shares


GOALS = {
    "diffusion": Goal(diffusion_run, 0.3, 0.9),
    "dcgan": Goal(dcgan_run, 0.4),
    "dcgan, the last weights": Goal(partial(dcgan_run, ema_decay=0.0), 0.4),  # what the average is worth
}
VAE_GOAL = -18.5  # nats, the bound on held-out digits
COLUMNS = (
    "Model", "Seed", "Parameters", "Steps", "Seconds", "By the clock", "Fréchet, scaled", "Fréchet, raw",
    "Over held-out", "Precision", "Recall", "Goal met after",
)  # fmt: skip


@dataclass
class Watch:
    """Looks at a run as it goes, and remembers."""

    run: Run
    goal: Goal
    seen: list[tuple[float, Quality]] = field(default_factory=list)

    def __call__(self, progress: Progress) -> None:
        self.seen.append((progress.cpu, quality(features(self.run.samples()), digits("all"))))

    def first(self) -> str:
        """The first time at which the goal was met, in seconds."""
        return next((f"{seconds:.0f} s" for seconds, found in self.seen if self.goal.met(found)), "not met")


def rows(only: Sequence[str], seconds: float = SECONDS, seeds: Sequence[int] = SEEDS) -> list[list[str | int]]:
    """The baselines, then each model and seed; a model is looked at after each quarter of the time.

    The caller sets the number of threads: the goals are for one.
    """
    warm()  # the first step of a process loads more of torch
    real = baselines()
    held_out = real["held-out digits, beside the training ones"].raw
    made: list[list[str | int]] = []
    for name, found in real.items():
        made.append([name, *["-"] * 5, *_cells(found, held_out), "-"])
    for model in only:
        for seed in seeds:
            made.append(_vae_row(seed, seconds) if model == "vae" else _row(model, seed, seconds, held_out))
    return made


def _cells(found: Quality, held_out: float) -> list[str]:
    shares = (found.precision, found.recall)
    return [f"{found.scaled:.3f}", f"{found.raw:.2f}", f"{found.raw / held_out:.2f}", *(f"{s:.3f}" for s in shares)]


def _row(model: str, seed: int, seconds: float, held_out: float) -> list[str | int]:
    goal = GOALS[model]
    run = goal.make(seed, seconds)
    watch = Watch(run, goal)
    spent = train_in_slices(run.stages, [seconds * quarter / 4 for quarter in (1, 2, 3, 4)], watch)
    head = [model, seed, run.parameters(), spent.steps, f"{spent.cpu:.0f}", f"{spent.clock:.0f}"]
    return [*head, *_cells(watch.seen[-1][1], held_out), watch.first()]


def _vae_row(seed: int, seconds: float) -> list[str | int]:
    """The bound instead of a distance: a tenth of the time is more than enough."""
    x, held_out = (data.binarize(data.digits(split).images) for split in ("train", "test"))
    model = vae.VAE(seed=seed)
    settings = train.VAESettings(epochs=1_000_000, seed=seed, checkpoint_every=10**9)
    seen: list[tuple[float, float]] = []

    def look(progress: Progress) -> None:
        seen.append((progress.cpu, train.evaluate_elbo(model, held_out)))

    fit = partial(train.fit_vae, model, x, settings, progress=False)
    marks = [seconds / 10 * tenth / 10 for tenth in range(1, 11)]
    spent = train_in_slices([Stage(fit, seconds / 10)], marks, look)
    parameters = sum(p.numel() for p in model.parameters())
    first = next((f"{at:.1f} s" for at, bound in seen if bound >= VAE_GOAL), "not met")
    best, last = max(bound for _, bound in seen), seen[-1][1]
    head = [
        f"vae: bound {last:.2f} nats, at best {best:.2f}",
        seed,
        parameters,
        spent.steps,
        f"{spent.cpu:.0f}",
        f"{spent.clock:.0f}",
    ]
    return [*head, *["-"] * 5, first]
