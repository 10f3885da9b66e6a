"""What symbols mean, said where they stand: the notation table, the marks in the pages, the cards, and the colours."""

import itertools
import json
import re
from pathlib import Path

import numpy as np
import pytest

from genmodels import plots
from tests.book.test_ledger import ROOT
from tests.book.test_site import css_variables
from tools.mend_pages import symbols
from tools.typeset import names, run_mathjax

ELBO, FORWARD, LOSSES, GAME = "book/1-vae/elbo", "book/3-diffusion/forward", "book/2-gan/losses", "book/2-gan/game"


VAE, GAN, DIFFUSION, EVERYWHERE = "Variational autoencoders", "Adversarial networks", "Diffusion", "Everywhere"

# A formula, a page, and the rows that its symbols there are marked with, in order.
EXPLAINED = [
    ("x_0", FORWARD, [(DIFFUSION, "x_0")]),
    ("x_{t-1}", FORWARD, [(DIFFUSION, "x_t")]),
    (r"\bar\alpha_{300}", FORWARD, [(DIFFUSION, r"\bar\alpha_t")]),
    (r"\sigma_t^2", FORWARD, [(DIFFUSION, r"\sigma_t")]),
    ("t^2", FORWARD, [(DIFFUSION, "t")]),
    ("x_{t-1}", "notebooks/diffusion/process", [(DIFFUSION, "x_t")]),
    ("x_t", ELBO, [(EVERYWHERE, "x_i")]),  # no step there: an index of x
    ("z_k", "book/1-vae/likelihood", [(VAE, "z_k")]),
    ("z_k", "notebooks/vae/bound", [(VAE, "z_k")]),  # a row may be limited to notebooks as well as to chapters
    ("D", ELBO, [(VAE, "D")]),
    ("D", GAME, [(GAN, "D")]),
    (r"\ell", ELBO, [(VAE, r"\ell")]),
    (r"\ell", GAME, [(GAN, r"\ell")]),
    ("p(z)", ELBO, [(EVERYWHERE, "p(z)"), (EVERYWHERE, "z")]),
    ("p(x, z)", ELBO, [(EVERYWHERE, r"p(\cdot)"), (EVERYWHERE, "x"), (EVERYWHERE, "z")]),
    (r"p_\theta\left(x \mid z\right)", ELBO, [(VAE, r"p_\theta(x \mid z)"), (EVERYWHERE, "x"), (EVERYWHERE, "z")]),
    (r"p_\theta\bigl(z \mid x\bigr)", ELBO, [(VAE, r"p_\theta(z \mid x)"), (EVERYWHERE, "z"), (EVERYWHERE, "x")]),
    (
        r"\mathbb{E}_{x \sim p_{\text{data}}}",
        ELBO,
        [(EVERYWHERE, t) for t in (r"\mathbb{E}", "x", r"p_{\text{data}}")],
    ),
    ("a", LOSSES, [(GAN, "a")]),  # the marks of least squares, on that page alone
    ("a", GAME, []),
    ("x", "book/2-gan/collapse", [(GAN, "x")]),
    ("f(t)", FORWARD, [(DIFFUSION, "f(t)"), (DIFFUSION, "t")]),
    (r"\hat\epsilon_\theta(x_t, t)", FORWARD, [(DIFFUSION, t) for t in (r"\hat\epsilon_\theta", "x_t", "t")]),
]
UNEXPLAINED = [
    ("y", ELBO),
    ("x'", ELBO),  # another point
    (r"\hat p_K", GAME),  # not the density that is estimated
    ("f", FORWARD),
    (r"\log_2 2", ELBO),  # not the natural logarithm
    ("p", ELBO),  # a number, unless it has an argument
    ("c", FORWARD),
    ("D", "book/reference/glossary"),  # in two parts it means two things
    ("x_2", "book/reference/errata"),  # a dimension, or a step?
    ("a", "book/reference/errata"),
    ("D", "book/4-compare/table"),
]
ON_A_REFERENCE_PAGE = r"D^* K x x_t"
COLOURED = r"x_0 + \epsilon\, t"


@pytest.fixture(scope="module")
def marked(notation):
    """A formula as it is marked on a page."""
    tried = [*(tex for tex, *_ in EXPLAINED + UNEXPLAINED), ON_A_REFERENCE_PAGE, COLOURED]
    drawn = dict(zip(tried, run_mathjax([(tex, False) for tex in tried], "")["html"], strict=True))

    def of(tex: str, page: str) -> str:
        after = notation.mark(drawn[tex], page)
        assert "data-names" not in after
        assert notation.mark(after, page) == after
        return after

    return of


