"""How good the diffusion models of the book are: clouds in the plane and digits, each over three seeds.

    python benchmarks/diffusion.py            less than half an hour on one core
    python benchmarks/diffusion.py toys       clouds only
    python benchmarks/diffusion.py digits     digits only

Clouds: the energy distance of 2,000 samples from 2,000 held-out points, the mean of ten draws of both; what 2,000 other
points of the data come to in place of the samples, on average; the ratio; and the seconds of training and of the first
draw. One second sample would be a poor measure: its distance varies from draw to draw by two thirds of its mean.
Digits: the share of 500 samples on which the shipped classifier is confident (p > 0.9), the classes among these, the
Fréchet distance of 2,000 samples from the training digits on the classifier's penultimate layer, by ancestral sampling
and by DDIM with 50 steps, and the bound on held-out digits in bits per dimension, pixels of 17 grey levels. Beside them
stand the shipped GAN and VAE; the VAE speaks of black and white digits, so it is compared with these. Seconds are of
the processor.
"""

import argparse
import platform
import statistics
import time

import torch
from torch import Tensor, nn

from genmodels import data, diffusion, metrics, pretrained, train, unet

SEEDS = (0, 1, 2)


def toys() -> None:
    # The cosine schedule's last steps are so long that a Gaussian doesn't fit them: with T = 100 and no cap on beta the
    # spiral was at 2.7. A thousand steps that are linear in beta were worse for the eight Gaussians, at 2.4 to 3.2.
    schedule = diffusion.Schedule(diffusion.cosine_schedule(250).beta.clamp(max=0.15))
    diffusion.require_noise_at_end(schedule)
    # Width and learning rates were chosen on seeds 10 and 11. On seed 10 the 25 Gaussians were at 1.7 with half this
    # width, for all that it took 9,500 steps, and at 1.1 with this one.
    print("clouds, an MLP denoiser, cosine schedule with T = 250 and beta at most 0.15")
    print("5,500 steps of 256 at a learning rate of 4e-3, then 1,500 at 5e-4")
    print(f"{'cloud':>22} {'seed':>5} {'distance':>9} {'second':>9} {'ratio':>6} {'seconds':>8}")
    for name in data.TOY_2D:
        floor = second_sample(name)
        for seed in SEEDS:
            x = data.toy2d(name, 50_000, torch.Generator().manual_seed(seed))
            model = unet.MLPDenoiser(hidden_dim=256, seed=seed)
            start = time.process_time()
            for stage, (learning_rate, steps) in enumerate(((4e-3, 5500), (5e-4, 1500))):
                settings = train.DiffusionSettings(
                    epochs=1000, batch_size=256, learning_rate=learning_rate, seed=seed + 1000 * stage
                )
                train.fit_diffusion(model, x, schedule, settings, max_steps=steps, progress=False)
            generator = torch.Generator().manual_seed(100 + seed)
            distances, seconds = [], 0.0
            for _ in range(10):
                samples = diffusion.sample(model, (2000, 2), schedule, generator, variance="beta_tilde")
                seconds = seconds or time.process_time() - start  # to the end of the first sample
                held_out = data.toy2d(name, 2000, generator)
                distances.append(metrics.energy_distance(samples, held_out).item())
            distance = statistics.mean(distances)
            print(
                f"{name:>22} {seed:5} {distance:9.5f} {floor:9.5f} {distance / floor:6.2f} {seconds:8.1f}", flush=True
            )


def second_sample(name: str) -> float:
    """The expected energy distance of two samples of a cloud, 2,000 points each.

    In a sample's mean distance to itself 1 pair of 2,000 is a point with itself, at distance 0. With the mean distance
    d of two points the expectation is 2 d - 2 (1 - 1 / 2000) d = d / 1000.
    """
    generator = torch.Generator().manual_seed(99)
    x, y = (data.toy2d(name, 5000, generator) for _ in range(2))
    return metrics.distances(x, y).mean().item() / 1000


def digits() -> None:
    real, held_out = (data.digits(split).images for split in ("train", "test"))
    schedule = pretrained.SCHEDULES["diffusion_digits"]
    generator = torch.Generator().manual_seed(9)
    with torch.no_grad():
        fake = (pretrained.load("dcgan_digits")(torch.randn(2000, 16, generator=generator)) + 1) / 2
    black_and_white = data.binarize(real)
    baselines = {
        "held-out digits": frechet(held_out, real),
        "GAN": frechet(fake, real),
        "VAE, black and white": frechet(pretrained.load("vae_digits").sample(2000, generator), black_and_white),
        "held-out digits, black and white": frechet(data.binarize(held_out), black_and_white),
    }
    for name, distance in baselines.items():
        print(f"Fréchet distance of the {name}: {distance:.1f}")
    print(f"digits, a U-Net, cosine schedule with T = {schedule.T}")
    print(f"{'seed':>5} {'confident':>10} {'classes':>8} {'Fréchet':>8} {'DDIM-50':>8} {'bits':>6} {'seconds':>8}")
    for seed in SEEDS:
        model = unet.UNet(seed=seed)
        settings = train.DiffusionSettings(epochs=200, batch_size=64, seed=seed)
        start = time.process_time()
        train.fit_diffusion(model, 2 * real - 1, schedule, settings, progress=False)
        seconds = time.process_time() - start
        shape, generator = (2000, 1, 8, 8), torch.Generator().manual_seed(100 + seed)
        fake = (diffusion.sample(model, shape, schedule, generator, clip=(-1, 1)) + 1) / 2
        fast = (diffusion.ddim_sample(model, shape, schedule, 50, 0.0, generator, clip=(-1, 1)) + 1) / 2
        with torch.no_grad():
            confidence, classes = torch.softmax(pretrained.load("digit_classifier")(fake[:500]), dim=1).max(dim=1)
        sure = confidence > 0.9
        row = f"{sure.double().mean():10.0%} {len(classes[sure].unique()):8} {frechet(fake, real):8.1f}"
        row += f" {frechet(fast, real):8.1f} {bits(model, 2 * held_out - 1, schedule):6.3f} {seconds:8.1f}"
        print(f"{seed:5} {row}", flush=True)


def frechet(fake: Tensor, real: Tensor) -> float:
    """The Fréchet distance of two sets of digits on the features of the classifier that is shipped."""
    features = pretrained.load("digit_classifier")[:-1]
    with torch.no_grad():
        return metrics.frechet_distance(features(fake), features(real)).item()


def bits(model: nn.Module, x0: Tensor, schedule: diffusion.Schedule) -> float:
    """The bound's mean over x0 in bits per dimension: an upper bound on the length of a code for the digits."""
    terms = diffusion.vlb_terms(model, x0, schedule, levels=17, generator=torch.Generator().manual_seed(0))
    return diffusion.vlb_bits(terms, x0[0].numel()).total.mean().item()


def main() -> None:
    parser = argparse.ArgumentParser(description="How good the diffusion models of the book are.")
    parser.add_argument("which", nargs="?", choices=("toys", "digits"), help="default: both")
    which = parser.parse_args().which
    torch.set_num_threads(1)  # networks this small are slower on two
    print(f"{platform.machine()}, torch {torch.__version__}, one thread\n")
    if which in (None, "toys"):
        toys()
    if which in (None, "digits"):
        digits()


if __name__ == "__main__":
    main()
