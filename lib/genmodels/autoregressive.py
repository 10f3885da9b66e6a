"""Autoregressive models: p(x) as a product of conditionals, one pixel after another, exactly.

A masked convolution sees only pixels that come earlier in raster order, so one pass of the network gives every factor
of the product for a known image. To sample, each pixel must wait for those before it: one pass for each.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from genmodels import nets
from genmodels._shapes import require_choice, sum_over_data


class MaskedConv2d(nn.Conv2d):
    """A convolution, 'same' in size, whose kernel is zero where it would look at later pixels in raster order.

    ``kind`` "A" hides the centre too, as the first layer must; "B" sees it, as the layers above may: what they find
    there has been computed from earlier pixels only (van den Oord et al., 2016).
    """

    mask: Tensor

    def __init__(self, kind: str, in_channels: int, out_channels: int, kernel_size: int) -> None:
        require_choice("kind", kind, ("A", "B"))
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd, so that a pixel has a centre, got {kernel_size}")
        super().__init__(in_channels, out_channels, kernel_size, padding=kernel_size // 2)
        seen = torch.zeros(kernel_size**2)
        seen[: kernel_size**2 // 2 + (kind == "B")] = 1  # raster order: the rows above, then what is left of the centre
        self.register_buffer("mask", seen.reshape(1, 1, kernel_size, kernel_size), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) → (B, out_channels, H, W)."""
        return functional.conv2d(x, self.weight * self.mask, self.bias, padding=self.padding)


class PixelCNN(nn.Module):
    """An autoregressive model of binary images with one channel, with a stack of masked convolutions.

    Equation ``autoregressive-factorisation``. A stack of small raster masks has a blind spot to the upper right of each
    pixel. These images are small enough that the first kernel can cover all of one, and then there is none.

    Parameters
    ----------
    data_shape
        (1, H, W).
    channels
        Feature maps in each hidden layer.
    layers
        Masked layers with kernels of 3 after the first one.
    seed
        The initial weights are drawn from it; the global random stream is left as it was.
    """

    def __init__(
        self, data_shape: Sequence[int] = (1, 8, 8), channels: int = 32, layers: int = 2, seed: int = 0
    ) -> None:
        super().__init__()
        if len(data_shape) != 3 or data_shape[0] != 1 or min(data_shape) < 1:
            raise ValueError(f"data_shape must be (1, H, W), got {tuple(data_shape)}")
        for name, size in (("channels", channels), ("layers", layers)):
            if size < 1:
                raise ValueError(f"{name} must be at least 1, got {size}")
        self.data_shape = tuple(data_shape)
        with nets.seeded(seed):
            self.first = MaskedConv2d("A", 1, channels, 2 * max(self.data_shape) - 1)
            # A convolution does the same everywhere; digits are centred, and where a pixel lies says much about it.
            self.location = nn.Parameter(torch.zeros(1, channels, *self.data_shape[1:]))
            stack: list[nn.Module] = []
            for _ in range(layers):
                stack += [nn.SiLU(), MaskedConv2d("B", channels, channels, 3)]
            self.stack = nn.Sequential(*stack, nn.SiLU(), nn.Conv2d(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Log-odds that each pixel is white given those before it: (B, 1, H, W) → (B, 1, H, W)."""
        self._require_images(x)
        return self.stack(self.first(x) + self.location)

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x), exactly, of binary images: (B, 1, H, W) → (B,) in nats, in one pass of the network.

        Raises
        ------
        ValueError
            If a pixel is neither 0 nor 1: the product of conditionals speaks of binary images only.
        """
        _require_binary(x)
        logits = self(x)
        return sum_over_data(x * logits - functional.softplus(logits))

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw n images (n, 1, H, W) pixel by pixel: H · W passes of the network, one after another."""
        if n < 1:
            raise ValueError(f"n must be at least 1, got {n}")
        return self.complete(torch.zeros(n, *self.data_shape), 0, generator)

    @torch.no_grad()
    def complete(self, x: Tensor, rows: int, generator: torch.Generator | None = None) -> Tensor:
        """Keep the first ``rows`` rows of the images x (B, 1, H, W) and draw the others given them; same shape.

        Raises
        ------
        ValueError
            If there are not that many rows, the kept ones are not binary, or the images have another shape.
        """
        _, height, width = self.data_shape
        if not 0 <= rows <= height:
            raise ValueError(f"rows must lie in 0..{height}, got {rows}")
        self._require_images(x)
        _require_binary(x[:, :, :rows])
        u = torch.rand(x.shape, generator=generator).to(next(self.parameters()))
        x = x.clone().to(u)
        x[:, :, rows:] = 0
        for row in range(rows, height):
            for column in range(width):
                p_white = torch.sigmoid(self(x)[:, 0, row, column])  # (B,)
                x[:, 0, row, column] = (u[:, 0, row, column] < p_white).to(x.dtype)
        return x

    def _require_images(self, x: Tensor) -> None:
        if x.shape[1:] != self.data_shape:
            raise ValueError(f"x must have shape (B, {', '.join(map(str, self.data_shape))}), got {tuple(x.shape)}")


def _require_binary(x: Tensor) -> None:
    if not bool(((x == 0) | (x == 1)).all()):
        raise ValueError("x must be binary, 0 or 1 in each pixel; see genmodels.data.binarize")


def bits_per_dimension(log_prob: Tensor, dimensions: int) -> Tensor:
    """Minus the log-likelihood, in bits, for each dimension of the data: (B,) in nats → (B,). Lower is better.

    Equation ``bits-per-dimension``.
    """
    if dimensions < 1:
        raise ValueError(f"dimensions must be at least 1, got {dimensions}")
    return -log_prob / (dimensions * math.log(2))
