"""Read an assignment's hand-edited source, a script in jupytext's percent format, and say what is wrong with it.

A cell's header carries what the release step needs, for instance::

    # %% exercise="kl_normal" points=4 difficulty=1 minutes=10 equation="vae-kl-gaussians"

``statement`` marks an exercise's text, ``exercise`` its answer cell (Markdown: a written answer), ``check`` its test.
"""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import jupytext

from autograder.errors import UserError

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
EXERCISE_KEYS = {"points", "difficulty", "minutes", "equation"}
ROLES = ("statement", "exercise", "check")
# jupytext notes the blank lines after a cell, so as to write the same script back.
IGNORED_KEYS = {"lines_to_next_cell"}


@dataclass(frozen=True)
class Cell:
    """One cell of a percent script: ``kind`` is code, markdown or raw; ``metadata`` is what its header says."""

    kind: str
    text: str
    metadata: dict[str, Any]

    @property
    def role(self) -> str | None:
        """``statement``, ``exercise``, ``check``, or None for plain text and set-up code."""
        return next((role for role in ROLES if role in self.metadata), None)

    @property
    def name(self) -> str | None:
        """The exercise that this cell belongs to, if it belongs to one."""
        return None if self.role is None else str(self.metadata[self.role])


@dataclass(frozen=True)
class Source:
    """A percent script, read."""

    path: Path
    cells: tuple[Cell, ...]
    lines: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.path.stem

    @cached_property
    def exercises(self) -> dict[str, Cell]:
        """The answer cells by exercise, in order."""
        return {cell.name: cell for cell in self.cells if cell.role == "exercise" and cell.name is not None}

    def line_of(self, role: str, name: str) -> int:
        """The line of that cell's header, for messages (1 where it can't be found)."""
        pattern = re.compile(rf"#\s*%%.*\b{role}\s*=\s*['\"]{re.escape(name)}['\"]")
        return next((n for n, line in enumerate(self.lines, 1) if pattern.match(line)), 1)


def read_source(path: Path) -> Source:
    """Read one percent script.

    Raises
    ------
    UserError
        If the file can't be read as one.
    """
    try:
        text = path.read_text(encoding="utf-8")
        notebook = jupytext.reads(text, fmt="py:percent")
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None
    except Exception as error:  # jupytext and YAML raise types of their own
        raise UserError(f"{path}: not a script in percent format: {error}") from None
    cells = tuple(
        Cell(
            cell.cell_type,
            cell.source,
            {key: value for key, value in cell.metadata.items() if key not in IGNORED_KEYS},
        )
        for cell in notebook.cells
    )
    return Source(path, cells, tuple(text.splitlines()))


def solution_lines(text: str) -> list[str]:
    """The lines of an answer cell that are not released: those between its markers, all of them if it has none."""
    if BEGIN not in text:
        return text.splitlines()
    inside, found = False, []
    for line in text.splitlines():
        if line.strip() == BEGIN:
            inside = True
        elif line.strip() == END:
            inside = False
        elif inside:
            found.append(line)
    return found


def lint(source: Source) -> list[str]:
    """What is wrong with a source, one line each, with the file and the line; empty if it can be released."""
    return [f"{source.path}:{line}: {message}" for line, message in _problems(source)]


def _problems(source: Source) -> Iterator[tuple[int, str]]:
    for cell in source.cells:
        yield from _cell_problems(source, cell)
    for role in ROLES:
        names = Counter(cell.name for cell in source.cells if cell.role == role and cell.name)
        for name, times in names.items():
            if times > 1:
                yield source.line_of(role, name), f"{times} cells say {role}={name!r}; names are unique"
            if name not in source.exercises:
                yield source.line_of(role, name), f"{role}={name!r} belongs to no exercise"
    for name, answer in source.exercises.items():
        line = source.line_of("exercise", name)
        place = {cell.role: i for i, cell in enumerate(source.cells) if cell.name == name}
        if "statement" not in place:
            yield line, f"exercise {name!r} has no statement cell"
        elif place["statement"] > place["exercise"]:
            yield line, f"exercise {name!r} stands before its statement"
        if answer.kind == "code":
            if "check" not in place:
                yield line, f"exercise {name!r} has no check cell"
            elif place["check"] < place["exercise"]:
                yield source.line_of("check", name), f"check {name!r} stands before its exercise"
        elif "check" in place:
            yield source.line_of("check", name), f"{name!r} is a written answer, so nothing can check it"


