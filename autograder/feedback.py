"""Feedback pages: nbgrader's ``generate_feedback``, made safe to open.

All HTML passes our sanitiser, and of an output's formats only those are kept that a page can show without running
anything.
"""

from pathlib import Path
from typing import Any

from nbformat import NotebookNode
from nbgrader.converters import GenerateFeedback

from autograder.course import Course, nbgrader_errors
from autograder.errors import UserError
from autograder.sanitise import FILTERS
from autograder.submission import is_picture

FORMATS = {"text/html", "text/markdown", "text/latex", "text/plain", "image/svg+xml", "image/png", "image/jpeg"}


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
    config.HTMLExporter.sanitize_html = True
    config.HTMLExporter.filters = FILTERS
    converter = course.converter(GenerateFeedback, config)
    converter.preprocessors = [_safe_outputs, *converter.preprocessors]
    with nbgrader_errors(f"nbgrader can't write feedback for {assignment}"):
        converter.start()
    return [
        page
        for folder in sorted(graded)
        for page in sorted(course.folder("feedback", folder.name, assignment).glob("*.html"))
    ]


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
