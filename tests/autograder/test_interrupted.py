"""A run over a class that is ended in the middle: what it had graded is not lost, and not graded again."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import pytest

from autograder.course import Course
from autograder.results import Ledger

STUDENTS = 6


class Runs:
    """Runs over a small class, each in a process of its own, that may be disturbed."""

    def __init__(self, root: Path, folder: Path, empty_gradebook: Path) -> None:
        self._folder, self._empty = folder, empty_gradebook
        self.log = folder / "graded"
        fixtures = Path(__file__).parent / "fixtures"
        self._process = subprocess.Popen(
            [sys.executable, fixtures / "interrupted.py", root, folder / "submissions"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "TOYUNITS_LOG": str(self.log)},
        )

    def close(self) -> None:
        with self._process:  # closes its pipes, and waits for it
            pass
        assert self._process.returncode == 0

    def new_course(self, name: str) -> Course:
        course = Course(self._folder / name)
        course.make()
        shutil.copyfile(self._empty, course.database)
        return course

    def __call__(self, course: Course, how: str = "", when: float = 0) -> tuple[int, str, list[str]]:
        """The exit code (or signal), what was said, and who was graded meanwhile."""
        self.log.write_text("")
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps({"course": str(course.root), "how": how, "when": when}), file=self._process.stdin, flush=True)
        told = json.loads(self._process.stdout.readline())
        return told["code"], told["said"], self.log.read_text().split()


def outcome(course: Course) -> dict[str, object]:
    """All that a run leaves behind, but for ids and times."""
    with course.gradebook("toy") as gradebook:
        grades = {
            (grade.student.id, grade.name): (grade.auto_score, grade.manual_score, grade.needs_manual_grade)
            for submission in gradebook.find_assignment("toy").submissions
            for notebook in submission.notebooks
            for grade in notebook.grades
        }
        comments = {
            (comment.notebook.student.id, comment.name): comment.auto_comment
            for submission in gradebook.find_assignment("toy").submissions
            for notebook in submission.notebooks
            for comment in notebook.comments
        }
        students = sorted(student.id for student in gradebook.students)
    files = {
        str(path.relative_to(course.root)): path.read_bytes()
        for step in ("autograded", "sanitised", "pending")
        for path in (course.root / step).rglob("*")
        if path.is_file()
    }
    ledger = Ledger(course.ledger)
    records = {
        student: {k: v for k, v in (ledger.last("toy", student) or {}).items() if k not in ("grading", "seconds")}
        for student in students
    }
    return {"grades": grades, "comments": comments, "students": students, "files": files, "records": records}


def written(course: Course) -> set[str]:
    """Whose result is on the disk: in the ledger, or waiting for the gradebook."""
    ledger = Ledger(course.ledger)
    names = {f"s{i}" for i in range(STUDENTS) if ledger.last("toy", f"s{i}")}
    return names | {json.loads(path.read_text())["student"] for path in course.pending.glob("*.json")}


@pytest.fixture(scope="module")
def runs(
    root: Path, solve: Callable, empty_gradebook: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Runs]:
    folder = tmp_path_factory.mktemp("interrupted")
    for i in range(STUDENTS):
        place = folder / "submissions" / f"s{i}"
        place.mkdir(parents=True)
        content = b"{" if i == 3 else nbformat.writes(solve(*["double", "mean", "why"][: 1 + i % 3])).encode()
        (place / "lesson.ipynb").write_bytes(content)
        (place / "name.txt").write_text(f"s{i}")
    runs = Runs(root, folder, empty_gradebook)
    yield runs
    runs.close()


@pytest.fixture(scope="module")
def undisturbed(runs: Runs) -> tuple[dict[str, object], int, float]:
    """What a run leaves behind that nothing disturbs; how many things it does in the folder; how long it takes."""
    course = runs.new_course("undisturbed")
    code, said, graded = runs(course)
    assert code == 0, said
    assert sorted(graded) == [f"s{i}" for i in range(STUDENTS)]
    told = json.loads(said)
    left = outcome(course)
    assert len(left["grades"]) == 3 * STUDENTS
    assert sum(name.endswith(".ipynb") for name in left["files"]) == 2 * STUDENTS
    assert runs(course)[::2] == (0, []), "a second run graded something"
    assert outcome(course) == left
    return left, told["things"], told["seconds"]


def finish(runs: Runs, course: Course) -> None:
    """Run to the end; who was written down is not graded again."""
    before = written(course)
    code, said, graded = runs(course)
    assert code == 0, said
    assert not before & set(graded)


@pytest.mark.slow
@pytest.mark.parametrize(("how", "kills"), [("kill", 20), ("late", 6)])
def test_killed_at_any_moment_it_ends_as_if_it_had_not_been(runs: Runs, undisturbed, how: str, kills: int):
    wanted, things, seconds = undisturbed
    dice = random.Random(how)
    course, killed, finished = runs.new_course(f"{how}-0"), 0, 0
    while killed < kills:
        when = dice.randint(1, things) if how == "kill" else dice.uniform(0, seconds)
        before = written(course)
        code, said, graded = runs(course, how, when)
        assert code in (0, -signal.SIGKILL), said
        assert not before & set(graded), "graded again, though it was written down"
        killed += code != 0
        if code == 0 or dice.random() < 0.25:
            finish(runs, course)
            assert outcome(course) == wanted
            finished += 1
            course = runs.new_course(f"{how}-{finished}")
    finish(runs, course)
    assert outcome(course) == wanted


@pytest.mark.slow
def test_a_disk_that_runs_full_is_told_in_a_line_and_costs_nothing(runs: Runs, undisturbed):
    wanted, things, _ = undisturbed
    for when in range(1, things, things // 8):
        course = runs.new_course(f"full-{when}")
        code, said, _ = runs(course, "full", when)
        assert code == 2, (when, said)
        assert "the disk is full" in said
        assert len(said.splitlines()) == 1
        finish(runs, course)
        assert outcome(course) == wanted, when
