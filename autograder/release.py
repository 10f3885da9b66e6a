"""Make the students' notebooks from the hand-edited sources, by nbgrader's own ``generate_assignment``.

A source becomes a notebook with answers in a build folder, nbgrader takes the answers out, and what is left is
inspected for leaks before it is written to ``notebooks/``. The same source gives the same bytes.
"""

import importlib.util
import json
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import yaml  # type: ignore[import-untyped]
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_raw_cell
from nbgrader.utils import compute_checksum

from autograder.course import Course
from autograder.errors import UserError
from autograder.source import Cell, Source, assignments, read_assignment, solution_lines
from autograder.template import CHECK_PREFIX, file_asked_for

NOTEBOOK_METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
# An answer's line that is this long and stands in the release word for word has leaked; shorter ones
# ("return x", "else:") stand in any code.
TELLING_LENGTH = 16
MAKE_CELL = {"code": new_code_cell, "markdown": new_markdown_cell, "raw": new_raw_cell}
Link = Callable[[str], str]


def release(root: Path, names: list[str], force: bool = False) -> list[Path]:
    """Write the notebooks of these assignments (all of them if none is named) to ``root/notebooks``.

    Raises
    ------
    UserError
        If a source is wrong, a notebook would leak an answer, or one in ``notebooks/`` holds somebody's work and
        ``force`` is false; then nothing is written.
    """
    made = _generate(root, names)
    if not force:
        used = [path for path in made if path.is_file() and _holds_work(path)]
        if used:
            raise UserError(
                "\n".join(f"{path} has been worked in: move it elsewhere, or lose it with --force" for path in used)
            )
    for path, text in made.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return list(made)


def check_release(root: Path, names: list[str]) -> list[str]:
    """Make the notebooks anew, write none, and say where ``root/notebooks`` differs; empty if it doesn't."""
    made = _generate(root, names)
    stale = []
    for path, text in made.items():
        if not path.is_file():
            stale.append(f"{path} is missing; run `python -m autograder release`")
        elif path.read_text(encoding="utf-8") != text:
            stale.append(f"{path} is not what its source makes; run `python -m autograder release`")
    for folder in {path.parent for path in made}:
        for path in sorted(folder.glob("*.ipynb")):
            if path not in made:
                stale.append(f"{path} has no source under solutions/; delete it")
    return stale


def _generate(root: Path, names: list[str]) -> dict[Path, str]:
    """The text of every notebook of these assignments, by the path where it belongs."""
    solutions = root / "solutions"
    wanted = names or assignments(solutions)
    if not wanted:
        raise UserError(f"{solutions} holds no assignment")
    course = Course(root / "_build" / "course")
    made = {}
    for name in wanted:
        sources = read_assignment(solutions, name)
        generate(course, root, name, sources, record=False)
        for source in sources:
            built = course.folder("release", ".", name) / f"{source.name}.ipynb"
            text = built.read_text(encoding="utf-8")
            if leaks := find_leaks(source, text):
                raise UserError("\n".join(f"{source.path}: {leak}" for leak in leaks))
            made[root / "notebooks" / name / f"{source.name}.ipynb"] = text
    return made


def generate(course: Course, root: Path, assignment: str, sources: list[Source], record: bool) -> None:
    """Put an assignment's source notebooks in a course folder and let nbgrader make its release of them.

    nbgrader copies whatever lies beside a source notebook into the release, so both folders are made anew and hold
    notebooks only.
    """
    course.make()
    for step in ("source", "release"):
        shutil.rmtree(course.folder(step, ".", assignment), ignore_errors=True)
    folder = course.folder("source", ".", assignment)
    folder.mkdir(parents=True)
    link = equation_links(root)
    for source in sources:
        nbformat.write(build_notebook(source, link), folder / f"{source.name}.ipynb")
    course.generate_assignment(assignment, record)


def build_notebook(source: Source, link: Link) -> NotebookNode:
    """The instructor's notebook of a source: answers in it, nbgrader's metadata on its cells, ids that never change."""
    notebook = new_notebook(metadata=NOTEBOOK_METADATA, nbformat_minor=5)
    for position, cell in enumerate(source.cells, 1):
        text = cell.text
        if cell.role == "statement" and cell.name is not None:
            heading, _, rest = text.partition("\n")
            text = f"{heading}\n\n{_facts(source.exercises[cell.name], link)}\n{rest}"
        made = MAKE_CELL[cell.kind](source=text, metadata=_cell_metadata(source, cell))
        made.id = _cell_id(cell, position)
        notebook.cells.append(made)
    return notebook


def _cell_id(cell: Cell, position: int) -> str:
    match cell.role:
        case None:
            return f"cell-{position}"
        case "exercise":
            return str(cell.name)
        case role:
            return f"{role}-{cell.name}"


