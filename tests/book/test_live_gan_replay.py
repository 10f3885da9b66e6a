"""The recorded runs and the walk between two codes: loaded late, played, held against the record and torch."""

import base64
import gzip
import itertools
import math

import numpy as np
import pytest
import torch
from scipy import stats

from genmodels import data, gan, metrics, nets, pretrained, train
from tests.book.test_live import centre, drag, opened, shown, tool, touch

COLLAPSE = "book/2-gan/collapse"
DCGAN = "book/2-gan/dcgan"
FIGURES = {COLLAPSE: "gan-replay", DCGAN: "gan-walk"}
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def put(page, name: str, value) -> None:
    """Move a slider, as the browser does when a reader moves it."""
    page.locator(f".gm-live-ui input[name={name}]").fill(str(value))


# ------------------------------------------------------------------ loaded when the reader comes near


@pytest.mark.parametrize("page", FIGURES)
def test_the_data_are_asked_for_once_and_only_when_the_reader_comes_near(reader, page):
    window, figure = reader(), FIGURES[page]
    asked = []
    window.page.on("request", lambda request: asked.append(request.url.split("?")[0].rpartition("/")[2]))
    page = window.open(page)
    page.evaluate("new Promise(done => setTimeout(done, 500))")
    assert f"{figure}.js" in asked
    assert f"{figure}-data.js" not in asked
    assert page.locator(".gm-still svg").is_visible()
    assert page.locator(".gm-live-ui").count() == 0
    page.locator("[data-live]").evaluate("stage => window.scrollTo(0, stage.offsetTop - innerHeight - 300)")
    page.wait_for_selector(".gm-live-plot svg[viewBox]")  # before it is seen
    page.locator("[data-live]").scroll_into_view_if_needed()
    assert not page.locator(".gm-still").is_visible()
    assert asked.count(f"{figure}-data.js") == 1


@pytest.mark.parametrize("page", FIGURES)
def test_the_still_stays_if_the_data_cannot_be_had(reader, page):
    window = reader()
    window.context.route("**/*-data.js", lambda route: route.abort())
    page = window.open(page)
    with page.expect_event("requestfailed"):
        page.locator("[data-live]").scroll_into_view_if_needed()
    assert page.locator(".gm-still svg").is_visible()
    assert window.wrong
    assert not [what for what in window.wrong if "script error" in what]
    window.wrong.clear()


@pytest.mark.parametrize(("name", "most"), [("gan-replay-data", 160_000), ("gan-walk-data", 156_000)])
def test_the_data_are_small_once_compressed(name, most):
    path = tool("live_weights").FOLDER / f"{name}.js"
    assert len(gzip.compress(path.read_bytes(), 9)) < most


# ------------------------------------------------------------------ the recorded runs


@pytest.fixture(scope="module")
def record():
    return tool("live_replay").read()


@pytest.fixture
def replay(reader):
    return opened(reader(), COLLAPSE)


def fields(record, run: int) -> np.ndarray:
    """The levels of D, frame by frame, decoded by adding along rows and columns."""
    steps = np.array([LETTERS.index(letter) for letter in record["runs"][run]["field"]])
    return steps.reshape(-1, record["cells"], record["cells"]).cumsum(axis=1).cumsum(axis=2) % 64


def samples(record, run: int) -> np.ndarray:
    steps = np.frombuffer(base64.b64decode(record["runs"][run]["samples"]), dtype=np.uint8)
    return steps.reshape(-1, record["points"], 2).astype(int).cumsum(axis=0) % 256


def test_the_record_and_its_still_are_up_to_date():
    """Whoever changes `fit_gan`, the networks or the toy must run tools/live_replay.py."""
    assert tool("live_replay").main(["--check"]) == 0


