"""A folder in nbgrader's layout, and nbgrader's own converters run on it, in this process.

nbgrader's command line takes no ``--config``, so the settings are handed to its converters directly; a course folder
also gets a ``nbgrader_config.py``, so that ``nbgrader formgrader``, started in it, sees the same course.
"""

import errno
import fcntl
import logging
import os
import sys
import sysconfig
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from nbgrader.api import Gradebook, MissingEntry
from nbgrader.converters import Autograde, GenerateAssignment
from nbgrader.converters.base import BaseConverter, NbGraderException
from nbgrader.coursedir import CourseDirectory
from sqlalchemy import Engine, create_engine
from sqlalchemy.exc import DatabaseError, SAWarning
from sqlalchemy.orm import Session, scoped_session, sessionmaker
from sqlalchemy.pool import NullPool
from traitlets.config import Config
from traitlets.config.loader import PyFileConfigLoader

from autograder.errors import CourseError, UserError
from autograder.sanitise import FILTERS
from autograder.template import TEXT_STUB

REPOSITORY = Path(__file__).resolve().parent.parent
CODE_STUB = '# Write your answer here.\nraise NotImplementedError("replace this line with your answer")'

# What is graded is a mended copy, so the folder has a name of its own: with nbgrader's "submitted" a course whose
# submissions lie there would see its students' files overwritten.
SANITISED = "sanitised"
CONFIG_FILE = f"""# The settings of this course folder. Formgrader is in `jupyter lab`, started here.
import sys

sys.path.append({str(REPOSITORY)!r})
c = get_config()
c.CourseDirectory.submitted_directory = "{SANITISED}"
# Formgrader shows what students' code displays; without these two lines, that could run in your browser.
c.HTMLExporter.sanitize_html = True
c.HTMLExporter.filters = {FILTERS}

# Late work. Without these lines nothing is taken off; the guide to grading says what they mean.
# c.AssignLatePenalties.plugin_class = "autograder.lateness.LatePolicy"
# c.LatePolicy.due = {{"vae": "2026-12-01 23:59 Europe/Berlin"}}
# c.LatePolicy.grace_minutes = 15
# c.LatePolicy.percent_per_day = 10
# c.LatePolicy.floor_percent = 50
# c.LatePolicy.extensions = {{"vae": {{"a17": 48}}}}  # hours
"""


