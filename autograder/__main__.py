"""The command line: ``python -m autograder COMMAND``."""

import argparse
import os
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autograder.errors import UserError

if TYPE_CHECKING:
    from autograder.limits import Limits

ROOT = Path(__file__).resolve().parent.parent
FORMATS = ("generic", "canvas", "moodle", "gradescope")  # those of autograder.export, which takes a second to import
EXIT_CODES = """\
exit codes:
  0  done
  1  done, and the answer is no: a stale notebook (release --check), a notebook that is not ready (doctor),
     a submission on which the grader itself failed, or that took its worker along (grade, regrade), a roster that
     the gradebook does not have yet (roster --check)
  2  not done: a wrong argument, a file that is not there, a source that is wrong; the reason is on stderr
"""


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = _parser().parse_args(arguments)
    options.root = _here(options.root)
    try:
        code: int = options.run(options)
        return code
    except UserError as error:
        print(f"autograder {options.command}: {error}", file=sys.stderr)
    except BrokenPipeError:  # whoever read our output, `head` perhaps, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        print(f"autograder {options.command}: {error}", file=sys.stderr)
    except ModuleNotFoundError as error:
        print(f"autograder {options.command}: needs {error.name}; pip install -r requirements-dev.txt", file=sys.stderr)
    except KeyboardInterrupt:
        print(f"autograder {options.command}: stopped; what was graded until now is kept", file=sys.stderr)
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m autograder",
        description="Release, grade and report the assignments; let students look at their work before handing it in.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--root", type=Path, default=ROOT, help="the repository (default: the one this runs from)")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, purpose: str, example: str) -> argparse.ArgumentParser:
        return commands.add_parser(
            name,
            help=purpose,
            description=purpose[0].upper() + purpose[1:] + ".",
            epilog=f"example:\n  python -m autograder {example}\n\n{EXIT_CODES}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    release = command("release", "make the students' notebooks from solutions/", "release vae --check")
    release.add_argument("assignments", nargs="*", metavar="ASSIGNMENT", help="default: all of them")
    release.add_argument("--check", action="store_true", help="write nothing; say which notebooks are stale")
    release.add_argument("--force", action="store_true", help="overwrite notebooks that someone has worked in")
    release.set_defaults(run=_release)

    grade = command("grade", "grade a folder of submissions", "grade vae --submissions downloads/vae --course grades")
    _grading_options(grade)
    grade.add_argument("--student", metavar="ID", help="grade this one only")
    grade.add_argument("--regrade", action="store_true", help="grade again what has not changed, too")
    grade.set_defaults(run=_grade)

    regrade = command(
        "regrade",
        "grade some again although nothing changed",
        "regrade vae --submissions downloads/vae --course grades --exercise kl_normal",
    )
    _grading_options(regrade)
    regrade.add_argument("--student", action="append", metavar="ID", help="this one; may be said again for more")
    regrade.add_argument(
        "--exercise", metavar="NAME", help="those who lost points in this exercise, or did not reach it"
    )
    regrade.set_defaults(run=_regrade)

    feedback = command("feedback", "write a feedback page for each graded student", "feedback vae --course grades")
    feedback.add_argument("assignment", metavar="ASSIGNMENT")
    _course_option(feedback)
    feedback.add_argument("--student", metavar="ID", help="this one only")
    feedback.add_argument(
        "--book", metavar="URL", help="where the book is published, for links to its equations (default: _config.yml's)"
    )
    feedback.set_defaults(run=_feedback)

    export = command("export", "write the marks as a CSV", "export vae --course grades --csv vae.csv --format canvas")
    export.add_argument("assignment", metavar="ASSIGNMENT")
    _course_option(export)
    export.add_argument("--csv", type=Path, required=True, metavar="FILE", help="where to write them ('-': stdout)")
    export.add_argument("--format", choices=FORMATS, default="generic", help="whose columns (default: generic)")
    export.add_argument(
        "--column", metavar="NAME", help="what canvas or moodle calls the assignment (default: ASSIGNMENT)"
    )
    export.set_defaults(run=_export)

    report = command("report", "write a page on how the class did", "report vae --course grades --html vae.html")
    report.add_argument("assignment", metavar="ASSIGNMENT")
    _course_option(report)
    report.add_argument("--html", type=Path, required=True, metavar="FILE", help="where to write it ('-': stdout)")
    report.add_argument(
        "--without-names", action="store_true", help="leave out all that is about single students, to show it in class"
    )
    report.set_defaults(run=_report)

    roster = command("roster", "enter the students of a CSV into the gradebook", "roster class.csv --course grades")
    roster.add_argument(
        "file", type=Path, metavar="FILE", help="with a column id, and first_name, last_name, email, ..."
    )
    _course_option(roster)
    roster.add_argument("--check", action="store_true", help="write nothing; say what would change")
    roster.set_defaults(run=_roster)

    doctor = command("doctor", "look at a notebook before it is handed in", "doctor notebooks/vae/bound.ipynb")
    doctor.add_argument("notebook", type=Path, metavar="NOTEBOOK")
    doctor.add_argument(
        "--cell-seconds", type=_seconds, default=120.0, metavar="S", help="limit of a cell (default: 120)"
    )
    doctor.add_argument(
        "--total-seconds", type=_seconds, default=900.0, metavar="S", help="limit of the notebook (default: 900)"
    )
    doctor.set_defaults(run=_doctor)
    return parser


def _grading_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("assignment", metavar="ASSIGNMENT")
    parser.add_argument(
        "--submissions",
        type=Path,
        required=True,
        metavar="DIR",
        help="holds <student>/<assignment>/*.ipynb or <student>/*.ipynb; nothing in it is changed",
    )
    _course_option(parser)
    parser.add_argument("--workers", type=_number, metavar="N", help="processes on this machine (default: its cores)")
    parser.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="use the Dask cluster there: tls://host:port, or tcp:// where nobody listens in; default: the one that "
        "Dask's own configuration names, if it does",
    )
    for name, what in (("ca", "authority"), ("cert", "certificate"), ("key", "certificate's key")):
        parser.add_argument(f"--tls-{name}", type=Path, metavar="FILE", help=f"the {what}, for tls:// (PEM)")
    parser.add_argument(
        "--cell-seconds", type=_seconds, default=60.0, metavar="S", help="limit of a cell (default: 60)"
    )
    parser.add_argument(
        "--total-seconds", type=_seconds, default=600.0, metavar="S", help="limit of a notebook (default: 600)"
    )
    parser.add_argument(
        "--unsafe",
        action="store_true",
        help="run students' code without a sandbox, with your rights, as each result says; only for people you trust",
    )


