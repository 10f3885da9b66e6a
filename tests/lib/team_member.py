"""One process of a team, for ``test_team.py``: trains small networks, and leaves what came of it in a folder.

    RANK=0 WORLD_SIZE=2 MASTER_ADDR=127.0.0.1 MASTER_PORT=... python tests/lib/team_member.py JOB FOLDER

Without these variables it is a team of one.
"""

import os
import sys
from pathlib import Path

import torch

from genmodels import data, diffusion, nets, train
from genmodels.unet import UNet
from genmodels.vae import VAE

SCHEDULE = diffusion.cosine_schedule(20)


def digits(n=70):
    return 2 * data.digits("train").images[:n] - 1


def vae(folder, **options):
    model = VAE(latent_dim=2, hidden_dim=16)
    history = train.fit_vae(model, data.binarize(digits()), train.VAESettings(epochs=2, batch_size=23), **options)
    return [model], vars(history)


def denoiser(folder, **options):
    model = UNet(width=8).double()  # a bias before a norm has no gradient but rounding, which Adam takes for one
    settings = train.DiffusionSettings(epochs=2, batch_size=23, checkpoint_every=1)
    history = train.fit_diffusion(model, digits().double(), SCHEDULE, settings, **options)
    return [model], vars(history)


def game(folder, **options):
    g = nets.dcgan_generator(4, 4, nets.Guidelines(batch_norm=False))
    d = nets.dcgan_discriminator(4, nets.Guidelines(batch_norm=False))
    settings = train.GANSettings(
        epochs=2, batch_size=23, kind="wasserstein", gradient_penalty=10.0, discriminator_steps=2
    )
    return [g, d], vars(train.fit_gan(g, d, digits(), 4, settings, **options))


def all_models(folder):
    """Each kind of run; the networks of the processes begin differently and must be made alike."""
    rank = int(os.environ.get("RANK", "0"))
    for make in (vae, denoiser, game):
        torch.manual_seed(rank)
        networks, history = make(folder, progress=True)
        states = [network.state_dict() for network in networks]
        torch.save({"states": states, "history": history}, folder / f"{make.__name__}-{rank}.pt")


def part(folder):
    """Four steps, with a checkpoint."""
    denoiser(folder, max_steps=4, checkpoint=folder / "run.pt", progress=False)


def whole(folder):
    """All steps, from the checkpoint if there is one."""
    networks, history = denoiser(folder, checkpoint=folder / "run.pt", progress=False)
    if os.environ.get("RANK", "0") == "0":
        torch.save({"states": [n.state_dict() for n in networks], "history": history}, folder / "whole.pt")


def endless(folder):
    """A run that is only ended from outside."""
    settings = train.DiffusionSettings(epochs=10**6, batch_size=23, checkpoint_every=1)
    train.fit_diffusion(UNet(width=8), digits(), SCHEDULE, settings, checkpoint=folder / "run.pt", progress=False)


if __name__ == "__main__":
    torch.set_num_threads(1)
    {"all_models": all_models, "part": part, "whole": whole, "endless": endless}[sys.argv[1]](Path(sys.argv[2]))
