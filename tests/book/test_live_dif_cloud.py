"""The live figure of the cloud that is denoised twice, played in a browser and held against `genmodels`."""

import itertools

import numpy as np
import pytest
import torch

from genmodels import diffusion, metrics, pretrained, unet
from genmodels.diffusion_exact import toy_mixture
from tests.book.test_live import tool, touch

SAMPLING = "book/3-diffusion/sampling"
MIXTURE = toy_mixture("eight_gaussians")
SCHEDULE = pretrained.SCHEDULES["diffusion_2d"]
CLOUD = "genmodelsLive['dif-cloud']"
STATES = [{"steps": steps, "eta": eta, "seed": 7} for steps in (1, 3, 10, 35) for eta in (0, 0.35, 1)]


@pytest.fixture
def cloud(reader):
    return on_stage(reader(), "dif-cloud")


def on_stage(window, figure: str):
    """The chapter, once the figure stands where its still was."""
    page = window.open(SAMPLING)
    page.locator(f"[data-live={figure}]").scroll_into_view_if_needed()
    page.wait_for_selector(f"[data-live={figure}] .gm-live-plot svg[viewBox]")
    return page


def told(page, figure: str) -> dict[str, str]:
    """What is printed, once the drawing has caught up."""
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    texts = page.eval_on_selector_all(
        f"[data-live={figure}] output", "outputs => outputs.map(o => [o.dataset.out, o.textContent])"
    )
    return dict(texts)


def tensor(cloud) -> torch.Tensor:
    """A cloud of the page, x, y, x, y, ...: → (N, 2) in float64."""
    return torch.tensor(list(cloud), dtype=torch.float64).reshape(-1, 2)


def runs(page, name: str, state: dict) -> list[torch.Tensor]:
    call = f"([name, state]) => {CLOUD}.run(name, state).map(cloud => Array.from(cloud))"
    return [tensor(cloud) for cloud in page.evaluate(call, [name, state])]


def fresh(page, state: dict) -> list[torch.Tensor]:
    """The noise to begin with, and that of each step."""
    drawn = page.evaluate(
        """({ seed, steps }) => {
            const draw = genmodelsLive.dif.normals(seed);
            return Array.from({ length: steps + 1 }, () => Array.from(draw(400)));
        }""",
        state,
    )
    return [tensor(noise) for noise in drawn]


def times(steps: int) -> list[int]:
    """Those that the sampler of the library goes through, from T down to 0."""
    return [*diffusion.ddim_times(SCHEDULE.T, steps)[::-1], 0]


# ------------------------------------------------------------------ the noise and the two denoisers


def test_the_noise_is_standard_normal_and_that_of_the_still(cloud):
    draws = np.array(cloud.evaluate("Array.from(genmodelsLive.dif.normals(5)(40_000))"))
    np.testing.assert_allclose(draws[:500], tool("stills").page_noise(5, 500), atol=1e-12)
    # 40,000 draws: five standard errors of the mean, of the variance, and of the fourth moment.
    assert abs(draws.mean()) < 0.025
    assert abs((draws**2).mean() - 1) < 0.036
    assert abs((draws**4).mean() - 3) < 0.25
    assert abs(np.corrcoef(draws[:-1], draws[1:])[0, 1]) < 0.025
    other = np.array(cloud.evaluate("Array.from(genmodelsLive.dif.normals(6)(40_000))"))
    assert abs(np.corrcoef(draws, other)[0, 1]) < 0.025


@pytest.mark.parametrize("t", [1, 2, 37, 99, 100])
def test_the_page_embeds_the_time_as_the_library_does(cloud, t):
    found = cloud.evaluate("t => genmodelsLive.dif.embed(t, 16)", t)
    expected = unet.time_embedding(torch.tensor([t], dtype=torch.float64), 16)[0]
    np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.fixture(scope="module")
def denoisers():
    return {"network": pretrained.load("diffusion_2d").double(), "exact": MIXTURE.denoiser(SCHEDULE)}


@pytest.mark.parametrize(("name", "within"), [("network", 1e-3), ("exact", 1e-9)])
def test_both_denoisers_of_the_page_agree_with_the_library(cloud, denoisers, name, within):
    """On noisy data, from the first time to the last. The network's weights have 16 bits in the page."""
    generator = torch.Generator().manual_seed(0)
    for t in (1, 2, 10, 33, 50, 67, 90, 99, 100):
        x0 = MIXTURE.sample(200, generator)
        eps = torch.randn(200, 2, generator=generator, dtype=torch.float64)
        xt = diffusion.q_sample(x0, torch.full((200,), t), eps, SCHEDULE)
        found = cloud.evaluate(
            f"([name, xt, t]) => Array.from({CLOUD}[name](Float64Array.from(xt), t))", [name, xt.flatten().tolist(), t]
        )
        with torch.no_grad():
            expected = denoisers[name](xt, torch.full((200,), t))
        torch.testing.assert_close(tensor(found), expected, rtol=0, atol=within)


