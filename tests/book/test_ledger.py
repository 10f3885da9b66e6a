"""The equation ledger: its reading of pages and tests, and that each of its two halves fails when it should."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.plugins.ledger import book_ledger
from tools import formulas

ROOT = Path(__file__).resolve().parents[2]
ledger = book_ledger(ROOT)

CONF = """
import sys
sys.path.insert(0, {ext!r})
extensions = ["sphinx_external_toc", "myst_parser", "sphinx_design", "derivation", "ledger"]
myst_enable_extensions = ["colon_fence", "dollarmath"]
external_toc_exclude_missing = True
exclude_patterns = ["_build"]
"""
TOC = "format: jb-book\nroot: index\nchapters: [{file: ledger}]\n"
PAGE = "# A page\n\n$$\na^2 + b^2 = c^2\n$$ (pythagoras)\n"
CLAIM = '''
    import pytest

    @pytest.mark.equation("pythagoras")
    def test_triangle():
        """Three, four, five."""
        assert 3**2 + 4**2 == 5**2
'''


def small_book(folder: Path, page: str = PAGE, tests: str = CLAIM) -> Path:
    """A book of two pages with the real extensions, and one test file."""
    (folder / "conf.py").write_text(CONF.format(ext=str(ROOT / "book" / "_ext")))
    (folder / "_toc.yml").write_text(TOC)
    (folder / "index.md").write_text(page)
    (folder / "ledger.md").write_text("# Ledger\n\n```{ledger}\n```\n")
    (folder / "tests").mkdir(exist_ok=True)
    (folder / "tests" / "test_it.py").write_text(textwrap.dedent(tests))
    return folder


# ------------------------------------------------------------------ reading


TRICKY = r"""# A page

$$
a
$$ (plain)

- in a list

  $$
  b
  $$ (listed)

```{math}
:label: directive
c
```

:::::{derivation} A derivation
:name: some-derivation

::::{move} A reason
:name: some-move
$$
d
$$ (nested)
::::
:::::

````{dropdown} Folded
```{math}
---
label: folded
---
e
```
````

```{code-block} python
text = '''
$$
f
$$ (not-an-equation)
'''
```

    $$
    g
    $$ (indented-code)