def test_a_stale_record_is_noticed(tmp_path, monkeypatch, capsys, record):
    live_replay = tool("live_replay")
    monkeypatch.setattr(live_replay, "SCRIPT", tmp_path / "record.js")
    monkeypatch.setattr(live_replay, "record", lambda last: fresh)
    fresh = {**record, "runs": [dict(run) for run in record["runs"]]}
    assert live_replay.main(["--check"]) == 1  # no file

    def changed(**entries) -> str:
        first, second = record["runs"]
        return live_replay.script({**record, "runs": [{**first, **entries}, second]})

    live_replay.SCRIPT.write_text(live_replay.script(record))
    assert live_replay.main(["--check"]) == 0
    first = record["runs"][0]
    letter = "B" if first["field"][0] != "B" else "Z"
    for entry, now in {
        "field": letter + first["field"][1:],
        "samples": "////" + first["samples"][4:],
        "covered": [255, *first["covered"][1:]],
        "loss_g": [first["loss_g"][0] + 0.01, *first["loss_g"][1:]],
        "beta_1": 0.6,
    }.items():
        live_replay.SCRIPT.write_text(changed(**{entry: now}))
        assert live_replay.main(["--check"]) == 1, entry
        assert "with beta_1" in capsys.readouterr().err


def test_the_record_is_the_run_of_the_library(record):
    """Twenty steps of `fit_gan`, seen from outside: what the networks then say is what the third frame holds."""
    x = data.toy2d("eight_gaussians", 8192, torch.Generator().manual_seed(0))
    z = torch.randn(2500, 8, generator=torch.Generator().manual_seed(9))
    middles = np.linspace(-2, 2, record["cells"], endpoint=False) + 2 / record["cells"]
    places = torch.tensor([[across, up] for up in middles[::-1] for across in middles], dtype=torch.float32)
    for run, beta_1 in enumerate((0.5, 0.9)):
        assert record["runs"][run]["beta_1"] == beta_1
        generator, discriminator = nets.mlp_generator(latent_dim=8), nets.mlp_discriminator(seed=100)
        settings = train.GANSettings(
            batch_size=256, learning_rate=4e-3, discriminator_learning_rate=4e-3, beta_1=beta_1
        )
        train.fit_gan(generator, discriminator, x, 8, settings, max_steps=20, progress=False)
        with torch.no_grad():
            real, fake = discriminator(x[:2500]).double(), discriminator(generator(z)).double()
            opinion = torch.sigmoid(discriminator(places)).reshape(record["cells"], -1).numpy()
            drawn = generator(z[: record["points"]]).clamp(-2, 2).numpy()
        assert np.abs(fields(record, run)[2] - 63 * opinion).max() < 1
        assert np.abs(samples(record, run)[2] / 255 * 4 - 2 - drawn).max() < 0.02
        expected = {
            "d_real": real.sigmoid().mean(),
            "d_fake": fake.sigmoid().mean(),
            "loss_d": -(real.sigmoid().log().mean() + (1 - fake.sigmoid()).log().mean()),
            "loss_g": -fake.sigmoid().log().mean(),
        }
        for name, value in expected.items():
            assert record["runs"][run][name][2] == pytest.approx(float(value), abs=0.0015), name


def test_modes_are_counted_as_the_library_counts_them(monkeypatch):
    live_replay = tool("live_replay")
    centres = live_replay.centres()
    cloud = centres[[0, 0, 3, 6]].repeat_interleave(torch.tensor([20, 10, 19, 25]), dim=0)
    seen = live_replay.frame(lambda z: cloud, lambda x: x[:, 0], cloud, torch.zeros(1, 8))["covered"]
    assert seen == (1 << 0) + (1 << 6)
    assert metrics.modes_covered(cloud, centres, 0.05, at_least=20).covered == 2


