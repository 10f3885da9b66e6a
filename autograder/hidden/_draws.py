"""Inputs for hidden checks, drawn from a seed."""

import numpy as np
import torch
from torch import Tensor


class Draws:
    """Inputs drawn from a seed, in the order asked for."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)

    def normal(self, *shape: int) -> Tensor:
        return torch.from_numpy(self._random.standard_normal(shape))

    def uniform(self, low: float, high: float) -> float:
        # Four digits, so that the same value exists as a SymPy rational.
        return round(float(self._random.uniform(low, high)), 4)

    def bits(self, *shape: int) -> Tensor:
        return torch.from_numpy(self._random.integers(0, 2, shape).astype(np.float64))
