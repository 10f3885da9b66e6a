"""What happens to the pages after Sphinx has written them: `tools/build_book.py` calls `mend_all`.

Sphinx, its extensions and the theme together write pages that are a megabyte heavy and not quite sound. Here each page
is mended as text, and mending twice changes nothing, since a warm build leaves most pages as they were:
- icons are drawn into the page from the theme's own icon script, which would draw them in the browser (540 KB);
- an icon for the browser's tab, so that it asks for none;
- one style sheet in place of ten, without the rules for classes that no page and no script names;
- formulas are set in type (`tools/typeset.py`), with fonts that hold the letters of this book, and say which of their
  letters are symbols that the notation page explains (`book/_ext/symbols.py`);
- figures of thousands of points, and code, are written with fewer letters and look the same;
- the search index is loaded by the search page alone;
- what has no name, or a wrong role, for those who listen to the page gets one.
"""

from __future__ import annotations

import functools
import hashlib
import posixpath
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tools.typeset import cut_fonts, letters, names, typeset

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "book" / "_ext"))
import symbols  # noqa: E402

# In the order in which the pages link them; the first is imported by theme.css.
STYLES = (
    "basic.css",
    "styles/theme.css",
    "styles/pydata-sphinx-theme.css",
    "pygments.css",
    "styles/sphinx-book-theme.css",
    "togglebutton.css",
    "copybutton.css",
    "mystnb.*.css",
    "sphinx-design.min.css",
    "css/book.css",
    "css/selfcheck.css",
)
BUNDLE = "styles/bundle.css"
# A bell curve.
TAB_ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'%3E%3Cpath fill='none' "
    "stroke='%230072b2' stroke-width='3' d='M1 27C11 27 11 5 16 5s5 22 15 22'/%3E%3C/svg%3E"
)
FONTS = "fonts/mathjax"


def mend_all(html: Path) -> None:
    """Mend every page of the built book."""
    static = html / "_static"
    pages = [path for path in html.rglob("*.html") if static not in path.parents]
    drawings = icons((static / "scripts" / "fontawesome.js").read_text(encoding="utf-8"))
    texts = {path: path.read_text(encoding="utf-8") for path in pages}
    mended = {path: mend(text, drawings, path.name) for path, text in texts.items()}
    mended, type_css = typeset(mended, "../" + FONTS)
    mended = explain(mended, html)

    scripts = (path.read_text(encoding="utf-8") for path in static.rglob("*.js") if "vendor" not in path.parts)
    css = purge(f"{join_styles(static)}\n{type_css}", vocabulary(mended.values(), scripts))
    (static / BUNDLE).write_text(css, encoding="utf-8")
    cut_fonts(static / FONTS, letters(css), html.parent / "fonts")
    digest = hashlib.sha256(css.encode()).hexdigest()[:8]
    for path, text in mended.items():
        after = one_style_sheet(text, digest, path.name)
        if after != texts[path]:
            path.write_text(after, encoding="utf-8")


def explain(pages: dict[Path, str], html: Path) -> dict[Path, str]:
    """The pages with their symbols marked; beside them, what a page loads when a reader points at one."""
    table = symbols.rows(ROOT)
    named = {path: path.relative_to(html).with_suffix("").as_posix() for path in pages}
    if any("data-names" in page for page in pages.values()):
        tex = dict.fromkeys(tex for row in table for tex, _ in row.symbols)
        notation = symbols.read(ROOT, names(list(tex)))
        pages = {path: notation.mark(page, named[path]) for path, page in pages.items()}
    for name, script in symbols.cards(table, pages[html / f"{symbols.PAGE}.html"], pages.values()).items():
        (html / "_static" / "js" / f"{name}.js").write_text(script, encoding="utf-8")
    return pages


