"""The book in a browser, opened from its files, with every way to the network shut.

What takes longer to ask of every page (access, weight, contrast in all pictures) is in tools/check_book.py."""

import json
import math
import re

import pytest
import torch

from genmodels.gaussian import kl_normal
from genmodels.vae import LinearGaussianVAE
from tests.book.test_ledger import ROOT
from tests.book.test_live import PAGES as WITH_FIGURES
from tests.book.test_live import opened, touch
from tests.book.test_site import contrast
from tests.plugins.ledger import book_ledger

PAGES = [page.relative_to(ROOT).with_suffix("").as_posix() for page in book_ledger(ROOT).pages(ROOT)]

CHAPTER = "book/1-vae/elbo"
WIDE = "book/3-diffusion/rivals"  # has formulas that are wider than a phone


@pytest.mark.parametrize("name", PAGES)
def test_page_is_sound_on_a_laptop_and_on_a_phone(reader, name):
    for width, theme in ((1280, "light"), (390, "dark")):
        page = reader(width=width, theme=theme).open(name)
        assert page.locator("h1").count() >= 1
        assert page.locator("mjx-merror, [data-mjx-error]").count() == 0
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        if page.locator(".math").count():
            assert page.locator("mjx-container").count() > 0
        images = page.evaluate(
            "[...document.images].filter(i => i.loading !== 'lazy' && !i.naturalWidth).map(i => i.src)"
        )
        assert images == []


def test_formulas_are_set_in_the_fonts_that_come_with_the_book(reader):
    page = reader().open(CHAPTER)
    page.wait_for_function("[...document.fonts].some(f => f.family.includes('MJX') && f.status === 'loaded')")
    assert (
        page.evaluate("[...document.fonts].filter(f => f.family.includes('MJX') && f.status === 'error').length") == 0
    )


def test_search_finds_a_page_without_a_network(reader):
    window = reader()
    page = window.page
    page.goto((window.site / "search.html").as_uri() + "?q=posterior")
    # Sphinx lists its results one after another, best first: the chapter may be far down a list still growing.
    page.wait_for_selector(f"#search-results ul.search li a[href*='{CHAPTER}']", state="attached", timeout=30_000)


# ------------------------------------------------------------------ the figure


def numbers(page) -> dict[str, float]:
    texts = page.eval_on_selector_all(
        ".gm-live-ui output", "outputs => outputs.map(o => [o.dataset.out, o.textContent])"
    )
    return {name: float(text.replace("−", "-")) for name, text in texts}


def exact(x: float, mu: float, sigma: float) -> dict[str, float]:
    """The same numbers from genmodels, for the figure's model: w = 1, s2 = 1."""
    model = LinearGaussianVAE(torch.ones(1, 1, dtype=torch.float64), noise_var=1.0)
    one = {name: torch.tensor([[value]], dtype=torch.float64) for name, value in (("x", x), ("mu", mu))}
    logvar = torch.full((1, 1), 2 * math.log(sigma), dtype=torch.float64)
    mean, covariance = model.posterior(one["x"])
    return {
        "logProb": model.log_prob(one["x"]).item(),
        "elbo": model.elbo(one["x"], one["mu"], logvar).item(),
        "gap": kl_normal(one["mu"], logvar, mean, covariance.log()).item(),
        "klPrior": kl_normal(one["mu"], logvar).item(),
        "mean": mean.item(),
        "variance": covariance.item(),
    }


@pytest.fixture
def figure(reader):
    page = reader().open(CHAPTER)
    page.locator(".gm-live-ui").scroll_into_view_if_needed()
    page.wait_for_selector(".gm-live-plot svg[viewBox]")
    return page


def test_what_the_figure_computes_agrees_with_genmodels(figure):
    grid = [
        {"x": x, "mu": mu, "sigma": sigma}
        for x in (-3, -0.7, 0, 1.5, 3)
        for mu in (-3, -0.2, 0.5, 3)
        for sigma in (0.2, math.sqrt(1 / 3), 1, 2)
    ]
    script = """points => points.map(point => ({
        ...genmodelsLive['elbo-gap'].terms(point), ...genmodelsLive['elbo-gap'].posterior(point.x)}))"""
    for point, found in zip(grid, figure.evaluate(script, grid), strict=True):
        for name, value in exact(**point).items():
            assert found[name] == pytest.approx(value, abs=1e-6), (name, point)
        assert found["recon"] - found["klPrior"] == pytest.approx(found["elbo"], abs=1e-12)
        # The bound and the gap are computed apart, and must add up.
        assert found["elbo"] + found["gap"] == pytest.approx(found["logProb"], abs=1e-9)


