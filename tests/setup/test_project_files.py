"""The files around the code: they agree with each other and with what their readers expect of them."""

import os
import re
import shutil
import subprocess
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def requirements(name: str) -> dict[str, Requirement]:
    lines = [line.split("#")[0].strip() for line in (ROOT / name).read_text().splitlines()]
    wanted = [Requirement(line) for line in lines if line and not line.startswith(("-", "."))]
    return {canonicalize_name(r.name): r for r in wanted}


def test_the_package_and_the_students_ask_for_the_same():
    student = requirements("requirements.txt")
    for line in PYPROJECT["dependencies"]:
        own = Requirement(line)
        assert str(own) == str(student[canonicalize_name(own.name)])


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_the_lock_holds_a_version_that_fits_each_requirement(name):
    locked = requirements("requirements.lock")
    for key, wanted in requirements(name).items():
        assert key in locked, f"{key} is not in requirements.lock: run `make lock`"
        (pin,) = locked[key].specifier
        assert pin.operator == "=="
        assert wanted.specifier.contains(pin.version), f"{wanted} against {locked[key]}: run `make lock`"


def test_the_lock_suits_the_oldest_python():
    """Patch releases count: a package may want 3.11.5 where Debian 12 has 3.11.2."""
    oldest = PYPROJECT["requires-python"].removeprefix(">=") + ".0"
    for key, pinned in requirements("requirements.lock").items():
        try:
            distribution = metadata.distribution(key)
        except metadata.PackageNotFoundError:
            continue  # for another platform
        if pinned.specifier.contains(distribution.version):
            needs = SpecifierSet(distribution.metadata.get("Requires-Python") or "")
            assert needs.contains(oldest), f"{pinned} wants Python {needs}: run `make lock`"


def test_the_citation_is_complete_and_names_no_invented_person():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
    assert [set(author) for author in citation["authors"]] == [{"name"}]  # an entity, in the format's terms
    assert citation["version"] == PYPROJECT["version"]
    assert citation["license"] == PYPROJECT["license"]


@pytest.mark.skipif(shutil.which("git") is None or not (ROOT / ".git").exists(), reason="not a git checkout")
def test_git_ignores_what_is_made_and_nothing_that_is_kept():
    made = [
        ".venv/x",
        "_build/html/index.html",
        "gradebook.db",
        "lib/genmodels.egg-info/x",
        "submitted/ada/vae/b.ipynb",
    ]
    for path in made:
        subprocess.run(["git", "check-ignore", "-q", path], cwd=ROOT, check=True)
    kept = subprocess.run(
        ["git", "ls-files", "--ignored", "--cached", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert kept.stdout == ""


def test_help_lists_every_target():
    run = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    listed = set(re.findall(r"^  make (\S+) +\S", run.stdout, re.M))
    targets = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.M)[1].split()
    assert listed == set(targets)


def tool(folder: Path, name: str, body: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{body}\n")
    (folder / name).chmod(0o755)


def test_ci_runs_make_test_from_the_root(tmp_path):
    tool(tmp_path, "make", 'echo "make $@ in $PWD"; exit 3')
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    run = subprocess.run([ROOT / ".ci/run"], cwd="/", env=env, capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (3, f"make test in {ROOT}\n")


def test_the_workflow_runs_what_ci_runs_and_publishes_only_from_main():
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
    jobs, triggers = workflow["jobs"], workflow[True]  # YAML 1.1 reads the key `on` as true
    assert {"run": ".ci/run"} in jobs["test"]["steps"]
    assert triggers["push"] == {"branches": ["main"]}
    assert jobs["publish"]["if"] == "github.event_name == 'push'"
    assert workflow["permissions"] == {"contents": "read"}
    assert [name for name, job in jobs.items() if "permissions" in job] == ["publish"]
    for job in jobs.values():
        for step in job["steps"]:
            assert re.fullmatch(r"actions/[\w-]+@v\d+", step.get("uses", "actions/x@v1"))


@pytest.fixture
def bare_path(tmp_path):
    """A PATH with the few tools that the script uses, and neither a browser nor bubblewrap."""
    for name in ("mktemp", "tail", "rm"):
        (tmp_path / name).symlink_to(shutil.which(name))
    tool(tmp_path, "id", "echo 0")
    return tmp_path


def set_up_system(path: Path) -> subprocess.CompletedProcess:
    command = ["/bin/sh", ROOT / "tools/setup_system.sh"]
    return subprocess.run(command, env={"PATH": str(path)}, capture_output=True, text=True, check=True)


def test_what_pip_cannot_install_is_installed_where_it_is_missing(bare_path):
    tool(bare_path, "apt-get", f'echo "$@" >> {bare_path}/asked')
    assert "Installing for the tests: chromium bubblewrap." in set_up_system(bare_path).stdout
    assert (bare_path / "asked").read_text() == "update\ninstall -y --no-install-recommends chromium bubblewrap\n"


def test_only_what_is_missing_is_installed(bare_path):
    tool(bare_path, "apt-get", "exit 0")
    tool(bare_path, "chromium-browser", "exit 0")
    assert "Installing for the tests: bubblewrap." in set_up_system(bare_path).stdout


def test_what_cannot_be_installed_fails_nothing(bare_path):
    tool(bare_path, "apt-get", 'echo "no route to the mirror"; exit 100')
    run = set_up_system(bare_path)
    assert "the tests that need it will skip: chromium bubblewrap" in run.stdout
    assert "no route to the mirror" in run.stdout


def test_the_system_is_left_alone_where_all_is_there_or_nothing_can_come(bare_path):
    assert "no way to install it: chromium bubblewrap" in set_up_system(bare_path).stdout
    tool(bare_path, "chromium", "exit 0")
    tool(bare_path, "bwrap", "exit 0")
    tool(bare_path, "apt-get", "exit 1")
    assert set_up_system(bare_path).stdout == ""
