"""What an instructor wants to know of a graded class: the numbers of the report. ``report_page`` makes the page."""

import ast
import json
import statistics
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import genmodels
from autograder.course import Course
from autograder.errors import UserError
from autograder.lateness import late_line, policy
from autograder.marks import Item, Marks, Row, read_marks
from autograder.results import OUTCOMES
from autograder.similarity import Code, Pair, find_copies, find_pairs
from autograder.source import read_assignment
from autograder.template import CHECK_PREFIX

LEAST_FOR_DISCRIMINATION = 5  # of fewer students a correlation says nothing
LARGEST_NOTEBOOK = 50_000_000


@dataclass(frozen=True)
class ItemFacts:
    """One exercise, over those who handed in. ``mean`` is in points, ``discrimination`` a correlation or None.

    ``full`` of ``marked`` have every point, ``some`` a part, ``none`` a wrong answer, ``unwritten`` no answer, and
    ``not_run`` one that was not reached; ``waiting`` are to be graded by hand. ``property_failed`` is what failed most
    often, for ``times`` students, with one student's message as an ``example``.
    """

    item: Item
    marked: int
    full: int
    some: int
    none: int
    unwritten: int
    not_run: int
    waiting: int
    mean: float | None
    discrimination: float | None
    property_failed: str
    times: int
    example: str


@dataclass(frozen=True)
class Look:
    """Somebody's work that a person should look at, and why."""

    row: Row
    what: str
    why: str
    urgent: bool


@dataclass(frozen=True)
class Report:
    """Everything on the page."""

    marks: Marks
    handed_in: tuple[Row, ...]
    missing: tuple[Row, ...]
    items: tuple[ItemFacts, ...]
    looks: tuple[Look, ...]
    waiting: tuple[Row, ...]
    late: tuple[tuple[Row, str], ...]
    late_policy: str
    pairs: tuple[Pair, ...]
    copies: tuple[Pair, ...]
    compared: int


def make_report(course: Course, assignment: str, root: Path) -> Report:
    """Read a graded class and work out the report. ``root`` is the repository, whose solutions don't count as shared.

    Raises
    ------
    UserError
        If there is no gradebook, or nothing of the assignment was graded.
    """
    marks = read_marks(course, assignment)
    handed_in = tuple(row for row in marks.rows if not row.missing)
    if not handed_in:
        raise UserError(f"nothing of {assignment} was graded in {course.root}")
    chosen = policy(course, assignment)
    code = read_code(course, assignment, [row.student for row in handed_in])
    release = set(_released(course, assignment))
    solutions = _solutions(root, assignment)
    return Report(
        marks,
        handed_in,
        tuple(row for row in marks.rows if row.missing),
        tuple(_item_facts(position, item, handed_in) for position, item in enumerate(marks.items)),
        tuple(sorted(_looks(handed_in), key=lambda look: (not look.urgent, look.row.student))),
        tuple(row for row in handed_in if row.waiting),
        tuple((row, line) for row in handed_in if (line := late_line(row.seconds_late, row.penalty))),
        "" if chosen is None else chosen.describe(assignment),
        tuple(find_pairs(code, release, solutions.values())),
        tuple(find_copies(code, release, solutions, read_library())),
        sum(any(source not in release for source in pieces.values()) for pieces in code.values()),
    )


# ------------------------------------------------------------------ exercises


def _item_facts(position: int, item: Item, rows: tuple[Row, ...]) -> ItemFacts:
    scores = [(row, score) for row in rows if (score := row.scores[position]) is not None]
    records = [_exercise(row, item.name) for row in rows]
    failed = Counter(_first_line(r, item.name) for r in records if r["status"] == "failed" and not _unwritten(r))
    told, times = failed.most_common(1)[0] if failed else ("", 0)
    example = next((r["message"] for r in records if times and _first_line(r, item.name) == told), "")
    full = sum(score >= item.points for _, score in scores)
    some = sum(0 < score < item.points for _, score in scores)
    lost = {row.student for row, score in scores if score <= 0}
    zero = [r for row, r in zip(rows, records, strict=True) if row.student in lost]
    unwritten = sum(r["status"] == "unanswered" or _unwritten(r) for r in zero)
    not_run = sum(r["status"] in ("not-run", "broken") for r in zero)
    return ItemFacts(
        item,
        len(scores),
        full,
        some,
        len(zero) - unwritten - not_run,
        unwritten,
        not_run,
        len(rows) - len(scores),
        statistics.fmean(score for _, score in scores) if scores else None,
        discrimination(
            [score for _, score in scores],
            [sum(s for s in row.scores if s is not None) - score for row, score in scores],
        ),
        told,
        times,
        _without_name(example, item.name),
    )


