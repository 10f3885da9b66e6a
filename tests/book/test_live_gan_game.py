"""The live figures of the game and of the supports, played in a browser and held against `genmodels` and quadrature."""

import math
from statistics import NormalDist

import numpy as np
import pytest
import torch
from scipy import integrate, stats
from torch.distributions import Categorical, MixtureSameFamily, Normal

from genmodels import gan
from tests.book.test_live import centre, drag, opened, touch

GAME = "book/2-gan/game"
LOSSES = "book/2-gan/losses"


def gaussian(mean, sigma) -> Normal:
    return Normal(torch.as_tensor(mean, dtype=torch.float64), torch.as_tensor(sigma, dtype=torch.float64))


DATA = MixtureSameFamily(Categorical(torch.tensor([0.5, 0.5], dtype=torch.float64)), gaussian([-1.5, 1.5], 0.5))
SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻−", "0123456789--")


def number(text: str) -> float:
    """What is printed, as a number: −0.032, 2.1 × 10⁻⁵; a kink's slope, which is none, is not a number."""
    if text == "none, a kink":
        return math.nan
    return float(text.translate(SUPERSCRIPTS).replace(" × 10", "e"))


def shown(page) -> dict[str, float]:
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    texts = page.eval_on_selector_all(
        ".gm-live-ui output", "outputs => outputs.map(o => [o.dataset.out, o.textContent])"
    )
    return {name: number(text) for name, text in texts}


@pytest.fixture
def game(reader):
    return opened(reader(), GAME)


@pytest.fixture
def supports(reader):
    return opened(reader(), LOSSES)


def put(page, **state):
    """Move the sliders, as the browser does when a reader moves them."""
    for name, value in state.items():
        page.locator(f".gm-live-ui input[name={name}]").evaluate(
            "(input, value) => { input.value = value; input.dispatchEvent(new Event('input')); }", str(value)
        )


# ------------------------------------------------------------------ the game


LOSS = {"minimax": "minimax", "nonSaturating": "non_saturating"}


def losses(fake_logits, kind: str):
    """The library's loss of each logit by itself, which it gives for batches: (N,) → (N,)."""
    return torch.vmap(lambda one: gan.generator_loss(one[None], kind))(fake_logits)


def gradients(mu: float, sigma: float) -> dict[str, float]:
    """Both losses' derivatives by the mean, by automatic differentiation through G(z), with D* held fixed.

    The codes are the nodes of a fine grid, weighted by their density.
    """
    z = torch.linspace(-9, 9, 3601, dtype=torch.float64)
    weights = gaussian(0, 1).log_prob(z).exp() * 0.005
    mean = torch.tensor(mu, dtype=torch.float64, requires_grad=True)
    x = mean + sigma * z
    fake_logits = DATA.log_prob(x) - gaussian(mu, sigma).log_prob(x)  # of D*, whose own mean is a constant
    found = {}
    for name, kind in LOSS.items():
        found[name] = torch.autograd.grad(weights @ losses(fake_logits, kind), mean, retain_graph=True)[0].item()
    return found


def integrals(mu: float, sigma: float) -> dict[str, float]:
    """The rest by adaptive quadrature."""
    left, right, q = NormalDist(-1.5, 0.5).pdf, NormalDist(1.5, 0.5).pdf, NormalDist(mu, sigma).pdf
    p = lambda x: (left(x) + right(x)) / 2  # noqa: E731

    def over(f):
        ends = mu - 12 * sigma, mu + 12 * sigma, -8, 8
        marks = [mu - 3 * sigma, mu, mu + 3 * sigma, -3, -1.5, 0, 1.5, 3]
        return integrate.quad(f, min(ends), max(ends), points=marks, limit=500, epsabs=1e-11)[0]

    def divergence(a, b):  # b is never zero where a is not
        return over(lambda x: a(x) * math.log(a(x) / b(x)) if a(x) > 0 else 0.0)

    middle = lambda x: (p(x) + q(x)) / 2  # noqa: E731
    jsd = (divergence(p, middle) + divergence(q, middle)) / 2
    return {
        "jsd": jsd,
        "value": 2 * jsd - math.log(4),
        "fooled": over(lambda x: q(x) * p(x) / (p(x) + q(x)) if q(x) > 0 else 0.0),
    }