def ids(text: str) -> list[str]:
    return re.findall(r'data-s="(\w+)"', text)


@pytest.fixture(scope="module")
def table() -> list:
    return symbols.rows(ROOT)


@pytest.fixture(scope="module")
def notation(table):
    return symbols.read(ROOT, names([tex for row in table for tex, _ in row.symbols]))


@pytest.fixture(scope="module")
def row_of(table):
    """The id of the row of a section that explains a symbol."""

    def find(section: str, tex: str) -> str:
        (row,) = [row for row in table if row.section == section and tex in [symbol for symbol, _ in row.symbols]]
        return row.id

    return find


@pytest.mark.parametrize(("tex", "page", "meant"), EXPLAINED)
def test_a_symbol_means_on_a_page_what_the_table_says_for_it(tex, page, meant, marked, row_of):
    assert ids(marked(tex, page)) == [row_of(*each) for each in meant]


@pytest.mark.parametrize(("tex", "page"), UNEXPLAINED)
def test_what_the_table_does_not_explain_there_gets_no_mark(tex, page, marked):
    assert ids(marked(tex, page)) == []


def test_a_reference_page_has_marks_where_the_whole_book_has_one_meaning(marked, row_of):
    assert ids(marked(ON_A_REFERENCE_PAGE, "book/reference/glossary")) == [
        row_of(GAN, "D^*"),
        row_of(EVERYWHERE, "x"),
        row_of(DIFFUSION, "x_t"),
    ]


def test_a_marked_symbol_has_the_colour_of_the_table(marked):
    drawn = marked(COLOURED, FORWARD)
    assert re.search(r'<mjx-msub[^>]* class="gm-data"', drawn)
    assert re.search(r'<mjx-mi class="gm-noise mjx-i"', drawn)
    assert drawn.count("gm-") == 2


def test_the_parts_of_the_table_are_those_of_the_contents(table):
    sections, parts = {row.section for row in table}, symbols.parts(ROOT, table)
    assert sections - {EVERYWHERE} == set(parts.values())
    for row in table:
        assert all(parts[page] == row.section for page in row.pages), row


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["| $a$ | | | one |", "| $a$ | | | another |"], "same symbols"),
        (["| $a$ | | | one |", "| $a$, $b$ | | | another |"], "has a meaning in line 5 as well"),
        (["| a | | | a letter |"], "formulas in the first"),
        (["| $a$ | | a letter |"], "four cells"),
        (["| [$a$]{.gm-red} | | | a letter |"], "the colours are"),
        (["| $1$ | | | a number |"], "is no symbol"),
    ],
)
def test_a_table_that_makes_no_sense_is_refused(rows, message, tmp_path):
    page = tmp_path / f"{symbols.PAGE}.md"
    page.parent.mkdir(parents=True)
    page.write_text("\n".join(["## Everywhere", "", "| s | c | s | m |", "| --- | --- | --- | --- |", *rows]))
    (tmp_path / "_toc.yml").write_text("format: jb-book\nroot: index\n")
    with pytest.raises(symbols.NotationError, match=message):
        symbols.read(tmp_path, names([tex for row in symbols.rows(tmp_path) for tex, _ in row.symbols]))


# ------------------------------------------------------------------ the built pages


def script(site: Path, name: str) -> dict:
    text = (site / "_static" / "js" / f"{name}.js").read_text(encoding="utf-8")
    return json.loads(text[text.index("{", text.index("=", text.index(name))) : text.rindex("}") + 1])


def test_every_row_of_the_table_explains_a_symbol_of_the_book(site, table):
    used = set()
    for path in (site / "book").rglob("*.html"):
        if path != site / f"{symbols.PAGE}.html":
            used |= set(re.findall(r'data-s="(\w+)"', path.read_text(encoding="utf-8")))
    assert [f"{row.section}, line {row.line}" for row in table if row.id not in used] == []
    assert used <= {row.id for row in table}


def test_the_cards_hold_every_row_and_every_labelled_equation(site, table):
    from tests.plugins.ledger import book_ledger

    rows, equations = script(site, "symbols"), script(site, "equations")
    assert set(rows) == {row.id for row in table}
    assert set(equations) == set(book_ledger(ROOT).labels(ROOT))
    for number, title, formula in equations.values():
        assert re.fullmatch(r"\([\d.]+\)", number)
        assert title
        assert formula.count("<mjx-container") == 1
    assert "<a" not in json.dumps([rows, equations])


# ------------------------------------------------------------------ in a browser


def rest_on(page, place):
    place.scroll_into_view_if_needed()
    place.hover()
    page.wait_for_selector(".gm-card")
    return page.locator(".gm-card")