class Course:
    """A course folder: ``source``, ``release``, ``sanitised``, ``autograded``, ``feedback`` and ``gradebook.db``."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()

    @property
    def database(self) -> Path:
        return self.root / "gradebook.db"

    @cached_property
    def _engine(self) -> Engine:
        # Kept, because it remembers how queries are made; but it keeps no connection open.
        return create_engine(f"sqlite:///{self.database}", poolclass=NullPool)

    @property
    def ledger(self) -> Path:
        return self.root / "results.jsonl"

    @property
    def pending(self) -> Path:
        """The folder of results that are graded and not yet in the gradebook."""
        return self.root / "pending"

    def folder(self, step: str, student: str, assignment: str) -> Path:
        """nbgrader's folder for one step of one student's assignment ('.' stands for no student)."""
        return self.root / step / student / assignment

    def make(self) -> None:
        """Create the folder and its settings where they don't exist."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            settings = self.root / "nbgrader_config.py"
            if not settings.exists():
                settings.write_text(CONFIG_FILE, encoding="utf-8")
        except OSError as error:
            raise UserError(f"can't use {self.root} as a course folder: {error.strerror}") from None

    def config(self, assignment: str, student: str | None = None) -> Config:
        """The instructor's ``nbgrader_config.py`` (a late-day plugin, say) with what we rely on set on top of it."""
        config = Config()
        if (self.root / "nbgrader_config.py").is_file():
            config = PyFileConfigLoader("nbgrader_config.py", path=str(self.root)).load_config()
        config.CourseDirectory.root = str(self.root)
        config.CourseDirectory.assignment_id = assignment
        config.CourseDirectory.source_directory = "source"
        config.CourseDirectory.release_directory = "release"
        config.CourseDirectory.submitted_directory = SANITISED
        config.CourseDirectory.autograded_directory = "autograded"
        config.CourseDirectory.feedback_directory = "feedback"
        config.CourseDirectory.db_url = f"sqlite:///{self.database}"
        if student is not None:
            config.CourseDirectory.student_id = as_pattern(student)
        config.ClearSolutions.code_stub = {"python": CODE_STUB}
        config.ClearSolutions.text_stub = TEXT_STUB
        config.BaseConverter.force = True
        config.Exporter.optimistic_validation = True  # once at the end, and not after each step
        return config

    def converter(self, kind: type[BaseConverter], config: Config) -> Any:
        """One of nbgrader's converters, set up for this folder."""
        return kind(coursedir=CourseDirectory(config=config), config=config)

    def generate_assignment(self, assignment: str, record: bool = True) -> None:
        """Run nbgrader's ``generate_assignment`` on ``source/``; with ``record``, register it in the gradebook."""
        config = self.config(assignment)
        if not record:
            config.GenerateAssignment.no_database = True
            config.SaveCells.enabled = False
            with nbgrader_errors(f"nbgrader can't release {assignment}"), own_tools_first():
                self.converter(GenerateAssignment, config).start()
            return
        from autograder.lateness import enter_due_date  # which builds on this module

        with nbgrader_errors(f"nbgrader can't release {assignment}"), self.transaction():
            self.converter(GenerateAssignment, config).start()
            with self.gradebook(assignment) as gradebook:
                enter_due_date(self, gradebook, assignment)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other graders out of this folder; the lock goes with this process, however it ends.

        Raises
        ------
        UserError
            If another process has it.
        """
        self.make()
        with naming_trouble(self.root), (self.root / ".lock").open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                who = file.read().strip()
                raise UserError(
                    f"{self.root} is in use by another grader{f' (process {who})' if who else ''}; "
                    "wait for it, or grade into another folder (--course)"
                ) from None
            file.truncate(0)
            file.write(f"{os.getpid()}\n")
            file.flush()
            yield

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """What nbgrader writes in this block enters the gradebook together at its end, or not at all.

        nbgrader opens the gradebook for every step and commits after every cell, which costs most of its time and
        leaves half a student behind if it is interrupted. In this block all of its gradebooks are one.
        """
        self._make_database()
        session = scoped_session(sessionmaker(class_=_Joined, bind=self._engine))
        known: set[str] = set()

        def adopt(
            gradebook: Gradebook, db_url: str, course_id: str = "default_course", authenticator: Any = None
        ) -> None:
            gradebook.engine, gradebook.db, gradebook.authenticator = self._engine, session, authenticator
            if course_id not in known:
                gradebook.check_course(course_id=course_id)
                known.add(course_id)
            gradebook.course_id = course_id

        methods = Gradebook.__init__, Gradebook.close
        Gradebook.__init__, Gradebook.close = adopt, lambda _: None
        try:
            yield
            with naming_trouble(self.database):
                session().commit_all()
        finally:
            Gradebook.__init__, Gradebook.close = methods
            session.remove()

    def _make_database(self) -> None:
        """Make an empty gradebook where there is none: complete, or not at all."""
        if self.database.exists():
            return
        part = self.root / "gradebook.db.part"
        for path in self.root.glob(f"{part.name}*"):
            path.unlink()
        with naming_trouble(part), own_tools_first():
            Gradebook(f"sqlite:///{part}").close()
            part.replace(self.database)

    def autograder(self, kind: type[Autograde], assignment: str) -> Any:
        """nbgrader's ``Autograde``, or a kind of it, for an assignment."""
        return self.converter(kind, self.config(assignment))

    @contextmanager
    def gradebook(self, assignment: str) -> Iterator[Gradebook]:
        """The gradebook, open; a UserError if nothing of this assignment was graded here."""
        if not self.database.is_file():
            raise UserError(f"{self.root} holds no gradebook; grade {assignment} first")
        with closing(Gradebook(f"sqlite:///{self.database}")) as gradebook:
            try:
                gradebook.find_assignment(assignment)
            except MissingEntry:
                raise UserError(
                    f"the gradebook in {self.root} has no assignment {assignment!r}; grade it first"
                ) from None
            yield gradebook


