"""The networks that are shipped: small, safe to load, and as good as their cards say."""

import re

import pytest
import safetensors
import torch

from genmodels import data, diffusion, metrics, pretrained, train
from genmodels.autoregressive import bits_per_dimension
from genmodels.diffusion_exact import toy_mixture
from genmodels.vae import iwae_bound

NAMES = sorted(pretrained.ARCHITECTURES)
HELD_OUT = data.digits("test")


def card(name):
    """The rows of a card, as a dictionary."""
    text = (pretrained.FOLDER / f"{name}.md").read_text(encoding="utf-8")
    return dict(re.findall(r"^\| ([^|]+?) \| ([^|]+?) \|$", text, re.MULTILINE))


def number(text):
    return float(re.match(r"-?[\d.]+", text)[0])


def test_there_is_a_file_and_a_card_for_each_name_and_for_nothing_else():
    assert sorted(path.stem for path in pretrained.FOLDER.glob("*.safetensors")) == NAMES
    assert sorted(path.stem for path in pretrained.FOLDER.glob("*.md")) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_each_file_is_small_and_its_card_says_how_it_was_made(name):
    path = pretrained.FOLDER / f"{name}.safetensors"
    assert path.stat().st_size < 4_000_000
    with safetensors.safe_open(path, framework="pt") as file:
        assert set(file.keys()) == set(pretrained.ARCHITECTURES[name]().state_dict())
    rows = card(name)
    assert rows["command"] == f"`python tools/train_weights.py {name}`"
    assert re.fullmatch(r"[0-9a-f]{7,40}", rows["commit"])
    assert {"seed", "data", "parameters", "training time"} <= rows.keys()


def test_all_files_together_stay_under_their_limit():
    assert sum(path.stat().st_size for path in pretrained.FOLDER.iterdir()) < 25_000_000


def test_the_classifier_is_as_accurate_and_as_sure_as_its_card_says():
    rows, classifier = card("digit_classifier"), pretrained.load("digit_classifier")
    for name, images in (("grey", HELD_OUT.images), ("black and white", data.binarize(HELD_OUT.images))):
        with torch.no_grad():
            confidence, classes = torch.softmax(classifier(images), dim=1).max(dim=1)
        accuracy = 100 * (classes == HELD_OUT.labels).double().mean().item()
        assert accuracy == pytest.approx(number(rows[f"accuracy on {name} held-out digits"]), abs=0.35)
        sure = 100 * (confidence > 0.9).double().mean().item()
        assert sure == pytest.approx(
            number(rows[f"share of {name} held-out digits with a confidence above 0.9"]), abs=0.7
        )


@pytest.mark.parametrize("name", ["vae_digits", "vae_digits_2d"])
def test_the_autoencoders_reach_the_bounds_of_their_cards(name):
    rows, model = card(name), pretrained.load(name)
    images = data.binarize(HELD_OUT.images)
    with torch.no_grad():
        tighter = iwae_bound(model, images, 64, torch.Generator().manual_seed(5)).mean().item()
    assert train.evaluate_elbo(model, images, samples=32, seed=5) == pytest.approx(
        number(rows["evidence lower bound on held-out digits"]), abs=0.15
    )
    assert tighter == pytest.approx(number(rows["importance-weighted bound, 64 codes"]), abs=0.1)


def test_the_pixelcnn_has_the_likelihood_of_its_card():
    rows, model = card("pixelcnn_digits"), pretrained.load("pixelcnn_digits")
    with torch.no_grad():
        log_prob = model.log_prob(data.binarize(HELD_OUT.images))
    assert log_prob.mean().item() == pytest.approx(number(rows["log-likelihood of held-out digits"]), abs=0.01)
    bits = bits_per_dimension(log_prob, 64).mean().item()
    assert bits == pytest.approx(number(rows["bits per dimension"]), abs=0.001)


def test_most_samples_of_the_autoencoder_convince_the_classifier_and_all_classes_appear():
    samples = pretrained.load("vae_digits").sample(500, torch.Generator().manual_seed(0))
    with torch.no_grad():
        confidence, classes = torch.softmax(pretrained.load("digit_classifier")(samples), dim=1).max(dim=1)
    sure = confidence > 0.9
    assert sure.double().mean() > 0.6
    assert len(classes[sure].unique()) == 10


def generated(n, seed):
    """Digits of the generator in [0, 1], with the classifier's confidence, classes and features."""
    z = torch.randn(n, 16, generator=torch.Generator().manual_seed(seed))
    classifier = pretrained.load("digit_classifier")
    with torch.no_grad():
        images = (pretrained.load("dcgan_digits")(z) + 1) / 2
        confidence, classes = torch.softmax(classifier(images), dim=1).max(dim=1)
        return images, confidence, classes, classifier[:-1](images)


