"""How near each model comes to what the machine can do: operations, bytes, the least time for them, our share of it.

Operations are those that `torch.utils.flop_counter` counts: multiplications and additions in matrix products,
convolutions and attention, forward and backward; what is done pixel by pixel is left out. Bytes are a lower bound too.
In a training step each weight and its two moments in Adam are read once and written once, and what autograd keeps for
the way back is written once and read once. In sampling the weights and the input are read once and the output is
written once. Gradients and what is not kept could stay in the cache, so they don't count. The floor is the longer of
operations over the rate of a large matrix product and bytes over the rate of a large copy, both measured here, on the
same device, in the same dtype and with the same threads. A network can't be faster than its floor, and what is far from
it loses its time to small operations, to Python, or to launches.
"""

import statistics
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.speed.cases import BATCH, IMAGES, LATENT_DIM, SIDES, T, images, our_game, our_unet
from benchmarks.speed.interleaved import Run, timed
from genmodels import data, diffusion, gan, train, vae

WORDS_PER_WEIGHT = 6  # the weight and two moments, each read and written


def operations(run: Run) -> int:
    """The floating-point operations of a call, a multiplication and an addition counted as two."""
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


def kept_bytes(loss: Callable[[], Tensor], weights: set[int]) -> int:
    """What autograd keeps between forward and backward of a loss, besides the weights (their data pointers), in bytes.

    A storage that is kept twice counts once.
    """
    storages: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        kept = loss()  # while the graph lives, no storage is given to another tensor
    del kept
    return sum(storages.values())


def seconds(run: Run, repeats: int = 7) -> float:
    """The median of the clock over so many calls, after one that does not count."""
    run()
    return statistics.median(timed(run)[0] for _ in range(repeats))


def fastest(run: Run, repeats: int = 10) -> float:
    """The fastest of so many calls by the clock: a limit is what the machine can do, not what it did on average."""
    run()
    return min(timed(run)[0] for _ in range(repeats))


@dataclass(frozen=True)
class Limits:
    """What a device can do at best: operations and bytes in a second."""

    operations: float
    bytes: float

    def floor(self, operations: float, moved: float) -> float:
        """The least seconds for so many operations and bytes, if both go on at once."""
        return max(operations / self.operations, moved / self.bytes)


def measure_limits(device: torch.device, quick: bool = False) -> Limits:
    """The rates of a large matrix product and of a large copy in float32 (each byte read and written)."""
    large = device.type == "cuda"
    n, size = (8192, 2**28) if large else (1536, 2**25)
    if quick:
        n, size = n // 4, size // 4
    a, b = torch.randn(2, n, n, device=device)
    source, target = torch.randn(2, size, device=device)
    product, copy = fastest(lambda: torch.mm(a, b)), fastest(lambda: target.copy_(source))
    return Limits(2 * n**3 / product, 2 * source.nbytes / copy)


@dataclass(frozen=True)
class Work:
    """One row: what is counted, once, and the call that is timed, which does it ``units`` times."""

    model: str
    side: int
    what: str
    operations: int
    bytes: int
    units: int
    run: Callable[[], object]


def _parameters(*networks: nn.Module) -> list[nn.Parameter]:
    return [p for network in networks for p in network.parameters()]


def _training(
    model: str,
    side: int,
    networks: list[nn.Module],
    losses: list[tuple[int, Callable[[], Tensor]]],
    units: int,
    run: Callable[[], object],
) -> Work:
    """A training step of losses that are each taken so many times."""
    weights = {p.untyped_storage().data_ptr() for p in _parameters(*networks)}
    count = sum(times * operations(lambda loss=loss: loss().backward()) for times, loss in losses)
    kept = sum(times * kept_bytes(loss, weights) for times, loss in losses)
    adam = WORDS_PER_WEIGHT * sum(p.nbytes for p in _parameters(*networks))
    return Work(model, side, "training step", count, adam + 2 * kept, units, run)


