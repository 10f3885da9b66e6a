"""The one place that writes into a course folder's gradebook.

A result is written by nbgrader's own ``Autograde``, with its ``Execute`` step, which would run the notebook, replaced
by one that puts the executed notebook in its place.
"""

import shutil
from datetime import datetime
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode
from nbgrader.preprocessors import Execute
from nbgrader.utils import parse_utc

from autograder.course import SANITISED, Course, nbgrader_errors
from autograder.errors import UserError
from autograder.release import generate
from autograder.results import Result
from autograder.source import Source
from autograder.submission import Submission, Unreadable, read_bytes
from autograder.template import Template, read_templates


def register(course: Course, root: Path, assignment: str, sources: list[Source]) -> dict[str, Template]:
    """Make the assignment's release in the course folder, enter it in the gradebook, and read it back."""
    try:
        generate(course, root, assignment, sources, record=True)
    except UserError as error:
        if "Cannot add or remove cells" in str(error) or "Cannot modify existing assignment" in str(error):
            raise UserError(
                f"the exercises of {assignment} have changed since submissions were graded in {course.root}; "
                "grade into a new course folder (--course)"
            ) from error
        raise
    return read_templates(course.folder("release", ".", assignment))


def record(course: Course, submission: Submission, result: Result) -> None:
    """Write one student's result into the gradebook and ``autograded/``. Grades given by hand are kept.

    Raises
    ------
    UserError
        If nbgrader refuses it.
    """
    student, assignment = submission.student, result.assignment
    executed = {notebook.name: nbformat.from_dict(notebook.executed) for notebook in result.notebooks}
    folder = course.folder(SANITISED, student, assignment)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, notebook in executed.items():
        nbformat.write(notebook, folder / f"{name}.ipynb")
    if (time := _handed_in_at(submission)) is not None:
        (folder / "timestamp.txt").write_text(f"{time} UTC\n", encoding="utf-8")

    def replay(notebook: NotebookNode, resources: dict[str, Any]) -> tuple[NotebookNode, dict[str, Any]]:
        return executed[resources["nbgrader"]["notebook"]], resources

    converter = course.autograder(assignment, student)
    converter.autograde_preprocessors = [
        replay if step is Execute else step for step in converter.autograde_preprocessors
    ]
    with nbgrader_errors(f"nbgrader can't record {student}"):
        converter.start()


def _handed_in_at(submission: Submission) -> datetime | None:
    """The time in the ``timestamp.txt`` that nbgrader's collecting leaves, from which it reckons lateness.

    One that can't be read is passed over here: it would stop nbgrader.
    """
    try:
        content = read_bytes(submission.folder / "timestamp.txt", limit=200)
        time: datetime = parse_utc(content.decode("utf-8").strip())
    except (Unreadable, UnicodeDecodeError, ValueError, OverflowError):
        return None
    return time
