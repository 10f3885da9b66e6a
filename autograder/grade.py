"""From one submission to its result."""

import json
import time
from pathlib import Path
from typing import Any

from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell, new_output

from autograder.limits import Limits
from autograder.reach import reaches
from autograder.results import Execution, ExerciseResult, NotebookResult, Result, Verdict
from autograder.submission import Mended, Unreadable, mend, parse, read_bytes, side_files
from autograder.template import Assignment, Exercise, Template


def grade_submission(path: Path, assignment: Assignment, limits: Limits, seed: int = 0) -> Result:
    """Grade what one student handed in. Touches no gradebook, and changes nothing under ``path``.

    ``path`` is the folder with the notebooks, ``seed`` what the hidden checks draw their inputs from. Whatever is wrong
    with the submission is in the result; an exception is a fault of ours.
    """
    # It imports torch, which the processes that only write down results and pass them on can do without.
    from autograder.execute import run

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
        if found := reaches(cell.source for cell in mended.notebook.cells if cell.cell_type == "code"):
            mended.notes.append(f"the notebook uses {', '.join(found)}: look at what for")
        execution = run(mended.notebook, template, assignment, limits, files, seed)
        mended.notes.extend([*execution.notes, *notes])
        notes.clear()  # once is enough
        notebooks.append(_notebook_result(template, mended, execution))
    return Result(assignment.name, notebooks, time.monotonic() - began)


def wanted_files(assignment: Assignment) -> list[str]:
    """The files that exercises of this assignment are graded from."""
    return [e.file for template in assignment.templates.values() for e in template.exercises.values() if e.file]


def not_graded(assignment: Assignment, outcome: str, reason: str) -> Result:
    """The result of a submission of which nothing could be graded: no points, and an outcome that is looked at."""
    return Result(assignment.name, [nothing_graded(t, outcome, reason) for t in assignment.templates.values()])


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


def describe(result: Result) -> str:
    """A result in one line."""
    hand = f", {result.by_hand} to grade by hand" if result.by_hand else ""
    points = f"{result.points:g} of {result.max_points:g} points{hand}"
    notes = [note for notebook in result.notebooks for note in notebook.notes]
    more = f" [{'; '.join(notes)}]" if notes else ""
    if result.outcome == "graded":
        return f"{points}, {result.seconds:.1f} s{more}"
    return f"{result.outcome}: {result.message}; {points}{more}"
