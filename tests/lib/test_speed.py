"""Every fast path computes what the plain one does, within a stated tolerance, and leaves nothing changed behind it."""

import copy
import math

import pytest
import safetensors.torch
import torch
from torch import nn
from torch.utils.data import Dataset, TensorDataset

from genmodels import batches, data, diffusion, nets, speed, train
from genmodels.team import Team
from genmodels.unet import MLPDenoiser, UNet
from genmodels.vae import VAE

CPU = torch.device("cpu")
SCHEDULE = diffusion.cosine_schedule(20)


def images(n=50):
    return 2 * data.digits("train").images[:n] - 1


def loss_and_gradient(model, precision="float32"):
    """Of the noise of eight digits, with nothing left to chance."""
    x0 = images(8)
    t = torch.arange(1, 9)
    eps = torch.linspace(-2, 2, x0.numel()).reshape(x0.shape)
    model.zero_grad()
    with speed.autocast(CPU, precision):
        loss = diffusion.eps_loss(model, x0, t, eps, SCHEDULE).mean()
    loss.backward()
    return loss.detach(), torch.cat([p.grad.flatten() for p in model.parameters()])


def trained(**settings):
    """A U-Net whose last layer is no longer zero, so that every weight has a gradient."""
    model = UNet(width=8)
    train.fit_diffusion(model, images(), SCHEDULE, train.DiffusionSettings(**settings), max_steps=3, progress=False)
    return model


def test_channels_last_computes_the_same_to_five_digits():
    model = trained()
    loss, gradient = loss_and_gradient(model)
    with speed.channels_last(model):
        assert model.down[0].first.weight.is_contiguous(memory_format=torch.channels_last)
        fast_loss, _ = loss_and_gradient(model)
        fast = torch.cat([p.grad.contiguous().flatten() for p in model.parameters()])
    torch.testing.assert_close(fast_loss, loss, rtol=1e-5, atol=0)
    torch.testing.assert_close(fast, gradient, rtol=1e-3, atol=1e-5 * gradient.abs().max().item())


def test_the_layout_of_before_comes_back_also_after_an_error_and_weights_can_be_saved():
    model, other = UNet(width=8), VAE()
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(RuntimeError, match="in the block"), speed.channels_last(model, other):
        raise RuntimeError("in the block")
    for name, value in model.state_dict().items():
        assert value.is_contiguous()
        assert torch.equal(value, before[name])
    safetensors.torch.save(trained().state_dict())  # refuses any other layout


def test_a_run_that_samples_as_it_goes_is_the_run_that_does_not():
    """To sample inside a step must not change the layout under the optimiser, whose memory has that of the weights."""

    steps = []

    def watching(model, x0, t, eps, schedule):
        steps.append(None)
        if len(steps) > 2:  # when the optimiser remembers something
            diffusion.sample(model, (2, 1, 8, 8), schedule, torch.Generator().manual_seed(0))
        return diffusion.eps_loss(model, x0, t, eps, schedule)

    settings = train.DiffusionSettings(batch_size=25)
    plain, watched = UNet(width=8), UNet(width=8)
    for model, loss in ((plain, diffusion.eps_loss), (watched, watching)):
        train.fit_diffusion(model, images(), SCHEDULE, settings, loss, max_steps=4, progress=False)
    for a, b in zip(plain.parameters(), watched.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)


def test_a_network_that_was_in_the_fast_layout_stays_in_it():
    model = UNet(width=8).to(memory_format=torch.channels_last)
    with speed.channels_last(model):
        pass
    assert model.down[0].first.weight.is_contiguous(memory_format=torch.channels_last)
    assert not model.down[0].first.weight.is_contiguous()


def test_bfloat16_changes_a_loss_by_less_than_a_hundredth_and_its_gradient_by_less_than_a_tenth():
    model = trained()
    loss, gradient = loss_and_gradient(model)
    rough_loss, rough = loss_and_gradient(model, "bfloat16")
    assert rough_loss.dtype == torch.float32
    assert rough_loss != loss
    torch.testing.assert_close(rough_loss, loss, rtol=1e-2, atol=0)
    assert (rough - gradient).norm() < 0.1 * gradient.norm()


