"""Late work: a policy for nbgrader's late-submission plugin, switched on in a course's ``nbgrader_config.py``.

nbgrader reckons a penalty once, when it grades. A mark given by hand afterwards, or a policy changed since, would leave
it stale, so ``settle`` reckons all penalties anew before marks are read.
"""

import math
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from nbgrader.api import Gradebook
from nbgrader.plugins import LateSubmissionPlugin
from traitlets import Dict, Float, TraitError
from traitlets.config import Config

from autograder.course import Course, naming_trouble
from autograder.errors import UserError

PLUGIN = "autograder.lateness.LatePolicy"
DAY = 24 * 3600.0


class LatePolicy(LateSubmissionPlugin):
    """So many percent of the points earned for each day begun after the due date, down to a floor."""

    due = Dict(help="The due date of each assignment: '2026-12-01 23:59 Europe/Berlin'. None: never late.").tag(
        config=True
    )
    extensions = Dict(help="Hours granted beyond the due date: {assignment: {student: hours}}.").tag(config=True)
    grace_minutes = Float(15.0, min=0, help="Up to this late is not late at all.").tag(config=True)
    percent_per_day = Float(10.0, min=0, max=100, help="Taken off for each day begun after the grace.").tag(config=True)
    floor_percent = Float(50.0, min=0, max=100, help="What late work keeps of its points, at the least.").tag(
        config=True
    )

    def late_submission_penalty(self, student_id: str, score: float, total_seconds_late: float) -> float | None:
        """The points to take off a notebook's score; None if nothing is."""
        beyond = total_seconds_late - 60 * self.grace_minutes
        if beyond <= 0:
            return None
        percent = min(self.percent_per_day * math.ceil(beyond / DAY), 100 - self.floor_percent)
        return round(score * percent / 100, 2) or None

    def describe(self, assignment: str) -> str:
        """The policy in a sentence, for the pages that apply it."""
        due = self.due.get(assignment)
        if due is None:
            return "No due date is set, so nothing is late."
        return (
            f"Due {due}, {self.grace_minutes:g} minutes of grace, then {self.percent_per_day:g} % of the points earned "
            f"for each day begun, and never more than {100 - self.floor_percent:g} %."
        )


def policy(course: Course, assignment: str) -> LatePolicy | None:
    """The course's late policy, or None where its ``nbgrader_config.py`` does not choose ours.

    Raises
    ------
    UserError
        If a setting of it is wrong.
    """
    config: Config = course.config(assignment)
    chosen = config.AssignLatePenalties.get("plugin_class")
    if chosen not in (PLUGIN, LatePolicy):
        return None
    try:
        made = LatePolicy(config=config)
    except TraitError as error:
        raise UserError(f"{course.root / 'nbgrader_config.py'}: {error}") from None
    for name in set(made.due):
        due_date(made, name)
    hours = made.extensions.get(assignment, {})
    if not isinstance(hours, dict) or not all(isinstance(h, int | float) and h >= 0 for h in hours.values()):
        raise UserError(f"LatePolicy.extensions[{assignment!r}] must be hours by student, 0 or more, got {hours!r}")
    if hours and assignment not in made.due:
        raise UserError(f"LatePolicy.extensions has {assignment!r}, and LatePolicy.due has not")
    return made


def due_date(chosen: LatePolicy, assignment: str) -> datetime | None:
    """An assignment's due date in UTC, without a zone, as nbgrader keeps it; None where there is none."""
    text = chosen.due.get(assignment)
    if text is None:
        return None
    try:
        day, clock, *zone = str(text).split()
        time = datetime.fromisoformat(f"{day} {clock}")
        if time.tzinfo is None:
            (name,) = zone
            time = time.replace(tzinfo=ZoneInfo(name))
    except (ValueError, ZoneInfoNotFoundError):
        raise UserError(
            f"LatePolicy.due[{assignment!r}] must be a date, a time and a zone, "
            f"as in '2026-12-01 23:59 Europe/Berlin', got {text!r}"
        ) from None
    return time.astimezone(ZoneInfo("UTC")).replace(tzinfo=None)


def enter_due_date(course: Course, gradebook: Gradebook, assignment: str) -> LatePolicy | None:
    """Write the due date, which nbgrader reckons lateness from, into the gradebook; return the policy that holds."""
    chosen = policy(course, assignment)
    if chosen is not None:
        known = gradebook.find_assignment(assignment)
        if known.duedate != (due := due_date(chosen, assignment)):
            known.duedate = due
            with naming_trouble(course.database):
                gradebook.db.commit()
    return chosen


def settle(course: Course, gradebook: Gradebook, assignment: str) -> None:
    """Reckon every penalty of an assignment anew, from the scores as they are now. Does nothing without our policy."""
    chosen = enter_due_date(course, gradebook, assignment)
    if chosen is None:
        return
    changes = {}
    for submission in gradebook.find_assignment(assignment).submissions:
        hours = chosen.extensions.get(assignment, {}).get(submission.student_id, 0)
        submission.extension = timedelta(hours=hours) if hours else None
        late = submission.total_seconds_late
        for notebook in submission.notebooks:
            penalty = chosen.late_submission_penalty(submission.student_id, notebook.score, late) if late > 0 else None
            if notebook.late_submission_penalty != penalty:
                changes[notebook] = penalty
    with naming_trouble(course.database):
        for notebook, penalty in changes.items():
            notebook.late_submission_penalty = penalty
        gradebook.db.commit()


def late_line(seconds_late: float, penalty: float) -> str:
    """Lateness in words: what a student and an export are told; empty if the work was in time."""
    if seconds_late <= 0:
        return f"late penalty {penalty:g}" if penalty else ""
    return f"{_length(seconds_late)} late, " + (f"late penalty {penalty:g}" if penalty else "no penalty")


def _length(seconds: float) -> str:
    days, rest = divmod(int(seconds), int(DAY))
    hours, minutes = rest // 3600, rest % 3600 // 60
    parts: list[tuple[Any, str]] = [(days, "d"), (hours, "h"), (minutes, "min")]
    return " ".join(f"{number} {unit}" for number, unit in parts if number) or "under a minute"
