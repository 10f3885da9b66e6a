"""Read the built book as a browser does, and name what is wrong: what `make check-book` runs.

    python tools/check_book.py                    every page of _toc.yml in _build/html
    python tools/check_book.py book/1-vae/elbo    these pages only
    python tools/check_book.py --html elsewhere   another build

Each page is opened in headless Chromium, from a server on this machine and with every other address refused: light and
dark, at 1280 and at 390 pixels. What is asked of it is in `WEIGHT` to `SHIFT` and in the functions `look_at_*`. A line
for each finding (page, theme, width, what, where), a table of the pages at the end; the exit status is 1 if there is
a finding. It takes some minutes, and only looks: run `make book` first.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import gzip
import http.server
import re
import shutil
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).resolve().parents[1]

WEIGHT = 300_000  # bytes, gzipped, of all that a page loads before anyone scrolls; lazy media apart
REQUESTS = 30
SHIFT = {1280: 0.06, 390: 0.02}  # cumulative layout shift, by the window's width
THEMES = ("light", "dark")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
# Nothing but this machine has an address.
FLAGS.append("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")


@dataclass
class View:
    """One page in one theme at one width: what was measured, and what is wrong."""

    page: str
    theme: str
    width: int
    weight: int = 0
    requests: int = 0
    shift: float = 0.0
    findings: list[tuple[str, str, str]] = field(default_factory=list)  # kind, what, where

    def wrong(self, kind: str, what: str, where: str = "") -> None:
        self.findings.append((kind, what, where))

    def lines(self) -> list[str]:
        """Equal findings, such as one in many formulas, are one line with the first place and their number."""
        number = Counter((kind, what) for kind, what, _ in self.findings)
        first: dict[tuple[str, str], str] = {}
        for kind, what, where in self.findings:
            first.setdefault((kind, what), where)
        return [
            f"{self.page} | {self.theme} | {self.width} | {kind}: {what} | {first[kind, what]}"
            + (f" (and {count - 1} more)" if count > 1 else "")
            for (kind, what), count in number.items()
        ]


# ------------------------------------------------------------------ what needs no browser


@functools.cache
def gzipped(path: Path) -> int:
    """The size of a file as a server sends it: compressed, unless that makes it larger (fonts, pictures)."""
    content = path.read_bytes()
    return min(len(content), len(gzip.compress(content, mtime=0)))


def file_of(address: str, html: Path) -> Path:
    """The file that an address of our server stands for."""
    return html / unquote(urlsplit(address).path).lstrip("/")


def poor_alt(alt: str | None) -> bool:
    """Whether a text in place of an image says nothing about it: none, a file's name, or one bare word such as plot."""
    return alt is None or len(alt.split()) < 2 or bool(re.search(r"(?i)\.(png|svg|jpe?g|gif|webp)$", alt.strip()))


def table(views: list[View]) -> str:
    """A row for each page: the heaviest view, the most requests, the largest shifts, the numbers of findings."""
    rows = [f"{'page':<40}{'KB gz':>8}{'requests':>10}{'CLS 1280':>10}{'CLS 390':>10}{'axe':>6}{'other':>7}"]
    for page in dict.fromkeys(view.page for view in views):
        own = [view for view in views if view.page == page]
        shift = {width: max((view.shift for view in own if view.width == width), default=0) for width in SHIFT}
        axe = sum(kind == "axe" for view in own for kind, _, _ in view.findings)
        other = sum(len(view.findings) for view in own) - axe
        rows.append(
            f"{page:<40}{max(view.weight for view in own) / 1000:>8.0f}{max(view.requests for view in own):>10}"
            f"{shift[1280]:>10.3f}{shift[390]:>10.3f}{axe:>6}{other:>7}"
        )
    return "\n".join(rows)


class Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@contextlib.contextmanager
def served(html: Path) -> Iterator[str]:
    """Serve the folder on this machine for as long as the block lasts; gives the address."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(html)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


# ------------------------------------------------------------------ scripts that run in the page

COUNT_SHIFTS = """
    window.layoutShift = 0;
    new PerformanceObserver(list => {
        for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.layoutShift += entry.value;
    }).observe({type: "layout-shift", buffered: true});
"""

# Names an element as a reader of the sources would look for it: by the nearest id, and its own tag and classes.
NAME = """
    const name = element => {
        const own = element.tagName.toLowerCase() + [...element.classList].slice(0, 2).map(c => "." + c).join("");
        const anchor = element.closest("[id]");
        return element.id ? "#" + element.id : (anchor ? "#" + anchor.id + " " : "") + own;
    };
