"""Training by turns: D then G, a function of the settings, stopped and resumed anywhere, and never past a NaN."""

import inspect
import signal

import pytest
import torch

from genmodels import data, gan, metrics, nets, train
from genmodels.train import GANSettings, fit_gan

LATENT = 4
IMAGES = 2 * data.digits("train").images[:70] - 1
SETTINGS = GANSettings(epochs=4, batch_size=32, seed=3, checkpoint_every=3, snapshot_every=2)  # 3 steps an epoch


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # steps this small are slower on two
    yield
    torch.set_num_threads(threads)


def pair(seed=0, spectral_norm=False):
    """A small pair whose state is more than weights: running statistics, and vectors of power iteration."""
    return (
        nets.dcgan_generator(LATENT, 4, seed=seed),
        nets.dcgan_discriminator(4, spectral_norm=spectral_norm, seed=seed + 1),
    )


def fit(networks, settings=SETTINGS, **options):
    return fit_gan(*networks, IMAGES, LATENT, settings, progress=False, **options)


def same_state(a, b):
    return all(
        torch.equal(p, q)
        for one, other in zip(a, b, strict=True)
        for p, q in zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    )


def same_history(a, b):
    snapshots = [vars(history).pop("snapshots") for history in (a, b)]
    return a.gradient == b.gradient and vars(a) == vars(b) and all(map(torch.equal, *snapshots))


def test_the_loop_fits_on_a_page():
    source = inspect.getsource(train.fit_gan)
    body = source[source.rindex('"""') :].splitlines()[1:]
    assert len(body) < 45