def printed_is_exact(page):
    shown = numbers(page)
    # mu and sigma are printed to 0.01, and the figure may hold them finer: read what it holds.
    held = {name: float(page.locator(f".gm-live-ui input[name={name}]").input_value()) for name in ("x", "mu", "sigma")}
    for name in held:
        assert shown[name] == pytest.approx(held[name], abs=0.006)
    return shown


def test_sliders_move_the_numbers_by_keyboard(figure):
    for name, key in (("x", "ArrowLeft"), ("mu", "ArrowRight"), ("sigma", "ArrowRight")):
        before = numbers(figure)
        slider = figure.locator(f".gm-live-ui input[name={name}]")
        slider.focus()
        for _ in range(5):
            slider.press(key)
        figure.wait_for_timeout(100)
        after = numbers(figure)
        assert after[name] == pytest.approx(before[name] + (0.05 if key == "ArrowRight" else -0.05))
        expected = exact(after["x"], after["mu"], after["sigma"])
        for number in ("logProb", "elbo", "gap", "klPrior"):
            assert after[number] == pytest.approx(expected[number], abs=0.00051)


def test_handles_move_by_keyboard_and_stop_at_their_limits(figure):
    handle = figure.locator("[data-handle=mu]")
    handle.focus()
    before = numbers(figure)
    handle.press("ArrowRight")
    figure.wait_for_timeout(100)
    assert numbers(figure)["mu"] == pytest.approx(before["mu"] + 0.05)
    assert float(handle.get_attribute("aria-valuenow")) == pytest.approx(before["mu"] + 0.05)
    handle.press("End")
    handle.press("ArrowRight")
    figure.wait_for_timeout(100)
    assert numbers(figure)["mu"] == 3
    spread = figure.locator("[data-handle=sigma]")
    spread.focus()
    spread.press("Home")
    spread.press("ArrowLeft")
    figure.wait_for_timeout(100)
    assert numbers(figure)["sigma"] == 0.2
    assert math.isfinite(numbers(figure)["elbo"])


@pytest.mark.parametrize("name", ["mu", "sigma"])
def test_dragging_a_handle_moves_it_as_far_as_the_pointer_goes(figure, name):
    before = numbers(figure)
    box = figure.locator(f"[data-handle={name}] .gm-handle-dot").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    width = figure.locator(".gm-live-plot svg").bounding_box()["width"]
    figure.mouse.move(x, y)
    figure.mouse.down()
    figure.mouse.move(x + 30, y + 10, steps=4)
    figure.mouse.move(x + 60, y, steps=4)
    figure.mouse.up()
    figure.wait_for_timeout(100)
    after = numbers(figure)
    assert after[name] == pytest.approx(before[name] + 60 * 8 / (width - 16), abs=0.02)
    others = {"mu", "sigma", "x"} - {name}
    assert all(after[other] == before[other] for other in others)
    moved = figure.locator(f"[data-handle={name}] .gm-handle-dot").bounding_box()
    assert moved["x"] - box["x"] == pytest.approx(60, abs=1.5)
    # Let go: the pointer moves on, the handle stays.
    figure.mouse.move(x - 100, y)
    figure.wait_for_timeout(100)
    assert numbers(figure) == after


def test_the_button_closes_the_gap(figure):
    assert numbers(figure)["gap"] > 0.5
    figure.get_by_role("button", name="Set q to the exact posterior").click()
    figure.wait_for_timeout(100)
    assert figure.locator("[data-out=gap]").text_content() == "0.000"
    shown = numbers(figure)
    assert shown["elbo"] == shown["logProb"]
    # A screen reader is told once it has come to rest.
    figure.wait_for_function("document.querySelector('.gm-live-ui [role=status]').textContent.includes('gap 0.000')")