def mend(page: str, drawings: dict[str, str], name: str) -> str:
    """Make the HTML of one page sound and light, but for its style sheets."""
    page = draw_icons(page, drawings)
    if name != "search.html":
        page = re.sub(r'\s*<script src="[^"]*(?:searchtools|language_data|searchindex)\.js[^"]*"></script>', "", page)
        # The text comes first. The search's scripts are called by one within the page, and can't wait.
        page = re.sub(r'<script (?!defer)(?=[^>]*src="(?![^"]*documentation_options))', "<script defer ", page)
    if 'rel="icon"' not in page:
        page = page.replace("</head>", f'  <link rel="icon" href="{TAB_ICON}" />\n  </head>', 1)
    if 'name="description"' not in page:  # one that Sphinx adds by itself: source code, an index, the search
        page = re.sub(r"<title>(.*?)</title>", r'\g<0>\n    <meta name="description" content="\1" />', page, count=1)
    return lighten_code(lighten_figures(name_things(begin_in_theme(page))))


THEME = 'document.documentElement.dataset.theme = localStorage.getItem("theme") || "auto";'
CHOSEN = """document.documentElement.dataset.theme =
      { light: "light", dark: "dark" }[document.documentElement.dataset.mode]
      || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");"""


def begin_in_theme(page: str) -> str:
    """Choose light or dark before anything is drawn.

    The theme's own script waits for the whole page and then styles every element once more, a sixth of the work of
    loading a chapter; until then a dark page is light.
    """
    return page.replace(THEME, CHOSEN, 1)


# ------------------------------------------------------------------ names and roles


def name_things(page: str) -> str:
    # sphinxcontrib-bibtex writes a list whose entries are not list items.
    page = re.sub(r'(<div class="citation"[^>]*?) role="doc-biblioentry"', r'\1 role="listitem"', page)
    # sphinx.ext.viewcode puts a list between the items of another.
    page = re.sub(r"</li>(\s*<ul>(?:<li>[^\n]*</li>\s*)+</ul>)(?=<li>)", r"\1</li>", page)
    # The button that unfolds a part of the contents says which.
    page = re.sub(
        r'(<a class="[^"]*\binternal\b[^"]*" href="[^"]*">([^<]*)</a><details[^>]*><summary)(?=><span class="toctree)',
        r'\1 aria-label="Pages under \2"',
        page,
    )
    # The sidebar holds the title and the search button, which belong to no landmark otherwise.
    return page.replace(
        '<div id="pst-primary-sidebar" class="bd-sidebar-primary bd-sidebar">',
        '<div id="pst-primary-sidebar" class="bd-sidebar-primary bd-sidebar" role="region" aria-label="Contents">',
    )


# ------------------------------------------------------------------ icons


@functools.cache
def icons(script: str) -> dict[str, str]:
    """The solid icons of FontAwesome's script, by name: the content of an SVG element and its view box.

    A name stands in the script once for each style that has the icon, the solid one last.
    """
    entry = r'"?([a-z][a-z0-9-]*)"?:\[(\d+),(\d+),\[[^\]]*\],"[0-9a-f]+","([^"]+)"\]'
    return {
        name: f'viewBox="0 0 {width} {height}"><path fill="currentColor" d="{path}"/></svg>'
        for name, width, height, path in re.findall(entry, script)
    }


def draw_icons(page: str, drawings: dict[str, str]) -> str:
    """Put the drawing of each icon in place of the element that stands for it, with its classes and attributes."""

    def draw(found: re.Match[str]) -> str:
        classes, attributes = found[2].split(), re.sub(r'\s*title="[^"]*"', "", found[3])
        sizes = {"fa-lg", "fa-solid", "fas"}
        (name,) = [each for each in classes if each.startswith("fa-") and each not in sizes]
        kept = " ".join(each for each in classes if each not in {"fa-solid", "fas"})
        return f'<svg class="svg-inline--fa {kept}"{attributes} aria-hidden="true" {drawings[name.removeprefix("fa-")]}'

    page = re.sub(r'<(i|span) class="((?:[^"]*\s)?(?:fa-solid|fas)\s[^"]*)"([^>]*)></\1>', draw, page)
    return re.sub(r'\s*<script defer src="[^"]*/scripts/fontawesome\.js[^"]*"></script>', "", page)


