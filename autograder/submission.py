"""Find what students handed in, read it without trusting it, and mend it into something that can be run and graded.

Of a student's notebook only the cells' kinds and texts are kept (and pictures pasted into Markdown). Everything that
decides a grade comes from the released notebook: the tests, their points, and which cells are answers.
"""

import base64
import binascii
import json
import os
import stat
from collections.abc import Container, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_raw_cell

from autograder.template import Template

MAKE_CELL = {"code": new_code_cell, "markdown": new_markdown_cell, "raw": new_raw_cell}
IGNORED_FOLDERS = {"__MACOSX", "__pycache__"}
# A student's file of such a name would stand in for the course's own modules.
RESERVED = {"genmodels", "autograder"}
MOST_FILES = 100


class Unreadable(Exception):
    """A submission that can't be run. ``outcome`` is one word for the record, the text a line for people."""

    def __init__(self, outcome: str, message: str) -> None:
        super().__init__(message)
        self.outcome = outcome


@dataclass(frozen=True)
class Submission:
    """One student's folder for an assignment."""

    student: str
    folder: Path


def find_submissions(root: Path, assignment: str) -> tuple[list[Submission], list[Path]]:
    """The students under ``root``, as ``root/<student>/<assignment>/`` or ``root/<student>/``, in order.

    The second list names what else lies there: files in nobody's folder, and links, which are not followed.
    """
    found, ignored = [], []
    for path in sorted(root.iterdir()):
        if path.name.startswith(".") or path.name in IGNORED_FOLDERS:
            continue
        if path.is_dir() and not path.is_symlink():
            # A name that isn't UTF-8 can't be stored; a readable stand-in can.
            student = os.fsencode(path.name).decode("utf-8", "backslashreplace")
            inner = path / assignment
            found.append(Submission(student, inner if inner.is_dir() and not inner.is_symlink() else path))
        else:
            ignored.append(path)
    return found, ignored


@dataclass(frozen=True)
class SideFiles:
    """What lies beside the notebooks of a submission. ``left_out`` says of the rest, by name, why it is not used."""

    files: list[Path]
    left_out: dict[str, str]

    def find(self, name: str) -> Path | None:
        """The file of that name, if it can be used."""
        return next((path for path in self.files if path.name == name), None)


def side_files(folder: Path, limit: int, wanted: Iterable[str] = ()) -> SideFiles:
    """The plain files beside the notebooks: weights, a helper module, data. Together they have at most ``limit`` bytes.

    The ``wanted`` come first. Folders are passed over. Nothing is followed or opened: a link may lead to the
    instructor's files, and reading a pipe would wait for ever.
    """
    files: list[Path] = []
    left_out: dict[str, str] = {}
    first = set(wanted)
    entries = sorted(folder.iterdir(), key=lambda path: (path.name not in first, path)) if folder.is_dir() else []
    for path in entries:
        if path.suffix == ".ipynb" or path.name.startswith(".") or path.name in IGNORED_FOLDERS:
            continue
        status = path.lstat()
        if stat.S_ISLNK(status.st_mode):
            left_out[path.name] = "is a link, not a file"
        elif stat.S_ISDIR(status.st_mode):
            if path.name in first:
                left_out[path.name] = "is a folder, not a file"
        elif not stat.S_ISREG(status.st_mode):
            left_out[path.name] = "is not a plain file"
        elif path.stem in RESERVED:
            left_out[path.name] = "has the name of one of the course's own modules"
        elif status.st_size > limit:
            left_out[path.name] = f"has {status.st_size / 1e6:.1f} MB, more than the {limit / 1e6:.1f} MB that are read"
        elif len(files) >= MOST_FILES or sum(file.stat().st_size for file in files) + status.st_size > limit:
            left_out[path.name] = f"is more than {MOST_FILES} files or {limit / 1e6:.1f} MB beside the notebook"
        elif not os.access(path, os.R_OK):
            left_out[path.name] = "can't be read"
        else:
            files.append(path)
    return SideFiles(files, left_out)


