"""Feedback pages: nbgrader's ``generate_feedback``, made safe to open, under a head that says how each exercise went.

All HTML passes our sanitiser, and of an output's formats only those are kept that a page can show without running
anything. The head is put in afterwards, from the gradebook and the ledger, and every word in it is escaped.
"""

import multiprocessing
import textwrap
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import jinja2
import jinja2.bccache
from nbconvert.exporters import HTMLExporter
from nbformat import NotebookNode
from nbgrader.converters import GenerateFeedback

from autograder.course import Course, nbgrader_errors
from autograder.environment import cores
from autograder.errors import UserError
from autograder.lateness import late_line, policy
from autograder.marks import Item, Marks, Row, read_marks
from autograder.release import book_pages
from autograder.sanitise import FILTERS
from autograder.source import read_assignment
from autograder.submission import is_picture
from autograder.template import CHECK_PREFIX

WIDGET = "application/vnd.jupyter.widget-view+json"
FORMATS = {"text/html", "text/markdown", "text/latex", "text/plain", "image/svg+xml", "image/png", "image/jpeg"}
CSS = (Path(__file__).parent / "pages" / "feedback.css").read_text(encoding="utf-8")
LONGEST = 2000  # characters of a message
MANY = 32  # students, from which several processes pay, each of which imports nbgrader first
OURS = "The grader itself failed here, which is no fault of yours; your instructor knows."


@dataclass(frozen=True)
class Reading:
    """Where the book explains an exercise: an equation's label, its chapter's title, and its address if it has one."""

    label: str
    chapter: str
    address: str = ""


def write_feedback(
    course: Course, assignment: str, student: str | None = None, readings: Mapping[str, Reading] | None = None
) -> list[Path]:
    """Write ``feedback/<student>/<assignment>/*.html`` for every graded student, or one; return the pages.

    ``readings`` tells by exercise where to read about it.

    Raises
    ------
    UserError
        If nothing was graded, or nothing of that student.
    """
    marks = read_marks(course, assignment)
    autograded = course.root / "autograded"
    graded = sorted(
        path.parent.name for path in autograded.glob(f"*/{assignment}") if student in (None, path.parent.name)
    )
    if not graded:
        raise UserError(f"nothing of {assignment} was graded in {course.root}" + (f" for {student}" if student else ""))
    _convert(course, assignment, graded)
    chosen = policy(course, assignment)
    rows = {row.student: row for row in marks.rows}
    pages = []
    for name in graded:
        for page in sorted(course.folder("feedback", name, assignment).glob("*.html")):
            told = "" if chosen is None else chosen.describe(assignment)
            _put_head(page, head(marks, rows[name], page.stem, readings or {}, told))
            pages.append(page)
    return pages


def _convert(course: Course, assignment: str, students: list[str]) -> None:
    """Run nbgrader's converter on these students, in a process for each core where they are many."""
    processes = cores()
    if len(students) < MANY or processes == 1:
        _convert_some(course.root, assignment, students)
        return
    parts = [students[i::processes] for i in range(processes)]
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
        for _ in pool.map(_convert_some, [course.root] * processes, [assignment] * processes, parts):
            pass


def _convert_some(root: Path, assignment: str, students: list[str]) -> None:
    """Run nbgrader's converter on these students, one after another."""
    course = Course(root)
    for student in students:
        config = course.config(assignment, student)
        config.HTMLExporter.sanitize_html = True
        config.HTMLExporter.filters = FILTERS
        converter = course.converter(GenerateFeedback, config)
        converter.exporter_class = _Exporter
        converter.preprocessors = [_safe_outputs, *converter.preprocessors]
        with nbgrader_errors(f"nbgrader can't write feedback for {assignment}"):
            converter.start()