def test_the_button_glides_when_motion_is_welcome_and_ends_in_the_same_place(reader):
    page = reader(reduced_motion="no-preference").open(CHAPTER)
    page.get_by_role("button", name="Set q to the exact posterior").click()
    page.wait_for_function("document.querySelector('[data-out=gap]').textContent === '0.000'")


def test_the_figure_has_names_and_a_description_for_those_who_do_not_see_it(figure):
    for name in ("mu", "sigma", "x"):
        slider = figure.locator(f".gm-live-ui input[name={name}]")
        assert figure.locator(f"label[for='{slider.get_attribute('id')}']").text_content().strip()
    described = figure.locator(".gm-live-plot svg").get_attribute("aria-describedby")
    assert "gap" in figure.locator(f"#{described}").text_content()


def test_the_figure_is_dragged_by_touch_on_a_phone(reader):
    window = reader(width=390, height=844)
    page = window.open(CHAPTER)
    page.locator(".gm-live-ui").scroll_into_view_if_needed()
    page.wait_for_selector(".gm-live-plot svg[viewBox]")
    before = numbers(page)
    box = page.locator("[data-handle=mu] .gm-handle-dot").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    touch = window.context.new_cdp_session(page)
    at = lambda dx: [{"x": x + dx, "y": y}]  # noqa: E731
    touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": at(0)})
    for dx in (-10, -20, -30, -40):
        touch.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": at(dx)})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    page.wait_for_timeout(150)
    assert numbers(page)["mu"] < before["mu"] - 0.3


def test_without_javascript_the_still_and_every_step_are_there(reader):
    window = reader(java_script_enabled=False)
    window.page.goto((window.site / f"{CHAPTER}.html").as_uri())
    page = window.page
    assert page.locator(".gm-still svg").is_visible()
    moves = page.locator(".gm-move")
    assert moves.count() >= 3
    assert all(moves.nth(i).is_visible() for i in range(moves.count()))


def test_in_print_the_still_and_every_step_are_there(figure):
    figure.get_by_role("button", name="Reveal step by step").first.click()
    figure.emulate_media(media="print")
    assert figure.locator(".gm-still svg").is_visible()
    assert not figure.locator(".gm-live-ui").is_visible()
    moves = figure.locator(".gm-move")
    assert all(moves.nth(i).is_visible() for i in range(moves.count()))


def test_folded_answers_are_printed_and_folded_again(reader):
    page = reader().open(CHAPTER)
    folded = "document.querySelectorAll('.bd-article details:not([open])').length"
    before = page.evaluate(folded)
    assert before > 0
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate(folded) == 0
    page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert page.evaluate(folded) == before


# ------------------------------------------------------------------ derivations


def test_a_derivation_is_revealed_one_step_at_a_time(reader):
    page = reader().open(CHAPTER)
    derivation = page.locator(".gm-derivation").first
    moves = derivation.locator(".gm-move")
    count = moves.count()

    def visible():
        return [moves.nth(i).is_visible() for i in range(count)]

    assert visible() == [True] * count
    derivation.get_by_role("button", name="Reveal step by step").focus()
    for shown in range(1, count + 1):
        page.keyboard.press("Enter")  # the focus stays on the button, which moves along
        assert visible() == [True] * shown + [False] * (count - shown)
    assert derivation.get_by_role("button", name="Reveal step by step").is_visible()
    page.keyboard.press("Enter")
    derivation.get_by_role("button", name="Show all").click()
    assert visible() == [True] * count


def test_a_link_to_a_hidden_step_shows_it(reader):
    page = reader().open(CHAPTER)
    derivation = page.locator(".gm-derivation").first
    last = derivation.locator(".gm-move").last
    derivation.get_by_role("button", name="Reveal step by step").click()
    assert not last.is_visible()
    page.evaluate("id => { location.hash = id; }", last.get_attribute("id"))
    last.wait_for(state="visible")


def test_a_step_stands_beside_its_reason_on_a_laptop_and_with_it_on_a_phone(reader):
    def boxes(width):
        move = reader(width=width).open(CHAPTER).locator(".gm-move").first
        return move.locator(".gm-move-body").bounding_box(), move.locator(".gm-move-reason").bounding_box()

    body, reason = boxes(1280)
    assert reason["x"] >= body["x"] + body["width"]
    body, reason = boxes(390)
    assert abs(reason["x"] - body["x"]) < 2
    assert reason["y"] + reason["height"] <= body["y"] + 1


