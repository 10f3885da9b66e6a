"""Reading what was handed in, and mending it: nothing in a submission may decide a grade."""

import json
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from autograder.submission import Unreadable, find_submissions, mend, parse, read_bytes, side_files


def text_of(notebook: NotebookNode) -> bytes:
    return nbformat.writes(notebook).encode()


def mended(notebook: NotebookNode, template):
    return mend(parse(text_of(notebook), "lesson.ipynb"), template, "lesson.ipynb")


def order(notebook: NotebookNode) -> list[str]:
    """The grade_ids of a notebook in order; cells without one as '.'."""
    return [cell.metadata.get("nbgrader", {}).get("grade_id", ".") for cell in notebook.cells]


def cell_of(notebook: NotebookNode, grade_id: str) -> NotebookNode:
    return notebook.cells[order(notebook).index(grade_id)]


def index_of(notebook: NotebookNode, cell_id: str) -> int:
    return next(i for i, cell in enumerate(notebook.cells) if cell.id == cell_id)


UNTOUCHED = [".", ".", ".", "double", "check-double", ".", "mean", "check-mean", ".", "why", "."]


def test_a_sound_notebook_stays_in_order(solve, template):
    result = mended(solve(), template)
    assert result.notes == []
    assert order(result.notebook) == UNTOUCHED
    assert cell_of(result.notebook, "double").source == "def double(x):\n    return 2 * x"
    nbformat.validate(result.notebook)


def test_a_missing_check_is_put_back_after_its_answer(solve, template):
    notebook = solve()
    del notebook.cells[index_of(notebook, "check-double")]
    result = mended(notebook, template)
    assert order(result.notebook) == UNTOUCHED
    assert result.notes == ["the check of double was missing, and was put back"]


def test_copies_of_a_check_are_dropped(solve, template):
    notebook = solve()
    check = cell_of(notebook, "check-double")
    notebook.cells += [NotebookNode(check, id=f"copy{i}") for i in range(3)]
    result = mended(notebook, template)
    assert order(result.notebook) == UNTOUCHED
    assert result.notes == ["4 cells are the check of double; one was kept"]


def test_a_check_that_gives_itself_points_is_restored(solve, template):
    notebook = solve()
    check = cell_of(notebook, "check-double")
    check.source = "100"
    check.metadata.nbgrader.update(points=100, locked=False, solution=True)
    result = mended(notebook, template)
    graded = [cell for cell in result.notebook.cells if cell.metadata.get("nbgrader", {}).get("grade")]
    assert [(c.metadata.nbgrader.grade_id, c.metadata.nbgrader.points) for c in graded] == [
        ("check-double", 2), ("check-mean", 3), ("why", 5)
    ]  # fmt: skip
    assert cell_of(result.notebook, "check-double").source == 'check("double", double)'
    assert [cell.source for cell in result.notebook.cells if cell.source == "100"] == ["100"]
    assert "the check of double had been changed" in result.notes[0]


def test_a_check_turned_into_markdown_is_code_again(solve, template):
    notebook = solve()
    at = index_of(notebook, "check-double")
    notebook.cells[at] = new_markdown_cell('check("double", double)', id="x", metadata=notebook.cells[at].metadata)
    assert cell_of(mended(notebook, template).notebook, "check-double").cell_type == "code"


def test_an_answer_turned_into_markdown_is_code_again(solve, template):
    notebook = solve()
    at = index_of(notebook, "double")
    notebook.cells[at] = new_markdown_cell("def double(x): return 2 * x", id="x", metadata=notebook.cells[at].metadata)
    assert cell_of(mended(notebook, template).notebook, "double").cell_type == "code"


def test_a_check_moved_before_its_answer_runs_after_it(solve, template):
    notebook = solve()
    notebook.cells.insert(0, notebook.cells.pop(index_of(notebook, "check-double")))
    result = mended(notebook, template)
    assert order(result.notebook) == UNTOUCHED
    assert result.notes == ["the check of double stood before its answer, and was moved after it"]


def test_a_check_moved_to_the_end_runs_there(solve, template):
    notebook = solve()
    notebook.cells.append(notebook.cells.pop(index_of(notebook, "check-double")))
    assert order(mended(notebook, template).notebook)[-1] == "check-double"


def test_a_renamed_check_is_known_by_its_text(solve, template):
    notebook = solve()
    check = cell_of(notebook, "check-double")
    check.metadata, check.id = NotebookNode(), "renamed"
    result = mended(notebook, template)
    assert order(result.notebook) == UNTOUCHED
    assert result.notes == []


