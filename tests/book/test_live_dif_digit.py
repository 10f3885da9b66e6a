"""The live figure of the digit that is noised and denoised, played in a browser and held against `genmodels`."""

import itertools

import numpy as np
import pytest
import torch

from genmodels import data, diffusion, pretrained
from tests.book.test_live import drag, touch
from tests.book.test_live_dif_cloud import on_stage, told

SCHEDULE = pretrained.SCHEDULES["diffusion_digits"]
DIGIT = "genmodelsLive['dif-digit']"
STAGE = "[data-live=dif-digit]"
EVERY = {"ddim": 10, "ancestral": 1}


@pytest.fixture
def digit(reader):
    return on_stage(reader(), "dif-digit")


@pytest.fixture(scope="module")
def model():
    return pretrained.load("diffusion_digits").double()


def images(values) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64).reshape(-1, 1, 8, 8)


def predicted(page, xt: torch.Tensor, t: list[int]) -> torch.Tensor:
    script = f"([xts, times]) => xts.map((xt, i) => Array.from({DIGIT}.predict(Float64Array.from(xt), times[i])))"
    return images(page.evaluate(script, [xt.flatten(1).tolist(), t]))


def rounded(page, model):
    """The network with the numbers that are in the page."""
    script = """([name]) => {
        const { shape, values } = genmodelsLive.common.unpack(genmodelsLive['dif-digit-data'].weights[name]);
        return { shape, values: Array.from(values) };
    }"""
    other = type(model)().double().eval()
    with torch.no_grad():
        for name, parameter in other.named_parameters():
            found = page.evaluate(script, [name])
            assert tuple(found["shape"]) == tuple(parameter.shape)
            parameter.copy_(torch.tensor(found["values"], dtype=torch.float64).reshape(parameter.shape))
    return other


def noisy(n: int, seed: int) -> tuple[torch.Tensor, list[int]]:
    """Noised held-out digits at times from 1 to T."""
    generator = torch.Generator().manual_seed(seed)
    t = [1, 2, 3, 10, 25, 50, 75, 100, 125, 150, 175, 199, 200]
    t = (t * n)[:n]
    x0 = 2 * data.digits("test").images[40 : 40 + n].double() - 1
    eps = torch.randn(x0.shape, generator=generator, dtype=torch.float64)
    return diffusion.q_sample(x0, torch.tensor(t), eps, SCHEDULE), t


# ------------------------------------------------------------------ the network


def test_the_network_of_the_page_is_the_network_of_the_library(digit, model):
    """With the weights as shipped, to 1e-3 at each pixel; with the same rounded numbers, to 1e-9."""
    xt, t = noisy(39, seed=0)
    found = predicted(digit, xt, t)
    with torch.no_grad():
        torch.testing.assert_close(found, model(xt, torch.tensor(t)), rtol=0, atol=1e-3)
        torch.testing.assert_close(found, rounded(digit, model)(xt, torch.tensor(t)), rtol=0, atol=1e-9)


def test_the_digits_are_held_out_and_one_of_each_class(digit):
    held_out, labels = data.digits("test")
    shown = images(digit.evaluate(f"{DIGIT}.digits.map(image => Array.from(image))"))
    for number, image in enumerate(shown):
        first = 2 * held_out[labels == number][0].double() - 1
        torch.testing.assert_close(image, first, rtol=0, atol=1e-12)


# ------------------------------------------------------------------ the run


def chain(page, state: dict) -> dict:
    """All noisy digits and guesses of a run, and the noise that went into it."""
    return page.evaluate(
        f"""state => {{
            const run = {DIGIT}.run(state), draw = genmodelsLive.dif.normals(state.seed);
            run.to(run.times.length - 1);
            const plain = (arrays) => arrays.map((array) => Array.from(array));
            return {{
                times: run.times, xts: plain(run.xts), guesses: plain(run.guesses),
                noise: run.times.map(() => Array.from(draw(64))),
            }};
        }}""",
        state,
    )