# ------------------------------------------------------------------ figures and code

FIGURE = re.compile(r'(?<=<div class="gm-plot">)<svg .*?</svg>', re.DOTALL)
POINTS = re.compile(r"(?:<use [^>]*/>\s*){2,}")
STYLE = re.compile(r' style="([^"]*)"')
DISC = re.compile(r'<path id="([^"]+)" d="M 0 ([\d.]+)\s*C ')  # a round mark, and its radius
TOGETHER = 20  # points in one path: so few that hardly two of them overlap, which a path would paint only once


def lighten_figures(page: str) -> str:
    """Write matplotlib's figures shorter: the places of points to a tenth of a point, their style once.

    Many round points become paths of some dots each, which a browser draws much sooner than elements of their own.
    """

    def lighten(figure: re.Match[str]) -> str:
        radii = {name: float(radius) for name, radius in DISC.findall(figure[0])}
        return POINTS.sub(lambda points: shorten_points(points[0], radii), figure[0])

    return FIGURE.sub(lighten, page)


def shorten_points(points: str, radii: Mapping[str, float]) -> str:
    """Points in a row that share a style, where they wrote it each; ``radii`` are those of the round marks."""
    styles = set(STYLE.findall(points))
    if len(styles) != 1 or len(STYLE.findall(points)) != points.count("<use "):
        return points
    style = styles.pop()
    places = re.findall(r'<use xlink:href="#([^"]+)" x="([^"]+)" y="([^"]+)"', points)
    marks, paint = {mark for mark, _, _ in places}, dict(part.split(": ") for part in style.split("; "))
    if len(places) > TOGETHER and len(marks) == 1 and marks <= radii.keys() and _of_one_colour(paint):
        return _dots([(float(x), float(y)) for _, x, y in places], 2 * radii[marks.pop()] + 1, paint)
    points = re.sub(r"(?<=/>)\s+", "", STYLE.sub("", points))
    points = re.sub(r'(?<= [xy]=")[^"]+', lambda place: f"{float(place[0]):.1f}", points)
    return f'<g style="{style}">{points}</g>\n'


def _of_one_colour(paint: Mapping[str, str]) -> bool:
    """Whether a mark is filled and outlined, by a line of width 1, with the same colour."""
    known = {"fill", "fill-opacity", "stroke", "stroke-opacity"}
    alike = all(paint.get(f"fill{what}") == paint.get(f"stroke{what}") for what in ("", "-opacity"))
    return alike and "fill" in paint and paint.keys() <= known


def _dots(places: Sequence[tuple[float, float]], width: float, paint: Mapping[str, str]) -> str:
    """Paths of lines without length: their round ends make the dots."""
    dots = [f"M{x:.1f} {y:.1f}h0" for x, y in places]
    paths = ("".join(dots[i : i + TOGETHER]) for i in range(0, len(dots), TOGETHER))
    # The figure's own style sheet gives every element butt ends, so that they can't be inherited.
    drawn = "".join(f'<path style="stroke-linecap: round" d="{d}"/>' for d in paths)
    colour = "; ".join(f"{name}: {value}" for name, value in paint.items() if name.startswith("stroke"))
    return f'<g style="fill: none; {colour}; stroke-width: {width:g}">{drawn}</g>\n'


CODE = re.compile(r'(?<=<div class="highlight"><pre>).*?(?=</pre>)', re.DOTALL)
# What both themes colour as they do the code's ground text: names, punctuation, space.
PLAIN = re.compile(r'<span class="(?:n|nn|nx|p|pm|w)">([^<]*)</span>')


