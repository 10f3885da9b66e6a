"""What a class has earned, read from the gradebook and the ledger: the ground that exports and the report stand on."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from autograder.course import Course
from autograder.errors import UserError
from autograder.lateness import settle
from autograder.results import Ledger
from autograder.template import CHECK_PREFIX


@dataclass(frozen=True)
class Item:
    """One graded exercise of an assignment."""

    name: str
    notebook: str
    points: float


@dataclass(frozen=True)
class Row:
    """One student of the gradebook. ``scores`` has an entry for each item, None where an answer waits for a person."""

    student: str
    first_name: str
    last_name: str
    email: str
    lms_id: str
    scores: tuple[float | None, ...]
    penalty: float = 0.0
    submitted: datetime | None = None  # in UTC
    seconds_late: float = 0.0
    record: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """First and last name, or the id where the roster gives none."""
        return f"{self.first_name} {self.last_name}".strip() or self.student

    @property
    def missing(self) -> bool:
        """Whether nothing was handed in: no folder, or none of the assignment's notebooks in it."""
        ran = any(one["status"] not in ("not-run", "unanswered") for one in self.record.get("exercises", []))
        return self.record.get("outcome", "missing") == "missing" and not ran

    @property
    def outcome(self) -> str:
        """The outcome of the last grading; ``missing`` where nothing was handed in."""
        outcome = str(self.record.get("outcome", "missing"))
        return "missing in part" if outcome == "missing" and not self.missing else outcome

    @property
    def waiting(self) -> int:
        """How many answers wait to be graded by hand."""
        return sum(score is None for score in self.scores)

    @property
    def total(self) -> float:
        """The points so far, a late penalty taken off."""
        return sum(score for score in self.scores if score is not None) - self.penalty


@dataclass(frozen=True)
class Marks:
    """The marks of a class in one assignment: its items in order, its students by id."""

    assignment: str
    items: tuple[Item, ...]
    rows: tuple[Row, ...]

    @property
    def most(self) -> float:
        return sum(item.points for item in self.items)


def read_marks(course: Course, assignment: str) -> Marks:
    """The marks of every student of the gradebook as they stand now, marks by hand and late penalties included.

    Raises
    ------
    UserError
        If there is no gradebook, it does not have the assignment, or the course's late policy is wrong.
    """
    ledger = Ledger(course.ledger)
    with course.gradebook(assignment) as gradebook:
        settle(course, gradebook, assignment)
        known = gradebook.find_assignment(assignment)
        cells = [
            (cell, notebook.name)
            for notebook in sorted(known.notebooks, key=lambda one: one.name)
            for cell in _in_order(notebook)
        ]
        items = tuple(Item(cell.name.removeprefix(CHECK_PREFIX), name, float(cell.max_score)) for cell, name in cells)
        handed_in = {submission.student_id: submission for submission in known.submissions}
        rows = []
        for student in sorted(gradebook.students, key=lambda one: one.id):
            submission = handed_in.get(student.id)
            grades: dict[str, Any] = {}
            penalty = 0.0
            for notebook in submission.notebooks if submission is not None else ():
                grades |= {grade.name: grade for grade in notebook.grades}
                penalty += notebook.late_submission_penalty or 0.0
            rows.append(
                Row(
                    student.id,
                    student.first_name or "",
                    student.last_name or "",
                    student.email or "",
                    student.lms_user_id or "",
                    tuple(_score(grades.get(cell.name)) for cell, _ in cells),
                    penalty,
                    None if submission is None else submission.timestamp,
                    0.0 if submission is None else float(submission.total_seconds_late),
                    ledger.last(assignment, student.id) or {},
                )
            )
    return Marks(assignment, items, tuple(rows))


def lost_points(course: Course, assignment: str, exercise: str) -> set[str]:
    """The students whose answer to an exercise did not pass its checks, or was not reached.

    Raises
    ------
    UserError
        If the assignment has no such exercise, or it is graded by hand.
    """
    marks = read_marks(course, assignment)
    names = [item.name for item in marks.items]
    if exercise not in names:
        raise UserError(f"{assignment} has no exercise {exercise!r}; it has {', '.join(names)}")
    picked = set()
    for row in marks.rows:
        for one in row.record.get("exercises", []):
            if one["name"] == exercise:
                if one["status"] in ("by-hand", "unanswered"):
                    raise UserError(f"{exercise} is graded by hand; grading again would change nothing")
                if one["status"] != "passed":
                    picked.add(row.student)
    return picked


def _in_order(notebook: Any) -> list[Any]:
    """A notebook's graded cells in the order in which they stand in it."""
    order = {cell.name: position for position, cell in enumerate(notebook.source_cells)}
    return sorted(notebook.grade_cells, key=lambda cell: order.get(cell.name, len(order)))


def _score(grade: Any) -> float | None:
    if grade is None:
        return 0.0
    if grade.needs_manual_grade and grade.manual_score is None:
        return None
    return float(grade.score)
