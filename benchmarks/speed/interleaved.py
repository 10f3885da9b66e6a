"""A against B: run in turns, A B A B, so that whatever else the machine does meets both alike."""

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch

Run = Callable[[], object]


def synchronize() -> None:
    """Wait for what was started on a GPU; nothing without one."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def timed(run: Run) -> tuple[float, float]:
    """Seconds of the clock and of the processor (all threads) that a call takes."""
    gc.collect(1)  # the other side's rubbish is not this side's work; a full collection takes longer than most runs
    synchronize()
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    synchronize()
    return time.perf_counter() - wall, time.process_time() - cpu


def compare(ours: Callable[[], Run], theirs: Callable[[], Run], rounds: int) -> "Comparison":
    """Time two sides in turns, after one call of each that does not count.

    ``ours`` and ``theirs`` are called before each round to make what runs in it, outside of the time.

    Raises
    ------
    ValueError
        If ``rounds`` is less than 1.
    """
    if rounds < 1:
        raise ValueError(f"rounds must be at least 1, got {rounds}")
    found = Comparison()
    for round_number in range(-1, rounds):
        for make, side in ((ours, found.ours), (theirs, found.theirs)):
            seconds = timed(make())
            if round_number >= 0:
                side.append(seconds)
    return found


@dataclass
class Comparison:
    """Seconds of each round, (clock, processor), on either side."""

    ours: list[tuple[float, float]] = field(default_factory=list)
    theirs: list[tuple[float, float]] = field(default_factory=list)

    def seconds(self) -> tuple[float, float]:
        """The medians of the clock: ours, theirs."""
        return statistics.median(s[0] for s in self.ours), statistics.median(s[0] for s in self.theirs)

    def ratios(self, of: int = 0) -> list[float]:
        """Theirs over ours in each round, sorted: above 1 where we are faster. ``of``: 0 the clock, 1 the processor."""
        return sorted(b[of] / a[of] for a, b in zip(self.ours, self.theirs, strict=True))

    def ratio(self, of: int = 0) -> float:
        """The median of ``ratios``."""
        return statistics.median(self.ratios(of))
