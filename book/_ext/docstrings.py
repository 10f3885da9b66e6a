"""What the API pages change in a docstring, so that the docstring itself can be written for `help()`.

``Equation ``vae-elbo`` `` becomes a link to that equation (and a warning when no page has it), and the star of a shape
such as (B, *data_shape) is not taken for the start of emphasis.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
from pathlib import Path

from ledger import LedgerError, labels
from sphinx.ext import viewcode
from sphinx.util import logging

logger = logging.getLogger(__name__)
EQUATION = re.compile(r"\b([Ee]quations?)((?:(?:,| and|;)?\s+``[\w-]+``)+)")
LITERAL = re.compile(r"``([\w-]+)``")
LONE_STAR = re.compile(r"(?<=[\s(])\*(?=\w+[\s,)])")


def rewrite(text: str, known: set[str]) -> tuple[str, list[str]]:
    """The docstring as reStructuredText, and the labels it names that no page has."""
    unknown: list[str] = []

    def link(match: re.Match[str]) -> str:
        if match[1] not in known:
            unknown.append(match[1])
            return match[0]
        return f":eq:`{match[1]}`"

    text = EQUATION.sub(lambda match: match[1] + LITERAL.sub(link, match[2]), text)
    # A known label is a link wherever it stands, not only in the first sentence about it.
    text = LITERAL.sub(lambda match: f":eq:`{match[1]}`" if match[1] in known else match[0], text)
    return LONE_STAR.sub(r"\\*", text), unknown


def _process(app, what, name, obj, options, lines):
    if not hasattr(app, "_equation_labels"):
        try:
            app._equation_labels = set(labels(Path(app.srcdir)))
        except LedgerError:  # the ledger extension reports it
            app._equation_labels = set()
    text, unknown = rewrite("\n".join(lines), app._equation_labels)
    lines[:] = text.split("\n")
    for label in unknown:
        logger.warning("the docstring of %s names the equation %r, which no page has", name, label, type="ledger")


def _skip(app, what, name, obj, skip, options):
    """Leave out what Python itself writes about the fields of a named tuple."""
    return True if (obj.__doc__ or "").startswith("Alias for field number") else None


def _alias(app, env, node, content):
    """A name that a module of ours gives to a type (a TypeVar, an alias) has no page of its own: show it unlinked."""
    target = node.get("reftarget", "")
    if node.get("reftype") != "class" or not target.startswith("genmodels."):
        return None
    module, _, name = target.rpartition(".")
    try:
        named = getattr(importlib.import_module(module), name, None)
    except ImportError:
        return None
    return content if named is not None and not isinstance(named, type) else None


def _file_of(app, module):
    """Where a module lies. At every build viewcode asks this of all, and it would import them, and torch with them."""
    package, *parts = module.split(".")
    place = Path(importlib.util.find_spec(package).origin).parent.joinpath(*parts)
    return str(place / "__init__.py" if place.is_dir() else place.with_suffix(".py"))


def setup(app):
    viewcode.get_module_filename = _file_of
    app.connect("missing-reference", _alias)
    app.connect("autodoc-skip-member", _skip)
    app.connect("autodoc-process-docstring", _process)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