def expected(mu: float, sigma: float) -> dict[str, float]:
    return {**integrals(mu, sigma), **gradients(mu, sigma)}


PLACES = [{"mu": mu, "sigma": sigma} for mu in (-5, -1.4, 0, 1.2, 4) for sigma in (0.2, 0.8, 2)]
TERMS = "points => points.map(genmodelsLive['gan-game'].terms)"


@pytest.mark.equation("gan-value-at-optimum", "jensen-shannon", "gan-non-saturating")
def test_the_game_of_the_figure_agrees_with_quadrature_and_automatic_differentiation(game):
    """The value from D*, the divergence from the mixture and both gradients, on a grid of mean and width."""
    for place, found in zip(PLACES, game.evaluate(TERMS, PLACES), strict=True):
        for name, value in expected(**place).items():
            assert found[name] == pytest.approx(value, rel=1e-6, abs=1e-8), (name, place)


@pytest.mark.equation("gan-value-at-optimum")
def test_the_minimax_gradient_is_the_slope_of_twice_the_divergence(game):
    """At the best discriminator only the generator's own move counts: finite differences of V(G, D*)."""
    step = 1e-4
    places = [{**place, "mu": place["mu"] + side * step} for place in PLACES for side in (-1, 0, 1)]
    found = game.evaluate(TERMS, places)
    for before, here, after in zip(found[::3], found[1::3], found[2::3], strict=True):
        assert here["minimax"] == pytest.approx((after["value"] - before["value"]) / (2 * step), abs=1e-6)


@pytest.mark.equation("gan-non-saturating")
def test_the_non_saturating_gradient_is_the_slope_of_a_difference_of_divergences(game):
    """Of KL(p_G from p_data) less twice the Jensen-Shannon divergence, as the chapter on the gradients says."""

    def difference(mu, sigma):
        x = torch.linspace(-21, 21, 8401, dtype=torch.float64)
        log_q, log_p = gaussian(mu, sigma).log_prob(x), DATA.log_prob(x)
        return 0.005 * (log_q.exp() @ (log_q - log_p)).item() - 2 * integrals(mu, sigma)["jsd"]

    places = [place for place in PLACES if place["sigma"] > 0.5]
    for place, found in zip(places, game.evaluate(TERMS, places), strict=True):
        mu, sigma, step = place["mu"], place["sigma"], 1e-3
        slope = (difference(mu + step, sigma) - difference(mu - step, sigma)) / (2 * step)
        assert found["nonSaturating"] == pytest.approx(slope, rel=1e-4, abs=1e-4), place


@pytest.mark.equation("gan-optimal-discriminator", "gan-generator-slopes")
def test_the_drawn_discriminator_and_the_arrows_are_those_of_the_library(game):
    points = [[x, place] for x in np.linspace(-6.5, 6.5, 14) for place in PLACES]
    found = game.evaluate(
        """points => points.map(([x, place]) => {
            const live = genmodelsLive['gan-game'];
            return { best: live.best(x, place), ...live.pulls(x, place) };
        })""",
        points,
    )
    for (at, place), here in zip(points, found, strict=True):
        x = torch.tensor(at, dtype=torch.float64, requires_grad=True)
        log_p, log_q = DATA.log_prob(x), gaussian(place["mu"], place["sigma"]).log_prob(x)
        best = gan.optimal_discriminator(log_p.exp(), log_q.exp()).item()
        if max(log_p.item(), log_q.item()) > -700:  # else both densities are zero in float64
            assert here["best"] == pytest.approx(best, rel=1e-6, abs=1e-12)
        for name, kind in LOSS.items():
            loss = gan.generator_loss((log_p - log_q)[None], kind)
            (slope,) = torch.autograd.grad(loss, x, retain_graph=True)
            assert here[name] == pytest.approx(-slope.item(), rel=1e-6, abs=1e-9), (name, at, place)


