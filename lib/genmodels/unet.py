"""The networks that predict the noise: a small U-Net for images and an MLP for points, both told the time.

The U-Net is that of the lecture: the time becomes sinusoids, and reaches each residual block through AdaGN. Each part
is a function or a small module of its own, to be called and tested alone.
"""

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from genmodels._shapes import require_batch, require_same_shape
from genmodels.nets import seeded


def time_embedding(t: Tensor, dim: int) -> Tensor:
    """Sinusoids of the time, (B,) → (B, dim): sin(w_i t) for all i, then cos(w_i t) for all i.

    Equation ``dif-time-embedding``.

    The frequencies w_i = 10000^(-2i / dim), i = 0 .. dim / 2 - 1, fall from 1 towards 1/10000: the fast sinusoids tell
    neighbouring steps apart, the slow ones tell early from late (Vaswani et al., 2017). Whole t give float32.

    Raises
    ------
    ValueError
        If t is not of shape (B,), or ``dim`` is not positive and even.
    """
    if t.ndim != 1:
        raise ValueError(f"t must have shape (B,), one time for each example, got {tuple(t.shape)}")
    if dim < 2 or dim % 2:
        raise ValueError(f"dim must be positive and even, a sine and a cosine for each frequency, got {dim}")
    t = t if torch.is_floating_point(t) else t.to(torch.float32)
    frequency = torch.exp(-math.log(10_000) * torch.arange(0, dim, 2, dtype=t.dtype, device=t.device) / dim)
    angle = t[:, None] * frequency  # (B, dim / 2)
    return torch.cat([angle.sin(), angle.cos()], dim=1)


def ada_group_norm(h: Tensor, y_s: Tensor, y_b: Tensor, groups: int) -> Tensor:
    """AdaGN(h, y) = y_s GroupNorm(h) + y_b, the lecture's: h (B, C, ...), y_s and y_b (B, C) → (B, C, ...).

    Equation ``dif-adagn``.

    The norm has no scale and shift of its own: those of the example's time take their place.

    Raises
    ------
    ValueError
        If ``groups`` does not divide C, or y_s or y_b is not of shape (B, C).
    """
    require_batch("h", h)
    if groups < 1 or h.shape[1] % groups:
        raise ValueError(f"groups must divide the {h.shape[1]} channels of h, got {groups}")
    for name, y in (("y_s", y_s), ("y_b", y_b)):
        if y.shape != h.shape[:2]:
            raise ValueError(f"{name} must have shape {tuple(h.shape[:2])}, one for each channel, got {tuple(y.shape)}")
    over_pixels = (*h.shape[:2], *[1] * (h.ndim - 2))  # (B, C, 1, 1) for images
    # One pass over memory for product and sum.
    return torch.addcmul(y_b.reshape(over_pixels), y_s.reshape(over_pixels), functional.group_norm(h, groups))


def attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """softmax(q kᵀ / √C) v, (B, N, C) three times → (B, N, C): each place takes a weighted mean of all values."""
    require_same_shape("k", k, "q", q)
    require_same_shape("v", v, "q", q)
    weights = torch.softmax(q @ k.transpose(1, 2) / math.sqrt(q.shape[2]), dim=2)  # (B, N, N), rows sum to 1
    return weights @ v


