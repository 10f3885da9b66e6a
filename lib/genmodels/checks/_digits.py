"""What is asked of digits that a submitted network draws: readable ones of all classes, like the data, and new."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from genmodels import data, metrics, pretrained
from genmodels.checks._property import Property

SURE_SHARE = 0.5  # of the samples: the classifier must be sure of these
SURE = 0.9  # the probability of its favourite class from which the classifier counts as sure
LEAST_DISTANCE = 0.6  # median over samples of the Euclidean distance to the nearest other; 1.2 for held-out digits
COPY_DISTANCE = 0.5  # the same to the nearest training digit; 1.05 for held-out digits


def features(images: Tensor) -> Tensor:
    """The features of the shipped classifier: images (N, 1, 8, 8) in [0, 1] → (N, D)."""
    body = nn.Sequential(*list(pretrained.load("digit_classifier").children())[:-1])
    with torch.no_grad():
        return body(images)


def require_readable(samples: Tensor, share: float, least: int) -> None:
    """Raise AssertionError unless the classifier is sure of a share of the samples (N, 1, 8, 8), and of each class."""
    with torch.no_grad():
        p = torch.softmax(pretrained.load("digit_classifier")(samples), dim=1)
    confidence, label = p.max(dim=1)
    sure = confidence > SURE
    found = sure.double().mean().item()
    told = f"the classifier is sure of {found:.0%} of {len(samples)} samples"
    assert found >= share, f"{told}, the mark is {share:.0%}"
    counts = torch.bincount(label[sure], minlength=10)
    assert counts.min() >= least, (
        f"of {len(samples)} samples, those that the classifier is sure of are {counts.tolist()} for the classes "
        f"0 to 9; at least {least} of each are asked for"
    )


def require_like_the_data(samples: Tensor, frechet: float, precision: float | None = None) -> None:
    """Raise AssertionError unless the samples' features are distributed about as those of the training digits."""
    fake, real = features(samples), features(data.digits("train").images)
    distance = metrics.frechet_distance(fake, real).item()
    assert distance <= frechet, f"the Fréchet distance is {distance:.1f}, the mark is {frechet:.0f}"
    if precision is None:
        return
    found = metrics.precision_recall(real, fake).precision
    assert found >= precision, f"the precision is {found:.2f}, the mark is {precision}"


def require_new(samples: Tensor) -> None:
    """Raise AssertionError if the samples repeat one another, or are training digits."""
    flat = samples.flatten(1)
    apart = metrics.distances(flat, flat).fill_diagonal_(math.inf).amin(1).median().item()
    assert apart >= LEAST_DISTANCE, (
        f"half of the samples have another one within a distance of {apart:.2g}: a few images, over and over"
    )
    copied = metrics.distances(flat, data.digits("train").images.flatten(1)).amin(1).median().item()
    assert copied >= COPY_DISTANCE, f"half of the samples are within {copied:.2g} of a training digit: copies"


def digits_properties(
    draw: Callable[[Callable[..., Any]], Tensor], least: int, frechet: float, precision: float | None = None
) -> tuple[Property, ...]:
    """What is asked of the samples (N, 1, 8, 8) in [0, 1] that ``draw(answer)`` makes with the submitted weights."""
    marks = f"the Fréchet distance to the training digits is at most {frechet:.0f}"
    return (
        Property(
            "the classifier is sure of at least half of the samples, and finds each of the ten digits among them",
            lambda answer: require_readable(draw(answer), SURE_SHARE, least),
        ),
        Property(
            marks if precision is None else f"{marks}, the precision at least {precision}",
            lambda answer: require_like_the_data(draw(answer), frechet, precision),
        ),
        Property(
            "the samples differ from one another and from the training digits",
            lambda answer: require_new(draw(answer)),
        ),
    )
