"""The build command: when it forgets the outputs of code cells, and that it builds alone."""

import fcntl
import importlib.util
import os

import pytest

from tests.book.test_ledger import ROOT


@pytest.fixture(scope="module")
def build_book():
    spec = importlib.util.spec_from_file_location("build_book", ROOT / "tools" / "build_book.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def library(tmp_path):
    package = tmp_path / "lib" / "package"
    package.mkdir(parents=True)
    (package / "a.py").write_text("x = 1\n")
    (package / "b.py").write_text("y = 1\n")
    return tmp_path


def test_the_hash_of_the_library_sees_contents_names_and_new_files(build_book, library):
    seen = {build_book.library_hash(library)}
    (library / "lib" / "package" / "a.py").write_text("x = 2\n")
    seen.add(build_book.library_hash(library))
    (library / "lib" / "package" / "weights.bin").write_bytes(b"\0")
    seen.add(build_book.library_hash(library))
    (library / "lib" / "package" / "b.py").rename(library / "lib" / "package" / "c.py")
    seen.add(build_book.library_hash(library))
    assert len(seen) == 4


def test_the_hash_of_the_library_does_not_see_what_python_leaves_behind(build_book, library):
    before = build_book.library_hash(library)
    (library / "lib" / "package" / "__pycache__").mkdir()
    (library / "lib" / "package" / "__pycache__" / "a.pyc").write_bytes(b"1")
    (library / "lib" / "package.egg-info").mkdir()
    (library / "lib" / "package.egg-info" / "PKG-INFO").write_text("1")
    assert build_book.library_hash(library) == before


def test_outputs_made_with_another_library_are_forgotten_and_only_those(build_book, tmp_path):
    build = tmp_path / "_build"
    assert not build_book.drop_stale_cache(build, "one")  # nothing there yet
    for folder in (".jupyter_cache", ".doctrees", "html"):
        (build / folder).mkdir()
    assert not build_book.drop_stale_cache(build, "one")
    assert (build / ".jupyter_cache").is_dir()
    assert build_book.drop_stale_cache(build, "two")
    assert not (build / ".jupyter_cache").exists()
    assert not (build / ".doctrees").exists()
    assert (build / "html").is_dir()
    assert not build_book.drop_stale_cache(build, "two")


def test_outputs_of_unknown_origin_are_forgotten(build_book, tmp_path):
    (tmp_path / "_build" / ".jupyter_cache").mkdir(parents=True)
    assert build_book.drop_stale_cache(tmp_path / "_build", "one")


def test_a_page_that_left_the_book_leaves_the_site(build_book, tmp_path):
    kept = ["index", "search", "genindex", "book/1-vae/elbo", "_modules/genmodels/vae", "_static/webpack-macros"]
    for name in [*kept, "book/1-vae/old", "py-modindex"]:
        page = tmp_path / f"{name}.html"
        page.parent.mkdir(parents=True, exist_ok=True)
        page.touch()
    build_book.drop_lost_pages(tmp_path, {"book/1-vae/elbo", "book/not-built-yet"})
    left = {path.relative_to(tmp_path).with_suffix("").as_posix() for path in tmp_path.rglob("*.html")}
    assert left == set(kept)


def test_a_second_build_of_a_checkout_waits_for_the_first(build_book, tmp_path):
    other = os.open(tmp_path, os.O_RDONLY)
    try:
        with build_book.alone(tmp_path), pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.close(other)
