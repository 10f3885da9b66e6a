"""The small trained networks that come with the library, so that a chapter need not train what it only looks at.

Each is a file of safetensors in ``weights/`` with a card beside it that says how it was made and how good it is;
``make weights`` makes them anew.
"""

from collections.abc import Callable
from pathlib import Path

import safetensors.torch
from torch import nn

from genmodels._shapes import require_choice
from genmodels.autoregressive import PixelCNN
from genmodels.diffusion import Schedule, cosine_schedule
from genmodels.nets import dcgan_generator, digit_classifier
from genmodels.unet import MLPDenoiser, UNet
from genmodels.vae import VAE

FOLDER = Path(__file__).parent / "weights"

ARCHITECTURES: dict[str, Callable[[], nn.Module]] = {
    "dcgan_digits": lambda: dcgan_generator(latent_dim=16, width=48),
    "diffusion_2d": lambda: MLPDenoiser(hidden_dim=64, layers=3, time_dim=16),
    "diffusion_digits": UNet,
    "digit_classifier": digit_classifier,
    "pixelcnn_digits": PixelCNN,
    "vae_digits": lambda: VAE(latent_dim=8, hidden_dim=256),
    "vae_digits_2d": lambda: VAE(latent_dim=2, hidden_dim=128),
}

# A denoiser is of use with the schedule that it was trained for only. The digits' pixels lie in [-1, 1].
SCHEDULES: dict[str, Schedule] = {
    "diffusion_2d": cosine_schedule(100),
    "diffusion_digits": cosine_schedule(200),
}


def load(name: str) -> nn.Module:
    """The trained network of that name (one of ``ARCHITECTURES``), on the CPU, in evaluation mode.

    Raises
    ------
    ValueError
        If ``name`` is unknown.
    FileNotFoundError
        If its file is not there.
    """
    require_choice("name", name, tuple(ARCHITECTURES))
    path = FOLDER / f"{name}.safetensors"
    if not path.exists():
        raise FileNotFoundError(f"{path.name} is not in {FOLDER}: run `make weights` to train it")
    model = ARCHITECTURES[name]()
    model.load_state_dict(safetensors.torch.load_file(path))
    return model.eval()
