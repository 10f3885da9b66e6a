"""The notebooks, run as notebooks: the solved ones to their end, the released ones to the first thing left to do."""

import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_output

from autograder.execute import Session
from autograder.limits import Limits
from autograder.release import build_notebook, equation_links
from autograder.source import Source, assignments, read_assignment
from autograder.template import Template, file_asked_for, read_template
from genmodels.checks import EXERCISES

REPOSITORY = Path(__file__).resolve().parents[2]
SOURCES = {
    f"{name}/{source.name}": source
    for name in assignments(REPOSITORY / "solutions")
    for source in read_assignment(REPOSITORY / "solutions", name)
}
SMALL = {"GENMODELS_SCALE": "smoke", "OMP_NUM_THREADS": "1"}


def released(name: str) -> NotebookNode:
    return nbformat.read(REPOSITORY / "notebooks" / f"{name}.ipynb", as_version=4)


# ------------------------------------------------------------------ the solved notebooks, by nbval


def solved(source: Source) -> NotebookNode:
    """The notebook with its answers, each check's line stored as its output for nbval to compare with."""
    notebook = build_notebook(source, equation_links(REPOSITORY))
    for cell in notebook.cells:
        if cell.id in source.exercises and cell.cell_type == "code" and file_asked_for(cell.source):
            # Train here, and show the progress here: in the check's cell its output would stand beside the line.
            cell.source += f"\n\n\n{cell.id}()"
        name = cell.id.removeprefix("check-")
        if name != cell.id:
            line = f"{name}: all {len(EXERCISES[name].properties)} properties hold.\n"
            cell.outputs = [new_output("stream", name="stdout", text=line)]
            cell.execution_count = 1  # nbval takes a cell without one for a cell that was never run
            cell.metadata.tags = ["nbval-check-output"]
    return notebook


def spoilt(source: Source) -> NotebookNode:
    """Its first two exercises: the first answered wrongly, the second with a check that says nothing."""
    notebook = solved(source)
    checks = [i for i, cell in enumerate(notebook.cells) if cell.id.startswith("check-")]
    first, second = (notebook.cells[i].id.removeprefix("check-") for i in checks[:2])
    cells = {cell.id: cell for cell in notebook.cells}
    cells[first].source += f"\n\n\n{first} = lambda *arguments: None"
    cells[second].source += "\n\n\ncheck = lambda *arguments: None"
    del notebook.cells[checks[1] + 1 :]
    return notebook


@dataclass
class NbvalRun:
    """What nbval said of each notebook's code cells, "passed" or "failed" in order, and the folder that it ran in."""

    folder: Path
    cells: dict[str, list[str]]
    log: str


@pytest.fixture(scope="module")
def nbval(tmp_path_factory: pytest.TempPathFactory) -> NbvalRun:
    folder = tmp_path_factory.mktemp("solved")
    for name, source in SOURCES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        nbformat.write(solved(source), folder / f"{name}.ipynb")
    first = next(iter(SOURCES))
    (folder / "spoilt").mkdir()
    nbformat.write(spoilt(SOURCES[first]), folder / "spoilt" / "spoilt.ipynb")
    command = [sys.executable, "-m", "pytest", "--nbval-lax", "--nbval-current-env", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, "--rootdir", ".", "-c", os.devnull, "--junitxml", "said.xml", "."],
        cwd=folder,
        env={**os.environ, **SMALL},
        capture_output=True,
        text=True,
        check=False,
    )
    cells: dict[str, list[str]] = {}
    for case in ElementTree.parse(folder / "said.xml").iter("testcase"):
        verdict = "failed" if len(case) else "passed"
        cells.setdefault(case.attrib["classname"], []).append(verdict)
    return NbvalRun(folder, cells, done.stdout + done.stderr)


@pytest.mark.slow
@pytest.mark.parametrize("name", SOURCES)
def test_every_cell_of_a_solved_notebook_runs_and_every_check_prints_its_line(nbval: NbvalRun, name: str):
    code = [cell for cell in solved(SOURCES[name]).cells if cell.cell_type == "code"]
    assert nbval.cells[name.replace("/", ".") + ".ipynb"] == ["passed"] * len(code), nbval.log


@pytest.mark.slow
def test_nbval_sees_an_answer_that_is_wrong_and_a_check_that_is_silent(nbval: NbvalRun):
    assert nbval.cells["spoilt.spoilt.ipynb"] == ["passed", "passed", "failed", "passed", "failed"], nbval.log
    assert "this does not hold yet" in nbval.log


@pytest.mark.slow
def test_a_solved_notebook_leaves_nothing_beside_it_but_what_is_handed_in(nbval: NbvalRun):
    for name in assignments(REPOSITORY / "solutions"):
        templates = [read_template(path) for path in (REPOSITORY / "notebooks" / name).glob("*.ipynb")]
        wanted = {exercise.file for template in templates for exercise in template.exercises.values() if exercise.file}
        left = {path.name for path in (nbval.folder / name).iterdir()}
        assert left == wanted | {f"{template.name}.ipynb" for template in templates}


# ------------------------------------------------------------------ the released notebooks, cell by cell


@dataclass
class ReleasedRun:
    """A released notebook, every code cell of which was run: what each sent, by its id."""

    template: Template
    outputs: dict[str, list[NotebookNode]]

    def error(self, cell: str) -> NotebookNode | None:
        return next((o for o in self.outputs[cell] if o.output_type == "error"), None)


@pytest.fixture(scope="module", params=SOURCES)
def untouched(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ReleasedRun:
    template = read_template(REPOSITORY / "notebooks" / f"{request.param}.ipynb")
    outputs = {}
    with Session(tmp_path_factory.mktemp("untouched"), Limits(unsafe=True)) as session:
        for cell in template.notebook.cells:
            if cell.cell_type == "code":
                outputs[cell.id], _, why = session.execute(cell.source, 60)
                assert why == "", f"{cell.id}: {why}"
    return ReleasedRun(template, outputs)


@pytest.mark.parametrize("name", SOURCES)
def test_a_released_notebook_is_valid_and_carries_no_output(name: str):
    notebook = released(name)
    nbformat.validate(notebook)
    assert [cell for cell in notebook.cells if cell.get("outputs") or cell.get("execution_count")] == []


@pytest.mark.slow
def test_a_released_notebook_runs_to_the_first_exercise_that_is_left_to_do(untouched: ReleasedRun):
    first = next(cell for cell in untouched.outputs if untouched.error(cell))
    assert first == f"check-{next(iter(untouched.template.exercises))}"


@pytest.mark.slow
def test_each_check_says_in_two_lines_what_is_left_to_do_and_shows_no_stack_trace(untouched: ReleasedRun):
    for exercise in untouched.template.exercises.values():
        if exercise.check is None:
            continue
        error = untouched.error(exercise.check.id)
        assert error is not None, f"{exercise.name} passes unanswered"
        assert error.ename == "CheckFailed"
        # What a notebook shows of an error is its traceback.
        assert error.traceback[0] == f"{exercise.name} is not written yet."
        assert error.traceback[1].startswith("Replace the line `raise NotImplementedError(...)` with your answer.")
        assert len(error.traceback) == 2
        assert "Traceback" not in str(untouched.outputs[exercise.check.id])
        assert "File " not in str(untouched.outputs[exercise.check.id])


@pytest.mark.slow
def test_no_released_cell_fails_but_for_want_of_an_answer(untouched: ReleasedRun):
    for cell in untouched.outputs:
        error = untouched.error(cell)
        assert error is None or error.ename in ("CheckFailed", "NotImplementedError"), f"{cell}: {error}"
