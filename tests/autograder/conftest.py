"""A small assignment with checks of its own, in a repository of its own, for the grader's tests."""

import copy
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest
from nbformat import NotebookNode
from nbgrader.api import Gradebook

from autograder.cluster import local_cluster
from autograder.course import own_tools_first
from autograder.limits import Limits
from autograder.release import release
from autograder.sandbox import NoSandbox, close_shared, limits_of, shared
from autograder.template import Assignment, Template, read_templates

FIXTURES = Path(__file__).parent / "fixtures"
CHECKS = ("toychecks", "toychecks")
ANSWERS = {
    "double": "def double(x):\n    return 2 * x",
    "mean": "def mean(numbers):\n    return sum(numbers) / len(numbers)",
    "why": "Because one cannot divide by zero.",
}

Solve = Callable[..., NotebookNode]


@pytest.fixture(scope="session", autouse=True)
def toy_checks() -> Iterator[None]:
    """Let kernels, and this process, import ``toychecks``."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(FIXTURES / "checks"), os.environ.get("PYTHONPATH", "")]))
        patch.syspath_prepend(str(FIXTURES / "checks"))
        yield


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with the two toy assignments, released."""
    root = tmp_path_factory.mktemp("repository")
    shutil.copytree(FIXTURES / "solutions", root / "solutions")
    release(root, [])
    return root


@pytest.fixture(scope="session")
def template(root: Path) -> Template:
    return read_templates(root / "notebooks" / "toy")["lesson"]


@pytest.fixture(scope="session")
def assignment(template: Template) -> Assignment:
    return Assignment("toy", {"lesson": template}, *CHECKS)


@pytest.fixture(scope="session")
def cluster(toy_checks) -> Iterator[Callable[[], AbstractContextManager]]:
    """Two workers on this machine, for all tests: starting them takes seconds."""
    with local_cluster(2) as client:
        yield lambda: nullcontext(client)


@pytest.fixture(scope="session")
def empty_gradebook(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gradebook to copy: making one costs nbgrader seconds."""
    path = tmp_path_factory.mktemp("gradebook") / "gradebook.db"
    with own_tools_first():
        Gradebook(f"sqlite:///{path}").close()
    return path


@pytest.fixture(scope="session", autouse=True)
def sandbox_ended() -> Iterator[None]:
    """End the sandbox that tests of single submissions have started in this process."""
    yield
    close_shared()


@pytest.fixture(scope="session")
def unsafe() -> bool:
    """Whether students' code can't be confined here, so that the tests that can do without must do without."""
    try:
        shared(Limits().start_seconds).start(limits_of(1 << 30, 1 << 20, 60)).kill()
    except NoSandbox:  # the attacks skip then, and say why
        return True
    return False


@pytest.fixture(scope="session")
def limits(unsafe: bool) -> Limits:
    return Limits(
        unsafe=unsafe,
        cell_seconds=1.5,
        total_seconds=60,
        grace_seconds=2,
        file_bytes=100_000,
        # Small, so that a slow machine gets there before the time limit.
        kept_bytes=100_000,
        runaway_bytes=200_000,
    )


@pytest.fixture(scope="session")
def solve(template: Template) -> Solve:
    """Fills the released toy notebook in: ``solve("double")`` answers that one, ``solve(double="...")`` in these words,
    ``solve()`` all."""

    def solve(*names: str, **sources: str) -> NotebookNode:
        notebook = copy.deepcopy(template.notebook)
        wanted = {name: ANSWERS[name] for name in (names or (() if sources else ANSWERS))} | sources
        for cell in notebook.cells:
            if cell.id in wanted:
                cell.source = wanted[cell.id]
        return notebook

    return solve
