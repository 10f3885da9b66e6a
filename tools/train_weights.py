"""Train what `genmodels.pretrained` ships: what `make weights` runs.

    python tools/train_weights.py                     all of them, about twenty minutes on two cores
    python tools/train_weights.py vae_digits_2d       some of them

Each gets a file of safetensors and a card: the command, the seed, the commit, and metrics on held-out digits, measured
here after training.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import safetensors.torch
import torch
from torch import nn
from torch.nn import functional
from tqdm.auto import tqdm

from genmodels import data, diffusion, metrics, pretrained, train
from genmodels.autoregressive import PixelCNN, bits_per_dimension
from genmodels.diffusion_exact import toy_mixture
from genmodels.nets import dcgan_discriminator, dcgan_generator, digit_classifier
from genmodels.unet import UNet
from genmodels.vae import VAE, iwae_bound

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tools.repository import commit

SEED = 0

Metrics = dict[str, str]


def train_classifier() -> tuple[nn.Module, Metrics]:
    """A classifier for grey digits and for black and white ones alike: each batch is one or the other."""
    model = digit_classifier(SEED)
    images, labels = data.digits("train")
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=1e-3)
    epochs = 60
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=epochs * 12)
    for step in tqdm(range(epochs * 12), desc="digit_classifier"):
        rows = train.minibatch(len(images), step, 128, SEED)
        generator = train.step_generator(SEED, step)
        batch = images[rows]
        if step % 2:
            threshold = 0.3 + 0.4 * torch.rand(len(batch), 1, 1, 1, generator=generator)
            batch = (batch > threshold).to(batch.dtype)
        loss = functional.cross_entropy(model(batch), labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    model.eval()
    held_out = data.digits("test")
    measured = {}
    for name, x in (("grey", held_out.images), ("black and white", data.binarize(held_out.images))):
        with torch.no_grad():
            p = torch.softmax(model(x), dim=1)
        measured[f"accuracy on {name} held-out digits"] = f"{(p.argmax(1) == held_out.labels).double().mean():.1%}"
        measured[f"share of {name} held-out digits with a confidence above 0.9"] = (
            f"{(p.amax(1) > 0.9).double().mean():.1%}"
        )
    return model, measured


def train_pixelcnn() -> tuple[nn.Module, Metrics]:
    model = PixelCNN(seed=SEED)
    train.fit_pixelcnn(model, binary_digits("train"), train.PixelCNNSettings(seed=SEED))
    with torch.no_grad():
        log_prob = model.log_prob(binary_digits("test"))
    return model, {
        "log-likelihood of held-out digits": f"{log_prob.mean():.2f} nats",
        "bits per dimension": f"{bits_per_dimension(log_prob, 64).mean():.3f}",
    }


def train_vae(model: VAE, epochs: int) -> tuple[nn.Module, Metrics]:
    train.fit_vae(model, binary_digits("train"), train.VAESettings(epochs=epochs, seed=SEED))
    held_out = binary_digits("test")
    with torch.no_grad():
        tighter = iwae_bound(model, held_out, 64, torch.Generator().manual_seed(SEED)).mean()
    return model, {
        "evidence lower bound on held-out digits": f"{train.evaluate_elbo(model, held_out):.2f} nats",
        "importance-weighted bound, 64 codes": f"{tighter:.2f} nats",
    }


def train_dcgan() -> tuple[nn.Module, Metrics]:
    """The generator only."""
    generator = dcgan_generator(latent_dim=16, width=48, seed=SEED)
    discriminator = dcgan_discriminator(width=48, seed=SEED + 1)
    settings = train.GANSettings(
        epochs=150, batch_size=64, learning_rate=1e-3, discriminator_learning_rate=1e-3, seed=SEED
    )
    train.fit_gan(generator, discriminator, 2 * data.digits("train").images - 1, 16, settings)
    with torch.no_grad():
        fake = generator(torch.randn(2000, 16, generator=torch.Generator().manual_seed(SEED)))
    return generator, digit_quality(fake)


def digit_quality(fake: torch.Tensor) -> Metrics:
    """How 2,000 samples with pixels in [-1, 1] look to the classifier that is shipped: train that one first."""
    classifier = pretrained.load("digit_classifier")
    real, held_out = (data.digits(split).images for split in ("train", "test"))
    with torch.no_grad():
        images = (fake + 1) / 2  # the classifier's pixels lie in [0, 1]
        confidence, classes = torch.softmax(classifier(images[:500]), dim=1).max(dim=1)
        features = [classifier[:-1](x) for x in (images, real, held_out)]
    sure = confidence > 0.9
    quality = metrics.precision_recall(features[1], features[0])
    return {
        "share of 500 samples on which the classifier has a confidence above 0.9": f"{sure.double().mean():.1%}",
        "classes among these": str(len(classes[sure].unique())),
        "Fréchet distance of 2,000 samples from the training digits": f"{metrics.frechet_distance(*features[:2]):.1f}",
        "the same for the held-out digits": f"{metrics.frechet_distance(*features[1:]):.1f}",
        "precision, recall": f"{quality.precision:.2f}, {quality.recall:.2f}",
        "density, coverage": f"{quality.density:.2f}, {quality.coverage:.2f}",
    }


def train_diffusion_digits() -> tuple[nn.Module, Metrics]:
    name = "diffusion_digits"
    model, schedule = UNet(seed=SEED), pretrained.SCHEDULES[name]
    real, held_out = (2 * data.digits(split).images - 1 for split in ("train", "test"))
    start = time.process_time()
    train.fit_diffusion(model, real, schedule, train.DiffusionSettings(epochs=200, batch_size=64, seed=SEED))
    seconds = time.process_time() - start  # to measure it takes as long again
    generator = torch.Generator().manual_seed(SEED)
    fake = diffusion.sample(model, (2000, 1, 8, 8), schedule, generator, clip=(-1, 1), progress=True)
    fast = diffusion.ddim_sample(model, (500, 1, 8, 8), schedule, 50, 0.0, generator, clip=(-1, 1), progress=True)
    bits = [diffusion_bits(model, held_out, schedule, seed) for seed in (1, 2, 3)]
    classifier, by = pretrained.load("digit_classifier"), "500 samples by DDIM with 50 steps"
    with torch.no_grad():
        sure = torch.softmax(classifier((fast + 1) / 2), dim=1).amax(dim=1) > 0.9
        distance = metrics.frechet_distance(*(classifier[:-1]((x + 1) / 2) for x in (fast, real)))
    return model, {
        "training time": card_time(seconds),
        **digit_quality(fake),
        f"share of {by} on which it has a confidence above 0.9": f"{sure.double().mean():.1%}",
        f"Fréchet distance of {by}": f"{distance:.1f}",
        "bound on held-out digits of 17 grey levels, bits per dimension": f"{statistics.mean(bits):.2f}, mean of three",
    }


def diffusion_bits(model: nn.Module, x0: torch.Tensor, schedule: diffusion.Schedule, seed: int) -> float:
    """The bound in bits per dimension on one draw of the noise at each t: draws differ by about 0.02."""
    terms = diffusion.vlb_terms(model, x0, schedule, levels=17, generator=torch.Generator().manual_seed(seed))
    return diffusion.vlb_bits(terms, x0[0].numel()).total.mean().item()


def train_diffusion_2d() -> tuple[nn.Module, Metrics]:
    """A denoiser small enough for a page, of data whose best denoiser is known."""
    name, mixture = "diffusion_2d", toy_mixture("eight_gaussians")
    model, schedule = pretrained.ARCHITECTURES[name](), pretrained.SCHEDULES[name]
    generator = torch.Generator().manual_seed(SEED)
    x = data.toy2d("eight_gaussians", 50_000, generator)
    settings = train.DiffusionSettings(batch_size=512, learning_rate=4e-3, seed=SEED)
    train.fit_diffusion(model, x, schedule, settings, max_steps=12_000)
    x0 = data.toy2d("eight_gaussians", 20_000, generator)
    t = torch.randint(1, schedule.T + 1, (len(x0),), generator=generator)
    xt = diffusion.q_sample(x0, t, torch.randn(x0.shape, generator=generator), schedule)
    with torch.no_grad():
        error = (model(xt, t) - mixture.expected_eps(xt.double(), t, schedule)).square().mean()
    distances, floors = [], []
    for _ in range(10):
        samples = diffusion.sample(model, (2000, 2), schedule, generator, variance="beta", clip=(-1.5, 1.5))
        held_out, other = (data.toy2d("eight_gaussians", 2000, generator) for _ in range(2))
        distances.append(metrics.energy_distance(samples, held_out).item())
        floors.append(metrics.energy_distance(other, held_out).item())
    return model, {
        "data": "50,000 points of eight Gaussians, `data.toy2d`",
        "mean squared distance from the exact E[eps given x_t], per dimension": f"{error:.4f}",
        "energy distance of 2,000 samples from 2,000 held-out points, mean of ten": f"{statistics.mean(distances):.5f}",
        "the same for 2,000 other points of the data": f"{statistics.mean(floors):.5f}",
    }


def binary_digits(split: str) -> torch.Tensor:
    return data.binarize(data.digits(split).images)


RECIPES: dict[str, Callable[[], tuple[nn.Module, Metrics]]] = {
    "digit_classifier": train_classifier,
    "dcgan_digits": train_dcgan,
    "diffusion_2d": train_diffusion_2d,
    "diffusion_digits": train_diffusion_digits,
    "pixelcnn_digits": train_pixelcnn,
    "vae_digits": lambda: train_vae(VAE(latent_dim=8, hidden_dim=256, seed=SEED), 200),
    "vae_digits_2d": lambda: train_vae(VAE(latent_dim=2, hidden_dim=128, seed=SEED), 600),
}


def card_time(seconds: float) -> str:
    return f"{seconds:.0f} s on one CPU thread"


def write(name: str, model: nn.Module, measured: Metrics, seconds: float) -> None:
    """The weights and their card, into the folder that `genmodels.pretrained` reads."""
    path = pretrained.FOLDER / f"{name}.safetensors"
    safetensors.torch.save_file({key: value.contiguous() for key, value in model.state_dict().items()}, path)
    rows = {
        "command": f"`python tools/train_weights.py {name}`",
        "data": "scikit-learn's digits, training split",
        "seed": str(SEED),
        "commit": commit(),
        "torch": torch.__version__.split("+")[0],
        "parameters": f"{sum(p.numel() for p in model.parameters()):,}",
        "training time": card_time(seconds),
        **measured,
    }
    table = "\n".join(f"| {key} | {value} |" for key, value in rows.items())
    path.with_suffix(".md").write_text(f"# {name}\n\n| | |\n| --- | --- |\n{table}\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the networks that genmodels ships.")
    parser.add_argument("names", nargs="*", choices=[*RECIPES, []], help="which ones (default: all)")
    torch.set_num_threads(1)  # the networks are so small that a second thread slows them down
    for name in parser.parse_args().names or RECIPES:
        start = time.process_time()
        model, measured = RECIPES[name]()
        write(name, model, measured, time.process_time() - start)
        print(f"{name}: " + "; ".join(f"{key} {value}" for key, value in measured.items()))


if __name__ == "__main__":
    main()