def convolve_doubled(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """A 3 by 3 convolution of an image whose sides have been doubled, without making that image.

    x (B, C, H, W), weight (O, C, 3, 3), bias (O,) → (B, O, 2 H, 2 W). In the doubled image every pixel of x is a square
    of four, so several of the kernel's nine entries meet the same pixel and can be added up beforehand. The sums make
    the kernel of a transposed convolution: the mirrored one, spread over such a square. That takes 16 products for each
    pixel of x where the convolution takes 36.

    Raises
    ------
    ValueError
        If x is not (B, C, H, W), or the weight is not (O, C, 3, 3).
    """
    require_batch("x", x)
    if x.ndim != 4 or weight.ndim != 4 or weight.shape[1:] != (x.shape[1], 3, 3):
        shapes = f"{tuple(x.shape)} and {tuple(weight.shape)}"
        raise ValueError(f"x must be (B, C, H, W) and weight (O, C, 3, 3), with the same C, got {shapes}")
    mirrored = weight.transpose(0, 1).flip(2, 3)  # (C, O, 3, 3), the inputs first
    taller = functional.pad(mirrored, (0, 0, 0, 1)) + functional.pad(mirrored, (0, 0, 1, 0))  # (C, O, 4, 3)
    spread = functional.pad(taller, (0, 1)) + functional.pad(taller, (1, 0))  # (C, O, 4, 4)
    return functional.conv_transpose2d(x, spread, bias, stride=2, padding=1)


class Doubling(nn.Conv2d):
    """``convolve_doubled`` as a layer: (B, in, H, W) → (B, out, 2 H, 2 W)."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) → (B, out_channels, 2 H, 2 W)."""
        return convolve_doubled(x, self.weight, self.bias)


def groups_for(channels: int) -> int:
    """How many groups a norm over so many channels has: the largest number up to 8 that divides both it and 8."""
    return math.gcd(channels, 8)


class AdaGN(nn.Module):
    """``ada_group_norm`` whose y = [y_s, y_b] is a linear projection of the time's features.

    At first the projection's bias makes y_s about 1 and y_b about 0: the norm of old, moved a little by the time.
    """

    def __init__(self, channels: int, time_dim: int) -> None:
        super().__init__()
        self.groups = groups_for(channels)
        self.project = nn.Linear(time_dim, 2 * channels)
        with torch.no_grad():
            self.project.bias.copy_(torch.cat([torch.ones(channels), torch.zeros(channels)]))

    def forward(self, h: Tensor, time: Tensor) -> Tensor:
        """(B, C, ...), (B, time_dim) → (B, C, ...)."""
        y_s, y_b = self.project(time).chunk(2, dim=1)
        return ada_group_norm(h, y_s, y_b, self.groups)


class ResidualBlock(nn.Module):
    """Norm, convolution, AdaGN, convolution, and the input added back: (B, in, H, W) → (B, out, H, W).

    The time comes in after the first convolution, as on the lecture's slide.
    """

    def __init__(self, in_channels: int, out_channels: int, time_dim: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(groups_for(in_channels), in_channels)
        self.first = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.ada_gn = AdaGN(out_channels, time_dim)
        self.second = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.shortcut = nn.Identity() if in_channels == out_channels else nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """(B, in_channels, H, W), (B, time_dim) → (B, out_channels, H, W)."""
        h = self.first(functional.silu(self.norm(x)))
        h = self.second(functional.silu(self.ada_gn(h, time)))
        return h + self.shortcut(x)


class SelfAttention(nn.Module):
    """Every pixel looks at every other, and what it finds is added to it: (B, C, H, W) → (B, C, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(groups_for(channels), channels)
        self.to_qkv = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) → (B, C, H, W)."""
        pixels = self.norm(x).flatten(2).transpose(1, 2)  # (B, H W, C)
        found = self.out(attention(*self.to_qkv(pixels).chunk(3, dim=2)))
        return x + found.transpose(1, 2).reshape(x.shape)


class UNet(nn.Module):
    """Noise in noisy images: eps_hat = model(xt, t), (B, C, H, W) and whole t (B,) → (B, C, H, W).

    On the way down each level but the last is a residual block, whose result is kept, and a convolution that halves the
    sides. At the bottom, the lowest resolution, attention stands between two blocks. On the way up the sides are
    doubled again, and each block sees what was kept at its level beside what comes from below. The last layer starts at
    zero, so an untrained network predicts no noise.

    Parameters
    ----------
    channels
        C of the images: 1 for grey ones.
    width, multipliers
        The levels, from the full resolution to the lowest, have ``width`` times their multiplier channels; there are as
        many levels as multipliers, and one halving less.
    seed
        The initial weights are drawn from it; the global random stream is left as it was.

    Raises
    ------
    ValueError
        If a size is not positive or ``width`` is odd; when called, if images or times have another shape, or a side
        cannot be halved so often.
    """

    def __init__(self, channels: int = 1, width: int = 32, multipliers: Sequence[int] = (1, 2), seed: int = 0) -> None:
        super().__init__()
        if not multipliers or min(channels, width, *multipliers) < 1:
            sizes = f"channels={channels}, width={width}, multipliers={tuple(multipliers)}"
            raise ValueError(f"channels, width and one or more multipliers must be at least 1, got {sizes}")
        if width % 2:
            raise ValueError(f"width must be even, as many sines as cosines in the time's embedding, got {width}")
        self.channels, self.width = channels, width
        widths, time_dim = [width * multiplier for multiplier in multipliers], 4 * width
        steps = list(itertools.pairwise(widths))  # a level's channels and those of the level below it
        with seeded(seed):
            self.time = nn.Sequential(nn.Linear(width, time_dim), nn.SiLU(), nn.Linear(time_dim, time_dim), nn.SiLU())
            self.first = nn.Conv2d(channels, widths[0], 3, padding=1)
            self.down = nn.ModuleList(ResidualBlock(here, here, time_dim) for here, _ in steps)
            self.halving = nn.ModuleList(nn.Conv2d(here, below, 3, stride=2, padding=1) for here, below in steps)
            bottom = widths[-1]
            self.before, self.after = (ResidualBlock(bottom, bottom, time_dim) for _ in range(2))
            self.attention = SelfAttention(bottom)
            self.doubling = nn.ModuleList(Doubling(below, here, 3, padding=1) for here, below in reversed(steps))
            self.up = nn.ModuleList(ResidualBlock(2 * here, here, time_dim) for here, _ in reversed(steps))
            self.norm = nn.GroupNorm(groups_for(widths[0]), widths[0])
            self.last = nn.Conv2d(widths[0], channels, 3, padding=1)
        for parameter in self.last.parameters():
            nn.init.zeros_(parameter)

    def forward(self, xt: Tensor, t: Tensor) -> Tensor:
        """(B, C, H, W), (B,) → (B, C, H, W)."""
        self._require_images(xt)
        time = self.time(_embedded(xt, t, self.width))  # (B, 4 width)
        h, kept = self.first(xt), []
        for block, halve in zip(self.down, self.halving, strict=True):
            kept.append(block(h, time))
            h = halve(kept[-1])
        h = self.after(self.attention(self.before(h, time)), time)
        for double, block in zip(self.doubling, self.up, strict=True):
            h = double(h)
            h = block(torch.cat([h, kept.pop()], dim=1), time)
        return self.last(functional.silu(self.norm(h)))

    def _require_images(self, xt: Tensor) -> None:
        require_batch("xt", xt)
        factor = 2 ** len(self.halving)
        if xt.ndim != 4 or xt.shape[1] != self.channels or xt.shape[2] % factor or xt.shape[3] % factor:
            raise ValueError(
                f"xt must have shape (B, {self.channels}, H, W) with H and W divisible by {factor}, "
                f"for {len(self.halving)} halvings, got {tuple(xt.shape)}"
            )


class MLPDenoiser(nn.Module):
    """Noise in noisy points: eps_hat = model(xt, t), (B, data_dim) and whole t (B,) → (B, data_dim).

    The point and the sinusoids of the time, side by side, go through ``layers`` hidden layers. ``body`` is a plain
    stack of linear layers with SiLU between them.

    Parameters
    ----------
    data_dim
        Dimensions of a point.
    hidden_dim, layers
        Width and number of the hidden layers.
    time_dim
        Sinusoids of the time; an even number.
    seed
        The initial weights are drawn from it; the global random stream is left as it was.
    """

    def __init__(
        self, data_dim: int = 2, hidden_dim: int = 128, layers: int = 3, time_dim: int = 32, seed: int = 0
    ) -> None:
        super().__init__()
        sizes = {"data_dim": data_dim, "hidden_dim": hidden_dim, "layers": layers, "time_dim": time_dim}
        for name, size in sizes.items():
            if size < 1:
                raise ValueError(f"{name} must be at least 1, got {size}")
        if time_dim % 2:
            raise ValueError(f"time_dim must be even, got {time_dim}")
        self.data_dim, self.time_dim = data_dim, time_dim
        widths = [data_dim + time_dim, *[hidden_dim] * layers]
        with seeded(seed):
            hidden: list[nn.Module] = []
            for inputs, outputs in itertools.pairwise(widths):
                hidden += [nn.Linear(inputs, outputs), nn.SiLU()]
            self.body = nn.Sequential(*hidden, nn.Linear(hidden_dim, data_dim))

    def forward(self, xt: Tensor, t: Tensor) -> Tensor:
        """(B, data_dim), (B,) → (B, data_dim)."""
        require_batch("xt", xt)
        if xt.ndim != 2 or xt.shape[1] != self.data_dim:
            raise ValueError(f"xt must have shape (B, {self.data_dim}), got {tuple(xt.shape)}")
        return self.body(torch.cat([xt, _embedded(xt, t, self.time_dim)], dim=1))


def _embedded(xt: Tensor, t: Tensor, dim: int) -> Tensor:
    """The embedding of one time for each example, in the precision of the data: (B, ...), (B,) → (B, dim)."""
    if not isinstance(t, Tensor) or t.shape != xt.shape[:1]:
        got = tuple(t.shape) if isinstance(t, Tensor) else repr(t)
        raise ValueError(f"t must have shape ({len(xt)},), one time for each example of xt, got {got}")
    return time_embedding(t.to(xt.dtype), dim)