def lighten_code(page: str) -> str:
    """Leave the words of code that have no colour of their own without a span: two thirds of all."""
    return CODE.sub(lambda code: PLAIN.sub(r"\1", code[0]), page)


# ------------------------------------------------------------------ style sheets


def join_styles(static: Path) -> str:
    """The style sheets one after another, without comments and imports, with addresses as seen from the bundle."""
    parts = []
    for pattern in STYLES:
        (path,) = static.glob(pattern)
        folder = posixpath.relpath(path.parent.relative_to(static).as_posix(), posixpath.dirname(BUNDLE))
        css = re.sub(r"/\*.*?\*/", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        css = re.sub(r'@charset [^;]*;|@import "\.\./basic\.css";', "", css)
        css = re.sub(
            r"""url\((["']?)(?!["']|data:|#|/|\w+:)([^)"']*)""",
            lambda found, folder=folder: f"url({found[1]}{posixpath.normpath(posixpath.join(folder, found[2]))}",
            css,
        )
        parts.append(css.strip())
    return "\n".join(parts)


def vocabulary(pages: Iterable[str], scripts: Iterable[str]) -> set[str]:
    """Every class of a page, and every word in a script, which may be one."""
    words: set[str] = set()
    for page in pages:
        for classes in re.findall(r'\bclass="([^"]*)"', page):
            words.update(classes.split())
        for script in re.findall(r"<script>(.*?)</script>", page, re.DOTALL):
            words.update(re.findall(r"[\w-]+", script))
    for script in scripts:
        words.update(re.findall(r"[\w-]+", script))
    return words


def purge(css: str, words: set[str]) -> str:
    """Leave out selectors that ask for a class that is not among the words, and rules that have no selector left."""
    # Our scripts put names together, as in `gm-live-${name}`.
    begun = tuple(word for word in words if word.startswith("gm-") and word.endswith("-"))

    def wanted(selector: str) -> bool:
        plain = re.sub(r":(?:not|is|where|has)\((?:[^()]|\([^()]*\))*\)|\[[^\]]*\]", "", selector)
        names = re.findall(r"\.(-?[A-Za-z_](?:[\w-]|\\.)*)", plain)
        # Bootstrap puts together the names that begin with bs-.
        return all(name.replace("\\", "") in words or name.startswith(("bs-", *begun)) for name in names)

    def rule(found: re.Match[str]) -> str:
        head, body = found[1], found[2]
        if head.lstrip().startswith("@"):
            return found[0]
        kept = [each for each in re.split(r",(?![^(]*\))", head) if wanted(each)]
        return f"{','.join(kept)}{{{body}}}" if kept else ""

    css = re.sub(r"([^{};]+)\{([^{}]*)\}", rule, css)
    # FontAwesome's fonts: the icons are drawings now.
    css = re.sub(r'@font-face\s*\{[^}]*font-family:\s*"?Font ?Awesome[^}]*\}', "", css)
    while (shorter := re.sub(r"@(?:media|supports)[^{};]*\{\s*\}", "", css)) != css:
        css = shorter
    return css


def one_style_sheet(page: str, digest: str, name: str) -> str:
    """Link the bundle where the first of the style sheets stood, and none of the others."""
    link = re.compile(r'[ \t]*<link (?=[^>]*rel="stylesheet")[^>]*href="((?:\.\./)*)_static/([^"?]*)[^>]*>\n?')
    links = link.findall(page)
    if not links:
        return page
    known = {re.sub(r"^mystnb\..*", "mystnb.*.css", sheet) for _, sheet in links} - {BUNDLE}
    if known - set(STYLES):
        raise ValueError(f"{name} links style sheets that STYLES does not name: {sorted(known - set(STYLES))}")
    bundle = f'<link rel="stylesheet" href="{links[0][0]}_static/{BUNDLE}?v={digest}" />\n'
    start = link.search(page).start()
    return page[:start] + bundle + link.sub("", page[start:])
