"""The book on paper: the joined page, the PDF that is printed from it, and each page as a reader prints it."""

import html as markup
import os
import re
from collections import Counter
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest
from pypdf import PdfReader

from tests.book.test_ledger import ROOT
from tools import make_pdf
from tools.make_pdf import Page, Rewriter, in_words, with_words

PAGES = [Page("book/0-map/taxonomy", part="The map"), Page("book/1-vae/elbo")]
A4_LESS_MARGINS = 665  # CSS pixels

# What is seen and runs out of the article on either side. Of a drawing only its letters count: it cuts curves itself.
OUTSIDE = """() => {
    const article = document.querySelector(".bd-article"), frame = article.getBoundingClientRect();
    const runsOut = element => {
        const box = element.getBoundingClientRect();
        return box.width > 0 && (box.right > frame.right + 1 || box.left < frame.left - 1);
    };
    return [...article.querySelectorAll("*")]
        .filter(element => !element.closest(".gm-hidden, mjx-assistive-mml"))
        .filter(element => !element.parentElement.closest("svg") || element.tagName === "text")
        .filter(runsOut)
        .map(element => `${element.tagName} in #${element.closest("[id]")?.id}: ${element.textContent.slice(0, 40)}`);
}"""


def rewritten(text: str, page: Page = PAGES[1]) -> str:
    rewriter = Rewriter(page, {each.name: each.slug for each in PAGES}, "../html")
    rewriter.feed(text)
    rewriter.close()
    return "".join(rewriter.out)


# ------------------------------------------------------------------ one page out of many


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('<p id="a">x &lt; &#955;</p>', '<p id="1-vae-elbo--a">x &lt; &#955;</p>'),
        ('<a href="#a">here</a>', '<a href="#1-vae-elbo--a">here</a>'),
        ('<a href="../0-map/taxonomy.html#b">there</a>', '<a href="#0-map-taxonomy--b">there</a>'),
        ('<a href="../0-map/taxonomy.html">there</a>', '<a href="#0-map-taxonomy">there</a>'),
        ('<a class="x" href="../../genindex.html#B">not printed</a>', '<a class="x">not printed</a>'),
        ('<a href="https://arxiv.org/abs/1312.6114">out</a>', '<a href="https://arxiv.org/abs/1312.6114">out</a>'),
        ('<img loading="lazy" src="../../_images/a%20b.png"/>', '<img src="../html/_images/a b.png"/>'),
        ('<path clip-path="url(#c)"/><use xlink:href="#d"/>',
         '<path clip-path="url(#1-vae-elbo--c)"/><use xlink:href="#1-vae-elbo--d"/>'),
        ('<i aria-labelledby="a b"></i>', '<i aria-labelledby="1-vae-elbo--a 1-vae-elbo--b"></i>'),
        ("<details><summary>Why?</summary></details>", '<details open=""><summary>Why?</summary></details>'),
        ("<h1>Bound</h1><h2>Gap</h2>", "<h2>Bound</h2><h3>Gap</h3>"),
        ('<a title="&quot;A&quot; &amp; B" href="#a">c</a>',
         '<a title="&quot;A&quot; &amp; B" href="#1-vae-elbo--a">c</a>'),
    ],
)  # fmt: skip
def test_ids_links_and_headings_of_a_page_fit_the_joined_page(before, after):
    assert rewritten(before) == after


@pytest.fixture(scope="module")
def joined(site) -> str:
    """The whole book as one page."""
    return make_pdf.join(site, make_pdf.pages_of(ROOT), "HTML")


def test_every_page_is_in_the_book_once_and_in_the_order_of_the_contents(joined):
    from sphinx_external_toc.parsing import parse_toc_yaml

    order = [name.removeprefix("book/").replace("/", "-") for name in parse_toc_yaml(ROOT / "_toc.yml")]
    assert re.findall(r'<div class="gm-chapter[^>]* id="([^"]*)"', joined) == order
    contents = re.search(r"<nav class=.gm-contents.*?</nav>", joined, re.DOTALL)[0]
    assert re.findall(r'href="#([^"]*)"', contents) == order