def test_the_fakes_approach_the_data():
    x = torch.tensor([2.0, 1.0]) + 0.5 * torch.randn(512, 2, generator=torch.Generator().manual_seed(0))
    generator, discriminator = nets.mlp_generator(2, 32), nets.mlp_discriminator(2, 32)
    z = torch.randn(512, 2, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        before = metrics.energy_distance(generator(z), x)
    settings = GANSettings(batch_size=64, learning_rate=2e-3, discriminator_learning_rate=2e-3)
    fit_gan(generator, discriminator, x, 2, settings, max_steps=400, progress=False)
    with torch.no_grad():
        assert metrics.energy_distance(generator(z), x) < 0.1 * before


@pytest.mark.parametrize("turns", [1, 3])
def test_each_step_updates_d_as_often_as_asked_with_g_at_rest_and_then_g_once_with_d_at_rest(turns):
    networks, moves = pair(), []

    def weights():
        return [torch.cat([p.detach().flatten() for p in network.parameters()]) for network in networks]

    last = weights()

    def moved():
        nonlocal last
        now = weights()
        names = "".join(name for name, a, b in zip("GD", now, last, strict=True) if not torch.equal(a, b))
        last = now
        return names

    def d_loss(real_logits, fake_logits):
        moves.append(("before D", moved(), fake_logits.grad_fn is not None))
        return gan.discriminator_loss(real_logits, fake_logits)

    def g_loss(fake_logits):
        moves.append(("before G", moved(), fake_logits.grad_fn is not None))
        return gan.generator_loss(fake_logits)

    settings = GANSettings(batch_size=32, discriminator_steps=turns)
    history = fit(networks, settings, discriminator_loss=d_loss, generator_loss=g_loss, max_steps=2)
    one_step = ["D"] * turns  # seen before each later turn of D and before G
    assert [what for _, what, _ in moves] == ["", *one_step, "G", *one_step]
    assert [when for when, _, _ in moves] == (["before D"] * turns + ["before G"]) * 2
    assert moved() == "G"
    assert len(history.gradient) == 2


@pytest.mark.parametrize("fresh", [True, False])
def test_the_generator_is_judged_by_fresh_fakes_or_by_those_that_the_discriminator_has_seen(fresh):
    seen = []

    def d_loss(real_logits, fake_logits):
        seen.append(fake_logits.detach().clone())
        return 0 * (real_logits.sum() + fake_logits.sum())  # D stays as it is, so equal fakes have equal logits

    def g_loss(fake_logits):
        seen.append(fake_logits.detach().clone())
        return gan.generator_loss(fake_logits)

    networks = (nets.mlp_generator(2, 8), nets.mlp_discriminator(2, 8))
    x = data.toy2d("moons", 64, torch.Generator().manual_seed(0))
    before = [weight.clone() for weight in networks[0].parameters()]
    settings = GANSettings(batch_size=32, fresh_codes=fresh, discriminator_steps=2)
    fit_gan(*networks, x, 2, settings, d_loss, g_loss, max_steps=1, progress=False)
    assert len(seen) == 3
    assert torch.allclose(seen[1], seen[2]) != fresh
    assert not torch.allclose(seen[0], seen[2])
    assert not all(torch.equal(a, b) for a, b in zip(before, networks[0].parameters(), strict=True))


@pytest.mark.parametrize("turns", [1, 2])
def test_d_sees_each_example_once_in_an_epoch_however_many_turns_it_has(turns):
    x, inputs = torch.arange(12.0)[:, None] + 100, []
    discriminator = nets.mlp_discriminator(1, 4)
    discriminator.register_forward_pre_hook(lambda _, args: inputs.append(args[0][:, 0].tolist()))
    settings = GANSettings(epochs=2, batch_size=3, discriminator_steps=turns)  # 4 batches an epoch
    fit_gan(nets.mlp_generator(2, 4, 1), discriminator, x, 2, settings, progress=False)
    real = [batch for batch in inputs if min(batch) >= 100]  # the fakes stay near zero
    assert len(real) == 8
    for epoch in (real[:4], real[4:]):
        assert sorted(row for batch in epoch for row in batch) == x[:, 0].tolist()


def test_what_is_logged_is_what_happened():
    networks, seen = pair(), []

    def d_loss(real_logits, fake_logits):
        seen.append(torch.sigmoid(real_logits).mean().item())
        return gan.discriminator_loss(real_logits, fake_logits)

    def g_loss(fake_logits):
        seen.append(torch.sigmoid(fake_logits).mean().item())
        return gan.generator_loss(fake_logits)

    history = fit(networks, discriminator_loss=d_loss, generator_loss=g_loss)
    assert history.d_real == seen[::2]
    assert history.d_fake == seen[1::2]
    assert all(len(curve) == 12 for name, curve in vars(history).items() if name != "snapshots")
    length = torch.stack([weight.grad.norm() for weight in networks[0].parameters()]).norm()  # of the last step
    assert history.gradient[-1] == pytest.approx(length.item())
    assert not networks[0].training
    assert not networks[1].training


def test_snapshots_are_of_the_same_codes_and_change_nothing():
    with_them, without = pair(), pair()
    history = fit(with_them)
    fit(without, GANSettings(epochs=4, batch_size=32, seed=3))
    assert same_state(with_them, without)
    assert [snapshot.shape for snapshot in history.snapshots] == [(100, 1, 8, 8)] * 6  # steps 0, 2, ..., 10
    # With hardly any learning the same codes give nearly the same pictures; other codes would not.
    slow = GANSettings(batch_size=32, learning_rate=1e-9, discriminator_learning_rate=1e-9, snapshot_every=1)
    networks = (nets.dcgan_generator(LATENT, 4, nets.Guidelines(batch_norm=False)), pair()[1])
    first, second = fit(networks, slow, max_steps=2).snapshots
    torch.testing.assert_close(first, second, rtol=0, atol=1e-5)
    assert first.std(dim=0).max() > 1e-3


def test_two_runs_with_equal_settings_are_equal_and_leave_the_global_stream_alone():
    torch.manual_seed(11)
    before = torch.get_rng_state()
    a, b, other_seed = pair(), pair(), pair()
    history_a, history_b = fit(a), fit(b)
    fit(other_seed, GANSettings(epochs=4, batch_size=32, seed=4))
    assert torch.equal(torch.get_rng_state(), before)
    assert same_state(a, b)
    assert same_history(history_a, history_b)
    assert not same_state(a, other_seed)


@pytest.mark.parametrize("spectral_norm", [False, True])
@pytest.mark.parametrize("stop", [1, 5, 11])
def test_a_resumed_run_repeats_the_uninterrupted_one_bit_for_bit(tmp_path, stop, spectral_norm):
    settings = GANSettings(
        epochs=8, batch_size=32, seed=3, snapshot_every=2, gradient_penalty=0.1, discriminator_steps=2
    )
    whole, path = pair(spectral_norm=spectral_norm), tmp_path / "run.pt"
    history = fit(whole, settings)
    fit(pair(spectral_norm=spectral_norm), settings, max_steps=stop, checkpoint=path)
    resumed = pair(seed=99, spectral_norm=spectral_norm)  # its state must come from the checkpoint
    resumed_history = fit(resumed, settings, checkpoint=path)
    names = [name for network in whole for name in network.state_dict()]
    assert any("running_mean" in name for name in names)
    assert any("_u" in name for name in names) == spectral_norm
    assert same_state(whole, resumed)
    assert len(history.gradient) == 12
    assert same_history(history, resumed_history)


def test_what_is_left_is_the_running_average_of_the_generators_weights_and_a_run_goes_on_from_the_last_ones(tmp_path):
    decay, path, seen = 0.5, tmp_path / "run.pt", []
    networks = pair()

    def g_loss(fake_logits):
        seen.append([p.detach().clone() for p in networks[0].parameters()])  # before each step
        return gan.generator_loss(fake_logits)

    settings = GANSettings(batch_size=32, seed=3, ema_decay=decay, snapshot_every=3)
    history = fit(networks, settings, generator_loss=g_loss, max_steps=4, checkpoint=path)
    saved = torch.load(path)["game"]
    last = [saved[f"generator.{name}"] for name, _ in networks[0].named_parameters()]
    average = seen[0]
    for step, weights in enumerate([*seen[1:], last]):
        kept = min(decay, (1 + step) / (10 + step))
        average = [kept * a + (1 - kept) * w for a, w in zip(average, weights, strict=True)]
    found = list(networks[0].parameters())
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(average, found, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(last, found, strict=True))
    codes = torch.randn(100, LATENT, generator=train.seeded_generator(3, 1, -1))
    assert torch.allclose(history.snapshots[-1], networks[0](codes), atol=1e-6)  # of step 3, the last

    whole, halves = pair(), pair()
    fit(whole, settings, max_steps=6)
    for steps in (3, 6):
        fit(halves, settings, max_steps=steps, checkpoint=tmp_path / "halves.pt")
    assert same_state(whole, halves)
    plain = pair()
    fit(plain, GANSettings(batch_size=32, seed=3), max_steps=6)
    assert same_state(plain[1:], whole[1:])  # the average takes no part in the game


def test_an_interrupted_run_saves_itself_between_steps_and_can_go_on(tmp_path):
    path, calls = tmp_path / "run.pt", []

    def interrupted(real_logits, fake_logits):
        calls.append(None)
        if len(calls) == 5:
            signal.raise_signal(signal.SIGINT)  # Ctrl-C between the update of D and that of G
        return gan.discriminator_loss(real_logits, fake_logits)

    with pytest.raises(KeyboardInterrupt, match="after step 4"):
        fit(pair(), discriminator_loss=interrupted, checkpoint=path)
    assert len(torch.load(path, weights_only=True)["gradient"]) == 5
    whole, resumed = pair(), pair(seed=99)
    fit(whole)
    fit(resumed, checkpoint=path)
    assert same_state(whole, resumed)


@pytest.mark.parametrize("who", ["discriminator_loss", "generator_loss"])
@pytest.mark.parametrize("bad", ["loss", "gradient"])
def test_a_run_that_diverges_names_the_step_and_keeps_the_last_good_checkpoint(tmp_path, who, bad):
    path, networks, calls = tmp_path / "run.pt", pair(), []

    def diverging(*logits):
        calls.append(None)
        loss = getattr(gan, who)(*logits)
        if len(calls) < 8:
            return loss
        # The root of zero is zero, and its slope is infinite: a loss that is finite, and a gradient that is not.
        return loss * float("nan") if bad == "loss" else loss + (logits[0] - logits[0].detach()).sum().abs().sqrt()

    named = {"discriminator_loss": "loss of d", "generator_loss": "generator loss"}[who]
    with pytest.raises(FloatingPointError, match=f"training stopped at step 7, where .* not finite: .*{named}"):
        fit(networks, checkpoint=path, **{who: diverging})
    kept = torch.load(path, weights_only=True)
    assert len(kept["gradient"]) == 6  # every 3 steps
    assert all(torch.isfinite(value).all() for value in kept["game"].values())
    assert all(torch.isfinite(value).all() for network in networks for value in network.state_dict().values())


def test_a_huge_learning_rate_ends_in_that_error_rather_than_in_numbers_that_mean_nothing():
    networks = (nets.mlp_generator(2, 8), nets.mlp_discriminator(2, 8))
    x = data.toy2d("moons", 64, torch.Generator().manual_seed(0))
    settings = GANSettings(kind="wasserstein", learning_rate=1e12, discriminator_learning_rate=1e12)
    with pytest.raises(FloatingPointError, match=r"training stopped at step \d+,"):
        fit_gan(*networks, x, 2, settings, progress=False)


def test_a_run_can_be_prolonged_but_not_continued_under_other_settings(tmp_path):
    path = tmp_path / "run.pt"
    fit(pair(), checkpoint=path)
    longer = {"epochs": 5, "batch_size": 32, "seed": 3, "snapshot_every": 2}
    assert len(fit(pair(), GANSettings(**longer), checkpoint=path).gradient) == 15
    for change in (
        {"kind": "hinge"},
        {"gradient_penalty": 1.0},
        {"discriminator_learning_rate": 1.0},
        {"beta_1": 0.9},
        {"ema_decay": 0.9},
        {"snapshot_every": 3},
    ):
        with pytest.raises(ValueError, match=f"belongs to a run with {next(iter(change))}="):
            fit(pair(), GANSettings(**{**longer, **change}), checkpoint=path)
    with pytest.raises(ValueError, match="parameter_shapes"):
        fit((nets.dcgan_generator(LATENT, 8), pair()[1]), GANSettings(**longer), checkpoint=path)


@pytest.mark.parametrize("kind", gan.KINDS)
def test_the_settings_choose_the_losses_and_a_given_loss_replaces_its_own(kind):
    by_name, by_hand = pair(), pair()
    fit(by_name, GANSettings(batch_size=32, kind=kind), max_steps=2)
    fit(
        by_hand,
        GANSettings(batch_size=32),
        discriminator_loss=lambda real, fake: gan.discriminator_loss(real, fake, kind),
        generator_loss=lambda fake: gan.generator_loss(fake, kind),
        max_steps=2,
    )
    assert same_state(by_name, by_hand)


def test_clipping_keeps_the_critics_weights_within_the_limit_and_no_others():
    generator, critic = pair()
    fit((generator, critic), GANSettings(batch_size=32, kind="wasserstein", clip=0.01), max_steps=2)
    assert max(weight.abs().max() for weight in critic.parameters()) <= 0.01
    assert max(weight.abs().max() for weight in generator.parameters()) > 0.1


def test_the_penalty_pulls_the_slope_of_the_critic_towards_one():
    def slope(weight):
        critic = nets.mlp_discriminator(2, 32)
        x = data.toy2d("moons", 256, torch.Generator().manual_seed(0))
        settings = GANSettings(
            kind="wasserstein", batch_size=64, gradient_penalty=weight, discriminator_learning_rate=5e-3
        )
        fit_gan(nets.mlp_generator(2, 32), critic, x, 2, settings, max_steps=60, progress=False)
        x = x.requires_grad_()
        (gradient,) = torch.autograd.grad(critic(x).sum(), x)
        return gradient.norm(dim=1).mean().item()

    assert slope(10.0) == pytest.approx(1, abs=0.4)
    assert slope(0.0) > 2


def test_losses_of_the_wrong_shape_or_without_a_way_to_the_weights_are_refused():
    for name, call in (("discriminator_loss", lambda real, fake: real), ("generator_loss", lambda fake: fake)):
        with pytest.raises(ValueError, match=rf"{name} must return shape \(\), got \(32,\)"):
            fit(pair(), **{name: call})
    with pytest.raises(ValueError, match="generator_loss must depend on the weights that it is to train"):
        fit(pair(), generator_loss=lambda fake: gan.generator_loss(fake.detach()))
    with pytest.raises(ValueError, match=r"x must have shape \(B, \.\.\.\)"):
        fit_gan(*pair(), torch.zeros(5), LATENT, progress=False)
    with pytest.raises(ValueError, match="x must hold at least one example"):
        fit_gan(*pair(), torch.zeros(0, 2), LATENT, progress=False)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("kind", "relativistic", "kind must be one of 'minimax'"),
        ("discriminator_learning_rate", 0.0, "discriminator_learning_rate must be a positive finite number"),
        ("discriminator_steps", 0, "discriminator_steps must be at least 1, got 0"),
        ("gradient_penalty", -1.0, "gradient_penalty must be zero or a positive finite number, got -1.0"),
        ("clip", float("nan"), "clip must be zero or a positive finite number, got nan"),
        ("snapshot_every", -1, "snapshot_every must be zero or a positive finite number, got -1"),
        ("beta_1", 1.0, r"beta_1 must lie in \[0, 1\), got 1.0"),
        ("ema_decay", 1.0, r"ema_decay must lie in \[0, 1\), got 1.0"),
        ("epochs", 0, "epochs must be at least 1, got 0"),
    ],
)
def test_settings_outside_their_range_are_refused_by_name(name, value, message):
    with pytest.raises(ValueError, match=message):
        GANSettings(**{name: value})
