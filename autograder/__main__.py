"""The command line: ``python -m autograder COMMAND``."""

import argparse
import os
import sys
from collections import Counter
from pathlib import Path

from autograder.errors import UserError

ROOT = Path(__file__).resolve().parent.parent
EXIT_CODES = """\
exit codes:
  0  done
  1  done, and the answer is no: a stale notebook (release --check), a notebook that is not ready (doctor),
     a submission on which the grader itself failed (grade)
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
    grade.add_argument("assignment", metavar="ASSIGNMENT")
    grade.add_argument(
        "--submissions",
        type=Path,
        required=True,
        metavar="DIR",
        help="holds <student>/<assignment>/*.ipynb or <student>/*.ipynb; nothing in it is changed",
    )
    _course_option(grade)
    grade.add_argument("--student", metavar="ID", help="grade this one only")
    grade.add_argument("--regrade", action="store_true", help="grade again what has not changed, too")
    grade.add_argument("--cell-seconds", type=_seconds, default=60.0, metavar="S", help="limit of a cell (default: 60)")
    grade.add_argument(
        "--total-seconds", type=_seconds, default=600.0, metavar="S", help="limit of a notebook (default: 600)"
    )
    grade.set_defaults(run=_grade)

    feedback = command("feedback", "write a feedback page for each graded student", "feedback vae --course grades")
    feedback.add_argument("assignment", metavar="ASSIGNMENT")
    _course_option(feedback)
    feedback.add_argument("--student", metavar="ID", help="this one only")
    feedback.set_defaults(run=_feedback)

    export = command("export", "write the marks as a CSV", "export vae --course grades --csv vae.csv")
    export.add_argument("assignment", metavar="ASSIGNMENT")
    _course_option(export)
    export.add_argument("--csv", type=Path, required=True, metavar="FILE", help="where to write them ('-': stdout)")
    export.set_defaults(run=_export)

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


def _grade(options: argparse.Namespace) -> int:
    from autograder.course import Course
    from autograder.execute import Limits
    from autograder.grade import grade
    from autograder.results import OUTCOMES

    course = Course(options.course)
    limits = Limits(cell_seconds=options.cell_seconds, total_seconds=options.total_seconds)
    results = grade(
        options.root,
        options.assignment,
        options.submissions,
        course,
        limits,
        report=lambda line: print(line, flush=True),
        student=options.student,
        regrade=options.regrade,
    )
    done = [result for result in results.values() if result is not None]
    print(f"\n{len(done)} graded, {len(results) - len(done)} unchanged; gradebook: {_here(course.database)}")
    for outcome, times in Counter(result.outcome for result in done).most_common():
        print(f"  {times:>4}  {outcome}: {OUTCOMES[outcome]}")
    return 1 if any(result.outcome == "grader-error" for result in done) else 0


def _feedback(options: argparse.Namespace) -> int:
    from autograder.course import Course
    from autograder.feedback import write_feedback

    pages = write_feedback(Course(options.course), options.assignment, options.student)
    for page in pages:
        print(f"wrote {_here(page)}")
    return 0


def _export(options: argparse.Namespace) -> int:
    from autograder.course import Course
    from autograder.export import marks, to_csv, write_csv

    course = Course(options.course)
    if str(options.csv) == "-":
        print(to_csv(marks(course, options.assignment)), end="")
    else:
        students = write_csv(course, options.assignment, options.csv)
        print(f"wrote {options.csv}: {students} {'student' if students == 1 else 'students'}")
    return 0


def _doctor(options: argparse.Namespace) -> int:
    from autograder.doctor import examine
    from autograder.execute import Limits

    limits = Limits(cell_seconds=options.cell_seconds, total_seconds=options.total_seconds)
    return 0 if examine(options.notebook, options.root / "notebooks", limits, say=print) else 1


if __name__ == "__main__":
    sys.exit(main())
