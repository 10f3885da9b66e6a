"""What a release holds, and each known way for an answer to slip into it."""

import shutil
from pathlib import Path

import nbformat
import pytest

from autograder.errors import UserError
from autograder.release import check_release, find_leaks, release
from autograder.source import read_source

FIXTURES = Path(__file__).parent / "fixtures"


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    """A repository of one's own to spoil."""
    shutil.copytree(FIXTURES / "solutions", tmp_path / "solutions")
    return tmp_path


def released(root: Path) -> Path:
    return root / "notebooks" / "toy" / "lesson.ipynb"


def everything(root: Path) -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in (root / "notebooks").rglob("*") if path.is_file())


def test_twice_gives_the_same_bytes(fresh: Path):
    release(fresh, [])
    first = released(fresh).read_bytes()
    shutil.rmtree(fresh / "_build")
    released(fresh).unlink()
    release(fresh, [])
    assert released(fresh).read_bytes() == first


def test_ids_come_from_names_and_places(root: Path):
    notebook = nbformat.read(released(root), as_version=4)
    assert [cell.id for cell in notebook.cells] == [
        "cell-1", "cell-2", "statement-double", "double", "check-double", "statement-mean", "mean", "check-mean",
        "statement-why", "why", "cell-11",
    ]  # fmt: skip


def test_the_exercise_s_facts_stand_under_its_heading(root: Path):
    cells = {cell.id: cell.source for cell in nbformat.read(released(root), as_version=4).cells}
    assert cells["statement-double"].splitlines()[:3] == [
        "## Twice as much",
        "",
        "*2 points · difficulty 1 of 3 · about 2 minutes · equation toy-double*",
    ]
    assert "*5 points, graded by hand · " in cells["statement-why"]


def test_the_answer_gives_way_to_a_stub(root: Path):
    cells = {cell.id: cell for cell in nbformat.read(released(root), as_version=4).cells}
    assert cells["double"].source == (
        'def double(x):\n    """A number → twice that number."""\n    # Write your answer here.\n'
        '    raise NotImplementedError("replace this line with your answer")'
    )
    assert cells["why"].source == "*Write your answer here.*"
    assert cells["check-double"].metadata.nbgrader.points == 2
    assert cells["check-double"].metadata.editable is False


def test_no_answer_no_comment_in_it_and_no_marker_is_released(root: Path):
    text = everything(root)
    for secret in ("twice_the_number", "Adding a number to itself", "sum(numbers)", "nothing to divide by", "SOLUTION"):
        assert secret not in text


def test_a_text_file_beside_the_source_stays_there(fresh: Path):
    (fresh / "solutions" / "toy" / "answers.txt").write_text("the answer is 42")
    built = fresh / "_build" / "course" / "source" / "toy"
    built.mkdir(parents=True)
    # nbgrader itself copies this one: a build folder is made anew for that reason.
    (built / "answers.txt").write_text("the answer is 42")
    release(fresh, ["toy"])
    assert sorted(path.name for path in (fresh / "notebooks" / "toy").iterdir()) == ["lesson.ipynb"]
    assert not list((fresh / "_build" / "course" / "release").rglob("*.txt"))


def test_jupytext_s_metadata_is_left_behind(fresh: Path):
    source = fresh / "solutions" / "toy" / "lesson.py"
    header = "# ---\n# jupyter:\n#   jupytext:\n#     formats: ipynb,py:percent\n# ---\n\n"
    source.write_text(header + source.read_text(encoding="utf-8"), encoding="utf-8")
    release(fresh, ["toy"])
    assert set(nbformat.read(released(fresh), as_version=4).metadata) == {"kernelspec", "language_info"}


def test_outputs_are_none(root: Path):
    for cell in nbformat.read(released(root), as_version=4).cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("# Write `double`.", "# Write `double`:\n#\n#     twice_the_number += x", "the answer to 'double'"),
        ("# Write `double`.", "#     # Adding a number to itself doubles it.", "the answer to 'double'"),
        ("print(double(4)", "twice_the_number = 0\ntwice_the_number += x\nprint(double(4)", "the answer to 'double'"),
        (
            "# Why does an empty",
            "# There is nothing to divide by: zero numbers would share zero equally in every way.\n# Why does an empty",
            "the answer to 'why'",
        ),
        ("print(double(4)", "import autograder\nprint(double(4)", "the release says 'autograder'"),
    ],
)
def test_an_answer_elsewhere_in_the_notebook_stops_the_release(fresh: Path, old: str, new: str, said: str):
    source = fresh / "solutions" / "toy" / "lesson.py"
    text = source.read_text(encoding="utf-8")
    assert old in text
    source.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(UserError, match=said):
        release(fresh, ["toy"])
    assert not released(fresh).exists()