def _cell_metadata(source: Source, cell: Cell) -> dict[str, Any]:
    metadata: dict[str, Any] = {"tags": cell.metadata["tags"]} if "tags" in cell.metadata else {}
    if cell.name is None or cell.role == "statement":
        return metadata
    points = source.exercises[cell.name].metadata["points"]
    if cell.role == "check":
        flags = {
            "grade": True,
            "solution": False,
            "locked": True,
            "points": points,
            "grade_id": CHECK_PREFIX + cell.name,
        }
    elif cell.kind == "code":
        flags = {"grade": False, "solution": True, "locked": False, "grade_id": cell.name}
    else:
        flags = {"grade": True, "solution": True, "locked": False, "points": points, "grade_id": cell.name}
    return {**metadata, "nbgrader": {"schema_version": 3, "task": False, **flags}}


def _facts(answer: Cell, link: Link) -> str:
    """The line under an exercise's heading."""
    known = answer.metadata
    points = f"{known['points']:g} {'point' if known['points'] == 1 else 'points'}"
    hand = ", graded by hand" if answer.kind == "markdown" else ""
    if answer.kind == "code" and (file := file_asked_for(answer.text)):
        hand = f", graded from `{file}`, which you hand in with the notebook"
    return (
        f"*{points}{hand} · difficulty {known['difficulty']} of 3 · about {known['minutes']:g} minutes · "
        f"{link(known['equation'])}*"
    )


def equation_links(root: Path) -> Link:
    """A function from an equation's label to Markdown that leads to it.

    It leads to the published book where ``_config.yml`` gives its address, and to the chapter's source otherwise.
    """
    pages, base = book_pages(root)

    def link(label: str) -> str:
        if pages is None:
            return f"equation {label}"
        if label not in pages:
            raise UserError(
                f"equation {label!r} is labelled on no page of the book (known: {', '.join(pages) or 'none'})"
            )
        page = pages[label].path
        if base:
            return f"[equation {label}]({base}/{page.removesuffix('.md')}.html#equation-{label})"
        return f"[equation {label}](../../{page})"

    return link


@dataclass(frozen=True)
class BookPage:
    """A page of the book: its path from the root, and its title."""

    path: str
    title: str


def book_pages(root: Path) -> tuple[dict[str, BookPage] | None, str]:
    """The page of every labelled equation, and the address of the published book; None where there is no book."""
    ledger_file = root / "book" / "_ext" / "ledger.py"
    if not ledger_file.is_file():
        return None, ""
    spec = importlib.util.spec_from_file_location("book_ledger", ledger_file)
    assert spec is not None
    assert spec.loader is not None
    ledger = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = ledger  # its dataclasses look themselves up there
    spec.loader.exec_module(ledger)
    found: dict[str, tuple[str, int]] = ledger.labels(root)
    titles = {}
    for path in {page for page, _ in found.values()}:
        heading = re.search(r"^# (.+)$", (root / path).read_text(encoding="utf-8"), re.MULTILINE)
        titles[path] = heading[1].strip() if heading else path
    config = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8")) or {}
    base = str((config.get("html") or {}).get("baseurl") or "").rstrip("/")
    return {label: BookPage(page, titles[page]) for label, (page, _) in found.items()}, base


def find_leaks(source: Source, released: str) -> list[str]:
    """What of a source's answers, or of our tools, is in the text of a released notebook; empty if nothing is."""
    notebook = nbformat.reads(released, as_version=4)
    leaks = []
    if extra := sorted(set(notebook.metadata) - set(NOTEBOOK_METADATA)):
        leaks.append(f"the release carries notebook metadata {', '.join(extra)}")
    if any(cell.get("outputs") or cell.get("execution_count") for cell in notebook.cells):
        leaks.append("the release carries outputs")
    for word in ("BEGIN SOLUTION", "END SOLUTION", "HIDDEN TESTS", "autograder"):
        if word in released:
            leaks.append(f"the release says {word!r}")
    lines = {line.strip() for cell in notebook.cells for line in cell.source.splitlines()}
    for name, answer in source.exercises.items():
        for line in solution_lines(answer.text):
            if len(line.strip()) >= TELLING_LENGTH and line.strip() in lines:
                leaks.append(f"a line of the answer to {name!r} is in the release: {line.strip()}")
    return leaks


def _holds_work(path: Path) -> bool:
    """Whether someone has written in a released notebook: in an answer cell, or in a cell of their own."""
    try:
        notebook = nbformat.reads(path.read_text(encoding="utf-8"), as_version=4)
        return any(
            cell.metadata.nbgrader.get("checksum") != compute_checksum(cell)
            if cell.metadata.get("nbgrader", {}).get("solution")
            else bool(cell.get("outputs")) or not cell.id.startswith(("cell-", "statement-", CHECK_PREFIX))
            for cell in notebook.cells
        )
    except (OSError, ValueError, json.JSONDecodeError, AttributeError, KeyError):
        return True  # not something that we wrote
