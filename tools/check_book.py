"""Read the built book as a browser does, and name what is wrong: what `make check-book` runs.

    python tools/check_book.py                    every page of _build/html
    python tools/check_book.py book/1-vae/elbo    these pages only
    python tools/check_book.py --html elsewhere   another build
    python tools/check_book.py --record           every page, and if all is well the record that the book shows

Each page is opened in headless Chromium, with every other address refused: in the light theme from a server on
this machine, in the dark one from its file, both at 1280 and at 390 pixels. What is asked of it is in `WEIGHT` to
`FRAME` and in the functions `look_at_*`. A line for each finding (page, theme, width, what, where), then a table of the
live figures and one of the pages; the exit status is 1 if there is a finding. It takes some minutes, and only looks:
run `make book` first.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import contextlib
import functools
import gzip
import http.server
import io
import json
import os
import re
import shutil
import statistics
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from tools.repository import commit  # noqa: E402

WEIGHT = 300_000  # bytes, gzipped, of all that a page loads before anyone scrolls; lazy media apart
REQUESTS = 30
SHIFT = {1280: 0.06, 390: 0.02}  # cumulative layout shift, by the window's width
THEMES = ("light", "dark")
CONTRAST = 4.5  # of letters in drawings, formulas and code with what is behind them, large or small
FRAME = 16.0  # milliseconds, the median, that a live figure may take to follow a slider
FRAMES = 60
RECORD = ROOT / "tests" / "book" / "pages.json"
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


def file_of(address: str, site: str, html: Path) -> Path:
    """The file that an address stands for, in the site that is served, or opened from its files, at `site`."""
    return html / unquote(urlsplit(address.removeprefix(site)).path).lstrip("/")


def all_pages(html: Path) -> list[str]:
    """The pages that _toc.yml names, and those that Sphinx adds by itself."""
    from sphinx_external_toc.parsing import parse_toc_yaml

    added = [*html.glob("[!i]*.html"), *(html / "_modules").rglob("*.html")]  # index.html leads to the first of them
    names = sorted(path.relative_to(html).with_suffix("").as_posix() for path in added)
    return [*parse_toc_yaml(ROOT / "_toc.yml"), *names]


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


def colour(css: str) -> NDArray:
    """Red, green, blue and opacity, each from 0 to 1, of a computed colour."""
    numbers = [float(number) for number in re.findall(r"[\d.]+", css)]
    if not css.startswith("rgb") or len(numbers) not in (3, 4):
        raise ValueError(f"not a computed colour: {css!r}")
    return np.array([*(number / 255 for number in numbers[:3]), *(numbers[3:] or [1.0])])


def luminance(rgb: NDArray) -> NDArray:
    """WCAG's relative luminance; the last axis holds red, green and blue from 0 to 1."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return linear @ np.array([0.2126, 0.7152, 0.0722])


def contrast(ink: NDArray, ground: NDArray) -> NDArray:
    """WCAG's ratio of contrast, 1 to 21, of one ink (red, green, blue, opacity) with each of many grounds."""
    mixed = ink[3] * ink[:3] + (1 - ink[3]) * ground
    low, high = np.sort([luminance(mixed), luminance(ground)], axis=0)
    return (high + 0.05) / (low + 0.05)


LINE = 3  # pixels: what is this thin and runs through letters hides none of them


def text_contrast(ink: NDArray, painted: NDArray, ground: NDArray) -> float:
    """The contrast of a text with what is behind it, from two pictures of its box: in lime (`PAINT`), and without it.

    Behind it is where it covers at least half as much of a pixel as anywhere: the bodies of the letters. Lines of the
    drawing up to `LINE` pixels wide are taken out of the ground, by a median, and then one pixel in a hundred may be
    worse, since a median leaves a trace where lines meet. With the lines, one in four may be worse: a few don't hide a
    word, a hatching does.
    """
    from scipy.ndimage import median_filter

    covered = np.abs(painted - ground).max(axis=-1) / np.abs([0, 1, 0] - ground).max(axis=-1)
    if covered.max() < 0.1:
        return 1.0  # nothing is seen of it
    letters = covered >= covered.max() / 2
    size = 2 * LINE + 1
    surface = median_filter(ground, size=(size, size, 1), mode="nearest")
    return float(
        min(
            np.quantile(contrast(ink, surface[letters]), 0.01),
            np.quantile(contrast(ink, ground[letters]), 0.25),
        )
    )


class Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@contextlib.contextmanager
def served(html: Path, handler: type[Handler] = Handler) -> Iterator[str]:
    """Serve the folder on this machine for as long as the block lasts; gives the address."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(handler, directory=str(html)))
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

# A text that is drawn on a canvas has no ink to be asked for, cannot be selected and is not read out.
NOTE_TEXT_ON_CANVAS = """
    window.textOnCanvas = [];
    for (const method of ["fillText", "strokeText"]) {
        const draw = CanvasRenderingContext2D.prototype[method];
        CanvasRenderingContext2D.prototype[method] = function (text, ...rest) {
            window.textOnCanvas.push(String(text));
            return draw.call(this, text, ...rest);
        };
    }
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
    const markup = /<[/]?(math|inline|strong|emphasis|literal|reference|target)\\b|\\\\[()]|[$][$]|[{][a-z:]+[}]`/;
    const leaked = article => {
        const found = [];
        const walk = document.createTreeWalker(article || document.body, NodeFilter.SHOW_TEXT);
        while (walk.nextNode()) {
            const { data, parentElement } = walk.currentNode;
            if (!markup.test(data) || parentElement.closest("code, pre, script, style, mjx-container")) continue;
            found.push([data.trim().slice(0, 60), name(parentElement)]);
        }
        return found;
    };
    return {
        twice: [...ids].filter(([id, count]) => count > 1).map(([id]) => id),
        alts: [...document.querySelectorAll("main img")].map(i => ["alt", "src"].map(a => i.getAttribute(a))),
        broken: [...document.images].filter(i => i.complete && !i.naturalWidth).map(i => i.src),
        described: Boolean(meta && meta.content.trim()),
        tex: [...document.querySelectorAll("mjx-merror, [data-mjx-error]")].map(e => [
            e.getAttribute("data-mjx-error") || e.textContent, name(e)]),
        leaked: leaked(document.querySelector(".bd-article")),
        dead: [...document.querySelectorAll("[data-live]:not(.gm-live-on)")].map(e => e.dataset.live),
        drawn: window.textOnCanvas,
    };
}"""
)

# What runs out of the page, and what scrolls in a box of its own that the Tab key does not stop at. A browser stops at
# a box with tabindex, and at what can be focused inside it.
REACH = (
    "() => {"
    + NAME
    + """
    const article = document.querySelector(".bd-article") || document.body; // the search page has none
    const scrolls = box => ["auto", "scroll"].includes(getComputedStyle(box).overflowX)
        && box.scrollWidth > box.clientWidth;
    const inside = "a[href], button, input, select, summary, [tabindex]";
    const stop = box => box.tabIndex >= 0 || [...box.querySelectorAll(inside)].some(e => e.tabIndex >= 0);
    const quiet = "pre, table, div, p, span, mjx-container"; // nothing to do there but to scroll
    const edge = article.getBoundingClientRect().right + 1;
    const boxed = element => {
        for (let box = element; box && box !== article; box = box.parentElement) if (scrolls(box)) return true;
        return false;
    };
    return {
        width: document.documentElement.scrollWidth,
        idle: [...article.querySelectorAll(quiet)].filter(e => e.tabIndex >= 0 && !e.role && !scrolls(e)).map(name),
        hidden: [...article.querySelectorAll(`[aria-hidden=true] :is(${inside})`)]
            .filter(e => e.tabIndex >= 0).map(name),
        unreachable: [...article.querySelectorAll("*")].filter(box => scrolls(box) && !stop(box)).map(name),
        outside: [...article.querySelectorAll("mjx-container")]
            .filter(e => e.getBoundingClientRect().right > edge && !boxed(e)).map(name),
    };
}"""
)


# The drawings that hold text, and in each its texts: what they say, their ink, where they are in the window.
DRAWINGS = """[...document.querySelectorAll(".bd-article svg:has(text)")].filter(
    drawing => !drawing.parentElement.closest("svg") && drawing.getClientRects().length)"""
TEXTS = (
    "i => {"
    + NAME
    + """
    const drawing = """
    + DRAWINGS
    + """[i];
    drawing.scrollIntoView({ block: "center", behavior: "instant" });
    const box = drawing.getBoundingClientRect();
    const elements = [...drawing.querySelectorAll("text")];
    const texts = new Map(); // matplotlib writes a formula in pieces: those in one ink are measured together
    const walk = document.createTreeWalker(drawing, NodeFilter.SHOW_TEXT);
    while (walk.nextNode()) {
        const text = walk.currentNode.textContent.trim();
        const element = walk.currentNode.parentElement;
        const range = document.createRange();
        range.selectNodeContents(walk.currentNode);
        const { left, top, right, bottom } = range.getBoundingClientRect();
        const style = getComputedStyle(element);
        if (!text || !element.closest("text") || right - left < 1 || style.visibility !== "visible") continue;
        let opacity = Number(style.fillOpacity);
        for (let e = element; e !== drawing; e = e.parentElement) opacity *= getComputedStyle(e).opacity;
        const key = [elements.indexOf(element.closest("text")), style.fill, opacity].join();
        const met = texts.get(key) || { text: "", ink: style.fill, opacity, left, top, right, bottom };
        texts.set(key, {
            ...met, text: met.text + text,
            left: Math.min(met.left, left), top: Math.min(met.top, top),
            right: Math.max(met.right, right), bottom: Math.max(met.bottom, bottom),
        });
    }
    const { left, top, right, bottom } = box;
    return { where: name(drawing), texts: [...texts.values()], left, top, right, bottom };
}"""
)
PAINT = "svg :is(text, tspan) {{ fill: {} !important }}"  # lime is far from every colour of the book

# The inks of formulas and of code: each colour of letters on each ground, once, with the first that has it. What is not
# opaque is laid on what is behind it, as the browser does.
INKS = (
    "() => {"
    + NAME
    + """
    const parse = css => {
        const part = css.match(/[\\d.]+/g).map(Number);
        if (!css.startsWith("rgb")) throw new Error("not a computed colour: " + css);
        return [part[0], part[1], part[2], part[3] ?? 1];
    };
    const over = (top, below) => [0, 1, 2].map(i => top[3] * top[i] + (1 - top[3]) * below[i]).concat(1);
    const grounds = new Map();
    const ground = element => { // what is painted behind the letters of an element
        if (!element) return [255, 255, 255, 1];
        if (!grounds.has(element)) {
            const style = getComputedStyle(element);
            const own = parse(style.backgroundColor);
            const picture = style.backgroundImage !== "none";
            const behind = own[3] < 1 ? ground(element.parentElement) : own;
            grounds.set(element, behind && !picture && style.opacity === "1" ? over(own, behind) : null);
        }
        return grounds.get(element);
    };
    const found = new Map();
    const note = (element, kind) => {
        const ink = getComputedStyle(element).color;
        const behind = ground(element);
        const key = kind + ink + behind;
        if (found.has(key)) return;
        const rgb = behind && `rgb(${behind.slice(0, 3).join(", ")})`;
        found.set(key, { kind, ink, ground: rgb, where: name(element) });
    };
    const letters = ".bd-article mjx-math :is(mjx-c, mjx-utext)";
    for (const letter of document.querySelectorAll(letters)) note(letter, "formula");
    for (const code of document.querySelectorAll(".highlight pre")) {
        const walk = document.createTreeWalker(code, NodeFilter.SHOW_TEXT);
        while (walk.nextNode()) if (walk.currentNode.data.trim()) note(walk.currentNode.parentElement, "code");
    }
    return [...found.values()];
}"""
)

# Axe spends most of its time on glyphs that the style sheet draws and that are hidden from those who listen, the shapes
# of drawings, and words of code in a colour that it has already met. It is spared them: it could only speak of contrast
# (`INKS` and `look_at_drawings` measure that, more strictly: axe lets large letters have 3:1, and passes over what it
# can't tell) and of a stop of the Tab key inside what is hidden (`REACH`).
LEAVE_OUT = """() => {
    const formulas = [...document.querySelectorAll("mjx-container > mjx-math")];
    for (const [formula, { width, height }] of formulas.map(each => [each, each.getBoundingClientRect()])) {
        formula.replaceChildren();
        formula.style.cssText = `display: inline-block; width: ${width}px; height: ${height}px`;
    }
    const shapes = ":is(.gm-plot, .gm-still) svg :is(use, path, circle, line, rect)";
    for (const shape of document.querySelectorAll(shapes)) shape.remove();
    const met = new Set();
    for (const word of document.querySelectorAll(".highlight pre span[class]")) {
        if (met.has(word.className)) word.replaceWith(...word.childNodes);
        else met.add(word.className);
    }
    for (const code of document.querySelectorAll(".highlight pre")) code.normalize();
}"""

# Every slider of a figure moves by turns, once a frame. A frame begins with our callback, asked for before the figure
# asks for its own, and is over when a message that is sent then arrives: the page has been laid out and painted.
TIME_FRAMES = """async frames => {
    const next = () => new Promise(requestAnimationFrame);
    const { port1, port2 } = new MessageChannel();
    const times = [];
    for (const stage of document.querySelectorAll("[data-live]")) {
        stage.scrollIntoView({ block: "center", behavior: "instant" });
        const sliders = [...stage.querySelectorAll("input[type=range]")];
        const took = [];
        for (let i = 0; i < frames && sliders.length; i++) {
            const slider = sliders[i % sliders.length];
            await next();
            const frame = new Promise(done => requestAnimationFrame(() => {
                const began = performance.now();
                port1.onmessage = () => done(performance.now() - began);
                port2.postMessage(0);
            }));
            slider.value = Number(slider.min) + (slider.max - slider.min) * ((7 * i) % frames) / (frames - 1);
            slider.dispatchEvent(new Event("input", { bubbles: true }));
            took.push(await frame);
        }
        times.push([stage.dataset.live, took]);
    }
    return times;
}"""


# ------------------------------------------------------------------ what is asked of a page


def look_at_loading(view: View, page, site: str, html: Path, loaded: list[str]) -> None:
    """Weight, requests and layout shift, before anyone scrolls."""
    lazy = set(page.evaluate(LAZY_MEDIA))
    counted = [address for address in loaded if address not in lazy]
    files = [path for path in (file_of(address, site, html) for address in counted) if path.is_file()]
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
    for text, where in found["leaked"]:
        view.wrong("text", f"shows markup: {text!r}", where)
    for figure in found["dead"]:
        view.wrong("figure", "does not start", figure)
    for text in found["drawn"]:
        view.wrong("contrast", "text on a canvas, where nobody can measure, select or hear it", text)


def look_at_reach(view: View, page) -> None:
    found = page.evaluate(REACH)
    if found["width"] > view.width:
        view.wrong("width", f"the page scrolls sideways, {found['width']} px")
    for where in found["unreachable"]:
        view.wrong("keyboard", "scrolls in a box that the Tab key does not stop at", where)
    for where in found["idle"]:
        view.wrong("keyboard", "the Tab key stops where there is nothing to do", where)
    for where in found["hidden"]:
        view.wrong("keyboard", "the Tab key stops at what is hidden from those who listen", where)
    for where in found["outside"]:
        view.wrong("width", "a formula runs out of the page", where)


def look_at_paper(view: View, page) -> None:
    """Printed, a live figure is its still."""
    page.emulate_media(media="print")
    for stage in page.locator("[data-live]").all():
        if not stage.locator(".gm-still > svg").is_visible() or stage.locator(".gm-live-ui").is_visible():
            view.wrong("print", "shows another thing than the still", stage.get_attribute("data-live"))


def look_at_drawings(view: View, page) -> None:
    """The contrast of each text of a drawing with what is painted behind it."""
    for number in range(page.evaluate(f"{DRAWINGS}.length")):
        drawing = page.evaluate(TEXTS, number)
        boxes = [drawing, *drawing["texts"]]
        left, top = (max(0, int(min(box[side] for box in boxes))) for side in ("left", "top"))
        right, bottom = (int(max(box[side] for box in boxes)) + 1 for side in ("right", "bottom"))
        pictures = []
        for paint in ("lime", "transparent"):
            style = page.add_style_tag(content=PAINT.format(paint))
            pictures.append(picture(page, left, top, right, bottom))
            style.evaluate("style => style.remove()")
        painted, ground = pictures
        for text in drawing["texts"]:
            rows = slice(max(0, int(text["top"]) - top), int(text["bottom"]) + 1 - top)
            columns = slice(max(0, int(text["left"]) - left), int(text["right"]) + 1 - left)
            ink = colour(text["ink"]) * [1, 1, 1, text["opacity"]]
            found = text_contrast(ink, painted[rows, columns], ground[rows, columns])
            if found < CONTRAST:
                what = f"{text['text']!r} {found:.1f}:1, at least {CONTRAST}"
                view.wrong("contrast", what, drawing["where"])


def look_at_inks(view: View, page) -> None:
    """The contrast of each colour of letters in formulas and in code with each ground that it stands on."""
    for found in page.evaluate(INKS):
        if found["ground"] is None:
            view.wrong("contrast", f"{found['kind']}: no telling what is behind it", found["where"])
            continue
        ratio = contrast(colour(found["ink"]), colour(found["ground"])[None, :3])[0]
        if ratio < CONTRAST:
            what = f"{found['kind']}: {found['ink']} on {found['ground']} {ratio:.2f}:1, at least {CONTRAST}"
            view.wrong("contrast", what, found["where"])


def picture(page, left: int, top: int, right: int, bottom: int) -> NDArray:
    """A part of the window: height, width, (red, green, blue) from 0 to 1."""
    from PIL import Image

    clip = {"x": left, "y": top, "width": right - left, "height": bottom - top}
    with Image.open(io.BytesIO(page.screenshot(clip=clip))) as image:
        return np.asarray(image.convert("RGB")) / 255


def look_at_access(view: View, page, axe) -> None:
    page.evaluate(LEAVE_OUT)
    # Without asking for the style sheet once more, which a page that is opened from its file may not.
    options = {"resultTypes": ["violations"], "preload": False, "rules": {"target-size": {"enabled": True}}}
    for violation in axe.run(page, options=options).response["violations"]:
        what = f"{violation['id']} ({violation['impact']}), {violation['help']}"
        for node in violation["nodes"]:
            view.wrong("axe", what, " ".join(map(str, node["target"])))


def window(browser, width: int, theme: str):
    """A window of a browser, with nothing kept from the last one."""
    phone = {"is_mobile": True, "has_touch": True} if width < 500 else {}
    size = {"width": width, "height": 844 if phone else 900}
    return browser.new_context(viewport=size, color_scheme=theme, reduced_motion="reduce", **phone)


def look(view: View, browser, axe, html: Path, site: str) -> None:
    """Open one page in a window of its own, and look at all of it."""
    context = window(browser, view.width, view.theme)
    page = context.new_page()
    loaded: list[str] = []

    def asked(request):
        if request.url.startswith(site):
            loaded.append(request.url)
        elif not request.url.startswith(("data:", "blob:")):
            view.wrong("request", "leaves the site", request.url)

    page.on("request", asked)
    page.on("response", lambda answer: answer.status >= 400 and view.wrong("request", f"{answer.status}", answer.url))
    page.on("requestfailed", lambda request: view.wrong("request", "failed", request.url))
    page.on("pageerror", lambda error: view.wrong("script", str(error).splitlines()[0]))
    page.on("console", lambda said: said.type in ("error", "warning") and view.wrong("console", said.text))
    page.add_init_script(COUNT_SHIFTS + NOTE_TEXT_ON_CANVAS)

    page.goto(f"{site}/{view.page}.html", wait_until="networkidle")
    page.evaluate("async () => { await document.fonts.ready; }")
    page.wait_for_timeout(100)
    look_at_loading(view, page, site, html, list(loaded))
    page.evaluate(OPEN_ALL)
    look_at_markup(view, page)
    look_at_reach(view, page)
    look_at_drawings(view, page)
    look_at_inks(view, page)
    look_at_access(view, page, axe)
    look_at_paper(view, page)
    context.close()


# ------------------------------------------------------------------ all of it


def find_chromium() -> str | None:
    """Chromium's or Chrome's program, if one is on the PATH."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)


def chromium_program() -> str:
    program = find_chromium()
    if program is None:
        sys.exit("no chromium: install it (Debian: apt install chromium)")
    return program


@contextlib.contextmanager
def chromium():
    """A browser, for as long as the block lasts."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_program(), args=FLAGS)
        yield browser
        browser.close()


def look_at_page(name: str, html: Path) -> list[View]:
    """A page in all its views."""
    from axe_playwright_python.sync_playwright import Axe

    views = [View(name, theme, width) for width in SHIFT for theme in THEMES]
    with served(html) as server, chromium() as browser:
        for view in views:
            look(view, browser, Axe(), html, server if view.theme == "light" else html.resolve().as_uri())
    return views


def look_at_all(pages: list[str], html: Path) -> list[View]:
    """Every page in all its views, two pages at a time; what is found is printed as soon as it is."""
    views = []
    with concurrent.futures.ProcessPoolExecutor(min(2, os.cpu_count() or 1)) as pool:
        for found in pool.map(look_at_page, pages, [html] * len(pages)):
            views += found
            for line in (line for view in found for line in view.lines()):
                print(line, flush=True)
    return views


@dataclass
class Frame:
    """What a frame of a live figure takes at one width, in milliseconds: the median."""

    figure: str
    page: str
    width: int
    took: float


def time_figures(pages: list[str], html: Path) -> list[Frame]:
    """Print what a frame of each live figure takes, one after another with nothing beside them."""
    found = []
    with served(html) as server, chromium() as browser:
        for page_name in pages:
            if "data-live=" not in (html / f"{page_name}.html").read_text(encoding="utf-8"):
                continue
            for width in SHIFT:
                context = window(browser, width, "light")
                page = context.new_page()
                page.goto(f"{server}/{page_name}.html")
                page.evaluate(OPEN_ALL)
                for figure, times in page.evaluate(TIME_FRAMES, FRAMES):
                    median = statistics.median(times or [float("inf")])  # a figure that no slider moves fails
                    print(f"{figure:<20}{page_name:<30}{width:>6} px{median:>8.1f} ms a frame", flush=True)
                    found.append(Frame(figure, page_name, width, median))
                context.close()
    return found


def write_record(views: list[View], frames: list[Frame]) -> None:
    """What `book/_ext/checked.py` shows: for each page its weight, requests and shifts, for each figure its frames."""
    pages: dict[str, dict[str, float]] = {}
    for view in views:
        own = pages.setdefault(view.page, {"bytes": 0, "requests": 0, **{f"shift {width}": 0 for width in SHIFT}})
        own["bytes"] = max(own["bytes"], view.weight)
        own["requests"] = max(own["requests"], view.requests)
        own[f"shift {view.width}"] = max(own[f"shift {view.width}"], round(view.shift, 4))
    figures: dict[str, dict[str, float]] = {}
    for frame in frames:
        figures.setdefault(frame.figure, {})[str(frame.width)] = round(frame.took, 1)
    said = {"date": date.today().isoformat(), "commit": commit(), "pages": pages, "figures": figures}
    RECORD.write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pages", nargs="*", help="pages as _toc.yml names them; all if none is given")
    parser.add_argument("--record", action="store_true", help=f"write {RECORD.relative_to(ROOT)} if all is well")
    parser.add_argument("--html", type=Path, default=ROOT / "_build" / "html", help="the folder of the built book")
    options = parser.parse_args(arguments)

    pages = options.pages or all_pages(options.html)
    missing = [page for page in pages if not (options.html / f"{page}.html").is_file()]
    if missing:
        print(f"Not in {options.html}: {', '.join(missing)}. Run `make book` first.", file=sys.stderr)
        return 2
    began = time.monotonic()
    views = look_at_all(pages, options.html)
    print()
    frames = time_figures(pages, options.html)
    slow = [
        f"{frame.page} | {frame.width} | frame: {frame.took:.1f} ms, at most {FRAME} | {frame.figure}"
        for frame in frames
        if frame.took > FRAME
    ]
    print(f"\n{table(views)}\n", *slow, sep="\n")
    found = len(slow) + sum(len(view.lines()) for view in views)
    took = time.monotonic() - began
    print(f"\n{found} findings on {len(pages)} pages, each in {len(views) // len(pages)} views; {took:.0f} seconds.")
    if options.record and not found and not options.pages:
        write_record(views, frames)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