@pytest.mark.parametrize(("way", "t0"), [("ddim", 200), ("ddim", 120), ("ddim", 10), ("ancestral", 40)])
def test_each_step_of_the_page_is_the_step_of_the_library(digit, model, way, t0):
    """From the page's own x_t, with the page's noise. The guess at x_0 is clipped to the pixels' range."""
    state = {"digit": 3, "t0": t0, "way": way, "seed": 4}
    run = chain(digit, state)
    xts, guesses, noise = (images(run[name]) for name in ("xts", "guesses", "noise"))
    assert run["times"] == list(range(t0, -1, -EVERY[way]))
    x0 = 2 * data.digits("test").images[data.digits("test").labels == 3][:1].double() - 1
    begun = diffusion.q_sample(x0, torch.tensor([t0]), noise[:1], SCHEDULE)
    torch.testing.assert_close(xts[:1], begun, rtol=0, atol=1e-9)

    now, before = (torch.tensor(times) for times in zip(*itertools.pairwise(run["times"]), strict=True))
    with torch.no_grad():
        eps_hat = model(xts[:-1], now)
    x0_hat = diffusion.predict_x0(xts[:-1], now, eps_hat, SCHEDULE).clamp(-1, 1)
    for k in range(len(now)):
        # The network's 1e-3 is multiplied by the ratio of noise to signal.
        gain = max(1, (1 / SCHEDULE.alpha_bar[now[k]] - 1).sqrt().item())
        torch.testing.assert_close(guesses[k], x0_hat[k], rtol=0, atol=1e-3 * gain)
        at, to = now[k : k + 1], before[k : k + 1]
        # The step itself from the page's guess, whatever it is: exact.
        eps_clipped = diffusion.eps_from_x0(xts[k : k + 1], at, guesses[k : k + 1], SCHEDULE)
        if way == "ddim":
            expected = diffusion.ddim_step(xts[k : k + 1], at, to, eps_clipped, noise[k + 1 : k + 2], SCHEDULE)
        else:
            expected = diffusion.ancestral_step(xts[k : k + 1], at, eps_clipped, noise[k + 1 : k + 2], SCHEDULE)
        torch.testing.assert_close(xts[k + 1 : k + 2], expected, rtol=0, atol=1e-9)
    torch.testing.assert_close(guesses[-1], xts[-1], rtol=0, atol=0)


def test_a_little_noise_leaves_the_digit_and_all_of_it_does_not(digit):
    """What the figure is for, on all ten digits: how far the end of the run is from where it began."""
    ends = digit.evaluate(
        f"""([times]) => times.map((t0) => {DIGIT}.digits.map((x0, digit) => {{
            const run = {DIGIT}.run({{ digit, t0, way: 'ddim', seed: 9 }});
            const last = run.times.length - 1;
            run.to(last);
            return Math.sqrt(run.xts[last].reduce((sum, x, i) => sum + (x - x0[i]) ** 2, 0) / 64);
        }}))""",
        [[20, 200]],
    )
    near, far = (np.array(distances) for distances in ends)
    assert near.mean() < 0.25
    assert far.mean() > 2 * near.mean()


# ------------------------------------------------------------------ what is shown


def levels(page, canvas: str) -> np.ndarray:
    """The red and the opacity of a canvas: (height, width, 2). Read from a copy, which a browser expects to be read."""
    script = """selector => {
        const drawn = document.querySelector(selector), copy = document.createElement('canvas');
        Object.assign(copy, { width: drawn.width, height: drawn.height });
        const context = copy.getContext('2d', { willReadFrequently: true });
        context.drawImage(drawn, 0, 0);
        return { shape: [copy.height, copy.width, 4],
                 data: Array.from(context.getImageData(0, 0, copy.width, copy.height).data) };
    }"""
    found = page.evaluate(script, f"{STAGE} {canvas}")
    return np.array(found["data"]).reshape(found["shape"])[:, :, [0, 3]]


def pixels(page, name: str) -> np.ndarray:
    """The grey levels of one of the three images: (8, 8)."""
    return levels(page, f"canvas[data-image={name}]")[:, :, 0]


def settled(page, shown: str):
    page.wait_for_function(
        "text => document.querySelector('[data-live=dif-digit] [data-out=shown]').textContent === text", arg=shown
    )
    return told(page, "dif-digit")


def shows_what_is_true(page, state: dict, shown: str):
    """The images and the numbers against a run of its own, at the step that is printed."""
    found = settled(page, shown)
    run = chain(page, state)
    k, time = int(shown.split(" of ")[0]), int(shown.split(" = ")[1])
    assert run["times"][k] == time
    x0 = images(page.evaluate(f"Array.from({DIGIT}.digits[{state['digit']}])"))
    for name, image in (("x0", x0), ("xt", images(run["xts"][k])), ("guess", images(run["guesses"][k]))):
        grey = ((image[0, 0] + 1) / 2 * 255).clamp(0, 255).numpy()
        np.testing.assert_allclose(pixels(page, name), grey, atol=0.51)
    assert float(found["signal"]) == pytest.approx(SCHEDULE.alpha_bar[time].item(), abs=0.00051)
    far = (images(run["guesses"][k]) - x0).square().mean().sqrt().item()
    assert float(found["far"]) == pytest.approx(far, abs=0.00051)
    return found


BEGIN = {"digit": 5, "t0": 120, "way": "ddim", "seed": 1}


def test_digit_sliders_move_by_keyboard_and_stop_at_their_ends(digit):
    assert shows_what_is_true(digit, BEGIN, "6 of 12, t = 60")
    time, noised = (digit.locator(f"{STAGE} input[name={name}]") for name in ("t", "t0"))
    time.press("Home")
    shows_what_is_true(digit, BEGIN, "12 of 12, t = 0")
    time.press("End")
    shows_what_is_true(digit, BEGIN, "0 of 12, t = 120")
    noised.press("ArrowRight")
    time.press("Home")
    shows_what_is_true(digit, {**BEGIN, "t0": 130}, "13 of 13, t = 0")
    noised.press("End")
    noised.press("ArrowRight")
    assert told(digit, "dif-digit")["t0"] == "200"
    noised.press("Home")
    found = shows_what_is_true(digit, {**BEGIN, "t0": 10}, "1 of 1, t = 0")
    assert float(found["far"]) < 0.2


