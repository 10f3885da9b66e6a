"""The students' notebooks as pages: never run, nothing of an answer in them, and buttons that lead where they say."""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from bs4 import BeautifulSoup
from sphinx.errors import ExtensionError
from sphinx_external_toc.parsing import parse_toc_yaml

from autograder.release import TELLING_LENGTH
from autograder.source import read_assignment, solution_lines

ROOT = Path(__file__).resolve().parents[2]
RELEASED = sorted((ROOT / "notebooks").glob("*/*.ipynb"))
NAMES = [path.relative_to(ROOT).with_suffix("").as_posix() for path in RELEASED]
SERVICES = {
    "colab_url": "https://colab.example",
    "binderhub_url": "https://binder.example/",
    "jupyterhub_url": "https://hub.example",
}


@pytest.fixture(scope="module")
def notebooks():
    sys.path.insert(0, str(ROOT / "book" / "_ext"))
    yield importlib.import_module("notebook_pages")
    sys.path.remove(str(ROOT / "book" / "_ext"))


@pytest.fixture(scope="module")
def soups(site) -> dict[str, BeautifulSoup]:
    return {name: BeautifulSoup((site / f"{name}.html").read_text("utf-8"), "html.parser") for name in NAMES}


# ------------------------------------------------------------------ where the buttons lead


def links(notebooks, url: str, branch: str = "main", services: dict[str, str] = SERVICES) -> dict[str, str]:
    return dict(notebooks.launch_links("notebooks/a/b.ipynb", notebooks.read_repository(url, branch), services))


def test_what_is_on_github_opens_everywhere(notebooks):
    found = links(notebooks, "https://github.com/group/course", "spring/1")
    assert found["Colab"] == "https://colab.example/github/group/course/blob/spring/1/notebooks/a/b.ipynb"
    binder = urlsplit(found["Binder"])
    assert (binder.netloc, binder.path) == ("binder.example", "/v2/gh/group/course/spring%2F1")
    assert parse_qs(binder.query) == {"urlpath": ["lab/tree/notebooks/a/b.ipynb"]}
    hub = urlsplit(found["JupyterHub"])
    assert (hub.netloc, hub.path) == ("hub.example", "/hub/user-redirect/git-pull")
    assert parse_qs(hub.query) == {
        "repo": ["https://github.com/group/course"],
        "branch": ["spring/1"],
        "urlpath": ["lab/tree/course/notebooks/a/b.ipynb"],
    }


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("https://gitlab.com/group/sub/course.git", "/v2/gl/group%2Fsub%2Fcourse/main"),
        ("https://git.example/group/course/", "/v2/git/https%3A%2F%2Fgit.example%2Fgroup%2Fcourse/main"),
    ],
)
def test_what_is_elsewhere_opens_on_binder_and_a_hub_and_not_in_colab(notebooks, url, path):
    found = links(notebooks, url)
    assert set(found) == {"Binder", "JupyterHub"}
    assert urlsplit(found["Binder"]).path == path
    assert parse_qs(urlsplit(found["JupyterHub"]).query)["urlpath"] == ["lab/tree/course/notebooks/a/b.ipynb"]


def test_a_service_without_an_address_is_not_offered_and_nothing_is_without_a_repository(notebooks):
    assert set(links(notebooks, "https://github.com/a/b", services={**SERVICES, "jupyterhub_url": ""})) == {
        "Colab",
        "Binder",
    }
    assert links(notebooks, "") == {}


@pytest.mark.parametrize("url", ["github.com/a/b", "https://github.com", "https://github.com/a", "git@host:a/b"])
def test_an_address_that_is_none_is_an_error(notebooks, url):
    with pytest.raises(ExtensionError, match=r"repository\.url must be like https://host/owner/name, got '"):
        links(notebooks, url)


def test_an_unknown_service_is_an_error_also_without_a_repository(notebooks):
    with pytest.raises(ExtensionError, match="launch_buttons has thebe; it knows colab_url"):
        links(notebooks, "", services={"thebe": True})


