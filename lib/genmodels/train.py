"""Training: one readable loop for each model, and what it needs around it.

A run is a function of its settings. Whatever is random in a step is drawn from (seed, step) or (seed, epoch) alone, so
a run that was stopped and resumed from its checkpoint goes on bit for bit as if nothing had happened.
"""

import copy
import dataclasses
import math
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset
from tqdm.auto import tqdm

from genmodels import diffusion, gan, speed
from genmodels._memory import explain_out_of_memory
from genmodels._shapes import require_choice, require_positive
from genmodels.autoregressive import PixelCNN
from genmodels.batches import Batches, Draws, seeded_generator
from genmodels.batches import minibatch as minibatch  # of interest to whoever writes a loop of their own
from genmodels.batches import step_generator as step_generator
from genmodels.diffusion import Schedule
from genmodels.team import Team, find_team
from genmodels.vae import VAE

VAELoss = Callable[[VAE, Tensor, Tensor], Tensor]
Model = TypeVar("Model", bound=nn.Module)
SCALES = ("smoke", "cpu", "gpu")
Value = TypeVar("Value")


def scaled(smoke: Value, cpu: Value, gpu: Value) -> Value:
    """The one of three sizes that the environment variable ``GENMODELS_SCALE`` picks (default ``cpu``).

    Raises
    ------
    ValueError
        If the variable holds another word.
    """
    scale = os.environ.get("GENMODELS_SCALE", "cpu")
    require_choice("GENMODELS_SCALE", scale, SCALES)
    return {"smoke": smoke, "cpu": cpu, "gpu": gpu}[scale]


def find_device() -> torch.device:
    """The accelerator if there is one, else the CPU: a device is found, never asked for.

    Each of several processes that ``torchrun`` started gets a GPU of its own.
    """
    if torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


