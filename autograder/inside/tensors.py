"""Tensors as raw bytes, in both directions."""

import math
from typing import Any

import torch
from torch import Tensor

# What may travel. Names, so that a header can hold them.
DTYPES = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (
        *(torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.complex64, torch.complex128),
        *(torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64),
    )
}
NAMES = {dtype: name for name, dtype in DTYPES.items()}
MOST_DIMENSIONS = 12
MOST_NUMBERS = 1 << 28
MOST_TENSORS = 10_000


def warm() -> None:
    """Train one weight once: the first gradient and the first Adam of a process import for more than a second."""
    weight = torch.nn.Parameter(torch.zeros(1))
    weight.square().sum().backward()
    torch.optim.Adam([weight]).step()


def can_travel(value: Tensor) -> bool:
    """Whether a tensor is an ordinary one, on the CPU, of a type that we know."""
    return value.layout == torch.strided and value.device.type == "cpu" and value.dtype in NAMES


def raw(value: Tensor) -> bytes:
    """The numbers of a tensor, row by row."""
    # A copy, since one that is expanded may count as contiguous with strides of zero.
    plain = value.detach().resolve_conj().resolve_neg().clone(memory_format=torch.contiguous_format).reshape(-1)
    return plain.view(torch.uint8).numpy().tobytes() if plain.numel() else b""


def describe(value: Tensor) -> dict[str, Any]:
    """What the other side must know of a tensor besides its bytes."""
    return {
        "dtype": NAMES[value.dtype],
        "shape": list(value.shape),
        "requires_grad": value.requires_grad,
        "parameter": type(value) is torch.nn.Parameter,
    }


class Pile:
    """Tensors gathered for one frame, each named by its place."""

    def __init__(self) -> None:
        self.tensors: list[Tensor] = []
        self.about: list[dict[str, Any]] = []
        self.parts: list[bytes] = []

    def add(self, value: Tensor) -> int:
        """Put a tensor on the pile and return its place."""
        self.tensors.append(value)
        self.about.append(describe(value))
        self.parts.append(raw(value))
        return len(self.about) - 1

    @property
    def body(self) -> bytes:
        return b"".join(self.parts)


def unpile(about: Any, body: memoryview) -> tuple[list[Tensor], memoryview]:
    """The tensors of a frame, and what of its body comes after them.

    Raises
    ------
    ValueError
        If the description is not one, or the bytes are not as many as it says.
    """
    if not isinstance(about, list) or len(about) > MOST_TENSORS:
        raise ValueError("no list of tensors")
    found = []
    for one in about:
        dtype, shape = DTYPES.get(one["dtype"]), one["shape"]
        if dtype is None or not isinstance(shape, list) or len(shape) > MOST_DIMENSIONS:
            raise ValueError("a tensor of no known kind")
        if not all(type(size) is int and size >= 0 for size in shape):
            raise ValueError("a size that is no size")
        if (
            math.prod(max(size, 1) for size in shape) > MOST_NUMBERS
        ):  # of an empty tensor too: what is made of it may not be
            raise ValueError("a tensor larger than any answer")
        count = dtype.itemsize * math.prod(shape)
        if count > len(body):
            raise ValueError("fewer bytes than announced")
        if count and dtype == torch.bool:  # a byte that is neither 0 nor 1 would be no truth value
            value = (torch.frombuffer(bytearray(body[:count]), dtype=torch.uint8) != 0).reshape(shape)
        elif count:
            value = torch.frombuffer(bytearray(body[:count]), dtype=dtype).reshape(shape)
        else:
            value = torch.empty(shape, dtype=dtype)
        found.append(value)
        body = body[count:]
    return found, body