def test_the_samples_are_the_middles_of_equal_parts_of_the_codes(game):
    codes = game.evaluate("genmodelsLive['gan-game'].CODES")
    np.testing.assert_allclose(codes, stats.norm.ppf((np.arange(7) + 0.5) / 7), atol=0.005)


def test_far_away_the_minimax_gradient_vanishes_and_the_other_does_not(game):
    """What the figure is for: a narrow generator slides away from the data."""
    places = [{"mu": mu, "sigma": 0.3} for mu in (2, 3, 4, 5)]
    found = game.evaluate(TERMS, places)
    starving = [here["minimax"] for here in found]
    assert starving == sorted(starving, reverse=True)
    assert starving[-1] < 2e-4
    assert [here["nonSaturating"] for here in found] == sorted(here["nonSaturating"] for here in found)
    assert found[-1]["nonSaturating"] > 10
    assert found[-1]["jsd"] == pytest.approx(math.log(2), abs=1e-4)


def prints_what_is_true(page):
    """The printed numbers against the oracles, at the place that the sliders print (or hold, if it is finer)."""
    found = shown(page)
    for name, value in expected(found["mu"], found["sigma"]).items():
        gradient = name in ("minimax", "nonSaturating")
        slack = 0.06 * abs(value) + 1e-12 if gradient and abs(value) < 0.001 else 0.00051
        assert found[name + "Text" if gradient else name] == pytest.approx(value, abs=slack), name
    return found


def test_game_sliders_move_the_numbers_by_keyboard(game):
    assert prints_what_is_true(game)["mu"] == 1.2
    for name, key in (("mu", "ArrowLeft"), ("sigma", "ArrowRight"), ("sigma", "Home"), ("mu", "End")):
        before = shown(game)
        game.locator(f".gm-live-ui input[name={name}]").press(key)
        after = prints_what_is_true(game)
        assert after[name] != before[name]
    assert (after["mu"], after["sigma"]) == (5, 0.2)
    assert 0 < after["minimaxText"] < 1e-4  # printed by its first digits, not as 0.000
    assert "10⁻" in game.locator("[data-out=minimaxText]").text_content()


def test_game_handles_move_by_keyboard_and_stop_at_their_limits(game):
    mean, spread = (game.locator(f"[data-handle={name}]") for name in ("mu", "sigma"))
    mean.press("ArrowRight")
    assert prints_what_is_true(game)["mu"] == 1.25
    assert mean.get_attribute("aria-valuenow") == "1.25"
    mean.press("End")
    mean.press("PageUp")
    assert shown(game)["mu"] == 5
    spread.press("ArrowDown")
    assert shown(game)["sigma"] == 0.75
    spread.press("Home")
    spread.press("ArrowLeft")
    assert shown(game)["sigma"] == 0.2


@pytest.mark.parametrize("name", ["mu", "sigma"])
def test_game_handles_are_dragged_and_the_samples_follow(game, name):
    before = shown(game)
    samples = "[...document.querySelectorAll('.gm-live-ui .gm-g-sample')].map(c => Number(c.getAttribute('cx')))"
    was = game.evaluate(samples)
    assert len(was) == 14  # once for each loss
    width = game.locator(".gm-live-plot svg").bounding_box()["width"]
    drag(game, centre(game, name), (25, 5))
    after = shown(game)
    assert after[name] == pytest.approx(before[name] + 25 * 14 / (width - 28), abs=0.02)
    other = {"mu": "sigma", "sigma": "mu"}[name]
    assert after[other] == before[other]
    shifts = np.array(game.evaluate(samples)) - was
    codes = np.array(game.evaluate("genmodelsLive['gan-game'].CODES") * 2)
    np.testing.assert_allclose(shifts, 25 if name == "mu" else 25 * codes, atol=0.2)
    assert game.evaluate("document.activeElement.dataset.handle") == name


def test_samples_beyond_the_drawing_are_left_out(game):
    put(game, mu=-5, sigma=2)
    shown(game)
    drawn = game.eval_on_selector_all(
        ".gm-live-ui .gm-g-sample, .gm-live-ui .gm-g-pull", "all => all.map(n => n.getBBox().x)"
    )
    assert 0 < len(drawn) < 28
    assert min(drawn) >= 0


