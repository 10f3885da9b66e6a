"""What grading gives back, and the append-only ledger that remembers it between runs."""

import json
import os
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

# Every outcome a submission can have, and what it means. The partial ones keep the points of what ran.
OUTCOMES = {
    "graded": "ran to its end",
    "timed-out": "partial: a cell, or the whole, ran past its time limit",
    "kernel-died": "partial: a cell ended the kernel",
    "too-much-output": "partial: a cell printed without end",
    "tampered": "partial: a cell interfered with the grading; look at what it does",
    "missing": "no notebook of that name was handed in",
    "empty": "the file has no content",
    "truncated": "the file breaks off in the middle",
    "not-json": "the file is not JSON",
    "not-a-notebook": "JSON, but not a notebook",
    "wrong-format": "a notebook format other than 4",
    "wrong-notebook": "a different notebook, or another assignment's",
    "too-large": "a file over the size limit",
    "not-a-file": "a link or a folder in the notebook's place",
    "not-readable": "the file system refused",
    "worker-killed": "its worker died each time it was tried: out of memory, perhaps, or the machine is failing",
    "grader-error": "the grader itself failed; tried again at the next run",
}


@dataclass(frozen=True)
class Verdict:
    """What the tests of one answer said. ``status`` is "passed", "failed", "not-run" or "broken" (our fault)."""

    status: str
    message: str
    printed: str = ""


@dataclass
class Execution:
    """A run notebook: its cells carry their outputs. ``outcome`` is "graded" when it ran to its end."""

    notebook: NotebookNode
    outcome: str = "graded"
    message: str = ""
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def trouble(self, outcome: str, message: str) -> None:
        """Record what went wrong first."""
        if self.outcome == "graded":
            self.outcome, self.message = outcome, message


@dataclass(frozen=True)
class ExerciseResult:
    """One exercise. ``status``: "passed", "failed", "not-run", "by-hand" (to be graded), "unanswered", "broken"."""

    name: str
    status: str
    points: float
    max_points: float
    message: str = ""


@dataclass(frozen=True)
class NotebookResult:
    """One notebook. ``executed`` is what nbgrader gets: the mended notebook with its outputs and verdicts."""

    name: str
    outcome: str
    message: str
    exercises: list[ExerciseResult]
    executed: dict[str, Any]
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Result:
    """One submission. It is made of what JSON can hold, so that it can come from another process or machine."""

    assignment: str
    notebooks: list[NotebookResult]
    seconds: float = 0.0

    @property
    def outcome(self) -> str:
        """The notebooks' outcome; of several, the first that isn't "graded"."""
        return next((n.outcome for n in self.notebooks if n.outcome != "graded"), "graded")

    @property
    def message(self) -> str:
        return "; ".join(n.message for n in self.notebooks if n.message)

    @property
    def points(self) -> float:
        return sum(e.points for n in self.notebooks for e in n.exercises)

    @property
    def max_points(self) -> float:
        return sum(e.max_points for n in self.notebooks for e in n.exercises)

    @property
    def by_hand(self) -> int:
        """How many answers wait to be graded by hand."""
        return sum(e.status == "by-hand" for n in self.notebooks for e in n.exercises)

    def failed(self, message: str) -> "Result":
        """The result when it could not be written down: a failure of ours, and no points."""
        notebooks = [
            replace(n, outcome="grader-error", message=message if n is self.notebooks[0] else "", exercises=[
                replace(e, status="not-run", points=0.0, message=message) for e in n.exercises
            ])
            for n in self.notebooks
        ]  # fmt: skip
        return replace(self, notebooks=notebooks)

    def without_notebooks(self) -> "Result":
        """The result without the executed notebooks, which can be large, and which ``autograded/`` has."""
        return replace(self, notebooks=[replace(n, executed={}) for n in self.notebooks])

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Result":
        data = json.loads(text)
        notebooks = [
            NotebookResult(**{**n, "exercises": [ExerciseResult(**e) for e in n["exercises"]]})
            for n in data["notebooks"]
        ]
        return cls(data["assignment"], notebooks, data["seconds"])


class Ledger:
    """``results.jsonl``: one line for each grading, the last of a student's lines being the one that holds."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._last: dict[tuple[str, str], dict[str, Any]] = {}
        if path.is_file():
            with path.open("rb") as file:
                for line in file:
                    try:
                        record = json.loads(line)
                        self._last[record["assignment"], record["student"]] = record
                    except (ValueError, KeyError, TypeError):
                        continue  # a line cut short by a crash: that submission is graded again

    def last(self, assignment: str, student: str) -> dict[str, Any] | None:
        """The record that holds for a student, or None."""
        return self._last.get((assignment, student))

    def append(self, student: str, key: str, result: Result, grading: str = "") -> None:
        """Write a result down, without its executed notebooks (those are in ``autograded/``); it is on the disk then.

        ``key`` says what was graded, ``grading`` is an id of this one time.
        """
        record = {
            "assignment": result.assignment,
            "student": student,
            "key": key,
            "grading": grading,
            "outcome": result.outcome,
            "message": result.message,
            "points": result.points,
            "max_points": result.max_points,
            "by_hand": result.by_hand,
            "seconds": round(result.seconds, 2),
            "exercises": [asdict(e) for n in result.notebooks for e in n.exercises],
            "notes": [note for n in result.notebooks for note in n.notes],
        }
        with self._path.open("ab+") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(size - 1, 0))
            cut_short = file.read(1) not in (b"", b"\n")  # a line of a run that was killed
            file.write(b"\n" * cut_short + json.dumps(record).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self._last[result.assignment, student] = record