@contextmanager
def own_tools_first() -> Iterator[None]:
    """Put this Python's commands at the head of PATH: nbgrader calls ``alembic`` by name to make a new gradebook."""
    before = os.environ.get("PATH", "")
    os.environ["PATH"] = os.pathsep.join([sysconfig.get_path("scripts"), before])
    try:
        yield
    finally:
        os.environ["PATH"] = before


class _Joined(Session):
    """A session whose commits wait for ``commit_all``: until then, other sessions see nothing of it."""

    def commit(self) -> None:
        self.flush()
        self.expire_all()  # as a commit does: nbgrader reads sums back that the database makes

    def commit_all(self) -> None:
        super().commit()


def as_pattern(student: str) -> str:
    """A glob pattern that matches this name only: nbgrader takes every name for a pattern."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in student)


class _Lines(logging.Handler):
    """Keeps what nbgrader logs, and the error that it handles meanwhile, to tell of them if it fails."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []
        self.error: BaseException | None = None

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())
        self.error = self.error or sys.exc_info()[1]


@contextmanager
def nbgrader_errors(what: str) -> Iterator[None]:
    """Turn nbgrader's "see the above traceback" into one line that says what it was.

    Raises
    ------
    CourseError
        If the course folder or its gradebook can't be written.
    UserError
        If it was something else.
    """
    log = logging.getLogger("traitlets")
    kept, level, propagate = _Lines(), log.level, log.propagate
    handlers = log.handlers[:]
    log.handlers, log.propagate = [kept], False
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            # nbgrader's own use of SQLAlchemy makes it warn at every new submission.
            warnings.simplefilter("ignore", SAWarning)
            yield
    except NbGraderException as error:
        reason = kept.error or error
        if (trouble := _trouble(reason)) is not None:
            raise CourseError(f"{what}: {trouble}") from reason
        told = str(reason).splitlines() or [type(reason).__name__]
        raise UserError(f"{what}: {type(reason).__name__}: {told[0]}") from reason
    except (OSError, DatabaseError) as error:
        if (trouble := _trouble(error)) is None:
            raise
        raise CourseError(f"{what}: {trouble}") from error
    finally:
        log.handlers, log.propagate = handlers, propagate
        log.setLevel(level)


@contextmanager
def naming_trouble(path: Path) -> Iterator[None]:
    """Turn a failure to write into a CourseError that says what is wrong with the disk, the folder or the gradebook."""
    try:
        yield
    except (OSError, DatabaseError) as error:
        if (trouble := _trouble(error)) is None:
            raise
        raise CourseError(f"can't write {path}: {trouble}") from error


_FULL, _READ_ONLY = (
    "the disk is full",
    "it can't be written; look at the permissions, and whether the disk is read-only",
)
_ERRNOS = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), _FULL),
    **dict.fromkeys((errno.EROFS, errno.EACCES, errno.EPERM), _READ_ONLY),
    errno.EIO: "the disk has an error",
    errno.EMFILE: "this process has too many files open",
    errno.ENFILE: "the system has too many files open",
}
_SQLITE = {
    "database is locked": "the gradebook is locked: close what else has it open (formgrader, a database browser), and "
    "run this again",
    "database or disk is full": _FULL,
    "readonly database": _READ_ONLY,
    "unable to open": _READ_ONLY,
    "disk I/O error": "the disk is full, or has an error",
    "not a database": "gradebook.db is not a gradebook; put a backup in its place, or move it away",
    "malformed": "gradebook.db is damaged; put a backup in its place, or move it away",
}


def _trouble(error: BaseException) -> str | None:
    """What is wrong with the place that we write to; None if the error has another reason."""
    if isinstance(error, DatabaseError):
        text = str(error.orig)
        return next((told for sign, told in _SQLITE.items() if sign in text), None)
    if isinstance(error, OSError) and error.errno in _ERRNOS:
        return f"{_ERRNOS[error.errno]}{f' ({error.filename})' if error.filename else ''}"
    return None
