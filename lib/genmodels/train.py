"""Training: one readable loop for each model, and what it needs around it.

A run is a function of its settings. Whatever is random in a step is drawn from (seed, step) or (seed, epoch) alone, so
a run that was stopped and resumed from its checkpoint goes on bit for bit as if nothing had happened.
"""

import dataclasses
import math
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from genmodels import gan
from genmodels._shapes import require_batch, require_choice, require_positive
from genmodels.autoregressive import PixelCNN
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
    """The accelerator if there is one, else the CPU: a device is found, never asked for."""
    if torch.cuda.is_available():
        return torch.device("cuda")
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

    def __post_init__(self) -> None:
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


def fit(
    model: Model,
    x: Tensor,
    settings: Settings,
    loss: Callable[[Model, Tensor, torch.Generator], Tensor],
    max_steps: int | None = None,
    checkpoint: str | Path | None = None,
    progress: bool = True,
) -> History:
    """Train a model in place on x (N, ...), by Adam on the mean of a loss over minibatches.

    ``loss(model, x, generator)`` takes a batch (B, ...) to (B,) in nats; what it draws, it draws from the generator.
    ``max_steps`` ends the run early. With ``checkpoint``, the run is saved there as it goes, at its end and when it is
    interrupted, and goes on from there if the file exists. The model stays on the device where it is.

    Raises
    ------
    ValueError
        If ``x`` doesn't suit the model, the loss is not of shape (B,), or the checkpoint is of other settings or data.
    FloatingPointError
        If the loss is no longer finite: names the step; the last checkpoint is from before it.
    """
    require_batch("x", x)
    device = next(model.parameters()).device
    optimizer = torch.optim.Adam(model.parameters(), lr=settings.learning_rate)
    history = History(steps_per_epoch=math.ceil(len(x) / settings.batch_size))
    run = Checkpoint(checkpoint, {"model": model, "optimizer": optimizer}, {"loss": history.loss}, settings, x)
    run.load()
    last = settings.epochs * history.steps_per_epoch if max_steps is None else max_steps
    model.train()
    bar = tqdm(range(len(history.loss), last), initial=len(history.loss), total=last, disable=not progress)
    with deferred_interrupt() as interrupted:
        for step in bar:
            batch = x[minibatch(len(x), step, settings.batch_size, settings.seed)].to(device)
            losses = loss(model, batch, step_generator(settings.seed, step))
            if losses.shape != (len(batch),):
                raise ValueError(f"loss must return shape ({len(batch)},), got {tuple(losses.shape)}")
            mean_loss = losses.mean()
            if not torch.isfinite(mean_loss):
                raise FloatingPointError(f"the loss is {mean_loss.item()} at step {step}; training stopped")
            optimizer.zero_grad()
            mean_loss.backward()
            optimizer.step()
            history.loss.append(mean_loss.item())
            bar.set_postfix(nats=f"{history.loss[-1]:.2f}", refresh=False)
            if interrupted.is_set() or (step + 1) % settings.checkpoint_every == 0:
                run.save()
            if interrupted.is_set():
                raise KeyboardInterrupt(f"training interrupted after step {step}")
    run.save()
    model.eval()
    return history


def negative_elbo(model: VAE, x: Tensor, eps: Tensor) -> Tensor:
    """The loss of a VAE: minus the bound, (B,) in nats, from x (B, ...) and noise eps (B, D)."""
    return -model(x, eps).elbo


def beta_loss(beta: float) -> VAELoss:
    """The loss of a beta-VAE, kl weighted by ``beta``: beta kl - recon. A bound on nothing unless ``beta`` is 1.

    Equation ``beta-vae``. Raises ValueError if ``beta`` is not positive.
    """
    require_positive("beta", beta)

    def loss(model: VAE, x: Tensor, eps: Tensor) -> Tensor:
        terms = model(x, eps)
        return beta * terms.kl - terms.recon

    return loss