class _Compiled(jinja2.BytecodeCache):
    """The templates of this process, compiled once: nbgrader makes everything anew for each student."""

    def __init__(self) -> None:
        self._code: dict[str, bytes] = {}

    def load_bytecode(self, bucket: jinja2.bccache.Bucket) -> None:
        if bucket.key in self._code:
            bucket.bytecode_from_string(self._code[bucket.key])

    def dump_bytecode(self, bucket: jinja2.bccache.Bucket) -> None:
        self._code[bucket.key] = bucket.bytecode_to_string()


class _Exporter(HTMLExporter):
    compiled = _Compiled()

    def _create_environment(self) -> jinja2.Environment:
        environment: jinja2.Environment = super()._create_environment()
        environment.bytecode_cache = self.compiled
        return environment


def find_readings(root: Path, assignment: str, book: str | None = None) -> dict[str, Reading]:
    """Where the book explains each exercise of an assignment; nothing if its sources are not at hand.

    ``book`` is the address of the published book, by default the one in ``_config.yml``.

    Raises
    ------
    UserError
        If a source is wrong, or names an equation that no page has.
    """
    if not (root / "solutions" / assignment).is_dir():
        return {}
    pages, base = book_pages(root)
    pages = pages or {}
    base = (book or base).rstrip("/")
    readings = {}
    for source in read_assignment(root / "solutions", assignment):
        for name, cell in source.exercises.items():
            label = str(cell.metadata["equation"])
            page = pages.get(label)
            if page is None and pages:
                raise UserError(f"{source.path}: exercise {name!r} names the equation {label!r}, which no page has")
            address = f"{base}/{page.path.removesuffix('.md')}.html#equation-{label}" if base and page else ""
            readings[name] = Reading(label, page.title if page else "", address)
    return readings


# ------------------------------------------------------------------ what students' code displayed


