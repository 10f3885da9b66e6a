"""The commands of the guides: each is one that the command line, or the Makefile, takes."""

import contextlib
import io
import re
import shlex
from pathlib import Path

import pytest

from autograder.__main__ import _parser
from autograder.source import read_assignment

ROOT = Path(__file__).resolve().parents[2]
GUIDES = ("book/student.md", "book/instructor.md", "book/reference/grading.md", "book/reference/grading-at-scale.md")
# Not ours to parse.
OTHERS = {"git", "cd", "cat", "source", "jupyter", "dask", "openssl", "chmod", "kubectl", "sbatch", "bwrap"}


def commands() -> list[tuple[str, str]]:
    found = []
    for guide in GUIDES:
        for block in re.findall(r"^```(?:text|console)\n(.*?)^```", (ROOT / guide).read_text("utf-8"), re.M | re.S):
            lines = block.replace("\\\n", " ")
            found += [(guide, line) for line in re.findall(r"^\$ (.+)$", lines, re.M)]
    return found


def targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text("utf-8"), re.M))


@pytest.mark.parametrize(("guide", "command"), commands())
def test_a_command_of_a_guide_is_one_that_is_understood(guide, command):
    words = shlex.split(command, comments=True)
    words = [word for word in words if not re.fullmatch(r"[A-Z_]+=.*|&", word)]
    program = Path(words[0]).name
    if program == "python" and words[1:3] == ["-m", "autograder"]:
        said = io.StringIO()
        with contextlib.redirect_stderr(said):
            try:
                options = _parser().parse_args(words[3:])
            except SystemExit:
                pytest.fail(f"{guide}: {command}\n{said.getvalue()}")
        if name := getattr(options, "assignment", None):
            read_assignment(ROOT / "solutions", name)
    elif program == "python" and words[1] == "-m":
        assert (ROOT / f"{words[2].replace('.', '/')}.py").is_file(), command
    elif program == "make":
        assert set(words[1:]) <= targets(), command
    else:
        assert program in OTHERS, command


def test_the_guides_have_commands_of_every_kind():
    assert {"release", "roster", "grade", "feedback", "report", "export", "regrade", "doctor"} <= {
        line.split("-m autograder ")[1].split()[0] for _, line in commands() if "-m autograder " in line
    }


def test_the_guide_for_students_names_each_file_to_hand_in():
    rows = re.findall(r"^\| `(\w+)` \| (.*) \| (.*) \|$", (ROOT / "book/student.md").read_text("utf-8"), re.M)
    said = {
        name: (set(re.findall(r"`(.+?)`", books)), set(re.findall(r"`(.+?)`", files))) for name, books, files in rows
    }
    real = {}
    for name in sorted(path.name for path in (ROOT / "solutions").iterdir()):
        sources = read_assignment(ROOT / "solutions", name)
        files = {f for s in sources for f in re.findall(r'name = "(\w+\.safetensors)"', s.path.read_text("utf-8"))}
        real[name] = ({f"{source.name}.ipynb" for source in sources}, files)
    assert said == real
