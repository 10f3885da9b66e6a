"""The kill rate: counted while the mutants run, printed at the end, and recorded by `make mutants` for the book.

The record, `mutants/kill_rate.json`, is what the page "How this book is checked" shows. A test compares it with the
answers that there are now, so that it can't fall behind them.
"""

import datetime
import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.notebooks.mutants import ANSWERS, Answer
from tools.repository import commit

RECORD = Path(__file__).parent / "mutants" / "kill_rate.json"


def listing(answers: Iterable[Answer]) -> dict[str, dict[str, Any]]:
    """For each exercise the number of its wrong and of its right answers, and a fingerprint of all of them."""
    by_exercise: dict[str, list[Answer]] = {}
    for answer in answers:
        if not answer.borrowed:
            by_exercise.setdefault(answer.exercise, []).append(answer)
    return {
        exercise: {
            "wrong": sum(not answer.right for answer in own),
            "right": sum(answer.right for answer in own),
            "answers": hashlib.sha256("\n".join(sorted(f"{a.right} {a.what}" for a in own)).encode()).hexdigest()[:12],
        }
        for exercise, own in sorted(by_exercise.items())
    }


class MutantTally:
    """How many wrong answers lost their points, by which check, and how many right ones earned them."""

    def __init__(self) -> None:
        self.verdicts: dict[Answer, str | None] = {}
        self.earned: set[Answer] = set()

    def wrong(self, answer: Answer, killed_by: str | None) -> None:
        self.verdicts[answer] = killed_by

    def right(self, answer: Answer) -> None:
        self.earned.add(answer)

    def summary(self) -> str:
        verdicts = Counter(self.verdicts.values())
        killed, tried = verdicts["public"] + verdicts["hidden"], len(self.verdicts)
        return (
            f"mutants: {killed} of {tried} wrong answers lose their points ({100 * killed / tried:.1f} %), "
            f"{verdicts['public']} of them by the public check; {len(self.earned)} right ones earn theirs"
        )

    def complete(self) -> bool:
        """Whether every answer was tried."""
        judged = [answer for answer in ANSWERS if not answer.borrowed]
        return all(a in self.earned if a.right else a in self.verdicts for a in judged)

    def record(self) -> dict[str, Any]:
        exercises = listing(ANSWERS)
        for exercise, row in exercises.items():
            verdicts = Counter(found for answer, found in self.verdicts.items() if answer.exercise == exercise)
            row.update(public=verdicts["public"], hidden=verdicts["hidden"])
        return {"command": "make mutants", **_where_we_stand(), "exercises": exercises}


def _where_we_stand() -> dict[str, str]:
    import torch

    return {
        "commit": commit(),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "torch": torch.__version__.partition("+")[0],
    }


TALLY = MutantTally()


@pytest.fixture
def mutant_tally() -> MutantTally:
    return TALLY


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if TALLY.verdicts:
        terminalreporter.write_line(TALLY.summary())
    if os.environ.get("RECORD_KILL_RATE") != "1":
        return
    if not TALLY.complete():
        terminalreporter.write_line("the kill rate is not recorded: not every answer was tried and passed", red=True)
        return
    RECORD.write_text(json.dumps(TALLY.record(), indent=1) + "\n", encoding="utf-8")
    terminalreporter.write_line(f"recorded in {RECORD.relative_to(terminalreporter.config.rootpath)}")
