"""The course's own assignments: released as they stand, and graded with the real checks, ours and plain nbgrader's."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from autograder.classroom import grade
from autograder.course import Course
from autograder.limits import Limits
from autograder.release import check_release, generate
from autograder.source import assignments, read_assignment
from autograder.submission import mend, parse
from autograder.template import read_templates
from tests.notebooks.mutants import ANSWERS

REPOSITORY = Path(__file__).resolve().parents[2]
NAMES = assignments(REPOSITORY / "solutions")


def trained(exercise: str) -> str:
    """A file that earns this exercise: the first of its right answers."""
    answer = next(answer for answer in ANSWERS if answer.exercise == exercise and answer.right)
    return answer.function()


def test_the_committed_notebooks_are_what_their_sources_make():
    assert check_release(REPOSITORY, []) == []


@pytest.fixture(scope="module", params=NAMES)
def graded(
    request: pytest.FixtureRequest, empty_gradebook: Path, unsafe: bool, cluster, tmp_path_factory
) -> tuple[str, Course, dict]:
    """An assignment, and a course folder in which its solutions and its untouched release were graded."""
    name = request.param
    course = Course(tmp_path_factory.mktemp("course"))
    shutil.copyfile(empty_gradebook, course.database)
    generate(course, REPOSITORY, name, read_assignment(REPOSITORY / "solutions", name), record=False)
    handed_in = course.root / "handed-in"
    for student, step in (("solved", "source"), ("untouched", "release")):
        shutil.copytree(course.folder(step, ".", name), handed_in / student / name)
    for template in read_templates(REPOSITORY / "notebooks" / name).values():
        for exercise in template.exercises.values():
            if exercise.file is not None:
                shutil.copyfile(trained(exercise.name), handed_in / "solved" / name / exercise.file)
    return name, course, grade(REPOSITORY, name, handed_in, course, Limits(unsafe=unsafe), print, cluster=cluster)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("student", "statuses"), [("solved", {"passed", "by-hand"}), ("untouched", {"failed", "unanswered"})]
)
def test_the_solutions_earn_all_and_the_release_earns_nothing(graded, student: str, statuses: set[str]):
    _, _, results = graded
    result = results[student]
    assert result.outcome == "graded", result.message
    exercises = [exercise for notebook in result.notebooks for exercise in notebook.exercises]
    assert {exercise.status for exercise in exercises} == statuses, [e.message for e in exercises]
    assert result.points == sum(exercise.max_points for exercise in exercises if exercise.status == "passed")


@pytest.mark.slow
def test_of_an_honest_notebook_nothing_had_to_be_put_right(graded):
    name, course, results = graded
    notes = {note for notebook in results["solved"].notebooks for note in notebook.notes}
    assert notes <= {"graded without a sandbox (--unsafe)"}
    # Nor, if it is handed in with all that running it left in it.
    for notebook in results["solved"].notebooks:
        text = (course.folder("autograded", "solved", name) / f"{notebook.name}.ipynb").read_bytes()
        assert len(text) < Limits().file_bytes / 4
        template = read_templates(REPOSITORY / "notebooks" / name)[notebook.name]
        assert mend(parse(text, notebook.name), template, notebook.name).notes == []


@pytest.mark.slow
def test_plain_nbgrader_grades_the_released_notebook(graded, tmp_path: Path):
    name, course, _ = graded
    templates = read_templates(REPOSITORY / "notebooks" / name).values()
    # One notebook will do: one with a file beside it, if there is one.
    chosen = max(templates, key=lambda template: any(exercise.file for exercise in template.exercises.values()))
    shutil.copytree(course.root / "source" / name, tmp_path / "source" / name)
    shutil.copytree(course.root / "handed-in" / "solved" / name, tmp_path / "submitted" / "ann" / name)
    shutil.copyfile(course.database, tmp_path / "gradebook.db")  # the assignment is registered in it
    done = subprocess.run(
        [sys.executable, "-m", "nbgrader", "autograde", name, "--notebook", chosen.name],
        cwd=tmp_path,
        env={**os.environ, "GENMODELS_SCALE": "smoke", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    with Course(tmp_path).gradebook(name) as gradebook:
        submission = gradebook.find_submission(name, "ann")
        marks = {
            grade.name: (grade.auto_score, grade.max_score)
            for notebook in submission.notebooks
            if notebook.name == chosen.name
            for grade in notebook.grades
        }
    assert len(marks) == len(chosen.exercises)
    by_hand = {exercise for exercise, (score, _) in marks.items() if score is None}
    assert all(score == most for exercise, (score, most) in marks.items() if exercise not in by_hand), marks
    assert not any(exercise.startswith("check-") for exercise in by_hand)


def test_nothing_of_the_hidden_checks_is_released():
    hidden = (REPOSITORY / "autograder" / "hidden").rglob("*.py")
    told = {
        line.strip()
        for path in hidden
        for line in path.read_text(encoding="utf-8").splitlines()
        if len(line.strip()) > 30 and not line.startswith(("import", "from"))
    }
    for path in (REPOSITORY / "notebooks").rglob("*.ipynb"):
        lines = {line.strip() for cell in nbformat.read(path, as_version=4).cells for line in cell.source.splitlines()}
        assert lines.isdisjoint(told)
