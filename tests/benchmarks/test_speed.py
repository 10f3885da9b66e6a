"""The benchmarks of speed: both sides of a row do equal work, and what is counted is right. No test asserts a time."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest
import torch
from torch import nn

from benchmarks import records
from benchmarks.speed import __main__ as command
from benchmarks.speed import fresh, interleaved, paths, quality, roofline, tutorials
from benchmarks.speed.cases import DDIM_STEPS, MODELS, SIDES, T, cases, images, our_unet, their_unet
from genmodels import data, diffusion, nets, speed, train, unet, vae
from tools import repository

ROOT = Path(__file__).resolve().parents[2]
CPU = torch.device("cpu")
ALL = {case.name: case for case in cases(CPU, quick=True)}
SMALL = {name: case for name, case in ALL.items() if case.side == 8}
TRAINING = [name for name, case in SMALL.items() if case.what == "training step"]
SAMPLING = [
    pytest.param(name, marks=[pytest.mark.slow] if f"{T} steps" in name else [])
    for name, case in SMALL.items()
    if case.what.startswith("sampling")
]


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


# --- equal work -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
def test_both_sides_have_as_many_parameters(name):
    ours, theirs = (side().parameters() for side in (ALL[name].ours, ALL[name].theirs))
    assert theirs == (pytest.approx(ours, rel=0.05) if ALL[name].peer == "diffusers" else ours)


@pytest.mark.parametrize("side", SIDES)
def test_the_network_of_diffusers_takes_as_many_operations(side):
    from benchmarks.speed import peers

    x, t = torch.randn(2, 1, side, side), torch.tensor([3, 4])
    counts = [roofline.operations(lambda net=net: net(x, t)) for net in (our_unet(side, CPU), peers.unet(side))]
    assert counts[1] == pytest.approx(counts[0], rel=0.1)


def batches_seen(network: nn.Module) -> list[int]:
    """The batch sizes of the calls with gradients, which fills as the network is called."""
    seen: list[int] = []
    network.register_forward_pre_hook(lambda _, given: seen.append(len(given[0])))
    return seen


@pytest.mark.parametrize("name", TRAINING)
def test_both_sides_take_the_same_steps_on_the_same_batches(name):
    case, found = SMALL[name], []
    for make in (case.ours, case.theirs):
        prepared = make()
        seen = batches_seen(prepared.networks[-1])  # the discriminator, or the only network
        found.append((len(prepared.run()), seen))
    assert found[0] == found[1]
    assert found[0][0] == case.units


@pytest.mark.parametrize("name", SAMPLING)
def test_both_sides_make_as_many_images_with_as_many_calls(name):
    case, found = SMALL[name], []
    for make in (case.ours, case.theirs):
        prepared = make()
        kinds = nn.Linear if case.model == "vae" else (nn.Conv2d, nn.ConvTranspose2d)
        layers = [module for module in prepared.networks[0].modules() if isinstance(module, kinds)]
        calls = batches_seen(layers[-1])
        made = prepared.run()
        made = made.images if case.peer == "diffusers" and make is case.theirs else made
        found.append((len(made), calls))
    assert found[0] == found[1]
    assert found[0][0] == case.units
    if case.model == "diffusion":
        assert len(found[0][1]) == (DDIM_STEPS if "DDIM" in case.what else T)


def test_the_tutorials_u_net_is_the_same_function():
    ours, theirs = our_unet(8, CPU), their_unet(8, CPU)
    nn.init.normal_(ours.last.weight, std=0.1)  # it starts at zero
    copy_unet(ours, theirs)
    x, t = torch.randn(3, 1, 8, 8), torch.tensor([1, 50, 200])
    with torch.no_grad():
        torch.testing.assert_close(theirs(x, t), ours(x, t), rtol=1e-4, atol=1e-5)


def copy_unet(ours: nn.Module, theirs: nn.Module) -> None:
    def block(a: nn.Module, b: nn.Module) -> None:
        pairs = ((a.norm, b.norm1), (a.first, b.conv1), (a.ada_gn.project, b.mlp), (a.second, b.conv2))
        for one, other in (*pairs, (a.shortcut, b.res_conv)):
            other.load_state_dict(one.state_dict())
        with torch.no_grad():
            b.mlp.bias[: len(b.mlp.bias) // 2] -= 1  # ours has y_s, the tutorials 1 + scale

    theirs.init_conv.load_state_dict(ours.first.state_dict())
    for mine, other in ((0, 1), (2, 3)):
        theirs.time_mlp[other].load_state_dict(ours.time[mine].state_dict())
    for mine, halve, other in zip(ours.down, ours.halving, theirs.downs, strict=True):
        block(mine, other[0])
        other[1].load_state_dict(halve.state_dict())
    block(ours.before, theirs.mid_block1)
    block(ours.after, theirs.mid_block2)
    theirs.mid_attn.norm.load_state_dict(ours.attention.norm.state_dict())
    with torch.no_grad():
        theirs.mid_attn.mha.in_proj_weight.copy_(ours.attention.to_qkv.weight)
        theirs.mid_attn.mha.in_proj_bias.copy_(ours.attention.to_qkv.bias)
    theirs.mid_attn.mha.out_proj.load_state_dict(ours.attention.out.state_dict())
    for double, mine, other in zip(ours.doubling, ours.up, theirs.ups, strict=True):
        other[0][1].load_state_dict(double.state_dict())
        block(mine, other[1])
    theirs.final_norm.load_state_dict(ours.norm.state_dict())
    theirs.final_conv.load_state_dict(ours.last.state_dict())


def test_the_tutorials_generator_and_discriminator_are_the_same_functions():
    ours, theirs = nets.dcgan_generator(16, 48).eval(), tutorials.Generator().eval()
    theirs.load_state_dict(dict(zip(theirs.state_dict(), ours.state_dict().values(), strict=True)))
    z = torch.randn(3, 16)
    torch.testing.assert_close(theirs(z), ours(z))
    ours, theirs = nets.dcgan_discriminator(48).eval(), tutorials.Discriminator().eval()
    theirs.load_state_dict(dict(zip(theirs.state_dict(), ours.state_dict().values(), strict=True)))
    torch.testing.assert_close(theirs(images(8)[:3]), torch.sigmoid(ours(images(8)[:3])))


def test_the_tutorials_autoencoder_has_the_same_loss():
    ours, theirs = vae.VAE(), tutorials.VAE()
    first, both, third, fourth = (m for m in ours.modules() if isinstance(m, nn.Linear))
    for mine, other in ((first, theirs.fc1), (third, theirs.fc3), (fourth, theirs.fc4)):
        other.load_state_dict(mine.state_dict())
    with torch.no_grad():
        for half, layer in zip((slice(None, 8), slice(8, None)), (theirs.fc_mu, theirs.fc_logvar), strict=True):
            layer.weight.copy_(both.weight[half])
            layer.bias.copy_(both.bias[half])
    theirs.reparameterize = lambda mu, logvar: vae.reparameterize(mu, logvar, torch.zeros_like(mu))
    x = data.binarize(images(8)[:5])
    expected = train.negative_elbo(ours, x, torch.zeros(5, 8)).sum()
    torch.testing.assert_close(tutorials.vae_loss(theirs(x)[0], x, *theirs.encode(x)), expected)


def test_the_tutorials_schedule_is_ours():
    tables, ours = tutorials.Diffusion(T), diffusion.cosine_schedule(T)
    torch.testing.assert_close(tables.alphas_cumprod.double(), ours.alpha_bar[1:], rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(tables.posterior_variance.double(), ours.beta_tilde[1:], rtol=1e-2, atol=1e-4)


# --- the baselines learn ----------------------------------------------------------------------------------------------


def test_the_autoencoders_losses_fall():
    losses = tutorials.train_vae(tutorials.VAE(), data.binarize(images(8)), 60)
    assert sum(losses[-10:]) < 0.8 * sum(losses[:10])


@pytest.mark.parametrize("who", ["tutorial", "tutorial, clipped, averaged", "diffusers"])
def test_the_noise_predictors_losses_fall(who):
    from benchmarks.speed import peers

    torch.manual_seed(0)
    x, steps = 2 * images(8) - 1, 30
    if who == "diffusers":
        losses = peers.train_diffusion(peers.unet(8), x, steps, batch_size=16)
    else:
        model = tutorials.Unet(dim=16)
        losses = tutorials.train_diffusion(model, x, tutorials.Diffusion(T), steps, 16, ema=who != "tutorial")
    assert sum(losses[-10:]) < 0.8 * sum(losses[:10])


def test_the_games_are_finite_and_the_critics_loss_falls():
    torch.manual_seed(0)
    x = 2 * images(8) - 1
    history = tutorials.train_dcgan(tutorials.Generator(width=8), tutorials.Discriminator(width=8), x, 20)
    assert torch.tensor(history).isfinite().all()
    critic = tutorials.Discriminator(width=8, critic=True)
    losses = [d for d, _ in tutorials.train_wgan_gp(tutorials.Generator(width=8), critic, x, 15)]
    assert losses[-1] < losses[0]  # from the penalty alone towards minus the distance


# --- interleaved ------------------------------------------------------------------------------------------------------


def test_the_sides_run_in_turns_after_one_round_that_does_not_count():
    ran = []
    found = interleaved.compare(lambda: lambda: ran.append("A"), lambda: lambda: ran.append("B"), rounds=2)
    assert "".join(ran) == "ABABAB"
    assert len(found.ours) == len(found.theirs) == 2


def test_a_ratio_is_the_median_of_the_rounds_ratios():
    found = interleaved.Comparison(ours=[(1, 1), (2, 1), (4, 1)], theirs=[(2, 3), (2, 3), (6, 3)])
    assert found.ratios() == [1, 1.5, 2]
    assert found.ratio() == 1.5
    assert found.ratio(of=1) == 3
    assert found.seconds() == (2, 2)
    with pytest.raises(ValueError, match="rounds must be at least 1, got 0"):
        interleaved.compare(lambda: list, lambda: list, rounds=0)


# --- counting ---------------------------------------------------------------------------------------------------------


def test_operations_are_those_of_the_formula():
    x, linear = torch.randn(5, 7), nn.Linear(7, 11, bias=False)
    assert roofline.operations(lambda: linear(x)) == 2 * 5 * 7 * 11
    assert roofline.operations(lambda: linear(x).sum().backward()) == 2 * (2 * 5 * 7 * 11)  # x needs no gradient
    image, conv = torch.randn(2, 3, 8, 8), nn.Conv2d(3, 4, 3, padding=1)
    assert roofline.operations(lambda: conv(image)) == 2 * 2 * 8 * 8 * 3 * 4 * 9


def test_what_autograd_keeps_is_counted_once_and_without_the_weights():
    x, linear = torch.randn(5, 7), nn.Linear(7, 11)
    weights = {p.untyped_storage().data_ptr() for p in linear.parameters()}
    # x for the weight's gradient, and the sigmoid's result for its own.
    assert roofline.kept_bytes(lambda: linear(x).sigmoid().sum(), weights) == 4 * (5 * 7 + 5 * 11)


def test_the_floor_is_the_longer_of_the_two():
    limits = roofline.Limits(operations=100.0, bytes=10.0)
    assert limits.floor(200, 10) == 2
    assert limits.floor(100, 50) == 5


def test_every_model_has_its_work_counted():
    found = roofline.works(CPU, ("vae", "wgan_gp"), quick=True)
    assert {(work.model, work.side) for work in found} == {(m, s) for m in ("vae", "wgan_gp") for s in SIDES}
    assert all(work.operations > 0 and work.bytes > 0 for work in found)


# --- quality ----------------------------------------------------------------------------------------------------------


def test_the_scaled_distance_does_not_depend_on_the_features_scale():
    x, y = torch.randn(2, 200, 6, dtype=torch.float64)
    one, ten = quality.quality(x, y + 1), quality.quality(10 * x, 10 * (y + 1))
    assert ten.raw == pytest.approx(100 * one.raw)
    assert ten.scaled == pytest.approx(one.scaled)
    assert (ten.precision, ten.recall) == (one.precision, one.recall)


def test_a_run_in_slices_is_the_run_in_one():
    x = data.binarize(images(8)[:200])
    settings = train.VAESettings(epochs=1000, batch_size=100, checkpoint_every=10**9)
    sliced, whole = vae.VAE(), vae.VAE()

    def fit(**named):
        return train.fit_vae(sliced, x, settings, progress=False, **named)

    seen = []
    spent = quality.train_in_slices([quality.Stage(fit, 0.3)], [0.1, 0.2, 0.3], lambda p: seen.append(p.steps))
    assert seen[-1] == spent.steps
    assert len(seen) == 3
    train.fit_vae(whole, x, settings, max_steps=spent.steps, progress=False)
    for a, b in zip(sliced.parameters(), whole.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)


def test_predicting_v_is_predicting_the_noise():
    schedule, x0, eps = diffusion.cosine_schedule(20), torch.randn(4, 1, 8, 8), torch.randn(4, 1, 8, 8)
    t = torch.tensor([1, 5, 12, 20])
    model = quality.VPrediction(nn.Module(), schedule)
    signal, noise = model.roots(t, x0)
    model.network.forward = lambda xt, t: signal * eps - noise * x0  # the right v
    assert quality.v_loss(model, x0, t, eps, schedule).abs().max() < 1e-9
    torch.testing.assert_close(model(diffusion.q_sample(x0, t, eps, schedule), t), eps, rtol=1e-4, atol=1e-5)


def test_the_average_takes_no_part_in_the_adversarial_run_that_is_rated_and_is_what_it_samples_with():
    averaged, last = (quality.GOALS[name].make(3, 120.0) for name in ("dcgan", "dcgan, the last weights"))
    for run in (averaged, last):
        run.stages[0].fit(max_steps=3)
    for a, b in zip(averaged.networks[1].parameters(), last.networks[1].parameters(), strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(averaged.samples(), last.samples())


def test_the_table_of_quality_has_the_chosen_models():
    with mock.patch.object(quality, "rows", side_effect=lambda models, **_: models):
        for only, expected in (("vae", ["vae"]), ("dcgan", ["dcgan", "dcgan, the last weights"]), ("wgan_gp", [])):
            options = command.options_of(["--quality", "--only", only])
            assert command.quality_table(options)["rows"] == expected


# --- records and the command ------------------------------------------------------------------------------------------


def test_a_record_has_what_the_book_asks_for(tmp_path):
    spec = importlib.util.spec_from_file_location("checked_for_speed", ROOT / "book" / "_ext" / "checked.py")
    sys.path.insert(0, str(ROOT / "book" / "_ext"))
    try:
        checked = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(checked)
    finally:
        sys.path.pop(0)
    where = records.machine(2, ("torch", "diffusers"))
    result = records.record("A title", "make bench", where, ("Model", "ms"), [["VAE", "1.5"]], runs=[[1, 2]])
    path = tmp_path / "benchmarks" / "results" / "speed.json"
    records.write(result, path)
    assert set(checked.BENCHMARK_KEYS) <= json.loads(path.read_text()).keys()
    shown = " ".join(node.astext() for node in checked.benchmark_figures(tmp_path))
    assert "make bench" in shown
    assert "2 threads" in where
    assert "/" not in where
    with pytest.raises(ValueError, match="2 cells"):
        records.record("A title", "make bench", where, ("Model", "ms"), [["VAE"]])


def test_a_record_tells_changed_code_from_results_that_the_run_itself_has_written(tmp_path):
    files = [tmp_path / "benchmarks" / "results" / "speed_training.json", tmp_path / "lib.py"]
    files[0].parent.mkdir(parents=True)

    def git(*words):
        who = ("-c", "user.name=x", "-c", "user.email=x@example.org")
        subprocess.run(["git", *who, *words], cwd=tmp_path, check=True, capture_output=True)

    for path in files:
        path.write_text("1")
    git("init")
    git("add", "-A")
    git("commit", "-m", "first")
    with mock.patch.object(repository, "ROOT", tmp_path), mock.patch.object(records, "RESULTS", files[0].parent):
        clean = records.commit()
        files[0].write_text("2")
        assert records.commit() == clean
        assert clean != "unknown"
        files[1].write_text("2")
        assert records.commit() == f"{clean} with changes"


def test_only_a_whole_run_writes_where_the_book_looks():
    assert command.options_of([]).results == records.RESULTS
    assert command.options_of(["--quick"]).results is None
    assert command.options_of(["--only", "vae"]).results is None
    assert set(command.options_of([]).only) == set(MODELS)
    with pytest.raises(SystemExit):
        command.options_of(["--only", "transformer"])


def test_the_command_prints_and_writes_a_table(tmp_path, capsys):
    command.main(["--quick", "--only", "vae", "--tables", "sampling", "--rounds", "1", "--results", str(tmp_path)])
    result = json.loads((tmp_path / "speed_sampling.json").read_text())
    assert [row[:4] for row in result["rows"]] == [["vae", f"{s}x{s}", "sampling", "tutorial"] for s in SIDES]
    assert "Sampling beside a peer's" in capsys.readouterr().out


def test_an_import_is_timed_in_a_process_of_its_own():
    clock, processor = fresh.import_seconds("import json")
    assert clock > 0
    assert processor > 0
    with pytest.raises(RuntimeError, match="no_such_module"):
        fresh.import_seconds("import no_such_module")


@pytest.mark.skipif(not fresh.STATUS.exists(), reason="the peak is that of a whole process here")
def test_the_peak_is_that_of_the_run():
    fresh.forget_peak()
    before = fresh.resident()
    block = torch.ones(2**24)
    del block
    assert fresh.peak() - before >= 2**26 * 0.9


def test_without_a_fast_path_the_same_steps_are_taken_and_it_is_back_afterwards():
    before = speed.channels_last, speed.adam, speed.skip_step_if, train.update_ema, unet.convolve_doubled
    found = list(paths.pairs(CPU, ("vae", "diffusion"), quick=True))
    assert {name for _, name, _ in found} == set(paths.WITHOUT)
    for case, name, pair in found:
        if case.side == 8:
            used = mock.Mock(side_effect=AssertionError(f"{name} was used"))
            target = {
                "channels last": (speed, "channels_last"),
                "a fused step": (speed, "adam"),
                "an average in one call": (train, "update_ema"),
                "a spread kernel": (unet, "convolve_doubled"),
            }[name]
            with mock.patch.object(*target, used):
                slow = pair.theirs().run()
            assert slow == pytest.approx(pair.ours().run(), rel=1e-3), (case.name, name)
    after = speed.channels_last, speed.adam, speed.skip_step_if, train.update_ema, unet.convolve_doubled
    assert before == after
