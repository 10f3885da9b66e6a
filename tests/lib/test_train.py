"""The training loop: it learns, it is a function of its settings, and it can be stopped anywhere."""

import inspect
import signal

import pytest
import torch

from genmodels import data, train
from genmodels.train import VAESettings, fit_vae
from genmodels.vae import VAE


@pytest.fixture(scope="module")
def images():
    return data.binarize(data.digits("train").images)[:200]


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # steps this small are slower on two
    yield
    torch.set_num_threads(threads)


def small_model(seed=0):
    return VAE(latent_dim=2, hidden_dim=16, seed=seed)


SETTINGS = VAESettings(epochs=4, batch_size=64, seed=3, checkpoint_every=3)  # 4 steps an epoch


def same_weights(a, b):
    return all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True))


def test_training_raises_the_bound_on_held_out_digits(images):
    held_out = data.binarize(data.digits("test").images)
    model = small_model()
    before = train.evaluate_elbo(model, held_out)
    history = fit_vae(model, images, VAESettings(epochs=40, batch_size=64), progress=False)
    assert train.evaluate_elbo(model, held_out) > before + 10
    assert len(history.loss) == 40 * history.steps_per_epoch == 160


def test_two_runs_with_equal_settings_end_with_equal_weights_and_histories(images):
    a, b, other_seed = small_model(), small_model(), small_model()
    history_a, history_b = (fit_vae(m, images, SETTINGS, progress=False) for m in (a, b))
    fit_vae(other_seed, images, VAESettings(epochs=4, batch_size=64, seed=4), progress=False)
    assert same_weights(a, b)
    assert history_a == history_b
    assert not same_weights(a, other_seed)


def test_training_leaves_the_global_random_stream_alone(images):
    torch.manual_seed(11)
    before = torch.get_rng_state()
    fit_vae(small_model(), images, SETTINGS, progress=False)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("stop", [1, 4, 7, 15])
def test_a_resumed_run_repeats_the_uninterrupted_one_bit_for_bit(images, tmp_path, stop):
    whole = small_model()
    history = fit_vae(whole, images, SETTINGS, progress=False)
    path = tmp_path / "run.pt"
    fit_vae(small_model(), images, SETTINGS, max_steps=stop, checkpoint=path, progress=False)
    resumed = small_model(seed=99)  # its weights must come from the checkpoint
    resumed_history = fit_vae(resumed, images, SETTINGS, checkpoint=path, progress=False)
    assert same_weights(whole, resumed)
    assert resumed_history == history


def test_an_interrupted_run_saves_itself_and_can_go_on(images, tmp_path):
    path, steps = tmp_path / "run.pt", []

    def interrupted(model, x, eps):
        steps.append(None)
        if len(steps) == 6:
            signal.raise_signal(signal.SIGINT)  # Ctrl-C in the middle of a step
        return train.negative_elbo(model, x, eps)

    with pytest.raises(KeyboardInterrupt, match="after step 5"):
        fit_vae(small_model(), images, SETTINGS, loss=interrupted, checkpoint=path, progress=False)
    whole, resumed = small_model(), small_model(seed=99)
    fit_vae(whole, images, SETTINGS, progress=False)
    assert len(torch.load(path, weights_only=True)["loss"]) == 6
    fit_vae(resumed, images, SETTINGS, checkpoint=path, progress=False)
    assert same_weights(whole, resumed)


