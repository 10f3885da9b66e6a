"""Which examples a step sees, and how they get to the device: at once where they fit, streamed where they do not."""

import math
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from genmodels._shapes import require_batch
from genmodels._tables import known_times
from genmodels.team import Team

STREAM_WORKERS = 4  # processes that read ahead for a GPU; a CPU is busy enough with training


def minibatch(n: int, step: int, batch_size: int, seed: int) -> Tensor:
    """The rows (at most batch_size,) that a step sees: each epoch is a permutation of n drawn from (seed, epoch)."""
    epoch, index = divmod(step, math.ceil(n / batch_size))
    return _order(n, seed, epoch)[index * batch_size : (index + 1) * batch_size]


@lru_cache(maxsize=2)
def _order(n: int, seed: int, epoch: int) -> Tensor:
    return torch.randperm(n, generator=seeded_generator(seed, 0, epoch))


def step_generator(seed: int, step: int) -> torch.Generator:
    """The source of what a step draws besides its rows: a CPU generator in a state made of (seed, step)."""
    return seeded_generator(seed, 1, step)


def seeded_generator(seed: int, stream: int, index: int) -> torch.Generator:
    """A CPU generator for one of two streams of a run, at one of its steps or epochs."""
    # Two streams and a large stride keep (seed, epoch) and (seed, step) from sharing a state.
    return torch.Generator().manual_seed(((seed * 2 + stream) * 1_000_000_007 + index) % 2**63)


class Batches:
    """The minibatches of a run: ``batches[step]`` are this process's rows of it, (B, ...), on the device.

    A tensor x (N, ...) moves to the device once, if it fills no more than half of what is free there; of a larger one
    each batch is copied through pinned memory, while the device computes. A ``torch.utils.data.Dataset`` with
    a length is streamed: its examples, or the first parts of them if they are tuples, as of (image, class), are read
    ahead of the steps that need them.

    Raises
    ------
    ValueError
        If x is neither of the two, holds no example, or its examples are not floating-point tensors.
    """

    def __init__(self, x: Tensor | Dataset[Any], batch_size: int, seed: int, device: torch.device, team: Team) -> None:
        self._batch_size, self._seed, self._device, self._team = batch_size, seed, device, team
        if not isinstance(x, Dataset):
            require_batch("x", x)
        self._n = _length(x)
        if self._n == 0:
            raise ValueError("x must hold at least one example, got none")
        self.shape = (self._n, *_example(x[0]).shape)
        self._x = _placed(x, device) if isinstance(x, Tensor) else x
        self.steps_per_epoch = math.ceil(self._n / batch_size)
        self._stream: Iterator[Tensor] = iter(())
        self._next = -1  # the step that the stream comes to next

    def rows(self, step: int) -> Tensor:
        """The numbers of the examples of a step, of all processes."""
        return minibatch(self._n, step, self._batch_size, self._seed)

    def size(self, step: int) -> int:
        """How many examples a step sees, in all processes together."""
        start = step % self.steps_per_epoch * self._batch_size
        return min(self._batch_size, self._n - start)

    def draws(self, step: int) -> "Draws":
        """The source of what a step draws besides its rows."""
        return Draws(step_generator(self._seed, step), self._device, self._team)

    def __getitem__(self, step: int) -> Tensor:
        if isinstance(self._x, Tensor):
            batch = self._x[self._team.share(self.rows(step)).to(self._x.device)]
            return batch if batch.device == self._device else batch.pin_memory().to(self._device, non_blocking=True)
        if step != self._next:
            self._stream = self._streamed_from(step)
        self._next = step + 1
        return next(self._stream).to(self._device, non_blocking=True)

    def _streamed_from(self, step: int) -> Iterator[Tensor]:
        def shares() -> Iterator[list[int]]:
            number = step
            while True:
                yield self._team.share(self.rows(number)).tolist()
                number += 1

        on_gpu = self._device.type == "cuda"
        loader = DataLoader(
            self._x,  # type: ignore[arg-type]
            batch_sampler=shares(),
            num_workers=STREAM_WORKERS if on_gpu else 0,
            pin_memory=on_gpu,
            collate_fn=_joined,
            generator=step_generator(self._seed, step),  # else the loader draws a number from the global stream
        )
        return iter(loader)


class Draws:
    """What a step draws, for all ``n`` examples of its batch, from one generator; this process's rows of it come back.

    The draws are made on the CPU, so that one seed gives one run on every device and any number of processes.
    """

    def __init__(self, generator: torch.Generator, device: torch.device, team: Team) -> None:
        self._generator, self._device, self._team = generator, device, team

    def normal(self, n: int, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        """Standard normal: → (B, *shape)."""
        return self._ours(torch.randn(n, *shape, generator=self._generator, dtype=dtype))

    def uniform(self, n: int) -> Tensor:
        """Uniform in [0, 1): → (B,)."""
        return self._ours(torch.rand(n, generator=self._generator))

    def integers(self, n: int, first: int, last: int) -> Tensor:
        """Whole numbers from first to last, all equally likely: → (B,)."""
        drawn = torch.randint(first, last + 1, (n,), generator=self._generator)
        return known_times(self._ours(drawn), first, last)

    def _ours(self, joint: Tensor) -> Tensor:
        return self._team.share(joint).to(self._device, non_blocking=True)


def _placed(x: Tensor, device: torch.device) -> Tensor:
    """x on the device, if it fits there; else where it is."""
    if device.type == "cuda" and x.nbytes > torch.cuda.mem_get_info(device)[0] / 2:
        return x
    return x.to(device)


def _length(x: Any) -> int:
    try:
        return len(x)
    except TypeError as error:
        raise ValueError(f"x must be a data set with a length, got {type(x).__name__}, which has none") from error


def _example(item: Any) -> Tensor:
    example = item[0] if isinstance(item, tuple | list) else item
    if not isinstance(example, Tensor) or not torch.is_floating_point(example):
        got = f"dtype {example.dtype}" if isinstance(example, Tensor) else type(example).__name__
        raise ValueError(f"the examples of x must be floating-point tensors, got {got}")
    return example


def _joined(items: list[Any]) -> Tensor:
    return torch.stack([_example(item) for item in items])