def fit_vae(
    model: VAE,
    x: Tensor,
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

    def with_noise(model: VAE, batch: Tensor, generator: torch.Generator) -> Tensor:
        # The noise is drawn on the CPU, so that one seed gives one run on every device.
        eps = torch.randn(len(batch), model.latent_dim, generator=generator).to(batch.device)
        return loss(model, batch, eps)

    return fit(model, x, settings or VAESettings(), with_noise, max_steps, checkpoint, progress)


def fit_pixelcnn(
    model: PixelCNN,
    x: Tensor,
    settings: PixelCNNSettings | None = None,
    max_steps: int | None = None,
    checkpoint: str | Path | None = None,
    progress: bool = True,
) -> History:
    """Train a PixelCNN in place on binary images x (N, C, H, W), by its exact likelihood. Arguments as for ``fit``."""

    def negative_log_likelihood(model: PixelCNN, batch: Tensor, _: torch.Generator) -> Tensor:
        return -model.log_prob(batch)

    return fit(model, x, settings or PixelCNNSettings(), negative_log_likelihood, max_steps, checkpoint, progress)


@dataclass(frozen=True)
class GANSettings(Settings):
    """The settings of ``fit_gan``. ``epochs`` count passes of the discriminator over the data."""

    epochs: int = 100
    learning_rate: float = 2e-4  # the generator's
    discriminator_learning_rate: float = 2e-4
    beta_1: float = 0.5  # Adam's first moment; Radford et al. found the usual 0.9 unstable
    kind: str = "non_saturating"
    discriminator_steps: int = 1  # for each step of the generator
    gradient_penalty: float = 0.0  # its weight; 10 in WGAN-GP
    clip: float = 0.0  # weights of the discriminator are kept within this; 0.01 in WGAN

    def __post_init__(self) -> None:
        super().__post_init__()
        require_choice("kind", self.kind, gan.GENERATOR_KINDS)
        require_positive("discriminator_learning_rate", self.discriminator_learning_rate)
        if self.discriminator_steps < 1:
            raise ValueError(f"discriminator_steps must be at least 1, got {self.discriminator_steps}")
        for name in ("gradient_penalty", "clip"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        if not 0 <= self.beta_1 < 1:
            raise ValueError(f"beta_1 must lie in [0, 1), got {self.beta_1}")


@dataclass
class GANHistory:
    """What a run of ``fit_gan`` leaves for each step of the generator: the losses alone would tell nothing.

    ``d_real`` and ``d_fake`` are the mean D(x) and D(G(z)), between 0 and 1; ``gradient`` the length of the generator's.
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
    x: Tensor,
    latent_dim: int,
    settings: GANSettings | None = None,
    max_steps: int | None = None,
    checkpoint: str | Path | None = None,
    snapshot_every: int = 0,
    progress: bool = True,
) -> GANHistory:
    """Play the game in place on x (N, ...): update D, then update G, as on the lecture's slide; once is a step.

    With ``snapshot_every``, 100 samples of the same codes are kept that often. Interrupts, ``max_steps`` and
    ``checkpoint`` are as for ``fit``; what raises too.
    """
    settings = settings or GANSettings()
    require_batch("x", x)
    device = next(generator.parameters()).device
    betas = (settings.beta_1, 0.999)
    d_optimizer = torch.optim.Adam(discriminator.parameters(), settings.discriminator_learning_rate, betas)
    g_optimizer = torch.optim.Adam(generator.parameters(), settings.learning_rate, betas)
    history = GANHistory()
    curves = {name: curve for name, curve in vars(history).items() if name != "snapshots"}
    parts = {
        "generator": generator,
        "discriminator": discriminator,
        "d_optimizer": d_optimizer,
        "g_optimizer": g_optimizer,
    }
    run = Checkpoint(checkpoint, parts, curves, settings, x)
    run.load()
    batches = math.ceil(len(x) / settings.batch_size)
    last = settings.epochs * batches // settings.discriminator_steps if max_steps is None else max_steps
    fixed = torch.randn(100, latent_dim, generator=_generator(settings.seed, 0, -1)).to(device)
    start = len(history.generator_loss)
    with deferred_interrupt() as interrupted:
        for step in tqdm(range(start, last), initial=start, total=last, disable=not progress):
            noise = step_generator(settings.seed, step)
            for i in range(settings.discriminator_steps):
                rows = minibatch(len(x), step * settings.discriminator_steps + i, settings.batch_size, settings.seed)
                real = x[rows].to(device)
                z = torch.randn(len(real), latent_dim, generator=noise).to(device)
                fake = generator(z).detach()  # D learns from fakes as they are: nothing flows back into G
                loss_d, real_logits = _update_discriminator(discriminator, d_optimizer, real, fake, settings, noise)
            fake_logits = discriminator(generator(torch.randn(len(real), latent_dim, generator=noise).to(device)))
            loss_g = gan.generator_loss(fake_logits, settings.kind)
            g_optimizer.zero_grad()
            loss_g.backward()
            g_optimizer.step()
            _record(history, step, loss_d, loss_g, real_logits, fake_logits, generator)
            if snapshot_every and step % snapshot_every == 0:
                history.snapshots.append(_sample(generator, fixed))
            if interrupted.is_set() or (step + 1) % settings.checkpoint_every == 0:
                run.save()
            if interrupted.is_set():
                raise KeyboardInterrupt(f"training interrupted after step {step}")
    run.save()
    generator.eval()
    discriminator.eval()
    return history


def _update_discriminator(
    discriminator: nn.Module,
    optimizer: torch.optim.Optimizer,
    real: Tensor,
    fake: Tensor,
    settings: GANSettings,
    noise: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """One step of D on a batch of each; its loss, and its logits for the real examples."""
    real_logits, fake_logits = discriminator(real), discriminator(fake)
    loss = gan.discriminator_loss(real_logits, fake_logits, settings.kind)
    if settings.gradient_penalty:
        u = torch.rand(len(real), generator=noise).to(real.device)
        loss = loss + settings.gradient_penalty * gan.gradient_penalty(discriminator, real, fake, u).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if settings.clip:
        with torch.no_grad():
            for parameter in discriminator.parameters():
                parameter.clamp_(-settings.clip, settings.clip)
    return loss.detach(), real_logits.detach()


def _record(
    history: GANHistory,
    step: int,
    loss_d: Tensor,
    loss_g: Tensor,
    real_logits: Tensor,
    fake_logits: Tensor,
    generator: nn.Module,
) -> None:
    """Note a step's numbers, or stop the run if they are no longer finite."""
    gradients = [p.grad.norm() for p in generator.parameters() if p.grad is not None]
    numbers = {
        "discriminator_loss": loss_d,
        "generator_loss": loss_g.detach(),
        "d_real": torch.sigmoid(real_logits).mean(),
        "d_fake": torch.sigmoid(fake_logits.detach()).mean(),
        "gradient": torch.stack(gradients).norm(),
    }
    for name, number in numbers.items():
        if not torch.isfinite(number):
            raise FloatingPointError(f"{name} is {number.item()} at step {step}; training stopped")
    for name, number in numbers.items():
        getattr(history, name).append(number.item())


@torch.no_grad()
def _sample(generator: nn.Module, z: Tensor) -> Tensor:
    """Samples for fixed codes in evaluation mode, on the CPU; the mode is put back."""
    generator.eval()
    samples = generator(z).cpu()
    generator.train()
    return samples


@contextmanager
def deferred_interrupt() -> Iterator[threading.Event]:
    """Turn Ctrl-C into an event to look at between steps: a step is then done whole or not at all."""
    interrupted = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield interrupted  # only the main thread may handle signals, and only it is interrupted
        return
    previous = signal.signal(signal.SIGINT, lambda *_: interrupted.set())
    try:
        yield interrupted
    finally:
        signal.signal(signal.SIGINT, previous)


def minibatch(n: int, step: int, batch_size: int, seed: int) -> Tensor:
    """The rows (at most batch_size,) that a step sees: each epoch is a permutation of n drawn from (seed, epoch)."""
    epoch, index = divmod(step, math.ceil(n / batch_size))
    order = torch.randperm(n, generator=_generator(seed, 0, epoch))
    return order[index * batch_size : (index + 1) * batch_size]


def step_generator(seed: int, step: int) -> torch.Generator:
    """The source of what a step draws besides its rows: a CPU generator in a state made of (seed, step)."""
    return _generator(seed, 1, step)


def _generator(seed: int, stream: int, index: int) -> torch.Generator:
    # Two streams and a large stride keep (seed, epoch) and (seed, step) from sharing a state.
    return torch.Generator().manual_seed(((seed * 2 + stream) * 1_000_000_007 + index) % 2**63)


@dataclass
class Checkpoint:
    """A run's state on disk: networks and optimisers, curves, and the settings it belongs to. Without a path, nothing."""

    path: str | Path | None
    parts: dict[str, nn.Module | torch.optim.Optimizer]
    curves: dict[str, list[float]]
    settings: Settings
    x: Tensor

    def save(self) -> None:
        """Write the state; a crash while writing leaves the old file whole."""
        if self.path is None:
            return
        path = Path(self.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(path.name + ".partial")
        torch.save(
            {
                "run": self._identity(),
                **{name: part.state_dict() for name, part in self.parts.items()},
                **self.curves,
            },
            draft,
        )
        os.replace(draft, path)

    def load(self) -> None:
        """Take the state over from the file, if there is one. Raises ValueError if it is not this run's."""
        if self.path is None or not Path(self.path).exists():
            return
        try:
            state = torch.load(self.path, weights_only=True, map_location="cpu")
            found = state["run"]
        except Exception as error:
            raise ValueError(
                f"checkpoint {str(self.path)!r} can't be read ({error}); delete it to start anew"
            ) from error
        wanted = self._identity()
        differing = [name for name in wanted if found.get(name) != wanted[name]]
        if differing:
            name = differing[0]
            raise ValueError(
                f"checkpoint {str(self.path)!r} belongs to a run with {name}={found.get(name)!r}, "
                f"not {wanted[name]!r}; use the same settings and data, or another path"
            )
        for name, part in self.parts.items():
            part.load_state_dict(state[name])
        for name, curve in self.curves.items():
            curve[:] = state[name]

    def _identity(self) -> dict[str, object]:
        # More epochs or other checkpoints don't change what a step does, so a finished run may be prolonged.
        settings = dataclasses.asdict(self.settings)
        del settings["epochs"], settings["checkpoint_every"]
        networks = [part for part in self.parts.values() if isinstance(part, nn.Module)]
        shapes = [list(p.shape) for network in networks for p in network.parameters()]
        return {**settings, "data_shape": list(self.x.shape), "parameter_shapes": shapes}


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
