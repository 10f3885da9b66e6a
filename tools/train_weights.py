"""Train what `genmodels.pretrained` ships: what `make weights` runs.

    python tools/train_weights.py                     all of them, about five minutes on two cores
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

from genmodels import data, pretrained, train
from genmodels.autoregressive import PixelCNN, bits_per_dimension
from genmodels.nets import digit_classifier
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
    metrics = {}
    for name, x in (("grey", held_out.images), ("black and white", data.binarize(held_out.images))):
        with torch.no_grad():
            p = torch.softmax(model(x), dim=1)
        metrics[f"accuracy on {name} held-out digits"] = f"{(p.argmax(1) == held_out.labels).double().mean():.1%}"
        metrics[f"share of {name} held-out digits with a confidence above 0.9"] = (
            f"{(p.amax(1) > 0.9).double().mean():.1%}"
        )
    return model, metrics


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


def binary_digits(split: str) -> torch.Tensor:
    return data.binarize(data.digits(split).images)


RECIPES: dict[str, Callable[[], tuple[nn.Module, Metrics]]] = {
    "digit_classifier": train_classifier,
    "pixelcnn_digits": train_pixelcnn,
    "vae_digits": lambda: train_vae(VAE(latent_dim=8, hidden_dim=256, seed=SEED), 200),
    "vae_digits_2d": lambda: train_vae(VAE(latent_dim=2, hidden_dim=128, seed=SEED), 600),
}


def write(name: str, model: nn.Module, metrics: Metrics, seconds: float) -> None:
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
        **metrics,
    }
    table = "\n".join(f"| {key} | {value} |" for key, value in rows.items())
    path.with_suffix(".md").write_text(f"# {name}\n\n| | |\n| --- | --- |\n{table}\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the networks that genmodels ships.")
    parser.add_argument("names", nargs="*", choices=[*RECIPES, []], help="which ones (default: all)")
    torch.set_num_threads(1)  # the networks are so small that a second thread slows them down
    for name in parser.parse_args().names or RECIPES:
        start = time.perf_counter()
        model, metrics = RECIPES[name]()
        write(name, model, metrics, time.perf_counter() - start)
        print(f"{name}: " + "; ".join(f"{key} {value}" for key, value in metrics.items()))


if __name__ == "__main__":
    main()
