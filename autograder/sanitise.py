"""Make what a student's code displays safe to look at.

A student's HTML would run in the browser of whoever opens the feedback page, or nbgrader's formgrader, whose page can
start code on the instructor's machine. The two functions here stand in for nbconvert's filters of the same purpose.
"""

import base64
import re
from typing import Any

import nh3
from jinja2 import pass_context
from nbconvert.exporters import HTMLExporter

# As nbconvert wants them: by the name that its templates call, and where to import them from.
FILTERS = {"clean_html": "autograder.sanitise.clean", "markdown2html": "autograder.sanitise.markdown"}
TAGS = nh3.ALLOWED_TAGS | {"details", "summary", "figure", "figcaption", "section"}
ATTRIBUTES = {**nh3.ALLOWED_ATTRIBUTES, "*": {"class", "title", "role", "aria-label"}, "details": {"open"}}
_SVG = re.compile(r"<svg\b.*?</svg\s*>", re.DOTALL | re.IGNORECASE)


def clean(html: str) -> str:
    """HTML without anything that runs, loads from elsewhere, or posts. Drawings stay, as images of themselves."""
    return nh3.clean(
        _SVG.sub(lambda drawing: _as_image(drawing[0]), html),
        tags=TAGS,
        attributes=ATTRIBUTES,
        attribute_filter=_filter,
        url_schemes={"http", "https", "mailto", "data"},
    )


def _as_image(svg: str) -> str:
    """An SVG as an image: no browser runs scripts in one."""
    if "xmlns=" not in svg[:500]:
        svg = svg.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1)
    label = re.search(r"""aria-label=(["'])([^"'<>]*)\1""", svg)
    alt = label[2] if label else "a drawing"
    return f'<img alt="{alt}" src="data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}">'


def _filter(tag: str, attribute: str, value: str) -> str | None:
    if tag == "img" and attribute == "src":
        return value if re.match(r"data:image/(png|jpeg|gif|svg\+xml);base64,", value) else None
    return None if value.strip().lower().startswith("data:") else value


_nbconvert = HTMLExporter()


@pass_context
def markdown(context: Any, source: str) -> str:
    """Markdown as nbconvert renders it, pasted pictures included, then cleaned."""
    return clean(_nbconvert.markdown2html(context, source))
