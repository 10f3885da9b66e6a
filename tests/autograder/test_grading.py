"""A class of students, graded end to end: who earns what, what is recorded of whom, and what a second run does."""

import csv
import hashlib
import io
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest
from nbconvert.exporters import HTMLExporter
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_raw_cell
from nbgrader.server_extensions.formgrader import handlers as formgrader
from traitlets.config.loader import PyFileConfigLoader

from autograder.classroom import grade
from autograder.course import Course
from autograder.errors import UserError
from autograder.export import export, generic, to_csv
from autograder.feedback import write_feedback
from autograder.grade import grade_submission
from autograder.limits import Limits
from autograder.marks import read_marks
from autograder.results import Ledger, Result
from autograder.sanitise import clean

CHECKS = ("toychecks", "toychecks")
KNOWS_THE_PUBLIC_INPUT = "def double(x):\n    return 2"
HOSTILE = """\
from IPython.display import HTML, Javascript, Latex, Markdown, SVG, display
payload = "<b>bold</b><script>alert('pwned')</script><img src=x onerror=alert('pwned')><iframe src='//evil.example'>"
display(HTML(payload), Markdown(payload), Javascript("alert('pwned')"), Latex(payload))
display(SVG("<svg xmlns='http://www.w3.org/2000/svg'><script>alert('pwned')</script><rect width='9'/></svg>"))
display(HTML("<div><svg aria-label='a plot' width='9'><rect onclick='alert(9)' width='9'/></svg></div>"))
display({"image/png": "\\"><script>alert('pwned')</script>"}, raw=True)
display({"text/plain": payload}, raw=True, metadata={"image/png": {"width": "\\"><script>"}})
print(payload)
raise ValueError(payload)
"""


def with_cell(notebook: NotebookNode, code: str, before: str = "check-mean") -> NotebookNode:
    """The notebook with a cell of the student's own before one of ours."""
    at = next(i for i, cell in enumerate(notebook.cells) if cell.id == before)
    notebook.cells.insert(at, new_code_cell(code))
    return notebook


def classroom(solve, root: Path) -> dict[str, NotebookNode | bytes | None]:
    """What each student hands in; None is nothing."""
    whole = nbformat.writes(solve()).encode()
    moved = solve()
    moved.cells.insert(0, moved.cells.pop(4))
    return {
        "solved": solve(),
        "untouched": solve(double="def double(x):\n    raise NotImplementedError"),
        "half": solve("double"),
        "public-only": solve(double=KNOWS_THE_PUBLIC_INPUT),
        "moved": moved,
        "hostile": hostile(solve()),
        "forger": with_cell(solve("double"), "print(100)\n100", before="check-mean"),
        "loops": with_cell(solve(), "while True:\n    pass"),
        "stubborn": with_cell(
            solve(), "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True:\n    pass"
        ),
        "exits": with_cell(solve(), "import os\nos._exit(0)"),
        "prints": with_cell(solve(), "while True:\n    print('on and on')"),
        "loops-in-answer": solve("mean", double="def double(x):\n    while x == 1:\n        pass"),
        "exits-in-answer": solve("mean", double="def double(x):\n    raise SystemExit"),
        "missing": None,
        "empty": b"",
        "truncated": whole[:700],
        "not-json": b"<html>Log in first</html>",
        "unrelated": nbformat.writes(nbformat.v4.new_notebook(cells=[new_code_cell("print(1)")])).encode(),
        "other": (root / "notebooks" / "other" / "lesson.ipynb").read_bytes(),
        "format3": b'{"nbformat": 3, "nbformat_minor": 0, "metadata": {}, "worksheets": [{"cells": []}]}',
        "huge": whole.replace(b"# A lesson", b"# A lesson " + b"x" * 100_000, 1),
        "Ng, Jr": b"",
        "=cmd": b"",
    }


