"""The whole book as one PDF: what `make pdf` runs, after `make book`.

    python tools/make_pdf.py                      every page of _toc.yml, in its order
    python tools/make_pdf.py book/1-vae/elbo      these pages only
    python tools/make_pdf.py --html elsewhere     another build

The pages of _build/html become one: `join` gives every id the name of its page, turns links between pages into links
within the one, opens what is folded and leaves out the site around the text. Headless Chromium prints that page with
tags (for those who listen, and for search), an outline, and its fonts; once more before that, since only then is it
known on which paper page each chapter begins, which the contents say. The page's style is `tools/pdf.css` on top of
the book's own, and its one script, `book/assets/js/book.js`, does what it does when a reader prints a page.
"""

from __future__ import annotations

import argparse
import html as markup
import io
import posixpath
import re
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree

import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from tools.check_book import chromium  # noqa: E402

STYLE = Path(__file__).with_name("pdf.css")
# Attributes that hold one id of the same page, and those that hold several.
ONE_ID = {"id", "for"}
SEVERAL_IDS = {"aria-labelledby", "aria-describedby", "aria-controls", "aria-owns", "aria-details", "headers"}
ADDRESSES = {"href", "src", "xlink:href", "poster", "data"}


# ------------------------------------------------------------------ which pages


@dataclass(frozen=True)
class Page:
    """A page of the book: its name in _toc.yml, the part that it opens, how deep its title stands in the outline."""

    name: str
    part: str = ""
    level: int = 2

    @property
    def slug(self) -> str:
        """What stands before each of its ids."""
        return self.name.removeprefix("book/").replace("/", "-")


def pages_of(root: Path) -> list[Page]:
    """The pages of `_toc.yml` in reading order."""
    from sphinx_external_toc.parsing import parse_toc_yaml

    toc = parse_toc_yaml(root / "_toc.yml")

    def below(name: str, level: int) -> Iterable[Page]:
        for tree in toc[name].subtrees:
            part = tree.caption or ""
            for item in map(str, tree.items):
                yield Page(item, part, level)
                yield from below(item, level + 1)
                part = ""

    return [Page(toc.root.docname, level=1), *below(toc.root.docname, 2)]


# ------------------------------------------------------------------ one page out of many


class Rewriter(HTMLParser):
    """Copies the article of a page, with ids and addresses as they must be in the joined page.

    ``names`` are the slugs of the pages that are joined; a link to anything else of the site, which is not on paper,
    becomes plain text. ``base`` leads from the joined page to the site's folder.
    """

    def __init__(self, page: Page, names: dict[str, str], base: str):
        super().__init__(convert_charrefs=False)
        self.page, self.names, self.base = page, names, base
        self.out: list[str] = []

    def handle_starttag(self, tag, attributes):
        self._start(tag, attributes, ">")

    def handle_startendtag(self, tag, attributes):
        self._start(tag, attributes, "/>")

    def handle_endtag(self, tag):
        self.out.append(f"</{self._deeper(tag)}>")

    def handle_data(self, data):
        self.out.append(data)

    def handle_entityref(self, name):
        self.out.append(f"&{name};")

    def handle_charref(self, name):
        self.out.append(f"&#{name};")

    def unknown_decl(self, data):
        self.out.append(f"<![{data}]>")

    def _start(self, tag: str, attributes: list[tuple[str, str | None]], end: str) -> None:
        after = [(name, self._attribute(name, value)) for name, value in attributes]
        if tag == "a":
            after = [(name, value) for name, value in after if (name, value) != ("href", None)]
        if tag == "details" and "open" not in dict(attributes):
            after.append(("open", ""))
        if tag == "img":  # on paper nothing comes into sight later
            after = [(name, value) for name, value in after if name != "loading"]
        written = self._deeper(tag)
        if after == attributes and written == tag:
            self.out.append(self.get_starttag_text() or "")
        else:
            texts = (name if value is None else f'{name}="{markup.escape(value)}"' for name, value in after)
            self.out.append(f"<{' '.join([written, *texts])}{end}")

    def _deeper(self, tag: str) -> str:
        """Headings go down: a part of the book stands above its chapters."""
        if len(tag) == 2 and tag[0] == "h" and tag[1] in "123456":
            return f"h{min(6, int(tag[1]) + self.page.level - 1)}"
        return tag

    def _attribute(self, name: str, value: str | None) -> str | None:
        if value is None:
            return None
        if name in ONE_ID:
            return self._named(value)
        if name in SEVERAL_IDS:
            return " ".join(map(self._named, value.split()))
        if name in ADDRESSES:
            return self._address(value)
        if "url(#" in value:
            return re.sub(r"url\(#([^)]*)\)", lambda found: f"url(#{self._named(found[1])})", value)
        return value

    def _named(self, name: str) -> str:
        return f"{self.page.slug}--{name}"

    def _address(self, address: str) -> str | None:
        """Where a link leads or a file lies, seen from the joined page; None if that is not in it."""
        parts = urlsplit(address)
        if parts.scheme or parts.netloc:
            return address
        path = posixpath.normpath(posixpath.join(posixpath.dirname(self.page.name), unquote(parts.path)))
        if not parts.path:
            slug = self.page.slug
        elif not path.endswith(".html"):
            return f"{self.base}/{path}"
        elif path.removesuffix(".html") in self.names:
            slug = self.names[path.removesuffix(".html")]
        else:
            return None
        return f"#{slug}--{unquote(parts.fragment)}" if parts.fragment else f"#{slug}"


