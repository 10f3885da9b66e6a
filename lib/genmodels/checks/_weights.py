"""Files of weights that are handed in: read without executing anything of them, and told what is wrong with them."""

from pathlib import Path
from typing import TypeVar

import safetensors
import safetensors.torch
import torch
from torch import nn

LARGEST_FILE = 1_000_000  # bytes; the networks of the exercises take some 140,000 to 200,000
Network = TypeVar("Network", bound=nn.Module)


def load_weights(path: object, network: Network, architecture: str) -> Network:
    """The network with the weights of a submitted file, in evaluation mode; an AssertionError says what is wrong.

    Nothing of the file is executed: safetensors holds tensors and nothing else. Names, shapes and types must be those
    of the network, and every number finite. ``architecture`` is how the exercise writes the network.
    """
    assert isinstance(path, str | Path), f"expected the name of a file, got {type(path).__name__}"
    file = Path(path)
    assert file.suffix == ".safetensors", f"expected a .safetensors file, got {file.name!r}"
    assert file.is_file(), f"there is no file {file.name!r} beside the notebook"
    size = file.stat().st_size
    assert size <= LARGEST_FILE, f"{file.name!r} has {size:,} bytes, at most {LARGEST_FILE:,} are read"
    wanted = network.state_dict()
    try:
        state = safetensors.torch.load_file(file)
    except (safetensors.SafetensorError, OSError, ValueError, KeyError, RuntimeError) as error:
        raise AssertionError(f"{file.name!r} is not a readable safetensors file ({error})") from None
    missing, strangers = wanted.keys() - state.keys(), state.keys() - wanted.keys()
    if missing or strangers:
        raise AssertionError(
            f"{file.name!r} is not of {architecture}: "
            f"missing {sorted(missing)[:3]}, not expected {sorted(strangers)[:3]}"
        )
    for name, value in state.items():
        assert value.shape == wanted[name].shape, (
            f"{name} has shape {tuple(value.shape)}; in {architecture} it is {tuple(wanted[name].shape)}"
        )
        assert value.dtype == wanted[name].dtype, (
            f"{name} must be {str(wanted[name].dtype).removeprefix('torch.')}, got {value.dtype}"
        )
        assert bool(torch.isfinite(value).all()), f"{name} holds numbers that are not finite: the training diverged"
    network.load_state_dict(state)
    return network.eval()
