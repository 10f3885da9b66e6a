"""Feedback pages: nbgrader's ``generate_feedback``, made safe to open.

What a student's code displays is HTML of the student's choosing. It passes a sanitiser here, and of an output's
formats only those are kept that a page can show without running anything.
"""

import base64
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import nh3
from jinja2 import pass_context
from nbconvert.exporters import HTMLExporter
from nbformat import NotebookNode
from nbgrader.converters import GenerateFeedback

from autograder.course import Course, nbgrader_errors
from autograder.errors import UserError
from autograder.submission import is_picture

TAGS = nh3.ALLOWED_TAGS | {"details", "summary", "figure", "figcaption", "section"}
ATTRIBUTES = {**nh3.ALLOWED_ATTRIBUTES, "*": {"class", "title", "role", "aria-label"}, "details": {"open"}}
FORMATS = {"text/html", "text/markdown", "text/latex", "text/plain", "image/svg+xml", "image/png", "image/jpeg"}
_SVG = re.compile(r"<svg\b.*?</svg\s*>", re.DOTALL | re.IGNORECASE)


def write_feedback(course: Course, assignment: str, student: str | None = None) -> list[Path]:
    """Write ``feedback/<student>/<assignment>/*.html`` for every graded student, or one; return the pages.

    Raises
    ------
    UserError
        If nothing was graded, or nothing of that student.
    """
    with course.gradebook(assignment):
        pass
    autograded = course.root / "autograded"
    graded = [path.parent for path in autograded.glob(f"*/{assignment}") if student in (None, path.parent.name)]
    if not graded:
        raise UserError(f"nothing of {assignment} was graded in {course.root}" + (f" for {student}" if student else ""))
    config = course.config(assignment, student)
    config.GenerateFeedback.exporter_class = _SafeHTML
    config.HTMLExporter.sanitize_html = True
    converter = course.converter(GenerateFeedback, config)
    converter.preprocessors = [_safe_outputs, *converter.preprocessors]
    with nbgrader_errors(f"nbgrader can't write feedback for {assignment}"):
        converter.start()
    return [
        page
        for folder in sorted(graded)
        for page in sorted(course.folder("feedback", folder.name, assignment).glob("*.html"))
    ]


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


class _SafeHTML(HTMLExporter):
    """nbconvert's exporter with our sanitiser wherever HTML comes out of a notebook."""

    def default_filters(self) -> Iterable[tuple[str, Any]]:
        yield from super().default_filters()
        yield "clean_html", clean

    @pass_context
    def markdown2html(self, context: Any, source: str) -> str:
        return clean(super().markdown2html(context, source))


def _safe_outputs(notebook: NotebookNode, resources: dict[str, Any]) -> tuple[NotebookNode, dict[str, Any]]:
    """Keep of each output what can be shown without running it."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if "data" in output:
                output.metadata = NotebookNode()
                output.data = NotebookNode({kind: data for kind, data in output.data.items() if _can_show(kind, data)})
        if "outputs" in cell:
            cell.outputs = [output for output in cell.outputs if output.get("data", True)]
    notebook.metadata.pop("widgets", None)
    return notebook, resources


def _can_show(kind: str, data: object) -> bool:
    return is_picture(kind, data) if kind in ("image/png", "image/jpeg") else kind in FORMATS