def test_every_link_within_the_joined_page_leads_somewhere_and_no_id_stands_twice(joined):
    ids = Counter(re.findall(r'<[^<>]*?\sid="([^"]*)"', joined))
    assert [name for name, count in ids.items() if count > 1] == []
    targets = {markup.unescape(name) for name in ids}
    links = {markup.unescape(link) for link in re.findall(r'\shref="#([^"]*)"', joined)}
    assert len(links) > 500
    assert sorted(links - targets) == []


def test_the_joined_page_asks_for_nothing_that_is_not_there(joined, site):
    files = set(re.findall(r'(?:src|href)="HTML/([^"?]*)', joined))
    assert "_static/styles/bundle.css" in files
    assert sorted(file for file in files if not (site / unquote(file)).is_file()) == []
    others = re.findall(r'<[^<>]*\s(?:src|href)="(?!#|HTML/|data:|https?:|mailto:)([^"]*)"', joined)
    assert others == []


# ------------------------------------------------------------------ formulas in words


@pytest.mark.parametrize(
    ("mathml", "words"),
    [
        ("<mi>log</mi><mo>&#x2061;</mo><msub><mi>p</mi><mi>θ</mi></msub><mo>(</mo><mi>x</mi><mo>∣</mo><mi>z</mi><mo>)</mo>",
         "log p_θ(x ∣ z)"),
        ("<mo>=</mo><mo>−</mo><mfrac><mn>1</mn><mrow><mn>2</mn><mi>π</mi></mrow></mfrac><mi>x</mi>", "= −1/(2π) x"),
        ("<mo>(</mo><mo>−</mo><mi>x</mi><mo>)</mo>", "(−x)"),
        ("<msqrt><msub><mover><mi>α</mi><mo>¯</mo></mover><mi>t</mi></msub></msqrt>", "√(α\u0304_t)"),
        ("<msubsup><mi>σ</mi><mi>q</mi><mn>2</mn></msubsup><mi>y</mi>", "σ_q^2 y"),
        ("<mtable><mtr><mtd><mi>a</mi></mtd><mtd><mo>=</mo><mi>b</mi></mtd></mtr><mtr><mtd><mi>c</mi></mtd></mtr></mtable>",
         "a = b; c"),
    ],
)  # fmt: skip
def test_a_formula_in_words(mathml, words):
    assert (
        in_words(ElementTree.fromstring(f'<math xmlns="http://www.w3.org/1998/Math/MathML">{mathml}</math>')) == words
    )


def test_what_is_drawn_carries_the_words_and_the_mathml_beside_it_is_gone():
    formula = (
        '<mjx-container jax="CHTML"><mjx-math class="M" aria-hidden="true"><mjx-c></mjx-c></mjx-math>'
        "<mjx-assistive-mml><math><mi>a</mi><mo>&lt;</mo><mi>b</mi></math></mjx-assistive-mml></mjx-container>"
    )
    assert with_words(f"<p>{formula}</p>") == (
        '<p><mjx-container jax="CHTML" role="img" aria-label="a &lt; b"><mjx-math class="M">'
        "<mjx-c></mjx-c></mjx-math></mjx-container></p>"
    )


# ------------------------------------------------------------------ the PDF