<!--
$$
h
$$ (commented)
-->
"""


def test_labels_are_found_wherever_an_equation_may_stand(tmp_path):
    found = ledger.labels(small_book(tmp_path, TRICKY))
    assert list(found) == ["plain", "listed", "directive", "nested", "folded"]
    lines = TRICKY.splitlines()
    assert lines[found["plain"][1] - 1] == "$$"
    assert lines[found["nested"][1] - 1] == "$$"
    assert lines[found["nested"][1]] == "d"
    assert "{math}" in lines[found["folded"][1] - 1]


def test_sphinx_finds_the_same_labels(tmp_path):
    tests = """
        import pytest

        @pytest.mark.equation("plain", "listed", "directive", "nested", "folded")
        def test_all(): pass
    """
    status, output, html = build(small_book(tmp_path, TRICKY, tests))
    assert status == 0, output  # a label found by only one of the two would be a warning
    assert (html / "index.html").read_text().count('class="gm-checked"') == 5


def test_a_label_used_twice_is_an_error_that_names_both_places(tmp_path):
    with pytest.raises(ledger.LedgerError, match=r"index\.md:\d+: label 'pythagoras' already stands at index\.md:3"):
        ledger.labels(small_book(tmp_path, PAGE + "\n" + PAGE))


def test_claims_carry_the_tests_source_and_name(tmp_path):
    tests = '''
        import pytest

        @pytest.mark.equation("a", "b")
        @pytest.mark.parametrize("x", [1, 2])
        def test_one(x):
            """First line.

            More.
            """
            assert x

        class TestGroup:
            @pytest.mark.equation("a")
            def test_two(self):
                assert 2

        TEXT = """
        @pytest.mark.equation("quoted")
        def test_three(): pass
        """
    '''
    found = ledger.claims(small_book(tmp_path, tests=tests))
    assert set(found) == {"a", "b"}
    one, two = found["a"]
    assert (one.name, two.name) == ("test_one", "TestGroup::test_two")
    assert one.source.startswith("@pytest.mark.equation")
    assert one.source.endswith("assert x")
    assert two.source.startswith("@pytest.mark.equation")  # dedented
    assert one.file == "tests/test_it.py"


@pytest.mark.parametrize(
    "mark", ["pytest.mark.equation(NAME)", "pytest.mark.equation()", 'pytest.mark.equation("a", why=1)']
)
def test_a_mark_that_cannot_be_read_is_an_error_that_names_its_line(tmp_path, mark):
    tests = f"import pytest\nNAME = 'a'\n@{mark}\ndef test_it(): pass\n"
    with pytest.raises(ledger.LedgerError, match=r"tests/test_it\.py:3: pytest\.mark\.equation takes"):
        ledger.claims(small_book(tmp_path, tests=tests))


# ------------------------------------------------------------------ formulas as they are printed


def test_each_formula_is_printed_as_it_was_when_its_tests_were_last_read_against_it():
    changed = formulas.unconfirmed(ROOT)
    assert not changed, (
        f"read the tests that claim {changed} against the formulas as they now stand, then run `make formulas`"
    )


@pytest.mark.parametrize(
    ("page", "changed"),
    [
        (PAGE, []),
        (PAGE.replace("a^2 + b^2", "a^2   +\nb^2"), []),  # set on two lines
        (PAGE.replace("+", "-"), ["pythagoras"]),  # a sign
        (PAGE + "\n$$\ne = mc^2\n$$ (einstein)\n", ["einstein"]),  # a new one
        ("# A page\n", ["pythagoras"]),  # one that went
    ],
    ids=["as it was", "only its spaces", "a sign", "a new formula", "a formula gone"],
)
def test_a_formula_that_changed_is_named_until_it_is_confirmed(tmp_path, page, changed):
    formulas.confirm(small_book(tmp_path))
    small_book(tmp_path, page)
    assert formulas.unconfirmed(tmp_path) == changed
    formulas.confirm(tmp_path)
    assert formulas.unconfirmed(tmp_path) == []


def test_confirming_shows_each_changed_formula_beside_the_tests_that_claim_it(tmp_path, capsys):
    formulas.confirm(small_book(tmp_path))
    small_book(tmp_path, PAGE.replace("+", "-"))
    formulas.confirm(tmp_path)
    shown = capsys.readouterr().out
    assert "a^2 - b^2 = c^2" in shown
    assert "assert 3**2 + 4**2 == 5**2" in shown


# ------------------------------------------------------------------ the pytest plugin


@pytest.fixture
def run_suite(pytester):
    """Run pytest on a small book; returns (exit status, output)."""
    pytester.makeini("[pytest]\ntestpaths = tests\n")

    def run(page: str = PAGE, tests: str = CLAIM, *arguments: str) -> tuple[int, str]:
        small_book(pytester.path, page, tests)
        done = pytester.runpytest_inprocess("-p", "tests.plugins.ledger", "-p", "no:cacheprovider", *arguments)
        return int(done.ret), "\n".join(done.outlines + done.errlines)

    return run


def test_plugin_passes_and_counts_when_every_equation_is_claimed(run_suite):
    status, output = run_suite()
    assert status == 0, output
    assert "equation ledger: 1 equations, 1 checked by 1 tests" in output


def test_plugin_fails_on_an_equation_without_a_claim(run_suite):
    status, output = run_suite(PAGE + "\n$$\ne = mc^2\n$$ (einstein)\n")
    assert status == 1, output
    assert "index.md:7: 'einstein' is claimed by no test" in output
    assert "2 equations, 1 checked by 1 tests" in output


@pytest.mark.parametrize("narrowed", [(), ("-k", "nothing_of_this_name")])
def test_plugin_fails_on_a_claim_without_an_equation_however_the_run_is_narrowed(run_suite, narrowed):
    status, output = run_suite("# A page\n", CLAIM, *narrowed)
    assert status == 4, output
    assert "'pythagoras', claimed by tests/test_it.py::test_triangle" in output


@pytest.mark.parametrize(
    "body", ["pytest.skip('not here')", "pytest.xfail('not yet')"], ids=["skipped", "expected to fail"]
)
def test_plugin_fails_when_the_only_claim_did_not_check_anything(run_suite, body):
    tests = f"import pytest\n\n@pytest.mark.equation('pythagoras')\ndef test_triangle():\n    {body}\n"
    status, output = run_suite(PAGE, tests)
    assert status == 1, output
    assert "'pythagoras' is claimed only by skipped tests" in output


def test_plugin_accepts_a_skipped_claim_beside_one_that_ran(run_suite):
    tests = textwrap.dedent(CLAIM) + "\n@pytest.mark.equation('pythagoras')\n@pytest.mark.skip\ndef test_b(): pass\n"
    status, output = run_suite(PAGE, tests)
    assert status == 0, output


def test_plugin_says_nothing_of_the_rest_when_only_a_part_runs(run_suite):
    page = PAGE + "\n$$\ne = mc^2\n$$ (einstein)\n"
    tests = textwrap.dedent(CLAIM) + "\n\ndef test_other():\n    pass\n"
    for narrowed in (["tests/test_it.py"], ["-k", "triangle"], ["--deselect", "tests/test_it.py::test_other"]):
        status, output = run_suite(page, tests, *narrowed)
        assert status == 0, output


def test_a_run_without_a_folder_that_holds_no_only_claim_is_one_of_the_whole_suite(run_suite, pytester):
    page = PAGE + "\n$$\ne = mc^2\n$$ (einstein)\n"
    (apart := pytester.path / "tests" / "apart").mkdir(parents=True)
    (apart / "test_more.py").write_text("def test_more(): pass\n")
    status, output = run_suite(page, CLAIM, "--ignore=tests/apart")
    assert status == 1, output
    assert "'einstein' is claimed by no test" in output
    claim = "import pytest\n\n@pytest.mark.equation('pythagoras')\ndef test_more(): pass\n"
    (apart / "test_more.py").write_text(claim)
    status, output = run_suite(page, CLAIM, "--ignore=tests/apart")
    assert status == 1, output
    claim = "import pytest\n\n@pytest.mark.equation('einstein')\ndef test_more(): pass\n"
    (apart / "test_more.py").write_text(claim)
    status, output = run_suite(page, CLAIM, "--ignore=tests/apart")
    assert status == 0, output


# ------------------------------------------------------------------ the Sphinx extension


def build(folder: Path) -> tuple[int, str, Path]:
    """Build a small book, every warning an error; returns (exit status, output, folder of pages)."""
    html = folder / "_build" / "html"
    command = [sys.executable, "-m", "sphinx", "-b", "html", "-W", "-n", "--keep-going", str(folder), str(html)]
    environment = {**os.environ, "NO_COLOR": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr, html


def test_book_shows_a_mark_that_leads_to_the_source_of_the_test(tmp_path):
    status, output, html = build(small_book(tmp_path))
    assert status == 0, output
    page = (html / "index.html").read_text()
    assert 'class="gm-checked" href="ledger.html#ledger-pythagoras"' in page
    entry = (html / "ledger.html").read_text()
    assert 'id="ledger-pythagoras"' in entry
    assert "test_triangle" in entry
    assert "Three, four, five." in entry
    assert "Labelled equations: 1. Checked: 1, by 1 tests." in entry


def test_book_fails_on_an_equation_without_a_claim_and_mends_when_the_claim_comes(tmp_path):
    status, output, html = build(small_book(tmp_path, tests="def test_nothing(): pass\n"))
    assert status != 0
    assert "no test claims the equation 'pythagoras'" in output
    assert "index.md:3" in output
    assert "gm-checked" not in (html / "index.html").read_text()
    # No page changes now, only a test: the mark and the entry must appear all the same.
    (tmp_path / "tests" / "test_it.py").write_text(textwrap.dedent(CLAIM))
    status, output, html = build(tmp_path)
    assert status == 0, output
    assert "gm-checked" in (html / "index.html").read_text()
    assert "test_triangle" in (html / "ledger.html").read_text()


def test_book_fails_on_a_claim_without_an_equation(tmp_path):
    status, output, _ = build(small_book(tmp_path, page="# A page\n"))
    assert status != 0
    assert "test_triangle claims the equation 'pythagoras', which no page has" in output
    assert "tests/test_it.py:5" in output


def test_book_fails_when_the_scanner_and_sphinx_read_a_page_differently(tmp_path):
    page = PAGE + "\n```{eval-rst}\n.. math::\n   :label: hidden\n\n   x\n```\n"
    status, output, _ = build(small_book(tmp_path, page))
    assert status != 0
    assert "the equation 'hidden' is read differently" in output
