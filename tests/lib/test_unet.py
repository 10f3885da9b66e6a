"""The denoisers part by part: embedding, AdaGN, attention, blocks, and the U-Net that they make."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from genmodels import unet
from genmodels.unet import AdaGN, MLPDenoiser, ResidualBlock, SelfAttention, UNet

DOUBLE = torch.float64


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE)


def awake(model, seed=5):
    """The model in float64, its layer of zeros given weights: else nothing that is inside shows outside."""
    model = model.double()
    with torch.no_grad():
        for parameter in model.last.parameters():
            parameter.copy_(normal(*parameter.shape, seed=seed))
    return model


def outputs_of(model, *inputs):
    """What each residual block of a U-Net returns for these inputs, by name."""
    outputs = {}
    hooks = [
        block.register_forward_hook(lambda _, __, output, name=name: outputs.update({name: output.detach()}))
        for name, block in model.named_modules()
        if isinstance(block, ResidualBlock)
    ]
    model(*inputs)
    for hook in hooks:
        hook.remove()
    return outputs


# --- the time ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dim", [2, 6, 32])
def test_the_embedding_is_sines_and_cosines_of_falling_frequencies(dim):
    t = np.array([0, 1, 2, 17, 500, 1000])
    expected = np.zeros((len(t), dim))
    for row, time in enumerate(t):
        for i in range(dim // 2):
            w = 1 / 10_000 ** (2 * i / dim)
            expected[row, i], expected[row, dim // 2 + i] = np.sin(w * time), np.cos(w * time)
    np.testing.assert_allclose(unet.time_embedding(torch.from_numpy(t).double(), dim), expected, rtol=0, atol=1e-9)
    np.testing.assert_allclose(unet.time_embedding(torch.from_numpy(t), dim), expected, rtol=0, atol=2e-4)


def test_a_shift_of_the_time_turns_each_pair_of_the_embedding_by_an_angle_that_does_not_depend_on_the_time():
    t, shift, dim = torch.tensor([0.0, 3.0, 250.0, 990.0], dtype=DOUBLE), 7, 16
    now, later = (torch.complex(*reversed(unet.time_embedding(t + s, dim).chunk(2, dim=1))) for s in (0, shift))
    turn = later / now  # cos + i sin is a point on the unit circle
    torch.testing.assert_close(turn, turn[:1].expand_as(turn))
    torch.testing.assert_close(turn[0].angle()[0], torch.tensor(float(shift) - 2 * math.pi, dtype=DOUBLE))


def test_all_times_of_a_long_schedule_are_told_apart():
    embedded = unet.time_embedding(torch.arange(1, 1001), 32)
    assert embedded.dtype == torch.float32
    assert (torch.cdist(embedded, embedded) + 10 * torch.eye(1000)).min() > 0.1


@pytest.mark.parametrize(
    ("t", "dim", "message"),
    [
        (torch.tensor(3), 8, r"t must have shape \(B,\), one time for each example, got \(\)"),
        (torch.zeros(4, 1), 8, r"t must have shape \(B,\), .* got \(4, 1\)"),
        (torch.zeros(4), 7, "dim must be positive and even, .* got 7"),
        (torch.zeros(4), 0, "dim must be positive and even, .* got 0"),
    ],
)
def test_times_and_dimensions_that_cannot_be_embedded_are_refused(t, dim, message):
    with pytest.raises(ValueError, match=message):
        unet.time_embedding(t, dim)


# --- AdaGN ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("shape", "groups"), [((3, 8, 5, 4), 4), ((2, 6, 3, 3), 1), ((4, 6), 2), ((2, 5, 7), 5)])
def test_adagn_scales_and_shifts_what_has_mean_zero_and_variance_one_in_each_group(shape, groups):
    h, y_s, y_b = 3 + 2 * normal(*shape), normal(*shape[:2], seed=1), normal(*shape[:2], seed=2)
    expected = np.empty(shape)
    size = shape[1] // groups
    for b in range(shape[0]):
        for c in range(shape[1]):
            group = h[b, c // size * size : (c // size + 1) * size].numpy()
            plain = (h[b, c].numpy() - group.mean()) / np.sqrt(group.var() + 1e-5)
            expected[b, c] = y_s[b, c].item() * plain + y_b[b, c].item()
    np.testing.assert_allclose(unet.ada_group_norm(h, y_s, y_b, groups), expected, rtol=1e-12, atol=1e-12)


def test_each_example_has_a_scale_and_a_shift_of_its_own():
    h = normal(1, 8, 4, 4).expand(3, -1, -1, -1)
    y_s, y_b = torch.tensor([1.0, 0.0, 2.0], dtype=DOUBLE), torch.tensor([0.0, 5.0, -1.0], dtype=DOUBLE)
    out = unet.ada_group_norm(h, y_s[:, None].expand(3, 8), y_b[:, None].expand(3, 8), groups=2)
    plain = nn.GroupNorm(2, 8, affine=False).double()(h[:1])[0]
    torch.testing.assert_close(out[0], plain)
    torch.testing.assert_close(out[1], torch.full_like(plain, 5.0))  # nothing of h is left, only the shift
    torch.testing.assert_close(out[2], 2 * plain - 1)


def test_a_norm_with_scale_and_shift_is_adagn_with_the_same_for_every_example():
    h, norm = normal(3, 12, 4, 4), nn.GroupNorm(4, 12).double()
    with torch.no_grad():
        norm.weight.copy_(normal(12, seed=1))
        norm.bias.copy_(normal(12, seed=2))
    y_s, y_b = norm.weight.expand(3, 12), norm.bias.expand(3, 12)
    torch.testing.assert_close(unet.ada_group_norm(h, y_s, y_b, 4), norm(h))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"groups": 3}, "groups must divide the 8 channels of h, got 3"),
        ({"groups": 0}, "groups must divide the 8 channels of h, got 0"),
        ({"y_s": torch.ones(8)}, r"y_s must have shape \(2, 8\), one for each channel, got \(8,\)"),
        ({"y_b": torch.ones(2, 1)}, r"y_b must have shape \(2, 8\), one for each channel, got \(2, 1\)"),
        ({"h": torch.ones(2, 8, dtype=torch.int64)}, "h must be a floating-point tensor"),
    ],
)
def test_what_adagn_cannot_modulate_is_refused(change, message):
    good = {"h": torch.randn(2, 8, 4, 4), "y_s": torch.ones(2, 8), "y_b": torch.zeros(2, 8), "groups": 4}
    with pytest.raises(ValueError, match=message):
        unet.ada_group_norm(**{**good, **change})


def test_the_layer_takes_y_s_and_y_b_in_this_order_from_one_linear_map_of_the_time():
    layer, h, time = AdaGN(8, 6).double(), normal(3, 8, 4, 4), normal(3, 6, seed=1)
    y = time @ layer.project.weight.T + layer.project.bias
    torch.testing.assert_close(layer(h, time), unet.ada_group_norm(h, y[:, :8], y[:, 8:], layer.groups))
    # With no time the scales are one and the shifts zero: the block begins as if the norm were a plain one.
    plain = functional.group_norm(h, layer.groups)
    torch.testing.assert_close(layer(h, torch.zeros(3, 6, dtype=DOUBLE)), plain)


def test_a_residual_block_is_the_slides_norm_convolution_adagn_convolution_and_the_way_around():
    block, x, time = ResidualBlock(6, 10, 5).double(), normal(2, 6, 4, 4), normal(2, 5, seed=1)
    h = torch.nn.Sequential(block.norm, nn.SiLU(), block.first)(x)
    y_s, y_b = block.ada_gn.project(time)[:, :, None, None].chunk(2, dim=1)
    h = y_s * functional.group_norm(h, 2) + y_b  # 10 channels in 2 groups
    torch.testing.assert_close(block(x, time), block.shortcut(x) + block.second(h * torch.sigmoid(h)))


def test_without_scale_and_shift_a_block_is_deaf_to_its_input_but_for_the_way_around():
    block, time = ResidualBlock(8, 8, 5).double(), normal(2, 5)
    nn.init.zeros_(block.ada_gn.project.weight)
    nn.init.zeros_(block.ada_gn.project.bias)
    for seed in (1, 2):
        x = normal(2, 8, 4, 4, seed=seed)
        only_bias = block.second.bias[:, None, None].expand(2, 8, 4, 4)
        torch.testing.assert_close(block(x, time) - x, only_bias)


# --- a convolution of the doubled image -------------------------------------------------------------------------------


@pytest.mark.parametrize("with_bias", [True, False])
@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 3, 4, 4), (3, 5, 3, 7)])
def test_the_convolution_of_the_doubled_image_is_that_of_the_image_with_every_pixel_repeated(shape, with_bias):
    x, weight = normal(*shape), normal(4, shape[1], 3, 3, seed=1)
    bias = normal(4, seed=2) if with_bias else None
    doubled = x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    expected = functional.conv2d(doubled, weight, bias, padding=1)
    torch.testing.assert_close(unet.convolve_doubled(x, weight, bias), expected)


def test_its_gradients_are_those_of_that_convolution():
    x, weight, bias = (p.requires_grad_() for p in (normal(2, 3, 4, 5), normal(4, 3, 3, 3, seed=1), normal(4, seed=2)))
    doubled = x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    expected = torch.autograd.grad(functional.conv2d(doubled, weight, bias, padding=1).pow(3).sum(), (x, weight, bias))
    found = torch.autograd.grad(unet.convolve_doubled(x, weight, bias).pow(3).sum(), (x, weight, bias))
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    ("x", "weight"),
    [((2, 3, 4, 4), (5, 4, 3, 3)), ((2, 3, 4, 4), (5, 3, 4, 4)), ((2, 3, 4, 4), (3, 3)), ((2, 3, 4), (5, 3, 3, 3))],
)
def test_images_and_kernels_that_do_not_go_together_are_refused(x, weight):
    with pytest.raises(ValueError, match=r"weight \(O, C, 3, 3\), with the same C, got"):
        unet.convolve_doubled(torch.ones(x), torch.ones(weight))


# --- attention --------------------------------------------------------------------------------------------------------


def test_attention_is_that_of_torch():
    q, k, v = (normal(3, 7, 5, seed=seed) for seed in range(3))
    torch.testing.assert_close(unet.attention(q, k, v), functional.scaled_dot_product_attention(q, k, v))


def test_attention_with_equal_scores_is_the_mean_and_with_a_sharp_one_picks_a_value():
    v = normal(1, 4, 3)
    torch.testing.assert_close(unet.attention(torch.zeros_like(v), v, v), v.mean(1, keepdim=True).expand_as(v))
    keys = 100 * torch.eye(4, dtype=DOUBLE)[None]
    order = [2, 0, 3, 1]
    values = normal(1, 4, 4, seed=1)
    torch.testing.assert_close(unet.attention(keys[:, order], keys, values), values[:, order])
    with pytest.raises(ValueError, match=r"k must have the shape of q, \(1, 4, 3\), got \(1, 3, 3\)"):
        unet.attention(v, v[:, :3], v)


def test_the_layer_is_torchs_multihead_attention_with_one_head_and_the_way_around():
    layer, x = SelfAttention(6).double(), normal(2, 6, 3, 4)
    oracle = nn.MultiheadAttention(6, 1, batch_first=True, dtype=DOUBLE)
    names = {"in_proj_weight": "to_qkv.weight", "in_proj_bias": "to_qkv.bias"}
    names |= {"out_proj.weight": "out.weight", "out_proj.bias": "out.bias"}
    weights = layer.state_dict()
    oracle.load_state_dict({theirs: weights[ours] for theirs, ours in names.items()})
    pixels = functional.group_norm(x, 2).flatten(2).mT  # (B, 12, 6)
    found = oracle(pixels, pixels, pixels)[0].mT.reshape(x.shape)
    torch.testing.assert_close(layer(x), x + found)


def test_attention_treats_all_pixels_alike_and_lets_each_see_all():
    layer, x = SelfAttention(4).double(), normal(1, 4, 3, 3)
    order = torch.randperm(9, generator=torch.Generator().manual_seed(0))

    def shuffled(images):
        return images.flatten(2)[:, :, order].reshape(images.shape)

    torch.testing.assert_close(layer(shuffled(x)), shuffled(layer(x)))
    jacobian = torch.autograd.functional.jacobian(lambda x: layer(x).sum(dim=(0, 1)), x)  # (3, 3, 1, 4, 3, 3)
    assert (jacobian.abs().sum(dim=(2, 3)) > 0).all()


# --- the U-Net --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "multipliers"),
    [
        ((8, 8), (1, 2)),
        ((16, 16), (1, 2, 4)),
        ((28, 28), (1, 2, 2)),
        ((32, 32), (1, 1, 2, 2)),
        ((8, 12), (3, 2)),
        ((5, 7), (2,)),
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_the_noise_has_the_shape_of_the_images(size, multipliers, channels):
    model = UNet(channels, width=8, multipliers=multipliers)
    assert model(torch.randn(2, channels, *size), torch.tensor([1, 9])).shape == (2, channels, *size)


@pytest.mark.parametrize("width", [2, 6, 10, 14, 24])
def test_any_even_width_will_do(width):
    model = awake(UNet(1, width, (1, 3)))
    out = model(normal(2, 1, 8, 8), torch.tensor([1, 9]))
    assert torch.isfinite(out).all()
    assert out.std() > 0


@pytest.mark.parametrize("multipliers", [(1,), (1, 2), (1, 2, 2)])
def test_the_time_reaches_every_block_through_its_own_adagn(multipliers):
    model = awake(UNet(1, 8, multipliers))
    x, early, late = normal(2, 1, 8, 8), torch.tensor([3, 3]), torch.tensor([90, 90])
    blocks = [name for name, block in model.named_modules() if isinstance(block, ResidualBlock)]
    assert len(blocks) == 2 * len(multipliers)
    for told in blocks:
        # Only one block is told the time: each other projects it to y_s = 1 and y_b = 0.
        alone = awake(UNet(1, 8, multipliers))
        for name, block in alone.named_modules():
            if isinstance(block, ResidualBlock) and name != told:
                nn.init.zeros_(block.ada_gn.project.weight)
        a, b = (outputs_of(alone, x, t) for t in (early, late))
        assert (a[told] - b[told]).abs().max() > 1e-3
        assert not torch.allclose(alone(x, early), alone(x, late))
    a, b = (outputs_of(model, x, t) for t in (early, late))
    assert all((a[name] - b[name]).abs().max() > 1e-3 for name in blocks)


def test_with_all_projections_at_rest_the_network_does_not_know_the_time():
    model = awake(UNet(1, 8, (1, 2)))
    for module in model.modules():
        if isinstance(module, AdaGN):
            nn.init.zeros_(module.project.weight)
    x = normal(2, 1, 8, 8)
    torch.testing.assert_close(model(x, torch.tensor([1, 1])), model(x, torch.tensor([200, 7])))


def test_each_example_has_its_own_time_and_no_part_in_that_of_others():
    model, x = awake(UNet(1, 8, (1, 2))), normal(3, 1, 8, 8)
    together = model(x, torch.tensor([5, 50, 150]))
    for i, t in enumerate((5, 50, 150)):
        torch.testing.assert_close(model(x[i : i + 1], torch.tensor([t])), together[i : i + 1])
    assert not torch.allclose(model(x, torch.tensor([5, 51, 150]))[1], together[1])


def test_what_is_kept_on_the_way_down_is_used_on_the_way_up_level_by_level():
    model, x, t = awake(UNet(1, 8, (1, 2, 2))), normal(2, 1, 8, 8), torch.tensor([4, 40])
    seen = []
    hooks = [block.register_forward_pre_hook(lambda _, args: seen.append(args[0].detach())) for block in model.up]
    kept = outputs_of(model, x, t)
    for hook in hooks:
        hook.remove()
    for level, inputs in zip((1, 0), seen, strict=True):  # the lowest first
        below, beside = inputs.chunk(2, dim=1)
        assert torch.equal(beside, kept[f"down.{level}"])
        assert not torch.equal(below, beside)

    # Without it the noise would be another, at each level.
    def cut(_, args):
        below, beside = args[0].chunk(2, dim=1)
        return torch.cat([below, torch.zeros_like(beside)], dim=1), args[1]

    whole = model(x, t)
    for block in model.up:
        hook = block.register_forward_pre_hook(cut)
        assert (model(x, t) - whole).abs().max() > 1e-2
        hook.remove()


def test_attention_stands_at_the_lowest_resolution_and_lets_every_pixel_depend_on_every_other():
    model = awake(UNet(1, 4, (1, 1)))
    sizes = []
    model.attention.register_forward_pre_hook(lambda _, args: sizes.append(tuple(args[0].shape)))
    x = normal(1, 1, 16, 16)
    jacobian = torch.autograd.functional.jacobian(lambda x: model(x, torch.tensor([9])).flatten()[0], x)
    assert sizes == [(1, 4, 8, 8)]
    assert (jacobian != 0).all()
    assert sum(isinstance(module, SelfAttention) for module in model.modules()) == 1


def test_an_untrained_network_predicts_no_noise_and_all_its_weights_wake_up():
    model, x, t = UNet(1, 8, (1, 2)), torch.randn(2, 1, 8, 8), torch.tensor([1, 2])
    assert torch.equal(model(x, t), torch.zeros_like(x))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(2):  # the first step moves the last layer only
        optimizer.zero_grad()
        (model(x, t) - 1).square().sum().backward()
        optimizer.step()
    assert all(parameter.grad.abs().max() > 0 for parameter in model.parameters())


def test_weights_are_a_function_of_the_seed_and_the_global_stream_stays_as_it_was():
    before = torch.get_rng_state()
    for make in (lambda seed: UNet(1, 8, (1, 2), seed=seed), lambda seed: MLPDenoiser(seed=seed)):
        same, again, other = (nn.utils.parameters_to_vector(make(seed).parameters()) for seed in (3, 3, 4))
        assert torch.equal(same, again)
        assert not torch.equal(same, other)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"channels": 0}, r"must be at least 1, got channels=0, width=32, multipliers=\(1, 2\)"),
        ({"width": 0}, "must be at least 1, got channels=1, width=0"),
        ({"multipliers": ()}, r"one or more multipliers must be at least 1, got .* multipliers=\(\)"),
        ({"multipliers": (1, 0)}, r"must be at least 1, got .* multipliers=\(1, 0\)"),
        ({"width": 7}, "width must be even, .* got 7"),
    ],
)
def test_networks_that_cannot_be_built_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        UNet(**arguments)


@pytest.mark.parametrize(
    ("shape", "t", "message"),
    [
        (
            (2, 1, 6, 8),
            torch.ones(2),
            r"\(B, 1, H, W\) with H and W divisible by 4, for 2 halvings, got \(2, 1, 6, 8\)",
        ),
        ((2, 1, 8, 10), torch.ones(2), r"divisible by 4, for 2 halvings, got \(2, 1, 8, 10\)"),
        ((2, 3, 8, 8), torch.ones(2), r"xt must have shape \(B, 1, H, W\) .* got \(2, 3, 8, 8\)"),
        ((2, 64), torch.ones(2), r"xt must have shape \(B, 1, H, W\) .* got \(2, 64\)"),
        ((2, 1, 8, 8), torch.ones(3), r"t must have shape \(2,\), one time for each example of xt, got \(3,\)"),
        ((2, 1, 8, 8), torch.ones(2, 1), r"t must have shape \(2,\), .* got \(2, 1\)"),
        ((2, 1, 8, 8), 5, r"t must have shape \(2,\), .* got 5"),
    ],
)
def test_images_and_times_that_do_not_fit_are_refused(shape, t, message):
    with pytest.raises(ValueError, match=message):
        UNet(1, 4, (1, 1, 1))(torch.zeros(shape), t)


# --- the MLP ----------------------------------------------------------------------------------------------------------


def test_the_mlp_takes_the_point_and_the_sinusoids_side_by_side_through_plain_layers():
    model = MLPDenoiser(data_dim=3, hidden_dim=5, layers=2, time_dim=4, seed=1).double()
    x, t = normal(6, 3), torch.tensor([1, 2, 3, 50, 100, 200])
    h = torch.cat([x, unet.time_embedding(t.double(), 4)], dim=1).numpy()
    linear = [layer for layer in model.body if isinstance(layer, nn.Linear)]
    assert [tuple(layer.weight.shape) for layer in linear] == [(5, 7), (5, 5), (3, 5)]
    for i, layer in enumerate(linear):
        h = h @ layer.weight.detach().numpy().T + layer.bias.detach().numpy()
        h = h / (1 + np.exp(-h)) if i < 2 else h
    np.testing.assert_allclose(model(x, t).detach(), h, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("shape", "t", "message"),
    [
        ((4, 3), torch.ones(4), r"xt must have shape \(B, 2\), got \(4, 3\)"),
        ((4, 1, 2), torch.ones(4), r"xt must have shape \(B, 2\), got \(4, 1, 2\)"),
        ((4, 2), torch.ones(3), r"t must have shape \(4,\), .* got \(3,\)"),
    ],
)
def test_points_and_times_that_do_not_fit_are_refused(shape, t, message):
    with pytest.raises(ValueError, match=message):
        MLPDenoiser()(torch.zeros(shape), t)


@pytest.mark.parametrize("name", ["data_dim", "hidden_dim", "layers", "time_dim"])
def test_sizes_of_the_mlp_below_one_are_refused_by_name(name):
    with pytest.raises(ValueError, match=f"{name} must be at least 1, got 0"):
        MLPDenoiser(**{name: 0})
    with pytest.raises(ValueError, match="time_dim must be even, got 5"):
        MLPDenoiser(time_dim=5)