def symbol(page, row: str):
    return page.locator(f".bd-article mjx-container[display=true] [data-s='{row}']").first


def test_a_mouse_that_rests_on_a_symbol_is_told_what_it_is_and_escape_closes(reader, row_of):
    page = reader().open(FORWARD)
    assert page.locator("script[src*='symbols.js'], script[src*='equations.js']").count() == 0  # only when needed
    card = rest_on(page, symbol(page, row_of(DIFFUSION, r"\bar\alpha_t")))
    assert "what is left of the data’s variance" in card.inner_text()
    assert "alpha_bar" in card.inner_text()
    card.hover()  # the card stays while the mouse is on it
    page.wait_for_timeout(600)
    assert card.count() == 1
    page.keyboard.press("Escape")
    assert card.count() == 0
    rest_on(page, symbol(page, row_of(DIFFUSION, "x_0")))
    page.mouse.move(5, 500)
    page.wait_for_function("!document.querySelector('.gm-card')")


def test_a_finger_taps_a_symbol_and_beside_it(reader, row_of):
    page = reader(width=390).open(FORWARD)
    place = symbol(page, row_of(DIFFUSION, "x_0"))
    place.scroll_into_view_if_needed()
    place.tap()
    page.wait_for_selector(".gm-card")
    assert "an example of the data" in page.locator(".gm-card").inner_text()
    box = page.locator(".gm-card").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 390
    page.locator(".bd-article h1").tap()
    assert page.locator(".gm-card").count() == 0


def test_from_the_keyboard_a_button_lists_the_symbols_of_a_formula(reader):
    page = reader().open(ELBO)
    button = page.locator("#equation-vae-elbo + button")
    assert button.bounding_box()["width"] <= 1
    page.locator("#equation-vae-elbo ~ .gm-checked").focus()
    page.keyboard.press("Shift+Tab")
    assert page.evaluate("document.activeElement.className").endswith("gm-symbols")
    assert button.bounding_box()["width"] > 100
    page.keyboard.press("Enter")
    page.wait_for_selector(".gm-card-list")
    assert button.get_attribute("aria-expanded") == "true"
    listed = page.locator("#equation-vae-elbo [data-s]").evaluate_all("s => new Set(s.map(e => e.dataset.s)).size")
    assert page.locator(".gm-card-list dt").count() == listed > 3
    page.keyboard.press("Escape")
    assert page.locator(".gm-card-list").count() == 0
    assert button.get_attribute("aria-expanded") == "false"
    assert page.evaluate("document.activeElement.className").endswith("gm-symbols")


@pytest.mark.parametrize("width", [1280, 700])
def test_a_reference_shows_its_equation_from_another_page_to_mouse_and_keyboard(reader, width):
    page = reader(width=width).open(ELBO)
    link = page.locator(".bd-article a.reference[href*='.html#equation-']").first
    label = link.get_attribute("href").split("#equation-")[1]
    assert page.locator(f"#equation-{label}").count() == 0
    card = rest_on(page, link)
    assert card.inner_text().startswith(f"Equation {link.inner_text()}, in ")
    assert card.locator("mjx-container").count() == 1
    box, formula = card.bounding_box(), card.locator(".gm-card-equation")
    assert formula.evaluate("e => e.scrollWidth <= e.clientWidth + 1")
    assert 0 <= box["x"] < box["x"] + box["width"] <= width
    page.keyboard.press("Escape")
    assert card.count() == 0
    page.keyboard.press("Tab")  # from now on the focus is seen
    link.focus()
    page.wait_for_selector(".gm-card")
    link.evaluate("e => e.blur()")
    assert card.count() == 0


def test_a_tapped_reference_is_followed_as_any_link(reader):
    page = reader(width=390).open(ELBO)
    link = page.locator(".bd-article a.reference[href*='.html#equation-']").first
    link.scroll_into_view_if_needed()
    link.tap()
    page.wait_for_url("**#equation-*")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_open_cards_break_no_rule_of_accessibility_and_are_not_printed(reader, theme, row_of):
    from axe_playwright_python.sync_playwright import Axe

    page = reader(theme=theme).open(ELBO)
    for place in (symbol(page, row_of(EVERYWHERE, "p(z)")), page.locator("a.reference[href*='#equation-']").first):
        card = rest_on(page, place)
        card.hover()  # what is pointed at has colours of its own
        assert [rule["id"] for rule in Axe().run(page, options={"preload": False}).response["violations"]] == []
        page.emulate_media(media="print")
        assert not card.is_visible()
        page.emulate_media(media="screen")
    page.mouse.move(0, 0)  # what it comes to lie on when the page scrolls is chance
    page.locator("#equation-vae-elbo + button").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector(".gm-card-list")
    assert [rule["id"] for rule in Axe().run(page, options={"preload": False}).response["violations"]] == []