@pytest.fixture(scope="module")
def source(site, tmp_path_factory):
    """Two chapters as one page: with a derivation, folds, code, a live figure, plots, and a title of two lines."""
    folder = tmp_path_factory.mktemp("pdf")
    path = folder / "two.html"
    text = make_pdf.join(site, PAGES, os.path.relpath(site, folder).replace(os.sep, "/"))
    longer = text.replace("A ruler for distributions", "A ruler for distributions" + " of this kind and of that" * 4)
    assert longer != text
    path.write_text(longer, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def pdf(browser, source) -> PdfReader:
    make_pdf.print_pdf(browser, source, source.with_suffix(".pdf"))
    return PdfReader(source.with_suffix(".pdf"))


def structure(pdf: PdfReader):
    """Each element of the tree of tags."""
    waiting = [pdf.trailer["/Root"]["/StructTreeRoot"]]
    while waiting:
        element = waiting.pop().get_object()
        if isinstance(element, list):
            waiting.extend(element)
        elif hasattr(element, "get"):
            yield element
            if "/K" in element:
                waiting.append(element["/K"])


def outline(pdf: PdfReader) -> list[tuple[int, str, int]]:
    """Depth, title and paper page of each entry."""

    def flat(entries, depth):
        for entry in entries:
            if isinstance(entry, list):
                yield from flat(entry, depth + 1)
            else:
                yield depth, " ".join(entry.title.split()), pdf.get_destination_page_number(entry) + 1

    return list(flat(pdf.outline, 1))


def test_the_pdf_is_tagged_and_says_its_title_and_language(pdf):
    root = pdf.trailer["/Root"]
    assert root["/MarkInfo"]["/Marked"]
    assert root["/Lang"] == "en"
    assert pdf.metadata.title == "Deep generative models: a course companion"
    kinds = Counter(element.get("/S") for element in structure(pdf))
    assert {"/H1", "/H2", "/H3", "/P", "/Figure", "/Link", "/Code", "/Table" if "/Table" in kinds else "/P"} <= set(
        kinds
    )


def test_the_outline_has_each_heading_in_order(pdf, source):
    headings = re.findall(r"<h([1-6])\b[^>]*>(.*?)</h\1>", source.read_text(encoding="utf-8"), re.DOTALL)
    plain = [re.sub(r"<[^>]*>", "", re.sub(r'<a class="headerlink".*?</a>', "", text)) for _, text in headings]
    expected = [
        (int(level), " ".join(markup.unescape(text).split())) for (level, _), text in zip(headings, plain, strict=True)
    ]
    assert len(expected) > 10
    assert [(depth, title) for depth, title, _ in outline(pdf)] == expected


def test_the_contents_say_on_which_page_a_chapter_begins(pdf):
    contents = " ".join(pdf.pages[1].extract_text().split())
    chapters = [(title, page) for depth, title, page in outline(pdf) if depth == 2]
    assert len(chapters) == len(PAGES)
    for title, page in chapters:
        assert f"{title} {page}" in contents
        assert pdf.pages[page - 1].extract_text().split()[0] == str(page)  # as printed at its foot


def test_formulas_can_be_found_and_listened_to(pdf):
    words = [element["/Alt"] for element in structure(pdf) if "/Alt" in element]
    assert "D_KL(q ∥ p) ≥ 0," in words
    assert any(text.startswith("Three bell curves") or "bell" in text for text in words)  # the figure's still
    drawn = re.sub(r"\s", "", "".join(page.extract_text() for page in pdf.pages))
    assert "logpθ(x)−L(x;θ,ϕ)=DKL(qϕ(z∣x)∥pθ(z∣x))" in drawn


def test_links_lead_within_the_pdf_or_out_into_the_web_and_not_to_this_machine(pdf):
    within, out = 0, set()
    for page in pdf.pages:
        for note in (each.get_object() for each in page.get("/Annots", [])):
            if "/Dest" in note:
                within += 1
                assert f"{note['/Dest']}" in pdf.named_destinations
            else:
                out.add(note["/A"]["/URI"])
    assert within > 20
    assert [uri for uri in out if not uri.startswith(("https://", "http://")) or "127.0.0.1" in uri] == []


def test_every_font_is_in_the_file(pdf):
    fonts = {}
    for page in pdf.pages:
        for font in page["/Resources"].get("/Font", {}).values():
            font = font.get_object()
            fonts[font.get("/BaseFont", id(font))] = font
    assert len(fonts) > 3
    for name, font in fonts.items():
        if font["/Subtype"] == "/Type3":  # drawn letter by letter: MathJax's fonts
            assert len(font["/CharProcs"]) > 0
        else:
            descriptor = font["/DescendantFonts"][0]["/FontDescriptor"]
            assert {"/FontFile", "/FontFile2", "/FontFile3"} & set(descriptor), name


@pytest.fixture
def paper(browser, source):
    """The joined page of two chapters as it is laid out on paper."""
    page = browser.new_page(viewport={"width": A4_LESS_MARGINS, "height": 900})
    page.goto(source.as_uri())
    page.emulate_media(media="print")
    yield page
    page.close()


def test_a_formula_wider_than_the_paper_is_set_smaller_and_others_are_not(paper):
    # Its size against the text's, how wide it is drawn, and how wide the line is, up to the number at its end.
    measure = """id => {
        const line = document.getElementById(id), formula = line.querySelector("mjx-container");
        const size = element => parseFloat(getComputedStyle(element).fontSize);
        const box = element => element.getBoundingClientRect();
        return [size(formula) / size(line), box(formula.firstElementChild).width,
            box(line.querySelector(".eqno")).left - box(line).left];
    }"""
    paper.set_viewport_size({"width": 794, "height": 900})  # narrower, the number would stand below the formula
    paper.evaluate("""() => {
        const formula = document.querySelector(".gm-equation > div.math");
        formula.id = "plain";
        const wide = formula.cloneNode(true);
        wide.id = "wide";
        const math = wide.querySelector("mjx-math");
        math.style.whiteSpace = "nowrap";
        for (let i = 0; i < 3; i++) math.append(...[...math.children].map(child => child.cloneNode(true)));
        formula.after(wide);
    }""")
    _, drawn, line = paper.evaluate(measure, "wide")
    assert drawn > 1.1 * line
    paper.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    size, drawn, line = paper.evaluate(measure, "wide")
    assert size < 1.1
    assert 0.75 * line < drawn < line
    assert paper.evaluate(measure, "plain")[0] > 1.2


@pytest.mark.slow
def test_nothing_in_the_whole_book_runs_out_of_the_paper(browser, joined, site, tmp_path):
    path = tmp_path / "all.html"
    path.write_text(joined.replace('"HTML/', f'"{site.as_uri()}/'), encoding="utf-8")
    page = browser.new_page(viewport={"width": A4_LESS_MARGINS, "height": 900})
    page.set_default_timeout(300_000)
    page.goto(path.as_uri())
    page.emulate_media(media="print")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate("document.querySelectorAll('.gm-chapter').length") == len(make_pdf.pages_of(ROOT))
    assert page.evaluate(OUTSIDE) == []
    page.close()


# ------------------------------------------------------------------ a page that a reader prints


def test_a_page_prints_light_and_open_without_the_site_around_it(reader):
    page = reader(theme="dark").open("book/1-vae/elbo")
    before = page.evaluate(
        "[document.documentElement.dataset.theme, document.querySelectorAll('details[open]').length]"
    )
    assert before[0] == "dark"
    page.set_viewport_size({"width": A4_LESS_MARGINS, "height": 900})
    page.emulate_media(media="print")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    ink, ground = page.evaluate("""() => [getComputedStyle(document.querySelector(".bd-article p")).color,
        getComputedStyle(document.body).backgroundColor].map(colour => colour.match(/\\d+/g).map(Number))""")
    assert max(ink) < 80
    assert ground == [255, 255, 255]
    assert page.evaluate("document.querySelectorAll('.bd-article details:not([open])').length") == 0
    around = "header, footer, dialog, .bd-sidebar-primary, .bd-sidebar-secondary, .headerlink, button, input"
    seen = page.evaluate(
        """around => [...document.querySelectorAll(around)].filter(element => element.getClientRects().length)
            .map(element => element.outerHTML.slice(0, 80))""",
        around,
    )
    assert seen == []
    assert page.evaluate(OUTSIDE) == []
    page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert before == page.evaluate(
        "[document.documentElement.dataset.theme, document.querySelectorAll('details[open]').length]"
    )
