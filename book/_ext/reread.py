"""Every page is read anew when an extension of the book has changed, or what mends the pages that Sphinx writes: Sphinx
looks at the pages' own sources alone, and a mended page is not mended otherwise.

The outputs of code cells are kept, so this takes a part of a minute. `checked.py` has its page written anew at every
build, and `symbols.py` sees to its own changes: it comes after the pages are read.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

APART = {"checked.py", "symbols.py"}
MENDING = ("mend_pages.py", "typeset.py", "mathjax/typeset.js")  # in tools/


def state(folder: Path) -> str:
    """A hash of all extensions that pages are read with, and of what mends them."""
    digest = hashlib.sha256()
    mending = [folder.parents[1] / "tools" / name for name in MENDING]
    for path in [*sorted(folder.glob("*.py")), *mending]:
        if path.is_file() and path.name not in APART:
            digest.update(f"{path.name}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def _outdated(app, env, added, changed, removed):
    now = state(Path(__file__).parent)
    before, env.book_extensions = getattr(env, "book_extensions", None), now
    return sorted(env.found_docs) if before != now else []


def setup(app):
    app.connect("env-get-outdated", _outdated)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
