"""Train what `genmodels.pretrained` ships: what `make weights` runs.

    python tools/train_weights.py                     all of them, about six minutes on two cores
    python tools/train_weights.py vae_digits_2d       some of them

Each gets a file of safetensors and a card: the command, the seed, the commit, and metrics on held-out digits, measured
here after training.
"""

from __future__ import annotations

import argparse
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import safetensors.torch
import torch
from torch import nn
from torch.nn import functional
from tqdm.auto import tqdm

from genmodels import data, metrics, pretrained, train
from genmodels.autoregressive import PixelCNN, bits_per_dimension
from genmodels.nets import dcgan_discriminator, dcgan_generator, digit_classifier
from genmodels.vae import VAE, iwae_bound

ROOT = Path(__file__).resolve().parents[1]
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
    """The generator only, measured by the classifier that is shipped: train that one first."""
    generator = dcgan_generator(latent_dim=16, width=48, seed=SEED)
    discriminator = dcgan_discriminator(width=48, seed=SEED + 1)
    settings = train.GANSettings(
        epochs=150, batch_size=64, learning_rate=1e-3, discriminator_learning_rate=1e-3, seed=SEED
    )
    real = data.digits("train").images
    train.fit_gan(generator, discriminator, 2 * real - 1, 16, settings)
    classifier = pretrained.load("digit_classifier")
    with torch.no_grad():
        # Pixels of the generator lie in [-1, 1], those of the classifier in [0, 1].
        fake = (generator(torch.randn(2000, 16, generator=torch.Generator().manual_seed(SEED))) + 1) / 2
        confidence, classes = torch.softmax(classifier(fake[:500]), dim=1).max(dim=1)
        features = [classifier[:-1](images) for images in (fake, real, data.digits("test").images)]
    sure = confidence > 0.9
    quality = metrics.precision_recall(features[1], features[0])
    return generator, {
        "share of 500 samples on which the classifier has a confidence above 0.9": f"{sure.double().mean():.1%}",
        "classes among these": str(len(classes[sure].unique())),
        "Fréchet distance of 2,000 samples from the training digits": f"{metrics.frechet_distance(*features[:2]):.1f}",
        "the same for the held-out digits": f"{metrics.frechet_distance(*features[1:]):.1f}",
        "precision, recall": f"{quality.precision:.2f}, {quality.recall:.2f}",
        "density, coverage": f"{quality.density:.2f}, {quality.coverage:.2f}",
    }


def binary_digits(split: str) -> torch.Tensor:
    return data.binarize(data.digits(split).images)


RECIPES: dict[str, Callable[[], tuple[nn.Module, Metrics]]] = {
    "digit_classifier": train_classifier,
    "dcgan_digits": train_dcgan,
    "pixelcnn_digits": train_pixelcnn,
    "vae_digits": lambda: train_vae(VAE(latent_dim=8, hidden_dim=256, seed=SEED), 200),
    "vae_digits_2d": lambda: train_vae(VAE(latent_dim=2, hidden_dim=128, seed=SEED), 600),
}


def write(name: str, model: nn.Module, measured: Metrics, seconds: float) -> None:
    """The weights and their card, into the folder that `genmodels.pretrained` reads."""
    path = pretrained.FOLDER / f"{name}.safetensors"
    safetensors.torch.save_file({key: value.contiguous() for key, value in model.state_dict().items()}, path)
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True
    ).stdout.strip()
    rows = {
        "command": f"`python tools/train_weights.py {name}`",
        "data": "scikit-learn's digits, training split",
        "seed": str(SEED),
        "commit": commit or "unknown",
        "torch": torch.__version__.split("+")[0],
        "parameters": f"{sum(p.numel() for p in model.parameters()):,}",
        "training time": f"{seconds:.0f} s on one CPU thread",
        **measured,
    }
    table = "\n".join(f"| {key} | {value} |" for key, value in rows.items())
    path.with_suffix(".md").write_text(f"# {name}\n\n| | |\n| --- | --- |\n{table}\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the networks that genmodels ships.")
    parser.add_argument("names", nargs="*", choices=[*RECIPES, []], help="which ones (default: all)")
    torch.set_num_threads(1)  # the networks are so small that a second thread slows them down
    for name in parser.parse_args().names or RECIPES:
        start = time.perf_counter()
        model, measured = RECIPES[name]()
        write(name, model, measured, time.perf_counter() - start)
        print(f"{name}: " + "; ".join(f"{key} {value}" for key, value in measured.items()))


if __name__ == "__main__":
    main()
