"""The marks as a CSV: a row for each student, a column for each exercise."""

import csv
import io
from pathlib import Path
from typing import Any

from autograder.course import Course
from autograder.results import Ledger
from autograder.template import CHECK_PREFIX

# A spreadsheet takes a cell that begins with one of these for a formula, and runs it.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def marks(course: Course, assignment: str) -> list[list[str]]:
    """The header and one row for each student of the gradebook, by id, in the gradebook's current state.

    An answer that waits to be graded by hand has an empty cell. Marks given in formgrader count, and so does a late
    penalty, which the outcome names.

    Raises
    ------
    UserError
        If there is no gradebook, or it does not have the assignment.
    """
    ledger = Ledger(course.ledger)
    with course.gradebook(assignment) as gradebook:
        known = gradebook.find_assignment(assignment)
        cells = [cell for notebook in known.notebooks for cell in _in_order(course, notebook)]
        most = sum(cell.max_score for cell in cells)
        handed_in = {submission.student.id: submission for submission in known.submissions}
        header = ["student", *(cell.name.removeprefix(CHECK_PREFIX) for cell in cells), "total", "max", "outcome"]
        rows = [header]
        for student in sorted(gradebook.students, key=lambda one: one.id):
            grades: dict[str, Any] = {}
            penalty = 0.0
            if student.id in handed_in:
                for notebook in handed_in[student.id].notebooks:
                    grades |= {grade.name: grade for grade in notebook.grades}
                    penalty += notebook.late_submission_penalty or 0.0
            scores = [_score(grades.get(cell.name)) for cell in cells]
            total = sum(score for score in scores if score is not None) - penalty
            last = ledger.last(assignment, student.id)
            outcome = "missing" if last is None else str(last["outcome"])
            if penalty:
                outcome += f", late penalty {penalty:g}"
            numbers = ["" if score is None else f"{score:g}" for score in scores]
            rows.append([safe(student.id), *numbers, f"{total:g}", f"{most:g}", safe(outcome)])
    return rows


def _in_order(course: Course, notebook: Any) -> list[Any]:
    """A notebook's graded cells in the order in which they stand in it."""
    order = {cell.name: position for position, cell in enumerate(notebook.source_cells)}
    return sorted(notebook.grade_cells, key=lambda cell: order.get(cell.name, len(order)))


def _score(grade: Any) -> float | None:
    if grade is None:
        return 0.0
    if grade.needs_manual_grade and grade.manual_score is None:
        return None
    return float(grade.score)


def safe(text: str) -> str:
    """Text that a spreadsheet shows and does not run."""
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def to_csv(rows: list[list[str]]) -> str:
    """Rows as CSV, quoted where a comma, a quote or a line break asks for it."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def write_csv(course: Course, assignment: str, path: Path) -> int:
    """Write the marks to a file, whole or not at all; return the number of students."""
    rows = marks(course, assignment)
    part = path.with_name(path.name + ".part")
    part.write_text(to_csv(rows), encoding="utf-8")
    part.replace(path)
    return len(rows) - 1