def test_the_arrows_are_as_long_as_a_step_of_the_sample(game):
    put(game, mu=4, sigma=0.4)
    shown(game)
    paths = "paths => paths.map(p => p.getAttribute('d').split('M')[1].split('L').map(xy => Number(xy.split(' ')[0])))"
    unit = (game.locator(".gm-live-plot svg").bounding_box()["width"] - 28) / 14
    codes = torch.tensor(game.evaluate("genmodelsLive['gan-game'].CODES"), dtype=torch.float64)
    for name, kind in LOSS.items():
        drawn = np.array(game.eval_on_selector_all(f".gm-live-ui .gm-g-{name}", paths))
        x = (4 + 0.4 * codes).requires_grad_()
        logits = DATA.log_prob(x) - gaussian(4, 0.4).log_prob(x)
        (slopes,) = torch.autograd.grad(losses(logits, kind).sum(), x)
        np.testing.assert_allclose((drawn[:, 1] - drawn[:, 0]) / unit, -0.2 * slopes.numpy(), atol=0.2 / unit)


def test_the_buttons_take_the_steps_that_the_chapter_on_the_gradients_tells_of(game):
    """From mu = 4 and sigma = 0.4: less than a hundredth down the one loss, most of the way down the other."""
    put(game, mu=4, sigma=0.4)
    begun = prints_what_is_true(game)
    assert begun["minimaxText"] == 0.035
    assert begun["nonSaturatingText"] == 9.965
    game.get_by_role("button", name="Step down the minimax loss").click()
    game.wait_for_function("document.querySelector('[data-handle=mu]').getAttribute('aria-valuenow') !== '4'")
    mean = float(game.locator("[data-handle=mu]").get_attribute("aria-valuenow"))
    assert mean == pytest.approx(4 - 0.2 * gradients(4, 0.4)["minimax"], abs=0.0006)
    assert 0 < 4 - mean < 0.01
    before = expected(mean, 0.4)
    game.get_by_role("button", name="Step down the non-saturating loss").click()
    game.wait_for_function("was => document.querySelector('[data-out=mu]').textContent !== was", arg="3.99")
    moved = float(game.locator("[data-handle=mu]").get_attribute("aria-valuenow"))
    assert moved == pytest.approx(mean - 0.2 * before["nonSaturating"], abs=0.01)
    assert abs(moved - 1.5) < 0.3 * abs(4 - 1.5)


def test_steps_down_the_non_saturating_loss_settle(game):
    """The step is small enough not to swing about: from anywhere it comes to rest, and stays in the range."""
    settled = game.evaluate(
        """places => places.map(place => {
            const { terms, STEP, RANGES } = genmodelsLive['gan-game'], { clamp } = genmodelsLive.common;
            const way = [place.mu];
            for (let i = 0; i < 60; i++) {
                const mu = way[way.length - 1];
                way.push(clamp(mu - STEP * terms({ mu, sigma: place.sigma }).nonSaturating, RANGES.mu));
            }
            return way;
        })""",
        PLACES,
    )
    for place, way in zip(PLACES, settled, strict=True):
        assert abs(way[-1] - way[-2]) < 0.01, (place, way[-4:])


def test_the_game_is_dragged_by_touch_on_a_phone(reader):
    window = reader(width=390, height=844)
    page = opened(window, GAME)
    page.locator(".gm-live-plot").evaluate("plot => window.scrollBy(0, plot.getBoundingClientRect().top - 120)")
    touch(window, centre(page, "mu"), (-60, 0))
    assert shown(page)["mu"] < 0
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_screen_reader_is_told_both_gradients_at_rest(game):
    game.locator("[data-handle=mu]").press("ArrowLeft")
    game.wait_for_function("document.querySelector('.gm-live-ui [role=status]').textContent.includes('non-saturating')")


# ------------------------------------------------------------------ two supports

CELLS = (
    torch.arange(-400, 400, dtype=torch.float64) * 0.02 + 0.01
)  # middles of cells, whose edges are multiples of 0.02
BOXES = [{"s": s, "w": w} for s in (-5, -0.6, -0.2, 0, 0.04, 0.5, 1.2, 5) for w in (0.12, 0.6, 2)]


