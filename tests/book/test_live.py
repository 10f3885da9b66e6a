"""The live figures of the gradient and of the plane of codes, played in a browser and held against `genmodels`."""

import importlib.util
import math
import sys

import numpy as np
import pytest
import torch
from docutils import nodes
from scipy import stats

from genmodels import data, pretrained
from genmodels.gaussian import log_normal
from genmodels.vae import reparameterize
from tests.book.test_derivation import LIVE, live_book
from tests.book.test_ledger import ROOT, build
from tests.plugins.ledger import book_ledger

GRADIENTS = "book/1-vae/gradients"
DIGITS = "book/1-vae/digits"
PAGES = [
    page.relative_to(ROOT).with_suffix("").as_posix()
    for page in book_ledger(ROOT).pages(ROOT)
    if "{live}" in page.read_text(encoding="utf-8")
]


def tool(name: str):
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def opened(window, page: str):
    page = window.open(page)
    for stage in page.locator("[data-live]").all():
        stage.scroll_into_view_if_needed()
        stage.locator(".gm-live-plot svg[viewBox]").first.wait_for()
    return page


def shown(page) -> dict[str, float]:
    """The printed numbers, once the drawing has caught up with what was done."""
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    texts = page.eval_on_selector_all(
        ".gm-live-ui output", "outputs => outputs.map(o => [o.dataset.out, o.textContent])"
    )
    return {name: float(text.replace("−", "-").removesuffix(" %")) for name, text in texts}


def centre(page, handle: str) -> tuple[float, float]:
    box = page.locator(f"[data-handle={handle}] .gm-handle-dot").bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def drag(page, start, by):
    (x, y), (dx, dy) = start, by
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + dx / 2, y + dy / 2, steps=3)
    page.mouse.move(x + dx, y + dy, steps=3)
    page.mouse.up()


def touch(window, start, by):
    """One finger from `start`, moved in steps, lifted."""
    session = window.context.new_cdp_session(window.page)
    at = lambda part: [{"x": start[0] + part * by[0], "y": start[1] + part * by[1]}]  # noqa: E731
    session.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": at(0)})
    for part in (0.25, 0.5, 0.75, 1) if any(by) else ():
        session.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": at(part)})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


# ------------------------------------------------------------------ the gradient


def estimates(mu: float, sigma: float, eps: list[float]) -> dict[str, np.ndarray]:
    """Both estimators of d/dmu E[z²], one for each eps, by automatic differentiation."""
    noise = torch.tensor(eps, dtype=torch.float64)[:, None]
    mean = torch.full_like(noise, mu, requires_grad=True)
    logvar = torch.full_like(noise, 2 * math.log(sigma))
    z = reparameterize(mean, logvar, noise)
    (pathwise,) = torch.autograd.grad(z.square().sum(), mean, retain_graph=True)
    fixed = z.detach()
    (score,) = torch.autograd.grad((fixed.square()[:, 0] * log_normal(fixed, mean, logvar)).sum(), mean)
    return {"pathwise": pathwise[:, 0].numpy(), "score": score[:, 0].numpy()}