def hostile(notebook: NotebookNode) -> NotebookNode:
    with_cell(notebook, HOSTILE)
    script = "<script>alert('pwned')</script> [link](javascript:alert('pwned')) <p onclick=alert(1)>and $a < b$</p>"
    notebook.cells.append(new_markdown_cell(script))
    notebook.cells.append(new_raw_cell(script, metadata={"raw_mimetype": "text/html"}))
    next(cell for cell in notebook.cells if cell.id == "why").source = script
    return notebook


@dataclass
class Classroom:
    """A graded class."""

    root: Path
    submissions: Path
    course: Course
    limits: Limits
    cluster: Callable
    results: dict[str, Result | None] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)

    def grade(self, **options) -> dict[str, Result | None]:
        options = {"checks": CHECKS, "cluster": self.cluster} | options
        return grade(self.root, "toy", self.submissions, self.course, self.limits, self.lines.append, **options)

    def points(self, student: str) -> dict[str, float | None]:
        """What the gradebook says: points by cell, None where a person must grade."""
        with self.course.gradebook("toy") as gradebook:
            submission = gradebook.find_submission("toy", student)
            return {
                grade.name: None if grade.needs_manual_grade else grade.score
                for notebook in submission.notebooks
                for grade in notebook.grades
            }


def fingerprint(folder: Path) -> dict[str, str]:
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest() + str(path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def graded(root: Path, solve, limits: Limits, cluster, tmp_path_factory: pytest.TempPathFactory) -> Classroom:
    folder = tmp_path_factory.mktemp("class")
    room = Classroom(root, folder / "submissions", Course(folder / "course"), limits, cluster)
    for number, (student, work) in enumerate(classroom(solve, root).items()):
        place = room.submissions / student
        if number % 2:  # both layouts
            place /= "toy"
        place.mkdir(parents=True)
        if work is not None:
            content = work if isinstance(work, bytes) else nbformat.writes(work).encode()
            (place / "lesson.ipynb").write_bytes(content)
    before = fingerprint(room.submissions)
    room.results = room.grade()
    assert fingerprint(room.submissions) == before, "grading changed a student's file"
    return room


EARNS = {
    "solved": {"check-double": 2, "check-mean": 3, "why": None},
    "untouched": {"check-double": 0, "check-mean": 0, "why": 0},
    "half": {"check-double": 2, "check-mean": 0, "why": 0},
    "public-only": {"check-double": 0, "check-mean": 0, "why": 0},
    "moved": {"check-double": 2, "check-mean": 3, "why": None},
    "hostile": {"check-double": 2, "check-mean": 3, "why": None},
    "forger": {"check-double": 2, "check-mean": 0, "why": 0},
    "loops": {"check-double": 2, "check-mean": 3, "why": None},
    "stubborn": {"check-double": 2, "check-mean": 0, "why": None},
    "exits": {"check-double": 2, "check-mean": 0, "why": None},
    "prints": {"check-double": 2, "check-mean": 3, "why": None},
    "loops-in-answer": {"check-double": 0, "check-mean": 3, "why": 0},
    "exits-in-answer": {"check-double": 0, "check-mean": 3, "why": 0},
}
OUTCOME = {
    "loops": ("timed-out", "cell 8 (`while True:`) did not end within 1.5 s"),
    "stubborn": ("timed-out", "cell 8 (`import signal`) did not end within 1.5 s"),
    "exits": ("kernel-died", "cell 8 (`import os`) ended the kernel"),
    "prints": ("too-much-output", "cell 8 (`while True:`) printed more than 0.2 MB"),
    "loops-in-answer": ("timed-out", "the check of double did not end within 1.5 s"),
    "missing": ("missing", "there is no lesson.ipynb"),
    "empty": ("empty", "lesson.ipynb is empty"),
    "truncated": ("truncated", "lesson.ipynb breaks off after 700 bytes"),
    "not-json": ("not-json", "it begins '<html>Log in first</html>'"),
    "unrelated": ("wrong-notebook", "a different notebook"),
    "other": ("wrong-notebook", "a different notebook"),
    "format3": ("wrong-format", "notebook format 3, not 4"),
    "huge": ("too-large", "more than the 0.1 MB that are read"),
    "Ng, Jr": ("empty", "lesson.ipynb is empty"),
    "=cmd": ("empty", "lesson.ipynb is empty"),
}


@pytest.mark.parametrize("student", EARNS)
def test_what_runs_earns_exactly_its_part(graded: Classroom, student: str):
    assert graded.points(student) == EARNS[student]


@pytest.mark.parametrize("student", OUTCOME)
def test_what_is_wrong_is_told_and_recorded(graded: Classroom, student: str):
    outcome, told = OUTCOME[student]
    line = next(line for line in graded.lines if f" {student}: " in line)
    assert f"{outcome}: " in line
    assert told in line
    record = Ledger(graded.course.ledger).last("toy", student)
    assert record["outcome"] == outcome
    assert told in record["message"]
    if student not in EARNS:
        assert graded.points(student) == {"check-double": 0, "check-mean": 0, "why": 0}


def test_everybody_is_graded(graded: Classroom, solve):
    everybody = classroom(solve, graded.root)
    assert set(graded.results) == set(everybody)
    assert set(EARNS) | set(OUTCOME) == set(everybody)
    assert sum(line.startswith("[") for line in graded.lines[: len(everybody)]) == len(everybody)


def test_a_result_survives_json(graded: Classroom):
    result = graded.results["half"]
    assert result is not None
    assert Result.from_json(result.to_json()) == result


def test_a_hidden_failure_says_less_than_a_public_one(graded: Classroom):
    messages = {
        e.name: e.message for r in [graded.results["public-only"]] if r for n in r.notebooks for e in n.exercises
    }
    assert messages["double"] == "double is wrong."
    assert messages["mean"] == "mean is not written yet."


# ------------------------------------------------------------------ the next run


def test_a_second_run_skips_what_is_unchanged_and_grades_what_changed(graded: Classroom, solve):
    path = next((graded.submissions / "half").rglob("lesson.ipynb"))
    original = path.read_bytes()
    lines = len(graded.course.ledger.read_text().splitlines())
    path.write_text(nbformat.writes(solve("mean")))
    try:
        results = graded.grade()
        assert [student for student, result in results.items() if result is not None] == ["half"]
        assert graded.points("half") == {"check-double": 0, "check-mean": 3, "why": 0}
        assert len(graded.course.ledger.read_text().splitlines()) == lines + 1
        assert any("solved: unchanged, 5 of 10 points (graded)" in line for line in graded.lines)
    finally:
        path.write_bytes(original)
    graded.grade(student="half")
    assert graded.points("half") == EARNS["half"]


def test_regrade_grades_what_is_unchanged(graded: Classroom):
    assert list(graded.grade(student="empty").values()) == [None]
    assert [result.outcome for result in graded.grade(student="empty", regrade=True).values()] == ["empty"]


def test_other_limits_are_another_grading(graded: Classroom):
    looser = replace(graded.limits, cell_seconds=4)
    other = replace(graded, limits=looser)
    assert list(other.grade(student="empty").values()) != [None]
    graded.grade(student="empty")


def test_a_line_cut_short_in_the_ledger_costs_one_regrading(graded: Classroom):
    with graded.course.ledger.open("a") as file:
        file.write('{"assignment": "toy", "student": "emp')
    assert list(graded.grade(student="empty").values()) == [None]
    graded.grade(student="empty", regrade=True)
    assert Ledger(graded.course.ledger).last("toy", "empty")["outcome"] == "empty"


def test_a_lost_graded_notebook_is_graded_again(graded: Classroom):
    graded.course.folder("autograded", "empty", "toy").joinpath("lesson.ipynb").unlink()
    assert list(graded.grade(student="empty").values()) != [None]


def test_a_mark_given_by_hand_stays_through_a_regrading(graded: Classroom):
    with graded.course.gradebook("toy") as gradebook:
        mark = gradebook.find_grade("why", "lesson", "toy", "moved")
        mark.manual_score, mark.needs_manual_grade = 4, False
        gradebook.db.commit()
    graded.grade(student="moved", regrade=True)
    with graded.course.gradebook("toy") as gradebook:
        mark = gradebook.find_grade("why", "lesson", "toy", "moved")
        assert (mark.manual_score, mark.needs_manual_grade) == (4, True)
        mark.needs_manual_grade = False
        gradebook.db.commit()
    table = {row[0]: row for row in generic(read_marks(graded.course, "toy"), "toy")}
    assert table["moved"] == ["moved", "2", "3", "4", "9", "10", "graded"]


def test_a_failure_of_our_own_costs_nobody_else_and_is_tried_again(graded: Classroom):
    results = graded.grade(regrade=True, student="half", unit="toyunits:fails")
    assert [result.outcome for result in results.values()] == ["grader-error"]
    assert graded.points("half")["check-double"] == 0
    assert "no kernel today" in graded.lines[-1]
    assert graded.grade(student="half")["half"].outcome == "graded"
    assert graded.points("half") == EARNS["half"]


def test_checks_that_break_are_our_fault_not_the_student_s(tmp_path: Path, solve, assignment, limits: Limits):
    (tmp_path / "lesson.ipynb").write_text(nbformat.writes(solve()))
    broken = replace(assignment, hidden="no_such_module")
    result = grade_submission(tmp_path, broken, limits)
    assert result.outcome == "grader-error"
    assert "no_such_module" in result.message


def test_files_beside_the_notebook_are_there_when_it_runs(tmp_path: Path, solve, assignment, limits: Limits):
    (tmp_path / "helper.py").write_text("def twice(x):\n    return 2 * x\n")
    answer = "from helper import twice as double"
    (tmp_path / "lesson.ipynb").write_text(nbformat.writes(solve(double=answer)))
    assert grade_submission(tmp_path, assignment, limits).points == 2


def test_the_kernel_sees_no_secret_of_ours(tmp_path: Path, solve, assignment, limits: Limits, monkeypatch):
    monkeypatch.setenv("SECRET_TOKEN", "hush")
    answer = "import os\ndef double(x):\n    assert 'SECRET_TOKEN' not in os.environ\n    return 2 * x"
    (tmp_path / "lesson.ipynb").write_text(nbformat.writes(solve(double=answer)))
    assert grade_submission(tmp_path, assignment, limits).points == 2


def test_the_whole_has_a_limit_too(tmp_path: Path, solve, assignment, limits: Limits):
    notebook = with_cell(solve(), "import time\ntime.sleep(60)")
    (tmp_path / "lesson.ipynb").write_text(nbformat.writes(notebook))
    result = grade_submission(tmp_path, assignment, replace(limits, total_seconds=2, cell_seconds=60))
    assert (result.outcome, result.points) == ("timed-out", 2)


def test_exercises_that_changed_ask_for_a_new_course_folder(graded: Classroom, tmp_path: Path):
    source = (graded.root / "solutions" / "toy" / "lesson.py").read_text()
    changed = tmp_path / "solutions" / "toy" / "lesson.py"
    changed.parent.mkdir(parents=True)
    changed.write_text(source.replace("double", "twice"))
    with pytest.raises(UserError, match="have changed since submissions were graded"):
        replace(graded, root=tmp_path).grade()
    graded.grade(student="empty")


# ------------------------------------------------------------------ the CSV


def test_the_csv_has_a_row_for_each_and_quotes_what_needs_it(graded: Classroom):
    _, text = export(graded.course, "toy")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == len(graded.results)
    by_student = {row["student"]: row for row in rows}
    assert list(rows[0]) == ["student", "double", "mean", "why", "total", "max", "outcome"]
    assert set(by_student) == {*(set(graded.results) - {"=cmd"}), "'=cmd"}
    assert by_student["Ng, Jr"]["outcome"] == "empty"
    assert '"Ng, Jr",0,0,0,0,10,empty' in text.splitlines()
    assert by_student["solved"] == {
        "student": "solved", "double": "2", "mean": "3", "why": "", "total": "5", "max": "10", "outcome": "graded"
    }  # fmt: skip
    assert by_student["prints"]["outcome"] == "too-much-output"


def test_a_student_of_the_roster_who_handed_in_nothing_has_a_row(graded: Classroom):
    with graded.course.gradebook("toy") as gradebook:
        gradebook.add_student("absent")
    try:
        assert ["absent", "0", "0", "0", "0", "10", "missing"] in generic(read_marks(graded.course, "toy"), "toy")
    finally:
        with graded.course.gradebook("toy") as gradebook:
            gradebook.remove_student("absent")


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_formulas_are_made_text(text: str):
    from autograder.export import safe

    assert safe(text) == "'" + text
    assert safe("x" + text) == "x" + text


def test_quotes_and_line_breaks_survive_the_csv():
    rows = [['say "hi"', "two\nlines", "a,b"]]
    assert list(csv.reader(io.StringIO(to_csv(rows), newline=""))) == rows


def test_lateness_is_taken_off_the_total(graded: Classroom):
    with graded.course.gradebook("toy") as gradebook:
        gradebook.find_submission_notebook("lesson", "toy", "loops").late_submission_penalty = 1.5
        gradebook.db.commit()
    row = next(row for row in generic(read_marks(graded.course, "toy"), "toy") if row[0] == "loops")
    assert row[4:] == ["3.5", "10", "timed-out, late penalty 1.5"]


# ------------------------------------------------------------------ feedback


class Page(HTMLParser):
    """The tags of a page, and its text outside of scripts and styles."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self._open.append(tag)

    def handle_endtag(self, tag):
        if self._open and self._open[-1] == tag:
            self._open.pop()

    def handle_data(self, data):
        self.text += "" if self._open else data


@pytest.fixture(scope="module")
def pages(graded: Classroom) -> dict[str, Page]:
    written = write_feedback(graded.course, "toy")
    assert len(written) == len(graded.results)
    return {path.parts[-3]: Page(path.read_text(encoding="utf-8")) for path in written}


def dangers(page: Page) -> list[str]:
    found = [tag for tag, _ in page.tags if tag in ("iframe", "object", "embed", "form", "base", "svg")]
    for tag, attributes in page.tags:
        found += [f"{tag} {name}" for name in attributes if name.startswith("on")]
        found += [
            f"{tag} {value}"
            for value in attributes.values()
            if value and value.strip().lower().startswith("javascript:")
        ]
        if tag == "img" and not (attributes.get("src") or "").startswith("data:image/"):
            found.append(f"img {attributes.get('src')}")
    return found


def test_nothing_that_a_student_displays_can_run(graded: Classroom, pages: dict[str, Page]):
    def scripts(student: str) -> int:
        return sum(tag == "script" for tag, _ in pages[student].tags)

    assert [tag for tag in dangers(pages["hostile"]) if "img None" not in tag] == []
    # nbconvert's page has scripts of its own; a student's page has no more of them than anybody's.
    assert scripts("hostile") == scripts("solved")
    text = pages["hostile"].text
    assert "bold" in text
    assert "and $a < b$" in text
    drawn = [attributes.get("alt") for tag, attributes in pages["hostile"].tags if tag == "img"]
    assert "a plot" in drawn


def test_nothing_runs_in_formgrader_either(graded: Classroom):
    config = PyFileConfigLoader("nbgrader_config.py", path=str(graded.course.root)).load_config()
    # What formgrader itself adds to the course's settings.
    config.HTMLExporter.template_name = "formgrade"
    config.HTMLExporter.extra_template_basedirs = [formgrader.template_path]
    about = {"index": 0, "total": 1, "base_url": "", "notebook_path": "", "submission_id": "1", "student": "hostile"}
    names = dict.fromkeys(("assignment_id", "notebook_id", "first_name", "last_name"), "x")

    def page(student: str) -> Page:
        path = graded.course.folder("autograded", student, "toy") / "lesson.ipynb"
        html, _ = HTMLExporter(config=config).from_filename(str(path), resources=about | names)
        return Page(html)

    hostile, solved = page("hostile"), page("solved")
    assert "and $a < b$" in hostile.text
    extra = [danger for danger in dangers(hostile) if danger not in dangers(solved) and danger != "img None"]
    assert extra == []
    assert sum(tag == "script" for tag, _ in hostile.tags) == sum(tag == "script" for tag, _ in solved.tags)


def test_the_test_of_dangers_sees_them():
    page = Page("<iframe></iframe><p onclick='x'></p><a href=' JavaScript:x'></a><img src='//evil.example/x.png'>")
    assert len(dangers(page)) == 4
    assert dangers(Page(clean("<iframe></iframe><p onclick='x'></p><a href=' JavaScript:x'></a>"))) == []


def test_feedback_says_what_was_missed_in_words(pages: dict[str, Page]):
    half = pages["half"].text
    assert "double: holds." in half
    assert "2 of 2 points." in half
    assert "mean is not written yet." in half
    assert "0 of 3 points." in half


def test_feedback_begins_with_each_exercise_in_a_line(pages: dict[str, Page]):
    half = " ".join(pages["half"].text.split())
    assert "double: right 2 of 2 points. mean: not yet 0 of 3 points. mean is not written yet." in half
    assert "why: not yet 0 of 5 points. No answer was written." in half
    assert "why: to be read 5 points, to be graded by hand." in " ".join(pages["solved"].text.split())
    assert "Note: the check of double stood before its answer" in pages["moved"].text


def test_feedback_on_what_could_not_run_says_why(pages: dict[str, Page]):
    assert "This submission was not graded: lesson.ipynb breaks off after 700 bytes" in pages["truncated"].text
    assert "This check was not reached: cell 8 (`import os`) ended the kernel." in pages["exits"].text


def test_feedback_shows_nothing_hidden(pages: dict[str, Page]):
    text = pages["public-only"].text
    assert "double is wrong." in text
    for hidden in ("-7.5", "-15", "run_hidden", "toychecks.py", "probe"):
        assert hidden not in text


def test_feedback_for_one_and_for_nobody(graded: Classroom, tmp_path: Path):
    assert [p.parts[-3] for p in write_feedback(graded.course, "toy", "Ng, Jr")] == ["Ng, Jr"]
    with pytest.raises(UserError, match=r"nothing of toy was graded in .* for nobody"):
        write_feedback(graded.course, "toy", "nobody")
    with pytest.raises(UserError, match="holds no gradebook"):
        write_feedback(Course(tmp_path), "toy")
    with pytest.raises(UserError, match="no assignment 'gan'"):
        write_feedback(graded.course, "gan")


def test_submissions_in_nbgrader_s_own_folder_are_left_alone(graded: Classroom, solve, tmp_path: Path):
    course = Course(tmp_path)
    shutil.copyfile(graded.course.database, course.database)  # a new one costs nbgrader seconds
    own = tmp_path / "submitted" / "ann" / "toy" / "lesson.ipynb"
    own.parent.mkdir(parents=True)
    own.write_text(nbformat.writes(solve()))
    (own.parent / "timestamp.txt").write_text("not a time")
    before = own.read_bytes()
    results = replace(graded, submissions=tmp_path / "submitted", course=course).grade()
    assert own.read_bytes() == before
    assert results["ann"].points == 5
    config = json.dumps((tmp_path / "nbgrader_config.py").read_text())
    assert "sanitised" in config
    assert os.access(course.database, os.R_OK)