def box(middle: float, width: float) -> torch.Tensor:
    inside = ((CELLS - middle).abs() < width / 2).double()
    return inside / inside.sum()


def apart(s: float, w: float) -> dict[str, float]:
    """The numbers of the figure from the table, where a box is a row of cells."""
    p, q = box(0, w), box(s, w)
    return {
        "jsd": gan.jensen_shannon(p, q).item(),
        "overlap": torch.minimum(p, q).sum().item(),
        "wasserstein": stats.wasserstein_distance(CELLS, CELLS, p, q),
    }


@pytest.mark.equation("jensen-shannon", "wgan-dual")
def test_both_distances_of_the_figure_agree_with_the_library_and_scipy(supports):
    found = supports.evaluate("boxes => boxes.map(genmodelsLive['gan-supports'].terms)", BOXES)
    for place, here in zip(BOXES, found, strict=True):
        for name, value in apart(**place).items():
            assert here[name] == pytest.approx(value, abs=1e-9), (name, place)


@pytest.mark.equation("wgan-dual")
def test_the_critic_of_the_figure_keeps_the_promise_and_earns_the_distance(supports):
    for place in BOXES:
        f = np.array(
            supports.evaluate(
                "([cells, place]) => cells.map(x => genmodelsLive['gan-supports'].critic(x, place))",
                [CELLS.tolist(), place],
            )
        )
        x = CELLS.numpy()
        assert (np.abs(f[:, None] - f) <= np.abs(x[:, None] - x) + 1e-12).all()
        earned = f @ (box(0, place["w"]) - box(place["s"], place["w"])).numpy()
        assert earned == pytest.approx(apart(**place)["wasserstein"], abs=1e-9)
        told = supports.evaluate("place => genmodelsLive['gan-supports'].terms(place).earned", place)
        assert told == pytest.approx(earned, abs=1e-9)


@pytest.mark.equation("gan-optimal-discriminator")
def test_the_discriminator_of_the_figure_is_the_best_one_where_there_are_examples(supports):
    for place in BOXES:
        p, q = box(0, place["w"]), box(place["s"], place["w"])
        there = (p + q) > 0
        found = supports.evaluate(
            "([cells, place]) => cells.map(x => genmodelsLive['gan-supports'].best(x, place) ?? null)",
            [CELLS.tolist(), place],
        )
        assert [share is not None for share in found] == there.tolist()
        told = [share for share in found if share is not None]
        np.testing.assert_allclose(told, gan.optimal_discriminator(p, q)[there].numpy(), atol=1e-12)


def test_the_slopes_are_those_of_the_curves_and_at_a_kink_there_is_none(supports):
    terms = "boxes => boxes.map(genmodelsLive['gan-supports'].terms)"
    smooth = [place for place in BOXES if place["s"] != 0 and abs(abs(place["s"]) - place["w"]) > 1e-6]
    step = 1e-4
    around = [{**place, "s": place["s"] + side * step} for place in smooth for side in (-1, 1)]
    ends, here = supports.evaluate(terms, around), supports.evaluate(terms, smooth)
    for before, after, place in zip(ends[::2], ends[1::2], here, strict=True):
        for name in ("jsd", "wasserstein"):
            assert place[f"{name}Slope"] == pytest.approx((after[name] - before[name]) / (2 * step), abs=1e-6)
    at_zero, parting = supports.evaluate(terms, [{"s": 0, "w": 0.6}, {"s": -0.6, "w": 0.6}])
    assert "jsdSlope" not in at_zero or at_zero["jsdSlope"] is None
    assert at_zero.get("wassersteinSlope") is None
    assert parting.get("jsdSlope") is None
    assert parting["wassersteinSlope"] == -1


def prints_the_distances(page):
    found = shown(page)
    s, w = found["s"], found["w"]
    assert found["wasserstein"] == pytest.approx(abs(s), abs=0.006)
    assert found["earned"] == found["wasserstein"]
    assert found["jsd"] == pytest.approx(math.log(2) * min(1, abs(s) / w), abs=0.006 * math.log(2) / w + 0.001)
    return found