CONF = """
import sys
sys.path.insert(0, {ext!r})
extensions = ["myst_nb", "notebook_pages"]
html_theme = "sphinx_book_theme"
myst_enable_extensions = ["dollarmath"]
nb_execution_mode = "force"
nb_execution_excludepatterns = ["notebooks/*/*.ipynb"]
html_theme_options = {{"repository_url": {url!r}, "repository_branch": "main", "launch_buttons": {services!r}}}
"""
NOTEBOOK = {
    "cells": [
        {"cell_type": "markdown", "id": "cell-1", "metadata": {}, "source": "# A lesson\n\nRead."},
        {
            "cell_type": "markdown",
            "id": "statement-double",
            "metadata": {},
            "source": "## Twice\n\n*[equation e](../../book/student.md)*",
        },
        {
            "cell_type": "code",
            "id": "double",
            "metadata": {},
            "execution_count": None,
            "outputs": [],
            "source": "open('ran', 'w')",
        },
    ],
    "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    "nbformat": 4,
    "nbformat_minor": 5,
}


@pytest.mark.parametrize("url", ["", "https://github.com/group/course"])
def test_a_page_has_the_buttons_of_its_settings_and_is_not_run(tmp_path, url):
    (tmp_path / "conf.py").write_text(CONF.format(ext=str(ROOT / "book" / "_ext"), url=url, services=SERVICES))
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "student.md").write_text("# Students\n\n$$\na\n$$ (e)\n\nSee {ref}`exercise-double`.\n")
    (tmp_path / "index.md").write_text("# Book\n\n```{toctree}\nbook/student\nnotebooks/a/b\n```\n")
    (tmp_path / "notebooks" / "a").mkdir(parents=True)
    (tmp_path / "notebooks" / "a" / "b.ipynb").write_text(json.dumps(NOTEBOOK))
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-W", "-n", "-q", str(tmp_path), str(tmp_path / "html")],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONWARNINGS": "default"},
    )
    assert done.returncode == 0, done.stderr
    page = BeautifulSoup((tmp_path / "html/notebooks/a/b.html").read_text("utf-8"), "html.parser")
    buttons = [link.get_text() for link in page.select("a.gm-button")]
    more = ["Open in Colab", "Open in Binder", "Open in JupyterHub"] if url else []
    assert buttons == ["Download", *more]
    assert ("%pip install git+https://github.com/group/course@main" in page.get_text()) == bool(url)
    assert page.select_one("a[href$='student.html#equation-e']")
    assert not page.select(".dropdown-launch-buttons")  # the theme's own menu
    assert not list(tmp_path.rglob("ran"))
    chapter = BeautifulSoup((tmp_path / "html/book/student.html").read_text("utf-8"), "html.parser")
    assert chapter.select_one("a[href$='b.html#exercise-double']").get_text() == "Twice"


# ------------------------------------------------------------------ the book's own


def test_every_released_notebook_has_its_page():
    assert {name for name in parse_toc_yaml(ROOT / "_toc.yml") if name.startswith("notebooks/")} == set(NAMES)


@pytest.mark.parametrize("path", RELEASED, ids=NAMES)
def test_download_saves_the_notebook_byte_for_byte(soups, path):
    (link,) = soups[path.relative_to(ROOT).with_suffix("").as_posix()].select("a.gm-button[download]")
    assert link["download"] == path.name
    kind, _, content = link["href"].partition(",")
    assert kind == "data:application/x-ipynb+json;charset=utf-8"
    assert unquote(content).encode() == path.read_bytes()


def test_no_page_of_a_notebook_has_an_output(soups):
    for name, soup in soups.items():
        assert len(soup.select("div.cell_input")) >= 6, name
        assert not soup.select("div.cell_output"), name


def test_no_page_of_a_notebook_has_a_line_of_an_answer(soups):
    for assignment in {path.parent.name for path in RELEASED}:
        for source in read_assignment(ROOT / "solutions", assignment):
            soup = soups[f"notebooks/{assignment}/{source.name}"]
            lines = {line.strip() for line in soup.get_text().splitlines()}
            answers = [line.strip() for each in source.exercises.values() for line in solution_lines(each.text)]
            assert answers
            assert not [line for line in answers if len(line) >= TELLING_LENGTH and line in lines]


def test_notebooks_have_descriptions_of_their_own(soups):
    said = [soup.find("meta", attrs={"name": "description"})["content"] for soup in soups.values()]
    assert len(set(said)) == len(said)
    assert max(map(len, said)) <= 170
