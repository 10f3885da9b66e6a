"""From a submission to a result, and from a folder of submissions to a graded course."""

import hashlib
import importlib.metadata
import importlib.util
import json
import os
import platform
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import astuple
from pathlib import Path
from typing import Any

from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell, new_output

from autograder.course import Course
from autograder.errors import UserError
from autograder.execute import DEFAULTS, Execution, Limits, Verdict, run
from autograder.gradebook import record, register
from autograder.results import ExerciseResult, Ledger, NotebookResult, Result
from autograder.source import read_assignment
from autograder.submission import (
    Mended,
    Submission,
    Unreadable,
    find_submissions,
    mend,
    parse,
    read_bytes,
    side_files,
)
from autograder.template import Assignment, Exercise, Template

Report = Callable[[str], None]


def grade_submission(path: Path, assignment: Assignment, limits: Limits, seed: int = 0) -> Result:
    """Grade what one student handed in. Touches no gradebook, and changes nothing under ``path``.

    ``path`` is the folder with the notebooks, ``seed`` what the hidden checks draw their inputs from. Whatever is wrong
    with the submission is in the result; an exception is a fault of ours.
    """
    began = time.monotonic()
    notebooks = []
    wanted = wanted_files(assignment)
    files = side_files(path, limits.file_bytes, wanted)
    notes = [f"{name} {why}; it was left out" for name, why in files.left_out.items() if name not in wanted]
    for template in assignment.templates.values():
        name = f"{template.name}.ipynb"
        try:
            content = read_bytes(path / name, limits.file_bytes, [f"{known}.ipynb" for known in assignment.templates])
            mended = mend(parse(content, name), template, name)
        except Unreadable as problem:
            notebooks.append(nothing_graded(template, problem.outcome, str(problem)))
            continue
        execution = run(mended.notebook, template, assignment, limits, files, seed)
        mended.notes.extend([*execution.notes, *notes])
        notes.clear()  # once is enough
        notebooks.append(_notebook_result(template, mended, execution))
    return Result(assignment.name, notebooks, time.monotonic() - began)


def wanted_files(assignment: Assignment) -> list[str]:
    """The files that exercises of this assignment are graded from."""
    return [e.file for template in assignment.templates.values() for e in template.exercises.values() if e.file]


def grader_failed(assignment: Assignment, error: Exception) -> Result:
    """The result when grading raised: no points, and an outcome that is looked at and tried again."""
    reason = f"{type(error).__name__}: {error}".splitlines()[0]
    return Result(assignment.name, [nothing_graded(t, "grader-error", reason) for t in assignment.templates.values()])


def nothing_graded(template: Template, outcome: str, message: str) -> NotebookResult:
    """The result of a notebook that could not be run: the released one, with the reason at its top and its tests."""
    verdicts = {
        name: Verdict("not-run", f"Not graded: {message}.") for name, e in template.exercises.items() if e.check
    }
    notebook = NotebookNode(json.loads(json.dumps(template.notebook)))
    notebook.cells = [_node(cell) for cell in notebook.cells]
    note = f"**This submission was not graded: {message}.** What follows is the notebook as it was released."
    notebook.cells.insert(0, new_markdown_cell(note, id="not-graded"))
    return _notebook_result(template, Mended(notebook, []), Execution(notebook, outcome, message, verdicts))


def _node(cell: dict[str, Any]) -> NotebookNode:
    node = NotebookNode(cell)
    node.metadata = NotebookNode(node.metadata)
    if "nbgrader" in node.metadata:
        node.metadata.nbgrader = NotebookNode(node.metadata.nbgrader)
    return node