def test_the_box_slides_by_keys_and_the_divergence_stays_while_the_distance_grows(supports):
    handle = supports.locator("[data-handle=s]")
    before = prints_the_distances(supports)
    assert (before["s"], before["jsd"], before["jsdSlopeText"], before["wassersteinSlopeText"]) == (2, 0.693, 0, 1)
    for _ in range(4):
        handle.press("PageUp")
    after = prints_the_distances(supports)
    assert after["wasserstein"] == before["wasserstein"] + 2
    assert (after["jsd"], after["jsdSlopeText"], after["wassersteinSlopeText"]) == (0.693, 0, 1)
    handle.press("End")
    handle.press("ArrowRight")
    assert prints_the_distances(supports)["s"] == 5
    handle.press("Home")
    assert prints_the_distances(supports)["wassersteinSlopeText"] == -1
    for _ in range(10):
        handle.press("PageUp")
    for _ in range(3):
        handle.press("ArrowRight")
        handle.press("ArrowLeft")
    at_rest = shown(supports)
    assert (at_rest["s"], at_rest["jsd"], at_rest["wasserstein"]) == (0, 0, 0)
    assert math.isnan(at_rest["wassersteinSlopeText"])
    assert math.isnan(at_rest["jsdSlopeText"])


def test_narrow_boxes_make_the_divergence_a_switch(supports):
    supports.locator(".gm-live-ui input[name=w]").press("Home")
    put(supports, s=0.1)
    assert prints_the_distances(supports)["jsd"] == 0.693
    put(supports, s=0.05)
    found = prints_the_distances(supports)
    assert found["jsd"] == pytest.approx(math.log(2) / 2, abs=0.001)
    assert found["jsdSlopeText"] == pytest.approx(math.log(2) / 0.1, abs=0.001)


def test_the_box_is_dragged_from_anywhere_and_the_marks_follow(supports):
    unit = (supports.locator(".gm-live-plot svg").bounding_box()["width"] - 28) / 12.4
    x, y = centre(supports, "s")
    drag(supports, (x - 60, y + 20), (-2.5 * unit, 10))
    after = prints_the_distances(supports)
    assert after["s"] == pytest.approx(-0.5, abs=0.03)
    marks = supports.eval_on_selector_all(
        ".gm-live-ui .gm-g-at-jsd, .gm-live-ui .gm-g-at-gen", "all => all.map(c => Number(c.getAttribute('cx')))"
    )
    assert len(marks) == 3
    assert np.ptp(marks) == 0
    moved, _ = centre(supports, "s")
    assert moved - x == pytest.approx(-2.5 * unit, abs=1.5)


def test_the_box_is_dragged_by_touch_on_a_phone(reader):
    window = reader(width=390, height=844)
    page = opened(window, LOSSES)
    touch(window, centre(page, "s"), (60, 0))
    assert prints_the_distances(page)["s"] > 3
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_screen_reader_is_told_both_distances_at_rest(supports):
    supports.locator("[data-handle=s]").press("ArrowLeft")
    supports.wait_for_function(
        "document.querySelector('.gm-live-ui [role=status]').textContent.includes('slope 0.000')"
    )


# ------------------------------------------------------------------ both


@pytest.mark.parametrize("page", [GAME, LOSSES])
@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_drawn_or_written_beyond_the_figure_wherever_it_is_moved(reader, page, width):
    page = opened(reader(width=width), page)
    sliders = page.locator(".gm-live-ui input[type=range]")
    for keys in (("Home", "Home"), ("End", "Home"), ("Home", "End"), ("End", "End")):
        for slider, key in zip(sliders.all(), keys, strict=True):
            slider.press(key)
        shown(page)
        over = page.eval_on_selector_all(
            ".gm-live-ui svg text, .gm-live-ui .gm-handle-dot",
            """all => all.map(n => {
                const [box, room] = [n.getBoundingClientRect(), n.closest('svg').getBoundingClientRect()];
                return [n.textContent, room.left - box.left, box.right - room.right, room.top - box.top];
            }).filter(([, ...beyond]) => Math.max(...beyond) > 6)""",
        )
        assert not over, (keys, over)