# ------------------------------------------------------------------ formulas that are wider than a phone


def test_a_wide_formula_scrolls_in_its_box_by_key_and_by_finger(reader):
    window = reader(width=390, height=844)
    page = window.open(WIDE)
    box = page.locator("div.math mjx-container[tabindex='0']").first
    box.scroll_into_view_if_needed()
    box.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("document.activeElement.scrollLeft > 10")
    page.keyboard.press("ArrowLeft")
    page.wait_for_function("document.activeElement.scrollLeft === 0")
    place = box.bounding_box()
    touch(window, (place["x"] + 300, place["y"] + place["height"] / 2), (-200, 0))
    page.wait_for_function("document.activeElement.scrollLeft > 10")
    assert page.evaluate("scrollX") == 0


def test_the_tab_key_passes_formulas_that_do_not_scroll(reader):
    page = reader(width=1280).open(WIDE)
    page.wait_for_load_state("load")
    assert page.locator("mjx-container").count() > 100
    assert page.locator("mjx-container[tabindex]").count() == 0


# ------------------------------------------------------------------ menus, themes


def test_both_menus_open_and_close_by_touch_on_a_phone(reader):
    page = reader(width=390, height=844).open(CHAPTER)
    chapters = page.locator(".bd-header-article .primary-toggle")
    chapters.tap()
    menu = page.locator("#pst-primary-sidebar-modal")
    menu.get_by_role("link", name=re.compile("ledger")).wait_for(state="visible")
    page.touchscreen.tap(380, 500)  # on the page beside it
    menu.wait_for(state="hidden")
    page.locator(".bd-header-article .secondary-toggle").tap()
    contents = page.locator("#pst-secondary-sidebar-modal")
    link = contents.locator("a[href^='#']").last
    link.wait_for(state="visible")
    goal = link.get_attribute("href")
    link.tap()
    contents.wait_for(state="hidden")  # a jump within the page closes the menu in front of it
    assert page.url.endswith(goal)


def test_the_menu_leads_to_another_page_on_a_phone(reader):
    page = reader(width=390, height=844).open(CHAPTER)
    page.locator(".bd-header-article .primary-toggle").tap()
    page.locator("#pst-primary-sidebar-modal").get_by_role("link", name=re.compile("ledger")).tap()
    page.wait_for_url("**/ledger.html")


SVG_TEXTS = """() => [...document.querySelectorAll('.gm-plot svg text, .gm-live-ui svg text')]
    .filter(text => text.textContent.trim() && text.getClientRects().length)
    .map(text => {
        let ground = 'rgba(0, 0, 0, 0)';
        for (let node = text.closest('div'); node && ground === 'rgba(0, 0, 0, 0)'; node = node.parentElement)
            ground = getComputedStyle(node).backgroundColor;
        return [text.textContent.trim(), getComputedStyle(text).fill, ground];
    })"""


def as_hex(css: str) -> str:
    return "#" + "".join(f"{int(float(part)):02x}" for part in re.findall(r"[\d.]+", css)[:3])


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_in_figures_is_readable(reader, theme):
    window = reader(theme=theme)
    for chapter in (CHAPTER, *WITH_FIGURES):
        page = opened(window, chapter)
        assert page.evaluate("document.documentElement.dataset.theme") == theme
        texts = page.evaluate(SVG_TEXTS)
        assert len(texts) >= 10
        poor = [(text, ink, ground) for text, ink, ground in texts if contrast(as_hex(ink), as_hex(ground)) < 4.5]
        assert not poor, json.dumps(poor)


def test_the_theme_button_turns_figures_dark_as_well(reader):
    page = reader().open(CHAPTER)
    ink = "getComputedStyle(document.querySelector('.gm-plot svg text')).fill"
    light = page.evaluate(ink)
    for _ in range(3):  # the button goes round: auto, light, dark
        page.locator(".bd-header-article .theme-switch-button").click()
        if page.evaluate("document.documentElement.dataset.theme") == "dark":
            break
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert page.evaluate(ink) != light
