"""A folder in nbgrader's layout, and nbgrader's own converters run on it, in this process.

nbgrader's command line takes no ``--config``, so the settings are handed to its converters directly; a course folder
also gets a ``nbgrader_config.py``, so that ``nbgrader formgrader``, started in it, sees the same course.
"""

import logging
import os
import sysconfig
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from nbgrader.api import Gradebook, MissingEntry
from nbgrader.converters import Autograde, GenerateAssignment
from nbgrader.converters.base import BaseConverter, NbGraderException
from nbgrader.coursedir import CourseDirectory
from sqlalchemy.exc import SAWarning
from traitlets.config import Config
from traitlets.config.loader import PyFileConfigLoader

from autograder.errors import UserError
from autograder.sanitise import FILTERS

REPOSITORY = Path(__file__).resolve().parent.parent
CODE_STUB = '# Write your answer here.\nraise NotImplementedError("replace this line with your answer")'
TEXT_STUB = "*Write your answer here.*"

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
"""


class Course:
    """A course folder: ``source``, ``release``, ``sanitised``, ``autograded``, ``feedback`` and ``gradebook.db``."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()

    @property
    def database(self) -> Path:
        return self.root / "gradebook.db"

    @property
    def ledger(self) -> Path:
        return self.root / "results.jsonl"

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
            # nbgrader takes the name for a glob: "Ng [2]" must match itself.
            config.CourseDirectory.student_id = "".join(f"[{c}]" if c in "*?[" else c for c in student)
        config.ClearSolutions.code_stub = {"python": CODE_STUB}
        config.ClearSolutions.text_stub = TEXT_STUB
        config.BaseConverter.force = True
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

    def autograder(self, assignment: str, student: str) -> Any:
        """nbgrader's ``Autograde`` for one student."""
        return self.converter(Autograde, self.config(assignment, student))

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


class _Lines(logging.Handler):
    """Keeps what nbgrader logs, to tell the end of it if it fails."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@contextmanager
def nbgrader_errors(what: str) -> Iterator[None]:
    """Turn nbgrader's "see the above traceback" into one line that says what it was."""
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
        tracebacks = [line for line in kept.lines if line.startswith("Traceback")]
        reason = tracebacks[0].strip().splitlines()[-1] if tracebacks else str(error)
        raise UserError(f"{what}: {reason}") from error
    finally:
        log.handlers, log.propagate = handlers, propagate
        log.setLevel(level)
