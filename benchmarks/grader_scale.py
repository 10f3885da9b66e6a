"""How the time of a run over a class grows with the class: 10, 100 and 1,000 submissions.

    python -m benchmarks.grader_scale --seconds 0.5 --workers 2

All of a run is real (cluster, parcels, gradebook, ledger) but for one thing: no student's code runs. Instead a worker
waits ``--seconds`` for each submission, and gives every second exercise its points. So this measures what the class
costs beyond the grading itself; ``--seconds 0`` shows how fast results can be written down. For each class it prints
the wall time, the processor time of the one process that writes, and that process's memory after a tenth of the class
and at its end.
"""

import argparse
import shutil
import tempfile
import time
from pathlib import Path

import psutil

from autograder.classroom import grade
from autograder.cluster import local_cluster
from autograder.course import Course
from autograder.grade import _notebook_result
from autograder.limits import Limits
from autograder.results import Execution, Result, Verdict
from autograder.submission import mend, parse, read_bytes

ROOT = Path(__file__).resolve().parent.parent
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


def measure(folder: Path, assignment: str, students: int, seconds: float, workers: int) -> list[str]:
    """Grade a class, and tell what it took: a row of the table."""
    submissions = folder / "submissions"
    for i in range(students):
        place = submissions / f"s{i:04}"
        shutil.copytree(ROOT / "notebooks" / assignment, place, ignore=shutil.ignore_patterns(".*"))
        (place / WAIT).write_text(str(seconds))
    writer, memory = psutil.Process(), []

    def note(done: int, of: int) -> None:
        if done in (max(of // 10, 1), of):
            memory.append(writer.memory_info().rss / 1e6)

    began, processor = time.monotonic(), time.process_time()
    results = grade(
        ROOT, assignment, submissions, Course(folder / "course"), Limits(), lambda line: None,
        cluster=lambda: local_cluster(workers), unit="benchmarks.grader_scale:pretend", progress=note,
    )  # fmt: skip
    took, processor = time.monotonic() - began, time.process_time() - processor
    assert len(results) == students
    assert all(result is not None and result.outcome == "graded" for result in results.values())
    numbers = (f"{students}", f"{took:.1f}", f"{took / students:.3f}", f"{processor / students:.3f}")
    return [*numbers, f"{memory[0]:.0f}", f"{memory[-1]:.0f}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--assignment", default="vae")
    parser.add_argument("--students", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--seconds", type=float, default=0.5, help="what grading one submission takes (default: 0.5)")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    print(f"{options.assignment}, {options.workers} workers, {options.seconds:g} s of pretended grading a submission")
    heads = ["students", "s in all", "s each", "writer's s each", "MB after a tenth", "MB at the end"]
    print(" | ".join(heads), flush=True)
    for students in options.students:
        with tempfile.TemporaryDirectory(prefix="grader-scale-") as folder:
            row = measure(Path(folder), options.assignment, students, options.seconds, options.workers)
        print(" | ".join(cell.rjust(len(head)) for cell, head in zip(row, heads, strict=True)), flush=True)


if __name__ == "__main__":
    main()
