"""The roster, late work, and the marks in the columns of each system that imports them."""

import csv
import io
import shutil
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest
from nbformat.v4 import new_notebook
from nbgrader.api import Gradebook
from nbgrader.preprocessors import AssignLatePenalties

from autograder.course import Course
from autograder.errors import UserError
from autograder.export import FORMATS, export, safe, to_csv
from autograder.lateness import LatePolicy, late_line
from autograder.marks import lost_points, read_marks
from autograder.roster import import_roster, read_roster
from autograder.template import Template
from tests.autograder.synthetic import Student, make_class

POLICY = """
c.AssignLatePenalties.plugin_class = "autograder.lateness.LatePolicy"
c.LatePolicy.due = {"toy": "2026-12-01 23:59 Europe/Berlin"}
c.LatePolicy.grace_minutes = 30
c.LatePolicy.percent_per_day = 10
c.LatePolicy.floor_percent = 60
c.LatePolicy.extensions = {"toy": {"extended": 48}}
"""
AT = datetime  # times as the gradebook keeps them: in UTC


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, template: Template, empty_gradebook: Path) -> Course:
    made = Course(tmp_path_factory.mktemp("made") / "course")
    late = {
        "in-time": AT(2026, 12, 1, 22, 58),
        "in-grace": AT(2026, 12, 1, 23, 29),
        "a-day": AT(2026, 12, 2, 22, 0),
        "two-days": AT(2026, 12, 3, 23, 0),
        "a-week": AT(2026, 12, 8, 23, 0),
        "extended": AT(2026, 12, 3, 22, 58),
        "no-time": None,
    }
    students = [Student(name, submitted=time, hand={"why": 5}) for name, time in late.items()]
    students += [
        Student("ng", "Wei, Jr", 'O"Ng', "ng@uni.example", "4711", hand={"why": 3.5}),
        Student("=cmd", "+1", "@SUM(A1)", "-x@uni.example", "sis-9", status={"mean": ("failed", "mean is wrong.")}),
        Student("absent", "Ada", "Zu", "ada@uni.example", "4712", handed_in=False),
    ]
    make_class(made, empty_gradebook, "toy", {"lesson": template}, students)
    return made


@pytest.fixture
def course(made: Course, tmp_path: Path) -> Course:
    shutil.copytree(made.root, tmp_path / "course")
    return Course(tmp_path / "course")


def rows(course: Course, form: str, column: str = "Homework 3") -> list[dict[str, str]]:
    text = to_csv(FORMATS[form](read_marks(course, "toy"), column))
    return list(csv.DictReader(io.StringIO(text, newline="")))


# ------------------------------------------------------------------ exports


def test_generic(course: Course):
    by = {row["student"]: row for row in rows(course, "generic")}
    assert by["ng"] == {
        "student": "ng", "double": "2", "mean": "3", "why": "3.5", "total": "8.5", "max": "10", "outcome": "graded"
    }  # fmt: skip
    assert by["absent"]["outcome"] == "missing"
    assert by["'=cmd"]["why"] == ""


def test_canvas_gets_the_columns_that_its_importer_asks_for(course: Course):
    text = to_csv(FORMATS["canvas"](read_marks(course, "toy"), "Homework 3 (1234)"))
    header, possible, *students = csv.reader(io.StringIO(text))
    # What gradebook_importer.rb of Canvas tests, in its words.
    assert "Student" in header[0]
    assert "ID" in header[1]
    assert len(header) > 3
    assert header[2:4] == ["SIS User ID", "SIS Login ID"]
    assert "Section" in header[4]
    assert header[5:] == ["Homework 3 (1234)"]
    assert "Points Possible" in possible[0]
    assert possible[5] == "10"
    by = {row[3]: row for row in students}
    assert by["ng"] == ['O"Ng, Wei, Jr', "4711", "", "ng", "", "8.5"]
    assert by["absent"][5] == "0"
    # An answer waits to be graded by hand: no mark yet. An id that is no number is the university's.
    assert by["'=cmd"] == ["'@SUM(A1), +1", "", "sis-9", "'=cmd", "", ""]


