"""A class in a course folder, made through nbgrader's own API: no notebook is run for it, so it takes a moment."""

import shutil
import warnings
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import nbformat
from nbformat.v4 import new_markdown_cell
from nbgrader.api import Gradebook
from sqlalchemy.exc import SAWarning

from autograder.course import Course
from autograder.results import ExerciseResult, Ledger, NotebookResult, Result
from autograder.template import CHECK_PREFIX, Template


@dataclass
class Student:
    """One student. ``status`` and ``code`` are by exercise; a status that isn't given is "passed"."""

    id: str
    first_name: str = ""
    last_name: str = ""
    email: str = ""
    lms_id: str = ""
    status: dict[str, tuple[str, str]] = field(default_factory=dict)
    code: dict[str, str] = field(default_factory=dict)
    own_cells: list[str] = field(default_factory=list)
    outcome: str = "graded"
    message: str = ""
    notes: list[str] = field(default_factory=list)
    hand: dict[str, float] = field(default_factory=dict)
    submitted: datetime | None = None
    handed_in: bool = True


def make_class(
    course: Course, empty_gradebook: Path, assignment: str, templates: dict[str, Template], students: list[Student]
) -> None:
    """Write the gradebook, the ledger and the graded notebooks of these students."""
    course.make()
    shutil.copyfile(empty_gradebook, course.database)
    with closing(Gradebook(f"sqlite:///{course.database}")) as gradebook, warnings.catch_warnings():
        warnings.simplefilter("ignore", SAWarning)  # nbgrader's own use of SQLAlchemy warns
        _add_assignment(gradebook, assignment, templates)
        ledger = Ledger(course.ledger)
        for student in students:
            gradebook.add_student(
                student.id,
                first_name=student.first_name or None,
                last_name=student.last_name or None,
                email=student.email or None,
                lms_user_id=student.lms_id or None,
            )
            if student.handed_in:
                result = _result(assignment, templates, student)
                _add_submission(gradebook, assignment, student, result)
                ledger.append(student.id, "key", result)
                _write_notebooks(course, assignment, templates, student)


def _add_assignment(gradebook: Gradebook, assignment: str, templates: dict[str, Template]) -> None:
    gradebook.add_assignment(assignment)
    for name, template in templates.items():
        gradebook.add_notebook(name, assignment)
        for exercise in template.exercises.values():
            cell = CHECK_PREFIX + exercise.name if exercise.check else exercise.name
            kind = "code" if exercise.check else "markdown"
            gradebook.add_grade_cell(cell, name, assignment, max_score=exercise.points, cell_type=kind)
            gradebook.add_source_cell(cell, name, assignment, cell_type=kind, source="")
            gradebook.add_solution_cell(exercise.name, name, assignment)


def _result(assignment: str, templates: dict[str, Template], student: Student) -> Result:
    notebooks = []
    for position, (name, template) in enumerate(templates.items()):
        exercises = []
        for exercise in template.exercises.values():
            usual = "passed" if exercise.check else "by-hand"
            status, message = student.status.get(exercise.name, (usual, ""))
            points = exercise.points if status == "passed" else 0.0
            exercises.append(ExerciseResult(exercise.name, status, points, exercise.points, message))
        first = position == 0
        notebooks.append(
            NotebookResult(
                name,
                student.outcome if first else "graded",
                student.message if first else "",
                exercises,
                {},
                student.notes if first else [],
            )
        )
    return Result(assignment, notebooks, seconds=2.0)


def _add_submission(gradebook: Gradebook, assignment: str, student: Student, result: Result) -> None:
    submission = gradebook.add_submission(assignment, student.id, timestamp=student.submitted)
    done = {exercise.name: exercise for notebook in result.notebooks for exercise in notebook.exercises}
    for notebook in submission.notebooks:
        for grade in notebook.grades:
            exercise = done[grade.name.removeprefix(CHECK_PREFIX)]
            grade.needs_manual_grade = exercise.status == "by-hand" and exercise.name not in student.hand
            if exercise.name in student.hand:
                grade.manual_score = student.hand[exercise.name]
            elif exercise.status != "by-hand":
                grade.auto_score = exercise.points
    gradebook.db.commit()


def _write_notebooks(course: Course, assignment: str, templates: dict[str, Template], student: Student) -> None:
    folder = course.folder("autograded", student.id, assignment)
    folder.mkdir(parents=True, exist_ok=True)
    for name, template in templates.items():
        notebook = nbformat.from_dict(template.notebook)
        notebook = nbformat.reads(nbformat.writes(notebook), as_version=4)
        for cell in notebook.cells:
            if cell.id in student.code:
                cell.source = student.code[cell.id]
        notebook.cells += [nbformat.v4.new_code_cell(source) for source in student.own_cells]
        notebook.cells.append(new_markdown_cell("The end."))
        nbformat.write(notebook, folder / f"{name}.ipynb")
