"""What CONTRIBUTING.md promises and no other room tests."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

spec = importlib.util.spec_from_file_location("build_book_for_contributing", ROOT / "tools" / "build_book.py")
build_book = importlib.util.module_from_spec(spec)
spec.loader.exec_module(build_book)


def test_a_chapter_that_is_not_in_the_contents_is_named(tmp_path):
    (tmp_path / "book/1-vae").mkdir(parents=True)
    (tmp_path / "book/assets").mkdir()
    for name in ("book/index.md", "book/1-vae/elbo.md", "book/1-vae/lost.md", "book/assets/README.md"):
        (tmp_path / name).write_text("# A page\n")
    (tmp_path / "_toc.yml").write_text(
        "format: jb-book\nroot: book/index\nparts:\n- chapters:\n  - file: book/1-vae/elbo\n"
    )
    assert build_book.left_out(tmp_path) == ["book/1-vae/lost.md"]


def test_no_page_of_this_book_is_left_out():
    assert build_book.left_out(ROOT) == []