def discrimination(item: list[float], rest: list[float]) -> float | None:
    """The corrected item-total correlation: of an exercise's points with the points of everything else.

    None where it is not defined: if all have the same, or there are too few.
    """
    if len(item) < LEAST_FOR_DISCRIMINATION or len(set(item)) < 2 or len(set(rest)) < 2:
        return None
    return statistics.correlation(item, rest)


def _exercise(row: Row, name: str) -> dict[str, Any]:
    empty = {"name": name, "status": "not-run", "points": 0.0, "message": ""}
    return next((one for one in row.record.get("exercises", []) if one["name"] == name), empty)


def _unwritten(exercise: dict[str, Any]) -> bool:
    return exercise["status"] == "failed" and "is not written yet" in exercise["message"].partition("\n")[0]


def _first_line(exercise: dict[str, Any], name: str) -> str:
    return _without_name(exercise["message"].partition("\n")[0], name)


def _without_name(message: str, name: str) -> str:
    return message.removeprefix(f"{name}: ").removeprefix("this does not hold yet: ").strip()


# ------------------------------------------------------------------ people


def _looks(rows: tuple[Row, ...]) -> Iterator[Look]:
    for row in rows:
        broken = [one["name"] for one in row.record.get("exercises", []) if one["status"] == "broken"]
        if broken:
            yield Look(row, "grader-error", f"the check of {', '.join(broken)} itself failed", True)
        elif row.outcome != "graded":
            why = str(row.record.get("message", "")) or OUTCOMES.get(row.outcome, "")
            yield Look(row, row.outcome, why, row.outcome == "grader-error")
        for note in row.record.get("notes", []):
            yield Look(row, "note", str(note), False)


# ------------------------------------------------------------------ code


def read_code(course: Course, assignment: str, students: list[str]) -> dict[str, Code]:
    """What each student wrote, as it was graded: the answers by exercise, and code cells of their own."""
    return {student: dict(_written(course.folder("autograded", student, assignment))) for student in students}


def _written(folder: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(folder.glob("*.ipynb")):
        for number, cell in enumerate(_cells(path), 1):
            flags = cell.get("metadata", {}).get("nbgrader", {})
            name = str(flags.get("grade_id", ""))
            if cell.get("cell_type") == "code" and not name.startswith(CHECK_PREFIX):
                yield name or f"{path.stem}, cell {number}", _source(cell)


def _released(course: Course, assignment: str) -> Iterator[str]:
    for path in sorted(course.folder("release", ".", assignment).glob("*.ipynb")):
        for cell in _cells(path):
            if cell.get("cell_type") == "code":
                yield _source(cell)


def _source(cell: dict[str, Any]) -> str:
    source = cell.get("source", "")
    return source if isinstance(source, str) else "".join(source)


def _cells(path: Path) -> list[dict[str, Any]]:
    try:
        if path.stat().st_size > LARGEST_NOTEBOOK:
            return []
        cells = json.loads(path.read_bytes()).get("cells", [])
    except (OSError, ValueError, AttributeError):
        return []
    return [cell for cell in cells if isinstance(cell, dict)]


def _solutions(root: Path, assignment: str) -> Mapping[str, str]:
    """The instructor's answers; none where the sources are not at hand."""
    try:
        sources = read_assignment(root / "solutions", assignment)
    except UserError:
        return {}
    return {name: cell.text for one in sources for name, cell in one.exercises.items() if cell.kind == "code"}


def read_library() -> dict[str, str]:
    """The source of every function and class of ``genmodels``, by its full name."""
    found = {}
    package = Path(str(genmodels.__file__)).parent
    for path in sorted(package.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        module = ".".join(("genmodels", *path.relative_to(package).with_suffix("").parts)).removesuffix(".__init__")
        for node in ast.parse(text).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                found[f"{module}.{node.name}"] = ast.get_source_segment(text, node) or ""
    return found
