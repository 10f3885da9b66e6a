"""How the time of a run over a class grows with the class: 10, 100 and 1,000 submissions.

    python -m benchmarks.grader_scale --workers 2                  grades them, as ``benchmarks/grader.py`` does
    python -m benchmarks.grader_scale --workers 2 --pretend 0.5    a worker waits half a second for each instead

What is pretended is only that a student's code runs; cluster, parcels, gradebook and ledger are real. So this measures
what the class costs beyond the grading itself, and ``--pretend 0`` how fast results can be written down. For each class
the wall time is printed, the processor time of the one process that writes, and that process's memory after a tenth of
the class and at its end.
"""

import argparse
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path

import psutil

from autograder.classroom import grade
from autograder.cluster import UNIT, local_cluster
from autograder.course import Course
from autograder.grade import _notebook_result
from autograder.judge import fork_server
from autograder.limits import Limits
from autograder.results import Execution, Result, Verdict
from autograder.submission import mend, parse, read_bytes
from benchmarks import records
from benchmarks.grader import NAME, NOTEBOOK, write_class

WAIT = "wait.txt"  # beside the notebooks of a submission: how long grading it takes


def pretend(path: Path, assignment, limits, seed: int) -> Result:
    """Grade a submission without running it; see above."""
    began = time.monotonic()
    notebooks = []
    for template in assignment.templates.values():
        name = f"{template.name}.ipynb"
        mended = mend(parse(read_bytes(path / name, limits.file_bytes), name), template, name)
        checked = [exercise.name for exercise in template.exercises.values() if exercise.check]
        verdicts = {
            exercise: Verdict("passed" if number % 2 else "failed", "" if number % 2 else f"{exercise}: not yet.")
            for number, exercise in enumerate(checked)
        }
        for cell in mended.notebook.cells:
            if cell.cell_type == "code":
                cell.outputs = []
        notebooks.append(_notebook_result(template, mended, Execution(mended.notebook, verdicts=verdicts)))
    wait = float((path / WAIT).read_text())
    time.sleep(max(0.0, wait - (time.monotonic() - began)))
    return Result(assignment.name, notebooks, wait)


def measure(folder: Path, students: int, pretended: float | None, workers: int) -> list[str]:
    """Grade a class, and tell what it took: a row of the table."""
    root, names = write_class(folder, students)
    for name in names:
        if pretended is not None:
            (folder / "submitted" / name / NAME / WAIT).write_text(str(pretended))
    writer, memory = psutil.Process(), []

    def note(done: int, of: int) -> None:
        if done in (max(of // 10, 1), of):
            memory.append(writer.memory_info().rss / 1e6)

    began, processor = time.monotonic(), time.process_time()
    unit = UNIT if pretended is None else "benchmarks.grader_scale:pretend"
    with nullcontext() if pretended is not None else fork_server(Limits()):
        results = grade(
            root, NAME, folder / "submitted", Course(folder / "course"), Limits(), lambda line: None,
            cluster=lambda: local_cluster(workers), unit=unit, progress=note,
        )  # fmt: skip
    took, processor = time.monotonic() - began, time.process_time() - processor
    assert len(results) == students
    assert all(result is not None and result.outcome == "graded" for result in results.values())
    numbers = (f"{students}", f"{took:.1f}", f"{took / students:.3f}", f"{processor / students:.3f}")
    return [*numbers, f"{memory[0]:.0f}", f"{memory[-1]:.0f}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--students", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--pretend", type=float, metavar="SECONDS", help="wait so long for each, and run nothing")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--record", action="store_true", help="write the table to benchmarks/results/")
    options = parser.parse_args()
    what = "real grading" if options.pretend is None else f"{options.pretend:g} s of pretended grading a submission"
    print(f"{NAME}/{NOTEBOOK}, {options.workers} workers, {what}")
    heads = ["students", "s in all", "s each", "writer's s each", "MB after a tenth", "MB at the end"]
    print(" | ".join(heads), flush=True)
    rows = []
    for students in options.students:
        with tempfile.TemporaryDirectory(prefix="grader-scale-") as folder:
            row = measure(Path(folder), students, options.pretend, options.workers)
        rows.append(row)
        print(" | ".join(cell.rjust(len(head)) for cell, head in zip(row, heads, strict=True)), flush=True)
    if options.record:
        title = f"How the time of a run grows with the class, {what}"
        command = "python -m benchmarks.grader_scale"
        where = records.machine(1, ("nbgrader", "torch")) + f", {options.workers} workers"
        records.write(records.record(title, command, where, heads, rows), records.RESULTS / "grader_scale.json")


if __name__ == "__main__":
    main()
