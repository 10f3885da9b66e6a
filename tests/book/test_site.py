"""The built pages as files: links, ids, descriptions, the ledger's marks, and nothing from another host."""

import pkgutil
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from bs4 import BeautifulSoup

import genmodels
from genmodels import plots
from tests.plugins.ledger import book_ledger
from tools.check_book import poor_alt
from tools.mend_pages import PLAIN

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def soups(site) -> dict[Path, BeautifulSoup]:
    paths = [path for path in site.rglob("*.html") if "_static" not in path.parts and path != site / "index.html"]
    # Without formulas and the points of figures, which are most of a page and hold neither ids nor links.
    small = {
        path: re.sub(r"(?s)<mjx-container .*?</mjx-container>|<use [^>]*>", "", path.read_text("utf-8"))
        for path in paths
    }
    return {path: BeautifulSoup(text, "html.parser") for path, text in small.items()}


def test_labels_that_the_scanner_finds_are_those_that_sphinx_numbered(soups):
    seen = [
        box["id"].removeprefix("equation-") for soup in soups.values() for box in soup.select("div.math[id^=equation-]")
    ]
    assert sorted(seen) == sorted(book_ledger(ROOT).labels(ROOT))
    assert seen


def test_every_page_chooses_light_or_dark_before_it_is_drawn(soups):
    for path, soup in soups.items():
        (script,) = [script.text for script in soup.head.select("script") if "dataset.theme" in script.text]
        assert "prefers-color-scheme" in script, path  # or the theme's own script has changed


def test_every_labelled_equation_has_its_mark_and_its_entry_with_a_tests_source(soups):
    (ledger,) = [soup for path, soup in soups.items() if path.name == "ledger.html"]
    for soup in soups.values():
        for box in soup.select("div.math[id^=equation-]"):
            mark = box.parent.find("a", class_="gm-checked")
            entry = ledger.find(id=urlsplit(mark["href"]).fragment)
            assert "def test_" in entry.find("details").get_text()


def test_addresses_within_the_book_lead_somewhere(soups):
    ids = {path: {tag["id"] for tag in soup.find_all(id=True)} for path, soup in soups.items()}
    broken = []
    for path, soup in soups.items():
        addresses = {tag.get("href", tag.get("src")) for tag in soup.select("[href], [src]")}
        for address in addresses - {"#"}:
            parts = urlsplit(address)
            if parts.scheme:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.exists() or (parts.fragment and target in ids and unquote(parts.fragment) not in ids[target]):
                broken.append(f"{path.name}: {address}")
    assert not broken


def test_every_image_and_figure_says_in_words_what_it_shows(soups):
    drawn = 0
    for path, soup in soups.items():
        article = soup.select_one(".bd-article") or soup
        for image in article.select("img, .gm-plot > svg, .gm-still"):
            alt = image.get("alt") if image.name == "img" else image.get("aria-label")
            assert not poor_alt(alt), f"{path.name}: {alt!r}"
            drawn += 1
    assert drawn > 50


def test_every_live_figure_has_a_still_for_those_without_javascript(soups):
    stages = [stage for soup in soups.values() for stage in soup.select("[data-live]")]
    assert len(stages) > 10
    assert all(stage.select_one(".gm-still > svg") for stage in stages)


def test_words_of_code_that_are_left_plain_have_the_colour_of_the_ground_text(site):
    css = (site / "_static" / "pygments.css").read_text(encoding="utf-8")
    plain = re.search(r"\(\?:([\w|]+)\)", PLAIN.pattern)[1].split("|")
    for theme in ("light", "dark"):
        colours = dict(
            re.findall(rf'^html\[data-theme="{theme}"\] \.highlight ?(\.\w+)? {{[^}}]*\bcolor: (#\w+) }}', css, re.M)
        )
        assert {colours.get(f".{word}") for word in plain} == {colours[""]}


def test_ids_are_unique(soups):
    for path, soup in soups.items():
        ids = [tag["id"] for tag in soup.find_all(id=True)]
        assert not {name for name in ids if ids.count(name) > 1}, path


def test_every_page_has_a_description(soups):
    for path, soup in soups.items():
        description = soup.find("meta", attrs={"name": "description"})
        assert description, path
        assert description["content"].strip(), path


def test_every_page_of_the_contents_has_a_title_and_its_own_description(site, soups):
    descriptions = []
    for page in book_ledger(ROOT).pages(ROOT):
        soup = soups[site / page.relative_to(ROOT).with_suffix(".html")]
        assert soup.title.text.strip()
        description = soup.find("meta", attrs={"name": "description"})
        assert description, page
        descriptions.append(description["content"])
    assert len(descriptions) == len(set(descriptions))


def test_every_public_module_of_genmodels_has_a_page_made_from_its_docstrings():
    modules = {m.name for m in pkgutil.iter_modules(genmodels.__path__) if not m.name.startswith("_")}
    pages = {page.stem for page in book_ledger(ROOT).pages(ROOT) if page.parent.name == "api"} - {"index"}
    assert pages == modules


def test_pages_load_nothing_from_another_host(soups):
    for path, soup in soups.items():
        for tag in soup.select("script[src], img[src], iframe[src], link[href]"):
            address = tag.get("src") or tag["href"]
            assert not urlsplit(address).netloc, f"{path.name} loads {address}"


# ------------------------------------------------------------------ colours


def css_variables(theme: str) -> dict[str, str]:
    css = (ROOT / "book" / "assets" / "css" / "book.css").read_text(encoding="utf-8")
    selector = r"^html \{" if theme == "light" else r'^html\[data-theme="dark"\] \{'
    block = re.search(selector + r"(.*?)\}", css, re.DOTALL | re.MULTILINE)[1]
    return dict(re.findall(r"--gm-([\w-]+): (#[0-9a-f]{6});", block))


def luminance(colour: str) -> float:
    channels = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_the_style_sheet_and_the_plots_have_the_same_colours():
    light = css_variables("light")
    assert {name: light[name] for name in plots.COLOURS} == plots.COLOURS
    assert (light["ink"], light["grid"]) == (plots.INK, plots.GRID)
    assert set(css_variables("dark")) == set(light)


@pytest.mark.parametrize(("theme", "ground"), [("light", "#ffffff"), ("dark", "#14181e")])
def test_inks_are_readable_on_the_page(theme, ground):
    inks = css_variables(theme)
    for name in (*plots.COLOURS, "ink", "muted"):
        assert contrast(inks[name], ground) >= 4.5, name


def test_the_measure_of_contrast_knows_black_on_white():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
