"""The one place that writes into a course folder's gradebook.

A result is written by nbgrader's own ``Autograde``, with its ``Execute`` step, which would run the notebook, replaced
by one that puts the executed notebook in its place. Two more of its steps are left out. Its sanitising would work on
what is thrown away then; and its check of the cells' metadata has nothing to find, as these come from the release,
which it checked (it validates its own schema anew for every cell, which takes a fifth of the time).
"""

import json
import os
import shutil
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

import nbformat
from nbformat import NotebookNode
from nbgrader.api import MissingEntry
from nbgrader.converters import Autograde
from nbgrader.preprocessors import CheckCellMetadata, Execute
from nbgrader.utils import setenv

from autograder.course import SANITISED, Course, as_pattern, naming_trouble, nbgrader_errors
from autograder.errors import CourseError, UserError
from autograder.release import generate
from autograder.results import Ledger, Result
from autograder.source import Source
from autograder.template import Template, read_templates


def register(course: Course, root: Path, assignment: str, sources: list[Source]) -> dict[str, Template]:
    """Make the assignment's release in the course folder, enter it in the gradebook, and read it back."""
    try:
        with naming_trouble(course.root):
            generate(course, root, assignment, sources, record=True)
    except UserError as error:
        if "Cannot add or remove cells" in str(error) or "Cannot modify existing assignment" in str(error):
            raise UserError(
                f"the exercises of {assignment} have changed since submissions were graded in {course.root}; "
                "grade into a new course folder (--course)"
            ) from error
        raise
    return read_templates(course.folder("release", ".", assignment))


class _Replay(Autograde):
    """nbgrader's ``Autograde`` for notebooks that have been run already: ``executed``, by name."""

    executed: dict[str, NotebookNode]

    def convert_single_notebook(self, notebook_filename: str) -> None:
        resources = self.init_single_notebook_resources(notebook_filename)
        name = resources["nbgrader"]["notebook"]
        resources["metadata"] = {"name": name, "path": os.path.dirname(notebook_filename)}
        self._sanitizing = False
        try:
            self._init_preprocessors()
            with setenv(NBGRADER_EXECUTION="autograde"):
                output, resources = self.exporter.from_notebook_node(self.executed[name], resources=resources)
            self.write_single_notebook(output, resources)
        finally:
            self._sanitizing = True


class Recorder:
    """Writes the results of one assignment into its gradebook and ``autograded/``, a student at a time."""

    def __init__(self, course: Course, assignment: str) -> None:
        self._course, self._assignment = course, assignment
        self._converter = course.autograder(_Replay, assignment)
        self._converter.autograde_preprocessors = [
            step for step in self._converter.autograde_preprocessors if step not in (Execute, CheckCellMetadata)
        ]

    def record(self, student: str, result: Result, handed_in: str | None = None) -> None:
        """Write one student's result; ``handed_in`` is the time for lateness. Marks given by hand are kept.

        In the gradebook all of it appears, or nothing. Recording the same result again changes nothing.

        Raises
        ------
        CourseError
            If the gradebook or the folder can't be written.
        UserError
            If nbgrader refuses the result.
        """
        executed = {notebook.name: nbformat.from_dict(notebook.executed) for notebook in result.notebooks}
        with nbgrader_errors(f"nbgrader can't record {student}"):
            folder = self._course.folder(SANITISED, student, self._assignment)
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            for notebook in result.notebooks:
                (folder / f"{notebook.name}.ipynb").write_text(
                    json.dumps(notebook.executed, indent=1), encoding="utf-8"
                )
            if handed_in is not None:
                (folder / "timestamp.txt").write_text(f"{handed_in} UTC\n", encoding="utf-8")
            self._converter.executed = executed
            self._converter.coursedir.student_id = as_pattern(student)
            with self._course.transaction():
                self._converter.start()

    def withdraw(self, student: str) -> None:
        """Take back the marks that a student has from earlier, and flag them for a person: the new ones got lost."""
        with (
            nbgrader_errors(f"nbgrader can't record {student}"),
            self._course.transaction(),
            self._course.gradebook(self._assignment) as gradebook,
        ):
            try:
                submission = gradebook.find_submission(self._assignment, student)
            except MissingEntry:
                return
            for notebook in submission.notebooks:
                for grade in notebook.grades:
                    grade.auto_score, grade.needs_manual_grade = None, True
            gradebook.db.commit()


@dataclass(frozen=True)
class Graded:
    """A result on its way into the gradebook. ``key`` says what was graded; ``grading`` is an id of this one time."""

    student: str
    key: str
    handed_in: str | None
    result: Result
    grading: str


class Writer:
    """Takes results down so that none is lost, whenever this process is killed.

    A result is first put into ``pending/`` as a file. Then it goes into the gradebook, then into the ledger, and then
    the file is deleted. Whatever files are found at the next start are written again: all of these steps can be
    repeated.
    """

    def __init__(self, course: Course, assignment: str) -> None:
        self._course, self._assignment = course, assignment
        self._recorder = Recorder(course, assignment)
        self.ledger = Ledger(course.ledger)

    def recover(self) -> list[str]:
        """Finish what an earlier run had begun to write; return the students."""
        students = []
        with naming_trouble(self._course.pending):
            for path in self._course.pending.glob("*.part"):  # never finished, so graded again
                path.unlink()
            for path in sorted(self._course.pending.glob("*.json")):
                graded = _read(path)
                if graded is None or graded.result.assignment != self._assignment:
                    continue
                last = self.ledger.last(self._assignment, graded.student)
                if last is None or last.get("grading") != graded.grading:
                    self._finish(graded)
                    students.append(graded.student)
                path.unlink()
        return students

    def write(self, student: str, key: str, handed_in: str | None, result: Result) -> Result:
        """Write a result down; return what was written, which is another if nbgrader refused it.

        Raises
        ------
        CourseError
            If the course folder can't be written. The result is in ``pending/`` then, if there is room for it.
        """
        graded = Graded(student, key, handed_in, result, uuid4().hex)
        path = self._course.pending / f"{sha256(f'{self._assignment}/{student}'.encode()).hexdigest()[:32]}.json"
        with naming_trouble(path):
            path.parent.mkdir(exist_ok=True)
            _write(path, graded)
        written = self._finish(graded)
        with naming_trouble(path):
            path.unlink()
        return written

    def _finish(self, graded: Graded) -> Result:
        result = graded.result
        try:
            self._recorder.record(graded.student, result, graded.handed_in)
        except CourseError:
            raise
        except Exception as error:  # no submission may end the run, whatever nbgrader makes of it
            result = result.failed(f"nbgrader did not take the result, so there are no marks: {error}")
            self._recorder.withdraw(graded.student)
        with naming_trouble(self._course.ledger):
            self.ledger.append(graded.student, graded.key, result, graded.grading)
        return result


def _write(path: Path, graded: Graded) -> None:
    """Write a file, whole or not at all, and on the disk when this returns."""
    plain: dict[str, Any] = {
        "student": graded.student,
        "key": graded.key,
        "handed_in": graded.handed_in,
        "grading": graded.grading,
        "result": graded.result.to_json(),
    }
    part = path.with_suffix(".part")
    with part.open("w", encoding="utf-8") as file:
        json.dump(plain, file)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _read(path: Path) -> Graded | None:
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
        result = Result.from_json(plain.pop("result"))
        return Graded(**plain, result=result)
    except (ValueError, TypeError, KeyError):
        return None  # not something that we wrote
