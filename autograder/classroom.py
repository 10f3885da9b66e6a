"""Grade a folder of submissions into a course: what has changed, in parallel, and nothing twice."""

import hashlib
import json
import platform
import statistics
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

from distributed import Client

from autograder.cluster import UNIT, Crew, Differs, Job, Reply, describe_run, local_cluster
from autograder.course import Course
from autograder.environment import code_files, cores, digest, variables, versions
from autograder.errors import UserError
from autograder.grade import describe, not_graded, nothing_graded
from autograder.gradebook import Writer, register
from autograder.limits import Limits
from autograder.parcel import Parcel, pack
from autograder.results import OUTCOMES, Result
from autograder.source import read_assignment
from autograder.submission import Submission, find_submissions
from autograder.template import Assignment

Report = Callable[[str], None]
Cluster = Callable[[], AbstractContextManager[Client]]
Progress = Callable[[int, int], None]
# After these, the instructor must look: the mark says nothing about the work.
FAILURES = ("grader-error", "worker-killed")


def grade(
    root: Path,
    name: str,
    submissions: Path,
    course: Course,
    limits: Limits,
    report: Report,
    student: str | Collection[str] | None = None,
    regrade: bool = False,
    checks: tuple[str, str] = ("genmodels.checks", "autograder.hidden"),
    cluster: Cluster = lambda: local_cluster(cores()),
    progress: Progress = lambda done, of: None,
    unit: str = UNIT,
) -> dict[str, Result | None]:
    """Grade every submission of an assignment on a cluster, and write each into the course's gradebook as it is done.

    ``report`` gets a line for each, in the order in which they are done, and ``progress`` how many are done, of how
    many that are to be graded. A submission whose files, checks and environment are those of an earlier run is skipped
    (its result is None), unless ``regrade``. ``student`` picks one, or several. The results come without the executed
    notebooks. ``unit`` names, as "module:function", what grades one submission.

    Raises
    ------
    UserError
        If there is nothing to grade, the course folder is in use or can't be written, the cluster can't do it, or the
        sources or the checks change under way. What was graded until then is kept.
    """
    if not submissions.is_dir():
        raise UserError(f"{submissions} is not a folder")
    found, strays = find_submissions(submissions, name)
    for path in strays:
        report(f"ignored: {path} is " + ("a link" if path.is_symlink() else "in no student's folder"))
    if student is not None:
        picked = {student} if isinstance(student, str) else set(student)
        found = [one for one in found if one.student in picked]
    if not found:
        wanted = "no student's folder" if student is None else f"no folder of student {' or '.join(map(repr, picked))}"
        raise UserError(f"{submissions} holds {wanted}; it should hold <student>/{name}/*.ipynb or <student>/*.ipynb")
    sources = read_assignment(root / "solutions", name)
    with course.lock():
        assignment = Assignment(name, register(course, root, name, sources), *checks)
        run = _Run(root, course, assignment, limits, report, len(found), unit)
        for recovered in run.writer.recover():
            report(f"recovered: {recovered}, which an earlier run had graded and not yet written down")
        to_do = [one for one in found if regrade or not run.skip(one)]
        if to_do:
            with cluster() as client:
                for done, (one, result) in enumerate(run.grade(client, to_do), 1):
                    run.results[one.student] = result
                    progress(done, len(to_do))
    return {one.student: run.results[one.student] for one in found}


