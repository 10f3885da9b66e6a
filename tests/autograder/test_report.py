"""The instructor's report and the students' feedback pages, of a class that was never run."""

import math
import re
import shutil
import statistics
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest
from nbgrader.api import Gradebook

from autograder.course import Course
from autograder.errors import UserError
from autograder.feedback import Reading, find_readings, head, write_feedback
from autograder.marks import Item, read_marks
from autograder.report import Report, discrimination, make_report
from autograder.report_page import bins, needs_attention, report_html
from autograder.template import Template
from tests.autograder.synthetic import Student, make_class

FAILS = (
    "mean: this does not hold yet: the mean of one number is that number.\n  for [3]\n  the result is 1.5, it must be 3"
)
HIDDEN = "mean: this does not hold yet: the mean does not depend on the order.\n1 earlier property holds."
UNWRITTEN = "mean is not written yet.\nReplace the line `raise NotImplementedError(...)` with your answer."
SECRET = "RuntimeError: hidden input 17"
EVIL = "<script>alert(1)</script><img src=x onerror=alert(1)>"
LONG = "\n".join(f"    x = torch.{name}(x, dim={i}) + torch.{name[::-1]}(x[{i}:])" for i, name in enumerate("abcdefgh"))


def people() -> list[Student]:
    """Who is in the class: three who have all, four who fail in ways that are told, and the troubled."""
    right = {f"right-{i}": Student(f"right-{i}", hand={"why": 4 + i / 2}) for i in range(3)}
    fails = {
        "fails-1": Student("fails-1", status={"mean": ("failed", FAILS)}, hand={"why": 2}),
        "fails-2": Student("fails-2", status={"mean": ("failed", FAILS.replace("3", "7"))}, hand={"why": 1}),
        "hidden": Student("hidden", status={"mean": ("failed", HIDDEN)}, hand={"why": 3}),
        "wrote-none": Student(
            "wrote-none",
            status={"mean": ("failed", UNWRITTEN), "double": ("failed", UNWRITTEN), "why": ("unanswered", "")},
        ),
    }
    not_run = dict.fromkeys(("double", "mean"), ("not-run", "Not graded.")) | {"why": ("unanswered", "")}
    troubled = {
        "loops": Student("loops", outcome="timed-out", message="cell 8 did not end", status={"mean": not_run["mean"]}),
        "killed": Student("killed", outcome="worker-killed", message="its worker died", status=not_run),
        "ours": Student("ours", outcome="grader-error", message=SECRET, status={"double": ("broken", SECRET)}),
        "noted": Student("noted", notes=["the check of mean had been changed"]),
        "evil": Student(
            "evil",
            EVIL,
            EVIL,
            status={"mean": ("failed", f"mean: this does not hold yet: {EVIL}\n  {EVIL}")},
            notes=[EVIL],
            own_cells=[f"def f(x):\n    '''{EVIL}'''\n{LONG}\n    return '{EVIL}'"],
            outcome="timed-out",
            message=EVIL,
            hand={"why": 0},
        ),
        "copies": Student("copies", own_cells=[f"def g(x):\n{LONG}\n    return '{EVIL}'"], hand={"why": 5}),
        "absent": Student("absent", "Ada", "Zu", "ada@uni.example", handed_in=False),
    }
    return [*right.values(), *fails.values(), *troubled.values()]


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory, template: Template, root: Path, empty_gradebook: Path) -> Course:
    made = Course(tmp_path_factory.mktemp("class") / "course")
    make_class(made, empty_gradebook, "toy", {"lesson": template}, people())
    shutil.copytree(root / "notebooks" / "toy", made.folder("release", ".", "toy"))
    return made


@pytest.fixture(scope="module")
def report(course: Course, root: Path) -> Report:
    return make_report(course, "toy", root)


