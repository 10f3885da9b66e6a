"""Build the book: what `make book` runs.

    python tools/build_book.py             builds _build/html, and says where to look
    python tools/build_book.py --fresh     forgets every earlier build and cell output first

Every warning is an error, and the exit status is not 0. On top of `jupyter-book build . -W -n --keep-going` this
- forgets the cached outputs of code cells when `lib/` has changed: jupyter-cache looks only at the cells themselves;
- keeps code cells to one thread unless OMP_NUM_THREADS says otherwise: the models of the book are so small that
  more threads make them slower;
- makes the pages sound and light (see `tools/mend_pages.py`).
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from tools.mend_pages import mend_all  # noqa: E402

# As the command jupyter-book. Its check of _config.yml would load grammars for forty kinds of addresses, of which none
# stands there: two seconds of each build.
JUPYTER_BOOK = """
import sys
sys.modules["rfc3987_syntax"] = None
from jupyter_book.cli.main import main
main()
"""


def library_hash(root: Path) -> str:
    """A hash of all that a code cell can import from `lib/`: names and contents of its files."""
    digest = hashlib.sha256()
    for path in sorted((root / "lib").rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts and not path.parent.name.endswith(".egg-info"):
            content = path.read_bytes()
            digest.update(f"{path.relative_to(root).as_posix()}\0{len(content)}\0".encode())
            digest.update(content)
    return digest.hexdigest()


def drop_stale_cache(build: Path, now: str) -> bool:
    """Remove the outputs of code cells if they were made with another `lib/`; True if so.

    The pages' doctrees hold the outputs as well, so they go too. The hash is noted before the build: whatever
    is cached from now on was made with this library.
    """
    stamp = build / "lib.sha256"
    cache, doctrees = build / ".jupyter_cache", build / ".doctrees"
    then = stamp.read_text(encoding="utf-8").strip() if stamp.is_file() else ""
    stale = then != now and (cache.exists() or doctrees.exists())
    if stale:
        for folder in (cache, doctrees):
            shutil.rmtree(folder, ignore_errors=True)
    build.mkdir(exist_ok=True)
    stamp.write_text(now + "\n", encoding="utf-8")
    return stale


@contextlib.contextmanager
def alone(root: Path) -> Iterator[None]:
    """Wait until no other build of this checkout is under way: two at once would spoil each other's files."""
    try:
        import fcntl
    except ModuleNotFoundError:  # Windows
        yield
        return
    folder = os.open(root, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def contents(root: Path) -> set[str]:
    """The names of the pages in `_toc.yml`."""
    from sphinx_external_toc.parsing import parse_toc_yaml

    return set(parse_toc_yaml(root / "_toc.yml"))


def left_out(root: Path) -> list[str]:
    """The pages under `book/` that `_toc.yml` does not name: Sphinx passes over them without a word."""
    named = contents(root)
    no_pages = {"assets", "_ext", ".ipynb_checkpoints"}
    pages = [page.relative_to(root) for page in (root / "book").rglob("*.md") if not no_pages & set(page.parts)]
    return sorted(page.as_posix() for page in pages if page.with_suffix("").as_posix() not in named)


def drop_lost_pages(html: Path, names: set[str]) -> None:
    """Remove the pages of earlier builds that are in the book no more; ``names`` are those that are."""
    of_sphinx = {"index", "genindex", "search"}
    for path in html.rglob("*.html"):
        name = path.relative_to(html).with_suffix("").as_posix()
        if name not in names | of_sphinx and not name.startswith(("_static/", "_modules/")):
            path.unlink()


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fresh", action="store_true", help="forget every earlier build and cell output first")
    options = parser.parse_args(arguments)

    lost = left_out(ROOT)
    if lost:
        print(f"Not in _toc.yml, so not in the book: {', '.join(lost)}. Name it there, or remove it.", file=sys.stderr)
        return 1

    with alone(ROOT):
        return build_book(ROOT / "_build", options.fresh)


def build_book(build: Path, fresh: bool) -> int:
    """Build what has changed, or everything if ``fresh``; the exit status."""
    if fresh:
        shutil.rmtree(build, ignore_errors=True)
    if drop_stale_cache(build, library_hash(ROOT)):
        print("lib/ has changed since the last build: running every code cell anew")

    if importlib.util.find_spec("jupyter_book") is None:
        print(f"No jupyter-book for {sys.executable}: run `make setup` first.", file=sys.stderr)
        return 2
    environment = {"OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0", **os.environ}
    command = [sys.executable, "-c", JUPYTER_BOOK, "build", ".", "-W", "-n", "--keep-going"]
    status = subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
    if status:
        # Sphinx warns about a page only when it reads it: let the next build read every page again, or it would pass.
        shutil.rmtree(build / ".doctrees", ignore_errors=True)
        print(
            "\nThe book was not built cleanly. Each line above that says WARNING or ERROR names a file and what is"
            "\nwrong with it; a code cell that failed has its traceback under _build/html/reports/.",
            file=sys.stderr,
        )
        return 1

    html = build / "html"
    drop_lost_pages(html, contents(ROOT))
    mend_all(html)
    print(f"\nThe book is built. Open it, no network needed:\n  {(html / 'index.html').as_uri()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