# ------------------------------------------------------------------ the sampler


@pytest.mark.parametrize("state", STATES, ids=lambda state: f"{state['steps']}-{state['eta']}")
def test_each_step_of_the_page_is_the_step_of_the_library(cloud, denoisers, state):
    """From each of the page's clouds, with the page's noise: to 1e-9 with the exact average, to 1e-3 with the network.

    The guess at x_0 is clipped before the step. At t = T the network's error is divided by 0.0005 in it: where it is
    not clipped, the 16 bits of the weights show.
    """
    noise = fresh(cloud, state)
    visited = times(state["steps"])
    for name, denoiser in denoisers.items():
        clouds = runs(cloud, name, state)
        assert len(clouds) == state["steps"] + 1
        torch.testing.assert_close(clouds[0], noise[0], rtol=0, atol=1e-12)
        for k, (t, t_prev) in enumerate(itertools.pairwise(visited)):
            xt, at, to = clouds[k], torch.full((200,), t), torch.full((200,), t_prev)
            with torch.no_grad():
                eps_hat = denoiser(xt, at)
            x0_hat = diffusion.predict_x0(xt, at, eps_hat, SCHEDULE).clamp(-1.5, 1.5)
            eps_hat = diffusion.eps_from_x0(xt, at, x0_hat, SCHEDULE)
            expected = diffusion.ddim_step(xt, at, to, eps_hat, noise[k + 1], SCHEDULE, float(state["eta"]))
            gain = (SCHEDULE.alpha_bar[t_prev] / SCHEDULE.alpha_bar[t]).sqrt().item()
            torch.testing.assert_close(clouds[k + 1], expected, rtol=0, atol=1e-9 if name == "exact" else 1e-3 * gain)


def test_without_fresh_noise_the_page_ends_where_the_sampler_of_the_library_ends(cloud, denoisers):
    xT = fresh(cloud, {"steps": 0, "seed": 11})[0]
    for steps in (2, 10, 50):
        ends = runs(cloud, "exact", {"steps": steps, "eta": 0, "seed": 11})[-1]
        expected = diffusion.ddim_sample(denoisers["exact"], (200, 2), SCHEDULE, steps, clip=(-1.5, 1.5), xT=xT)
        torch.testing.assert_close(ends, expected, rtol=0, atol=1e-6)


def test_all_steps_with_fresh_noise_are_the_ancestral_sampler(cloud, denoisers):
    state = {"steps": 100, "eta": 1, "seed": 2}
    noise, clouds = fresh(cloud, state), runs(cloud, "exact", state)
    for k, t in enumerate(range(100, 0, -1)):
        at = torch.full((200,), t)
        eps_hat = denoisers["exact"](clouds[k], at)
        expected = diffusion.ancestral_step(clouds[k], at, eps_hat, noise[k + 1], SCHEDULE)
        torch.testing.assert_close(clouds[k + 1], expected, rtol=0, atol=1e-9)


# ------------------------------------------------------------------ what is printed


def prints_what_is_true(page) -> dict[str, str]:
    """The table against `metrics`, on the clouds of the page's own run."""
    found = told(page, "dif-cloud")
    state = {"steps": int(found["steps"]), "eta": float(found["eta"]), "seed": 3}
    k = int(found["shown"].split(" of ")[0])
    clouds = {name: runs(page, name, state)[k] for name in ("network", "exact")}
    for name, x in clouds.items():
        modes, quality = metrics.modes_covered(x, MIXTURE.means, std=0.05)
        assert found[f"{name}-modes"] == str(modes)
        assert found[f"{name}-good"] == f"{100 * quality:.1f} %"
        nearest = metrics.distances(x, MIXTURE.means).amin(dim=1).mean().item()
        assert float(found[f"{name}-distance"]) == pytest.approx(nearest, abs=0.00051)
    homes = [metrics.distances(x, MIXTURE.means).argmin(dim=1) for x in clouds.values()]
    assert found["togetherText"] == f"{int((homes[0] == homes[1]).sum())} of 200"
    assert found["shown"] == f"{k} of {state['steps']}, t = {times(state['steps'])[k]}"
    return found