def _cell_problems(source: Source, cell: Cell) -> Iterator[tuple[int, str]]:
    role, name = cell.role, cell.name
    if role is None or name is None:
        line = next((n for n, text in enumerate(source.lines, 1) if cell.text[:40] and cell.text[:40] in text), 1)
        label, allowed = "a cell without a role", {"tags"}
    else:
        line = source.line_of(role, name)
        label, allowed = f"{role} {name!r}", {role, "tags"} | (EXERCISE_KEYS if role == "exercise" else set())
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,40}", name):
            yield line, f"{label}: a name is lower-case letters, digits and _, and begins with a letter"
    for key in sorted(set(cell.metadata) - allowed):
        hint = " (text after %% is taken for a title; write a comment in the cell)" if key == "title" else ""
        yield line, f"{label}: unknown key {key!r}{hint}"
    if "HIDDEN TESTS" in cell.text:
        yield line, f"{label}: hidden checks belong in autograder/hidden/, not in a notebook"
    if role != "exercise" and (BEGIN in cell.text or END in cell.text):
        yield line, f"{label}: solution markers outside of an exercise"
    if role == "statement":
        if cell.kind != "markdown":
            yield line, f"{label}: a statement is a [markdown] cell"
        elif not cell.text.startswith("## "):
            yield line, f"{label}: a statement begins with a '## ' heading"
    if role == "check" and (cell.kind != "code" or cell.text.strip() != f'check("{name}", {name})'):
        yield line, f'{label}: its source must be exactly check("{name}", {name}), {_WHY_EXACT}'
    if role == "exercise" and name is not None:
        for message in (*_number_problems(cell), *_answer_problems(cell, name)):
            yield line, f"{label}: {message}"


_WHY_EXACT = "since it is run apart from the student's cells: what else it made, they would miss"


def _number_problems(cell: Cell) -> Iterator[str]:
    for key in sorted(EXERCISE_KEYS - set(cell.metadata)):
        yield f"{key} is missing"
    known = cell.metadata

    def number(key: str) -> bool:
        return isinstance(known.get(key), int | float) and not isinstance(known.get(key), bool)

    if "points" in known and not (number("points") and known["points"] > 0):
        yield f"points must be a number above 0, got {known['points']!r}"
    if "difficulty" in known and known["difficulty"] not in (1, 2, 3):
        yield f"difficulty must be 1, 2 or 3, got {known['difficulty']!r}"
    if "minutes" in known and not (number("minutes") and known["minutes"] > 0):
        yield f"minutes must be a number above 0, got {known['minutes']!r}"
    if "equation" in known and not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", str(known["equation"])):
        yield f"equation must be a label such as 'vae-elbo', got {known['equation']!r}"


def _answer_problems(cell: Cell, name: str) -> Iterator[str]:
    lines = [line.strip() for line in cell.text.splitlines()]
    begins, ends = lines.count(BEGIN), lines.count(END)
    if cell.kind != "code" and begins == ends == 0:
        return  # a written answer may be replaced as a whole
    if (begins, ends) != (1, 1) or lines.index(BEGIN) > lines.index(END):
        yield f"the answer must stand between one '{BEGIN}' and one '{END}', got {begins} and {ends}"
        return
    if any(lines[lines.index(END) + 1 :]):
        yield f"text after '{END}' would be released"
    if cell.kind != "code":
        return
    try:
        tree = ast.parse(cell.text)
    except SyntaxError as error:
        yield f"not valid Python: {error.msg}"
        return
    if not any(isinstance(node, ast.FunctionDef) and node.name == name for node in tree.body):
        yield f"it must define a function called {name}"
    if not any(line and not line.startswith("#") for line in map(str.strip, solution_lines(cell.text))):
        yield "there is no answer between the solution markers"


def read_assignment(solutions: Path, assignment: str) -> list[Source]:
    """Read and lint every source of an assignment, in order of their names.

    Raises
    ------
    UserError
        If there is no such assignment, or anything is wrong with a source; the text lists all of it.
    """
    folder = solutions / assignment
    if not folder.is_dir():
        known = ", ".join(assignments(solutions)) or "none"
        raise UserError(f"there is no assignment {assignment!r} in {solutions} (there: {known})")
    sources = [read_source(path) for path in sorted(folder.glob("*.py"))]
    if not sources:
        raise UserError(f"{folder} holds no .py source")
    problems = [problem for source in sources for problem in lint(source)]
    where: dict[str, Path] = {}
    for source in sources:
        for name in source.exercises:
            if name in where:
                problems.append(
                    f"{source.path}:{source.line_of('exercise', name)}: exercise {name!r} is in {where[name]}"
                )
            where.setdefault(name, source.path)
    if problems:
        raise UserError("\n".join(problems))
    return sources


def assignments(solutions: Path) -> list[str]:
    """The names of the folders under ``solutions/`` that hold a source."""
    return sorted({path.parent.name for path in solutions.glob("*/*.py")})