@pytest.mark.parametrize("fit", ["vae", "gan", "diffusion"])
def test_every_loop_trains_in_bfloat16_and_keeps_its_weights_in_float32(fit):
    if fit == "vae":
        models = [VAE(hidden_dim=16)]
        settings = train.VAESettings(precision="bfloat16")
        history = train.fit_vae(models[0], data.binarize(images()), settings, max_steps=2, progress=False).loss
    elif fit == "gan":
        models = [nets.dcgan_generator(4, 4), nets.dcgan_discriminator(4, spectral_norm=True)]
        settings = train.GANSettings(precision="bfloat16", gradient_penalty=1.0)
        history = train.fit_gan(*models, images(), 4, settings, max_steps=2, progress=False).generator_loss
    else:
        models = [MLPDenoiser()]
        settings = train.DiffusionSettings(precision="bfloat16")
        points = images().flatten(1)[:, :2]
        history = train.fit_diffusion(models[0], points, SCHEDULE, settings, max_steps=2, progress=False).loss
    assert len(history) == 2
    assert all(map(math.isfinite, history))
    assert all(p.dtype == torch.float32 for model in models for p in model.parameters())


@pytest.mark.slow
def test_a_compiled_run_takes_the_same_steps_to_four_digits():
    points = data.toy2d("moons", 100, torch.Generator().manual_seed(0))

    def run(mode):
        model = MLPDenoiser(hidden_dim=16, layers=1)
        settings = train.DiffusionSettings(batch_size=50, compile=mode)
        history = train.fit_diffusion(model, points, SCHEDULE, settings, max_steps=4, progress=False)
        return history.loss, torch.cat([p.detach().flatten() for p in model.parameters()])

    (plain_losses, plain), (fast_losses, fast) = run("off"), run("default")
    assert fast_losses == pytest.approx(plain_losses, rel=1e-4)
    torch.testing.assert_close(fast, plain, rtol=1e-3, atol=1e-4)


def test_the_fused_step_is_adam_s_and_can_be_left_out():
    weights = [nn.Parameter(torch.linspace(-1, 1, 7)) for _ in range(2)]
    fused, plain = (
        speed.adam([weights[0]], 0.1, (0.5, 0.9)),
        torch.optim.Adam([weights[1]], 0.1, (0.5, 0.9), foreach=False),
    )
    for step in range(5):
        for weight in weights:
            weight.grad = torch.sin(torch.arange(7.0) + step)
        fused.step()
        plain.step()
    torch.testing.assert_close(weights[0], weights[1], rtol=1e-5, atol=1e-6)
    before = weights[0].detach().clone()
    weights[0].grad = torch.full((7,), math.nan)
    speed.skip_step_if(torch.tensor(True), fused)
    fused.step()
    assert torch.equal(weights[0], before)
    weights[0].grad = torch.ones(7)
    speed.skip_step_if(torch.tensor(False), fused)
    fused.step()
    assert weights[0].isfinite().all()
    assert not torch.equal(weights[0], before)


def test_what_an_optimiser_remembers_takes_the_layout_of_its_weights_when_a_run_is_resumed(tmp_path):
    """Else a fused step would take the number of one weight for that of another, and say nothing."""
    path, settings = tmp_path / "run.pt", train.DiffusionSettings(batch_size=25, ema_decay=0.5)

    def run(model, **options):
        return train.fit_diffusion(model, images(), SCHEDULE, settings, progress=False, checkpoint=path, **options)

    run(UNet(width=8), max_steps=3)
    state = torch.load(path, weights_only=True)
    path.unlink()
    run(whole := UNet(width=8), max_steps=6)
    for memory in state["optimizer"]["state"].values():
        memory.update({name: value.contiguous() for name, value in memory.items()})
    torch.save(state, path)
    run(resumed := UNet(width=8, seed=5), max_steps=6)
    for a, b in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_checkpoint_from_before_there_was_a_choice_of_precision_is_taken_for_single(tmp_path):
    path, x = tmp_path / "run.pt", data.binarize(images())
    train.fit_vae(VAE(), x, max_steps=2, checkpoint=path, progress=False)
    state = torch.load(path, weights_only=True)
    del state["run"]["precision"]
    torch.save(state, path)
    assert len(train.fit_vae(VAE(), x, max_steps=3, checkpoint=path, progress=False).loss) == 3
    with pytest.raises(ValueError, match="belongs to a run with precision="):
        train.fit_vae(VAE(), x, train.VAESettings(precision="bfloat16"), checkpoint=path, progress=False)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [("precision", "half", "precision must be one of"), ("compile", "yes", "compile must be one of 'off'")],
)
def test_unknown_words_are_refused(name, value, message):
    with pytest.raises(ValueError, match=message):
        train.Settings(**{name: value})


