"""What each fast path is worth: the same training step with it and without it, in turns."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from unittest import mock

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.speed.cases import Case, Prepared, cases
from genmodels import speed, train, unet

COLUMNS = ("Model", "Size", "Without", "With, ms", "Without, ms", "Ratio", "Lowest to highest", "Processor's")


@contextmanager
def weights_one_by_one() -> Iterator[None]:
    """Adam as `torch.optim.Adam` does it by default on a CPU: a loop over the weights in Python."""

    def plain(parameters, lr, betas=(0.9, 0.999)) -> torch.optim.Adam:
        return torch.optim.Adam(parameters, lr=lr, betas=betas, foreach=False)

    # Only a fused step can be skipped without waiting for the device.
    with mock.patch.object(speed, "adam", plain), mock.patch.object(speed, "skip_step_if"):
        yield


@contextmanager
def average_one_by_one() -> Iterator[None]:
    """The running average of the weights by a loop in Python."""

    @torch.no_grad()
    def plain(average: nn.Module, model: nn.Module, decay: float) -> None:
        for mean, weight in zip(average.parameters(), model.parameters(), strict=True):
            mean.lerp_(weight, 1 - decay)

    with mock.patch.object(train, "update_ema", plain):
        yield


def doubled_images() -> AbstractContextManager[object]:
    """On a U-Net's way up, the image with doubled sides is made, and then convolved."""

    def plain(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return functional.conv2d(functional.interpolate(x, scale_factor=2), weight, bias, padding=1)

    return mock.patch.object(unet, "convolve_doubled", plain)


def usual_layout() -> AbstractContextManager[object]:
    """Images and weights as torch lays them out."""
    return mock.patch.object(speed, "channels_last", return_value=nullcontext())


WITHOUT: dict[str, Callable[[], AbstractContextManager[object]]] = {
    "channels last": usual_layout,
    "a fused step": weights_one_by_one,
    "an average in one call": average_one_by_one,
    "a spread kernel": doubled_images,
}
OF_DIFFUSION = ("an average in one call", "a spread kernel")


def pairs(device: torch.device, only: tuple[str, ...], quick: bool) -> Iterator[tuple[Case, str, Case]]:
    """Each model's training step, the name of a path, and the same step without that path."""
    seen = set()
    for case in cases(device, only, quick):
        if case.what != "training step" or (case.model, case.side) in seen:
            continue
        seen.add((case.model, case.side))
        for name, without in WITHOUT.items():
            if name in OF_DIFFUSION and case.model != "diffusion":
                continue
            yield (
                case,
                name,
                Case(case.model, case.side, case.what, "", case.units, case.ours, partial(_off, case, without)),
            )


def _off(case: Case, without: Callable[[], AbstractContextManager[object]]) -> Prepared:
    prepared = case.ours()

    def run() -> object:
        with without():
            return prepared.run()

    return Prepared(prepared.networks, run)
