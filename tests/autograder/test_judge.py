"""The judges of a machine: forked from one warm process where there is one, each for itself where not."""

import os
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

import nbformat
import psutil
import pytest

from autograder.judge import FORK_SERVER, JudgeProcess, fork_server
from autograder.limits import Limits
from autograder.template import Assignment


@pytest.fixture
def submission(tmp_path: Path, solve: Callable) -> Path:
    nbformat.write(solve(), tmp_path / "lesson.ipynb")
    return tmp_path


def servers() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if "fork-server" in child.cmdline()]


def kill(process: psutil.Process) -> None:
    process.kill()
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)


@pytest.mark.slow
def test_judges_come_from_the_warm_process_and_from_nothing_when_it_has_gone(
    submission: Path, assignment: Assignment, limits: Limits
):
    with fork_server(limits, ("toychecks",)), ExitStack() as stack:
        (server,) = servers()
        first, second = (stack.enter_context(closing(JudgeProcess())) for _ in range(2))
        results = [judge.grade(submission, assignment, limits) for judge in (first, second, first)]
        judges = [child for child in server.children() if "autograder.judge" in child.cmdline()]
        assert len(judges) == 2

        kill(judges[0])  # one that dies is replaced
        results += [judge.grade(submission, assignment, limits) for judge in (first, second)]

        orphans = server.children()
        kill(server)
        _, alive = psutil.wait_procs(orphans, timeout=30)
        assert not alive
        results.append(first.grade(submission, assignment, limits))
    assert {(result.outcome, result.points) for result in results} == {("graded", 5)}


@pytest.mark.slow
def test_nothing_of_the_warm_process_is_left_after_it(submission: Path, assignment: Assignment, limits: Limits):
    with closing(JudgeProcess()) as judge, fork_server(limits, ("toychecks",)):
        (server,) = servers()
        judge.grade(submission, assignment, limits)
        family = [server, *server.children(recursive=True)]
        path = Path(os.environ[FORK_SERVER])
        assert path.parent.stat().st_mode & 0o077 == 0
    _, alive = psutil.wait_procs(family, timeout=30)
    assert not alive
    assert FORK_SERVER not in os.environ
    assert not path.exists()