def test_on_an_accelerator_numbers_are_fetched_fifty_steps_at_a_time_and_before_a_checkpoint():
    curves = speed.Curves({"loss": []}, torch.device("cuda"))
    for step in range(120):
        curves.note(step, loss=torch.tensor(float(step)), gradient=torch.tensor(1.0))
        assert len(curves.lists["loss"]) == (step + 1) // 50 * 50
    curves.fetch()
    assert curves.lists == {"loss": [float(step) for step in range(120)]}
    curves.note(120, loss=torch.tensor(1.0), gradient=torch.tensor(2.0))
    curves.note(121, loss=torch.tensor(2.0), gradient=torch.tensor(math.inf))
    with pytest.raises(FloatingPointError, match=r"stopped at step 121, .* not finite: loss 2, gradient inf"):
        curves.fetch()
    assert curves.lists["loss"][119:] == [119.0, 1.0]
    now = speed.Curves({"loss": []}, CPU)
    now.note(0, loss=torch.tensor(3.0))
    assert now.lists["loss"] == [3.0]


def test_an_accident_between_two_fetches_leaves_weights_and_checkpoint_of_before_it(tmp_path, monkeypatch):
    """As on a GPU: the steps after the accident are taken, those of the bad batch are not, and nothing bad is saved."""
    monkeypatch.setattr(speed.Curves, "__init__", lambda self, lists, device: _as_on_a_gpu(self, lists))
    model, path, calls = MLPDenoiser(hidden_dim=8), tmp_path / "run.pt", []
    points = data.toy2d("moons", 100, torch.Generator().manual_seed(0))

    def sometimes_bad(*arguments):
        calls.append(None)
        return diffusion.eps_loss(*arguments) * (math.nan if len(calls) == 8 else 1.0)

    settings = train.DiffusionSettings(batch_size=50, checkpoint_every=3)
    with pytest.raises(FloatingPointError, match="stopped at step 7"):
        train.fit_diffusion(
            model, points, SCHEDULE, settings, sometimes_bad, max_steps=20, checkpoint=path, progress=False
        )
    assert len(calls) == 9  # noticed when the checkpoint of step 8 was due
    assert len(torch.load(path, weights_only=True)["loss"]) == 6
    assert all(p.isfinite().all() for p in model.parameters())


def _as_on_a_gpu(curves, lists):
    curves.lists, curves._every, curves._waiting = lists, speed.Curves.EVERY, []


class Pairs(Dataset):
    """Images and classes, one at a time, as torchvision's data sets have them."""

    def __init__(self, x):
        self.x = x

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return self.x[i], 3


def test_a_streamed_data_set_gives_the_run_of_the_tensor_bit_for_bit_also_when_resumed(tmp_path):
    x, path = images(), tmp_path / "run.pt"
    settings = train.DiffusionSettings(batch_size=16, epochs=2)

    def run(model, data, **options):
        return train.fit_diffusion(model, data, SCHEDULE, settings, progress=False, **options)

    torch.manual_seed(5)
    before = torch.get_rng_state()
    whole, streamed, resumed = (UNet(width=8, seed=seed) for seed in (0, 0, 9))
    history = run(whole, x)
    assert run(streamed, Pairs(x)) == history
    run(UNet(width=8), Pairs(x), max_steps=3, checkpoint=path)
    assert run(resumed, Pairs(x), checkpoint=path) == history
    for model in (streamed, resumed):
        assert all(torch.equal(a, b) for a, b in zip(model.parameters(), whole.parameters(), strict=True))
    assert torch.equal(torch.get_rng_state(), before)


def test_each_process_streams_its_own_share():
    x = torch.arange(20.0)[:, None]
    shares = [batches.Batches(TensorDataset(x), 6, 0, CPU, Team(rank, 2)) for rank in (0, 1)]
    joint = batches.Batches(x, 6, 0, CPU, Team())
    for step in (0, 1, 2, 3, 4, 1):
        got = torch.cat([share[step] for share in shares]).flatten().tolist()
        assert sorted(got) == sorted(joint[step].flatten().tolist())
        assert len(got) == joint.size(step) == len(joint.rows(step))


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (Pairs([]), "at least one example, got none"),
        (Pairs(["a picture"]), "examples of x must be floating-point tensors, got str"),
        (Pairs(torch.ones(3, 2, dtype=torch.uint8)), "floating-point tensors, got dtype torch.uint8"),
        (Dataset(), "a data set with a length, got Dataset"),
        ([1.0, 2.0], "x must be a torch.Tensor"),
    ],
)
def test_what_cannot_be_streamed_is_refused(x, message):
    with pytest.raises(ValueError, match=message):
        batches.Batches(x, 2, 0, CPU, Team())


def test_products_of_float32_take_the_tensor_cores_of_a_gpu_and_only_inside_the_block():
    before = torch.get_float32_matmul_precision()
    with speed.tensor_cores(torch.device("cuda")):  # only a setting, which asks for no GPU
        assert torch.get_float32_matmul_precision() == "high"
    assert torch.get_float32_matmul_precision() == before
    with speed.tensor_cores(torch.device("cpu")):
        assert torch.get_float32_matmul_precision() == before