def test_a_crash_while_saving_leaves_the_old_checkpoint_whole(images, tmp_path, monkeypatch):
    path = tmp_path / "run.pt"
    fit_vae(small_model(), images, SETTINGS, max_steps=4, checkpoint=path, progress=False)
    kept = path.read_bytes()

    def disk_full(state, file):
        file.write_bytes(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(torch, "save", disk_full)
    with pytest.raises(OSError, match="no space left"):
        fit_vae(small_model(), images, SETTINGS, checkpoint=path, progress=False)
    assert path.read_bytes() == kept


def test_a_finished_run_can_be_prolonged_but_not_continued_under_other_settings(images, tmp_path):
    path = tmp_path / "run.pt"
    fit_vae(small_model(), images, SETTINGS, checkpoint=path, progress=False)
    longer = VAESettings(epochs=5, batch_size=64, seed=3)
    assert len(fit_vae(small_model(), images, longer, checkpoint=path, progress=False).loss) == 20
    for changed, named in (
        (VAESettings(epochs=5, batch_size=32, seed=3), "batch_size=64, not 32"),
        (VAESettings(epochs=5, batch_size=64, seed=4), "seed=3, not 4"),
        (VAESettings(epochs=5, batch_size=64, seed=3, learning_rate=1.0), "learning_rate="),
    ):
        with pytest.raises(ValueError, match=named):
            fit_vae(small_model(), images, changed, checkpoint=path, progress=False)
    with pytest.raises(ValueError, match="data_shape"):
        fit_vae(small_model(), images[:100], longer, checkpoint=path, progress=False)
    with pytest.raises(ValueError, match="parameter_shapes"):
        fit_vae(VAE(latent_dim=3, hidden_dim=16), images, longer, checkpoint=path, progress=False)


def test_an_unreadable_checkpoint_is_named_and_kept(images, tmp_path):
    path = tmp_path / "run.pt"
    path.write_bytes(b"not a checkpoint")
    with pytest.raises(ValueError, match=r"run\.pt' can't be read"):
        fit_vae(small_model(), images, SETTINGS, checkpoint=path, progress=False)
    assert path.read_bytes() == b"not a checkpoint"


def test_a_checkpoint_cannot_run_code(images, tmp_path):
    class Attack:
        def __reduce__(self):
            return (open, (str(tmp_path / "pwned"), "w"))

    path = tmp_path / "run.pt"
    torch.save({"run": Attack()}, path)
    with pytest.raises(ValueError, match="can't be read"):
        fit_vae(small_model(), images, SETTINGS, checkpoint=path, progress=False)
    assert not (tmp_path / "pwned").exists()


def test_a_loss_that_diverges_stops_the_run_and_names_the_step(images, tmp_path):
    path, steps = tmp_path / "run.pt", []

    def diverging(model, x, eps):
        steps.append(None)
        losses = train.negative_elbo(model, x, eps)
        return losses * float("nan") if len(steps) == 8 else losses

    with pytest.raises(FloatingPointError, match="at step 7, where a number is not finite: loss nan"):
        fit_vae(small_model(), images, SETTINGS, loss=diverging, checkpoint=path, progress=False)
    kept = torch.load(path, weights_only=True)
    assert len(kept["loss"]) == 6  # the last checkpoint before the accident: every 3 steps
    assert all(torch.isfinite(value).all() for value in kept["model"].values())


def test_a_students_loss_trains_the_real_model(images):
    def reconstruction_only(model, x, eps):
        return -model(x, eps).recon

    mine, default = small_model(), small_model()
    fit_vae(mine, images, SETTINGS, loss=reconstruction_only, progress=False)
    fit_vae(default, images, SETTINGS, progress=False)
    assert not same_weights(mine, default)


def test_a_loss_of_the_wrong_shape_is_refused(images):
    with pytest.raises(ValueError, match=r"loss must return shape \(64,\), got \(\)"):
        fit_vae(small_model(), images, SETTINGS, loss=lambda m, x, e: -m(x, e).elbo.mean(), progress=False)


def test_each_epoch_visits_every_example_once_in_an_order_of_its_own():
    epochs = [torch.cat([train.minibatch(10, step, 4, seed=1) for step in range(3 * e, 3 * e + 3)]) for e in range(2)]
    for order in epochs:
        assert sorted(order.tolist()) == list(range(10))
    assert not torch.equal(*epochs)


def test_noise_differs_between_steps_and_seeds_and_is_standard_normal():
    draws = [torch.randn(50, 40, generator=train.step_generator(seed, step)) for step in range(5) for seed in range(5)]
    everything = torch.stack(draws)
    assert len({tuple(d[0, :3].tolist()) for d in draws}) == 25
    n = everything.numel()
    assert abs(everything.mean()) < 5 / n**0.5
    assert abs(everything.var() - 1) < 5 * (2 / n) ** 0.5


@pytest.mark.parametrize("name", ["epochs", "batch_size", "checkpoint_every", "learning_rate"])
def test_settings_below_their_range_are_refused_by_name(name):
    with pytest.raises(ValueError, match=f"{name} must be"):
        VAESettings(**{name: 0})


def test_scale_picks_a_size_and_refuses_unknown_words(monkeypatch):
    monkeypatch.delenv("GENMODELS_SCALE", raising=False)
    assert train.scaled(smoke=1, cpu=2, gpu=3) == 2
    monkeypatch.setenv("GENMODELS_SCALE", "smoke")
    assert train.scaled(smoke=1, cpu=2, gpu=3) == 1
    monkeypatch.setenv("GENMODELS_SCALE", "huge")
    with pytest.raises(ValueError, match="GENMODELS_SCALE must be one of 'smoke', 'cpu', 'gpu', got 'huge'"):
        train.scaled(smoke=1, cpu=2, gpu=3)


def test_the_loop_fits_on_a_page():
    source = inspect.getsource(train.fit)
    body = source[source.rindex('"""') :].splitlines()[1:]
    assert len(body) < 40


def test_a_beta_loss_weighs_the_divergence_and_at_one_is_minus_the_bound(images):
    model, eps = small_model(), torch.zeros(5, 2)
    terms = model(images[:5], eps)
    torch.testing.assert_close(train.beta_loss(4.0)(model, images[:5], eps), 4 * terms.kl - terms.recon)
    torch.testing.assert_close(train.beta_loss(1.0)(model, images[:5], eps), -terms.elbo)
    with pytest.raises(ValueError, match="beta must be a positive"):
        train.beta_loss(0.0)


def test_evaluation_averages_the_bound_over_codes(images):
    model = small_model()
    with torch.no_grad():
        estimates = torch.stack([model(images, torch.randn(200, 2)).elbo.mean() for _ in range(50)])
    five_standard_errors = 5 * estimates.std() * (1 / 50 + 1 / 40) ** 0.5
    assert abs(train.evaluate_elbo(model, images, samples=40) - estimates.mean()) < five_standard_errors
    with pytest.raises(ValueError, match="samples must be at least 1"):
        train.evaluate_elbo(model, images, samples=0)


def test_a_gradient_that_is_not_finite_stops_the_run_before_it_becomes_a_weight(images, tmp_path):
    def finite_with_a_wild_gradient(model, x, eps):
        return model(x, eps).kl + (0 * model(x, eps).recon).abs().sqrt()  # the root's slope at zero is infinite

    path, model = tmp_path / "run.pt", small_model()
    with pytest.raises(FloatingPointError, match="at step 0"):
        fit_vae(model, images, SETTINGS, loss=finite_with_a_wild_gradient, checkpoint=path, progress=False)
    assert all(torch.isfinite(p).all() for p in model.parameters())
    assert not path.exists()


def test_interrupts_are_handled_as_before_once_a_run_is_over(images):
    before = signal.getsignal(signal.SIGINT)
    fit_vae(small_model(), images, SETTINGS, max_steps=2, progress=False)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_second_interrupt_ends_a_step_that_never_ends(images):
    def endless(model, x, eps):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        raise AssertionError("the second interrupt was swallowed")

    with pytest.raises(KeyboardInterrupt):
        fit_vae(small_model(), images, SETTINGS, loss=endless, progress=False)


def test_max_steps_shortens_a_run_and_never_lengthens_it(images):
    assert len(fit_vae(small_model(), images, SETTINGS, max_steps=1000, progress=False).loss) == 16
    assert len(fit_vae(small_model(), images, SETTINGS, max_steps=0, progress=False).loss) == 0
    with pytest.raises(ValueError, match="max_steps must not be negative, got -1"):
        fit_vae(small_model(), images, SETTINGS, max_steps=-1, progress=False)
    with pytest.raises(ValueError, match="x must hold at least one example"):
        fit_vae(small_model(), images[:0], SETTINGS, progress=False)


def test_a_run_is_plain_adam_on_the_mean_loss(images):
    model, twin = small_model(), small_model()
    history = fit_vae(model, images, SETTINGS, max_steps=2, progress=False)
    optimizer = torch.optim.Adam(twin.parameters(), lr=SETTINGS.learning_rate)
    losses = []
    for step in range(2):
        batch = images[train.minibatch(200, step, 64, SETTINGS.seed)]
        eps = torch.randn(len(batch), 2, generator=train.step_generator(SETTINGS.seed, step))
        loss = -twin(batch, eps).elbo.mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert same_weights(model, twin)
    assert history.loss == losses
    assert not model.training
