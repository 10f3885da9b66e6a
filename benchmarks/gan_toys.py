"""Do the generators cover what they learn from: eight and 25 Gaussians, and the digits, each over three seeds.

    python benchmarks/gan_toys.py            about six minutes of one core
    python benchmarks/gan_toys.py ring       eight Gaussians only
    python benchmarks/gan_toys.py grid       25 Gaussians only
    python benchmarks/gan_toys.py digits     digits only

Gaussians: the non-saturating loss with Adam's first moment at 0.5, which is the stabiliser here, and the same
set-up at Adam's usual 0.9. Prints the modes covered by 2,500 samples (at least 20 samples within three standard
deviations), and the share of samples that are so close to a mode. The last column is CPU seconds: on a busy machine
the seconds before it say more about the neighbours. Digits: a DCGAN; prints the share of 500 samples on
which the shipped classifier is confident (p > 0.9), the classes among these, and the Fréchet distance of 2,000 samples
from the training digits on the classifier's penultimate layer, beside that of the held-out digits.
"""

import argparse
import math
import platform
import time

import torch

from genmodels import data, metrics, nets, pretrained, train

SEEDS = (0, 1, 2)


def ring() -> None:
    angle = 2 * math.pi * torch.arange(8) / 8
    centres = torch.stack([angle.cos(), angle.sin()], dim=1)
    print("eight Gaussians of standard deviation 0.05, non-saturating loss, 1,500 steps of 256")
    cover("eight_gaussians", centres, steps=1500, learning_rate=4e-3)


def grid() -> None:
    line = torch.arange(5) - 2.0
    print("\n25 Gaussians of standard deviation 0.05, non-saturating loss, 3,000 steps of 256")
    cover("twenty_five_gaussians", torch.cartesian_prod(line, line), steps=3000, learning_rate=2e-3)


def cover(name: str, centres: torch.Tensor, steps: int, learning_rate: float) -> None:
    """Train on a mixture with and without the stabiliser, and print what 2,500 samples of each run cover."""
    print(f"{'first moment':>12} {'seed':>5} {'modes':>6} {'close':>6} {'D(x)':>6} {'D(G(z))':>8}", end=" ")
    print(f"{'seconds':>8} {'CPU':>6}")
    for beta_1 in (0.5, 0.9):
        for seed in SEEDS:
            x = data.toy2d(name, 8192, torch.Generator().manual_seed(seed))
            generator = nets.mlp_generator(latent_dim=8, seed=seed)
            discriminator = nets.mlp_discriminator(seed=seed + 100)
            settings = train.GANSettings(
                batch_size=256,
                learning_rate=learning_rate,
                discriminator_learning_rate=learning_rate,
                beta_1=beta_1,
                seed=seed,
            )
            start, cpu = time.perf_counter(), time.process_time()
            history = train.fit_gan(generator, discriminator, x, 8, settings, max_steps=steps, progress=False)
            seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
            with torch.no_grad():
                samples = generator(torch.randn(2500, 8, generator=torch.Generator().manual_seed(9)))
            covered, close = metrics.modes_covered(samples, centres, 0.05, at_least=20)
            d_real, d_fake = history.d_real[-1], history.d_fake[-1]
            print(
                f"{beta_1:12} {seed:5} {covered:6} {close:6.0%} {d_real:6.2f} {d_fake:8.2f} {seconds:8.1f} {cpu:6.1f}",
                flush=True,
            )


def digits() -> None:
    real, held_out = (data.digits(split).images for split in ("train", "test"))
    classifier = pretrained.load("digit_classifier")
    with torch.no_grad():
        floor = metrics.frechet_distance(classifier[:-1](held_out), classifier[:-1](real))
    print(f"\ndigits, DCGAN, 150 epochs of batches of 64; Fréchet distance of the held-out digits: {floor:.1f}")
    print(f"{'seed':>5} {'confident':>10} {'classes':>8} {'Fréchet':>8} {'seconds':>8} {'CPU':>6}")
    for seed in SEEDS:
        generator = nets.dcgan_generator(latent_dim=16, width=48, seed=seed)
        discriminator = nets.dcgan_discriminator(width=48, seed=seed + 1)
        settings = train.GANSettings(
            epochs=150, batch_size=64, learning_rate=1e-3, discriminator_learning_rate=1e-3, seed=seed
        )
        start, cpu = time.perf_counter(), time.process_time()
        train.fit_gan(generator, discriminator, 2 * real - 1, 16, settings, progress=False)
        seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
        with torch.no_grad():
            fake = (generator(torch.randn(2000, 16, generator=torch.Generator().manual_seed(9))) + 1) / 2
            confidence, classes = torch.softmax(classifier(fake[:500]), dim=1).max(dim=1)
            distance = metrics.frechet_distance(classifier[:-1](fake), classifier[:-1](real))
        sure = confidence > 0.9
        seen = len(classes[sure].unique())
        print(f"{seed:5} {sure.double().mean():10.0%} {seen:8} {distance:8.1f} {seconds:8.1f} {cpu:6.1f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="What the GANs of the book cover.")
    parser.add_argument("which", nargs="?", choices=("ring", "grid", "digits"), help="default: all")
    which = parser.parse_args().which
    torch.set_num_threads(1)  # networks this small are slower on two
    print(f"{platform.machine()}, torch {torch.__version__}, one thread\n")
    if which in (None, "ring"):
        ring()
    if which in (None, "grid"):
        grid()
    if which in (None, "digits"):
        digits()


if __name__ == "__main__":
    main()