def test_what_the_chapter_says_of_the_runs(record):
    good, bad = record["runs"]
    for name in ("loss_d", "loss_g"):
        assert abs(good[name][0] - good[name][-1]) < 0.1  # nearly what they are at the end
    assert good["covered"][0] == 0
    assert good["covered"][-1] == 255
    visited = list(itertools.accumulate(bad["covered"], lambda one, other: one | other))
    assert visited[499 // record["every"]] == 255
    assert max(mask.bit_count() for mask in bad["covered"]) == 3
    assert len(good["covered"]) == len(bad["covered"]) == 1 + 1500 // 10  # a frame for every ten steps


def test_the_page_unpacks_every_frame_of_the_record(replay, record):
    for run in (0, 1):
        found = replay.evaluate(
            "run => { const { fields, samples } = genmodelsLive['gan-replay'].record.runs[run];"
            " return { fields: fields.map(f => [...f]), samples: samples.map(s => [...s]) }; }",
            run,
        )
        np.testing.assert_array_equal(np.array(found["fields"]), fields(record, run).reshape(151, -1))
        np.testing.assert_array_equal(np.array(found["samples"]), samples(record, run).reshape(151, -1))


def drawn(page) -> dict:
    """What the picture shows: the tints (32, 32, 4), places of samples, whether each mode is circled."""
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    found = page.evaluate(
        """() => {
            const canvas = document.querySelector(".gm-p-field canvas");
            const copy = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
            copy.drawImage(canvas, 0, 0);
            const size = document.querySelector(".gm-p-field svg").viewBox.baseVal.width;
            return {
                tints: [...copy.getImageData(0, 0, canvas.width, canvas.height).data],
                path: document.querySelector(".gm-live-ui .gm-p-samples").getAttribute("d"),
                modes: [...document.querySelectorAll(".gm-live-ui .gm-p-mode")].map(c => c.matches(".gm-p-covered")),
                note: document.querySelector(".gm-live-ui .gm-p-field text").textContent,
                size,
            };
        }"""
    )
    dots = [part.removesuffix("h0").split() for part in found["path"].split("M") if part]
    places = np.array(dots, dtype=float).reshape(-1, 2) / found["size"] * 4 - 2
    tints = np.array(found["tints"]).reshape(32, 32, 4)
    return {**found, "tints": tints, "places": places * (1, -1)}


def shows_the_frame(page, record, run: int, step: int, inks: dict[str, tuple[int, int, int]]):
    found, frame, numbers = drawn(page), step // record["every"], record["runs"][run]
    level = fields(record, run)[frame]
    np.testing.assert_allclose(found["tints"][..., 3], 255 * 0.6 * np.abs(2 * level / 63 - 1), atol=1)
    for says, where in (("real", level > 45), ("fake", level < 18)):  # where the tint is strong enough to be read
        if where.any():
            assert np.abs(found["tints"][where][:, :3] - inks[says]).max() <= 4, says
    places = samples(record, run)[frame]
    inside = ((places > 0) & (places < 255)).all(axis=1)
    np.testing.assert_allclose(found["places"], places[inside] / 255 * 4 - 2, atol=0.02)
    outside = int((~inside).sum())
    assert found["note"] == (f"{outside} of 128 samples lie outside" if outside else "")
    covered = [bool(numbers["covered"][frame] >> mode & 1) for mode in range(8)]
    assert found["modes"] == covered
    so_far = np.bitwise_or.reduce(numbers["covered"][: frame + 1])
    printed = shown(page)
    assert printed == {
        "step": step,
        **{name: pytest.approx(numbers[name][frame], abs=0.00051) for name in ("d_real", "d_fake", "loss_d", "loss_g")},
        "modes": sum(covered),
        "so_far": int(so_far).bit_count(),
    }


INKS = {
    "light": {"real": (0x00, 0x72, 0xB2), "fake": (0x00, 0x57, 0x3F)},
    "dark": {"real": (0x44, 0x94, 0xEC), "fake": (0x3C, 0xD8, 0xA4)},
}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_frames_are_drawn_as_they_were_recorded(reader, record, theme):
    page = opened(reader(theme=theme), COLLAPSE)
    shows_the_frame(page, record, 0, 1500, INKS[theme])  # the start
    for run, steps in ((0, (0, 120, 700)), (1, (700, 1500, 400, 240))):
        page.locator(".gm-live-choice input").nth(run).check()
        for step in steps:
            put(page, "step", step)
            shows_the_frame(page, record, run, step, INKS[theme])


def test_the_field_follows_the_theme(replay, record):
    put(replay, "step", 120)
    shows_the_frame(replay, record, 0, 120, INKS["light"])
    replay.evaluate("document.documentElement.dataset.theme = 'dark'")
    shows_the_frame(replay, record, 0, 120, INKS["dark"])


def test_modes_are_circled_where_the_data_are(replay):
    centres = replay.eval_on_selector_all(
        ".gm-live-ui .gm-p-mode", "all => all.map(c => ['cx', 'cy', 'r'].map(a => Number(c.getAttribute(a))))"
    )
    size = drawn(replay)["size"]
    expected = tool("live_replay").centres().numpy()
    np.testing.assert_allclose((np.array(centres)[:, :2] / size * 4 - 2) * (1, -1), expected, atol=0.01)
    np.testing.assert_allclose(np.array(centres)[:, 2] / size * 4, 3 * 0.05, atol=0.01)


def test_the_runs_are_moved_through_and_switched_by_keyboard(replay, record):
    slider = replay.locator(".gm-live-ui input[name=step]")
    for key, step in (("ArrowLeft", 1490), ("Home", 0), ("ArrowRight", 10), ("End", 1500)):
        slider.press(key)
        shows_the_frame(replay, record, 0, step, INKS["light"])
    slider.press("Home")
    replay.keyboard.press("Tab")
    assert replay.evaluate("document.activeElement.dataset.do") == "play"
    replay.keyboard.press("Tab")
    replay.keyboard.press("ArrowRight")  # from one choice to the other
    shows_the_frame(replay, record, 1, 0, INKS["light"])
    assert slider.get_attribute("aria-valuetext") == "0"


def curves(page) -> dict[str, float]:
    """Where the panels begin and end on the screen, and where the cursor is."""
    return page.evaluate(
        """() => {
            const x = (line, end) => Number(line.getAttribute(end));
            const strips = document.querySelector(".gm-live-ui .gm-p-strips svg"), box = strips.getBoundingClientRect();
            const axis = strips.querySelector(".gm-axis line");
            return { left: box.left + x(axis, "x1"), right: box.left + x(axis, "x2"), top: box.top,
                cursor: box.left + x(strips.querySelector(".gm-p-cursor"), "x1") };
        }"""
    )


def test_the_curves_are_dragged_and_drawn_as_recorded(replay, record):
    replay.locator(".gm-live-choice input").nth(1).check()
    box = curves(replay)
    at = lambda step: box["left"] + step / 1500 * (box["right"] - box["left"])  # noqa: E731
    drag(replay, (at(300), box["top"] + 60), (at(900) - at(300), 0))
    shows_the_frame(replay, record, 1, 900, INKS["light"])
    assert curves(replay)["cursor"] == pytest.approx(at(900), abs=0.2)
    drag(replay, (at(300), box["top"] + 60), (3000, 0))
    shows_the_frame(replay, record, 1, 1500, INKS["light"])
    paths = replay.eval_on_selector_all(".gm-p-strips path", "paths => paths.map(p => p.getAttribute('d'))")
    names = ("d_real", "d_fake", "loss_d", "loss_g")
    assert len(paths) == 6
    for path, name, top, most in zip(paths, names, (18, 18, 122, 122), (1, 1, 4, 4), strict=False):
        heights = np.array([point.split()[1] for point in path.removeprefix("M").split("L")], dtype=float)
        np.testing.assert_allclose(
            top + 78 * (1 - np.array(record["runs"][1][name]).clip(0, most) / most), heights, atol=0.06
        )
    counts = np.array([point.split()[1] for point in paths[4].removeprefix("M").split("L")[:151]], dtype=float)
    expected = [mask.bit_count() for mask in record["runs"][1]["covered"]]
    np.testing.assert_allclose((226 + 78 - counts) / 78 * 8, expected, atol=0.01)


def test_a_finger_drags_the_curves_sideways_and_scrolls_the_page_elsewhere(reader):
    window = reader(width=390, height=844)
    page = opened(window, COLLAPSE)
    page.locator(".gm-p-strips").evaluate("strips => window.scrollBy(0, strips.getBoundingClientRect().top - 200)")
    box = curves(page)
    at = lambda step: box["left"] + step / 1500 * (box["right"] - box["left"])  # noqa: E731
    touch(window, (at(300), box["top"] + 80), (at(750) - at(300), 0))
    assert shown(page)["step"] == pytest.approx(750, abs=10)
    scrolled = page.evaluate("scrollY")
    field, strips = (page.locator(f".gm-p-{part}").bounding_box() for part in ("field", "strips"))
    assert strips["y"] >= field["y"] + field["height"]
    touch(window, (field["x"] + 100, field["y"] + field["height"] - 20), (0, -150))
    page.wait_for_function("before => scrollY > before + 50", arg=scrolled)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
def test_nothing_plays_until_it_is_asked_to_and_then_from_the_first_frame_to_the_last(reader, record, motion):
    window = reader(reduced_motion=motion)
    window.page.clock.install(time=0)
    page = opened(window, COLLAPSE)
    page.clock.pause_at(60_000)  # nothing has moved within a minute; from here on only as the test says
    assert shown_now(page) == 1500
    button = page.locator("[data-do=play]")
    button.click()
    assert button.text_content() == "Pause"
    steps = []
    for _ in range(60):
        page.clock.run_for(300)
        steps.append(shown_now(page))
        if button.text_content() == "Play":
            break
    page.clock.run_for(100)  # the last frame is drawn
    steps.append(shown_now(page))
    assert steps[0] < 200
    assert steps == sorted(steps)
    assert all(step % 10 == 0 for step in steps)
    assert steps[-1] == 1500
    # A smooth replay is somewhere new at each look; without motion it stands still between its jumps.
    assert 12 <= len(set(steps)) <= 17 if motion == "reduce" else len(set(steps)) > 35
    page.clock.resume()
    shows_the_frame(page, record, 0, 1500, INKS["light"])


def shown_now(page) -> int:
    """The step printed at this moment of a stopped clock."""
    return int(page.locator(".gm-live-ui [data-out=step]").text_content())


def test_the_replay_pauses_at_the_button_and_when_the_reader_takes_over_and_goes_on_from_there(reader):
    window = reader(reduced_motion="no-preference")
    window.page.clock.install(time=0)
    page = opened(window, COLLAPSE)
    button = page.locator("[data-do=play]")
    before = 0
    for take_over in (button.click, lambda: page.locator("input[name=step]").press("ArrowRight")):
        button.click()
        page.clock.run_for(2000)
        take_over()
        page.clock.run_for(100)
        assert button.text_content() == "Play"
        halted = shown_now(page)
        assert before < halted < 1500
        page.clock.run_for(1000)
        assert shown_now(page) == halted
        before = halted
    button.click()
    page.locator(".gm-live-choice input").nth(1).check()  # goes on in the other run
    page.clock.run_for(1000)
    assert button.text_content() == "Pause"
    assert shown_now(page) > halted


def test_a_screen_reader_is_told_how_many_modes_are_covered(replay):
    put(replay, "step", 1400)
    replay.wait_for_function(
        "document.querySelector('.gm-live-ui [role=status]').textContent.includes('8 of 8 modes covered')"
    )


# ------------------------------------------------------------------ the walk between two codes


@pytest.fixture
def walk(reader):
    return opened(reader(), DCGAN)


@pytest.fixture(scope="module")
def generator():
    return pretrained.load("dcgan_digits").double()


def generated(generator, z) -> np.ndarray:
    with torch.no_grad():
        return generator(torch.as_tensor(z, dtype=torch.float64)).flatten(1).numpy()


def normal(n: int, seed: int) -> torch.Tensor:
    return torch.randn(n, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_the_page_generates_as_the_library_does(walk, generator):
    """At codes of the prior, at the origin, and at codes far longer than the prior's."""
    z = torch.cat([normal(300, 1), torch.zeros(1, 16, dtype=torch.float64), 3 * normal(50, 2)])
    found = walk.evaluate("zs => zs.map(z => [...genmodelsLive['gan-walk'].generate(z)])", z.tolist())
    assert np.array(found).shape == (351, 64)
    assert np.abs(np.array(found) - generated(generator, z)).max() < 1e-3


def test_both_ways_are_those_of_the_library(walk):
    ends = list(zip(normal(20, 3), normal(20, 4), strict=True))
    ends += [(ends[0][0], 2 * ends[0][0]), (ends[0][0], -ends[0][0])]  # no great circle is singled out
    for way, kind in (("line", "linear"), ("sphere", "spherical")):
        found = walk.evaluate(
            "([way, ends]) => ends.map(([one, other]) => Array.from({ length: 11 },"
            " (_, k) => genmodelsLive['gan-walk'].along[way](k / 10, one, other)))",
            [way, [[one.tolist(), other.tolist()] for one, other in ends]],
        )
        expected = torch.stack([gan.interpolate(one, other, 11, kind) for one, other in ends])
        np.testing.assert_allclose(found, expected.numpy(), atol=1e-9)


def test_lengths_of_codes_are_those_of_the_prior(walk):
    radii = [0.0, 0.5, 2.25, 4.0, 5.5, 9.0]
    found = walk.evaluate("radii => radii.map(genmodelsLive['gan-walk'].shorter)", radii)
    np.testing.assert_allclose(found, stats.chi(16).cdf(radii), atol=1e-9)
    middle = walk.evaluate("genmodelsLive['gan-walk'].MIDDLE")
    np.testing.assert_allclose(stats.chi(16).cdf(middle), [0.1, 0.9], atol=1e-3)


def test_new_codes_are_drawn_from_the_prior(walk):
    """With numbers from a generator of the test's own in place of the browser's."""
    found = walk.evaluate(
        """() => {
            let state = 12345;
            Math.random = () => (state = (state * 48271) % 2147483647) / 2147483647;
            return Array.from({ length: 2000 }, () => genmodelsLive['gan-walk'].draw16());
        }"""
    )
    codes = np.array(found)
    assert codes.shape == (2000, 16)
    assert stats.kstest(codes.ravel(), stats.norm.cdf).pvalue > 0.001
    assert stats.kstest(np.linalg.norm(codes, axis=1), stats.chi(16).cdf).pvalue > 0.001
    assert np.abs(np.corrcoef(codes.T) - np.eye(16)).max() < 0.1


def images(page) -> dict[str, np.ndarray]:
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    found = page.eval_on_selector_all(
        ".gm-w-images canvas",
        """all => all.map(canvas => {
            const copy = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
            copy.drawImage(canvas, 0, 0);
            return [canvas.dataset.image, [...copy.getImageData(0, 0, 8, 8).data]];
        })""",
    )
    return {name: np.array(pixels).reshape(64, 4) for name, pixels in found}


def shows_what_is_true(page, generator, one, other) -> dict[str, float]:
    printed = shown(page)
    s = printed["s"]
    on = {kind: gan.interpolate(one, other, 101, kind)[round(100 * s)] for kind in ("linear", "spherical")}
    codes = {"one": one, "other": other, "line": on["linear"], "sphere": on["spherical"]}
    for name, pixels in images(page).items():
        expected = 255 * (generated(generator, codes[name][None])[0] + 1) / 2
        np.testing.assert_allclose(pixels[:, 0], expected, atol=1)
        assert (pixels[:, :3] == pixels[:, :1]).all()
        assert (pixels[:, 3] == 255).all()
    assert printed["onLine"] == pytest.approx(on["linear"].norm().item(), abs=0.001)
    assert printed["onSphere"] == pytest.approx(on["spherical"].norm().item(), abs=0.001)
    assert printed["shorter"] == pytest.approx(100 * stats.chi(16).cdf(on["linear"].norm().item()), abs=0.06)
    return printed


def start_codes() -> tuple[torch.Tensor, torch.Tensor]:
    """Two of the hundred codes of the chapter."""
    z = torch.randn(100, 16, generator=torch.Generator().manual_seed(0)).double()
    return z[44], z[53]


def test_images_and_numbers_follow_the_slider_and_the_handle_by_keyboard(walk, generator):
    ends = start_codes()
    assert shows_what_is_true(walk, generator, *ends)["s"] == 0.5
    slider, grip = walk.locator(".gm-live-ui input[name=s]"), walk.locator("[data-handle=s]")
    for part, key, s in (
        (slider, "ArrowLeft", 0.49),
        (slider, "Home", 0),
        (grip, "ArrowRight", 0.05),
        (grip, "PageUp", 0.55),
        (grip, "End", 1),
    ):
        part.press(key)
        assert shows_what_is_true(walk, generator, *ends)["s"] == s
    assert grip.get_attribute("aria-valuenow") == "1"
    at_end = images(walk)
    assert (at_end["line"] == at_end["other"]).all()


def test_the_hole_shows_halfway_between_the_first_two_codes(walk):
    """As the chapter says: halfway along the line the strokes, a quarter of the pixels, go faint."""
    ink = {name: np.sort(pixels[:, 0])[-16:].mean() for name, pixels in images(walk).items()}
    assert ink["line"] < 0.75 * min(ink["sphere"], ink["one"], ink["other"])


@pytest.mark.parametrize("end", ["one", "other"])
def test_a_new_code_replaces_one_end_and_keeps_the_other(walk, generator, end):
    one, other = start_codes()
    walk.evaluate("() => { Math.random = () => 0.5; }")
    walk.locator(f"[data-do={end}]").click()
    drawn = torch.tensor([-math.sqrt(2 * math.log(2)), 0.0] * 8, dtype=torch.float64)  # half a turn of one radius
    ends = {"one": (drawn, other), "other": (one, drawn)}[end]
    assert shows_what_is_true(walk, generator, *ends)["s"] == 0.5


def points(page) -> np.ndarray:
    """Both ends, the point on the line and the one on the sphere, in units of length around the origin."""
    found = page.evaluate(
        """() => {
            const at = (node) => ["cx", "cy"].map(a => Number(node.getAttribute(a)));
            const plot = document.querySelector(".gm-live-ui .gm-live-plot svg");
            const grip = plot.querySelector("[data-handle=s]").transform.baseVal[0].matrix;
            const [axis, ...ticks] = plot.querySelectorAll(".gm-axis line");
            return { ends: [...plot.querySelectorAll(".gm-w-end")].map(at), line: at(plot.querySelector(".gm-w-dot")),
                sphere: [grip.e, grip.f], ground: Number(axis.getAttribute("y1")),
                ticks: ticks.map(tick => Number(tick.getAttribute("x1"))) };
        }"""
    )
    unit = (found["ticks"][-1] - found["ticks"][0]) / 12
    middle = (found["ticks"][-1] + found["ticks"][0]) / 2
    places = np.array([*found["ends"], found["line"], found["sphere"]])
    return (places - (middle, found["ground"])) * (1, -1) / unit


def test_lengths_and_angles_in_the_plane_are_those_of_the_codes(walk):
    """Distances and angles between the codes, in sixteen dimensions, are those between the points on the screen."""
    one, other = start_codes()
    put(walk, "s", 0.3)
    walk.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    found = points(walk)
    codes = [one, other, *(gan.interpolate(one, other, 11, kind)[3] for kind in ("linear", "spherical"))]
    expected = torch.stack(codes).numpy()
    np.testing.assert_allclose(found @ found.T, expected @ expected.T, atol=0.1)


def test_the_handle_is_dragged_by_mouse_and_stops_at_the_ends(walk, generator):
    before = points(walk)
    grip = centre(walk, "s")
    width = walk.locator(".gm-live-plot svg").bounding_box()["width"]
    across = (before[1] - before[0])[0] * width / 12.4  # from end to end, in pixels
    drag(walk, grip, (0.25 * across, 5))
    assert shows_what_is_true(walk, generator, *start_codes())["s"] == pytest.approx(0.75, abs=0.02)
    assert walk.evaluate("document.activeElement.dataset.handle") == "s"
    drag(walk, centre(walk, "s"), (-2000, 0))
    assert shown(walk)["s"] == 0


def test_the_handle_is_dragged_by_touch_on_a_phone(reader):
    window = reader(width=390, height=844)
    page = opened(window, DCGAN)
    page.locator(".gm-live-plot").evaluate("plot => window.scrollBy(0, plot.getBoundingClientRect().top - 150)")
    touch(window, centre(page, "s"), (-60, 0))
    assert 0 < shown(page)["s"] < 0.4
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    plot, below = (page.locator(part).bounding_box() for part in (".gm-live-plot", ".gm-w-images"))
    assert below["y"] >= plot["y"] + plot["height"]


@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
def test_the_walk_leads_from_the_first_code_to_the_second(reader, motion):
    window = reader(reduced_motion=motion)
    window.page.clock.install(time=0)
    page = opened(window, DCGAN)
    page.clock.pause_at(60_000)
    place = lambda: float(page.locator(".gm-live-ui [data-out=s]").text_content())  # noqa: E731
    assert place() == 0.5  # nothing moves unasked
    button = page.locator("[data-do=walk]")
    button.click()
    assert button.text_content() == "Stop"
    places = []
    for _ in range(40):
        page.clock.run_for(250)
        places.append(place())
        if button.text_content() == "Walk":
            break
    page.clock.run_for(100)
    places.append(place())
    assert places[0] < 0.2
    assert places == sorted(places)
    assert places[-1] == 1
    assert 6 <= len(set(places)) <= 13 if motion == "reduce" else len(set(places)) > 18
    button.click()
    page.clock.run_for(1000)
    button.click()
    page.clock.run_for(100)
    halted = place()
    page.clock.run_for(1000)
    assert place() == halted < 0.5


def test_a_screen_reader_is_told_both_lengths(walk):
    walk.locator("[data-handle=s]").press("ArrowLeft")
    walk.wait_for_function("document.querySelector('.gm-live-ui [role=status]').textContent.includes('on the sphere')")