def expected(mu: float, sigma: float, noise: list[float]) -> dict[str, float]:
    """What the figure prints, the variances by Gauss-Hermite quadrature: exact for a polynomial of the noise."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(8)
    weights = weights / weights.sum()
    found = {name: each.mean() for name, each in estimates(mu, sigma, noise).items()}
    for name, each in estimates(mu, sigma, nodes.tolist()).items():
        found["gradient"] = weights @ each  # either gives it
        found[f"{name}Variance"] = weights @ (each - weights @ each) ** 2
    return {**found, "ratio": found["scoreVariance"] / found["pathwiseVariance"]}


@pytest.fixture
def gradient(reader):
    return opened(reader(), GRADIENTS)


def test_the_noise_of_the_figure_is_that_of_its_still(gradient):
    noise = gradient.evaluate("genmodelsLive['reparameterization'].NOISE")
    assert noise == tool("stills").noise()
    assert len(noise) == 24


@pytest.mark.equation("gradient-variances", "pathwise-gradient", "score-function-gradient")
def test_both_estimators_of_the_figure_agree_with_automatic_differentiation(gradient):
    """Both estimators and their variances, on a grid of mean and standard deviation."""
    grid = [{"mu": mu, "sigma": sigma} for mu in (-2, -0.3, 0, 1, 2) for sigma in (0.1, 0.5, 1, 2)]
    noise = tool("stills").noise()
    found = gradient.evaluate("points => points.map(genmodelsLive['reparameterization'].terms)", grid)
    for point, terms in zip(grid, found, strict=True):
        for name, value in expected(**point, noise=noise).items():
            assert terms[name] == pytest.approx(value, rel=1e-6, abs=1e-6), (name, point)
    each = gradient.evaluate(
        "eps => eps.map(e => [genmodelsLive['reparameterization'].pathwise(0.7, 0.3, e),"
        " genmodelsLive['reparameterization'].score(0.7, 0.3, e)])",
        noise,
    )
    ours = estimates(0.7, 0.3, noise)
    np.testing.assert_allclose(np.array(each), np.stack([ours["pathwise"], ours["score"]], axis=1), atol=1e-9)


def prints_what_is_true(page):
    found = shown(page)
    truth = expected(found["mu"], found["sigma"], tool("stills").noise())
    for name, value in truth.items():
        assert found[name] == pytest.approx(value, abs=0.00051), name
    return found


def test_gradient_sliders_move_the_numbers_by_keyboard(gradient):
    assert prints_what_is_true(gradient)["ratio"] == 7.5  # as the text says, at the start
    for name, key in (("mu", "ArrowLeft"), ("sigma", "ArrowLeft"), ("sigma", "End"), ("sigma", "Home")):
        before = shown(gradient)
        gradient.locator(f".gm-live-ui input[name={name}]").press(key)
        after = prints_what_is_true(gradient)
        assert after[name] != before[name]
    assert after["sigma"] == 0.1


def test_every_step_of_the_logarithmic_slider_can_be_left_in_both_directions(gradient):
    """A value is rounded to be printed exactly; the slider must not fall back to where it came from."""
    stuck = gradient.evaluate(
        """() => {
            const { slide } = genmodelsLive.common, { sigma } = genmodelsLive['reparameterization'].RANGES;
            const places = Array.from({ length: sigma.log + 1 }, (_, place) => place);
            return places.filter(place => slide.to(slide.from(place, sigma), sigma) !== place);
        }"""
    )
    assert stuck == []


def test_gradient_handles_move_by_keyboard_and_stop_at_their_limits(gradient):
    mean, spread = (gradient.locator(f"[data-handle={name}]") for name in ("mu", "sigma"))
    before = shown(gradient)
    mean.press("ArrowRight")
    assert shown(gradient)["mu"] == pytest.approx(before["mu"] + 0.05)
    mean.press("End")
    mean.press("PageUp")
    assert shown(gradient)["mu"] == 2
    spread.press("ArrowDown")
    assert shown(gradient)["sigma"] == pytest.approx(1 / 1.05, abs=0.001)
    spread.press("Home")
    spread.press("ArrowLeft")
    assert shown(gradient)["sigma"] == 0.1
    assert spread.get_attribute("aria-valuenow") == "0.1"


@pytest.mark.parametrize("name", ["mu", "sigma"])
def test_gradient_handles_are_dragged_and_the_samples_follow(gradient, name):
    before = shown(gradient)
    samples = "[...document.querySelectorAll('.gm-live-ui .gm-r-sample')].map(c => Number(c.getAttribute('cx')))"
    was = gradient.evaluate(samples)
    assert len(was) == 48  # on the axis and on the parabola
    width = gradient.locator(".gm-live-plot svg").bounding_box()["width"]
    drag(gradient, centre(gradient, name), (-30, 5))
    after = shown(gradient)
    moved = 30 * 12.8 / (width - 16)
    assert after[name] == pytest.approx(before[name] - moved, abs=0.02)
    assert after[{"mu": "sigma", "sigma": "mu"}[name]] == 1
    shifts = np.array(gradient.evaluate(samples)) - was
    noise = np.array(tool("stills").noise() * 2)
    np.testing.assert_allclose(shifts, -30 if name == "mu" else -30 * noise, atol=0.2)
    assert gradient.evaluate("document.activeElement.dataset.handle") == name


def test_narrow_handles_can_be_told_apart(gradient):
    """With sigma at 0.1 the two stand five pixels apart; each can still be taken."""
    gradient.locator("[data-handle=sigma]").press("Home")
    drag(gradient, centre(gradient, "sigma"), (40, 0))
    after = shown(gradient)
    assert after["mu"] == 1
    assert after["sigma"] > 0.5


def test_the_gradient_is_dragged_by_touch_on_a_phone(reader):
    window = reader(width=390, height=844)
    page = opened(window, GRADIENTS)
    touch(window, centre(page, "mu"), (-40, 0))
    assert shown(page)["mu"] < 0
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_screen_reader_is_told_the_variances_at_rest(gradient):
    gradient.locator("[data-handle=mu]").press("ArrowLeft")
    gradient.wait_for_function("document.querySelector('.gm-live-ui [role=status]').textContent.includes('pathwise')")


# ------------------------------------------------------------------ the plane of codes


def test_the_weights_in_the_page_are_those_that_the_library_ships():
    """Whoever trains the network anew must run tools/live_weights.py."""
    live_weights = tool("live_weights")
    assert live_weights.main(["--check"]) == 0
    assert (live_weights.FOLDER / "manifold-weights.js").stat().st_size < 30_000


def test_a_stale_script_of_weights_is_noticed(tmp_path, monkeypatch, capsys):
    live_weights = tool("live_weights")
    monkeypatch.setattr(live_weights, "FOLDER", tmp_path)
    assert live_weights.main(["--check"]) == 1
    assert live_weights.main([]) == 0
    assert live_weights.main(["--check"]) == 0
    weights = tmp_path / "manifold-weights.js"
    weights.write_text(weights.read_text().replace('"classes": "', '"classes": "0'))
    assert live_weights.main(["--check"]) == 1
    assert "tools/live_weights.py" in capsys.readouterr().err


@pytest.fixture(scope="module")
def model():
    return pretrained.load("vae_digits_2d").double()


def decoded(model, z) -> np.ndarray:
    with torch.no_grad():
        return model.mean(model.decode(torch.tensor(z, dtype=torch.float64))).flatten(1).numpy()


@pytest.fixture
def plane(reader):
    return opened(reader(), DIGITS)


def test_the_page_decodes_as_the_library_does(plane, model):
    grid = [[z1, z2] for z1 in np.linspace(-3.2, 3.2, 17) for z2 in np.linspace(-3.2, 3.2, 17)]
    found = plane.evaluate(
        "zs => zs.map(([z1, z2]) => genmodelsLive.manifold.decode({ z1, z2 }).map(genmodelsLive.manifold.sigmoid))",
        grid,
    )
    np.testing.assert_allclose(found, decoded(model, grid), atol=1e-3)


def test_numerals_stand_at_the_means_of_the_encoder(plane, model):
    images, labels = data.digits("test")
    with torch.no_grad():
        codes, _ = model.encode(data.binarize(images).double())
    found = plane.evaluate("genmodelsLive.manifold.codes.map(c => [c.z1, c.z2, c.digit])")
    np.testing.assert_allclose(np.array(found)[:, :2], codes.numpy(), atol=1e-3)
    assert [digit for *_, digit in found] == labels.tolist()
    drawn = plane.eval_on_selector_all(".gm-live-ui .gm-m-digits", "texts => texts.map(t => t.textContent).join('')")
    inside = codes.abs().amax(dim=1) < 3.2
    assert sorted(drawn) == sorted("".join(str(label) for label in labels[inside].tolist()))
    note = plane.locator(".gm-live-ui .gm-m-name:not(.gm-t-prior)").last.text_content()
    assert note == f"{int((~inside).sum())} of {len(labels)} lie outside"


def shows_what_is_true(page, model):
    found = shown(page)
    z = [[found["z1"], found["z2"]]]
    at = torch.tensor(z, dtype=torch.float64)
    assert found["logPrior"] == pytest.approx(log_normal(at, 0 * at, 0 * at).item(), abs=0.02)  # z is printed to 0.01
    assert found["further"] == pytest.approx(100 * stats.chi2(2).sf(float(at.square().sum())), abs=0.5)
    image = page.evaluate(
        """() => {
            const copy = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
            copy.drawImage(document.querySelector(".gm-live-image canvas"), 0, 0);
            return [...copy.getImageData(0, 0, 8, 8).data];
        }"""
    )
    pixels = np.array(image).reshape(64, 4)
    np.testing.assert_allclose(pixels[:, 0], 255 * decoded(model, z)[0], atol=4)
    assert (pixels[:, :3] == pixels[:, :1]).all()
    assert (pixels[:, 3] == 255).all()
    return found


def test_the_image_follows_the_sliders(plane, model):
    shows_what_is_true(plane, model)
    for name, key, value in (("z1", "Home", -3.2), ("z2", "ArrowLeft", 1.69), ("z2", "End", 3.2), ("z1", "End", 3.2)):
        plane.locator(f".gm-live-ui input[name={name}]").press(key)
        assert shows_what_is_true(plane, model)[name] == value


def test_the_point_moves_by_keyboard_in_both_directions_and_stays_in_the_plane(plane, model):
    point = plane.locator("[data-handle=z]")
    for key, name, step in (
        ("ArrowRight", "z1", 0.05),
        ("ArrowLeft", "z1", -0.05),
        ("ArrowUp", "z2", 0.05),
        ("PageDown", "z2", -0.5),
    ):
        before = shown(plane)
        point.press(key)
        after = shows_what_is_true(plane, model)
        assert after[name] == pytest.approx(before[name] + step)
        other = {"z1": "z2", "z2": "z1"}[name]
        assert after[other] == before[other]
    for _ in range(12):
        point.press("PageDown")
    assert shown(plane)["z2"] == -3.2
    assert "z2 −3.20" in point.get_attribute("aria-valuetext")


def test_the_point_is_dragged_and_put_where_the_mouse_is_pressed(plane, model):
    unit = (plane.locator(".gm-live-ui .gm-m-frame").bounding_box()["width"]) / 6.4
    before = shown(plane)
    x, y = centre(plane, "z")
    drag(plane, (x + 5, y - 4), (2 * unit, unit))  # taken beside its middle: it does not jump
    after = shows_what_is_true(plane, model)
    assert after["z1"] == pytest.approx(before["z1"] + 2, abs=0.03)
    assert after["z2"] == pytest.approx(before["z2"] - 1, abs=0.03)
    plane.mouse.click(x - unit, y + 2 * unit)
    pressed = shows_what_is_true(plane, model)
    assert pressed["z1"] == pytest.approx(before["z1"] - 1, abs=0.03)
    assert pressed["z2"] == pytest.approx(before["z2"] - 2, abs=0.03)
    plane.mouse.move(x, y)  # let go: it stays
    assert shown(plane) == pressed
    drag(plane, centre(plane, "z"), (3000, 0))
    assert shown(plane)["z1"] == 3.2


def test_a_finger_moves_the_point_and_elsewhere_scrolls_the_page_or_taps(reader):
    window = reader(width=390, height=700)
    page = opened(window, DIGITS)
    page.locator(".gm-live-plot").evaluate("plot => window.scrollBy(0, plot.getBoundingClientRect().top - 120)")
    unit = page.locator(".gm-live-ui .gm-m-frame").bounding_box()["width"] / 6.4
    before, scrolled = shown(page), page.evaluate("scrollY")
    touch(window, centre(page, "z"), (-unit, 1.5 * unit))
    after = shown(page)
    assert after["z1"] == pytest.approx(before["z1"] - 1, abs=0.05)
    assert after["z2"] == pytest.approx(before["z2"] - 1.5, abs=0.05)
    assert page.evaluate("scrollY") == scrolled
    x, y = centre(page, "z")
    touch(window, (x + unit, y + unit), (0, 0))
    tapped = shown(page)
    assert tapped["z1"] == pytest.approx(after["z1"] + 1, abs=0.05)
    assert tapped["z2"] == pytest.approx(after["z2"] - 1, abs=0.05)
    x, y = centre(page, "z")
    touch(window, (x - 2 * unit, y + unit), (0, -150))
    page.wait_for_function("before => scrollY > before + 50", arg=scrolled)
    assert shown(page) == tapped


def walk_ends(page, first: int, last: int) -> list[np.ndarray]:
    """The most central codes of two classes, found here by another road: over all distances at once."""
    codes = np.array(page.evaluate("genmodelsLive.manifold.codes.map(c => [c.z1, c.z2, c.digit])"))
    ends = []
    for digit in (first, last):
        own = codes[codes[:, 2] == digit, :2]
        ends.append(own[np.linalg.norm(own[:, None] - own, axis=2).sum(axis=0).argmin()])
    return ends


@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
def test_the_walk_leads_from_one_class_to_the_other_along_a_line(reader, model, motion):
    window = reader(reduced_motion=motion)
    window.page.clock.install()
    page = opened(window, DIGITS)
    page.locator("select[name=from]").select_option("6")
    page.locator("select[name=to]").select_option("7")
    first, last = walk_ends(page, 6, 7)
    page.locator("[data-do=walk]").click()
    assert page.locator("[data-do=walk]").text_content() == "Stop"
    places = []
    for _ in range(40):
        page.clock.run_for(250)
        places.append(page.evaluate("['z1', 'z2'].map(z => Number(document.querySelector(`input[name=${z}]`).value))"))
        if page.locator("[data-do=walk]").text_content() == "Walk":
            break
    page.clock.run_for(100)
    found = shows_what_is_true(page, model)
    assert [found["z1"], found["z2"]] == pytest.approx(last, abs=0.006)
    parts = (np.array(places) - first) @ (last - first) / np.sum((last - first) ** 2)
    away = np.array(places) - first - parts[:, None] * (last - first)
    assert np.abs(away).max() < 0.02  # on the line
    assert (np.diff(parts) >= -0.01).all()
    distinct = len(np.unique(parts.round(2)))
    # A smooth walk is somewhere new at each look; without motion it stands still between twelve jumps.
    assert 6 <= distinct <= 13 if motion == "reduce" else distinct > 18


def test_the_walk_stops_at_the_button_and_when_the_reader_takes_over(reader):
    window = reader(reduced_motion="no-preference")
    window.page.clock.install()
    page = opened(window, DIGITS)
    button = page.locator("[data-do=walk]")
    for take_over in (button.click, lambda: page.locator("[data-handle=z]").press("ArrowUp")):
        button.click()
        page.clock.run_for(1000)
        take_over()
        page.clock.run_for(100)
        assert button.text_content() == "Walk"
        halted = page.locator("[data-out=z1]").text_content()
        page.clock.run_for(1000)
        assert page.locator("[data-out=z1]").text_content() == halted


def test_the_plane_fits_a_phone_with_the_image_below(reader):
    page = opened(reader(width=390, height=844, theme="dark"), DIGITS)
    plot, image = (page.locator(f".gm-live-{part}").bounding_box() for part in ("plot", "image"))
    assert image["y"] >= plot["y"] + plot["height"]
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    for slider in page.locator(".gm-live-ui input[type=range]").all():
        assert slider.bounding_box()["width"] > 300


# ------------------------------------------------------------------ all of them


@pytest.mark.parametrize("page", PAGES)
def test_figures_have_names_a_description_and_a_still(reader, page):
    page = opened(reader(), page)
    for slider in page.locator(".gm-live-ui input[type=range]").all():
        assert page.locator(f"label[for='{slider.get_attribute('id')}']").text_content().strip()
    for handle in page.locator("[data-handle]").all():
        assert handle.get_attribute("aria-label")
        described = handle.get_attribute("aria-describedby")
        assert len(page.locator(f"#{described}").text_content()) > 100
    for select in page.locator(".gm-live-ui select").all():
        assert select.evaluate("select => select.labels[0].textContent.trim().length") > 0
    stages = page.locator("[data-live]").all()
    assert not any(stage.locator(".gm-still").is_visible() for stage in stages)
    page.emulate_media(media="print")
    for stage in stages:
        assert stage.locator(".gm-still > svg").is_visible()
        assert not stage.locator(".gm-live-ui").is_visible()


@pytest.mark.parametrize("page", PAGES)
def test_without_javascript_the_still_is_there(reader, page):
    window = reader(java_script_enabled=False)
    window.page.goto((window.site / f"{page}.html").as_uri())
    stills = window.page.locator(".gm-still > svg").all()
    assert stills
    assert all(still.is_visible() for still in stills)


def test_common_code_and_weights_are_loaded_before_the_figure_and_only_where_it_is(tmp_path):
    book = live_book(tmp_path, LIVE)
    for name in ("common", "thing-weights", "other-weights"):
        (book / "assets" / "js" / "live" / f"{name}.js").write_text("// code\n")
    status, output, html = build(book)
    assert status == 0, output
    page = (html / "index.html").read_text()
    places = [page.index(f"live/{name}.js") for name in ("common", "thing-weights", "thing")]
    assert places == sorted(places)
    assert "other-weights" not in page
    assert "js/live/" not in (html / "ledger.html").read_text()


# ------------------------------------------------------------------ numbers in the text


@pytest.mark.parametrize(
    ("before", "after"), [("-18.1", "−18.1"), ("-.5", "−.5"), ("18.1", "18.1"), ("-x", "-x"), ("1e-5", "1e-5")]
)
def test_a_glued_number_gets_a_minus_sign(monkeypatch, before, after):
    monkeypatch.syspath_prepend(str(ROOT / "book" / "_ext"))
    monkeypatch.delitem(sys.modules, "glued", raising=False)
    from docutils.utils import new_document
    from glued import MinusSigns

    document = new_document("page")
    document += nodes.paragraph("", "", nodes.inline(before, before, classes=["pasted-text"]), nodes.inline("-1", "-1"))
    MinusSigns(document).run()
    assert document.astext() == f"{after}-1"


def test_glued_numbers_stand_in_the_text_like_the_rest_of_it(reader):
    page = reader().open(DIGITS)
    numbers = page.locator(".pasted-text")
    assert numbers.count() > 5
    found = page.eval_on_selector_all(
        ".pasted-text",
        "all => all.map(n => [n.textContent, n.matches('strong *, th *'), getComputedStyle(n).fontWeight])",
    )
    assert any(text.startswith("−") for text, *_ in found)
    for text, in_bold, weight in found:
        assert not text.startswith("-")
        assert in_bold or weight == "400", text
