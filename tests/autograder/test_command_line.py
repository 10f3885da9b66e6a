"""The command line: its help, its exit codes, and one clear line for a mistake."""

import shutil
from pathlib import Path

import nbformat
import pytest

from autograder.__main__ import main

FIXTURES = Path(__file__).parent / "fixtures"
COMMANDS = ["release", "grade", "regrade", "feedback", "export", "report", "roster", "doctor"]


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help_with_an_example_and_exit_codes(command: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as left:
        main([command, "--help"])
    assert left.value.code == 0
    said = capsys.readouterr().out
    assert f"example:\n  python -m autograder {command} " in said
    assert "exit codes:" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["release", "gan"], "there is no assignment 'gan'"),
        (["grade", "toy", "--submissions", "nowhere"], "nowhere is not a folder"),
        (["grade", "toy", "--submissions", "empty"], "empty holds no student's folder"),
        (["grade", "gan", "--submissions", "submissions"], "there is no assignment 'gan'"),
        (["grade", "toy", "--submissions", "submissions", "--student", "zoe"], "no folder of student 'zoe'"),
        (["feedback", "toy"], "holds no gradebook; grade toy first"),
        (["export", "toy", "--csv", "marks.csv"], "holds no gradebook; grade toy first"),
        (["report", "toy", "--html", "toy.html"], "holds no gradebook; grade toy first"),
        (["regrade", "toy", "--submissions", "submissions", "--exercise", "mean"], "grade toy first"),
        (["regrade", "toy", "--submissions", "submissions", "--student", "zoe"], "no folder of student 'zoe'"),
        (["roster", "none.csv"], "can't read none.csv"),
        (["doctor", "none.ipynb"], "there is no file none.ipynb"),
        (["doctor", "lesson.ipynb"], "holds no released notebook to compare with"),
        (["grade", "toy", "--submissions", "submissions", "--course", "lesson.ipynb"], "as a course folder"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    arguments: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(FIXTURES / "solutions", tmp_path / "solutions")
    (tmp_path / "empty").mkdir()
    (tmp_path / "submissions" / "ann").mkdir(parents=True)
    (tmp_path / "lesson.ipynb").write_text("{}")
    assert main(["--root", str(tmp_path), *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith(f"autograder {arguments[0]}: ")
    assert said in captured.err
    assert len(captured.err.splitlines()) == 1


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "soon"])
def test_a_limit_must_be_a_time(seconds: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as left:
        main(["grade", "toy", "--submissions", ".", f"--cell-seconds={seconds}"])
    assert left.value.code == 2
    assert "--cell-seconds" in capsys.readouterr().err


def test_release_then_check_then_stale(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    shutil.copytree(FIXTURES / "solutions", tmp_path / "solutions")
    root = ["--root", str(tmp_path)]
    assert main([*root, "release"]) == 0
    assert main([*root, "release", "--check"]) == 0
    path = tmp_path / "notebooks" / "toy" / "lesson.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[0].source += " changed"
    nbformat.write(notebook, path)
    assert main([*root, "release", "--check"]) == 1
    assert "lesson.ipynb is not what its source makes" in capsys.readouterr().out


def test_a_wrong_source_is_told_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    shutil.copytree(FIXTURES / "solutions", tmp_path / "solutions")
    source = tmp_path / "solutions" / "toy" / "lesson.py"
    source.write_text(source.read_text().replace("points=2", "points=0").replace("minutes=5 ", ""))
    assert main(["--root", str(tmp_path), "release"]) == 2
    said = capsys.readouterr().err
    assert "points must be a number above 0" in said
    assert "minutes is missing" in said
    assert not (tmp_path / "notebooks").exists()
