"""Each thing that can be wrong with a source, and what lint says of it."""

from pathlib import Path

import pytest

from autograder.errors import UserError
from autograder.source import lint, read_assignment, read_source

FIXTURE = Path(__file__).parent / "fixtures" / "solutions" / "toy" / "lesson.py"
EXERCISE = '# %% exercise="double" points=2 difficulty=1 minutes=2 equation="toy-double"'
CHECK = '# %% check="double"\ncheck("double", double)'


def problems(tmp_path: Path, text: str) -> str:
    path = tmp_path / "lesson.py"
    path.write_text(text, encoding="utf-8")
    return "\n".join(lint(read_source(path)))


def test_the_fixture_is_clean():
    assert lint(read_source(FIXTURE)) == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (EXERCISE, EXERCISE + " bonus=3", "exercise 'double': unknown key 'bonus'"),
        ("# %%\nfrom", "# %% hidden=true\nfrom", "unknown key 'hidden'"),
        ("# %%\nfrom", "# %% Set up\nfrom", "unknown key 'title'"),
        (CHECK, "", "exercise 'double' has no check cell"),
        (CHECK, CHECK.replace("check(", "ok = check("), 'must be exactly check("double", double)'),
        (CHECK, CHECK + "\nhelper = 3", 'must be exactly check("double", double)'),
        (CHECK, CHECK.replace('check("double", d', 'check("mean", d'), "must be exactly"),
        (CHECK, f"{CHECK}\n\n{CHECK}", "2 cells say check='double'"),
        (EXERCISE, EXERCISE.replace("double", "triple", 1), "it must define a function called triple"),
        (EXERCISE, EXERCISE.replace('exercise="double"', 'exercise="mean"'), "2 cells say exercise='mean'"),
        (EXERCISE, EXERCISE.replace('exercise="double"', 'exercise="Double it"'), "a name is lower-case letters"),
        (EXERCISE, EXERCISE.replace("points=2 ", ""), "points is missing"),
        (EXERCISE, EXERCISE.replace("points=2", "points=0"), "points must be a number above 0, got 0"),
        (EXERCISE, EXERCISE.replace("points=2", 'points="2"'), "points must be a number above 0, got '2'"),
        (EXERCISE, EXERCISE.replace("points=2", "points=true"), "points must be a number above 0, got True"),
        (EXERCISE, EXERCISE.replace("difficulty=1", "difficulty=4"), "difficulty must be 1, 2 or 3, got 4"),
        (EXERCISE, EXERCISE.replace("minutes=2 ", ""), "minutes is missing"),
        (EXERCISE, EXERCISE.replace("toy-double", "Toy Double"), "equation must be a label"),
        ("    ### BEGIN SOLUTION\n", "", "must stand between one"),
        ("    ### END SOLUTION\n", "", "must stand between one"),
        ("    ### END SOLUTION\n", "    ### END SOLUTION\n    return x + x\n", "text after '### END SOLUTION'"),
        ("    return twice_the_number\n", "    return twice_the_number (\n", "not valid Python"),
        ("# Write `double`.", "# ### BEGIN SOLUTION", "solution markers outside of an exercise"),
        ("# Write `double`.", "# ### BEGIN HIDDEN TESTS", "hidden checks belong in autograder/hidden/"),
        ("# ## Twice as much", "# Twice as much", "a statement begins with a '## ' heading"),
        ('statement="double"', 'statement="doubel"', "statement='doubel' belongs to no exercise"),
        ('statement="double"', 'statement="doubel"', "exercise 'double' has no statement cell"),
        ('# %% [markdown] exercise="why"', '# %% [markdown] check="why"', "check='why' belongs to no exercise"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, old: str, new: str, said: str):
    text = FIXTURE.read_text(encoding="utf-8")
    assert old in text
    assert said in problems(tmp_path, text.replace(old, new, 1))


def test_a_problem_says_where_it_is(tmp_path: Path):
    text = FIXTURE.read_text(encoding="utf-8")
    line = text.splitlines().index(EXERCISE) + 1
    assert f"lesson.py:{line}: " in problems(tmp_path, text.replace("points=2", "points=0"))


def test_an_answer_of_comments_alone_is_none(tmp_path: Path):
    text = FIXTURE.read_text(encoding="utf-8")
    gone = text.replace("    return sum(numbers) / len(numbers)\n", "    # nothing here yet\n")
    assert "there is no answer between the solution markers" in problems(tmp_path, gone)


def test_two_notebooks_of_an_assignment_share_no_exercise(tmp_path: Path):
    for name in ("one", "two"):
        path = tmp_path / "toy" / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(FIXTURE.read_text(encoding="utf-8"), encoding="utf-8")
    with pytest.raises(UserError, match=r"two\.py:\d+: exercise 'double' is in .*one\.py"):
        read_assignment(tmp_path, "toy")


def test_an_unknown_assignment_names_the_known_ones():
    with pytest.raises(UserError, match=r"no assignment 'gan' .*\(there: filed, other, toy\)"):
        read_assignment(FIXTURE.parents[1], "gan")


def test_a_source_that_is_no_text_is_refused(tmp_path: Path):
    path = tmp_path / "lesson.py"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="not a script in percent format"):
        read_source(path)
