"""The page "How this book is checked": its figures are counted right, and a record that is wrong stops the build."""

import importlib
import json
import sys
import textwrap
from pathlib import Path
from types import SimpleNamespace

import pytest
from bs4 import BeautifulSoup

from tests.plugins.ledger import book_ledger
from tools import check_book

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def checked():
    sys.path.insert(0, str(ROOT / "book" / "_ext"))
    yield importlib.import_module("checked")
    sys.path.remove(str(ROOT / "book" / "_ext"))


def text(made) -> str:
    return "\n".join(node.astext() for node in made)


TESTS = """
    import itertools
    import math
    import sympy as sp
    from scipy import integrate
    from torch.distributions import Normal

    GRID = list(itertools.product([0, 1], repeat=2))

    def area(f):
        return integrate.quad(f, 0, 1)

    def unused():
        return sp.Symbol("x")

    def test_area():
        assert area(math.sin)

    def test_density(normal):
        assert normal.log_prob(GRID[0])

    def normal():
        return Normal(0, 1)

    def test_sum():
        assert math.fsum([1]) == 1
"""


def test_a_test_counts_under_what_it_calls_also_through_helpers_and_fixtures(checked, tmp_path):
    (tmp_path / "test_it.py").write_text(textwrap.dedent(TESTS))
    names = ("test_area", "test_density", "test_sum")
    found = checked.oracles(tmp_path, [SimpleNamespace(file="test_it.py", name=name) for name in names])
    library, enumeration = list(checked.ORACLES)[2], list(checked.ORACLES)[5]
    assert found["test_it.py", "test_area"] == {"numerical integration"}
    assert found["test_it.py", "test_density"] == {library, enumeration}
    assert found["test_it.py", "test_sum"] == {checked.OWN}


@pytest.fixture
def repository(tmp_path) -> Path:
    """One notebook with one exercise graded by code and one by hand, and a record in which a wrong answer survives."""
    (tmp_path / "notebooks" / "a").mkdir(parents=True)
    flags = {"grade": True, "points": 4}
    cells = [
        {"metadata": {"nbgrader": {**flags, "grade_id": "check-double", "solution": False}}},
        {"metadata": {"nbgrader": {**flags, "grade_id": "why", "solution": True}}},
        {"metadata": {}},
    ]
    (tmp_path / "notebooks" / "a" / "b.ipynb").write_text(json.dumps({"cells": cells}))
    record = {"commit": "abc", "date": "2026-01-02", "torch": "2"}
    record["exercises"] = {"double": {"wrong": 8, "right": 3, "public": 5, "hidden": 2}}
    (tmp_path / "tests" / "notebooks" / "mutants").mkdir(parents=True)
    (tmp_path / "tests" / "notebooks" / "mutants" / "kill_rate.json").write_text(json.dumps(record))
    return tmp_path


def test_a_wrong_answer_that_survives_shows_in_the_kill_rate(checked, repository):
    said = text(checked.exercise_figures(repository))
    assert "2 exercises, of which 1 are graded by hand" in said
    assert "8 wrong answers, and 7 of them lose their points: a kill rate of 87.5\N{NO-BREAK SPACE}%" in said


def test_an_exercise_that_the_record_does_not_know_is_an_error(checked, repository):
    path = repository / "tests" / "notebooks" / "mutants" / "kill_rate.json"
    path.write_text(path.read_text().replace("double", "triple"))
    with pytest.raises(checked.CheckedError, match="recorded without double: run `make mutants`"):
        checked.exercise_figures(repository)


def test_an_attack_of_a_new_kind_asks_to_be_explained(checked, tmp_path):
    folder = tmp_path / "tests" / "autograder" / "attacks"
    folder.mkdir(parents=True)
    for name in ("forge_one", "forge_two", "read_one"):
        (folder / f"{name}.py").touch()
    assert "3 submissions attack the grader" in text(checked.attack_figures(tmp_path))
    (folder / "charm_one.py").touch()
    with pytest.raises(checked.CheckedError, match="ATTACKS what the files named charm_"):
        checked.attack_figures(tmp_path)


def test_what_the_look_at_the_pages_records_is_what_the_page_shows(checked, tmp_path, monkeypatch):
    monkeypatch.setattr(check_book, "RECORD", tmp_path / "tests" / "book" / "pages.json")
    check_book.RECORD.parent.mkdir(parents=True)
    views = [
        check_book.View("book/a", "light", 1280, weight=200_000, requests=20, shift=0.01),
        check_book.View("book/a", "dark", 390, weight=210_400, requests=21, shift=0.02),
        check_book.View("book/b", "light", 1280, weight=90_000, requests=30, shift=0.003),
    ]
    frames = [check_book.Frame("bell", "book/a", width, took) for width, took in ((1280, 7.04), (390, 5))]
    check_book.write_record(views, frames)
    said = text(checked.page_figures(tmp_path))
    for part in (
        "all 2 pages passed, and so did all 1 figures",
        "the heaviest, book/a, 210 KB; no page makes more than 30 requests",
        "0.010 in a wide window and 0.020 in a narrow one",
        "bell",
        "7.0",
        "5.0",
    ):
        assert part in said


RESULT = {
    "title": "Training",
    "command": "python benchmarks/x.py",
    "machine": "two cores",
    "date": "2026-01-02",
    "commit": "abc",
    "columns": ["model", "seconds"],
    "rows": [["VAE", 3.5]],
}


def test_a_recorded_benchmark_is_shown_with_its_machine_date_and_commit(checked, tmp_path):
    assert "No result has been recorded" in text(checked.benchmark_figures(tmp_path))
    (tmp_path / "benchmarks" / "results").mkdir(parents=True)
    (tmp_path / "benchmarks" / "results" / "x.json").write_text(json.dumps(RESULT))
    said = text(checked.benchmark_figures(tmp_path))
    for part in ("python benchmarks/x.py on two cores, 2026-01-02, commit abc.", "VAE", "3.5"):
        assert part in said


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "x.json can't be read"),
        (json.dumps({**RESULT, "rows": [["VAE"]]}), "x.json: a row has 1 cells, and there are 2 columns"),
        (json.dumps({k: v for k, v in RESULT.items() if k not in ("date", "commit")}), "x.json has no date, commit"),
    ],
)
def test_a_record_that_can_t_be_shown_is_an_error(checked, tmp_path, content, said):
    (tmp_path / "benchmarks" / "results").mkdir(parents=True)
    (tmp_path / "benchmarks" / "results" / "x.json").write_text(content)
    with pytest.raises(checked.CheckedError, match=said):
        checked.benchmark_figures(tmp_path)


def test_the_page_shows_what_there_is_now(site):
    page = BeautifulSoup((site / "book/reference/checked.html").read_text("utf-8"), "html.parser").get_text()
    assert f"The book has {len(book_ledger(ROOT).labels(ROOT))} labelled equations." in page
    assert f"{len(list((ROOT / 'tests/autograder/attacks').glob('*.py')))} submissions attack the grader" in page
    record = json.loads((ROOT / "tests/notebooks/mutants/kill_rate.json").read_text("utf-8"))
    assert f"there are {sum(row['wrong'] for row in record['exercises'].values())} wrong answers" in page
    assert f"at commit {record['commit']}" in page