def test_the_inspection_sees_what_nbgrader_would_let_through(root: Path):
    source = read_source(root / "solutions" / "toy" / "lesson.py")
    notebook = nbformat.read(released(root), as_version=4)
    notebook.metadata["jupytext"] = {"formats": "ipynb,py:percent"}
    notebook.cells[1].outputs = [nbformat.v4.new_output("stream", text="42")]
    notebook.cells[4].source += "\n### BEGIN HIDDEN TESTS\nassert double(3) == 6\n### END HIDDEN TESTS"
    leaks = "\n".join(find_leaks(source, nbformat.writes(notebook)))
    for said in ("notebook metadata jupytext", "carries outputs", "'HIDDEN TESTS'"):
        assert said in leaks


def test_check_says_what_is_stale(fresh: Path):
    release(fresh, [])
    assert check_release(fresh, []) == []
    source = fresh / "solutions" / "toy" / "lesson.py"
    source.write_text(source.read_text(encoding="utf-8").replace("Twice as much", "Twice"), encoding="utf-8")
    (released(fresh).parent / "old.ipynb").write_text("{}")
    (fresh / "notebooks" / "other" / "lesson.ipynb").unlink()
    before = released(fresh).read_bytes()
    stale = "\n".join(check_release(fresh, []))
    assert "toy/lesson.ipynb is not what its source makes" in stale
    assert "old.ipynb has no source" in stale
    assert "other/lesson.ipynb is missing" in stale
    assert released(fresh).read_bytes() == before


@pytest.mark.parametrize("where", ["answer", "new cell", "output", "broken"])
def test_somebody_s_work_is_not_overwritten(fresh: Path, where: str):
    release(fresh, ["toy"])
    notebook = nbformat.read(released(fresh), as_version=4)
    match where:
        case "answer":
            notebook.cells[3].source = "def double(x):\n    return 2 * x"
        case "new cell":
            notebook.cells.append(nbformat.v4.new_code_cell("# notes to myself"))
        case "output":
            notebook.cells[1].outputs = [nbformat.v4.new_output("stream", text="42")]
    text = nbformat.writes(notebook) if where != "broken" else "half a noteb"
    released(fresh).write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=r"lesson\.ipynb has been worked in"):
        release(fresh, ["toy"])
    assert released(fresh).read_text(encoding="utf-8") == text
    release(fresh, ["toy"], force=True)
    assert check_release(fresh, ["toy"]) == []


def test_an_equation_that_the_book_lacks_is_an_error(fresh: Path):
    repository = Path(__file__).resolve().parents[2]
    (fresh / "book" / "_ext").mkdir(parents=True)
    shutil.copyfile(repository / "book" / "_ext" / "ledger.py", fresh / "book" / "_ext" / "ledger.py")
    (fresh / "_config.yml").write_text("title: a book\n")
    (fresh / "_toc.yml").write_text("format: jb-book\nroot: book/index\n")
    page = fresh / "book" / "index.md"
    page.write_text("# A book\n\n$$ 2x $$ (toy-double)\n\n$$ m $$ (toy-mean)\n")
    release(fresh, ["toy"])
    assert "[equation toy-double](../../book/index.md)" in everything(fresh)
    (fresh / "_config.yml").write_text("title: a book\nhtml: {baseurl: 'https://book.example.org/'}\n")
    release(fresh, ["toy"])
    assert "[equation toy-double](https://book.example.org/book/index.html#equation-toy-double)" in everything(fresh)
    page.write_text("# A book\n\n$$ m $$ (toy-mean)\n")
    with pytest.raises(UserError, match="equation 'toy-double' is labelled on no page"):
        release(fresh, ["toy"])