def _notebook_result(template: Template, mended: Mended, execution: Execution) -> NotebookResult:
    cells = {
        cell.metadata.nbgrader.grade_id: cell
        for cell in execution.notebook.cells
        if cell.metadata.get("nbgrader", {}).get("grade_id")
    }
    exercises = []
    for exercise in template.exercises.values():
        if exercise.check is None:
            exercises.append(_written(exercise, cells[exercise.name]))
        else:
            result = _tested(exercise, execution.verdicts[exercise.name])
            exercises.append(result)
            _show_verdict(cells[exercise.check.metadata.nbgrader.grade_id], result, execution.verdicts[exercise.name])
    outcome, message = execution.outcome, execution.message
    if broken := [e for e in exercises if e.status == "broken"]:
        outcome, message = "grader-error", broken[0].message
    return NotebookResult(template.name, outcome, message, exercises, _plain(execution.notebook), mended.notes)


def _plain(notebook: NotebookNode) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps(notebook))
    return plain


def _tested(exercise: Exercise, verdict: Verdict) -> ExerciseResult:
    points = exercise.points if verdict.status == "passed" else 0.0
    return ExerciseResult(exercise.name, verdict.status, points, exercise.points, verdict.message)


def _written(exercise: Exercise, cell: NotebookNode) -> ExerciseResult:
    answered = cell.source.strip() != exercise.answer.source.strip()
    return ExerciseResult(exercise.name, "by-hand" if answered else "unanswered", 0.0, exercise.points)


def _show_verdict(cell: NotebookNode, result: ExerciseResult, verdict: Verdict) -> None:
    """Make the test cell's outputs from the verdict alone.

    nbgrader reads the grade off them: an error is no points, a displayed number is partial credit, a warning on stderr
    is no points. Nothing that the student's code printed may stand there.
    """
    if result.status == "passed":
        text = f"{verdict.printed.strip()}\n{result.max_points:g} of {result.max_points:g} points.\n".lstrip()
        cell.outputs = [new_output("stream", name="stdout", text=text)]
    else:
        message = "The check itself failed; your instructor knows." if result.status == "broken" else result.message
        lines = [*message.splitlines(), f"0 of {result.max_points:g} points."]
        cell.outputs = [new_output("error", ename="CheckFailed", evalue=lines[0], traceback=lines)]


def grade(
    root: Path,
    name: str,
    submissions: Path,
    course: Course,
    limits: Limits,
    report: Report,
    student: str | None = None,
    regrade: bool = False,
    checks: tuple[str, str] = ("genmodels.checks", "autograder.hidden"),
) -> dict[str, Result | None]:
    """Grade every submission of an assignment, one after another, and write each into the course's gradebook.

    ``report`` gets a line for each. A submission whose files, checks and environment are those of an earlier run is
    skipped (its result is None), unless ``regrade``. ``student`` picks one.

    Raises
    ------
    UserError
        If there is nothing to grade, the course can't be set up, or the sources or the checks change under way.
    """
    if not submissions.is_dir():
        raise UserError(f"{submissions} is not a folder")
    found, strays = find_submissions(submissions, name)
    for path in strays:
        report(f"ignored: {path} is " + ("a link" if path.is_symlink() else "in no student's folder"))
    if student is not None:
        found = [one for one in found if one.student == student]
    if not found:
        wanted = "no student's folder" if student is None else f"no folder of student {student!r}"
        raise UserError(f"{submissions} holds {wanted}; it should hold <student>/{name}/*.ipynb or <student>/*.ipynb")
    sources = read_assignment(root / "solutions", name)
    assignment = Assignment(name, register(course, root, name, sources), *checks)
    setting = _setting(root, assignment, limits)
    ledger = Ledger(course.ledger)
    results: dict[str, Result | None] = {}
    for number, one in enumerate(found, 1):
        start = f"[{number:>{len(str(len(found)))}}/{len(found)}] {one.student}: "
        key = _key(one, assignment, setting, limits)
        before = ledger.last(name, one.student)
        if not regrade and before is not None and _still_holds(before, key, course, one, assignment):
            results[one.student] = None
            report(f"{start}unchanged, {before['points']:g} of {before['max_points']:g} points ({before['outcome']})")
            continue
        try:
            result = grade_submission(one.folder, assignment, limits, _seed(one.student, name))
        except Exception as error:  # whatever it is, the others are still to be graded
            result = grader_failed(assignment, error)
        if _setting(root, assignment, limits) != setting:
            raise UserError(
                f"the course's own files changed while {one.student} was graded, and nothing of that was recorded; "
                "if it was not you who changed them, look at `git status` before you go on"
            )
        try:
            record(course, one, result)
        except Exception as error:
            result = grader_failed(assignment, error)
            report(f"{start}not recorded: the gradebook may hold an older mark")
        ledger.append(one.student, key, result)
        results[one.student] = result
        report(start + describe(result))
    return results


