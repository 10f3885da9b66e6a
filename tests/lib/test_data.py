"""The data sets: what they promise about shape, range, split and shape of cloud."""

import math

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from genmodels import data


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_digits_are_unit_interval_images_of_ten_classes():
    train, test = data.digits("train"), data.digits("test")
    assert train.images.shape == (1438, 1, 8, 8)
    assert test.images.shape == (359, 1, 8, 8)
    for split in (train, test):
        assert split.images.dtype == torch.float32
        assert (split.images.min(), split.images.max()) == (0, 1)
        assert split.labels.unique().tolist() == list(range(10))


def test_digits_splits_partition_the_whole_set():
    whole = load_digits().images.reshape(-1, 64) / 16
    parts = torch.cat([data.digits("train").images, data.digits("test").images]).reshape(-1, 64).numpy()
    assert len(parts) == len(whole)
    np.testing.assert_array_equal(np.sort(parts, axis=0), np.sort(whole.astype(np.float32), axis=0))
    assert {row.tobytes() for row in parts} == {row.tobytes() for row in whole.astype(np.float32)}


def test_digits_are_upright_images_with_their_own_labels():
    bunch = load_digits()
    test = data.digits("test")
    np.testing.assert_allclose(test.images[0, 0].numpy() * 16, bunch.images[4])
    assert test.labels[0] == bunch.target[4]


def test_binarized_images_hold_only_zero_and_one_split_at_the_threshold():
    images = torch.tensor([[0.0, 0.5, 0.51, 1.0]])
    assert data.binarize(images).tolist() == [[0, 0, 1, 1]]
    assert data.binarize(images, threshold=0.9).tolist() == [[0, 0, 0, 1]]


@pytest.mark.parametrize("name", list(data.TOY_2D))
def test_clouds_are_a_function_of_the_generator_alone(name):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    a, b, c = data.toy2d(name, 50, seeded(0)), data.toy2d(name, 50, seeded(0)), data.toy2d(name, 50, seeded(1))
    assert torch.equal(torch.get_rng_state(), before)
    assert a.shape == (50, 2)
    assert torch.equal(a, b)
    assert not torch.equal(a, c)
    assert data.toy2d(name, 0).shape == (0, 2)


def nearest(points, centres):
    return torch.cdist(points, centres).min(dim=1)


@pytest.mark.parametrize(("name", "modes"), [("eight_gaussians", 8), ("twenty_five_gaussians", 25)])
def test_mixtures_visit_each_of_their_modes_equally_and_closely(name, modes):
    if modes == 8:
        angle = torch.arange(8) * math.pi / 4
        centres = torch.stack([angle.cos(), angle.sin()], dim=1)
    else:
        centres = torch.cartesian_prod(torch.arange(5.0) - 2, torch.arange(5.0) - 2)
    n = 20_000
    distance, mode = nearest(data.toy2d(name, n, seeded()), centres)
    counts = torch.bincount(mode, minlength=modes)
    assert (counts - n / modes).abs().max() < 5 * math.sqrt(n / modes)
    # The squared distance over variance is chi-squared with 2 degrees of freedom, of mean 2.
    assert (distance / 0.05).square().mean().item() == pytest.approx(2, abs=5 * 2 / math.sqrt(n))


def test_checkerboard_fills_its_dark_squares_and_no_others():
    points = data.toy2d("checkerboard", 5_000, seeded())
    column, row = (points + 2).floor().to(torch.int64).unbind(1)
    assert set(zip(column.tolist(), row.tolist(), strict=True)) == {
        (c, r) for c in range(4) for r in range(4) if (c + r) % 2 == 0
    }


def test_moons_and_spiral_stay_within_their_blur_of_their_curves():
    angle = torch.linspace(0, math.pi, 2_000)
    moons = torch.cat(
        [
            torch.stack([angle.cos() - 0.5, angle.sin() - 0.25], 1),
            torch.stack([0.5 - angle.cos(), 0.25 - angle.sin()], 1),
        ]
    )
    assert nearest(data.toy2d("moons", 2_000, seeded()), moons)[0].max() < 6 * 0.1
    turn = torch.linspace(0, 3 * math.pi, 4_000)
    spiral = torch.stack([turn.cos(), turn.sin()], 1) * (1.5 * turn / (3 * math.pi))[:, None]
    assert nearest(data.toy2d("spiral", 2_000, seeded()), spiral)[0].max() < 6 * 0.03


def test_blobs_lie_where_their_factors_say_and_grow_with_the_third():
    images, factors = data.blobs(500, seeded(), size=12)
    assert images.shape == (500, 1, 12, 12)
    assert factors.shape == (500, 3)
    mass = images.sum((1, 2, 3))
    centre = torch.arange(12) + 0.5
    by_x = (images.sum((1, 2)) * centre).sum(1) / mass / 12
    by_y = (images.sum((1, 3)) * centre).sum(1) / mass / 12
    assert ((by_x - (0.25 + 0.5 * factors[:, 0])).abs() < 0.03).all()
    assert ((by_y - (0.25 + 0.5 * factors[:, 1])).abs() < 0.03).all()
    radius = 1 + 1.5 * factors[:, 2]
    assert torch.corrcoef(torch.stack([mass, radius.square()]))[0, 1] > 0.99


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: data.blobs(-1), "n must not be negative, got -1"),
        (lambda: data.blobs(1, size=3), "size must be at least 4, got 3"),
        (lambda: data.digits("validation"), "split must be one of 'train', 'test', got 'validation'"),
        (lambda: data.toy2d("stars", 5), r"name must be one of .* got 'stars'"),
        (lambda: data.toy2d("moons", -1), "n must not be negative, got -1"),
        (lambda: data.torchvision_dataset("imagenet"), "name must be one of"),
        (lambda: data.torchvision_dataset("mnist", "all"), "split must be one of"),
    ],
)
def test_unknown_names_raise_an_error_that_lists_the_known_ones(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_set_that_cannot_be_downloaded_says_where_it_was_looked_for(tmp_path, monkeypatch):
    import torchvision.datasets.mnist as mnist

    def no_network(*_args, **_kwargs):
        raise OSError("network is unreachable")

    monkeypatch.setattr(mnist, "download_and_extract_archive", no_network)
    with pytest.raises(ConnectionError, match=r"MNIST is not in .* could not be downloaded"):
        data.torchvision_dataset("mnist", root=tmp_path)


def test_a_set_that_is_there_is_read_without_a_network(tmp_path):
    # MNIST's own file format: a header of big-endian integers, then bytes.
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for prefix, n in (("train", 3), ("t10k", 2)):
        pixels = np.full((n, 28, 28), 255, dtype=np.uint8)
        header = np.array([2051, n, 28, 28], dtype=">i4").tobytes()
        (raw / f"{prefix}-images-idx3-ubyte").write_bytes(header + pixels.tobytes())
        labels = np.array([2049, n], dtype=">i4").tobytes() + bytes(range(n))
        (raw / f"{prefix}-labels-idx1-ubyte").write_bytes(labels)
    test = data.torchvision_dataset("mnist", "test", root=tmp_path)
    image, label = test[1]
    assert (len(test), label) == (2, 1)
    assert image.shape == (1, 28, 28)
    assert image.max() == 1