def article(text: str, name: str) -> str:
    """The text of a page, without the site around it, and its formulas with their words."""
    found = re.search(r'<article class="bd-article">(.*)</article>', text, re.DOTALL)
    if found is None:
        raise ValueError(f"{name}.html has no article: was it built by tools/build_book.py?")
    return with_words(found[1])


def title_of(text: str, name: str) -> str:
    """The heading of an article as HTML, without the link to itself."""
    found = re.search(r"<h1>(.*?)</h1>", text, re.DOTALL)
    if found is None:
        raise ValueError(f"{name}.html has no title")
    return re.sub(r'<a class="headerlink".*?</a>', "", found[1], flags=re.DOTALL)


def join(html: Path, pages: list[Page], base: str) -> str:
    """One page of the built book's pages; ``base`` leads from it to their folder."""
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    title, author = markup.escape(config["title"]), markup.escape(config["author"])
    names = {page.name: page.slug for page in pages}
    contents, chapters = [], []
    for page in pages:
        text = article((html / f"{page.name}.html").read_text(encoding="utf-8"), page.name)
        rewriter = Rewriter(page, names, base)
        rewriter.feed(text)
        rewriter.close()
        part = markup.escape(page.part)
        contents.append(
            (f'<p class="gm-contents-part">{part}</p>' if part else "")
            + f'<p class="gm-level-{page.level}"><a href="#{page.slug}">'
            f"<span>{title_of(text, page.name)}</span>"
            '<span class="gm-dots"></span><span class="gm-number"></span></a></p>'
        )
        chapters.append(
            f'<div class="gm-chapter gm-level-{page.level}" id="{page.slug}">'
            + (f'<h1 class="gm-part">{part}</h1>' if part else "")
            + f"{''.join(rewriter.out)}</div>"
        )
    return f"""<!DOCTYPE html>
<html lang="{config["sphinx"]["config"]["language"]}" data-theme="light">
<head>
<meta charset="utf-8" />
<title>{title}</title>
<link rel="stylesheet" href="{base}/_static/styles/bundle.css" />
<style>{STYLE.read_text(encoding="utf-8")}</style>
<script defer src="{base}/_static/js/book.js"></script>
</head>
<body class="gm-book">
<main class="bd-main"><div class="bd-content"><div class="bd-article-container"><article class="bd-article">
<div class="gm-title"><p class="gm-title-name">{title}</p><p>{author}</p>
<p class="gm-title-foot">{date.today():%d %B %Y}. Prose and figures: CC BY 4.0. Code: BSD 3-Clause.</p></div>
<nav class="gm-contents" aria-label="Contents"><h1>Contents</h1>{"".join(contents)}</nav>
{"".join(chapters)}
</article></div></div></main>
</body>
</html>
"""


# ------------------------------------------------------------------ formulas in words

# Marks that MathML sets above a letter, as Unicode sets them after it.
ACCENTS = {"^": "\u0302", "~": "\u0303", "¯": "\u0304", "‾": "\u0304", "―": "\u0304", "˙": "\u0307", "→": "\u20d7"}
BRACKETS = set("()[]{}⟨⟩|‖!′.")
UNSEEN = {"\u2061": " ", "\u2062": "", "\u2063": "", "\u2064": ""}  # function of, times, separator, plus


def with_words(text: str) -> str:
    """Formulas whose drawing is what carries the alternative text: a PDF has no MathML beside what is drawn."""

    def name(found: re.Match[str]) -> str:
        words = markup.escape(in_words(ElementTree.fromstring(found[3])))
        drawn = found[2].replace(' aria-hidden="true"', "", 1)
        return f'{found[1]} role="img" aria-label="{words}">{drawn}</mjx-container>'

    return re.sub(
        r"(<mjx-container\b[^>]*)>((?:(?!</mjx-container>).)*?)<mjx-assistive-mml>(.*?)</mjx-assistive-mml></mjx-container>",
        name,
        text,
        flags=re.DOTALL,
    )


def in_words(math: ElementTree.Element) -> str:
    """A formula on one line, such as log p_θ(x ∣ z) ≥ -(x - μ)^2/(2 σ^2)."""
    words = re.sub(r"\s+", " ", _words(math)).strip()
    words = re.sub(r"(?<=[(\[{]) | (?=[)\],;])", "", words)
    return re.sub(r"(^|[(\[{;=≤≥≈<>∼∝] ?)([−+]) ", r"\1\2", words)  # a sign, not a difference