def _sampling(model: str, side: int, what: str, network: nn.Module, inputs: tuple[Tensor, ...]) -> Work:
    """One call of a network without gradients."""
    network.eval()

    def run() -> Tensor:
        with torch.inference_mode():
            return network(*inputs)

    moved = sum(p.nbytes for p in network.parameters()) + inputs[0].nbytes + run().nbytes
    return Work(model, side, what, operations(run), moved, 1, run)


def works(device: torch.device, only: tuple[str, ...], quick: bool = False) -> list[Work]:
    """The rows: a training step and one call of the network in sampling, for each model and size."""
    makers = {"vae": _vae, "dcgan": _game, "wgan_gp": _game, "diffusion": _diffusion}
    return [work for model in only for side in SIDES for work in makers[model](model, side, device, quick)]


def _vae(model: str, side: int, device: torch.device, quick: bool) -> list[Work]:
    batch, steps = BATCH[model][side], 2 if quick else 50
    x = data.binarize(images(side)).to(device)
    network = vae.VAE((1, side, side)).to(device)
    eps = torch.randn(batch, network.latent_dim).to(device)
    settings = train.VAESettings(epochs=10_000, batch_size=batch)

    def loss() -> Tensor:
        return train.negative_elbo(network, x[:batch], eps).mean()

    def run() -> object:
        return train.fit_vae(network, x, settings, max_steps=steps, progress=False)

    z = torch.randn(IMAGES[model][side], network.latent_dim).to(device)
    step = _training(model, side, [network], [(1, loss)], steps, run)
    return [step, _sampling(model, side, f"sampling, {len(z)} images", network.decoder, (z,))]


def _game(model: str, side: int, device: torch.device, quick: bool) -> list[Work]:
    batch, critic, steps = BATCH[model][side], model == "wgan_gp", 2 if quick else 8
    x = (2 * images(side) - 1).to(device)
    kind, turns = ("wasserstein", 5) if critic else ("non_saturating", 1)
    generator, discriminator = our_game(side, critic, device)
    z, real, u = (t.to(device) for t in (torch.randn(batch, LATENT_DIM), x[:batch], torch.rand(batch)))
    weight = 10.0 if critic else 0.0
    settings = train.GANSettings(
        epochs=10_000, batch_size=batch, kind=kind, discriminator_steps=turns, gradient_penalty=weight
    )

    def loss_d() -> Tensor:
        with torch.no_grad():
            fake = generator(z)
        loss = gan.discriminator_loss(discriminator(real), discriminator(fake), kind)
        if not critic:
            return loss
        # The counter's hooks can't be on a leaf whose gradient is asked for: the critic gets a copy.
        return loss + weight * gan.gradient_penalty(lambda x: discriminator(x.clone()), real, fake, u).mean()

    def loss_g() -> Tensor:
        return gan.generator_loss(discriminator(generator(z)), kind)

    def run() -> object:
        return train.fit_gan(generator, discriminator, x, LATENT_DIM, settings, max_steps=steps, progress=False)

    step = _training(model, side, [generator, discriminator], [(turns, loss_d), (1, loss_g)], steps, run)
    if critic:
        return [step]  # its sampling is the DCGAN's
    codes = torch.randn(IMAGES[model][side], LATENT_DIM).to(device)
    return [step, _sampling(model, side, f"sampling, {len(codes)} images", generator, (codes,))]


def _diffusion(model: str, side: int, device: torch.device, quick: bool) -> list[Work]:
    batch, n, steps = BATCH[model][side], IMAGES[model][side], 2 if quick else 8
    x = (2 * images(side) - 1).to(device)
    network, schedule = our_unet(side, device), diffusion.cosine_schedule(T)
    t, eps = torch.randint(1, T + 1, (batch,)).to(device), torch.randn(batch, 1, side, side).to(device)
    settings = train.DiffusionSettings(epochs=10_000, batch_size=batch)

    def loss() -> Tensor:
        return diffusion.eps_loss(network, x[:batch], t, eps, schedule).mean()

    def run() -> object:
        return train.fit_diffusion(network, x, schedule, settings, max_steps=steps, progress=False)

    step = _training(model, side, [network], [(1, loss)], steps, run)
    return [step, _sampling(model, side, f"sampling, one call, {n} images", network, (eps[:n], t[:n]))]
