"""The directives `derivation`, `move` and `live`, on small pages of their own."""

import pytest

from tests.book.test_ledger import ROOT, build, small_book

DERIVATION = """
# A page

See {ref}`bound`, [this step](#first) and {ref}`bound-2`.

:::::{derivation} The *bound*
:name: bound

Words before.

::::{move} Bayes' rule, $p$
:name: first
$$
a = b
$$

Allowed, since.
::::

::::{move} Logarithms
$$
= c
$$
::::

Words after.
:::::
"""


def made(tmp_path, page):
    return build(small_book(tmp_path, page, tests=""))


def test_a_derivation_is_an_ordered_list_of_linked_moves_each_with_its_reason(tmp_path):
    from bs4 import BeautifulSoup

    status, output, html = made(tmp_path, DERIVATION)
    assert status == 0, output
    page = BeautifulSoup((html / "index.html").read_text(), "html.parser")
    derivation = page.find(id="bound")
    assert derivation.find(class_="gm-derivation-title").em.text == "bound"
    moves = derivation.ol.find_all("li", recursive=False)
    assert [move["id"] for move in moves] == ["first", "bound-2"]
    for number, move in enumerate(moves, start=1):
        link = move.find(class_="gm-move-number")
        assert (link.text, link["href"]) == (str(number), f"#{move['id']}")
        assert not move.has_attr("hidden")  # all visible without JavaScript
    assert moves[0].find(class_="gm-move-reason").text.startswith("Bayes")
    assert "a = b" in moves[0].find(class_="gm-move-body").text
    assert "Allowed, since." in moves[0].find(class_="gm-move-body").text
    links = {a["href"]: a.text for a in page.find_all("a", class_="reference")}
    assert links["#bound"] == "The bound"
    assert links["#first"] == "this step"
    assert links["#bound-2"] == "step 2, Logarithms"
    ids = [tag["id"] for tag in page.find_all(id=True)]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(
    ("page", "message"),
    [
        ("::::{derivation} Empty\nWords.\n::::\n", "needs at least one {move}"),
        (":::{move} Alone\n$a$\n:::\n", "stands inside a {derivation}"),
        (
            "::::{derivation} D\n:::{move} One\n$a$\n:::\n\nWords.\n\n:::{move} Two\n$b$\n:::\n::::\n",
            "only moves may stand",
        ),
        (
            "::::{derivation} D\n:name: d\n\n:::{move} One\n:name: d\n$a$\n:::\n::::\n",
            "the name 'd' is already taken",
        ),
    ],
    ids=["no move", "no derivation", "words between moves", "a name twice"],
)
def test_a_derivation_that_makes_no_sense_fails_the_build_and_says_why(tmp_path, page, message):
    status, output, _ = made(tmp_path, "# A page\n\n" + page)
    assert status != 0
    assert message in output


# ------------------------------------------------------------------ live figures

LIVE = """
# A page

```{live} thing
:name: fig-thing
:still: still.svg
:alt: A line & "quotes".
The caption, with $x$.
```

{numref}`fig-thing` shows it.
"""


def live_book(tmp_path, page=LIVE):
    small_book(tmp_path, page, tests="")
    (tmp_path / "assets" / "js" / "live").mkdir(parents=True)
    (tmp_path / "assets" / "js" / "live" / "thing.js").write_text("// a figure\n")
    (tmp_path / "still.svg").write_text('<?xml version="1.0"?>\n<svg viewBox="0 0 1 1"><path d="M0 0"/></svg>\n')
    with (tmp_path / "conf.py").open("a") as conf:
        conf.write('extensions.append("live")\nhtml_static_path = ["assets"]\nnumfig = True\n')
    return tmp_path


def test_a_live_figure_holds_its_still_and_loads_its_script_on_its_own_page_only(tmp_path):
    from bs4 import BeautifulSoup

    status, output, html = build(live_book(tmp_path))
    assert status == 0, output
    page = BeautifulSoup((html / "index.html").read_text(), "html.parser")
    figure = page.find("figure", id="fig-thing")
    still = figure.find(attrs={"data-live": "thing"}).find(attrs={"role": "img"})
    assert still["aria-label"] == 'A line & "quotes".'
    assert still.svg.path is not None
    assert "The caption" in figure.figcaption.text
    assert page.find("a", class_="reference", href="#fig-thing").text == "Fig. 1"
    assert page.find("script", src=lambda src: src and "live/thing.js" in src)
    assert "live/thing.js" not in (html / "ledger.html").read_text()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ((":still: still.svg\n", ""), "needs :still:"),
        ((':alt: A line & "quotes".\n', ""), "needs :alt:"),
        (("still.svg", "other.svg"), "its still cannot be read"),
        (("{live} thing", "{live} other"), "has no script"),
        (("{live} thing", "{live} ../thing"), "is named in lower-case letters"),
    ],
    ids=["no still", "no alt", "missing still", "missing script", "a path for a name"],
)
def test_a_live_figure_that_lacks_something_fails_the_build_and_says_what(tmp_path, change, message):
    status, output, _ = build(live_book(tmp_path, LIVE.replace(*change)))
    assert status != 0
    assert message in output


def test_stills_are_up_to_date():
    """They are drawn by a command from `genmodels`: the files are what it would write today."""
    import importlib.util

    spec = importlib.util.spec_from_file_location("stills", ROOT / "tools" / "stills.py")
    stills = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(stills)
    for name, draw in stills.DRAWINGS.items():
        assert (stills.STILLS / f"{name}.svg").read_text(encoding="utf-8") == draw()


def test_docstrings_link_to_equations_and_name_only_those_that_exist():
    import sys

    sys.path.insert(0, str(ROOT / "book" / "_ext"))
    try:
        from docstrings import rewrite
    finally:
        sys.path.remove(str(ROOT / "book" / "_ext"))
    known = {"vae-elbo", "vae-gap"}
    text, unknown = rewrite(
        "Equation ``vae-elbo``. Shape (B, *data_shape), *so*. ``vae-gap``; equations ``no-such``.", known
    )
    assert text == r"Equation :eq:`vae-elbo`. Shape (B, \*data_shape), *so*. :eq:`vae-gap`; equations ``no-such``."
    assert unknown == ["no-such"]
