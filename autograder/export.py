"""The marks as a CSV: for a spreadsheet, or in the columns that Canvas, Moodle and Gradescope know."""

import csv
import io
from collections.abc import Callable

from autograder.course import Course
from autograder.errors import UserError
from autograder.lateness import late_line
from autograder.marks import Marks, Row, read_marks

# A spreadsheet takes a cell that begins with one of these for a formula, and runs it.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
Rows = list[list[str]]


def generic(known: Marks, column: str) -> Rows:
    """A column for each exercise, then the total, the most that could be had, and what happened.

    An answer that waits to be graded by hand has an empty cell. Marks given in formgrader count, and so does a late
    penalty, which the outcome names.
    """
    header = ["student", *(item.name for item in known.items), "total", "max", "outcome"]
    rows = [header]
    for row in known.rows:
        late = late_line(row.seconds_late, row.penalty)
        outcome = f"{row.outcome}, {late}" if late else row.outcome
        rows.append(
            [safe(row.student), *map(_number, row.scores), _number(row.total), _number(known.most), safe(outcome)]
        )
    return rows


def canvas(known: Marks, column: str) -> Rows:
    """What Canvas's gradebook imports, https://community.canvaslms.com, "How do I import grades in the Gradebook?".

    Its importer (lib/gradebook_importer.rb of instructure/canvas-lms) wants "Student", "ID" and, last of the columns
    about the person, "Section"; then a column for each assignment, by title or as "title (its number)". It finds a
    person by Canvas's own number in ID, else by SIS user id, else by SIS login id, else by name. A second row with
    "Points Possible" in front gives the points. An empty mark leaves what Canvas has.
    """
    header = ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", safe(column)]
    rows = [header, ["    Points Possible", "", "", "", "", _number(known.most)]]
    for row in known.rows:
        name = f"{row.last_name}, {row.first_name}".strip(", ") or row.student
        number, sis = (row.lms_id, "") if row.lms_id.isdecimal() else ("", row.lms_id)
        rows.append([safe(name), number, safe(sis), safe(row.student), "", _final(row)])
    return rows


def moodle(known: Marks, column: str) -> Rows:
    """What Moodle's gradebook imports, https://docs.moodle.org/en/Grade_import, in the columns of its own export.

    In its form, map "Email address" to the e-mail or "ID number" to the id number, "(Real)" to the assignment and
    "(Feedback)" to its feedback; a "-" is no mark. It refuses the whole file over one person whom it does not know.
    """
    header = [
        "First name",
        "Last name",
        "ID number",
        "Email address",
        f"{safe(column)} (Real)",
        f"{safe(column)} (Feedback)",
    ]
    rows = [header]
    for row in known.rows:
        about = [safe(text) for text in (row.first_name, row.last_name, row.lms_id or row.student, row.email)]
        rows.append([*about, _final(row) or "-", safe(_remark(row))])
    return rows


def gradescope(known: Marks, column: str) -> Rows:
    """The columns of the scores that Gradescope exports, for what reads those (it imports no scores itself).

    https://help.gradescope.com, "Reviewing grades": the person, the total, a status, times, then a column for each
    question, "number: name (points pts)".
    """
    about = ["First Name", "Last Name", "SID", "Email", "Sections"]
    state = ["Total Score", "Max Points", "Status", "Submission ID", "Submission Time", "Lateness (H:M:S)"]
    questions = [f"{i}: {item.name} ({item.points:.1f} pts)" for i, item in enumerate(known.items, 1)]
    rows = [[*about, *state, "View Count", "Submission Count", *questions]]
    for row in known.rows:
        missing = row.missing
        status = "Missing" if missing else "Ungraded" if row.waiting else "Graded"
        minutes, seconds = divmod(int(row.seconds_late), 60)
        rows.append(
            [
                *(safe(text) for text in (row.first_name, row.last_name, row.student, row.email)),
                "",
                "" if missing or row.waiting else _number(row.total),
                _number(known.most),
                status,
                "",
                "" if row.submitted is None else f"{row.submitted:%Y-%m-%d %H:%M:%S} +0000",
                "" if missing else f"{minutes // 60:02}:{minutes % 60:02}:{seconds:02}",
                "",
                "" if missing else "1",
                *("" if missing else _number(score) for score in row.scores),
            ]
        )
    return rows


FORMATS: dict[str, Callable[[Marks, str], Rows]] = {
    "generic": generic,
    "canvas": canvas,
    "moodle": moodle,
    "gradescope": gradescope,
}


def _final(row: Row) -> str:
    """The one mark that a gradebook elsewhere gets: none while an answer waits to be graded by hand."""
    return "" if row.waiting else _number(row.total)


def _remark(row: Row) -> str:
    remarks = [] if row.outcome == "graded" else [row.outcome]
    if late := late_line(row.seconds_late, row.penalty):
        remarks.append(late)
    return ", ".join(remarks)


def _number(value: float | None) -> str:
    """At most two decimals, and no exponent."""
    if value is None:
        return ""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def safe(text: str) -> str:
    """Text that a spreadsheet shows and does not run."""
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def to_csv(rows: Rows) -> str:
    """Rows as CSV, quoted where a comma, a quote or a line break asks for it."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def export(course: Course, assignment: str, form: str = "generic", column: str | None = None) -> tuple[Marks, str]:
    """The marks of an assignment, and their CSV; ``column`` is what Canvas or Moodle calls the assignment.

    Raises
    ------
    UserError
        If there is no gradebook, it does not have the assignment, or the format has no column of that kind.
    """
    if column is not None and form not in ("canvas", "moodle"):
        raise UserError(f"--column goes with the formats canvas and moodle; {form} has no column for the assignment")
    known = read_marks(course, assignment)
    return known, to_csv(FORMATS[form](known, column or assignment))