def test_a_check_renamed_to_another_s_gains_nothing(solve, template):
    notebook = solve()
    check = cell_of(notebook, "check-mean")
    check.metadata.nbgrader.grade_id = "check-double"
    check.id = "anything"
    graded = [name for name in order(mended(notebook, template).notebook) if name.startswith("check-")]
    assert sorted(graded) == ["check-double", "check-mean"]


@pytest.mark.parametrize("lost", ["metadata", "ids"])
def test_what_some_programs_lose_is_not_needed(solve, template, lost: str):
    notebook = solve()
    for cell in notebook.cells:
        if lost == "metadata":
            cell.metadata = NotebookNode()
        else:
            del cell["id"]
    if lost == "ids":
        notebook.nbformat_minor = 4
    assert order(mended(notebook, template).notebook) == UNTOUCHED


def test_the_last_of_two_answers_counts_and_the_first_stays(solve, template):
    notebook = solve()
    first = dict(cell_of(notebook, "double"), source="def double(x):\n    return 3 * x", id="first-try")
    notebook.cells.insert(3, NotebookNode(first))
    result = mended(notebook, template)
    assert order(result.notebook) == [*UNTOUCHED[:3], ".", *UNTOUCHED[3:]]
    assert "return 2 * x" in cell_of(result.notebook, "double").source
    assert result.notes == ["2 cells are the answer to double; the last counts"]


def test_a_missing_written_answer_is_unanswered_not_an_error(solve, template):
    notebook = solve()
    del notebook.cells[index_of(notebook, "why")]
    assert cell_of(mended(notebook, template).notebook, "why").source == "*Write your answer here.*"


def test_a_missing_answer_may_stand_in_a_cell_of_one_s_own(solve, template):
    notebook = solve()
    answer = notebook.cells.pop(index_of(notebook, "double"))
    notebook.cells.insert(0, new_code_cell(answer.source))
    result = mended(notebook, template)
    assert [name for name in order(result.notebook) if name != "."] == ["check-double", "mean", "check-mean", "why"]


def test_own_cells_stay_and_carry_nothing_but_their_text(solve, template):
    notebook = solve()
    own = new_code_cell(
        "1 + 1", metadata={"tags": ["skip-execution"], "nbgrader": {"grade": True, "grade_id": "extra"}}
    )
    own.outputs = [nbformat.v4.new_output("stream", text="forged")]
    notebook.cells.append(own)
    last = mended(notebook, template).notebook.cells[-1]
    assert (last.source, last.metadata, last.outputs) == ("1 + 1", {}, [])


def test_a_picture_in_a_written_answer_is_kept_and_a_script_is_not(solve, template):
    notebook = solve()
    cell_of(notebook, "why").attachments = NotebookNode(
        {"a.png": {"image/png": "iVBORw0KGgo="}, "b.png": {"image/png": '"><script>'}, "c": {"text/html": "<script>"}}
    )
    assert cell_of(mended(notebook, template).notebook, "why").attachments == {"a.png": {"image/png": "iVBORw0KGgo="}}


NOTEBOOK = nbformat.writes(new_notebook(cells=[new_code_cell("print(1)")])).encode()


@pytest.mark.parametrize(
    ("content", "outcome"),
    [
        (b"<html><body>Log in</body></html>", "not-json"),
        (b"\x80\x04\x95", "not-json"),
        (b"PK\x03\x04", "not-json"),
        (b"[" * 200_000, "not-json"),
        (NOTEBOOK[:150], "truncated"),
        (NOTEBOOK[: NOTEBOOK.rindex(b"}")], "truncated"),
        (b"{", "truncated"),
        (b"[1, 2]", "not-a-notebook"),
        (b"{}", "not-a-notebook"),
        (b"null", "not-a-notebook"),
        (b'{"nbformat": 4, "cells": []}', "not-a-notebook"),
        (b'{"nbformat": 4, "cells": {"0": 1}}', "not-a-notebook"),
        (b'{"nbformat": 4, "cells": [7]}', "not-a-notebook"),
        (b'{"nbformat": 4, "cells": [{"cell_type": "spell", "source": ""}]}', "not-a-notebook"),
        (b'{"nbformat": 4, "cells": [{"cell_type": "code", "source": [1]}]}', "not-a-notebook"),
        (b'{"nbformat": 4, "cells": [{"cell_type": "code", "source": "", "metadata": []}]}', "not-a-notebook"),
        (b'{"nbformat": 3, "worksheets": []}', "wrong-format"),
        (b'{"nbformat": "4", "cells": []}', "wrong-format"),
        (b'{"nbformat": 5, "cells": []}', "wrong-format"),
    ],
)
def test_what_is_no_notebook_is_named(content: bytes, outcome: str):
    with pytest.raises(Unreadable) as problem:
        parse(content, "lesson.ipynb")
    assert problem.value.outcome == outcome
    assert "lesson.ipynb" in str(problem.value)


