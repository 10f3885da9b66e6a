"""What every module needs to say about shapes: one sum, and errors that name the argument."""

import torch
from torch import Tensor


def sum_over_data(values: Tensor) -> Tensor:
    """Sum everything but the batch: (B, ...) → (B,)."""
    return values.flatten(start_dim=1).sum(dim=1)


def require_batch(name: str, value: Tensor) -> None:
    """Raise a ValueError unless ``value`` is a floating-point tensor of shape (B, ...) with a data dimension."""
    if not isinstance(value, Tensor):
        raise ValueError(f"{name} must be a torch.Tensor of shape (B, ...), got {type(value).__name__}")
    if not torch.is_floating_point(value):
        raise ValueError(f"{name} must be a floating-point tensor, got dtype {value.dtype}")
    if value.ndim < 2:
        raise ValueError(
            f"{name} must have shape (B, ...): a batch dimension and at least one data dimension, "
            f"got shape {tuple(value.shape)}"
        )


def require_same_shape(name: str, value: Tensor, other_name: str, other: Tensor) -> None:
    """Raise a ValueError unless the two are floating-point tensors of one shape: broadcasting has hidden many a bug."""
    if not isinstance(value, Tensor) or not torch.is_floating_point(value):
        got = f"dtype {value.dtype}" if isinstance(value, Tensor) else type(value).__name__
        raise ValueError(f"{name} must be a floating-point tensor, got {got}")
    if value.shape != other.shape:
        raise ValueError(f"{name} must have the shape of {other_name}, {tuple(other.shape)}, got {tuple(value.shape)}")


def require_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    """Raise a ValueError unless ``value`` is one of ``choices``."""
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}")


def require_positive(name: str, value: float) -> None:
    """Raise a ValueError unless ``value`` is a finite number above zero."""
    if not 0 < value < float("inf"):
        raise ValueError(f"{name} must be a positive finite number, got {value!r}")
