"""Training a denoiser: the step of the lecture, averaged weights, short gradients, stopped and resumed anywhere."""

import copy
import inspect
import math
import signal

import pytest
import torch
from torch import nn

from genmodels import data, diffusion, metrics, train
from genmodels.train import DiffusionSettings, fit_diffusion
from genmodels.unet import MLPDenoiser

POINTS = data.toy2d("moons", 100, torch.Generator().manual_seed(0))
SCHEDULE = diffusion.cosine_schedule(20)
SETTINGS = DiffusionSettings(epochs=4, batch_size=32, seed=3, checkpoint_every=3, ema_decay=0.8)  # 4 steps an epoch


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # steps this small are slower on two
    yield
    torch.set_num_threads(threads)


class WithBuffer(nn.Module):
    """A denoiser with a running statistic: state that is not a weight."""

    def __init__(self, seed=0):
        super().__init__()
        self.denoiser = MLPDenoiser(hidden_dim=16, layers=1, time_dim=8, seed=seed)
        self.norm = nn.BatchNorm1d(2)

    def forward(self, xt, t):
        return self.norm(self.denoiser(xt, t))


def small(seed=0):
    return MLPDenoiser(hidden_dim=16, layers=1, time_dim=8, seed=seed)


def fit(model, settings=SETTINGS, x=POINTS, schedule=SCHEDULE, **options):
    return fit_diffusion(model, x, schedule, settings, progress=False, **options)


