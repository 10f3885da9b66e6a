"""How good the digits' autoencoder is, and how long it takes, over three seeds, beside two baselines.

    python benchmarks/vae_digits.py            about a minute on two cores

Prints, for held-out digits: the bound and the importance-weighted bound with 64 codes (nats an image); the same images
under independent pixels; grey, dequantised images under factor analysis and under independent Gaussians, each on its
own likelihood; and the share of 500 samples on which the shipped classifier is confident (p > 0.9), with the classes
seen among them.
"""

import platform
import statistics
import time

import torch
from sklearn.decomposition import FactorAnalysis

from genmodels import data, pretrained, train, vae

SEEDS = (0, 1, 2)


def main() -> None:
    torch.set_num_threads(1)  # networks this small are slower on two
    train_images, test_images = (data.binarize(data.digits(split).images) for split in ("train", "test"))
    classifier = pretrained.load("digit_classifier")
    print(f"{platform.machine()}, torch {torch.__version__}, one thread\n")
    print(f"{'model':34} {'seconds':>8} {'ELBO':>8} {'IWAE-64':>8} {'confident':>10} {'classes':>8}")
    for network, latent_dim, hidden_dim in (("mlp", 8, 256), ("conv", 16, 128)):
        rows = []
        for seed in SEEDS:
            model = vae.VAE(latent_dim=latent_dim, hidden_dim=hidden_dim, network=network, seed=seed)
            start = time.perf_counter()
            train.fit_vae(model, train_images, train.VAESettings(seed=seed), progress=False)
            seconds = time.perf_counter() - start
            with torch.no_grad():
                bound = vae.iwae_bound(model, test_images, 64, torch.Generator().manual_seed(seed)).mean().item()
                samples = model.sample(500, torch.Generator().manual_seed(seed))
                confidence, classes = torch.softmax(classifier(samples), dim=1).max(dim=1)
            sure = confidence > 0.9
            row = (
                seconds,
                train.evaluate_elbo(model, test_images),
                bound,
                sure.double().mean().item(),
                len(classes[sure].unique()),
            )
            rows.append(row)
            print_row(f"{network}, {latent_dim} codes, seed {seed}", row)
        print_row(f"{network}, {latent_dim} codes, median", tuple(map(statistics.median, zip(*rows, strict=True))))

    p_white = (train_images.sum(0) + 1) / (len(train_images) + 2)
    independent = vae.log_likelihood(test_images, torch.logit(p_white).expand_as(test_images)).mean().item()
    print(f"\nindependent pixels, black and white: {independent:.2f} nats (exact)")
    grey = [
        (data.digits(split).images.flatten(1) * 16 + torch.rand(n, 64, generator=torch.Generator().manual_seed(i))) / 17
        for i, (split, n) in enumerate((("train", len(train_images)), ("test", len(test_images))))
    ]
    for factors in (8, 0):
        score = FactorAnalysis(factors).fit(grey[0].numpy()).score(grey[1].numpy())
        print(f"factor analysis, {factors} factors, grey: {score:.2f} nats (exact, density of dequantised images)")
    with torch.no_grad():
        real = torch.softmax(classifier(test_images), dim=1).amax(1)
    print(f"the classifier is confident on {(real > 0.9).double().mean():.0%} of the held-out digits themselves")


def print_row(name: str, row: tuple[float, ...]) -> None:
    seconds, elbo, iwae, confident, classes = row
    print(f"{name:34} {seconds:8.1f} {elbo:8.2f} {iwae:8.2f} {confident:10.0%} {classes:8.0f}")


if __name__ == "__main__":
    main()
