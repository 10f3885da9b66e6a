"""Files that are handed in beside a notebook, the ones that are graded above all: never followed, never changed."""

import copy
import os
from pathlib import Path

import nbformat
import pytest
import safetensors.torch
import torch

from autograder.execute import Checks
from autograder.grade import grade_submission
from autograder.limits import Limits
from autograder.parcel import pack
from autograder.submission import MOST_FILES, find_submissions, side_files
from autograder.template import Assignment, Template, file_asked_for, read_templates
from genmodels import pretrained, vae

NAME = "heavy.safetensors"
REPOSITORY = Path(__file__).resolve().parents[2]
HALVE = "def halve(x):\n    return x / 2"
READS = f"def heavy():\n    return {NAME!r}"
# With no file there, it makes one, as the solution does.
MAKES = (
    f"def heavy():\n    if not Path({NAME!r}).exists():\n        Path({NAME!r}).write_text('12')\n    return {NAME!r}"
)


@pytest.fixture(scope="module")
def filed(root: Path) -> Assignment:
    return Assignment("filed", read_templates(root / "notebooks" / "filed"), "toychecks", "toychecks")


@pytest.fixture
def hand_in(filed: Assignment, limits: Limits, tmp_path: Path):
    """Writes a submission with these answers and grades it: what came of the exercise, and the notes on it."""

    def hand_in(heavy: str | None = READS, own: str = ""):
        notebook = copy.deepcopy(filed.templates["lesson"].notebook)
        for cell in notebook.cells:
            if cell.id == "halve":
                cell.source = HALVE
            if cell.id == "heavy" and heavy is not None:
                cell.source = heavy
        if own:
            notebook.cells.insert(2, nbformat.v4.new_code_cell(own))
        (tmp_path / "lesson.ipynb").write_text(nbformat.writes(notebook))
        result = grade_submission(tmp_path, filed, limits)
        assert result.outcome == "graded", result.message
        halve, weighed = result.notebooks[0].exercises
        assert halve.points == 1, "the other exercise suffered"
        return weighed, result.notebooks[0].notes

    return hand_in


def test_the_released_notebook_says_which_file_is_handed_in(filed: Assignment):
    template = filed.templates["lesson"]
    assert [exercise.file for exercise in template.exercises.values()] == [None, NAME]
    facts = next(cell.source for cell in template.notebook.cells if cell.id == "statement-heavy")
    assert f"graded from `{NAME}`, which you hand in with the notebook" in facts


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ('name = "a_b-1.safetensors"', "a_b-1.safetensors"),
        ('name = "../up.safetensors"', None),
        ('"""Save to x.safetensors, please."""', None),
        ("name = 'weights.pt'", None),
    ],
)
def test_a_file_is_asked_for_by_a_plain_name_in_the_code(code: str, name: str | None):
    assert file_asked_for(code) == name


def test_a_good_file_earns_the_points_though_the_notebook_can_make_none(hand_in, tmp_path: Path):
    (tmp_path / NAME).write_text("50")
    weighed, notes = hand_in(heavy=None)  # the exercise's cell is as it was released
    assert (weighed.status, weighed.points, notes) == ("passed", 4, [])


def test_what_counts_is_the_file_as_handed_in(hand_in, tmp_path: Path):
    (tmp_path / NAME).write_text("50")
    os.utime(tmp_path / NAME, (1, 1))
    # A cell that trains at the size of a test run would replace good weights with bad ones.
    weighed, _ = hand_in(own=f"Path({NAME!r}).write_text('1')")
    assert weighed.points == 4
    assert ((tmp_path / NAME).read_text(), (tmp_path / NAME).stat().st_mtime) == ("50", 1)


def test_a_bad_file_earns_nothing_whatever_the_notebook_does(hand_in, tmp_path: Path):
    (tmp_path / NAME).write_text("9")
    weighed, _ = hand_in(own=f"Path({NAME!r}).write_text('12')")
    assert (weighed.status, weighed.points) == ("failed", 0)
    assert f"{NAME} holds 9, which is too little" in weighed.message


def test_without_a_file_the_answer_is_run_and_a_note_says_so(hand_in):
    weighed, notes = hand_in(heavy=MAKES)
    assert weighed.points == 4
    assert notes == [f"{NAME} was not handed in; heavy is graded by what it makes when it is run here"]


def test_without_a_file_an_answer_that_makes_none_earns_nothing(hand_in):
    weighed, _ = hand_in(heavy=None)
    assert (weighed.points, weighed.message) == (0, "heavy is not written yet.")


def spoil(kind: str, path: Path, elsewhere: Path) -> None:
    """Put something that is no honest file in a file's place."""
    elsewhere.write_text("50")
    match kind:
        case "a link to a good file":
            path.symlink_to(elsewhere)
        case "a link that leads nowhere":
            path.symlink_to(elsewhere.with_name("nowhere"))
        case "a folder":
            path.mkdir()
        case "a pipe":
            os.mkfifo(path)
        case "200 MB":
            with path.open("wb") as file:
                file.truncate(200_000_000)


SPOILT = {
    "a link to a good file": "is a link, not a file",
    "a link that leads nowhere": "is a link, not a file",
    "a folder": "is a folder, not a file",
    "a pipe": "is not a plain file",
    "200 MB": "has 200.0 MB, more than the 0.1 MB that are read",
}