class Page(HTMLParser):
    """The tags of a page with their attributes, and its text outside of styles."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text, self._style = "", False
        self.feed(html)
        self.text = " ".join(self.text.split())

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._style = tag == "style"

    def handle_endtag(self, tag):
        self._style = False

    def handle_data(self, data):
        self.text += "" if self._style else data


# ------------------------------------------------------------------ the numbers


def test_who_is_where(report: Report):
    assert len(report.handed_in) == 13
    assert [row.student for row in report.missing] == ["absent"]
    assert {row.student for row in report.waiting} == {"loops", "ours", "noted"}
    looks = [(look.row.student, look.what) for look in report.looks]
    assert looks[0] == ("ours", "grader-error")
    assert set(looks) == {
        ("ours", "grader-error"), ("loops", "timed-out"), ("killed", "worker-killed"), ("noted", "note"),
        ("evil", "timed-out"), ("evil", "note"),
    }  # fmt: skip


def test_an_exercise_s_facts(report: Report):
    facts = {one.item.name: one for one in report.items}
    mean = facts["mean"]
    # Right: three, ours, noted, copies. Wrong: fails-1, fails-2, hidden, evil.
    assert (mean.full, mean.none, mean.unwritten, mean.not_run, mean.waiting) == (6, 4, 1, 2, 0)
    assert mean.mean == pytest.approx(3 * 6 / 13)
    assert (mean.property_failed, mean.times) == ("the mean of one number is that number.", 2)
    assert "the result is 1.5" in mean.example
    assert "it must be 3" in mean.example
    why = facts["why"]
    assert (why.full, why.some, why.none, why.unwritten, why.waiting) == (2, 5, 1, 2, 3)
    assert why.mean == pytest.approx(statistics.fmean([4, 4.5, 5, 2, 1, 3, 0, 0, 0, 5]))
    for one in report.items:
        assert one.full + one.some + one.none + one.unwritten + one.not_run + one.waiting == 13


def test_discrimination_is_the_correlation_with_everything_else(report: Report):
    marks = read_marks_of(report)
    double = [row[0] for row in marks]
    rest = [row[1] + (row[2] or 0) for row in marks]
    # By the definition, spelled out.
    n, a, b = len(double), statistics.fmean(double), statistics.fmean(rest)
    covariance = sum((x - a) * (y - b) for x, y in zip(double, rest, strict=True)) / n
    want = covariance / (statistics.pstdev(double) * statistics.pstdev(rest))
    assert report.items[0].discrimination == pytest.approx(want)
    assert discrimination([1, 1, 1, 1, 1], [1, 2, 3, 4, 5]) is None
    assert discrimination([0, 1, 0], [1, 2, 3]) is None
    assert discrimination([0, 0, 1, 1, 1], [5, 4, 1, 2, 0]) < 0


def read_marks_of(report: Report) -> list[tuple[float, float, float | None]]:
    return [(row.scores[0] or 0.0, row.scores[1] or 0.0, row.scores[2]) for row in report.handed_in]


@pytest.mark.parametrize(
    ("totals", "most", "want"),
    [
        ([0, 9.99, 10, 100], 100, {0: 2, 1: 1, 9: 1}),
        ([-1, 101], 100, {0: 1, 9: 1}),
        ([0.3], 1, {3: 1}),  # 10 * 0.3 / 1 is 3, and 0.3 is a little less
        ([], 5, {}),
    ],
)
def test_bins(totals: list[float], most: float, want: dict[int, int]):
    assert {i: count for i, count in enumerate(bins(totals, most)) if count} == want


def test_similar_code_is_in_it(report: Report):
    (pair,) = report.pairs
    assert (pair.first, pair.second) == ("copies", "evil")
    assert report.copies == ()
    assert report.compared == 2  # the others handed the released notebook in as it is


def test_one_notebook_of_two_is_work_handed_in(course: Course, root: Path):
    marks = read_marks(course, "toy")
    row = next(row for row in marks.rows if row.student == "right-0")
    record = row.record | {"outcome": "missing", "message": "there is no second.ipynb"}
    part = replace(row, scores=(*row.scores, 0.0), record=record)
    assert (part.missing, part.outcome) == (False, "missing in part")
    two = replace(marks, items=(*marks.items, Item("last", "second", 3)))
    assert "no second.ipynb" not in head(two, part, "lesson", READINGS)
    assert "Something went wrong: there is no second.ipynb." in head(two, part, "second", READINGS)
    nothing = [one | {"status": "not-run"} for one in row.record["exercises"]]
    assert replace(part, record=part.record | {"exercises": nothing}).missing


def test_nothing_graded_is_told(course: Course, root: Path, tmp_path: Path, template: Template, empty_gradebook: Path):
    empty = Course(tmp_path / "course")
    make_class(empty, empty_gradebook, "toy", {"lesson": template}, [Student("absent", handed_in=False)])
    with pytest.raises(UserError, match="nothing of toy was graded"):
        make_report(empty, "toy", root)
    with pytest.raises(UserError, match="no assignment 'gan'"):
        make_report(course, "gan", root)


# ------------------------------------------------------------------ the page


def test_the_page_stands_alone_and_nothing_in_it_runs(report: Report):
    html = report_html(report)
    page = Page(html)
    kinds = {tag for tag, _ in page.tags}
    assert kinds.isdisjoint({"script", "img", "iframe", "link", "object", "embed", "form", "base"})
    for tag, attributes in page.tags:
        assert not any(name.startswith("on") for name in attributes), (tag, attributes)
        for name in ("href", "src", "action"):
            assert (attributes.get(name) or "#").startswith("#")
    assert "url(" not in html
    assert "@import" not in html
    assert html.count(EVIL) == 0
    assert EVIL in page.text
    assert "default-src 'none'" in html


def test_every_tag_is_closed(report: Report):
    for names in (True, False):
        html = report_html(report, names)
        for tag in (
            "table",
            "tr",
            "td",
            "th",
            "details",
            "ul",
            "li",
            "div",
            "span",
            "svg",
            "pre",
            "p",
            "figure",
            "main",
        ):
            opened, closed = (len(re.findall(rf"<{end}{tag}[\s>]", html)) for end in ("", "/"))
            assert opened == closed, tag


def test_charts_say_in_words_what_they_show(report: Report):
    page = Page(report_html(report))
    pictures = [attributes for tag, attributes in page.tags if attributes.get("role") == "img"]
    assert len(pictures) == 1 + len(report.items)
    for attributes in pictures:
        assert attributes.get("aria-label") or attributes.get("aria-labelledby")
    assert "6 all points, 4 wrong, 1 not written, 2 not run" in [a.get("aria-label") for a in pictures]
    counts = bins([row.total for row in report.handed_in], 10)
    assert f"{10 * 9 / 10:g} to 10: {counts[9]}" in page.text


def test_the_bars_are_as_high_as_the_counts(report: Report):
    html = report_html(report)
    heights = [float(h) for h in re.findall(r'<rect [^>]*height="([\d.]+)"', html)]
    counts = [count for count in bins([row.total for row in report.handed_in], 10) if count]
    assert len(heights) == len(counts)
    for height, count in zip(heights, counts, strict=True):
        assert math.isclose(height / heights[0], count / counts[0], rel_tol=0.01)


def test_the_page_names_people_only_if_asked_to(report: Report):
    with_names, without = Page(report_html(report)).text, Page(report_html(report, names=False)).text
    for row in (*report.handed_in, *report.missing):
        if row.student in ("loops", "killed", "ours", "noted", "evil", "copies", "absent"):
            assert row.student in with_names
        assert f"({row.student})" not in without
    assert "ada@uni.example" in with_names
    assert "ada@uni.example" not in without
    assert "Distribution of points" in without
    assert "Similar code" not in without


def test_the_method_is_stated_with_its_thresholds(report: Report):
    text = Page(report_html(report)).text
    for told in ("Winnowing", "12 tokens", "60 %", "80 %", "70 %", "no proof"):
        assert told in text


def test_the_terminal_gets_the_same_in_short(report: Report):
    assert list(needs_attention(report)) == [
        "13 handed in, 1 missing", "5 need a look", "3 answers to grade by hand", "1 pair with similar code"
    ]  # fmt: skip


# ------------------------------------------------------------------ feedback


READINGS = {
    "mean": Reading("toy-mean", "On <means>", "https://book.example/means.html#equation-toy-mean"),
    "double": Reading("toy-double", "On doubles"),
}


@pytest.fixture(scope="module")
def heads(course: Course) -> dict[str, str]:
    marks = read_marks(course, "toy")
    return {row.student: head(marks, row, "lesson", READINGS) for row in marks.rows if row.outcome != "missing"}


def test_a_head_tells_the_property_and_the_smallest_input(heads: dict[str, str]):
    text = Page(heads["fails-1"]).text
    assert "mean: not yet 0 of 3 points. This does not hold yet: the mean of one number is that number." in text
    assert "for [3] the result is 1.5, it must be 3" in text
    assert "<pre>for [3]\nthe result is 1.5, it must be 3</pre>" in heads["fails-1"]
    assert "double: right 2 of 2 points." in text
    assert "4 of 10 points" in text


def test_a_head_leads_to_the_equation_of_what_was_missed(heads: dict[str, str]):
    links = [attributes.get("href") for tag, attributes in Page(heads["fails-1"]).tags if tag == "a"]
    assert links == ["#check-double", "#check-mean", READINGS["mean"].address, "#why"]
    assert "in the chapter 'On <means>'" in Page(heads["fails-1"]).text
    assert READINGS["mean"].address not in heads["right-0"]


def test_a_check_s_own_pointer_is_linked_not_repeated(course: Course):
    marks = read_marks(course, "toy")
    row = next(row for row in marks.rows if row.student == "fails-1")
    told = f"{FAILS}\nTo read: equation toy-mean in the chapter 'On means'."
    row.record["exercises"] = [{"name": "mean", "status": "failed", "points": 0, "message": told}]
    html = head(marks, row, "lesson", READINGS)
    assert html.count("in the chapter") == 1
    assert html.count(READINGS["mean"].address) == 1


def test_a_head_says_what_went_wrong_what_waits_and_what_was_noted(heads: dict[str, str]):
    assert "Something went wrong: cell 8 did not end." in heads["loops"]
    assert "1 answer waits to be graded by hand and may add points." in heads["loops"]
    assert "why: to be read 5 points, to be graded by hand." in Page(heads["loops"]).text
    assert "Note: the check of mean had been changed." in heads["noted"]
    assert "No answer was written." in heads["wrote-none"]


def test_nothing_of_a_hidden_check_but_the_property_is_told(heads: dict[str, str]):
    text = Page(heads["hidden"]).text
    assert "the mean does not depend on the order" in text
    assert "<pre>" not in heads["hidden"]


def test_a_failure_of_ours_is_told_without_its_message(course: Course, heads: dict[str, str]):
    assert heads["ours"].count("no fault of yours") == 2  # above, and at the exercise
    assert SECRET not in heads["ours"]
    marks = read_marks(course, "toy")
    row = next(row for row in marks.rows if row.student == "ours")
    for one in row.record["exercises"]:
        one.update(status="not-run", message=f"Not graded: {SECRET}.", points=0)
    html = head(marks, row, "lesson", READINGS)
    assert SECRET not in html
    assert "no fault of yours" in html


def test_what_students_wrote_is_text_in_a_head(heads: dict[str, str]):
    page = Page(heads["evil"])
    assert EVIL in page.text
    assert {tag for tag, _ in page.tags}.isdisjoint({"script", "img"})


def test_lateness_is_told_with_the_policy(course: Course, tmp_path: Path):
    late = Course(tmp_path / "course")
    shutil.copytree(course.root, late.root)
    settings = late.root / "nbgrader_config.py"
    settings.write_text(
        settings.read_text()
        + 'c.AssignLatePenalties.plugin_class = "autograder.lateness.LatePolicy"\n'
        + 'c.LatePolicy.due = {"toy": "2026-12-01 12:00 UTC"}\n'
    )
    with closing(Gradebook(f"sqlite:///{late.database}")) as gradebook:
        gradebook.find_submission("toy", "right-0").timestamp = datetime(2026, 12, 2, 13, 0)
        gradebook.db.commit()
    (path,) = write_feedback(late, "toy", "right-0", READINGS)
    text = Page(path.read_text(encoding="utf-8")).text
    assert "Handed in 1 d 1 h late, late penalty 1.8" in text
    assert "Due 2026-12-01 12:00 UTC, 15 minutes of grace, then 10 % of the points earned for each day begun" in text


def test_a_page_has_one_head_and_fits_a_phone(course: Course):
    (path,) = write_feedback(course, "toy", "fails-1", READINGS)
    html = path.read_text(encoding="utf-8")
    assert html.count('<section class="gm-head">') == 1
    assert html.count('name="viewport"') == 1
    assert html.index('<section class="gm-head">') < html.index("A lesson for the grader")
    targets = set(re.findall(r'<a name="([^"]+)"', html))
    for link in re.findall(r'<h2><a href="#([^"]+)"', html):
        assert link in targets


def test_readings_come_from_the_sources_and_the_book():
    repository = Path(__file__).resolve().parents[2]
    readings = find_readings(repository, "vae", "https://book.example/")
    assert readings["kl_normal"] == Reading(
        "kl-gaussians",
        "The evidence lower bound",
        "https://book.example/book/1-vae/elbo.html#equation-kl-gaussians",
    )
    assert find_readings(repository, "no-such-assignment") == {}