def test_moodle(course: Course):
    by = {row["Email address"]: row for row in rows(course, "moodle")}
    assert by["ng@uni.example"] == {
        "First name": "Wei, Jr", "Last name": 'O"Ng', "ID number": "4711", "Email address": "ng@uni.example",
        "Homework 3 (Real)": "8.5", "Homework 3 (Feedback)": "",
    }  # fmt: skip
    assert by["ada@uni.example"]["Homework 3 (Real)"] == "0"
    assert by["ada@uni.example"]["Homework 3 (Feedback)"] == "missing"
    assert by["'-x@uni.example"]["Homework 3 (Real)"] == "-"


def test_gradescope(course: Course):
    by = {row["SID"]: row for row in rows(course, "gradescope")}
    assert by["ng"]["Total Score"] == "8.5"
    assert by["ng"]["Status"] == "Graded"
    questions = {name: score for name, score in by["ng"].items() if name.endswith("pts)")}
    assert questions == {"1: double (2.0 pts)": "2", "2: mean (3.0 pts)": "3", "3: why (5.0 pts)": "3.5"}
    assert (by["absent"]["Status"], by["absent"]["Total Score"]) == ("Missing", "")
    assert (by["'=cmd"]["Status"], by["'=cmd"]["Total Score"]) == ("Ungraded", "")


@pytest.mark.parametrize("form", FORMATS)
def test_no_cell_of_any_format_is_a_formula_and_each_reads_back(course: Course, form: str):
    table = FORMATS[form](read_marks(course, "toy"), "=cmd|' /C calc'!A0")
    for row in table:
        for cell in row:
            assert cell in (safe(cell), "-")  # a lone dash computes nothing, and is Moodle's word for no mark
    assert list(csv.reader(io.StringIO(to_csv(table), newline=""))) == table
    assert len({len(row) for row in table}) == 1


def test_a_name_for_the_column_goes_where_there_is_such_a_column(course: Course):
    known, text = export(course, "toy", "canvas", "Homework 3 (1234)")
    assert len(known.rows) == 10
    assert text.startswith("Student,ID,SIS User ID,SIS Login ID,Section,Homework 3 (1234)\n")
    assert export(course, "toy", "moodle")[1].startswith("First name,Last name,ID number,Email address,toy (Real),")
    for form in ("generic", "gradescope"):
        with pytest.raises(UserError, match="--column goes with the formats canvas and moodle"):
            export(course, "toy", form, "Homework 3")


def test_who_lost_points_in_an_exercise(course: Course):
    assert lost_points(course, "toy", "mean") == {"=cmd"}
    assert lost_points(course, "toy", "double") == set()
    with pytest.raises(UserError, match="it has double, mean, why"):
        lost_points(course, "toy", "median")
    with pytest.raises(UserError, match="graded by hand"):
        lost_points(course, "toy", "why")


# ------------------------------------------------------------------ late work


def switch_on(course: Course, policy: str = POLICY) -> None:
    settings = course.root / "nbgrader_config.py"
    settings.write_text(settings.read_text() + policy)


def test_without_a_policy_nothing_is_late(course: Course):
    assert {row.penalty for row in read_marks(course, "toy").rows} == {0}


def test_the_policy_by_timestamps(course: Course):
    # Due 22:59 UTC; 10 points each; 10 % for each day begun after half an hour of grace, at most 40 %.
    switch_on(course)
    by = {row.student: row for row in read_marks(course, "toy").rows}
    assert {name: row.penalty for name, row in by.items() if row.submitted} == {
        "in-time": 0, "in-grace": 0, "a-day": 1, "two-days": 2, "a-week": 4, "extended": 0
    }  # fmt: skip
    assert by["no-time"].penalty == 0
    assert by["a-week"].total == 6
    assert by["two-days"].seconds_late == 2 * 24 * 3600 + 60


