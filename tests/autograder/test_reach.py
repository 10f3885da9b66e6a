"""What an honest notebook has no use for is noted, and nothing else is."""

from pathlib import Path

import nbformat
import pytest

from autograder.grade import grade_submission
from autograder.reach import reaches

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("f.__code__ = g.__code__", ["__code__"]),
        ("getattr(f, '__code__')", ["__code__"]),
        ("import inspect\nexec(inspect.getsource(gaussian.kl_normal))", ["getsource"]),
        ("from inspect import getsource", ["getsource"]),
        ("import gc, sys\nsys._getframe()", ["_getframe", "gc"]),
        ("import inside.student", ["inside"]),
        ("__import__('ctypes')", ["ctypes"]),
        ("# __code__ inside a comment\nx = 'a point inside'", []),
        ("%matplotlib inline\nf.__code__", []),  # no Python, so not read
        ("import torch\ndef f(x):\n    return torch.exp(x).sum()", []),
    ],
)
def test_what_reaches_too_far_is_named(code: str, found: list[str]):
    assert reaches([code]) == found


def test_the_released_notebooks_and_the_solutions_reach_for_nothing():
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "solutions").rglob("*.py")]
    for path in (ROOT / "notebooks").rglob("*.ipynb"):
        sources += [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    assert len(sources) > 50
    assert reaches(sources) == []


def test_the_note_stands_in_the_result_and_costs_no_points(solve, assignment, limits, tmp_path: Path):
    notebook = solve()
    notebook.cells.insert(3, nbformat.v4.new_code_cell("import gc"))
    (tmp_path / "lesson.ipynb").write_text(nbformat.writes(notebook))
    result = grade_submission(tmp_path, assignment, limits)
    assert "the notebook uses gc: look at what for" in result.notebooks[0].notes
    assert result.points == 5