def describe(result: Result) -> str:
    """A result in one line."""
    hand = f", {result.by_hand} to grade by hand" if result.by_hand else ""
    points = f"{result.points:g} of {result.max_points:g} points{hand}"
    notes = [note for notebook in result.notebooks for note in notebook.notes]
    more = f" [{'; '.join(notes)}]" if notes else ""
    if result.outcome == "graded":
        return f"{points}, {result.seconds:.1f} s{more}"
    return f"{result.outcome}: {result.message}; {points}{more}"


def _still_holds(before: dict[str, Any], key: str, course: Course, one: Submission, assignment: Assignment) -> bool:
    autograded = course.folder("autograded", one.student, assignment.name)
    return (
        before["key"] == key
        and before["outcome"] != "grader-error"
        and all((autograded / f"{template}.ipynb").is_file() for template in assignment.templates)
    )


def _seed(student: str, assignment: str) -> int:
    """A seed of the student's own, the same at every run."""
    return int.from_bytes(hashlib.sha256(f"{assignment}/{student}".encode()).digest()[:4])


def _key(one: Submission, assignment: Assignment, setting: str, limits: Limits) -> str:
    """A hash of all that a submission's grade depends on."""
    digest = hashlib.sha256(f"{setting}\n{one.student}\n".encode())
    beside = side_files(one.folder, limits.file_bytes, wanted_files(assignment))
    for path in (*(one.folder / f"{name}.ipynb" for name in assignment.templates), *beside.files):
        digest.update(f"{path.name}\n".encode("utf-8", "backslashreplace"))
        digest.update(_file_digest(path, limits.file_bytes))
    for name, why in beside.left_out.items():
        digest.update(f"{name} {why}\n".encode("utf-8", "backslashreplace"))
    return digest.hexdigest()


def _file_digest(path: Path, limit: int | None = None) -> bytes:
    """A hash of a file's content, or, where that is not going to be read, of the reason."""
    try:
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode):
            return b"no file"
        if limit is not None and status.st_size > limit:
            return f"{status.st_size} bytes".encode()
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        return str(error.errno).encode()


def _setting(root: Path, assignment: Assignment, limits: Limits) -> str:
    """The part of the key that is the same for all: the sources, the checks, the limits and the environment."""
    digest = hashlib.sha256()
    for path in _code(root, assignment):
        digest.update(path.name.encode() + _file_digest(path))
    environment = {name: os.environ.get(name, default) for name, default in DEFAULTS.items()}
    versions = {name: _version(name) for name in ("torch", "numpy", "scipy", "sympy", "ipykernel", "nbgrader")}
    about = [platform.python_version(), platform.machine(), environment, versions, astuple(limits)]
    digest.update(json.dumps(about, sort_keys=True).encode())
    return digest.hexdigest()


def _code(root: Path, assignment: Assignment) -> Iterator[Path]:
    yield from sorted((root / "solutions" / assignment.name).glob("*.py"))
    for module in (assignment.public, assignment.hidden, "autograder"):
        if module is not None:
            spec = importlib.util.find_spec(module.split(".")[0])
            places = (
                [] if spec is None else list(spec.submodule_search_locations or ([spec.origin] if spec.origin else []))
            )
            for place in map(Path, places):
                yield from sorted(place.rglob("*.py")) if place.is_dir() else [place]


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "none"