def test_the_generator_is_as_good_as_its_card_says():
    rows, classifier = card("dcgan_digits"), pretrained.load("digit_classifier")
    _, confidence, _, fake = generated(2000, seed=5)
    with torch.no_grad():
        real, held_out = (classifier[:-1](data.digits(split).images) for split in ("train", "test"))
    # A share of 500 has a standard error of up to 2.3 points, so other codes may differ by five of them.
    share = rows["share of 500 samples on which the classifier has a confidence above 0.9"]
    assert 100 * (confidence > 0.9).double().mean().item() == pytest.approx(number(share), abs=11)
    distance = number(rows["Fréchet distance of 2,000 samples from the training digits"])
    assert metrics.frechet_distance(fake, real).item() == pytest.approx(distance, rel=0.15)
    floor = number(rows["the same for the held-out digits"])
    assert metrics.frechet_distance(held_out, real).item() == pytest.approx(floor, abs=0.1)


def test_most_samples_of_the_generator_convince_the_classifier_and_all_classes_appear():
    images, confidence, classes, _ = generated(500, seed=0)
    assert images.min() >= 0
    assert images.max() <= 1
    sure = confidence > 0.9
    assert sure.double().mean() > 0.6
    assert len(classes[sure].unique()) == 10


@pytest.fixture(scope="module")
def noised():
    """500 digits of the diffusion model in [0, 1], by DDIM with 50 steps, and what the classifier says of them."""
    schedule, generator = pretrained.SCHEDULES["diffusion_digits"], torch.Generator().manual_seed(5)
    model, classifier = pretrained.load("diffusion_digits"), pretrained.load("digit_classifier")
    images = (diffusion.ddim_sample(model, (500, 1, 8, 8), schedule, 50, 0.0, generator, clip=(-1, 1)) + 1) / 2
    with torch.no_grad():
        confidence, classes = torch.softmax(classifier(images), dim=1).max(dim=1)
        return images, confidence, classes, classifier[:-1](images)


def test_most_samples_of_the_denoiser_convince_the_classifier_and_all_classes_appear(noised):
    images, confidence, classes, _ = noised
    assert images.min() >= 0
    assert images.max() <= 1
    sure = confidence > 0.9
    assert sure.double().mean() > 0.6
    assert len(classes[sure].unique()) == 10


def test_the_denoiser_of_digits_is_as_good_as_its_card_says(noised):
    rows, (_, confidence, _, fake) = card("diffusion_digits"), noised
    share = rows["share of 500 samples by DDIM with 50 steps on which it has a confidence above 0.9"]
    assert 100 * (confidence > 0.9).double().mean().item() == pytest.approx(number(share), abs=11)
    with torch.no_grad():
        real = pretrained.load("digit_classifier")[:-1](data.digits("train").images)
    distance = rows["Fréchet distance of 500 samples by DDIM with 50 steps"]
    assert metrics.frechet_distance(fake, real).item() == pytest.approx(number(distance), rel=0.2)


@pytest.mark.slow
def test_the_denoiser_of_digits_reaches_the_bound_of_its_card():
    rows, model = card("diffusion_digits"), pretrained.load("diffusion_digits")
    schedule, generator = pretrained.SCHEDULES["diffusion_digits"], torch.Generator().manual_seed(5)
    terms = diffusion.vlb_terms(model, 2 * HELD_OUT.images - 1, schedule, levels=17, generator=generator)
    bits = diffusion.vlb_bits(terms, 64).total.mean().item()
    named = rows["bound on held-out digits of 17 grey levels, bits per dimension"]
    assert bits == pytest.approx(number(named), abs=0.08)  # one draw of the noise: a standard deviation of 0.02


def test_the_denoiser_of_points_is_near_the_best_one_and_as_near_as_its_card_says():
    rows, model, schedule = card("diffusion_2d"), pretrained.load("diffusion_2d"), pretrained.SCHEDULES["diffusion_2d"]
    generator = torch.Generator().manual_seed(5)
    x0 = data.toy2d("eight_gaussians", 20_000, generator)
    t = torch.randint(1, schedule.T + 1, (len(x0),), generator=generator)
    eps = torch.randn(x0.shape, generator=generator)
    xt = diffusion.q_sample(x0, t, eps, schedule)
    best = toy_mixture("eight_gaussians").expected_eps(xt.double(), t, schedule)
    with torch.no_grad():
        error = (model(xt, t) - best).square().mean().item()
    assert error == pytest.approx(
        number(rows["mean squared distance from the exact E[eps given x_t], per dimension"]), rel=0.25
    )
    assert error < 0.1 * (eps - best).square().mean()  # little beside what no denoiser can know
    assert sum(parameter.numel() for parameter in model.parameters()) <= 20_000


def test_samples_of_the_denoiser_of_points_fall_on_all_eight_gaussians():
    schedule, generator = pretrained.SCHEDULES["diffusion_2d"], torch.Generator().manual_seed(5)
    samples = diffusion.sample(pretrained.load("diffusion_2d"), (1000, 2), schedule, generator)
    centres = toy_mixture("eight_gaussians").means.float()
    coverage = metrics.modes_covered(samples, centres, 0.05, at_least=60)  # of about 125
    assert coverage.covered == 8
    assert coverage.high_quality > 0.9


def test_an_unknown_or_missing_network_is_named(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"name must be one of .* got 'gpt'"):
        pretrained.load("gpt")
    monkeypatch.setattr(pretrained, "FOLDER", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"vae_digits\.safetensors is not in .* `make weights`"):
        pretrained.load("vae_digits")