class _Run:
    """One run over a class: what is the same for all its submissions, and what became of each."""

    def __init__(
        self, root: Path, course: Course, assignment: Assignment, limits: Limits, report: Report, total: int, unit: str
    ) -> None:
        self._root, self._course, self._assignment, self._limits = root, course, assignment, limits
        self._report, self._total, self._unit = report, total, unit
        self._setting = _setting(root, assignment, limits)
        self.writer = Writer(course, assignment.name)
        self.results: dict[str, Result | None] = {}

    def skip(self, one: Submission) -> bool:
        """Whether this submission was graded as it is; then its line is told."""
        before = self.writer.ledger.last(self._assignment.name, one.student)
        if before is None or before["outcome"] == "grader-error" or not self._has_notebooks(one.student):
            return False
        try:
            parcel = self._pack(one)
        except OSError:  # told when it is graded
            return False
        if parcel.key(one.student, self._setting) != before["key"]:
            return False
        self.results[one.student] = None
        points = f"{before['points']:g} of {before['max_points']:g} points"
        self._tell(one.student, f"unchanged, {points} ({before['outcome']})")
        return True

    def grade(self, client: Client, to_do: list[Submission]) -> Iterator[tuple[Submission, Result]]:
        """Grade these, write each down, and give it back, in the order in which they are done."""
        crew = Crew(client, describe_run(self._assignment, self._limits, self._unit), self._report)
        under_way: dict[int, Submission] = {}

        def jobs() -> Iterator[Job]:
            for number, one in enumerate(to_do):
                try:
                    job = Job(number, self._pack(one), _seed(one.student, self._assignment.name))
                except OSError as error:
                    unreadable.append((one, not_graded(self._assignment, "not-readable", str(error))))
                    continue
                under_way[number] = one
                yield job

        unreadable: list[tuple[Submission, Result]] = []
        replies = crew.replies(jobs())
        try:
            for reply in replies:
                self._require_unchanged(list(under_way.values()))
                one = under_way.pop(reply.job.number)
                yield one, self._write(one, reply.job.parcel, self._result(reply))
        except Differs:  # it may be the code here that has changed
            self._require_unchanged(list(under_way.values()))
            raise
        finally:
            replies.close()
        for one, result in unreadable:
            yield one, self._write(one, Parcel([]), result)

    def _pack(self, one: Submission) -> Parcel:
        return pack(one.folder, self._assignment, self._limits.file_bytes)

    def _result(self, reply: Reply) -> Result:
        if reply.result is None:
            return not_graded(self._assignment, "worker-killed" if reply.killed else "grader-error", reply.problem)
        refused = dict(reply.job.parcel.refused)
        notebooks = []
        for notebook in reply.result.notebooks:
            if (why := refused.pop(f"{notebook.name}.ipynb", None)) is not None:
                notebook = nothing_graded(self._assignment.templates[notebook.name], "not-readable", why)
            notebooks.append(notebook)
        if refused:
            notes = [*notebooks[0].notes, *(f"{why}; it was left out" for why in refused.values())]
            notebooks[0] = replace(notebooks[0], notes=notes)
        return replace(reply.result, notebooks=notebooks)

    def _write(self, one: Submission, parcel: Parcel, result: Result) -> Result:
        key = parcel.key(one.student, self._setting)
        written = self.writer.write(one.student, key, parcel.handed_in(), result).without_notebooks()
        self.results[one.student] = written
        self._tell(one.student, describe(written))
        return written

    def _require_unchanged(self, under_way: list[Submission]) -> None:
        if _setting(self._root, self._assignment, self._limits) != self._setting:
            who = ", ".join(one.student for one in under_way[:5]) + (", ..." if len(under_way) > 5 else "")
            raise UserError(
                f"the course's own files changed while {who} {'was' if len(under_way) == 1 else 'were'} graded, and "
                "nothing of that was recorded; if it was not you who changed them, look at `git status` before you go "
                "on"
            )

    def _has_notebooks(self, student: str) -> bool:
        folder = self._course.folder("autograded", student, self._assignment.name)
        paths = [folder / f"{template}.ipynb" for template in self._assignment.templates]
        return all(path.is_file() and path.stat().st_size > 0 for path in paths)

    def _tell(self, student: str, line: str) -> None:
        self._report(f"[{len(self.results):>{len(str(self._total))}}/{self._total}] {student}: {line}")


def _seed(student: str, assignment: str) -> int:
    """A seed of the student's own, the same at every run."""
    return int.from_bytes(hashlib.sha256(f"{assignment}/{student}".encode()).digest()[:4])


def _setting(root: Path, assignment: Assignment, limits: Limits) -> str:
    """The part of the key that is the same for all: the sources, the checks, the limits and the environment."""
    sources = [(path.name, path) for path in sorted((root / "solutions" / assignment.name).glob("*.py"))]
    code = digest([*sources, *code_files((assignment.public, assignment.hidden))])
    about = [code, versions(), platform.machine(), variables(), astuple(limits)]
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


# ------------------------------------------------------------------ the summary


def summary(results: dict[str, Result | None], records: dict[str, dict[str, Any]], seconds: float) -> list[str]:
    """What to say at the end of a run. ``records`` are the ledger's, of all students; ``seconds`` is what it took."""
    done = [result for result in results.values() if result is not None]
    lines = [f"{len(done)} graded, {len(results) - len(done)} unchanged"]
    if done:
        each = seconds / len(done)
        lines[0] += f"; {seconds:.1f} s, {each:.2f} s a submission, {3600 / each:.0f} an hour"
    outcomes = Counter(records[student]["outcome"] for student in results)
    lines += [f"  {times:>4}  {outcome}: {OUTCOMES.get(outcome, '')}" for outcome, times in outcomes.most_common()]
    points = sorted(records[student]["points"] for student in results)
    most = max(records[student]["max_points"] for student in results)
    if len(points) > 1:
        low, middle, high = statistics.quantiles(points, n=4, method="inclusive")
        lines.append(
            f"points of {most:g}: lowest {points[0]:g}, quarter {low:g}, median {middle:g}, three quarters {high:g}, "
            f"highest {points[-1]:g}  |{histogram(points, most)}|"
        )
    waiting = sum(records[student]["by_hand"] > 0 for student in results)
    if waiting:
        lines.append(f"{waiting} {'has' if waiting == 1 else 'have'} answers to be graded by hand, not counted above")
    return lines


def histogram(points: list[float], most: float, bins: int = 10) -> str:
    """Ten bars from no points to all, as high as there are students."""
    counts = [0] * bins
    for value in points:
        counts[min(int(value / most * bins), bins - 1) if most else 0] += 1
    bars = " ▁▂▃▄▅▆▇█"
    return "".join(bars[-(-count * (len(bars) - 1) // max(counts))] for count in counts)
