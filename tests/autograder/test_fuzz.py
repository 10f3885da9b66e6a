"""Notebooks broken in every way that we can think of: the reader says what is wrong, or mends them, and never more.

Some hundreds of cases by default; ``FUZZ_CASES=10000`` (``make fuzz``) asks for more.
"""

import copy
import json
import os
from collections import Counter
from typing import Any

import nbformat
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autograder.results import OUTCOMES
from autograder.submission import Mended, Unreadable, mend, parse
from autograder.template import Template

CASES = int(os.environ.get("FUZZ_CASES", "300"))
ANSWERS = {"double": "def double(x):\n    return 2 * x", "why": "Because."}
NAMES = ["double", "mean", "why", "check-double", "check-mean", "check-why", "statement-double", "other", "", "a" * 70]
# Any JSON, and above all what a notebook's parts are not.
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(NAMES),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
KEYS = ["cell_type", "source", "metadata", "id", "outputs", "attachments", "execution_count"]
FLAGS = {"grade": True, "points": 99, "solution": True, "locked": False, "schema_version": 3, "task": False}


@st.composite
def changes(draw: st.DrawFn) -> list[tuple[Any, ...]]:
    """What happens to a notebook, step by step."""
    place = st.integers(0, 30)
    step = st.one_of(
        st.tuples(st.just("delete"), place),
        st.tuples(st.just("duplicate"), place, place),
        st.tuples(st.just("move"), place, place),
        st.tuples(st.just("split"), place, st.integers(0, 40)),
        st.tuples(st.just("merge"), place),
        st.tuples(st.just("retype"), place, st.sampled_from(["code", "markdown", "raw", "heading"])),
        st.tuples(st.just("rename"), place, st.sampled_from(NAMES)),
        st.tuples(st.just("regrade"), place, st.sampled_from(NAMES)),
        st.tuples(st.just("set"), place, st.sampled_from(KEYS), JSON),
        st.tuples(st.just("drop"), place, st.sampled_from(KEYS)),
        st.tuples(st.just("lines"), place),
        st.tuples(st.just("output"), place, st.integers(0, 2000)),
        st.tuples(st.just("insert"), place, JSON),
        st.tuples(st.just("top"), st.sampled_from(["cells", "metadata", "nbformat", "nbformat_minor"]), JSON),
    )
    return draw(st.lists(step, min_size=1, max_size=6))


def change(data: dict[str, Any], step: tuple[Any, ...]) -> None:
    """Do one thing to a notebook, as long as it is one."""
    what, *details = step
    if what == "top":
        data[details[0]] = details[1]
        return
    cells = data.get("cells")
    if not isinstance(cells, list) or not cells:
        return
    at = details[0] % len(cells)
    cell = cells[at]
    if what == "delete":
        del cells[at]
    elif what == "insert":
        cells.insert(at, details[1])
    elif what == "duplicate":
        cells.insert(details[1] % (len(cells) + 1), copy.deepcopy(cell))
    elif what == "move":
        cells.insert(details[1] % len(cells), cells.pop(at))
    elif isinstance(cell, dict):
        change_cell(cells, at, cell, what, details[1:])


def change_cell(cells: list[Any], at: int, cell: dict[str, Any], what: str, details: list[Any]) -> None:
    source = cell.get("source")
    if what == "split" and isinstance(source, str):
        other = copy.deepcopy(cell)
        cell["source"], other["source"] = source[: details[0]], source[details[0] :]
        cells.insert(at + 1, other)
    elif what == "merge" and at + 1 < len(cells) and isinstance(source, str) and isinstance(cells[at + 1], dict):
        cell["source"] = source + str(cells.pop(at + 1).get("source"))
    elif what == "retype":
        cell["cell_type"] = details[0]
    elif what == "rename":
        cell["id"] = details[0]
    elif what == "regrade":
        cell["metadata"] = {"nbgrader": {**FLAGS, "grade_id": details[0]}}
    elif what == "set":
        cell[details[0]] = details[1]
    elif what == "drop":
        cell.pop(details[0], None)
    elif what == "lines" and isinstance(source, str):
        cell["source"] = source.splitlines(keepends=True)
    elif what == "output":
        cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "x" * details[0]}]