def drawn(page, plane: str) -> np.ndarray:
    """The dots of a plane, in the data's units: (200, 2)."""
    return np.array(
        page.evaluate(
            """name => {
                const svg = document.querySelector(`[data-live=dif-cloud] [data-plane=${name}] svg`);
                const side = svg.viewBox.baseVal.width;
                return [...svg.querySelector('.gm-d-dots').getAttribute('d').matchAll(/M(\\S+) (\\S+)h0/g)]
                    .map(([, x, y]) => [(x / side - 0.5) * 4, (0.5 - y / side) * 4]);
            }""",
            plane,
        )
    )


def put(page, **state):
    for name, place in state.items():
        page.locator(f"[data-live=dif-cloud] input[name={name}]").evaluate(
            "(input, value) => { input.value = value; input.dispatchEvent(new Event('input')); }", str(place)
        )


def test_the_numbers_and_the_dots_are_those_of_the_run(cloud):
    choices = cloud.evaluate(f"{CLOUD}.RANGES.steps.choices")
    for steps, eta, t in ((1, 0, 0), (10, 0, 0), (10, 0, 50), (20, 0.5, 0), (35, 1, 20), (100, 1, 0), (3, 1, 100)):
        put(cloud, steps=choices.index(steps), eta=eta, t=t)
        found = prints_what_is_true(cloud)
        assert (found["steps"], float(found["eta"])) == (str(steps), eta)
        k = int(found["shown"].split(" of ")[0])
        for name in ("network", "exact"):
            expected = runs(cloud, name, {"steps": steps, "eta": eta, "seed": 3})[k]
            np.testing.assert_allclose(drawn(cloud, name), expected, atol=0.002)


def test_the_data_stand_in_the_table_as_they_are(cloud):
    """The third column against a large sample."""
    x = MIXTURE.sample(200_000, torch.Generator().manual_seed(0))
    expected = cloud.evaluate(f"{CLOUD}.DATA")
    modes, quality = metrics.modes_covered(x, MIXTURE.means, std=0.05)
    assert expected["modes"] == modes
    assert expected["good"] == pytest.approx(quality, abs=0.0012)  # five standard errors
    nearest = metrics.distances(x, MIXTURE.means).amin(dim=1).mean().item()
    assert expected["distance"] == pytest.approx(nearest, abs=0.0004)
    cells = cloud.locator("[data-live=dif-cloud] tbody td:last-child").all_text_contents()
    assert cells == ["8", "98.9 %", "0.063"]


def test_what_the_figure_is_for(cloud):
    """Few steps miss the modes and many do not; with many steps fresh noise brings the network nearer to the data."""

    def good(steps, eta):
        states = [{"steps": steps, "eta": eta, "t": 0, "seed": seed} for seed in range(5)]
        found = cloud.evaluate(f"states => states.map({CLOUD}.terms)", states)
        return {name: np.mean([one[name]["good"] for one in found]) for name in ("network", "exact")}

    assert good(1, 0)["exact"] < 0.02
    assert good(5, 0)["exact"] < 0.6
    assert good(50, 0)["exact"] > 0.97
    without, with_noise = good(50, 0), good(50, 1)
    assert without["network"] < without["exact"] - 0.03
    assert with_noise["network"] > without["network"] + 0.02


# ------------------------------------------------------------------ by mouse, touch and keys


def test_cloud_sliders_move_by_keyboard_and_stop_at_their_ends(cloud):
    steps = cloud.locator("[data-live=dif-cloud] input[name=steps]")
    steps.press("ArrowRight")
    assert prints_what_is_true(cloud)["steps"] == "15"
    assert steps.get_attribute("aria-valuetext") == "15"
    steps.press("End")
    steps.press("ArrowRight")
    assert prints_what_is_true(cloud)["steps"] == "100"
    eta = cloud.locator("[data-live=dif-cloud] input[name=eta]")
    eta.press("ArrowRight")
    assert prints_what_is_true(cloud)["eta"] == "0.05"
    steps.press("Home")
    time = cloud.locator("[data-live=dif-cloud] input[name=t]")
    time.press("End")
    found = prints_what_is_true(cloud)
    assert (found["steps"], found["shown"]) == ("1", "0 of 1, t = 100")


def test_the_step_button_goes_from_time_to_time_and_begins_anew(cloud):
    put(cloud, steps=2, t=100)  # three steps
    button = cloud.get_by_role("button", name="Step", exact=True)
    seen = [prints_what_is_true(cloud)["shown"]]
    for _ in range(4):
        button.click()
        seen.append(prints_what_is_true(cloud)["shown"])
    assert seen == [f"{k} of 3, t = {t}" for k, t in ((0, 100), (1, 66), (2, 33), (3, 0), (0, 100))]
    button.focus()
    cloud.keyboard.press("Enter")
    assert told(cloud, "dif-cloud")["shown"] == "1 of 3, t = 66"