def test_lateness_is_in_the_exports(course: Course):
    switch_on(course)
    generic = {row["student"]: row for row in rows(course, "generic")}
    assert generic["two-days"]["outcome"] == "graded, 2 d 1 min late, late penalty 2"
    assert generic["in-grace"]["outcome"] == "graded, 30 min late, no penalty"
    assert generic["two-days"]["total"] == "8"
    scope = {row["SID"]: row for row in rows(course, "gradescope")}
    assert scope["two-days"]["Lateness (H:M:S)"] == "48:01:00"
    assert scope["two-days"]["Submission Time"] == "2026-12-03 23:00:00 +0000"


def test_a_mark_given_by_hand_later_is_reckoned_in(course: Course):
    switch_on(course)
    read_marks(course, "toy")
    with closing(Gradebook(f"sqlite:///{course.database}")) as gradebook:
        gradebook.find_grade("why", "lesson", "toy", "two-days").manual_score = 0
        gradebook.db.commit()
    row = next(row for row in read_marks(course, "toy").rows if row.student == "two-days")
    assert (row.penalty, row.total) == (1, 4)


def test_nbgrader_itself_takes_the_policy(course: Course):
    switch_on(course)
    read_marks(course, "toy")  # enters the due date
    config = course.config("toy")
    step = AssignLatePenalties(config=config)
    about = {"notebook": "lesson", "assignment": "toy", "student": "two-days", "db_url": f"sqlite:///{course.database}"}
    with closing(Gradebook(about["db_url"])) as gradebook:
        gradebook.find_submission_notebook("lesson", "toy", "two-days").late_submission_penalty = None
        gradebook.db.commit()
    step.preprocess(new_notebook(), {"nbgrader": about})
    with closing(Gradebook(about["db_url"])) as gradebook:
        assert gradebook.find_submission_notebook("lesson", "toy", "two-days").late_submission_penalty == 2


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ('c.LatePolicy.due = {"toy": "next Friday"}', "must be a date, a time and a zone"),
        ('c.LatePolicy.due = {"toy": "2026-12-01 23:59"}', "must be a date, a time and a zone"),
        ('c.LatePolicy.due = {"toy": "2026-12-01 23:59 Europe/Atlantis"}', "must be a date, a time and a zone"),
        ("c.LatePolicy.percent_per_day = 200", "percent_per_day"),
        ("c.LatePolicy.grace_minutes = -1", "grace_minutes"),
        ('c.LatePolicy.extensions = {"toy": {"ng": -3}}', "hours by student"),
        ("c.LatePolicy.due = {}", "extensions has 'toy'"),
    ],
)
def test_a_wrong_policy_is_told(course: Course, setting: str, said: str):
    switch_on(course, POLICY + setting + "\n")
    with pytest.raises(UserError, match=said):
        read_marks(course, "toy")


def test_a_due_date_may_give_its_offset():
    policy = LatePolicy(due={"toy": "2026-12-01 23:59+01:00"})
    assert policy.late_submission_penalty("x", 10, 15 * 60) is None
    assert policy.late_submission_penalty("x", 10, 15 * 60 + 1) == 1
    assert "15 minutes of grace" in policy.describe("toy")
    assert policy.describe("other").startswith("No due date")


def test_lateness_in_words():
    assert late_line(0, 0) == ""
    assert late_line(30, 0) == "under a minute late, no penalty"
    assert late_line(90000, 2.5) == "1 d 1 h late, late penalty 2.5"


# ------------------------------------------------------------------ the roster


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("hint", ["", "sep={}\n"])
def test_a_roster_as_spreadsheets_write_it(tmp_path: Path, encoding: str, separator: str, newline: str, hint: str):
    text = 'id,First Name,last_name,E-Mail,"LMS user id",group\nå01,Zoë,"Ng, Jr",z@uni.example,17,B\n\nb02,Ana,Li,,,A\n'
    if separator != ",":
        text = text.replace(",", separator).replace(f"Ng{separator} Jr", "Ng, Jr")
    text = (hint.format(separator) + text).replace("\n", newline)
    assert read_roster(write(tmp_path / "roster.csv", text, encoding)) == {
        "å01": {"first_name": "Zoë", "last_name": "Ng, Jr", "email": "z@uni.example", "lms_user_id": "17"},
        "b02": {"first_name": "Ana", "last_name": "Li", "email": None, "lms_user_id": None},
    }


