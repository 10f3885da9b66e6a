"""The equation ledger: which equations the book labels, and which tests claim them.

Two halves. The first is plain functions on files, shared by the pytest plugin (`tests/plugins/ledger.py`):
`labels` reads the pages named in `_toc.yml` with MyST's own parser, `claims` reads the tests by their syntax
tree, without importing them, and `problems` compares the two. The second half is the Sphinx extension: a
"checked" mark beside each labelled equation, the ``{ledger}`` directive that lists the equations with the
source of their tests, and a warning (an error under ``-W``) for whatever `problems` finds.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

import yaml

# Directives whose body is not MyST: a `$$` in them is no equation of the book.
VERBATIM = {"code", "code-block", "code-cell", "sourcecode", "literalinclude", "raw", "eval-rst", "live", "toctree"}
_DIRECTIVE = re.compile(r"^\{([\w:+-]+)\}")
_OPTION = re.compile(r"^:[\w-]+:")


class LedgerError(ValueError):
    """A page or a test that the ledger cannot read; the message says which, and why."""


@dataclass(frozen=True)
class Equation:
    """One labelled equation: where it stands, and its LaTeX as it is printed."""

    file: str
    line: int
    tex: str

    def fingerprint(self) -> str:
        """Twelve hexadecimal digits that change when the formula does; spaces and line breaks don't count."""
        return hashlib.sha256("".join(self.tex.split()).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Claim:
    """One test that claims an equation. `file` is relative to the root, `line` is the test's first line."""

    file: str
    line: int
    name: str
    docstring: str
    source: str


# ------------------------------------------------------------------ reading pages and tests


def pages(root: Path) -> list[Path]:
    """The Markdown pages named in `root/_toc.yml`, in reading order; a page that does not exist is left out
    (Sphinx itself reports it)."""
    from sphinx_external_toc.parsing import parse_toc_yaml

    found = []
    for docname in parse_toc_yaml(root / "_toc.yml"):
        path = root / (docname if docname.endswith(".md") else f"{docname}.md")
        if path.is_file():
            found.append(path)
    return found


def labels(root: Path) -> dict[str, tuple[str, int]]:
    """Every equation label of the book: label -> (page relative to the root, line), in reading order.

    Raises LedgerError when two equations carry the same label.
    """
    return {label: (equation.file, equation.line) for label, equation in equations(root).items()}


def equations(root: Path) -> dict[str, Equation]:
    """Every labelled equation of the book by its label, in reading order. Raises as `labels` does."""
    root = Path(root)
    parser = _myst_parser(root)
    found: dict[str, Equation] = {}
    for page in pages(root):
        file = page.relative_to(root).as_posix()
        for label, line, tex in _equations_in(parser, page.read_text(encoding="utf-8"), 1):
            if label in found:
                raise LedgerError(
                    f"{file}:{line}: label {label!r} already stands at {found[label].file}:{found[label].line}"
                )
            found[label] = Equation(file, line, tex)
    return found


def _myst_parser(root: Path):
    from markdown_it.renderer import RendererHTML
    from myst_parser.config.main import MdParserConfig
    from myst_parser.parsers.mdit import create_md_parser

    config = root / "_config.yml"
    settings = (yaml.safe_load(config.read_text(encoding="utf-8")) or {}) if config.is_file() else {}
    enabled = settings.get("parse", {}).get("myst_enable_extensions", ["colon_fence", "dollarmath"])
    return create_md_parser(MdParserConfig(enable_extensions=set(enabled)), RendererHTML)


def _equations_in(parser, text: str, first_line: int):
    """Yield (label, line, LaTeX) for the labelled equations of a piece of MyST, directives within it included."""
    for token in parser.parse(text):
        line = first_line + (token.map[0] if token.map else 0)
        if token.type == "math_block_label":
            yield token.info, line, token.content
        elif token.type in ("fence", "colon_fence") and (match := _DIRECTIVE.match(token.info.strip())):
            options, body, skipped = _split_options(token.content)
            if match[1] == "math":
                if label := options.get("label", options.get("name")):
                    yield label, line, body
            elif match[1] not in VERBATIM:
                yield from _equations_in(parser, body, line + 1 + skipped)


def _split_options(content: str) -> tuple[dict[str, str], str, int]:
    """Split a directive's content into its options, its body and the number of lines the options took."""
    lines = content.splitlines()
    if lines and lines[0].strip() == "---":
        for end, text in enumerate(lines[1:], start=1):
            if text.strip() == "---":
                loaded = yaml.safe_load("\n".join(lines[1:end])) or {}
                return {key: str(value) for key, value in loaded.items()}, "\n".join(lines[end + 1 :]), end + 1
    count = 0
    while count < len(lines) and _OPTION.match(lines[count].strip()):
        count += 1
    pairs = (text.strip()[1:].split(":", 1) for text in lines[:count])
    return {key: value.strip() for key, value in pairs}, "\n".join(lines[count:]), count


def claims(root: Path) -> dict[str, list[Claim]]:
    """Every claim in `root/tests`: label -> the tests marked ``@pytest.mark.equation(label, ...)``.

    Read by syntax tree, so that building the book neither runs nor imports a test. Raises LedgerError on a
    mark whose labels are not literal strings, since a label made at run time could not be shown in the book.
    """
    root = Path(root)
    found: dict[str, list[Claim]] = {}
    for path in sorted((root / "tests").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if "mark.equation" not in text:
            continue
        file = path.relative_to(root).as_posix()
        try:
            tree = ast.parse(text)
        except SyntaxError as error:
            raise LedgerError(f"{file}:{error.lineno}: {error.msg}") from error
        for name, node, marks in _tests_in(tree, "", []):
            for label in dict.fromkeys(label for mark in marks for label in _mark_labels(mark, file)):
                found.setdefault(label, []).append(_claim(file, name, node, text))
    return found


def _tests_in(parent: ast.AST, prefix: str, outer: list[ast.Call]):
    """Yield (qualified name, function, equation marks) for each marked test, marks of its class included."""
    for node in ast.iter_child_nodes(parent):
        if isinstance(node, ast.ClassDef):
            yield from _tests_in(node, f"{prefix}{node.name}::", outer + _marks(node))
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            marks = outer + _marks(node)
            if node.name.startswith("test") and marks:
                yield f"{prefix}{node.name}", node, marks


def _marks(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> list[ast.Call]:
    return [
        decorator
        for decorator in node.decorator_list
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) in ("pytest.mark.equation", "mark.equation")
    ]


def _mark_labels(mark: ast.Call, file: str) -> list[str]:
    if mark.keywords or not mark.args:
        raise LedgerError(f"{file}:{mark.lineno}: pytest.mark.equation takes one label or more, and no keyword")
    names = []
    for argument in mark.args:
        if not (isinstance(argument, ast.Constant) and isinstance(argument.value, str)):
            raise LedgerError(f"{file}:{mark.lineno}: pytest.mark.equation takes labels as literal strings")
        names.append(argument.value)
    return names


def _claim(file: str, name: str, node: ast.FunctionDef | ast.AsyncFunctionDef, text: str) -> Claim:
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    source = "\n".join(text.splitlines()[first - 1 : node.end_lineno])
    return Claim(file, node.lineno, name, ast.get_docstring(node) or "", textwrap.dedent(source))


def problems(known: dict[str, tuple[str, int]], claimed: dict[str, list[Claim]]) -> list[tuple[str, str, int]]:
    """What is wrong between labels and claims, as (message, file, line): claims of a label that no page has,
    then labels that no test claims."""
    found = []
    for label, tests in claimed.items():
        if label not in known:
            for test in tests:
                found.append((f"{test.name} claims the equation {label!r}, which no page has", test.file, test.line))
    for label, (file, line) in known.items():
        if not claimed.get(label):
            found.append((f"no test claims the equation {label!r}", file, line))
    return found


# ------------------------------------------------------------------ the Sphinx extension

try:
    from docutils import nodes
    from sphinx.util import logging
    from sphinx.util.docutils import SphinxDirective
except ModuleNotFoundError:  # without the book's packages the functions above that need none still work
    nodes = None

if nodes is not None:
    logger = logging.getLogger(__name__)

    class checked_equation(nodes.General, nodes.Element):
        """A labelled equation together with its mark: attributes `uri` and `tests` (how many claim it)."""

    class ledger_list(nodes.General, nodes.Element):
        """Where the ``{ledger}`` directive stood, until every page has been read."""

    class fold(nodes.General, nodes.Element):
        """An HTML <details>; its first child is the summary."""

    class Ledger(SphinxDirective):
        """``{ledger}``: every labelled equation, its page, and the tests that claim it with their source."""

        def run(self):
            self.env.ledger_page = self.env.docname
            return [ledger_list()]


def read(app) -> tuple[dict, dict]:
    """Labels and claims of this build, read once."""
    if not hasattr(app, "_ledger"):
        root = Path(app.srcdir)
        try:
            app._ledger = labels(root), claims(root)
        except LedgerError as error:
            logger.warning("ledger: %s", error, type="ledger")
            app._ledger = {}, {}
    return app._ledger


def _pages_to_rewrite(app, env):
    """After reading: the ledger page always (any page or test may have changed it), and each page whose
    equations are claimed by other tests than when it was last written."""
    app.__dict__.pop("_ledger", None)  # pages have just been read again
    known, claimed = read(app)
    before = getattr(env, "ledger_claims", {})
    env.ledger_claims = {label: len(tests) for label, tests in claimed.items()}
    changed = {label for label in known if before.get(label) != env.ledger_claims.get(label)}
    equations = env.get_domain("math").equations
    rewrite = {equations[label][0] for label in changed if label in equations}
    page = getattr(env, "ledger_page", None)
    if page in env.found_docs:
        rewrite.add(page)
        # It shows formulas that are not in its source: MathJax must be loaded there as well.
        env.get_domain("math").data["has_equations"][page] = True
    return sorted(rewrite)


def _warn(app, env):
    known, claimed = read(app)
    for message, file, line in problems(known, claimed):
        logger.warning("ledger: %s", message, location=f"{Path(app.srcdir) / file}:{line}", type="ledger")
    seen = set(env.get_domain("math").equations)
    for label in sorted(seen ^ set(known)):
        where = (
            "Sphinx sees it, the scanner of pages does not"
            if label in seen
            else "the scanner of pages sees it, Sphinx does not"
        )
        logger.warning("ledger: the equation %r is read differently: %s", label, where, type="ledger")


def _resolve(app, doctree, docname):
    env, (known, claimed) = app.env, read(app)
    page = getattr(env, "ledger_page", None)
    if page is None:
        return
    for equation in list(doctree.findall(nodes.math_block)):
        label = equation.get("label")
        if label in known and claimed.get(label):
            target = app.builder.get_relative_uri(docname, page) + f"#{_anchor(label)}"
            wrapper = checked_equation(label=label, uri=target, tests=len(claimed[label]))
            equation.replace_self(wrapper)
            wrapper += equation
    for place in list(doctree.findall(ledger_list)):
        place.replace_self(_entries(app, docname, known, claimed))


def _anchor(label: str) -> str:
    return nodes.make_id(f"ledger-{label}")


def _entries(app, docname: str, known: dict, claimed: dict) -> list:
    """The ledger's content: a line of totals, then one block per equation, in reading order."""
    env = app.env
    math = env.get_domain("math")
    tests = {(test.file, test.name) for label in known for test in claimed.get(label, [])}
    checked = sum(bool(claimed.get(label)) for label in known)
    total = nodes.paragraph(text=f"Labelled equations: {len(known)}. Checked: {checked}, by {len(tests)} tests.")
    out: list = [total]
    doctree = functools.cache(env.get_doctree)  # Sphinx reads the file anew each time
    for label in known:
        if label not in math.equations:
            continue
        home = math.equations[label][0]
        entry = nodes.container(ids=[_anchor(label)], classes=["gm-ledger-entry"])
        head = nodes.paragraph(classes=["gm-ledger-head"])
        head += math.resolve_xref(env, docname, app.builder, "eq", label, None, None)
        head += [nodes.Text(" "), nodes.literal(text=label), nodes.Text(" in ")]
        link = nodes.reference("", "", internal=True, refuri=app.builder.get_relative_uri(docname, home))
        link += nodes.Text(env.titles[home].astext())
        head += link
        entry += head
        for equation in doctree(home).findall(nodes.math_block):
            if equation.get("label") == label:
                text = equation.astext()
                entry += nodes.math_block(text, text, nowrap=equation.get("nowrap", False), number=None, label=None)
        if not claimed.get(label):
            entry += nodes.paragraph(text="No test claims this equation.")
        for test in claimed.get(label, []):
            details = fold()
            summary = nodes.inline(classes=["gm-ledger-test"])
            summary += nodes.literal(text=test.name)
            summary += nodes.Text(f" in {test.file}")
            details += summary
            if test.docstring:
                details += nodes.paragraph(text=" ".join(test.docstring.split("\n\n")[0].split()))
            details += nodes.literal_block(test.source, test.source, language="python")
            entry += details
        out.append(entry)
    return out


def _visit_checked_html(self, node):
    self.body.append('<div class="gm-equation">')


def _depart_checked_html(self, node):
    count = node["tests"]
    by = "1 test" if count == 1 else f"{count} tests"
    self.body.append(
        f'<a class="gm-checked" href="{node["uri"]}" title="Checked by {by}: see the source">'
        f'<span aria-hidden="true">✓</span> checked<span class="gm-hidden"> by {by}</span></a></div>\n'
    )


def _visit_fold_html(self, node):
    self.body.append('<details class="gm-fold"><summary>')
    node[0].walkabout(self)
    self.body.append("</summary>")
    node.pop(0)


def _depart_fold_html(self, node):
    self.body.append("</details>\n")


def _pass(self, node):
    """Other writers show the children as they are."""


def setup(app):
    app.add_node(checked_equation, html=(_visit_checked_html, _depart_checked_html), **_plain())
    app.add_node(fold, html=(_visit_fold_html, _depart_fold_html), **_plain())
    app.add_node(ledger_list, html=(_pass, _pass), **_plain())
    app.add_directive("ledger", Ledger)
    app.connect("env-updated", _pages_to_rewrite)
    app.connect("env-check-consistency", _warn)
    app.connect("doctree-resolved", _resolve)
    return {"version": "1", "env_version": 1, "parallel_read_safe": False, "parallel_write_safe": True}


def _plain():
    return dict.fromkeys(("latex", "text", "man", "texinfo"), (_pass, _pass))