"""

LAZY_MEDIA = "[...document.querySelectorAll('[loading=lazy]')].map(e => e.currentSrc || e.src)"

# In the order in which a reader would: folds, derivations, then each figure comes into sight and starts.
OPEN_ALL = """async () => {
    for (const fold of document.querySelectorAll("details")) fold.open = true;
    for (const toggle of document.querySelectorAll("button.toggle-button.toggle-button-hidden")) toggle.click();
    for (const button of document.querySelectorAll(".gm-derivation-bar button")) {
        if (!button.hidden && button.textContent === "Show all") button.click();
    }
    for (const stage of document.querySelectorAll("[data-live]")) {
        stage.scrollIntoView();
        for (let i = 0; i < 100 && !stage.classList.contains("gm-live-on"); i++) {
            await new Promise(resolve => setTimeout(resolve, 50));
        }
    }
    scrollTo(0, 0);
    // What fades in has its own colour only at the end.
    for (const fade of document.getAnimations()) if (fade.effect.getComputedTiming().endTime < Infinity) fade.finish();
}"""

MARKUP = (
    "() => {"
    + NAME
    + """
    const ids = new Map();
    for (const element of document.querySelectorAll("[id]")) ids.set(element.id, (ids.get(element.id) || 0) + 1);
    const meta = document.querySelector("meta[name=description]");
    return {
        twice: [...ids].filter(([id, count]) => count > 1).map(([id]) => id),
        alts: [...document.querySelectorAll(".bd-article img")].map(i => ["alt", "src"].map(a => i.getAttribute(a))),
        broken: [...document.images].filter(i => i.complete && !i.naturalWidth).map(i => i.src),
        described: Boolean(meta && meta.content.trim()),
        tex: [...document.querySelectorAll("mjx-merror, [data-mjx-error]")].map(e => [
            e.getAttribute("data-mjx-error") || e.textContent, name(e)]),
        dead: [...document.querySelectorAll("[data-live]:not(.gm-live-on)")].map(e => e.dataset.live),
    };
}"""
)

# What runs out of the page, and what scrolls in a box of its own that the Tab key does not stop at. A browser stops at
# a box with tabindex, and at what can be focused inside it.
REACH = (
    "() => {"
    + NAME
    + """
    const article = document.querySelector(".bd-article");
    const scrolls = box => ["auto", "scroll"].includes(getComputedStyle(box).overflowX)
        && box.scrollWidth > box.clientWidth + 1;
    const inside = "a[href], button, input, select, summary, [tabindex]";
    const stop = box => box.tabIndex >= 0 || [...box.querySelectorAll(inside)].some(e => e.tabIndex >= 0);
    const edge = article.getBoundingClientRect().right + 1;
    const boxed = element => {
        for (let box = element; box && box !== article; box = box.parentElement) if (scrolls(box)) return true;
        return false;
    };
    return {
        width: document.documentElement.scrollWidth,
        unreachable: [...article.querySelectorAll("*")].filter(box => scrolls(box) && !stop(box)).map(name),
        outside: [...article.querySelectorAll("mjx-container")]
            .filter(e => e.getBoundingClientRect().right > edge && !boxed(e)).map(name),
    };
}"""
)


# ------------------------------------------------------------------ what is asked of a page


def look_at_loading(view: View, page, html: Path, loaded: list[str]) -> None:
    """Weight, requests and layout shift, before anyone scrolls."""
    lazy = set(page.evaluate(LAZY_MEDIA))
    counted = [address for address in loaded if address not in lazy]
    files = [path for path in (file_of(address, html) for address in counted) if path.is_file()]
    view.weight, view.requests = sum(map(gzipped, files)), len(counted)
    view.shift = page.evaluate("window.layoutShift")
    if view.weight > WEIGHT:
        heaviest = sorted(files, key=gzipped, reverse=True)[:3]
        named = ", ".join(f"{path.name} {gzipped(path) / 1000:.0f}" for path in heaviest)
        view.wrong("weight", f"{view.weight / 1000:.0f} KB gzipped, at most {WEIGHT / 1000:.0f}", named)
    if view.requests > REQUESTS:
        view.wrong("requests", f"{view.requests}, at most {REQUESTS}")
    if view.shift > SHIFT[view.width]:
        view.wrong("shift", f"{view.shift:.3f}, at most {SHIFT[view.width]}")


def look_at_markup(view: View, page) -> None:
    found = page.evaluate(MARKUP)
    for name in found["twice"]:
        view.wrong("id", "stands twice", f"#{name}")
    for alt, source in found["alts"]:
        if poor_alt(alt):
            view.wrong("alt", f"says nothing: {alt!r}", source)
    for source in found["broken"]:
        view.wrong("image", "does not load", source)
    if not found["described"]:
        view.wrong("meta", "no description")
    for what, where in found["tex"]:
        view.wrong("TeX", what, where)
    for figure in found["dead"]:
        view.wrong("figure", "does not start", figure)


def look_at_reach(view: View, page) -> None:
    found = page.evaluate(REACH)
    if found["width"] > view.width:
        view.wrong("width", f"the page scrolls sideways, {found['width']} px")
    for where in found["unreachable"]:
        view.wrong("keyboard", "scrolls in a box that the Tab key does not stop at", where)
    for where in found["outside"]:
        view.wrong("width", "a formula runs out of the page", where)


def look_at_access(view: View, page, axe) -> None:
    for violation in axe.run(page).response["violations"]:
        what = f"{violation['id']} ({violation['impact']}), {violation['help']}"
        for node in violation["nodes"]:
            view.wrong("axe", what, " ".join(map(str, node["target"])))


def look(view: View, browser, axe, html: Path, address: str) -> None:
    """Open one page in a window of its own, with nothing kept from the last one, and look at all of it."""
    phone = {"is_mobile": True, "has_touch": True} if view.width < 500 else {}
    size = {"width": view.width, "height": 844 if phone else 900}
    context = browser.new_context(viewport=size, color_scheme=view.theme, reduced_motion="reduce", **phone)
    page = context.new_page()
    loaded: list[str] = []

    def asked(request):
        if request.url.startswith(address):
            loaded.append(request.url)
        elif not request.url.startswith(("data:", "blob:")):
            view.wrong("request", "leaves the site", request.url)

    page.on("request", asked)
    page.on("response", lambda answer: answer.status >= 400 and view.wrong("request", f"{answer.status}", answer.url))
    page.on("requestfailed", lambda request: view.wrong("request", "failed", request.url))
    page.on("pageerror", lambda error: view.wrong("script", str(error).splitlines()[0]))
    page.on("console", lambda said: said.type in ("error", "warning") and view.wrong("console", said.text))
    page.add_init_script(COUNT_SHIFTS)

    page.goto(f"{address}/{view.page}.html", wait_until="networkidle")
    page.evaluate("async () => { await window.MathJax?.startup?.promise; await document.fonts.ready; }")
    page.wait_for_timeout(100)
    look_at_loading(view, page, html, list(loaded))
    page.evaluate(OPEN_ALL)
    look_at_markup(view, page)
    look_at_reach(view, page)
    look_at_access(view, page, axe)
    context.close()


def look_at_all(pages: list[str], html: Path) -> list[View]:
    from axe_playwright_python.sync_playwright import Axe
    from playwright.sync_api import sync_playwright

    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        sys.exit("no chromium: install it (Debian: apt install chromium)")
    views = [View(page, theme, width) for page in pages for width in SHIFT for theme in THEMES]
    with served(html) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        axe = Axe()
        for view in views:
            look(view, browser, axe, html, address)
            for line in view.lines():
                print(line, flush=True)
        browser.close()
    return views


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pages", nargs="*", help="pages as _toc.yml names them; all if none is given")
    parser.add_argument("--html", type=Path, default=ROOT / "_build" / "html", help="the folder of the built book")
    options = parser.parse_args(arguments)

    from sphinx_external_toc.parsing import parse_toc_yaml

    pages = options.pages or list(parse_toc_yaml(ROOT / "_toc.yml"))
    missing = [page for page in pages if not (options.html / f"{page}.html").is_file()]
    if missing:
        print(f"Not in {options.html}: {', '.join(missing)}. Run `make book` first.", file=sys.stderr)
        return 2
    views = look_at_all(pages, options.html)
    print(f"\n{table(views)}")
    found = sum(len(view.lines()) for view in views)
    print(f"\n{found} findings on {len(pages)} pages, each in {len(views) // len(pages)} views.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