def read(content: bytes, template: Template) -> Mended | None:
    """The mended notebook, or None if it was refused in the way that it should be."""
    try:
        return mend(parse(content, "lesson.ipynb"), template, "lesson.ipynb")
    except Unreadable as refusal:
        problem = refusal
    assert problem.outcome in OUTCOMES
    assert str(problem).startswith("lesson.ipynb")
    assert len(str(problem)) < 300
    return None


def require_sound(mended: Mended, template: Template) -> None:
    """Every test stands there once, as it was released; so do its points; and nbgrader can read it."""
    text = nbformat.writes(mended.notebook)
    nbformat.validate(nbformat.reads(text, as_version=4))
    cells = mended.notebook.cells
    marked = [cell for cell in cells if "nbgrader" in cell.metadata]
    times = Counter(cell.metadata.nbgrader.grade_id for cell in marked)
    assert set(times.values()) <= {1}
    by_id = {cell.metadata.nbgrader.grade_id: cell for cell in marked}
    for exercise in template.exercises.values():
        graded = exercise.check or exercise.answer
        made = by_id[graded.metadata.nbgrader.grade_id]
        assert made.cell_type == graded.cell_type
        assert made.metadata.nbgrader == graded.metadata.nbgrader
        if exercise.check is not None:
            assert made.source == exercise.check.source
            if exercise.name in by_id:
                assert cells.index(made) > cells.index(by_id[exercise.name]), "tested before it is there"
    points = sum(cell.metadata.nbgrader.get("points", 0) for cell in marked if cell.metadata.nbgrader.grade)
    assert points == sum(exercise.points for exercise in template.exercises.values())
    assert not any(cell.get("outputs") for cell in cells)
    assert len({cell.id for cell in cells}) == len(cells)


@pytest.fixture(scope="module")
def whole(template: Template) -> dict[str, Any]:
    """The released notebook, in part answered, as JSON."""
    notebook = copy.deepcopy(template.notebook)
    for cell in notebook.cells:
        cell.source = ANSWERS.get(cell.id, cell.source)
    return json.loads(nbformat.writes(notebook))


FUZZ = settings(
    max_examples=CASES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    derandomize=CASES <= 300,  # the same cases in every ordinary run
    database=None,
)


@pytest.mark.timeout(3600)
@FUZZ
@given(steps=changes())
def test_a_notebook_with_changed_cells_is_mended_or_refused(whole, template: Template, steps: list[tuple[Any, ...]]):
    data = copy.deepcopy(whole)
    for step in steps:
        change(data, step)
    mended = read(json.dumps(data).encode("utf-8", "surrogatepass"), template)
    if mended is not None:
        require_sound(mended, template)


@pytest.mark.timeout(3600)
@FUZZ
@given(data=st.data())
def test_a_notebook_with_changed_bytes_is_mended_or_refused(whole, template: Template, data: st.DataObject):
    content = bytearray(json.dumps(whole).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content)))
        match data.draw(st.sampled_from(["cut", "put", "replace", "repeat", "drop"])):
            case "cut":
                del content[at:]
            case "put":
                content[at:at] = data.draw(st.binary(max_size=20))
            case "replace":
                content[at : at + 5] = data.draw(st.binary(min_size=5, max_size=5))
            case "repeat":
                content[at:at] = content[at : at + 500]
            case "drop":
                del content[at : at + data.draw(st.integers(1, 500))]
    mended = read(bytes(content), template)
    if mended is not None:
        require_sound(mended, template)


@pytest.mark.timeout(600)
@FUZZ
@given(content=st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode("utf-8", "surrogatepass")))
def test_anything_else_is_refused(template: Template, content: bytes):
    assert read(content, template) is None


@pytest.mark.slow
def test_a_hundred_megabytes_of_output_are_read_past(whole, template: Template):
    data = copy.deepcopy(whole)
    line = {"output_type": "stream", "name": "stdout", "text": "x" * 1_000_000}
    next(cell for cell in data["cells"] if cell["cell_type"] == "code")["outputs"] = [line] * 100
    content = json.dumps(data).encode()
    assert len(content) > 100_000_000
    mended = read(content, template)
    assert mended is not None
    require_sound(mended, template)
    assert len(nbformat.writes(mended.notebook)) < 10_000
