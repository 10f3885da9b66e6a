"""Feedback pages: nbgrader's ``generate_feedback``, made safe to open.

All HTML passes our sanitiser, and of an output's formats only those are kept that a page can show without running
anything.
"""

from functools import partial
from html import escape
from pathlib import Path
from typing import Any

from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell
from nbgrader.converters import GenerateFeedback

from autograder.course import Course, nbgrader_errors
from autograder.errors import UserError
from autograder.results import Ledger
from autograder.sanitise import FILTERS
from autograder.submission import is_picture
from autograder.template import CHECK_PREFIX

WIDGET = "application/vnd.jupyter.widget-view+json"
FORMATS = {"text/html", "text/markdown", "text/latex", "text/plain", "image/svg+xml", "image/png", "image/jpeg"}


def write_feedback(course: Course, assignment: str, student: str | None = None) -> list[Path]:
    """Write ``feedback/<student>/<assignment>/*.html`` for every graded student, or one; return the pages.

    Raises
    ------
    UserError
        If nothing was graded, or nothing of that student.
    """
    waiting = _waiting(course, assignment)
    autograded = course.root / "autograded"
    graded = [path.parent for path in autograded.glob(f"*/{assignment}") if student in (None, path.parent.name)]
    if not graded:
        raise UserError(f"nothing of {assignment} was graded in {course.root}" + (f" for {student}" if student else ""))
    config = course.config(assignment, student)
    config.HTMLExporter.sanitize_html = True
    config.HTMLExporter.filters = FILTERS
    converter = course.converter(GenerateFeedback, config)
    summary = partial(_add_summary, waiting, Ledger(course.ledger))
    converter.preprocessors = [_safe_outputs, *converter.preprocessors, summary]
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
                shown = {} if WIDGET in output.data else output.data  # its text is the bar at 0 %
                output.data = NotebookNode({kind: data for kind, data in shown.items() if _can_show(kind, data)})
        if "outputs" in cell:
            cell.outputs = [output for output in cell.outputs if output.get("data", True)]
    notebook.metadata.pop("widgets", None)
    return notebook, resources


def _can_show(kind: str, data: object) -> bool:
    return is_picture(kind, data) if kind in ("image/png", "image/jpeg") else kind in FORMATS


def _waiting(course: Course, assignment: str) -> set[tuple[str, str, str]]:
    """The answers that nobody has graded yet, as (student, notebook, exercise)."""
    with course.gradebook(assignment) as gradebook:
        return {
            (submission.student.id, notebook.name, grade.name)
            for submission in gradebook.find_assignment(assignment).submissions
            for notebook in submission.notebooks
            for grade in notebook.grades
            if grade.needs_manual_grade and grade.manual_score is None
        }


def _add_summary(
    waiting: set[tuple[str, str, str]], ledger: Ledger, notebook: NotebookNode, resources: dict[str, Any]
) -> tuple[NotebookNode, dict[str, Any]]:
    """Put what each exercise earned, and what was missed in it, at the head of the page, in words."""
    about = resources["nbgrader"]
    record = ledger.last(about["assignment"], about["student"]) or {"exercises": [], "notes": []}
    messages = {exercise["name"]: exercise["message"] for exercise in record["exercises"]}
    items = []
    for cell in notebook.cells:
        flags = cell.metadata.get("nbgrader", {})
        if not flags.get("grade"):
            continue
        name = flags["grade_id"].removeprefix(CHECK_PREFIX)
        if (about["student"], about["notebook"], flags["grade_id"]) in waiting:
            told = f"{flags['points']:g} points, to be graded by hand."
        else:
            told = f"{flags['score']:g} of {flags['points']:g} points."
            if flags["score"] < flags["points"]:
                first = next(iter(messages.get(name, "").splitlines()), "")
                told = f"{told} {first.removeprefix(f'{name}: ')}".strip()
        items.append(f"<li><b>{escape(name)}</b>: {escape(told)}</li>")
    items += [f"<li>Note: {escape(note)}.</li>" for note in record["notes"]]
    notebook.cells.insert(0, new_markdown_cell("<ul>\n" + "\n".join(items) + "\n</ul>"))
    return notebook, resources