def _words(node: ElementTree.Element) -> str:
    tag, text = node.tag.rpartition("}")[2], (node.text or "").strip()
    parts = [_words(child) for child in node]
    for i, child in enumerate(node[:-1]):  # a power ends before the next letter
        if child.tag.endswith(("sub", "sup", "frac")) and re.match(r"\w|√", parts[i + 1]):
            parts[i + 1] = " " + parts[i + 1]
    if tag == "mo":
        return UNSEEN.get(text, text if text in BRACKETS else f"{text} " if text == "," else f" {text} ")
    if tag in ("mi", "mn", "mtext", "ms"):
        return f" {text} " if len(text) > 1 and tag != "mn" else text
    if tag in ("mspace", "mphantom"):
        return " "
    if tag in ("msub", "munder"):
        return f"{parts[0]}_{_one(parts[1])}"
    if tag == "mover" and parts[1].strip() in ACCENTS:
        return f"{parts[0].strip()}{ACCENTS[parts[1].strip()]}"
    if tag in ("msup", "mover"):
        return f"{parts[0]}{parts[1].strip()}" if parts[1].strip() == "′" else f"{parts[0]}^{_one(parts[1])}"
    if tag in ("msubsup", "munderover"):
        return f"{parts[0]}_{_one(parts[1])}^{_one(parts[2])}"
    if tag == "mfrac":
        return f"{_one(parts[0])}/{_one(parts[1])}"
    if tag == "msqrt":
        return f"√{_one(''.join(parts))}"
    if tag == "mroot":
        return f"root {_one(parts[1])} of {_one(parts[0])}"
    if tag in ("mtr", "mlabeledtr", "mtd", "mtable"):
        return {"mtd": "", "mtable": "; "}.get(tag, " ").join(parts)
    return "".join(parts)


def _one(words: str) -> str:
    """In brackets, unless it is one name or number."""
    words = words.strip()
    return words if re.fullmatch(r"\d+|[^\W\d_]+[\u0300-\u036f]?|\W", words) else f"({words})"


# ------------------------------------------------------------------ printing


NUMBER_CONTENTS = """numbers => {
    for (const row of document.querySelectorAll(".gm-contents a")) {
        row.querySelector(".gm-number").textContent = numbers[row.hash.slice(1)];
    }
}"""


def print_pdf(browser, source: Path, target: Path) -> None:
    """Print the joined page, twice: Chromium can't say on which paper page a chapter is, except by printing."""
    page = browser.new_page(color_scheme="light", reduced_motion="reduce")
    page.set_default_timeout(600_000)
    failed: list[str] = []
    page.on("requestfailed", lambda request: failed.append(request.url))
    page.goto(source.as_uri(), wait_until="load")
    page.evaluate("document.fonts.ready.then(() => true)")
    if failed:
        raise FileNotFoundError(f"the joined page asks for what is not there: {sorted(set(failed))}")
    draft = page.pdf(prefer_css_page_size=True)
    page.evaluate(NUMBER_CONTENTS, first_pages(draft))
    page.pdf(path=target, prefer_css_page_size=True, print_background=True, tagged=True, outline=True)
    page.close()


def first_pages(pdf: bytes) -> dict[str, int]:
    """The number of the paper page, from 1, of each id that a link of the PDF leads to."""
    from pypdf import PdfReader

    reader = PdfReader(io.BytesIO(pdf))
    numbers = {name: reader.get_destination_page_number(place) for name, place in reader.named_destinations.items()}
    return {name.removeprefix("/"): number + 1 for name, number in numbers.items() if number is not None}


def make(html: Path, pages: list[Page], target: Path) -> None:
    """Join the pages and print them to ``target``; the joined page stays beside it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    source = target.with_suffix(".html")
    base = posixpath.relpath(html.resolve().as_posix(), target.parent.resolve().as_posix())
    source.write_text(join(html, pages, base), encoding="utf-8")
    with chromium() as browser:
        print_pdf(browser, source, target)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pages", nargs="*", help="pages as _toc.yml names them; all if none is given")
    parser.add_argument("--html", type=Path, default=ROOT / "_build" / "html", help="the folder of the built book")
    options = parser.parse_args(arguments)

    started = time.monotonic()
    pages = pages_of(ROOT)
    unknown = set(options.pages) - {page.name for page in pages}
    if unknown:
        print(f"Not in _toc.yml: {', '.join(sorted(unknown))}.", file=sys.stderr)
        return 2
    chosen = [page for page in pages if page.name in options.pages] or pages
    missing = [page.name for page in chosen if not (options.html / f"{page.name}.html").is_file()]
    if missing:
        print(f"Not in {options.html}: {', '.join(missing)}. Run `make book` first.", file=sys.stderr)
        return 2
    target = ROOT / "_build" / "pdf" / "deep-generative-models.pdf"
    make(options.html, chosen, target)
    size, took = target.stat().st_size / 1e6, time.monotonic() - started
    print(f"The book on paper, {size:.1f} MB, after {took:.0f} s:\n  {target}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