@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
def test_play_runs_from_noise_to_the_samples(reader, motion):
    window = reader(reduced_motion=motion)
    window.page.clock.install()
    page = on_stage(window, "dif-cloud")
    page.clock.run_for(100)
    put(page, steps=9)  # twenty steps
    page.clock.run_for(100)
    button = page.locator("[data-live=dif-cloud] [data-do=play]")
    assert button.text_content() == "Play"  # it does not begin by itself
    button.click()
    assert button.text_content() == "Pause"
    seen = []
    for _ in range(60):
        page.clock.run_for(100)
        seen.append(page.locator("[data-live=dif-cloud] [data-out=shown]").text_content())
        if button.text_content() == "Play":
            break
    page.clock.run_for(100)
    assert page.locator("[data-live=dif-cloud] [data-out=shown]").text_content() == "20 of 20, t = 0"
    steps = [int(text.split(" of ")[0]) for text in seen]
    assert steps == sorted(steps)
    assert len(set(steps)) <= 12 if motion == "reduce" else len(set(steps)) > 15


def test_play_pauses_at_the_button_and_when_the_reader_takes_over(reader):
    window = reader(reduced_motion="no-preference")
    window.page.clock.install()
    page = on_stage(window, "dif-cloud")
    page.clock.run_for(100)
    button = page.locator("[data-live=dif-cloud] [data-do=play]")
    slider = page.locator("[data-live=dif-cloud] input[name=t]")
    for take_over in (button.click, lambda: slider.press("ArrowRight")):
        put(page, t=100)
        button.click()
        page.clock.run_for(1500)
        take_over()
        page.clock.run_for(100)
        assert button.text_content() == "Play"
        halted = slider.input_value()
        assert 0 < float(halted) < 100
        page.clock.run_for(1000)
        assert slider.input_value() == halted


def test_new_noise_is_new(cloud):
    before = drawn(cloud, "exact")
    cloud.get_by_role("button", name="New noise").click()
    told(cloud, "dif-cloud")
    assert np.abs(drawn(cloud, "exact") - before).max() > 0.5


def test_the_cloud_is_played_by_mouse(cloud):
    """A press on the track of the slider: the middle of the time is half way."""
    slider = cloud.locator("[data-live=dif-cloud] input[name=t]")
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    cloud.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    assert prints_what_is_true(cloud)["shown"] == "5 of 10, t = 50"


def test_the_cloud_is_played_by_touch_on_a_phone_and_fits_it(reader):
    window = reader(width=390, height=844, theme="dark")
    page = on_stage(window, "dif-cloud")
    planes = [page.locator(f"[data-plane={name}]").bounding_box() for name in ("network", "exact")]
    assert planes[0]["y"] == planes[1]["y"]
    assert min(plane["width"] for plane in planes) > 150
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    slider = page.locator("[data-live=dif-cloud] input[name=t]")
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    touch(window, (box["x"] + 0.7 * box["width"], box["y"] + box["height"] / 2), (0, 0))
    page.wait_for_function("document.querySelector('[data-live=dif-cloud] input[name=t]').value > 60")
    assert prints_what_is_true(page)["shown"] == "3 of 10, t = 70"
    page.locator("[data-live=dif-cloud] [data-do=step]").tap()
    assert prints_what_is_true(page)["shown"] == "4 of 10, t = 60"


def test_a_screen_reader_is_told_of_both_clouds_at_rest_and_not_before(cloud):
    status = cloud.locator("[data-live=dif-cloud] [role=status]")
    cloud.wait_for_timeout(900)
    assert status.text_content() == ""
    put(cloud, steps=0)
    cloud.wait_for_function(
        "document.querySelector('[data-live=dif-cloud] [role=status]').textContent.includes('exact average: 0 modes')"
    )


# ------------------------------------------------------------------ before it is loaded


def test_the_still_is_there_until_the_weights_are_loaded_and_without_javascript(reader):
    window = reader(java_script_enabled=False)
    window.page.goto((window.site / f"{SAMPLING}.html").as_uri())
    assert window.page.locator("[data-live=dif-cloud] .gm-still svg").first.is_visible()
    page = reader(height=400).open(SAMPLING)
    assert page.locator("[data-live=dif-cloud] .gm-live-ui").count() == 0
    assert page.locator("script[src*='dif-cloud-data']").count() == 0
    page.locator("[data-live=dif-cloud]").scroll_into_view_if_needed()
    page.wait_for_selector("[data-live=dif-cloud] .gm-live-ui")
    assert not page.locator("[data-live=dif-cloud] .gm-still").is_visible()