@dataclass(frozen=True)
class Settings:
    """What defines a run: two runs with equal settings on one machine end with equal weights."""

    epochs: int = 200
    batch_size: int = 128
    learning_rate: float = 2e-3
    seed: int = 0
    checkpoint_every: int = 500  # steps
    precision: str = "float32"  # of products and convolutions; "bfloat16" for a GPU
    compile: str = "off"  # a mode of torch.compile: pays back in long runs on a GPU

    def __post_init__(self) -> None:
        require_choice("precision", self.precision, speed.PRECISIONS)
        require_choice("compile", self.compile, speed.COMPILE_MODES)
        for name in ("epochs", "batch_size", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        require_positive("learning_rate", self.learning_rate)


class VAESettings(Settings):
    """The settings of ``fit_vae``."""


@dataclass(frozen=True)
class PixelCNNSettings(Settings):
    """The settings of ``fit_pixelcnn``."""

    epochs: int = 40
    learning_rate: float = 3e-3


@dataclass
class History:
    """What a run leaves beside the weights: the mean loss of each step's batch, in nats, and the steps in an epoch."""

    steps_per_epoch: int
    loss: list[float] = field(default_factory=list)


Data = Tensor | Dataset[Any]
Noise = Callable[..., Tensor]


def fit(
    model: Model,
    x: Data,
    settings: Settings,
    loss: Callable[[Model, Tensor, Noise], Tensor],
    max_steps: int | None = None,
    checkpoint: str | Path | None = None,
    progress: bool = True,
) -> History:
    """Train a model in place on x (N, ...), by Adam on the mean of a loss over minibatches.

    ``loss(model, x, noise)`` takes a batch (B, ...) to (B,) in nats; ``noise(D)`` gives it fresh standard normal noise
    (B, D). ``x`` may be a data set that is streamed, see ``genmodels.batches.Batches``. ``max_steps`` ends the run
    early. With ``checkpoint``, the run is saved there as it goes, at its end and when it is interrupted, and goes on
    from there if the file exists. The model stays on the device where it is. Started by ``torchrun``, the processes
    train together (``genmodels.team``).

    Raises
    ------
    ValueError
        If ``x`` doesn't suit the model, the loss is not of shape (B,), or the checkpoint is of other settings or data.
    FloatingPointError
        If the loss or its gradient is no longer finite: names the step; the last checkpoint is from before it.
    TeamError
        If another process of the run has ended.
    """
    device = next(model.parameters()).device
    team = find_team(device)
    batches = Batches(x, settings.batch_size, settings.seed, device, team)
    history = History(steps_per_epoch=batches.steps_per_epoch)
    with _prepared(settings, device, team, model) as (network,), deferred_interrupt() as interrupted:
        optimizer = speed.adam(model.parameters(), settings.learning_rate)
        curves = speed.Curves({"loss": history.loss}, device)
        run = Checkpoint(checkpoint, {"model": model, "optimizer": optimizer}, curves, settings, batches.shape, team)
        run.load()
        last = last_step(settings.epochs * history.steps_per_epoch, max_steps)
        for step in (bar := _bar(len(history.loss), last, progress and team.leads)):
            batch, n = batches[step], batches.size(step)  # ours (B, ...), and how many all processes see
            noise = partial(batches.draws(step).normal, n)
            with speed.autocast(device, settings.precision):
                losses = loss(network, batch, noise)
            _require_losses(losses, len(batch))
            mean_loss, length = _descend(optimizer, losses.mean(), "the loss", team, n)
            curves.note(step, loss=mean_loss, gradient=length)
            _show(bar, nats=history.loss)
            run.after(step, interrupted)
        run.save()
    model.eval()
    return history


@contextmanager
def _prepared(settings: Settings, device: torch.device, team: Team, *networks: Model) -> Iterator[Sequence[Model]]:
    """The networks in training mode, alike in all processes and as fast as they can be; the same weights as before."""
    team.begin_alike(*networks)
    with ExitStack() as stack:
        stack.enter_context(speed.channels_last(*networks))
        stack.enter_context(speed.tensor_cores(device))
        yield [speed.compiled(network.train(), settings.compile) for network in networks]


def _bar(first: int, last: int, shown: bool) -> "tqdm[int]":
    return tqdm(range(first, last), initial=first, total=last, disable=not shown)


def _show(bar: "tqdm[int]", **curves: list[float]) -> None:
    """Write the last number that is known of each curve beside the progress bar."""
    bar.set_postfix({name: f"{curve[-1]:.3g}" for name, curve in curves.items() if curve}, refresh=False)


def _require_losses(losses: Tensor, examples: int) -> None:
    if losses.shape != (examples,):
        raise ValueError(f"loss must return shape ({examples},), got {tuple(losses.shape)}")


def last_step(all_steps: int, max_steps: int | None) -> int:
    """Where a run ends: after all of its steps, or earlier. Raises ValueError if ``max_steps`` is negative."""
    if max_steps is not None and max_steps < 0:
        raise ValueError(f"max_steps must not be negative, got {max_steps}")
    return all_steps if max_steps is None else min(all_steps, max_steps)


def negative_elbo(model: VAE, x: Tensor, eps: Tensor) -> Tensor:
    """The loss of a VAE: minus the bound, (B,) in nats, from x (B, ...) and noise eps (B, D)."""
    return -model(x, eps).elbo


def beta_loss(beta: float) -> VAELoss:
    """The loss of a beta-VAE, kl weighted by ``beta``: beta kl - recon. Its negative is the bound
    for ``beta`` 1, a looser bound above, and a bound on nothing below.

    Equation ``beta-vae``. Raises ValueError if ``beta`` is not positive.
    """
    require_positive("beta", beta)

    def loss(model: VAE, x: Tensor, eps: Tensor) -> Tensor:
        terms = model(x, eps)
        return beta * terms.kl - terms.recon

    return loss


def fit_vae(
    model: VAE,
    x: Data,
    settings: VAESettings | None = None,
    loss: VAELoss = negative_elbo,
    max_steps: int | None = None,
    checkpoint: str | Path | None = None,
    progress: bool = True,
) -> History:
    """Train a VAE in place on x (N, ...): ``fit`` with one code for each example and step.

    ``loss(model, x, eps)`` takes a batch (B, ...) and noise (B, D) to (B,), so that your own bound can train the model.
    The other arguments, and what raises, are as for ``fit``.
    """

    def with_noise(model: VAE, batch: Tensor, noise: Noise) -> Tensor:
        return loss(model, batch, noise(model.latent_dim))

    return fit(model, x, settings or VAESettings(), with_noise, max_steps, checkpoint, progress)


def fit_pixelcnn(
    model: PixelCNN,
    x: Data,
    settings: PixelCNNSettings | None = None,
    max_steps: int | None = None,
    checkpoint: str | Path | None = None,
    progress: bool = True,
) -> History:
    """Train a PixelCNN in place on binary images x (N, C, H, W), by its exact likelihood. Arguments as for ``fit``."""

    def negative_log_likelihood(model: PixelCNN, batch: Tensor, _: Noise) -> Tensor:
        return -model.log_prob(batch)

    return fit(model, x, settings or PixelCNNSettings(), negative_log_likelihood, max_steps, checkpoint, progress)


@dataclass(frozen=True)
class GANSettings(Settings):
    """The settings of ``fit_gan``. ``epochs`` count passes of the discriminator over the data."""

    epochs: int = 150
    batch_size: int = 64
    learning_rate: float = 1e-3  # the generator's
    discriminator_learning_rate: float = 1e-3
    beta_1: float = 0.5  # Adam's first moment; Radford et al. found the usual 0.9 unstable
    kind: str = "non_saturating"  # of the losses that fit_gan is not given
    discriminator_steps: int = 1  # for each step of the generator
    fresh_codes: bool = True  # for the generator's step; else it is judged by the fakes that D has just learnt from
    gradient_penalty: float = 0.0  # its weight; 10 in WGAN-GP
    clip: float = 0.0  # if positive, the discriminator's weights are kept within it; 0.01 in WGAN
    ema_decay: float = 0.0  # of the average of the generator's weights that is left at the end; 0: the last weights
    snapshot_every: int = 0  # if positive, samples of fixed codes are kept every so many steps

    def __post_init__(self) -> None:
        super().__post_init__()
        require_choice("kind", self.kind, gan.KINDS)
        require_positive("discriminator_learning_rate", self.discriminator_learning_rate)
        if self.discriminator_steps < 1:
            raise ValueError(f"discriminator_steps must be at least 1, got {self.discriminator_steps}")
        for name in ("gradient_penalty", "clip", "snapshot_every"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be zero or a positive finite number, got {getattr(self, name)}")
        for name in ("beta_1", "ema_decay"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must lie in [0, 1), got {getattr(self, name)}")

    def generator_steps(self, n: int) -> int:
        """How many steps a run over n examples has."""
        return self.epochs * math.ceil(n / self.batch_size) // self.discriminator_steps


@dataclass
class GANHistory:
    """What a run of ``fit_gan`` leaves for each step of the generator: the losses alone would tell nothing.

    ``d_real`` and ``d_fake`` are the means of D(x), before the step, and of D(G(z)), when G learns from it: a sigmoid
    of the logits, whatever the loss. ``gradient`` is the length of the generator's gradient. ``snapshots`` are samples
    (100, ...) of the same codes by what the run would leave at steps 0, snapshot_every, ..., in evaluation mode and on
    the CPU.
    """

    discriminator_loss: list[float] = field(default_factory=list)
    generator_loss: list[float] = field(default_factory=list)
    d_real: list[float] = field(default_factory=list)
    d_fake: list[float] = field(default_factory=list)
    gradient: list[float] = field(default_factory=list)
    snapshots: list[Tensor] = field(default_factory=list)


def fit_gan(
    generator: nn.Module,
    discriminator: nn.Module,
    x: Data,
    latent_dim: int,
    settings: GANSettings | None = None,
    discriminator_loss: Callable[[Tensor, Tensor], Tensor] | None = None,
    generator_loss: Callable[[Tensor], Tensor] | None = None,
    max_steps: int | None = None,
    checkpoint: str | Path | None = None,
    progress: bool = True,
) -> GANHistory:
    """Play the game in place on x (N, ...): update D, then update G, as on the lecture's slide; the two are one step.

    ``generator`` takes codes (B, latent_dim) to (B, ...), ``discriminator`` takes (B, ...) to logits. A loss that is
    given takes logits, ``discriminator_loss(real_logits, fake_logits)`` or ``generator_loss(fake_logits)``, to (); the
    others are those of ``settings.kind``. With ``settings.ema_decay``, the generator holds the running average of its
    weights at the end of the run, as in ``fit_diffusion``. ``max_steps`` and ``checkpoint`` are as for ``fit``.

    Raises
    ------
    ValueError
        If ``x`` is no batch or holds no example, a loss is not of shape () or does not depend on the weights that it is
        to train, or the checkpoint is of other settings or data.
    FloatingPointError
        If a loss or its gradient is no longer finite: names the step; the last checkpoint is from before it.
    """
    settings = settings or GANSettings()
    loss_of_d = discriminator_loss or partial(gan.discriminator_loss, kind=settings.kind)
    loss_of_g = generator_loss or partial(gan.generator_loss, kind=settings.kind)
    device, turns, history = next(generator.parameters()).device, settings.discriminator_steps, GANHistory()
    team = find_team(device)
    batches = Batches(x, settings.batch_size, settings.seed, device, team)
    with _prepared(settings, device, team, generator, discriminator) as (g, d), deferred_interrupt() as interrupted:
        betas, game = (settings.beta_1, 0.999), nn.ModuleDict({"generator": generator, "discriminator": discriminator})
        average = _kept_average(game, settings.ema_decay)
        d_optimizer = speed.adam(discriminator.parameters(), settings.discriminator_learning_rate, betas)
        g_optimizer = speed.adam(generator.parameters(), settings.learning_rate, betas)
        parts, curves = {"game": game, "d": d_optimizer, "g": g_optimizer}, speed.Curves(vars(history), device)
        run = Checkpoint(checkpoint, parts, curves, settings, batches.shape, team)
        run.load()
        last = last_step(settings.generator_steps(batches.shape[0]), max_steps)
        for step in (bar := _bar(len(history.gradient), last, progress and team.leads)):
            draw = batches.draws(step)
            for turn in range(step * turns, (step + 1) * turns):
                real, n = batches[turn], batches.size(turn)  # ours (B, ...), and how many all processes see
                with speed.autocast(device, settings.precision):
                    with torch.set_grad_enabled(not settings.fresh_codes):  # no way back into G, unless it learns too
                        fake = g(draw.normal(n, latent_dim))
                    as_they_are = fake.detach()  # what D learns from: nothing flows back into G
                    real_logits = d(real)
                    loss_d = loss_of_d(real_logits, d(as_they_are))
                    loss_d = loss_d + _weighted_penalty(d, real, as_they_are, settings.gradient_penalty, draw, n)
                loss_d, length = _descend(d_optimizer, loss_d, "discriminator_loss", team, n, settings.clip)
                curves.note(step, loss_of_d=loss_d, its_gradient=length)
            with speed.autocast(device, settings.precision):
                fake = g(draw.normal(n, latent_dim)) if settings.fresh_codes else fake
                fake_logits = d(fake)  # of the updated D
                loss_g = loss_of_g(fake_logits)
            loss_g, length = _descend(g_optimizer, loss_g, "generator_loss", team, n)
            if average is not generator:
                update_ema(average, generator, ema_decay_at(step, settings.ema_decay))
            _note(curves, step, loss_d, loss_g, real_logits, fake_logits, length, team, n)
            if settings.snapshot_every and step % settings.snapshot_every == 0:
                history.snapshots.append(_snapshot(average, latent_dim, settings.seed))
            _show(bar, d_real=history.d_real, d_fake=history.d_fake)
            run.after(step, interrupted)
        run.save()
    generator.load_state_dict(average.state_dict())
    game.eval()
    return history


def _kept_average(game: nn.ModuleDict, decay: float) -> nn.Module:
    """A copy of the game's generator that is saved with it, to be its running average; without a decay, itself."""
    if not decay:
        return game["generator"]
    game["average"] = copy.deepcopy(game["generator"]).requires_grad_(False)
    return game["average"]


@dataclass(frozen=True)
class DiffusionSettings(Settings):
    """The settings of ``fit_diffusion``."""

    epochs: int = 300
    learning_rate: float = 2e-3
    ema_decay: float = 0.999  # of the average of the weights that samples are drawn with; 0: the last weights
    max_gradient: float = 1.0  # a longer gradient is shortened to this length; 0: none is

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.ema_decay < 1:
            raise ValueError(f"ema_decay must lie in [0, 1), got {self.ema_decay}")
        if not 0 <= self.max_gradient < math.inf:
            raise ValueError(f"max_gradient must be zero or a positive finite number, got {self.max_gradient}")


def fit_diffusion(
    model: nn.Module,
    x: Data,
    schedule: Schedule,
    settings: DiffusionSettings | None = None,
    loss: Callable[[nn.Module, Tensor, Tensor, Tensor, Schedule], Tensor] = diffusion.eps_loss,
    max_steps: int | None = None,
    checkpoint: str | Path | None = None,
    progress: bool = True,
) -> History:
    """Train a noise predictor in place on x (N, ...): for each example of a batch one t in 1 .. T and one noise.

    ``model(xt, t)`` predicts the noise; ``loss(model, x0, t, eps, schedule)`` takes x0 (B, ...), t (B,) and
    eps (B, ...) to (B,). At the end of the run the model holds the running average of its weights, see ``update_ema``;
    the checkpoint holds the weights of the last step as well, so that a run goes on from these. ``max_steps`` and
    ``checkpoint`` are as for ``fit``, and the history holds the mean loss of each step's batch.

    Raises
    ------
    ValueError
        If ``x`` doesn't suit the model, the loss is not of shape (B,), or the checkpoint is of other settings, data or
        another schedule.
    FloatingPointError
        If the loss or its gradient is no longer finite: names the step; the last checkpoint is from before it.
    torch.OutOfMemoryError
        If a batch is too large for the device.
    """
    settings = settings or DiffusionSettings()
    device = next(model.parameters()).device
    team = find_team(device)
    batches = Batches(x, settings.batch_size, settings.seed, device, team)
    history = History(steps_per_epoch=batches.steps_per_epoch)
    advice = "give the settings a smaller batch_size, a half to begin with"
    with (
        explain_out_of_memory(f"A batch of {settings.batch_size}", advice),
        _prepared(settings, device, team, model) as (network,),
        deferred_interrupt() as interrupted,
    ):
        optimizer = speed.adam(model.parameters(), settings.learning_rate)
        average = copy.deepcopy(model).requires_grad_(False)
        parts = {"model": model, "average": average, "optimizer": optimizer}
        curves = speed.Curves({"loss": history.loss}, device)
        run = Checkpoint(checkpoint, parts, curves, settings, batches.shape, team, _identity_of(schedule))
        run.load()
        last = last_step(settings.epochs * history.steps_per_epoch, max_steps)
        for step in (bar := _bar(len(history.loss), last, progress and team.leads)):
            x0, n = batches[step], batches.size(step)  # ours (B, ...), and how many all processes see
            draw = batches.draws(step)
            t = draw.integers(n, 1, schedule.T)
            eps = draw.normal(n, *x0.shape[1:], dtype=x0.dtype)
            with speed.autocast(device, settings.precision):
                losses = loss(network, x0, t, eps, schedule)
            _require_losses(losses, len(x0))
            mean_loss, length = _descend(
                optimizer, losses.mean(), "the loss", team, n, max_gradient=settings.max_gradient
            )
            curves.note(step, loss=mean_loss, gradient=length)
            update_ema(average, model, ema_decay_at(step, settings.ema_decay))
            _show(bar, loss=history.loss)
            run.after(step, interrupted)
        run.save()
    model.load_state_dict(average.state_dict())
    model.eval()
    return history


def ema_decay_at(step: int, decay: float) -> float:
    """The decay of step 0, 1, ...: (1 + step) / (10 + step) until that reaches ``decay``.

    An average over the last thousand steps would at first be mostly the untrained weights.
    """
    return min(decay, (1 + step) / (10 + step))


@torch.no_grad()
def update_ema(average: nn.Module, model: nn.Module, decay: float) -> None:
    """One step of an exponential moving average of weights, in place: average = decay average + (1 - decay) model.

    Equation ``dif-ema``.

    Buffers, such as running statistics, are averages already, or counts: they are copied.
    """
    torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), 1 - decay)  # one call for all weights
    for kept, buffer in zip(average.buffers(), model.buffers(), strict=True):
        kept.copy_(buffer)


def _identity_of(schedule: Schedule) -> dict[str, object]:
    """Numbers that tell one schedule from another, for a checkpoint."""
    return {"T": schedule.T, "mean_alpha_bar": schedule.alpha_bar.mean().item()}


def _weighted_penalty(
    discriminator: nn.Module, real: Tensor, fake: Tensor, weight: float, draw: Draws, n: int
) -> Tensor:
    """The mean gradient penalty times its weight: (). With no weight it is not computed."""
    if not weight:
        return torch.zeros((), device=real.device)
    return weight * gan.gradient_penalty(discriminator, real, fake, draw.uniform(n)).mean()


def _descend(
    optimizer: torch.optim.Optimizer,
    loss: Tensor,
    name: str,
    team: Team,
    n: int,
    clip: float = 0.0,
    max_gradient: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """One step down a mean over this process's share of ``n`` examples, by the gradient of the mean over all of them.

    Returns that mean () and the length () of its gradient, as it was found. If ``max_gradient`` is positive, a longer
    gradient is shortened to it; if ``clip`` is, weights are then kept within. Where one of the two is not finite, the
    weights are left alone: what is not finite never becomes a weight, and ``speed.Curves`` stops the run.
    """
    if loss.shape != ():
        raise ValueError(f"{name} must return shape (), got {tuple(loss.shape)}")
    optimizer.zero_grad()
    if loss.requires_grad:
        loss.backward()
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    gradients = [weight.grad for weight in weights if weight.grad is not None]
    if not gradients:
        raise ValueError(f"{name} must depend on the weights that it is to train; is something detached on the way?")
    loss = loss.detach() * team.weight(n)
    if team.size > 1:
        torch._foreach_mul_(gradients, team.weight(n))
    team.add_up([loss, *gradients])
    length = nn.utils.get_total_norm(gradients)
    speed.skip_step_if(~(loss.isfinite() & length.isfinite()), optimizer)
    if max_gradient:
        torch._foreach_mul_(gradients, (max_gradient / length).clamp(max=1))
    optimizer.step()
    if clip:
        with torch.no_grad():
            for weight in weights:
                weight.clamp_(-clip, clip)
    return loss, length


@torch.no_grad()
def _note(
    curves: speed.Curves,
    step: int,
    loss_d: Tensor,
    loss_g: Tensor,
    real_logits: Tensor,
    fake_logits: Tensor,
    gradient: Tensor,
    team: Team,
    n: int,
) -> None:
    """Note a step of the game."""
    d_real, d_fake = (torch.sigmoid(logits).mean() * team.weight(n) for logits in (real_logits, fake_logits))
    team.add_up([d_real, d_fake])
    curves.note(step, discriminator_loss=loss_d, generator_loss=loss_g, d_real=d_real, d_fake=d_fake, gradient=gradient)


@torch.no_grad()
def _snapshot(generator: nn.Module, latent_dim: int, seed: int) -> Tensor:
    """Samples (100, ...) of a run's same codes, in evaluation mode and on the CPU; the mode is put back."""
    z = torch.randn(100, latent_dim, generator=seeded_generator(seed, 1, -1))
    generator.eval()
    samples = generator(z.to(next(generator.parameters()).device)).cpu()
    generator.train()
    return samples


@contextmanager
def deferred_interrupt() -> Iterator[threading.Event]:
    """Turn Ctrl-C into an event to look at between steps: a step is then done whole or not at all.

    A second Ctrl-C interrupts at once: the way out of a step that never ends.
    """
    interrupted = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield interrupted  # only the main thread may handle signals, and only it is interrupted
        return

    def handle(signum: int, frame: FrameType | None) -> None:
        if interrupted.is_set():
            raise KeyboardInterrupt
        interrupted.set()

    previous = signal.signal(signal.SIGINT, handle)
    try:
        yield interrupted
    finally:
        signal.signal(signal.SIGINT, previous)


@dataclass
class Checkpoint:
    """A run's state on disk: networks, optimisers, curves, and the settings it belongs to. Without a path, nothing.

    The leader of a team reads and writes it.
    """

    path: str | Path | None
    parts: dict[str, Any]  # networks and optimisers
    curves: speed.Curves
    settings: Settings
    data_shape: Sequence[int]
    team: Team = field(default_factory=Team)
    identity: dict[str, object] = field(default_factory=dict)  # what else must be the same for a run to go on

    def save(self) -> None:
        """Write the state; a crash while writing leaves the old file whole.

        Raises FloatingPointError, and writes nothing, if a number of the run is not finite.
        """
        self.curves.fetch()
        if self.path is None or not self.team.leads:
            return
        path = Path(self.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(path.name + ".partial")
        torch.save(
            {
                "run": self._identity(),
                **{name: part.state_dict() for name, part in self.parts.items()},
                **self.curves.lists,
            },
            draft,
        )
        os.replace(draft, path)

    def after(self, step: int, interrupted: threading.Event) -> None:
        """Save the state if it is time to, or if the run was interrupted, which ends here with a KeyboardInterrupt."""
        if interrupted.is_set() or (step + 1) % self.settings.checkpoint_every == 0:
            self.save()
        if interrupted.is_set():
            raise KeyboardInterrupt(f"training interrupted after step {step}")

    def load(self) -> None:
        """Take the state over from the file, if there is one. Raises ValueError if it is not this run's."""
        if self.path is None:
            return
        state = self.team.from_leader(self._read)
        if state is None:
            return
        for name, part in self.parts.items():
            part.load_state_dict(state[name])
            if isinstance(part, torch.optim.Optimizer):
                _lay_out_alike(part)
        for name, curve in self.curves.lists.items():
            curve[:] = state[name]

    def _read(self) -> dict[str, Any] | None:
        """The file's contents; None if there is no file."""
        if self.path is None or not Path(self.path).exists():
            return None
        try:
            state = torch.load(self.path, weights_only=True, map_location="cpu")
            found = state["run"]
        except Exception as error:
            raise ValueError(
                f"checkpoint {str(self.path)!r} can't be read ({error}); delete it to start anew"
            ) from error
        wanted = self._identity()
        # A file from before a setting existed was written with its default.
        defaults = {option.name: option.default for option in dataclasses.fields(self.settings)}
        differing = [name for name in wanted if found.get(name, defaults.get(name)) != wanted[name]]
        if differing:
            name = differing[0]
            raise ValueError(
                f"checkpoint {str(self.path)!r} belongs to a run with {name}={found.get(name)!r}, "
                f"not {wanted[name]!r}; use the same settings and data, or another path"
            )
        return state

    def _identity(self) -> dict[str, object]:
        # More epochs, other checkpoints or a compiler don't change what a step does.
        settings = dataclasses.asdict(self.settings)
        for name in ("epochs", "checkpoint_every", "compile"):
            del settings[name]
        networks = [part for part in self.parts.values() if isinstance(part, nn.Module)]
        shapes = [list(p.shape) for network in networks for p in network.parameters()]
        return {**settings, **self.identity, "data_shape": list(self.data_shape), "parameter_shapes": shapes}


def _lay_out_alike(optimizer: torch.optim.Optimizer) -> None:
    """Give what an optimiser remembers of a weight the weight's own layout: a fused step takes them side by side."""
    for weight, memory in optimizer.state.items():
        for name, value in memory.items():
            if value.shape == weight.shape:
                memory[name] = torch.empty_like(weight, requires_grad=False).copy_(value)


@torch.no_grad()
def evaluate_elbo(model: VAE, x: Tensor, samples: int = 16, seed: int = 0) -> float:
    """The mean bound over x (N, ...) in nats, from ``samples`` draws of z for each example."""
    if samples < 1:
        raise ValueError(f"samples must be at least 1, got {samples}")
    device = next(model.parameters()).device
    x = x.to(device)
    generator = torch.Generator().manual_seed(seed)
    total = 0.0
    for _ in range(samples):
        eps = torch.randn(len(x), model.latent_dim, generator=generator).to(device)
        total += model(x, eps).elbo.mean().item()
    return total / samples
