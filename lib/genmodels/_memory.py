"""A batch too large for memory says so, and says what to do."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

# Accelerators other than CUDA, and the CPU's allocator, say it in words only.
_WORDS = ("out of memory", "can't allocate memory", "not enough memory")


@contextmanager
def explain_out_of_memory(what: str, advice: str) -> Iterator[None]:
    """Turn an allocator's error inside the block into one that names ``what`` did not fit and gives ``advice``.

    Raises
    ------
    torch.OutOfMemoryError
        Whatever the device, from the error that the allocator raised.
    """
    try:
        yield
    except RuntimeError as error:  # torch.OutOfMemoryError is one
        if isinstance(error, torch.OutOfMemoryError) or any(words in str(error) for words in _WORDS):
            raise torch.OutOfMemoryError(f"{what} did not fit into memory: {advice}") from error
        raise