def _safe_outputs(notebook: NotebookNode, resources: dict[str, Any]) -> tuple[NotebookNode, dict[str, Any]]:
    """Keep of each output what can be shown without running it."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if "data" in output:
                output.metadata = NotebookNode()
                shown = {} if WIDGET in output.data else output.data  # its text is the bar at 0 %
                output.data = NotebookNode({kind: data for kind, data in shown.items() if _can_show(kind, data)})
        if "outputs" in cell:
            cell.outputs = [output for output in cell.outputs if output.get("data", True)]
    notebook.metadata.pop("widgets", None)
    return notebook, resources


def _can_show(kind: str, data: object) -> bool:
    return is_picture(kind, data) if kind in ("image/png", "image/jpeg") else kind in FORMATS


# ------------------------------------------------------------------ the head of a page


def _put_head(path: Path, text: str) -> None:
    page = path.read_text(encoding="utf-8")
    page = page.replace(
        "</head>",
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<style>\n{CSS}</style>\n</head>',
        1,
    )
    page = page.replace('<div class="container">', f'<div class="container">\n{text}', 1)
    path.write_text(page, encoding="utf-8")


def head(marks: Marks, row: Row, notebook: str, readings: Mapping[str, Reading], late_policy: str = "") -> str:
    """How each exercise of a notebook went, as HTML: its points, what was missed, and where to read about it."""
    at = [i for i, item in enumerate(marks.items) if item.notebook == notebook]
    points = sum(row.scores[i] or 0.0 for i in at)
    most = sum(marks.items[i].points for i in at)
    waiting = sum(row.scores[i] is None for i in at)
    lines = []
    if row.outcome == "grader-error":  # its message may tell of a hidden check
        lines.append(OURS)
    elif wrong := _went_wrong(marks, row, notebook):
        lines.append(f"Something went wrong: {wrong}.")
    if waiting:
        lines.append(
            f"{waiting} answer{'s wait' if waiting > 1 else ' waits'} to be graded by hand and may add points."
        )
    if late := late_line(row.seconds_late, row.penalty):
        lines.append(f"Handed in {late}{' of all notebooks together' if row.penalty else ''}. {late_policy}")
    lines += [f"Note: {note}." for note in row.record.get("notes", [])]
    records = {one["name"]: one for one in row.record.get("exercises", [])}
    ours = row.outcome == "grader-error" and not any(one["status"] == "broken" for one in records.values())
    cards = [_card(marks.items[i], row.scores[i], records.get(marks.items[i].name, {}), ours, readings) for i in at]
    return (
        f'<section class="gm-head">\n<h1>{escape(marks.assignment)}: {escape(notebook)}</h1>\n'
        f'<p class="gm-total"><b>{points:g}</b> of {most:g} points</p>\n'
        + "".join(f'<p class="gm-line">{escape(line.strip())}</p>\n' for line in lines)
        + f'<ul class="gm-cards">\n{"".join(cards)}</ul>\n'
        + '<p class="gm-line">Your notebook, as it was graded:</p>\n</section>\n'
    )


def _went_wrong(marks: Marks, row: Row, notebook: str) -> str:
    """What went wrong with this notebook; empty if nothing did, or only with others of the submission."""
    if row.outcome == "graded":
        return ""
    others = {f"{item.notebook}.ipynb" for item in marks.items} - {f"{notebook}.ipynb"}
    told = str(row.record.get("message") or row.outcome).split("; ")
    return "; ".join(part for part in told if not any(other in part for other in others))


def _card(
    item: Item, score: float | None, record: Mapping[str, Any], ours: bool, readings: Mapping[str, Reading]
) -> str:
    status = str(record.get("status", ""))
    message = str(record.get("message", ""))[:LONGEST]
    if score is None:
        kind, told, message = "wait", f"{item.points:g} points, to be graded by hand.", ""
    else:
        full = score >= item.points
        kind = "full" if full else "part" if score > 0 else "none"
        told = f"{score:g} of {item.points:g} points."
        if full:
            message = ""
        elif status == "broken" or ours:
            message = OURS
        elif status == "unanswered":
            message = "No answer was written."
    word = {"wait": "to be read", "full": "right", "part": "in part", "none": "not yet"}[kind]
    cell = f"{CHECK_PREFIX}{item.name}" if status not in ("by-hand", "unanswered") else item.name
    return (
        f'<li class="gm-{kind}"><h2><a href="#{escape(cell, quote=True)}">{escape(item.name)}</a>: '
        f'<span class="gm-word">{word}</span></h2>\n<p class="gm-points">{told}</p>\n'
        f"{_message(message, item.name, None if kind == 'full' else readings.get(item.name))}</li>\n"
    )


def _message(message: str, name: str, reading: Reading | None) -> str:
    """A check's message: its first line says what does not hold, the indented ones show the smallest input for it."""
    first, _, rest = message.removeprefix(f"{name}: ").partition("\n")
    lines = [line for line in rest.splitlines() if line.strip()]
    shown = [line for line in lines if line.startswith("  ")]
    parts = [f"<p>{escape(first[0].upper() + first[1:] if first.startswith('this ') else first)}</p>"] if first else []
    if shown:
        parts.append(f"<pre>{escape(textwrap.dedent(chr(10).join(shown)))}</pre>")
    read = reading is None
    for line in (line for line in lines if line not in shown):
        text = escape(line)
        if reading is not None and line.startswith("To read") and f"equation {reading.label}" in line:
            text = text.replace(escape(f"equation {reading.label}"), _link(reading), 1)
            read = True
        parts.append(f'<p class="gm-soft">{text}</p>')
    if reading is not None and not read:
        chapter = f" in the chapter '{escape(reading.chapter)}'" if reading.chapter else ""
        parts.append(f'<p class="gm-soft">It stands on {_link(reading)}{chapter}.</p>')
    return "\n".join(parts) + "\n"


def _link(reading: Reading) -> str:
    name = escape(f"equation {reading.label}")
    return f'<a href="{escape(reading.address, quote=True)}">{name}</a>' if reading.address else name