def same_state(a, b):
    return all(torch.equal(p, q) for p, q in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def test_the_loop_fits_on_a_page():
    source = inspect.getsource(train.fit_diffusion)
    body = source[source.rindex('"""') :].splitlines()[1:]
    assert len(body) < 40


def test_samples_of_a_trained_network_are_like_the_data():
    x = torch.tensor([1.0, -0.5]) + torch.tensor([0.3, 0.1]) * torch.randn(
        1024, 2, generator=torch.Generator().manual_seed(0)
    )
    model = MLPDenoiser(hidden_dim=64, layers=2)

    def distance():
        samples = diffusion.sample(model, (1024, 2), SCHEDULE, torch.Generator().manual_seed(1))
        return metrics.energy_distance(samples, x)

    before = distance()
    settings = DiffusionSettings(batch_size=128, learning_rate=5e-3, ema_decay=0.99)
    fit(model, settings, x, max_steps=500)
    assert distance() < 0.02 * before


def test_a_run_is_adam_on_the_loss_at_times_from_1_to_T_with_short_gradients_and_ends_with_the_average():
    model, twin = small(), small()
    limit, decay = 0.5, 0.8
    history = fit(model, DiffusionSettings(batch_size=32, seed=3, max_gradient=limit, ema_decay=decay), max_steps=20)
    optimizer = torch.optim.Adam(twin.parameters(), lr=2e-3)
    average = [weight.detach().clone() for weight in twin.parameters()]
    losses, shortened = [], 0
    for step in range(20):
        x0 = POINTS[train.minibatch(100, step, 32, 3)]
        source = train.step_generator(3, step)
        t = torch.randint(1, 21, (len(x0),), generator=source)
        eps = torch.randn(x0.shape, generator=source)
        alpha_bar = SCHEDULE.alpha_bar[t].float()[:, None]
        error = twin(alpha_bar.sqrt() * x0 + (1 - alpha_bar).sqrt() * eps, t) - eps
        loss = error.square().sum(dim=1).mean()
        optimizer.zero_grad()
        loss.backward()
        shortened += nn.utils.clip_grad_norm_(twin.parameters(), limit) > limit
        optimizer.step()
        rate = 1 - min(decay, (1 + step) / (10 + step))
        average = [(1 - rate) * mean + rate * weight for mean, weight in zip(average, twin.parameters(), strict=True)]
        losses.append(loss.item())
    assert shortened > 0
    assert history.loss == pytest.approx(losses, rel=1e-4)
    for weight, mean, last in zip(model.parameters(), average, twin.parameters(), strict=True):
        torch.testing.assert_close(weight, mean, rtol=1e-4, atol=1e-5)
        assert not torch.allclose(weight, last, rtol=1e-4, atol=1e-5)
    assert not model.training
    assert all(weight.requires_grad for weight in model.parameters())


def test_all_times_are_drawn_equally_often_and_the_noise_is_standard_normal():
    times, noises = [], []

    def watching(model, x0, t, eps, schedule):
        times.append(t)
        noises.append(eps)
        return diffusion.eps_loss(model, x0, t, eps, schedule)

    x = torch.zeros(1000, 2)
    fit(small(), DiffusionSettings(batch_size=1000, learning_rate=1e-9), x, loss=watching, max_steps=20)
    counts = torch.bincount(torch.cat(times), minlength=21)
    assert counts[0] == 0
    assert len(counts) == 21
    assert (counts[1:] - 1000).abs().max() < 5 * (1000 * 19 / 20) ** 0.5
    eps = torch.cat(noises).flatten()
    assert abs(eps.mean()) < 5 / len(eps) ** 0.5
    assert abs(eps.var() - 1) < 5 * (2 / len(eps)) ** 0.5


def test_the_average_forgets_at_the_pace_of_its_decay():
    model, average = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
    nn.init.constant_(average.weight, 3.0)
    for value in (1.0, 2.0, 4.0):
        nn.init.constant_(model.weight, value)
        train.update_ema(average, model, 0.9)
    assert average.weight.item() == pytest.approx(0.9**3 * 3 + 0.1 * (0.81 * 1 + 0.9 * 2 + 4))
    assert model.weight.item() == 4.0
    counting, of_it = nn.BatchNorm1d(2), nn.BatchNorm1d(2)
    counting(torch.randn(5, 2))
    train.update_ema(of_it, counting, 0.9)
    assert torch.equal(of_it.running_mean, counting.running_mean)
    assert of_it.num_batches_tracked == 1


def test_the_average_of_a_short_run_is_not_one_of_untrained_weights():
    assert train.ema_decay_at(0, 0.999) == pytest.approx(0.1)
    assert train.ema_decay_at(10**6, 0.999) == 0.999
    # The share that the initial weights still have after n steps is the product of the decays.
    assert math.prod(train.ema_decay_at(step, 0.999) for step in range(100)) < 1e-8
    assert train.ema_decay_at(5, 0.0) == 0.0


def test_without_a_decay_the_last_weights_are_kept():
    model, watched = small(), []

    def watching(model, x0, t, eps, schedule):
        watched.append(copy.deepcopy(model))
        return diffusion.eps_loss(model, x0, t, eps, schedule)

    still = DiffusionSettings(batch_size=32, ema_decay=0.0)
    fit(model, still, loss=watching, max_steps=3)
    fit(shorter := small(), still, max_steps=2)
    assert same_state(watched[-1], shorter)  # the weights that step 3 began with are those after two steps
    assert not same_state(model, shorter)


def test_a_short_gradient_is_left_alone_and_zero_means_no_limit():
    def after(limit):
        model = small()
        fit(model, DiffusionSettings(batch_size=32, max_gradient=limit), max_steps=3)
        return model

    assert same_state(after(0.0), after(1e6))
    assert not same_state(after(0.0), after(0.1))


def test_two_runs_with_equal_settings_are_equal_and_leave_the_global_stream_alone():
    torch.manual_seed(11)
    before = torch.get_rng_state()
    a, b, other_seed = small(), small(), small()
    history_a, history_b = fit(a), fit(b)
    fit(other_seed, DiffusionSettings(epochs=4, batch_size=32, seed=4, ema_decay=0.8))
    assert torch.equal(torch.get_rng_state(), before)
    assert same_state(a, b)
    assert history_a == history_b
    assert not same_state(a, other_seed)


@pytest.mark.parametrize("stop", [1, 4, 7, 15])
@pytest.mark.parametrize("make", [small, WithBuffer])
def test_a_resumed_run_repeats_the_uninterrupted_one_bit_for_bit(tmp_path, stop, make):
    whole, path = make(), tmp_path / "run.pt"
    history = fit(whole)
    fit(make(), max_steps=stop, checkpoint=path)
    resumed = make(seed=99)  # its weights and their average must come from the checkpoint
    resumed_history = fit(resumed, checkpoint=path)
    assert same_state(whole, resumed)
    assert resumed_history == history
    assert len(history.loss) == 16


def test_an_interrupted_run_saves_itself_and_can_go_on(tmp_path):
    path, calls = tmp_path / "run.pt", []

    def interrupted(*arguments):
        calls.append(None)
        if len(calls) == 6:
            signal.raise_signal(signal.SIGINT)  # Ctrl-C in the middle of a step
        return diffusion.eps_loss(*arguments)

    with pytest.raises(KeyboardInterrupt, match="after step 5"):
        fit(small(), loss=interrupted, checkpoint=path)
    assert len(torch.load(path, weights_only=True)["loss"]) == 6
    whole, resumed = small(), small(seed=99)
    fit(whole)
    fit(resumed, checkpoint=path)
    assert same_state(whole, resumed)


@pytest.mark.parametrize("bad", ["loss", "gradient"])
def test_a_run_that_diverges_names_the_step_and_keeps_the_last_good_checkpoint(tmp_path, bad):
    path, model, calls = tmp_path / "run.pt", small(), []

    def diverging(*arguments):
        calls.append(None)
        losses = diffusion.eps_loss(*arguments)
        if len(calls) < 8:
            return losses
        # The root of zero is zero, and its slope is infinite: a loss that is finite, and a gradient that is not.
        return losses * float("nan") if bad == "loss" else losses + (losses - losses.detach()).abs().sqrt()

    with pytest.raises(FloatingPointError, match="training stopped at step 7, where a number is not finite: loss "):
        fit(model, loss=diverging, checkpoint=path)
    kept = torch.load(path, weights_only=True)
    assert len(kept["loss"]) == 6  # every 3 steps
    for weights in (kept["model"], kept["average"], model.state_dict()):
        assert all(torch.isfinite(value).all() for value in weights.values())


def test_a_run_can_be_prolonged_but_not_continued_under_another_schedule_or_other_settings(tmp_path):
    path, longer = tmp_path / "run.pt", {"epochs": 5, "batch_size": 32, "seed": 3, "ema_decay": 0.8}
    fit(small(), checkpoint=path)
    prolonged, whole = small(), small()
    assert len(fit(prolonged, DiffusionSettings(**longer), checkpoint=path).loss) == 20
    fit(whole, DiffusionSettings(**longer))
    assert same_state(
        prolonged, whole
    )  # the run goes on from its last weights, though the model ended with the average
    for change in ({"ema_decay": 0.9}, {"max_gradient": 2.0}, {"learning_rate": 1.0}, {"seed": 4}):
        with pytest.raises(ValueError, match=f"belongs to a run with {next(iter(change))}="):
            fit(small(), DiffusionSettings(**{**longer, **change}), checkpoint=path)
    with pytest.raises(ValueError, match="belongs to a run with T=20, not 30"):
        fit(small(), DiffusionSettings(**longer), schedule=diffusion.cosine_schedule(30), checkpoint=path)
    with pytest.raises(ValueError, match="belongs to a run with mean_alpha_bar="):
        fit(small(), DiffusionSettings(**longer), schedule=diffusion.linear_schedule(20), checkpoint=path)
    with pytest.raises(ValueError, match="data_shape"):
        fit(small(), DiffusionSettings(**longer), POINTS[:50], checkpoint=path)


def test_a_students_loss_trains_the_real_model():
    mine, default = small(), small()
    fit(mine, loss=diffusion.weighted_loss)
    fit(default)
    assert not same_state(mine, default)


def test_what_cannot_be_trained_on_is_refused():
    with pytest.raises(ValueError, match=r"loss must return shape \(32,\), got \(\)"):
        fit(small(), loss=lambda *arguments: diffusion.eps_loss(*arguments).mean())
    with pytest.raises(ValueError, match="the loss must depend on the weights"):
        fit(small(), loss=lambda *arguments: diffusion.eps_loss(*arguments).detach())
    with pytest.raises(ValueError, match="x must hold at least one example"):
        fit(small(), x=POINTS[:0])
    with pytest.raises(ValueError, match=r"x must have shape \(B, \.\.\.\)"):
        fit(small(), x=torch.zeros(5))
    with pytest.raises(ValueError, match="max_steps must not be negative"):
        fit(small(), max_steps=-1)


def test_a_batch_too_large_for_memory_says_so_and_says_what_to_do():
    def too_large(*arguments):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")

    with pytest.raises(torch.OutOfMemoryError, match=r"A batch of 32 did not fit into memory: .* smaller batch_size"):
        fit(small(), loss=too_large)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("ema_decay", 1.0, r"ema_decay must lie in \[0, 1\), got 1.0"),
        ("ema_decay", -0.1, r"ema_decay must lie in \[0, 1\), got -0.1"),
        ("max_gradient", -1.0, "max_gradient must be zero or a positive finite number, got -1.0"),
        ("max_gradient", math.inf, "max_gradient must be zero or a positive finite number, got inf"),
        ("epochs", 0, "epochs must be at least 1, got 0"),
    ],
)
def test_settings_outside_their_range_are_refused_by_name(name, value, message):
    with pytest.raises(ValueError, match=message):
        DiffusionSettings(**{name: value})