def test_another_digit_and_the_other_sampler_can_be_chosen(digit):
    digit.locator(f"{STAGE} select").select_option("8")
    state = {**BEGIN, "digit": 8}
    shows_what_is_true(digit, state, "6 of 12, t = 60")
    digit.get_by_label("ancestral, every time").check()
    shows_what_is_true(digit, {**state, "way": "ancestral"}, "60 of 120, t = 60")
    before = pixels(digit, "xt")
    digit.get_by_role("button", name="New noise").click()
    told(digit, "dif-digit")
    settled(digit, "60 of 120, t = 60")
    assert np.abs(pixels(digit, "xt") - before).max() > 30


def test_the_strip_holds_the_run_and_is_dragged(digit):
    settled(digit, "6 of 12, t = 60")
    for _ in range(100):  # a few drawings until it is full
        told(digit, "dif-digit")
        strip = levels(digit, ".gm-i-strip canvas")
        if strip[16, 97, 1] == 255:
            break
    assert strip.shape == (17, 98, 2)
    assert (strip[8, :, 1] == 0).all()  # the gap
    run = chain(digit, BEGIN)
    for i in range(11):
        wanted = 120 * (10 - i) / 10
        k = int(np.argmin(np.abs(np.array(run["times"]) - wanted)))
        for row, name in enumerate(("xts", "guesses")):
            grey = ((np.array(run[name][k]).reshape(8, 8) + 1) / 2 * 255).clip(0, 255)
            np.testing.assert_allclose(strip[9 * row : 9 * row + 8, 9 * i : 9 * i + 8, 0], grey, atol=0.51)
    digit.locator(f"{STAGE} .gm-i-strip").scroll_into_view_if_needed()
    box = digit.locator(f"{STAGE} .gm-i-strip svg").bounding_box()
    cell = (box["width"] - 26) / (11 - 1 / 9)
    start = (box["x"] + 26 + 5.4 * cell, box["y"] + 20)
    drag(digit, start, (3 * cell, 0))
    assert told(digit, "dif-digit")["t"] == "24"
    shows_what_is_true(digit, BEGIN, "10 of 12, t = 20")
    drag(digit, start, (9 * cell, 0))
    assert told(digit, "dif-digit")["t"] == "0"


def test_digit_step_button_goes_from_time_to_time_and_begins_anew(digit):
    digit.locator(f"{STAGE} input[name=t0]").press("Home")
    settled(digit, "0 of 1, t = 10")  # 60 lies beyond
    button = digit.locator(f"{STAGE} [data-do=step]")
    button.focus()
    for shown in ("1 of 1, t = 0", "0 of 1, t = 10", "1 of 1, t = 0"):
        digit.keyboard.press("Enter")
        settled(digit, shown)


@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
def test_digit_play_runs_down_to_the_end_and_can_be_paused(reader, motion):
    window = reader(reduced_motion=motion)
    window.page.clock.install()
    page = on_stage(window, "dif-digit")
    page.clock.run_for(500)
    button = page.locator(f"{STAGE} [data-do=play]")
    shown = page.locator(f"{STAGE} [data-out=shown]")
    assert (button.text_content(), shown.text_content()) == ("Play", "6 of 12, t = 60")  # nothing moves by itself
    button.click()
    page.clock.run_for(1500)
    button.click()
    assert button.text_content() == "Play"
    page.clock.run_for(100)
    halted = shown.text_content()
    page.clock.run_for(1000)
    assert shown.text_content() == halted
    assert halted not in ("6 of 12, t = 60", "12 of 12, t = 0")
    button.click()
    seen = []
    for _ in range(60):
        page.clock.run_for(100)
        seen.append(int(shown.text_content().split(" of ")[0]))
        if button.text_content() == "Play":
            break
    page.clock.run_for(200)
    assert shown.text_content() == "12 of 12, t = 0"
    assert seen == sorted(seen)


def test_the_digit_is_played_by_touch_on_a_phone_and_fits_it(reader):
    window = reader(width=390, height=844, theme="dark")
    page = on_stage(window, "dif-digit")
    settled(page, "6 of 12, t = 60")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.locator(f"{STAGE} [data-do=step]").tap()
    settled(page, "7 of 12, t = 50")
    page.locator(f"{STAGE} .gm-i-strip").evaluate("s => window.scrollBy(0, s.getBoundingClientRect().top - 300)")
    told(page, "dif-digit")
    box = page.locator(f"{STAGE} .gm-i-strip svg").bounding_box()
    cell = (box["width"] - 26) / (11 - 1 / 9)
    touch(window, (box["x"] + 26 + 2.4 * cell, box["y"] + 20), (6 * cell, 0))
    settled(page, "10 of 12, t = 20")


def test_a_screen_reader_is_told_of_the_guess_at_rest(digit):
    digit.locator(f"{STAGE} input[name=t]").press("ArrowLeft")
    digit.wait_for_function(
        "document.querySelector('[data-live=dif-digit] [role=status]').textContent.includes('the guess differs')"
    )