@pytest.mark.parametrize("kind", SPOILT)
def test_what_is_no_honest_file_earns_nothing_and_does_no_harm(hand_in, tmp_path: Path, kind: str):
    spoil(kind, tmp_path / NAME, tmp_path / ".elsewhere")
    # Even though the answer could make a good one: what was handed in is what counts.
    weighed, notes = hand_in(heavy=MAKES)
    assert (weighed.status, weighed.points) == ("failed", 0)
    assert weighed.message == f"heavy: {NAME} {SPOILT[kind]}."
    assert notes == []


def test_other_files_that_cannot_go_along_are_named_and_cost_nothing(hand_in, tmp_path: Path):
    (tmp_path / NAME).write_text("50")
    spoil("200 MB", tmp_path / "checkpoint.pt", tmp_path / "x")
    spoil("a link to a good file", tmp_path / "link.txt", tmp_path / "x")
    spoil("a folder", tmp_path / "runs", tmp_path / "x")
    looks = "assert not any(map(os.path.lexists, ('checkpoint.pt', 'link.txt', 'runs')))"
    weighed, notes = hand_in(own=f"import os\n{looks}\nprint('none of them')")
    assert weighed.points == 4
    assert notes == [
        "checkpoint.pt has 200.0 MB, more than the 0.1 MB that are read; it was left out",
        "link.txt is a link, not a file; it was left out",
    ]


def test_side_files_are_bounded_in_number_and_in_size(tmp_path: Path):
    for number in range(MOST_FILES + 5):
        (tmp_path / f"{number:03}.txt").write_text("x")
    (tmp_path / "z.safetensors").write_text("x")
    found = side_files(tmp_path, 1000, ["z.safetensors"])
    assert len(found.files) == MOST_FILES
    assert found.files[0].name == "z.safetensors", "what is graded comes first"
    assert len(found.left_out) == 6
    assert len(side_files(tmp_path, 10).files) == 10


def test_a_student_s_folder_that_is_a_link_is_not_followed(tmp_path: Path):
    for name in ("ann", "elsewhere/toy"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "eve").symlink_to(tmp_path / "elsewhere")
    found, strays = find_submissions(tmp_path, "toy")
    assert [one.student for one in found] == ["ann", "elsewhere"]
    assert [path.name for path in strays] == ["eve"]


def test_what_lies_beside_the_notebook_decides_whether_it_is_graded_anew(
    filed: Assignment, limits: Limits, tmp_path: Path
):
    seen = set()

    def key() -> str:
        return pack(tmp_path, filed, limits.file_bytes).key("ann", "setting")

    (tmp_path / "lesson.ipynb").write_text("{}")
    for change in (
        lambda: None,
        lambda: (tmp_path / NAME).write_text("50"),
        lambda: (tmp_path / NAME).write_text("51"),
        lambda: (tmp_path / "helper.py").write_text(""),
        lambda: (tmp_path / "lesson.ipynb").write_text("{ }"),
        lambda: spoil("200 MB", tmp_path / NAME, tmp_path / ".x"),
        lambda: (tmp_path / NAME).unlink() or spoil("a link to a good file", tmp_path / NAME, tmp_path / ".x"),
        lambda: (tmp_path / NAME).unlink() or spoil("a folder", tmp_path / NAME, tmp_path / ".x"),
    ):
        change()
        assert key() == key()
        seen.add(key())
    assert len(seen) == 8
    (tmp_path / "notes.ipynb").write_text("{}")  # another notebook decides nothing
    assert key() in seen


# ------------------------------------------------------------------ the weights of the vae assignment


@pytest.fixture(scope="module")
def model_template() -> Template:
    return read_templates(REPOSITORY / "notebooks" / "vae")["model"]


def network(**changes) -> vae.VAE:
    return vae.VAE(**{"latent_dim": 6, "hidden_dim": 128, **changes})


def test_the_model_notebook_asks_for_its_weights(model_template: Template):
    assert model_template.exercises["digits_weights"].file == "digits_vae.safetensors"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: save(network().state_dict(), path), "nats on held-out digits, the mark is -19"),
        (
            lambda path: save({k: v * float("nan") for k, v in network().state_dict().items()}, path),
            "numbers that are not finite",
        ),
        (lambda path: save(network(hidden_dim=64).state_dict(), path), "has shape"),
        (lambda path: save(pretrained.load("vae_digits").state_dict(), path), "has shape"),
        (lambda path: torch.save(network().state_dict(), path), "is not a readable safetensors file"),
        (lambda path: path.write_bytes(b""), "is not a readable safetensors file"),
        (lambda path: path.write_bytes((2**40).to_bytes(8, "little") + b"{}"), "is not a readable safetensors file"),
    ],
    ids=["untrained", "nan", "another width", "the book's own weights", "a pickle", "empty", "a header that lies"],
)
def test_weights_that_are_no_trained_model_of_the_right_kind_earn_nothing(tmp_path: Path, make, said: str):
    path = tmp_path / "digits_vae.safetensors"
    make(path)
    verdict = Checks(Assignment("vae", {}), seed=3)("digits_weights", lambda: str(path), 60)
    assert verdict.status == "failed"
    assert said in verdict.message
    assert str(tmp_path) not in verdict.message, "a student need not know where it was graded"


def save(state: dict[str, torch.Tensor], path: Path) -> None:
    safetensors.torch.save_file({key: value.contiguous() for key, value in state.items()}, path)
