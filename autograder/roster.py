"""Who is in the class: a CSV, as a registrar, a spreadsheet or an LMS writes it, into nbgrader's student records."""

import csv
import io
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from nbgrader.api import Gradebook

from autograder.course import Course, own_tools_first
from autograder.errors import UserError

# What the columns are called: here, in nbgrader, and in the exports of Canvas, Moodle and Gradescope. The names are
# compared without case, spaces and punctuation, and the first of the spellings that a file has counts: Canvas's
# gradebook has an "ID", which is its own number, beside the "SIS Login ID" that people know themselves by.
COLUMNS = {
    "id": ("sisloginid", "id", "studentid", "sid", "username", "login", "loginid", "matriculationnumber", "idnumber"),
    "first_name": ("firstname", "first", "givenname", "forename"),
    "last_name": ("lastname", "last", "surname", "familyname"),
    "email": ("email", "emailaddress", "mail"),
    "lms_user_id": ("lmsuserid", "lmsid", "canvasid", "moodleid", "id", "idnumber", "sisuserid"),
    "name": ("name", "fullname", "student"),
}
MOST = 128  # what nbgrader's columns hold


@dataclass(frozen=True)
class Imported:
    """What an import did: the ids that are new, that have changed, that stayed, and that the roster does not have."""

    new: list[str]
    changed: list[str]
    same: list[str]
    unlisted: list[str]


def import_roster(path: Path, course: Course, write: bool = True) -> Imported:
    """Enter the students of a CSV into the course's gradebook, all of them or, if a line is wrong, none.

    Students that the gradebook has and the file has not are left alone. A column that the file lacks is not touched.

    Raises
    ------
    UserError
        If the file can't be read as a roster; the text lists every line that is wrong.
    """
    students = read_roster(path)
    if write:
        course.make()
    elif not course.database.is_file():
        return Imported(list(students), [], [], [])
    with own_tools_first(), closing(Gradebook(f"sqlite:///{course.database}")) as gradebook:
        known = {student.id: student for student in gradebook.students}
        new = [one for one in students if one not in known]
        changed = [
            one
            for one, fields in students.items()
            if one in known and any((getattr(known[one], key) or None) != value for key, value in fields.items())
        ]
        if write:
            for one in (*new, *changed):
                gradebook.update_or_create_student(one, **students[one])
        same = [one for one in students if one in known and one not in changed]
        return Imported(new, changed, same, sorted(set(known) - set(students)))


def read_roster(path: Path) -> dict[str, dict[str, str | None]]:
    """The students of a roster file by id, each with the fields that the file has columns for."""
    rows = list(csv.reader(io.StringIO(text := _text(path), newline=""), delimiter=_delimiter(text, path)))
    if rows and rows[0] and rows[0][0].lower().startswith("sep="):
        rows = rows[1:]
    first = next((i for i, row in enumerate(rows) if any(cell.strip() for cell in row)), None)
    if first is None:
        raise UserError(f"{path} is empty")
    columns = _columns(rows[first], path)
    students: dict[str, dict[str, str | None]] = {}
    lines: dict[str, int] = {}
    problems = []
    for line, row in enumerate(rows[first + 1 :], first + 2):
        if not any(cell.strip() for cell in row):
            continue
        if len(row) != len(rows[first]):
            problems.append(f"line {line}: {len(row)} fields, and the header has {len(rows[first])}")
            continue
        if row[0].strip() == "Points Possible":  # the second line of Canvas's gradebook
            continue
        fields = {field: row[place].strip() for field, place in columns.items()}
        if "name" in fields:
            last, comma, first_name = fields.pop("name").partition(", ")
            fields |= {"first_name": first_name, "last_name": last} if comma else {"last_name": last}
        one = fields.pop("id")
        if wrong := next(_wrong(one, fields), None):
            problems.append(f"line {line}: {wrong}")
        if one and one in lines:
            problems.append(f"line {line}: the id {one!r} stands in line {lines[one]} already")
        else:
            lines[one] = line
            students[one] = {field: value or None for field, value in fields.items()}
    for field in ("email", "lms_user_id"):
        seen: dict[str, str] = {}
        for one, values in students.items():
            value = values.get(field)
            if value and value.casefold() in seen:
                problems.append(f"line {lines[one]}: {one} and {seen[value.casefold()]} share the {field} {value!r}")
            elif value:
                seen[value.casefold()] = one
    if problems:
        raise UserError("\n".join(f"{path}: {problem}" for problem in problems))
    if not students:
        raise UserError(f"{path} has a header and no student")
    return students


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"can't read {path}: {error.strerror}") from None
    if content.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise UserError(f"{path} is a workbook, not a CSV; save the sheet as 'CSV UTF-8'")
    try:
        # Excel's "Unicode text" is UTF-16 with tabs; its "CSV UTF-8" begins with a byte-order mark.
        return content.decode("utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig")
    except UnicodeDecodeError:
        raise UserError(
            f"{path} is not text in UTF-8; save the sheet as 'CSV UTF-8', or names would be garbled"
        ) from None


def _delimiter(text: str, path: Path) -> str:
    """The separator that gives the header the most columns that we know."""
    header = next((line for line in text.splitlines() if line.strip() and not line.lower().startswith("sep=")), "")

    def known(separator: str) -> int:
        names = [_plain(name) for name in next(csv.reader([header], delimiter=separator), [])]
        return sum(name in spellings for name in names for spellings in COLUMNS.values())

    return max((",", ";", "\t"), key=known)


def _columns(header: list[str], path: Path) -> dict[str, int]:
    """Where each of our fields stands in the header."""
    plain = [_plain(name) for name in header]
    places: dict[str, int] = {}
    for field, spellings in COLUMNS.items():
        spelling = next((s for s in spellings if s in plain and plain.index(s) not in places.values()), None)
        if spelling is not None:
            if plain.count(spelling) > 1:
                raise UserError(f"{path}: two columns are called {header[plain.index(spelling)].strip()!r}")
            places[field] = plain.index(spelling)
    if "first_name" in places or "last_name" in places:
        places.pop("name", None)
    if "id" not in places:
        names = ", ".join(name.strip() for name in header)
        raise UserError(
            f"{path} has no column 'id' (columns: {names[:200]}); "
            "the others are first_name, last_name, email, lms_user_id"
        )
    return places


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.casefold())


def _wrong(one: str, fields: dict[str, str]) -> Iterator[str]:
    if not one:
        yield "the id is empty"
    if "/" in one or "\\" in one or one.startswith(".") or not one.isprintable():
        yield f"the id {one!r} can't name a folder of submissions"
    for field, value in {"id": one, **fields}.items():
        if len(value) > MOST:
            yield f"the {field} has {len(value)} characters, more than {MOST}"
        if not value.isprintable():
            yield f"the {field} {value!r} holds a character that can't be shown"
    if fields.get("email") and not re.fullmatch(r"[^@\s]+@[^@\s]+", fields["email"]):
        yield f"{fields['email']!r} is no e-mail address"
