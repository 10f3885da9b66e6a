"""The entries of a schedule's tables, for a batch in which every example has its own time."""

import torch
from torch import Tensor


def require_times(name: str, t: Tensor, x: Tensor, first: int, last: int) -> None:
    """Raise a ValueError unless ``t`` holds one whole number from first to last for each example of x."""
    whole = isinstance(t, Tensor) and not (t.is_floating_point() or t.is_complex() or t.dtype == torch.bool)
    if not whole or t.shape != x.shape[:1]:
        got = f"{t.dtype} {tuple(t.shape)}" if isinstance(t, Tensor) else repr(t)
        raise ValueError(f"{name} must be whole numbers in a tensor of shape ({len(x)},), got {got}")
    low, high, version = getattr(t, "within", (first - 1, last + 1, None))
    if first <= low and high <= last and version == _version(t):
        return
    if t.numel() and not (t.min() >= first and t.max() <= last):
        raise ValueError(f"{name} must lie in {first}..{last}, got {span(t)}")


def known_times(t: Tensor, first: int, last: int) -> Tensor:
    """``t``, with a note that it was made of numbers from first to last.

    ``require_times`` believes the note until t is changed in place. To look at numbers on a GPU is to wait until they
    have been computed.
    """
    t.within = (first, last, _version(t))  # type: ignore[attr-defined]
    return t


def _version(t: Tensor) -> int | None:
    """How often t has been changed in place; nobody counts that in inference mode."""
    return None if t.is_inference() else t._version


def span(x: Tensor) -> str:
    """The least and the largest entry, for an error message."""
    return f"[{x.min().item():g}, {x.max().item():g}]"


def previous(table: Tensor) -> Tensor:
    """The table's entry at t - 1, at index t; at index 0 its own."""
    return torch.cat([table[:1], table[:-1]])


def divide(a: Tensor, b: Tensor) -> Tensor:
    """a / b for two tables, 0 at t = 0, where both are 0."""
    return torch.cat([a.new_zeros(1), a[1:] / b[1:]])


def at_times(table: Tensor, t: Tensor, x: Tensor) -> Tensor:
    """The entries of a table at the times of a batch, ready to multiply x with: (T+1,), (B,) → (B, 1, ...)."""
    return along(_placed(table, x)[t.to(x.device)], x)


def _placed(table: Tensor, x: Tensor) -> Tensor:
    """The table in the dtype and on the device of x, kept for the next call: a schedule's tables move once."""
    if table.dtype == x.dtype and table.device == x.device:
        return table
    copies = table.__dict__.setdefault("placed", {})
    if (x.dtype, x.device) not in copies:
        with torch.inference_mode(False):  # a sampler's copy must serve training too
            copies[x.dtype, x.device] = table.to(x.dtype).to(x.device)  # cast first: not every device has float64
    return copies[x.dtype, x.device]


def along(values: Tensor, x: Tensor) -> Tensor:
    """(B,) → (B, 1, ...), of the dtype and on the device of x."""
    return values.to(x.dtype).to(x.device).reshape(-1, *[1] * (x.ndim - 1))