def test_a_roster_as_other_systems_export_it(tmp_path: Path):
    canvas = (
        'Student,ID,SIS User ID,SIS Login ID,Section,HW (1)\n    Points Possible,,,,,10\n"Ng, Wei",4711,u1,wng,A,3\n'
    )
    assert read_roster(write(tmp_path / "canvas.csv", canvas)) == {
        "wng": {"first_name": "Wei", "last_name": "Ng", "lms_user_id": "4711"}
    }
    moodle = "First name,Last name,ID number,Email address\nWei,Ng,u1,w@uni.example\n"
    assert read_roster(write(tmp_path / "moodle.csv", moodle)) == {
        "u1": {"first_name": "Wei", "last_name": "Ng", "email": "w@uni.example"}
    }
    scope = "First Name,Last Name,SID,Email,Role\nWei,Ng,u1,w@uni.example,Student\n"
    assert list(read_roster(write(tmp_path / "scope.csv", scope))) == ["u1"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("id,email\n", "has a header and no student"),
        ("name,email\nAda,a@b\n", r"has no column 'id' \(columns: name, email\)"),
        ("id,id\na,b\n", "two columns are called 'id'"),
        ("id,email\na1,x@y\na1,z@y\n", "line 3: the id 'a1' stands in line 2 already"),
        ("id,email\na1,x@y\na2,X@y\n", "line 3: a2 and a1 share the email"),
        ("id,email\n,x@y\n", "line 2: the id is empty"),
        ("id,email\n../a,x@y\n", "can't name a folder of submissions"),
        ("id,email\na1,nobody\n", "'nobody' is no e-mail address"),
        ("id,email\na1\n", "line 2: 1 fields, and the header has 2"),
        ("id,last name\na1," + "x" * 200 + "\n", "has 200 characters, more than 128"),
        ("id,last name\na1,x\x1b[2J\n", "can't be shown"),
        ("PK\x03\x04...", "is a workbook, not a CSV"),
    ],
)
def test_a_wrong_roster_is_told_with_its_line(tmp_path: Path, text: str, said: str):
    with pytest.raises(UserError, match=said):
        read_roster(write(tmp_path / "roster.csv", text))


def test_names_are_never_garbled(tmp_path: Path):
    with pytest.raises(UserError, match="not text in UTF-8"):
        read_roster(write(tmp_path / "roster.csv", "id,name\na,Zoë\n", "cp1252"))
    with pytest.raises(UserError, match="can't read"):
        read_roster(tmp_path / "none.csv")


def test_a_roster_enters_the_gradebook_and_those_without_work_are_missing(course: Course, tmp_path: Path):
    roster = write(
        tmp_path / "r.csv", "id,first name,last name,email\nng,Wei,Ng,ng@uni.example\nnew,Neo,One,n@uni.example\n"
    )
    looked = import_roster(roster, course, write=False)
    assert "new" not in {row.student for row in read_marks(course, "toy").rows}
    done = import_roster(roster, course)
    assert looked == done
    assert (done.new, done.changed, done.same) == (["new"], ["ng"], [])
    assert "two-days" in done.unlisted
    by = {row.student: row for row in read_marks(course, "toy").rows}
    assert (by["new"].name, by["new"].outcome, by["new"].total) == ("Neo One", "missing", 0)
    assert (by["ng"].name, by["ng"].lms_id, by["ng"].total) == ("Wei Ng", "4711", 8.5)
    assert import_roster(roster, course).same == ["ng", "new"]


@pytest.mark.slow  # nbgrader takes seconds to make a gradebook
def test_a_roster_makes_the_course_if_need_be(tmp_path: Path):
    course = Course(tmp_path / "fresh")
    roster = write(tmp_path / "r.csv", "id\na1\n")
    assert import_roster(roster, course, write=False).new == ["a1"]
    assert not course.root.exists()
    assert import_roster(roster, course).new == ["a1"]
    with pytest.raises(UserError, match="no assignment 'toy'"):
        read_marks(course, "toy")
