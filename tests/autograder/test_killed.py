"""The command itself, with real sandboxes and a real notebook, killed at random moments: nothing lost, nobody left.

``make fuzz`` does so 20 times; without ``KILLS`` it is left out, since each time takes half a minute. In every run of
the tests a pretended grading is killed instead, at single operations on files (``test_interrupted.py``).
"""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from autograder.course import Course
from autograder.results import Ledger
from benchmarks.grader import NAME, ROOT, write_class

KILLS = int(os.environ.get("KILLS", "0"))
STUDENTS = 4

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(60 * (KILLS + 1)),
    pytest.mark.skipif(KILLS == 0, reason="takes half a minute a kill: KILLS=20, or make fuzz"),
]


class Command:
    """``python -m autograder grade`` on a small class, in a course folder of one's choice."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._root, _ = write_class(folder, STUDENTS)

    def start(self, course: Course) -> "subprocess.Popen[str]":
        words = ["--root", self._root, "grade", NAME, "--submissions", self._folder / "submitted"]
        return subprocess.Popen(
            [sys.executable, "-m", "autograder", *map(str, words), "--course", str(course.root), "--workers", "2"],
            cwd=ROOT,
            env={**os.environ, "KILLED_RUN": course.root.name},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def finish(self, course: Course) -> str:
        process = self.start(course)
        said, _ = process.communicate(timeout=300)
        assert process.returncode == 0, said
        return said


def left_behind(course: Course) -> list[psutil.Process]:
    """The processes of a run outside of the sandbox, also those that its own are no longer the parents of."""
    there = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("KILLED_RUN") == course.root.name:
                there.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return there


def outcome(course: Course) -> dict[str, object]:
    with course.gradebook(NAME) as gradebook:
        return {
            (grade.student.id, grade.name): (grade.auto_score, grade.needs_manual_grade)
            for submission in gradebook.find_assignment(NAME).submissions
            for notebook in submission.notebooks
            for grade in notebook.grades
        }


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> Command:
    return Command(tmp_path_factory.mktemp("killed"))


def test_the_command_killed_at_random_moments_ends_as_if_it_had_not_been_and_leaves_no_process(
    command: Command, tmp_path: Path
):
    undisturbed = Course(tmp_path / "undisturbed")
    began = time.monotonic()
    assert f"{STUDENTS} graded" in command.finish(undisturbed)
    took = time.monotonic() - began
    wanted = outcome(undisturbed)
    assert len({student for student, _ in wanted}) == STUDENTS
    dice = random.Random(KILLS)
    for number in range(KILLS):
        course = Course(tmp_path / f"killed-{number}")
        process = command.start(course)
        # Later rather than sooner: the first half of so small a run is its start.
        time.sleep(dice.triangular(0, took, 0.8 * took))
        family = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
        _, alive = psutil.wait_procs(family, timeout=30)
        assert not alive, f"outlived the command: {alive}"
        assert not left_behind(course)
        before = {f"student{i:03}" for i in range(STUDENTS) if Ledger(course.ledger).last(NAME, f"student{i:03}")}
        said = command.finish(course)
        assert f"{len(before)} unchanged" in said or "recovered" in said, said
        assert outcome(course) == wanted