def test_a_byte_order_mark_and_a_lone_surrogate_are_survived():
    data = {"nbformat": 4, "cells": [{"cell_type": "code", "source": ["a = '\ud800'\n", "b"], "metadata": {}}]}
    notebook = parse(b"\xef\xbb\xbf" + json.dumps(data).encode(), "lesson.ipynb")
    assert notebook.cells[0].source == "a = '?'\nb"


def test_another_notebook_is_not_taken_for_this_one(root: Path, template):
    other = nbformat.read(root / "notebooks" / "other" / "lesson.ipynb", as_version=4)
    unrelated = new_notebook(cells=[new_code_cell("print(1)"), new_markdown_cell("notes")])
    for notebook in (other, unrelated):
        with pytest.raises(Unreadable, match=r"a different notebook: it has no cells for double, mean, why") as problem:
            mended(notebook, template)
        assert problem.value.outcome == "wrong-notebook"


def test_another_assignment_with_one_exercise_in_common_is_refused(solve, template):
    notebook = solve()
    for cell in notebook.cells:
        if "nbgrader" in cell.metadata and not cell.id.endswith("double"):
            cell.metadata.nbgrader.grade_id = f"gan-{cell.id}"
            cell.source = cell.id = f"gan-{cell.id}"
    with pytest.raises(Unreadable, match="a different notebook"):
        mended(notebook, template)


def test_files_that_cannot_be_read_are_named(tmp_path: Path):
    (tmp_path / "secret").write_text("{}")
    (tmp_path / "link.ipynb").symlink_to(tmp_path / "secret")
    (tmp_path / "folder.ipynb").mkdir()
    (tmp_path / "empty.ipynb").write_bytes(b"")
    (tmp_path / "blank.ipynb").write_bytes(b" \n")
    (tmp_path / "large.ipynb").write_bytes(b" " * 1001)
    for name, outcome in {
        "link": "not-a-file",
        "folder": "not-a-file",
        "empty": "empty",
        "blank": "empty",
        "large": "too-large",
        "none": "missing",
    }.items():
        with pytest.raises(Unreadable) as problem:
            read_bytes(tmp_path / f"{name}.ipynb", limit=1000)
        assert problem.value.outcome == outcome, name
    with pytest.raises(Unreadable, match=r"there is no none\.ipynb; there is blank\.ipynb"):
        read_bytes(tmp_path / "none.ipynb", limit=1000)
    with pytest.raises(Unreadable, match=r"there is no none\.ipynb; there is empty\.ipynb"):
        read_bytes(tmp_path / "none.ipynb", limit=1000, known=["blank.ipynb"])


def test_both_layouts_are_found_and_strays_are_told(tmp_path: Path):
    for path in ("ann/toy", "bob", ".git", "__MACOSX", "Ng, Jr"):
        (tmp_path / path).mkdir(parents=True)
    (tmp_path / "eve").mkdir()
    (tmp_path / "eve" / "toy").symlink_to(tmp_path / "ann" / "toy")
    (tmp_path / "carl.ipynb").write_text("{}")
    found, strays = find_submissions(tmp_path, "toy")
    assert [(one.student, one.folder.relative_to(tmp_path).as_posix()) for one in found] == [
        ("Ng, Jr", "Ng, Jr"), ("ann", "ann/toy"), ("bob", "bob"), ("eve", "eve")
    ]  # fmt: skip
    assert [path.name for path in strays] == ["carl.ipynb"]


def test_a_folder_name_that_is_no_utf8_gets_a_readable_stand_in(tmp_path: Path):
    (tmp_path / "caf\udce9").mkdir()
    assert [one.student for one in find_submissions(tmp_path, "toy")[0]] == ["caf\\xe9"]


def test_side_files_are_plain_and_stand_in_for_no_module_of_ours(tmp_path: Path):
    for name in ("helper.py", "data.csv", "lesson.ipynb", "genmodels.py", ".hidden"):
        (tmp_path / name).write_text("")
    (tmp_path / "link.py").symlink_to(tmp_path / "helper.py")
    (tmp_path / "folder").mkdir()
    found = side_files(tmp_path, 1000)
    assert [path.name for path in found.files] == ["data.csv", "helper.py"]
    assert set(found.left_out) == {"genmodels.py", "link.py"}