def read_bytes(path: Path, limit: int, known: Container[str] = ()) -> bytes:
    """A submitted file's bytes. ``known`` names the notebooks that are expected beside it.

    Raises
    ------
    Unreadable
        If it is missing, no plain file (a link may lead to the instructor's), empty, or larger than ``limit`` bytes.
    """
    try:
        status = path.lstat()
    except OSError:
        there = sorted(p.name for p in path.parent.glob("*.ipynb")) if path.parent.is_dir() else []
        others = [name for name in there if name not in known]
        hint = f"; there is {', '.join(others)}" if others else ""
        raise Unreadable("missing", f"there is no {path.name}{hint}") from None
    if not stat.S_ISREG(status.st_mode):
        raise Unreadable("not-a-file", f"{path.name} is a link or a folder, not a file")
    if status.st_size > limit:
        size, most = status.st_size / 1e6, limit / 1e6
        raise Unreadable("too-large", f"{path.name} has {size:.1f} MB, more than the {most:.1f} MB that are read")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise Unreadable("not-readable", f"{path.name} can't be read: {error.strerror}") from None
    if not content.strip():
        raise Unreadable("empty", f"{path.name} is empty ({len(content)} bytes)")
    return content


def parse(content: bytes, name: str) -> NotebookNode:
    """The cells of a submitted notebook, stripped to kind, text, id, grade_id and pasted pictures.

    Raises
    ------
    Unreadable
        If these are not the bytes of a notebook in nbformat 4.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Unreadable("not-json", f"{name} is not text in UTF-8, so it is no notebook") from None
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        begun = text.lstrip().startswith("{")
        if begun and (not text.rstrip().endswith("}") or error.pos >= len(text.rstrip())):
            raise Unreadable(
                "truncated", f"{name} breaks off after {len(content)} bytes: it was not saved whole"
            ) from None
        raise Unreadable("not-json", f"{name} is not JSON, so it is no notebook; it begins {text[:30]!r}") from None
    except (RecursionError, ValueError):
        raise Unreadable("not-json", f"{name} is JSON that no notebook program writes") from None
    if not isinstance(data, dict) or "nbformat" not in data:
        raise Unreadable("not-a-notebook", f"{name} is JSON, but no notebook")
    if data["nbformat"] != 4:
        raise Unreadable(
            "wrong-format",
            f"{name} is in notebook format {str(data['nbformat'])[:20]}, not 4: save it again in JupyterLab",
        )
    if not isinstance(data.get("cells"), list) or not data["cells"]:
        raise Unreadable("not-a-notebook", f"{name} has no cells")
    notebook = new_notebook()
    for number, cell in enumerate(data["cells"], 1):
        try:
            notebook.cells.append(_strip(cell))
        except (KeyError, TypeError, ValueError, AttributeError):
            raise Unreadable("not-a-notebook", f"{name}: cell {number} is not a cell") from None
    return notebook


def _strip(cell: dict[str, Any]) -> NotebookNode:
    source = cell["source"]
    text = source if isinstance(source, str) else "".join(source)
    # A lone surrogate is valid JSON and can be written nowhere.
    made = MAKE_CELL[cell["cell_type"]](source=text.encode("utf-8", "replace").decode("utf-8"))
    made.id = str(cell.get("id", ""))[:64]
    flags = cell.get("metadata", {}).get("nbgrader")
    grade_id = flags.get("grade_id") if isinstance(flags, dict) else None
    made.metadata = NotebookNode({"grade_id": grade_id} if isinstance(grade_id, str) else {})
    if made.cell_type == "markdown" and isinstance(cell.get("attachments"), dict):
        made.attachments = NotebookNode(
            {
                str(name): NotebookNode(pictures)
                for name, bundle in cell["attachments"].items()
                if (pictures := {kind: data for kind, data in bundle.items() if is_picture(kind, data)})
            }
        )
    return made


def is_picture(kind: str, data: object) -> bool:
    """Whether this is a PNG, JPEG or GIF in base64, and nothing else."""
    if kind not in ("image/png", "image/jpeg", "image/gif") or not isinstance(data, str):
        return False
    try:
        return bool(base64.b64decode("".join(data.split()), validate=True))
    except (binascii.Error, ValueError):
        return False


@dataclass(frozen=True)
class Mended:
    """A notebook that can be run and graded. ``notes`` says what was put right."""

    notebook: NotebookNode
    notes: list[str]


def mend(submitted: NotebookNode, template: Template, name: str) -> Mended:
    """Put the released tests in place of the submitted ones, once each, and mark the answers; keep all else.

    A test that the student has changed stays as a cell of their own, beside the released one. A test runs where the
    student left it, if that is after the answer, and right after the answer otherwise.

    Raises
    ------
    Unreadable
        If this is a different notebook.
    """
    roles = [_role(cell, template) for cell in submitted.cells]
    _require_same_notebook(submitted, roles, template, name)
    notes: list[str] = []
    # The last of several answers counts, as it would when the notebook is run from top to bottom.
    answer_at = {role[1]: i for i, role in enumerate(roles) if role is not None and role[0] == "answer"}
    check_at: dict[str, int] = {}
    for exercise in template.exercises.values():
        answers, checks = (
            [i for i, role in enumerate(roles) if role == (kind, exercise.name)] for kind in ("answer", "check")
        )
        notes += _notes(exercise.name, exercise.check, submitted, answers, checks)
        if exercise.check is not None:
            last_answer = answers[-1] if answers else -1
            later = [i for i in checks if i > last_answer]
            if later:
                check_at[exercise.name] = later[0]
            else:
                check_at[exercise.name] = last_answer if answers else len(submitted.cells) - 1
    mended = new_notebook(metadata=template.notebook.metadata, nbformat_minor=5)
    for i, (cell, role) in enumerate(zip(submitted.cells, roles, strict=True)):
        if role is None or role[0] == "answer" or _changed(cell, template.exercises[role[1]].check):
            own = MAKE_CELL[cell.cell_type](source=cell.source, id=f"own-{i}")
            if cell.get("attachments"):
                own.attachments = cell.attachments
            if role is not None and role[0] == "answer" and answer_at[role[1]] == i:
                own = _answer(template.exercises[role[1]].answer, own)
            mended.cells.append(own)
        for exercise_name, place in check_at.items():
            check = template.exercises[exercise_name].check
            if place == i and check is not None:
                mended.cells.append(_copy(check))
    for exercise in template.exercises.values():
        if exercise.check is None and exercise.name not in answer_at:
            mended.cells.append(_copy(exercise.answer))
    return Mended(mended, notes)


def _role(cell: NotebookNode, template: Template) -> tuple[str, str] | None:
    """What a submitted cell is. Some programs drop metadata, others ids, and a test gives itself away by its text."""
    for cell_id in (cell.metadata.get("grade_id"), cell.id):
        if cell_id and (role := template.role(cell_id)):
            return role
    for exercise in template.exercises.values():
        if exercise.check is not None and cell.cell_type == "code" and cell.source.strip() == exercise.check.source:
            return "check", exercise.name
    return None


def _require_same_notebook(
    submitted: NotebookNode, roles: list[tuple[str, str] | None], template: Template, name: str
) -> None:
    known = len({role for role in roles if role is not None})
    foreign = sum(1 for cell, role in zip(submitted.cells, roles, strict=True) if role is None and cell.metadata)
    if known == 0 or foreign > known:
        wanted = ", ".join(list(template.exercises)[:3])
        raise Unreadable("wrong-notebook", f"{name} is a different notebook: it has no cells for {wanted}, ...")


def _notes(
    name: str, check: NotebookNode | None, submitted: NotebookNode, answers: list[int], checks: list[int]
) -> list[str]:
    notes = []
    if not answers:
        notes.append(f"the answer cell of {name} is missing")
    if len(answers) > 1:
        notes.append(f"{len(answers)} cells are the answer to {name}; the last counts")
    if check is not None:
        if not checks:
            notes.append(f"the check of {name} was missing, and was put back")
        if len(checks) > 1:
            notes.append(f"{len(checks)} cells are the check of {name}; one was kept")
        if any(_changed(submitted.cells[i], check) for i in checks):
            notes.append(f"the check of {name} had been changed; the released one is what counts")
        if checks and answers and checks[-1] < answers[-1]:
            notes.append(f"the check of {name} stood before its answer, and was moved after it")
    return notes


def _changed(cell: NotebookNode, check: NotebookNode | None) -> bool:
    """Whether a test cell is no longer what was released."""
    return check is None or cell.cell_type != "code" or cell.source.strip() != check.source.strip()


def _answer(released: NotebookNode, own: NotebookNode) -> NotebookNode:
    """The student's text in a cell of the released kind and metadata."""
    cell = _copy(released)
    cell.source = own.source
    if own.get("attachments") and cell.cell_type == "markdown":
        cell.attachments = own.attachments
    return cell


def _copy(cell: NotebookNode) -> NotebookNode:
    made = MAKE_CELL[cell.cell_type](source=cell.source, id=cell.id)
    made.metadata = NotebookNode(json.loads(json.dumps(cell.metadata)))
    made.metadata.nbgrader = NotebookNode(made.metadata.nbgrader)
    return made