def _course_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--course",
        type=Path,
        default=Path("course"),
        metavar="DIR",
        help="the folder of the gradebook, the graded notebooks and the feedback; made if need be (default: course)",
    )


def _here(path: Path) -> Path:
    """The path as seen from the working directory, if it lies in it."""
    full, here = path.resolve(), Path.cwd()
    return full.relative_to(here) if full.is_relative_to(here) else path


def _seconds(text: str) -> float:
    value = float(text)
    if not value > 0:
        raise argparse.ArgumentTypeError("must be above 0")
    return value


def _number(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


# The commands import what they need when they run: `doctor` must work without nbgrader, and `--help` at once.


def _release(options: argparse.Namespace) -> int:
    from autograder.release import check_release, release

    if options.check:
        stale = check_release(options.root, options.assignments)
        print("\n".join(stale) if stale else "notebooks/ is what solutions/ makes")
        return 1 if stale else 0
    for path in release(options.root, options.assignments, options.force):
        print(f"wrote {path}")
    return 0


def _regrade(options: argparse.Namespace) -> int:
    from autograder.course import Course
    from autograder.marks import lost_points

    picked = set(options.student or ())
    if options.exercise:
        picked |= lost_points(Course(options.course), options.assignment, options.exercise)
        if not picked:
            print(f"nobody lost points in {options.exercise}; nothing to grade again")
            return 0
    options.student, options.regrade = picked or None, True
    return _grade(options)


def _grade(options: argparse.Namespace) -> int:
    from autograder.judge import fork_server
    from autograder.limits import Limits

    began = time.monotonic()
    limits = Limits(cell_seconds=options.cell_seconds, total_seconds=options.total_seconds, unsafe=options.unsafe)
    elsewhere = _elsewhere(options)
    # First of all, because what it imports takes longest.
    with nullcontext() if elsewhere else fork_server(limits):
        return _grade_class(options, limits, _cluster(options, elsewhere), began)


def _grade_class(options: argparse.Namespace, limits: "Limits", cluster: Any, began: float) -> int:
    from autograder.classroom import FAILURES, grade, summary
    from autograder.course import Course
    from autograder.results import Ledger

    course = Course(options.course)
    with _Progress() as progress:
        results = grade(
            options.root,
            options.assignment,
            options.submissions,
            course,
            limits,
            report=progress.say,
            student=options.student,
            regrade=options.regrade,
            cluster=cluster,
            progress=progress.move,
        )
    ledger = Ledger(course.ledger)
    records = {student: ledger.last(options.assignment, student) or {} for student in results}
    print()
    print("\n".join(summary(results, records, time.monotonic() - began)))
    print(f"gradebook: {_here(course.database)}")
    return 1 if any(result is not None and result.outcome in FAILURES for result in results.values()) else 0


def _elsewhere(options: argparse.Namespace) -> bool:
    """Whether there is a cluster to grade on, besides this machine.

    Raises
    ------
    UserError
        If the options contradict each other.
    """
    import dask

    files = [options.tls_ca, options.tls_cert, options.tls_key]
    if options.workers and options.scheduler:
        raise UserError("--workers starts processes here, and --scheduler uses those elsewhere: give one of them")
    if options.workers or not (options.scheduler or dask.config.get("scheduler-address", None)):
        if any(files):
            raise UserError("--tls-ca, --tls-cert and --tls-key go with --scheduler")
        return False
    if any(files) and not all(files):
        raise UserError("--tls-ca, --tls-cert and --tls-key go together")
    if any(files) and options.scheduler and not options.scheduler.startswith("tls://"):
        raise UserError(f"with TLS the scheduler's address begins with tls://, got {options.scheduler}")
    return True


def _cluster(options: argparse.Namespace, elsewhere: bool) -> Any:
    """What to grade on, as a function that starts it."""
    from autograder.cluster import certificates, existing_cluster, local_cluster
    from autograder.environment import cores

    if not elsewhere:
        return lambda: local_cluster(options.workers or cores())
    security = certificates(options.tls_ca, options.tls_cert, options.tls_key) if options.tls_ca else None
    return lambda: existing_cluster(options.scheduler, security)


class _Progress:
    """Says what is done: in lines, and on a terminal with a bar below them that tells the time left."""

    def __init__(self) -> None:
        self._bar: Any = None

    def __enter__(self) -> "_Progress":
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def say(self, line: str) -> None:
        if self._bar is not None:
            self._bar.write(line)
        else:
            print(line, flush=True)

    def move(self, done: int, of: int) -> None:
        if self._bar is None and sys.stderr.isatty():
            from tqdm import tqdm

            self._bar = tqdm(total=of, unit="submission", dynamic_ncols=True, smoothing=0.05)
        if self._bar is not None:
            self._bar.update(done - self._bar.n)


def _feedback(options: argparse.Namespace) -> int:
    from autograder.course import Course
    from autograder.feedback import find_readings, write_feedback
    from autograder.marks import read_marks

    course = Course(options.course)
    readings = find_readings(options.root, options.assignment, options.book)
    pages = write_feedback(course, options.assignment, options.student, readings)
    for page in pages:
        print(f"wrote {_here(page)}")
    missing = [row.student for row in read_marks(course, options.assignment).rows if row.missing]
    if missing and not options.student:
        print(f"no page for {', '.join(missing)}: nothing was handed in")
    return 0


def _export(options: argparse.Namespace) -> int:
    from autograder.course import Course
    from autograder.export import export

    known, text = export(Course(options.course), options.assignment, options.format, options.column)
    students = len(known.rows)
    _write(options.csv, text, f"{students} {'student' if students == 1 else 'students'}")
    if waiting := sum(bool(row.waiting) for row in known.rows):
        whose = "1 student has" if waiting == 1 else f"{waiting} students have"
        print(f"{whose} answers that nobody has graded by hand yet", file=sys.stderr)
    return 0


def _report(options: argparse.Namespace) -> int:
    from autograder.course import Course
    from autograder.report import make_report
    from autograder.report_page import needs_attention, report_html

    report = make_report(Course(options.course), options.assignment, options.root)
    text = report_html(report, names=not options.without_names)
    _write(options.html, text, "; ".join(needs_attention(report)))
    return 0


def _roster(options: argparse.Namespace) -> int:
    from autograder.course import Course
    from autograder.roster import import_roster

    course = Course(options.course)
    done = import_roster(options.file, course, write=not options.check)
    would = "would be " if options.check else ""
    print(f"{len(done.new)} {would}new, {len(done.changed)} {would}changed, {len(done.same)} as they were")
    if done.unlisted:
        print(f"in the gradebook, and not in {options.file}: {', '.join(done.unlisted)}")
    return 1 if options.check and (done.new or done.changed) else 0


def _write(path: Path, text: str, what: str) -> None:
    """Write a file, whole or not at all, and say so; to stdout if its name is '-', and then nothing else."""
    if str(path) == "-":
        print(text, end="")
        return
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
    print(f"wrote {path}: {what}")


def _doctor(options: argparse.Namespace) -> int:
    from autograder.doctor import examine
    from autograder.limits import Limits

    limits = Limits(cell_seconds=options.cell_seconds, total_seconds=options.total_seconds)
    return 0 if examine(options.notebook, options.root / "notebooks", limits, say=print) else 1


if __name__ == "__main__":
    sys.exit(main())
