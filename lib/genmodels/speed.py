"""What makes training fast, each idea in one place: ``python -m benchmarks.speed`` measures what each is worth.

None of them changes what is computed but for rounding; the tests say by how much. The data have their own place,
``genmodels.batches``.
"""

import math
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from genmodels._shapes import require_choice

Network = TypeVar("Network", bound=nn.Module)
PRECISIONS = ("float32", "bfloat16")
COMPILE_MODES = ("off", "default", "reduce-overhead", "max-autotune")


def adam(parameters: Iterable[nn.Parameter], lr: float, betas: tuple[float, float] = (0.9, 0.999)) -> torch.optim.Adam:
    """Adam that updates all weights in one pass over memory (``fused``), not in one for each weight and operation."""
    return torch.optim.Adam(parameters, lr=lr, betas=betas, fused=True)


def skip_step_if(bad: Tensor, optimizer: torch.optim.Optimizer) -> None:
    """Let the next step of a fused optimiser leave the weights alone where ``bad`` () is true.

    Nobody has to wait for the device to learn whether it is. This is how gradient scalers skip steps.
    """
    optimizer.found_inf = bad.to(torch.float32)  # type: ignore[attr-defined]


@contextmanager
def channels_last(*networks: nn.Module) -> Iterator[None]:
    """Inside the block the networks' convolutions find the channels of a pixel side by side in memory.

    So the kernels want them; the layout that torch begins with has to be rearranged in every layer and step, and comes
    back afterwards: files of weights need it. Networks without two-dimensional convolutions are left alone, and so are
    those that have the fast layout already. A sampler within a training run must not take it away: a fused step reads a
    weight and what the optimiser remembers of it side by side.
    """
    chosen = [network for network in networks if _has_slow_convolutions(network)]
    try:
        for network in chosen:
            network.to(memory_format=torch.channels_last)
        yield
    finally:
        for network in chosen:
            network.to(memory_format=torch.contiguous_format)


def _has_slow_convolutions(network: nn.Module) -> bool:
    fast = (p.is_contiguous(memory_format=torch.channels_last) for p in network.parameters() if p.ndim == 4)
    return any(isinstance(m, nn.Conv2d) for m in network.modules()) and not all(fast)


def autocast(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """Inside the block matrix products and convolutions are in ``precision``; sums and logarithms stay in float32.

    bfloat16 has the range of float32, so that losses need no scaling, and three digits.
    """
    require_choice("precision", precision, PRECISIONS)
    return nullcontext() if precision == "float32" else torch.autocast(device.type, torch.bfloat16)


def compiled(network: Network, mode: str) -> Network:
    """The network, its forward and backward pass compiled by ``torch.compile`` in this mode; ``"off"``: as it is.

    Compiling took half a minute for the digits' U-Net on a CPU, and won 1 to 8 % of a step there. On a GPU a small
    network spends its time on starting kernels, which ``"reduce-overhead"`` records once and replays.
    """
    require_choice("compile", mode, COMPILE_MODES)
    return network if mode == "off" else torch.compile(network, mode=mode)  # type: ignore[return-value]


@contextmanager
def tensor_cores(device: torch.device) -> Iterator[None]:
    """On a GPU, products of float32 matrices run on its tensor cores inside the block, with ten bits of mantissa."""
    if device.type != "cuda":
        yield
        return
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


class Curves:
    """The numbers of each step, which stay on the device until ``EVERY`` of them are fetched together.

    To fetch a number is to wait until the device has computed it, and a GPU that is waited for in every step idles
    while the next step is prepared. On a CPU there is nobody to wait for: there every step is looked at. ``lists`` get
    the numbers, by name; those with another name are looked at and not kept.
    """

    EVERY = 50  # steps, on an accelerator

    def __init__(self, lists: dict[str, list[Any]], device: torch.device) -> None:
        self.lists = lists
        self._every = 1 if device.type == "cpu" else self.EVERY
        self._waiting: list[tuple[int, dict[str, Tensor]]] = []

    def note(self, step: int, **numbers: Tensor) -> None:
        """Take numbers () of a step, and fetch them if it is time to. Raises as ``fetch``."""
        self._waiting.append((step, {name: number.detach() for name, number in numbers.items()}))
        if len(self._waiting) >= self._every:
            self.fetch()

    def fetch(self) -> None:
        """Put what is waiting into the lists.

        Raises
        ------
        FloatingPointError
            If a number is not finite: names the step, and what was noted of it. Earlier steps are in the lists.
        """
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        values = torch.stack([number for _, numbers in waiting for number in numbers.values()]).tolist()
        for step, numbers in waiting:
            row = dict(zip(numbers, values, strict=False))
            del values[: len(row)]
            if not all(map(math.isfinite, row.values())):
                found = ", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in row.items())
                raise FloatingPointError(f"training stopped at step {step}, where a number is not finite: {found}")
            for name, value in row.items():
                if name in self.lists:
                    self.lists[name].append(value)
