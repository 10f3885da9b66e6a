"""What a student is told before handing in."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell

from autograder.doctor import examine
from autograder.errors import UserError
from autograder.limits import Limits
from autograder.template import Assignment

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def doctor(root: Path, limits: Limits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Hands a notebook (or bytes) to the doctor; gives back whether it is ready, and all that was said."""
    # The toy notebook's checks stand in for genmodels'.
    monkeypatch.setattr("autograder.doctor.Assignment", lambda *a, **k: Assignment(*a, **{"public": "toychecks", **k}))

    def look(work, name: str = "lesson.ipynb") -> tuple[bool, str]:
        path = tmp_path / name
        path.write_bytes(work if isinstance(work, bytes) else nbformat.writes(work).encode())
        before = path.read_bytes()
        said: list[str] = []
        ready = examine(path, root / "notebooks", limits, said.append)
        assert path.read_bytes() == before
        return ready, "\n".join(said)

    return look


def test_a_finished_notebook_is_ready(doctor, solve):
    ready, said = doctor(solve())
    assert ready
    assert "double (2 points): the public check holds." in said
    assert "why (5 points): an answer is there; a person will read it." in said
    assert "Ready to hand in." in said


def test_what_is_unfinished_is_listed(doctor, solve):
    ready, said = doctor(solve("double"))
    assert not ready
    assert "problem: mean (3 points): mean is not written yet." in said
    assert "problem: why (5 points): no answer is written yet." in said
    assert "cell 11 (`print(double(4), mean([1, 2]))`) raised NotImplementedError" in said


def test_a_notebook_that_was_solved_where_it_lies_is_ready(doctor, solve, root: Path, limits: Limits, tmp_path: Path):
    shutil.copytree(root / "notebooks" / "toy", tmp_path / "notebooks" / "toy")
    path = tmp_path / "notebooks" / "toy" / "lesson.ipynb"
    path.write_text(nbformat.writes(solve()))
    said: list[str] = []
    assert examine(path, tmp_path / "notebooks", limits, said.append), said


@pytest.fixture
def with_file(root: Path) -> nbformat.NotebookNode:
    """The notebook whose second exercise is graded from a file; both are answered."""
    notebook = nbformat.read(root / "notebooks" / "filed" / "lesson.ipynb", as_version=4)
    for cell in notebook.cells:
        if cell.id == "halve":
            cell.source = "def halve(x):\n    return x / 2"
        if cell.id == "heavy":
            cell.source = "def heavy():\n    Path('heavy.safetensors').write_text('12')\n    return 'heavy.safetensors'"
    return notebook


def test_a_file_that_is_graded_must_be_there(doctor, with_file, tmp_path: Path):
    ready, said = doctor(with_file)
    assert not ready
    assert "problem: heavy.safetensors is not beside the notebook." in said
    assert "heavy (4 points): the public check holds." in said  # the answer made one, which is not the file to hand in
    (tmp_path / "heavy.safetensors").write_text("12")
    ready, said = doctor(with_file)
    assert ready, said


@pytest.mark.parametrize("spoilt", ["too little", "a link", "a folder"])
def test_a_file_that_would_earn_nothing_is_named(doctor, with_file, tmp_path: Path, spoilt: str):
    file = tmp_path / "heavy.safetensors"
    match spoilt:
        case "too little":
            file.write_text("9")
        case "a link":
            (tmp_path / "mine").write_text("12")
            file.symlink_to(tmp_path / "mine")
        case "a folder":
            file.mkdir()
    ready, said = doctor(with_file)
    assert not ready
    told = {"too little": "heavy.safetensors holds 9, which is too little."}.get(spoilt, f"is {spoilt}, not a file.")
    assert f"problem: heavy (4 points): heavy.safetensors {told.removeprefix('heavy.safetensors ')}" in said
    assert "1 thing to look at" in said


def test_the_hidden_checks_are_neither_needed_nor_shown(doctor, solve):
    ready, said = doctor(solve("mean", "why", double="def double(x):\n    return 2"))
    assert "double (2 points): the public check holds." in said
    assert not ready or "inputs that are not shown here" in said


def test_spoilt_checks_are_named(doctor, solve):
    notebook = solve()
    checks = {cell.id: cell for cell in notebook.cells if cell.id.startswith("check-")}
    checks["check-double"].source = "pass"
    notebook.cells.remove(checks["check-mean"])
    ready, said = doctor(notebook)
    assert not ready
    assert "the check of double had been changed" in said
    assert "the check of mean was missing" in said
    assert "2 things to look at" in said


def test_a_cell_that_never_ends_is_named(doctor, solve):
    notebook = solve()
    notebook.cells.insert(0, new_code_cell("import time\ntime.sleep(1000)"))
    ready, said = doctor(notebook)
    assert not ready
    assert "problem: cell 1 (`import time`) did not end within 1.5 s." in said


@pytest.mark.parametrize(
    ("work", "said"),
    [
        (b"", "is empty (0 bytes)"),
        (b"<html>", "Hand in the .ipynb file itself"),
        (b'{"cells": [', "it was not saved whole"),
        (b'{"nbformat": 4, "cells": [{"cell_type": "code", "source": "1"}]}', "none of the course's notebooks"),
    ],
)
def test_a_file_that_is_no_notebook_of_ours_gets_advice(doctor, work: bytes, said: str):
    ready, told = doctor(work)
    assert not ready
    assert said in told
    assert len(told.splitlines()) == 2


def test_a_notebook_under_another_name_is_recognised(doctor, solve):
    ready, said = doctor(solve(), name="lesson (1).ipynb")
    assert not ready
    assert "hand it in under the name lesson.ipynb" in said


def test_it_needs_something_to_compare_with(tmp_path: Path, limits: Limits):
    with pytest.raises(UserError, match="there is no file"):
        examine(tmp_path / "none.ipynb", tmp_path, limits, print)
    (tmp_path / "mine.ipynb").write_text("{}")
    with pytest.raises(UserError, match="no released notebook"):
        examine(tmp_path / "mine.ipynb", tmp_path / "notebooks", limits, print)


def test_it_runs_without_the_instructor_s_files_and_tools(root: Path, tmp_path: Path):
    shutil.copytree(
        REPOSITORY / "autograder", tmp_path / "autograder", ignore=shutil.ignore_patterns("hidden", "__pycache__")
    )
    shutil.copytree(root / "notebooks", tmp_path / "notebooks")
    (tmp_path / "nbgrader.py").write_text("raise ImportError('students have no nbgrader')")
    (tmp_path / "lesson.ipynb").write_bytes(b"")
    done = subprocess.run(
        [sys.executable, "-m", "autograder", "doctor", "lesson.ipynb"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, "")
    assert "problem: lesson.ipynb is empty (0 bytes)." in done.stdout