# ------------------------------------------------------------------ the colours


# What is seen without one kind of cones, on linear RGB: Machado, Oliveira and Fernandes (2009), severity 1.
VISION = {
    "usual": [1, 0, 0, 0, 1, 0, 0, 0, 1],
    "protanopia": [0.152286, 1.052583, -0.204868, 0.114503, 0.786281, 0.099216, -0.003882, -0.048116, 1.051998],
    "deuteranopia": [0.367322, 0.860646, -0.227968, 0.280085, 0.672501, 0.047413, -0.011820, 0.042940, 0.968881],
    "tritanopia": [1.255528, -0.076749, -0.178779, -0.078411, 0.930809, 0.147602, 0.004733, 0.691367, 0.303900],
}
# CIEDE2000 between two large patches: 1 is just seen, and 10 at a glance.
APART = 10


def lab(colour: str, vision: list[float]) -> np.ndarray:
    """CIE L*a*b* of a colour as a kind of vision has it."""
    rgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    seen = np.clip(
        np.reshape(vision, (3, 3)) @ np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4), 0, 1
    )
    to_xyz = [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
    xyz = np.array(to_xyz) @ seen / np.array([0.95047, 1.0, 1.08883])
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def ciede2000(one: np.ndarray, other: np.ndarray) -> float:
    """The difference between two colours in L*a*b*, after Sharma, Wu and Dalal (2005)."""
    (l1, a1, b1), (l2, a2, b2) = one, other
    mean_c = (np.hypot(a1, b1) + np.hypot(a2, b2)) / 2
    g = 0.5 * (1 - np.sqrt(mean_c**7 / (mean_c**7 + 25**7)))
    c1, c2 = np.hypot(a1 * (1 + g), b1), np.hypot(a2 * (1 + g), b2)
    h1, h2 = (np.degrees(np.arctan2(b, a * (1 + g))) % 360 for a, b in ((a1, b1), (a2, b2)))
    turn = (h2 - h1 + 180) % 360 - 180 if c1 * c2 else 0.0
    d_l, d_c, d_h = l2 - l1, c2 - c1, 2 * np.sqrt(c1 * c2) * np.sin(np.radians(turn / 2))
    l_, c_ = (l1 + l2) / 2, (c1 + c2) / 2
    h_ = (h1 + turn / 2) % 360 if c1 * c2 else h1 + h2
    cosines = ((-0.17, 1, -30), (0.24, 2, 0), (0.32, 3, 6), (-0.20, 4, -63))
    t = 1 + sum(size * np.cos(np.radians(k * h_ + shift)) for size, k, shift in cosines)
    s_l = 1 + 0.015 * (l_ - 50) ** 2 / np.sqrt(20 + (l_ - 50) ** 2)
    s_c, s_h = 1 + 0.045 * c_, 1 + 0.015 * c_ * t
    turned = np.sin(np.radians(60 * np.exp(-(((h_ - 275) / 25) ** 2))))
    r = -2 * np.sqrt(c_**7 / (c_**7 + 25**7)) * turned
    x, y, z = d_l / s_l, d_c / s_c, d_h / s_h
    return float(np.sqrt(x**2 + y**2 + z**2 + r * y * z))


def test_the_difference_of_colours_is_that_of_the_published_examples():
    """From Table 1 of Sharma, Wu and Dalal: rows 1, 7, 17 and 25."""
    for one, other, difference in [
        ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
        ((50, 0, 0), (50, -1, 2), 2.3669),
        ((50, 2.5, 0), (73, 25, -18), 27.1492),
        ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
    ]:
        assert ciede2000(np.array(one), np.array(other)) == pytest.approx(difference, abs=1e-4)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_colours_are_told_apart_with_any_colour_vision(theme):
    inks = css_variables(theme)
    inks = {name: inks[name] for name in (*plots.COLOURS, "ink")}
    smallest = []
    for kind, vision in VISION.items():
        seen = {name: lab(colour, vision) for name, colour in inks.items()}
        pairs = itertools.combinations(seen, 2)
        smallest.append(min((ciede2000(seen[one], seen[other]), kind, one, other) for one, other in pairs))
    difference, kind, one, other = min(smallest)
    print(f"{theme}: the smallest difference is {difference:.1f}, of {one} and {other} with {kind}")
    assert difference >= APART
