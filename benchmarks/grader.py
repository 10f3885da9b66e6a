"""What a submission costs: our grader against ``nbgrader autograde``, interleaved in one run.

    python -m benchmarks.grader --students 16 --rounds 2

The class hands in ``vae/bound.ipynb``, which ends by training a small autoencoder. Student i has written the first i
exercises and left the rest (and begins anew after the last), so the public checks, which are all that nbgrader runs,
decide every mark, and the two must agree on each. A round grades the class with nbgrader, then with ours, each from a
fresh course folder; each includes the gradebook and the feedback pages, and ours the start of its workers and
sandboxes. nbgrader grades one submission after another; ours has one worker for each core. All have one torch thread.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat

from autograder.course import Course
from autograder.environment import cores
from autograder.gradebook import register
from autograder.source import read_assignment
from benchmarks import records

ROOT = Path(__file__).resolve().parent.parent
NAME, NOTEBOOK = "vae", "bound"
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "GENMODELS_SCALE": "smoke", "PYTHONPATH": str(ROOT)}


def write_class(folder: Path, students: int) -> tuple[Path, list[str]]:
    """Write a repository's root with this one notebook, and the submissions as nbgrader lays them out.

    Gives the root and the students' names; the submissions are in ``folder/submitted``.
    """
    root = folder / "root"
    (root / "solutions" / NAME).mkdir(parents=True)
    shutil.copyfile(ROOT / "solutions" / NAME / f"{NOTEBOOK}.py", root / "solutions" / NAME / f"{NOTEBOOK}.py")
    course = Course(folder / "made")
    course.make()
    register(course, root, NAME, read_assignment(root / "solutions", NAME))
    solved = nbformat.read(course.folder("source", ".", NAME) / f"{NOTEBOOK}.ipynb", as_version=4)
    released = nbformat.read(course.folder("release", ".", NAME) / f"{NOTEBOOK}.ipynb", as_version=4)
    answers = [i for i, cell in enumerate(released.cells) if cell.metadata.get("nbgrader", {}).get("solution")]
    names = [f"student{i:03}" for i in range(students)]
    for number, name in enumerate(names):
        notebook = nbformat.from_dict(released.copy())
        for at in answers[: number % (len(answers) + 1)]:
            notebook.cells[at] = solved.cells[at]
        place = folder / "submitted" / name / NAME
        place.mkdir(parents=True)
        nbformat.write(notebook, place / f"{NOTEBOOK}.ipynb")
    shutil.rmtree(course.root)
    return root, names


def by_nbgrader(folder: Path, root: Path) -> tuple[float, dict[str, float]]:
    """Seconds and marks of plain nbgrader, its gradebook prepared beforehand."""
    course = Course(folder)
    course.make()
    register(course, root, NAME, read_assignment(root / "solutions", NAME))
    (folder / "nbgrader_config.py").write_text(
        'c = get_config()\nc.CourseDirectory.submitted_directory = "submitted"\n'
    )
    (folder / "submitted").symlink_to(folder.parent / "submitted")
    began = time.monotonic()
    for command in ("autograde", "generate_feedback"):
        run([sys.executable, "-m", "nbgrader", command, NAME], folder)
    return time.monotonic() - began, marks(course)


def by_ours(folder: Path, root: Path, workers: int) -> tuple[float, dict[str, float]]:
    """Seconds and marks of our grader, from nothing."""
    began = time.monotonic()
    grader = [sys.executable, "-m", "autograder", "--root", str(root)]
    submissions = str(folder.parent / "submitted")
    run(
        [*grader, "grade", NAME, "--submissions", submissions, "--course", str(folder), "--workers", str(workers)], ROOT
    )
    run([*grader, "feedback", NAME, "--course", str(folder)], ROOT)
    return time.monotonic() - began, marks(Course(folder))


def run(command: list[str], place: Path) -> None:
    done = subprocess.run(command, cwd=place, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{(done.stdout + done.stderr)[-3000:]}")


def marks(course: Course) -> dict[str, float]:
    """What the gradebook says of each student."""
    with course.gradebook(NAME) as gradebook:
        return {one.student.id: one.score for one in gradebook.find_assignment(NAME).submissions}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--students", type=int, default=18)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--workers", type=int, default=cores())
    parser.add_argument("--record", action="store_true", help="write the table to benchmarks/results/")
    options = parser.parse_args()
    seconds: dict[str, list[float]] = {"nbgrader": [], "ours": []}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        root, names = write_class(folder, options.students)
        print(f"{options.students} submissions of {NAME}/{NOTEBOOK}, {options.workers} workers")
        for number in range(options.rounds):
            theirs, expected = by_nbgrader(folder / f"nbgrader{number}", root)
            ours, found = by_ours(folder / f"ours{number}", root, options.workers)
            if found != expected or set(found) != set(names):
                sys.exit(f"the marks differ: {expected} by nbgrader, {found} by ours")
            seconds["nbgrader"].append(theirs)
            seconds["ours"].append(ours)
            each = {name: values[-1] / options.students for name, values in seconds.items()}
            told = ", ".join(f"{name} {value:.2f} s" for name, value in each.items())
            print(
                f"round {number + 1}: {told} a submission; {each['nbgrader'] / each['ours']:.1f} times the throughput"
            )
    middle = {name: statistics.median(values) / options.students for name, values in seconds.items()}
    ratio = middle["nbgrader"] / middle["ours"]
    print(f"median: nbgrader {middle['nbgrader']:.2f} s, ours {middle['ours']:.2f} s a submission; {ratio:.1f} times")
    print(f"the marks of all {options.students} agree; range {min(expected.values()):g} to {max(expected.values()):g}")
    if options.record:
        columns = ("Grader", *(f"Round {number + 1}, s" for number in range(options.rounds)), "Median, s", "Throughput")
        rows = []
        for name, values in seconds.items():
            each = [f"{value / options.students:.2f}" for value in values]
            rows.append([name, *each, f"{middle[name]:.2f}", f"{middle['nbgrader'] / middle[name]:.1f} times"])
        title = f"Seconds a submission, gradebook and feedback included, for a class of {options.students}"
        where = records.machine(1, ("nbgrader", "torch")) + f", {options.workers} workers"
        records.write(records.record(title, "make bench-grader", where, columns, rows), records.RESULTS / "grader.json")


if __name__ == "__main__":
    main()
