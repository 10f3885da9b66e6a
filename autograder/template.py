"""What a released notebook asks for: its cells, its exercises, their tests and their points.

This is all that grading and the students' ``doctor`` need to know of an assignment, and it holds no answer.
"""

import ast
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from autograder.errors import UserError

CHECK_PREFIX = "check-"
# What stands in a released notebook where a paragraph is to be written.
TEXT_STUB = "*Write your answer here.*"


@dataclass(frozen=True)
class Exercise:
    """One exercise. ``check`` is its pristine test cell, None for a written answer; ``answer`` its cell as released.

    ``file`` names the file that it is graded from, if it is graded from one: a student hands that in too.
    """

    name: str
    points: float
    answer: NotebookNode
    check: NotebookNode | None
    file: str | None = None


@dataclass(frozen=True)
class Template:
    """A released notebook, read."""

    name: str
    notebook: NotebookNode
    exercises: dict[str, Exercise]

    def role(self, cell_id: str) -> tuple[str, str] | None:
        """What a cell of this grade_id is: ("answer" or "check", the exercise), or None."""
        if cell_id in self.exercises:
            return "answer", cell_id
        name = cell_id.removeprefix(CHECK_PREFIX)
        if name != cell_id and name in self.exercises and self.exercises[name].check is not None:
            return "check", name
        return None


@dataclass(frozen=True)
class Assignment:
    """An assignment as grading sees it: its notebooks, and the modules that hold its checks.

    ``public`` has ``check(exercise, answer)``; ``hidden`` has ``run_hidden(exercise, answer, seed)``, None to go
    without (as the students' doctor does).
    """

    name: str
    templates: dict[str, Template]
    public: str = "genmodels.checks"
    hidden: str | None = "autograder.hidden"

    @property
    def max_points(self) -> float:
        return sum(exercise.points for t in self.templates.values() for exercise in t.exercises.values())


def read_template(path: Path) -> Template:
    """Read a released notebook."""
    try:
        notebook = nbformat.read(path, as_version=4)
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is not a released notebook: {error}") from None
    marked: dict[str, tuple[NotebookNode, dict[str, Any]]] = {
        cell.metadata.nbgrader.grade_id: (cell, cell.metadata.nbgrader)
        for cell in notebook.cells
        if cell.metadata.get("nbgrader", {}).get("grade_id")
    }
    exercises = {}
    for name, (cell, flags) in marked.items():
        if flags["solution"]:
            check, check_flags = marked.get(CHECK_PREFIX + name, (None, {}))
            points = flags["points"] if flags["grade"] else check_flags.get("points", 0)
            file = None if check is None else file_asked_for(cell.source)
            exercises[name] = Exercise(name, float(points), cell, check, file)
    if not exercises:
        raise UserError(f"{path} holds no exercise")
    return Template(path.stem, notebook, exercises)


def file_asked_for(code: str) -> str | None:
    """The file of weights that a released answer cell names, as in ``name = "digits_vae.safetensors"``, or None."""
    names = (node.value for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Constant))
    return next((n for n in names if isinstance(n, str) and re.fullmatch(r"[\w-]+\.safetensors", n)), None)


def read_templates(folder: Path) -> dict[str, Template]:
    """Every released notebook of a folder, by name."""
    templates = {path.stem: read_template(path) for path in sorted(folder.glob("*.ipynb"))}
    if not templates:
        raise UserError(f"{folder} holds no released notebook")
    return templates
