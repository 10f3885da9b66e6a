"""The PixelCNN: it looks at earlier pixels only, at all of them, and its probabilities are probabilities."""

import itertools
import math

import pytest
import torch

from genmodels import data, train
from genmodels.autoregressive import MaskedConv2d, PixelCNN, bits_per_dimension


def wild_model(data_shape=(1, 4, 4), **arguments):
    """A PixelCNN with large random weights, so that every dependence shows."""
    model = PixelCNN(data_shape, channels=8, layers=2, **arguments).double()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.5 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return model


def dependence(model):
    """(P, P) bool: whether the logit of pixel i depends on pixel j, by the Jacobian at a random image."""
    x = torch.rand(1, *model.data_shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(model, x)
    pixels = x.numel()
    return jacobian.reshape(pixels, pixels) != 0


@pytest.mark.equation("autoregressive-factorisation")
@pytest.mark.parametrize("data_shape", [(1, 4, 4), (1, 2, 5), (1, 8, 8)])
def test_no_output_depends_on_its_own_or_a_later_pixel_and_each_depends_on_all_earlier_ones(data_shape):
    depends = dependence(wild_model(data_shape))
    assert torch.equal(depends, torch.tril(torch.ones_like(depends), diagonal=-1))


@pytest.mark.equation("autoregressive-factorisation")
def test_probabilities_of_all_images_of_a_tiny_size_sum_to_one():
    model = wild_model((1, 3, 3))
    images = torch.tensor(list(itertools.product([0.0, 1.0], repeat=9)), dtype=torch.float64).reshape(-1, 1, 3, 3)
    assert model.log_prob(images).exp().sum().item() == pytest.approx(1, abs=1e-10)


@pytest.mark.equation("autoregressive-factorisation")
def test_log_prob_is_the_sum_of_the_conditionals_taken_one_pixel_at_a_time():
    model = wild_model((1, 3, 3))
    image = (torch.rand(1, 1, 3, 3, generator=torch.Generator().manual_seed(3), dtype=torch.float64) > 0.5).double()
    total, so_far = 0.0, torch.zeros_like(image)
    for i in range(9):
        row, column = divmod(i, 3)
        p_white = torch.distributions.Bernoulli(logits=model(so_far)[0, 0, row, column])
        total += p_white.log_prob(image[0, 0, row, column]).item()
        so_far[0, 0, row, column] = image[0, 0, row, column]
    assert model.log_prob(image).item() == pytest.approx(total, abs=1e-10)


def test_samples_are_drawn_with_the_probabilities_of_the_model():
    model = wild_model((1, 2, 2))
    n = 40_000
    samples = model.float().sample(n, torch.Generator().manual_seed(0)).reshape(n, 4)
    images = torch.tensor(list(itertools.product([0.0, 1.0], repeat=4)))
    want = model.log_prob(images.reshape(-1, 1, 2, 2)).exp()
    got = (samples[:, None] == images).all(dim=2).double().mean(dim=0)
    assert ((got - want).abs() < 5 * (want * (1 - want) / n).sqrt() + 1e-4).all()


def test_sampling_takes_one_pass_of_the_network_for_each_pixel_and_likelihood_one_for_all():
    model, passes = wild_model((1, 3, 5)).float(), []
    model.first.register_forward_hook(lambda *_: passes.append(None))
    model.sample(7, torch.Generator().manual_seed(0))
    assert len(passes) == 15
    passes.clear()
    model.log_prob(torch.zeros(7, 1, 3, 5))
    assert len(passes) == 1


def test_samples_are_a_function_of_the_generator():
    model = wild_model((1, 3, 3)).float()
    a, b, c = (model.sample(5, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)


def test_a_completion_keeps_the_rows_it_was_given_and_draws_the_others_from_the_conditional():
    model = wild_model((1, 2, 2)).float()
    n, given = 40_000, torch.tensor([[[[1.0, 0.0], [1.0, 1.0]]]])
    drawn = model.complete(given.expand(n, 1, 2, 2), 1, torch.Generator().manual_seed(0))
    assert torch.equal(drawn[:, :, :1], given[:, :, :1].expand(n, 1, 1, 2))
    lower = torch.tensor(list(itertools.product([0.0, 1.0], repeat=2))).reshape(4, 1, 1, 2)
    joint = model.log_prob(torch.cat([given[:, :, :1].expand(4, 1, 1, 2), lower], dim=2)).exp()
    want = joint / joint.sum()
    got = (drawn[:, None, :, 1:] == lower).flatten(2).all(dim=2).double().mean(dim=0)
    assert ((got - want).abs() < 5 * (want * (1 - want) / n).sqrt() + 1e-4).all()


def sequential_steps(width, height, needs):
    """The length of the longest chain of pixels that must wait for each other, by dynamic programming."""
    done: dict[tuple[int, int], int] = {}
    for row in range(height):
        for column in range(width):
            earlier = [done[pixel] for pixel in needs(row, column) if pixel in done]
            done[row, column] = 1 + max(earlier, default=0)
    return max(done.values())


@pytest.mark.equation("sequential-steps")
@pytest.mark.parametrize("n", [1, 2, 5, 8])
def test_a_diagonal_scan_takes_2n_minus_1_steps_and_a_raster_scan_n_squared(n):
    # A recurrent network over diagonals waits for the left and the upper neighbour, and so also if it draws while it
    # sees only what lies above and to the left; a pixel that sees all earlier ones waits for all of them.
    assert sequential_steps(n, n, lambda r, c: [(r - 1, c), (r, c - 1)]) == 2 * n - 1
    above_left = [(r, c) for r in range(n) for c in range(n)]
    seen = {(r, c): [(i, j) for i, j in above_left if i <= r and j <= c and (i, j) != (r, c)] for r, c in above_left}
    assert sequential_steps(n, n, lambda r, c: seen[r, c]) == 2 * n - 1
    raster = [(r, c) for r in range(n) for c in range(n)]
    assert sequential_steps(n, n, lambda r, c: raster[: r * n + c]) == n**2


@pytest.mark.equation("bits-per-dimension")
def test_a_uniform_model_of_binary_images_costs_one_bit_per_pixel():
    log_prob = torch.full((3,), 64 * math.log(0.5))
    torch.testing.assert_close(bits_per_dimension(log_prob, 64), torch.ones(3))
    # By information theory: the entropy of a coin with p = 0.11, in bits, is the mean cost of its outcomes.
    p = 0.11
    mean_cost = p * bits_per_dimension(torch.tensor(math.log(p)), 1) + (1 - p) * bits_per_dimension(
        torch.tensor(math.log(1 - p)), 1
    )
    assert mean_cost.item() == pytest.approx(-(p * math.log2(p) + (1 - p) * math.log2(1 - p)))


def test_training_raises_the_exact_likelihood_of_held_out_digits():
    images = data.binarize(data.digits("train").images)[:300]
    held_out = data.binarize(data.digits("test").images)
    model = PixelCNN(channels=8, layers=1)
    with torch.no_grad():
        before = model.log_prob(held_out).mean()
    settings = train.PixelCNNSettings(epochs=8, batch_size=64, learning_rate=1e-2)
    train.fit_pixelcnn(model, images, settings, progress=False)
    with torch.no_grad():
        assert model.log_prob(held_out).mean() > before + 15


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: PixelCNN((3, 8, 8)), r"data_shape must be \(1, H, W\), got \(3, 8, 8\)"),
        (lambda: PixelCNN(channels=0), "channels must be at least 1, got 0"),
        (lambda: PixelCNN(layers=0), "layers must be at least 1, got 0"),
        (lambda: PixelCNN()(torch.zeros(2, 1, 4, 4)), r"x must have shape \(B, 1, 8, 8\), got \(2, 1, 4, 4\)"),
        (lambda: PixelCNN().log_prob(torch.full((1, 1, 8, 8), 0.5)), "x must be binary"),
        (lambda: PixelCNN().complete(torch.zeros(1, 1, 8, 8), 9), r"rows must lie in 0\.\.8, got 9"),
        (lambda: PixelCNN().complete(torch.full((1, 1, 8, 8), 0.37), 2), "x must be binary"),
        (lambda: PixelCNN().complete(torch.zeros(1, 1, 4, 4), 2), r"x must have shape \(B, 1, 8, 8\)"),
        (lambda: PixelCNN().sample(0), "n must be at least 1, got 0"),
        (lambda: MaskedConv2d("C", 1, 1, 3), "kind must be one of 'A', 'B', got 'C'"),
        (lambda: MaskedConv2d("A", 1, 1, 4), "kernel_size must be odd"),
        (lambda: bits_per_dimension(torch.zeros(1), 0), "dimensions must be at least 1, got 0"),
    ],
)
def test_bad_input_raises_an_error_that_names_the_argument(call, message):
    with pytest.raises(ValueError, match=message):
        call()
